"""The notebooks' own help: parameters that are checked, a session that holds data and results, and execution."""

import base64
import contextlib
import io
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from somb_utils.errors import SombError, UsageError
from somb_utils.load import TaskData, load_task
from somb_utils.models import resolve_models
from somb_utils.paths import cache_dir
from somb_utils.published import published_primary
from somb_utils.results import RunResult
from somb_utils.runner import run, unavailable
from somb_utils.stats import bootstrap_interval
from somb_utils.tables import Source, missing_tables, resolve_source
from somb_utils.tasks import Protocol, catalogue, select_tasks

QUIET = ["--IPKernelApp.log_level=50"]  # a kernel complains of its own transport and shutdown
FOLDER = Path(__file__).parent.parent / "notebooks"


class Parameters(BaseModel):
    """The parameters that every notebook takes. Text that is JSON is read as such, as ``papermill -p`` gives it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    tasks: list[str]
    models: list[str]
    model_params: dict[str, dict[str, Any]] = Field(default_factory=dict)
    protocol: Protocol = "aligned"
    data_source: str = "auto"
    n_bootstrap: int = Field(200, ge=0, le=100_000)
    seed: int = Field(42, ge=0, lt=2**32)
    results_dir: str | None = None
    n_jobs: int = Field(1, ge=-1)

    @field_validator("tasks", "models", "model_params", mode="before")
    @classmethod
    def _read(cls, value: Any, info: Any) -> Any:
        if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
            value = json.loads(value)
        if isinstance(value, str) and info.field_name != "model_params":
            value = [part.strip() for part in value.split(",") if part.strip()]
        return {} if value is None and info.field_name == "model_params" else value

    @field_validator("n_jobs")
    @classmethod
    def _some_jobs(cls, value: int) -> int:
        if value == 0:
            raise ValueError("give a number of jobs, or -1 for one a core")
        return value


NAMES = tuple(Parameters.model_fields)


def check(category: str, parameters: Mapping[str, Any]) -> Parameters:
    """Return the parameters of a category's notebook, checked.

    Raises
    ------
    UsageError
        Naming the parameter that is unknown or whose value cannot be, and what would do.
    """
    try:
        checked = Parameters.model_validate(dict(parameters))
    except ValidationError as error:
        raise UsageError("; ".join(_problem(problem) for problem in error.errors())) from None
    chosen = [task.id for task in select_tasks(checked.tasks)]
    others = [task for task in chosen if category and not task.startswith(category)]
    if others:
        own = ", ".join(task for task in catalogue() if task.startswith(category))
        raise UsageError(f"tasks: {', '.join(others)} is not of this notebook, which is about {own}")
    resolve_models(checked.models, checked.model_params)
    return checked.model_copy(update={"tasks": chosen})


def _problem(problem: Any) -> str:
    name = ".".join(map(str, problem["loc"]))
    if problem["type"] == "extra_forbidden":
        return f"unknown parameter '{name}'; the parameters are {', '.join(NAMES)}"
    return f"parameter {name}: {problem['msg']}, not {problem['input']!r}"


def start(category: str, **parameters: Any) -> "Session":
    """Check a notebook's parameters, load its tasks, show where the data come from, and return the session.

    Parameters
    ----------
    category : letter of the tasks that the notebook is about; empty for any
    parameters : see :class:`Parameters`

    Raises
    ------
    UsageError
        If a parameter is unknown or its value cannot be.
    """
    session = Session(category, check(category, parameters))
    _display(session.banner())
    return session


class Session:
    """The data, results and figures of one notebook.

    A table or task that the data source lacks is reported where it is asked for, with the way to get it, and the
    notebook goes on.
    """

    def __init__(self, category: str, parameters: Parameters) -> None:
        self.category, self.parameters = category, parameters
        self._glued: Counter[str] = Counter()
        with contextlib.redirect_stderr(io.StringIO()):  # the banner says it
            self.source: Source = resolve_source(parameters.data_source)
        chosen = select_tasks(parameters.tasks)
        self.missing = unavailable(chosen, self.source)
        self.tasks = {
            task.id: load_task(task, parameters.protocol, self.source) for task in chosen if task.id not in self.missing
        }

    @property
    def simulated(self) -> bool:
        """Whether the tables are invented."""
        return self.source.kind == "simulated"

    def banner(self) -> Any:
        """Return what the data are, unmistakably coloured if they are simulated, and what is missing."""
        from IPython.display import HTML

        colour, said = ("#B00020", "SIMULATED DATA") if self.simulated else ("#00695C", "Open data")
        detail = (
            "No number on this page says anything about a real person. Get the real tables with "
            "<code>somb data fetch</code>, or name their folder in <code>SOMB_DATA</code>."
            if self.simulated
            else f"Every table was checked against its SHA-256 hash ({self.source.kind} tables)."
        )
        lines = "".join(f"<br>Left out: {message}" for message in self._notes(self.missing.values()))
        text = f"<b>{said}</b>, {self.parameters.protocol} protocol. {detail}{lines}"
        style = f"background:{colour};color:white;padding:.7em 1em;border-radius:4px"
        return HTML(f'<div class="somb-source" style="{style}">{text}</div>')

    def _notes(self, messages: Iterable[str]) -> list[str]:
        # The folder's name is the reader's own business and would differ on every machine.
        where = self.source.describe()
        return [message.replace(where, f"{self.source.kind} tables") for message in messages]

    def get(self, name: str) -> TaskData | pd.DataFrame:
        """Return a task (by id) or a table (by name).

        Raises
        ------
        SombError
            If the source lacks it, or the task is not among the parameters'.
        """
        if not re.fullmatch(r"[A-I]\d", name):
            if missing_tables([name], self.source):
                raise SombError(
                    f"table {name} is not among the {self.source.kind} tables; get it with: somb data fetch"
                )
            return self.source.load(name)
        if name in self.missing:
            raise SombError(self._notes([self.missing[name]])[0])
        if name not in self.tasks:
            raise SombError(f"{name} is not among the tasks of this run ({', '.join(self.parameters.tasks)})")
        return self.tasks[name]

    def show(self, draw: Callable[..., Any], *inputs: Any, **options: Any) -> None:
        """Show the figure that `draw` makes of tasks and tables, named by id or name; other inputs are passed on."""
        loaded = self._load(inputs)
        if loaded is not None:
            _display(draw(*loaded, source=self.source.kind, **options))

    def each(self, draw: Callable[..., Any], **options: Any) -> None:
        """Show the figure that `draw` makes of every task of the notebook."""
        for name in self.parameters.tasks:
            self.show(draw, name, **options)

    def say(self, text: str, *inputs: Any, **facts: Callable[..., Any]) -> None:
        """Show a sentence whose ``{names}`` are computed from tasks and tables, and glue them for other pages.

        Parameters
        ----------
        text : Markdown with the names of `facts` in braces, formatted as in ``str.format``
        inputs : ids of tasks, names of tables, or anything else
        facts : functions of the loaded inputs
        """
        from IPython.display import Markdown
        from myst_nb import glue

        loaded = self._load(inputs)
        if loaded is None:
            return
        values = {name: fact(*loaded) for name, fact in facts.items()}
        for name, value in values.items():
            self._glued[name] += 1
            # A sentence said of several tasks glues name, name_2, ...: a key may stand once in a notebook.
            glue(name if self._glued[name] == 1 else f"{name}_{self._glued[name]}", value, display=False)
        _display(Markdown(text.format(**values)))

    def _load(self, inputs: Iterable[Any]) -> list[Any] | None:
        try:
            return [self.get(name) if isinstance(name, str) else name for name in inputs]
        except UsageError:
            raise
        except SombError as error:
            _note(str(error))
            return None

    def run(self) -> RunResult | None:
        """Fit the models on every fold with a progress bar; finished folds are kept, so a rerun is quick.

        Returns
        -------
        RunResult or None
            Results of this notebook's tasks and models; None if no task has its tables.
        """
        if not self.tasks:
            _note("no task of this notebook has its tables, so there is nothing to run")
            return None
        p, bar = self.parameters, _Bar()
        folder = (
            p.results_dir or cache_dir() / "notebooks" / f"{self.category or 'all'}-{self.source.kind}-{p.protocol}"
        )
        self.result = run(
            list(self.tasks.values()), p.models, model_params=p.model_params, protocol=p.protocol, source=self.source,
            seed=p.seed, n_jobs=p.n_jobs, out=folder, on_start=bar.start, on_done=bar.advance,
        )  # fmt: skip
        for row in self.result.failures().itertuples():
            _note(f"{row.model} failed on {row.task}, fold {row.fold}, and is left out of its mean: {row.reason}")
        return self.result

    @cached_property
    def scores(self) -> pd.DataFrame:
        """One row a task and model: mean, bootstrap interval, chance level and published score.

        Raises
        ------
        SombError
            If nothing has been run.
        """
        if not hasattr(self, "result"):
            raise SombError("no results yet: call session.run() first")
        p, table = self.parameters, self.result.summary()
        reference = published_primary().rename(columns={"mean": "published"})
        table = table.merge(reference[["task", "model", "published"]], on=["task", "model"], how="left")
        rows = self.result.predictions.groupby(["task", "model"])
        ends = [
            bootstrap_interval(rows.get_group(key), key[0], p.n_bootstrap, p.seed)
            if key in rows.groups
            else (None, None)
            for key in zip(table["task"], table["model"], strict=True)
        ]
        table[["low", "high"]] = pd.DataFrame(ends, index=table.index, dtype=float)
        return table.assign(rows=[len(self.tasks[name].X) for name in table["task"]])

    def show_scores(self) -> None:
        """Show every model's score with its interval, chance level and the published score."""
        from somb_utils import plots

        if not self.tasks:
            return _note("there is no score to show")
        primary = self.scores[["task", "model", "metric"]]
        self.show(plots.scores, self.scores, self.result.results.merge(primary, on=["task", "model", "metric"]))

    def show_coefficients(self, name: str, **options: Any) -> None:
        """Show which features of a task a logistic regression uses, and how steadily over folds."""
        from somb_utils import plots
        from somb_utils.importance import coefficients

        def draw(data: TaskData, source: str) -> Any:
            return plots.coefficients(data, coefficients(data, **options), source=source)

        self.show(draw, name)

    def recap(self) -> None:
        """Say of each task which model that learns scored best, and whether its interval lies above chance."""
        from IPython.display import Markdown
        from myst_nb import glue

        if not self.tasks:
            return _note("there is no score to sum up")
        lines = []
        scored = self.scores.dropna(subset="mean")
        for name, data in self.tasks.items():
            table = scored[scored["task"] == name]
            if table.empty:
                continue
            trained = table[~table["model"].isin(["random", "majority"])]
            best = (trained if len(trained) else table).sort_values("mean", kind="stable").iloc[-1]
            where = "lies above" if best["low"] > best["chance"] else "is not clear of"
            unit = f"{best['rows']:,} rows" + (f" of {best['folds']} groups" if data.groups is not None else "")
            lines.append(
                f"- **{name}**: best is {best['model']} with {best['metric']} {best['mean']:.3f} "
                f"[{best['low']:.3f}, {best['high']:.3f}]; the interval {where} chance ({best['chance']:.3f}); "
                f"N = {unit}."
            )
            glue(f"{name}_best", f"{best['model']} {best['mean']:.3f}", display=False)
        doubt = "\n\n*These tables are simulated: the scores show the method, not biology.*" if self.simulated else ""
        _display(Markdown("\n".join(lines) + doubt))


class _Bar:
    """A progress bar in a cell, which ends as one line without times."""

    def __init__(self) -> None:
        self.total = self.done = 0

    def _html(self, label: str) -> Any:
        from IPython.display import HTML

        bar = f'<progress max="{self.total}" value="{self.done}" style="width:16em"></progress> '
        return HTML(f"{bar if label else ''}{self.done} of {self.total} fold jobs {label or 'done'}")

    def start(self, jobs: int, cost: float) -> None:
        """Show how much there is to do."""
        from IPython.display import display

        self.total = jobs
        self.handle = display(self._html("" if not jobs else "…"), display_id=True)

    def advance(self, cost: float, label: str) -> None:
        """Count one finished job."""
        self.done += 1
        if self.handle is not None:
            self.handle.update(self._html(f": {label}" if self.done < self.total else ""))


def _display(thing: Any) -> None:
    """Display an object in the cell; a figure as PNG, with its titles as the text for those who see no image."""
    from IPython.display import display
    from PIL import Image

    if not hasattr(thing, "savefig"):
        display(thing)
        return
    raw, stream = io.BytesIO(), io.BytesIO()
    thing.savefig(raw, dpi=140, metadata={"Software": None})
    # A palette of 256 colours keeps the stored notebooks to a fourth of the size.
    Image.open(raw).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(stream, "png", optimize=True)
    titles = [*[axes.get_title(loc="left") for axes in thing.axes], thing.get_suptitle()]
    said = "Figure: " + "; ".join(" ".join(title.split()) for title in titles if title)
    width = {"width": int(thing.get_figwidth() * 100)}
    bundle = {"image/png": base64.b64encode(stream.getvalue()).decode(), "text/plain": said}
    display(bundle, raw=True, metadata={"image/png": width})


def _note(text: str) -> None:
    from IPython.display import HTML

    _display(HTML(f'<div class="somb-note" style="border-left:4px solid #E69F00;padding:.4em 1em">{text}</div>'))


def notebook_path(name: str) -> Path:
    """Return the notebook that a letter, a name or a path means.

    Raises
    ------
    UsageError
        If there is none.
    """
    if Path(name).suffix == ".ipynb" and Path(name).is_file():
        return Path(name)
    known = sorted(path.stem for path in FOLDER.glob("*.md"))
    found = [
        stem
        for stem in known
        if stem.casefold() == name.casefold() or stem.casefold().startswith(f"{name.casefold()}_")
    ]
    if len(found) != 1:
        remedy = f"there are {', '.join(known)}" if known else "notebooks come with a checkout, not with the package"
        raise UsageError(f"no notebook '{name}'; {remedy}")
    return FOLDER / f"{found[0]}.ipynb"


def category_of(path: Path) -> str:
    """Return the letter of a category's notebook, empty for the others."""
    return path.stem[0] if re.match(r"[A-I]_", path.stem) else ""


def own_parameters(path: Path) -> dict[str, str]:
    """Return the parameters that a notebook takes, each with the text of its own value."""
    import papermill

    return {key: entry["default"] for key, entry in papermill.inspect_notebook(str(path)).items()}


def execute(
    name: str, parameters: Mapping[str, Any] | None = None, output: str | Path = "out.ipynb", progress: bool = True
) -> Path:
    """Run a notebook with papermill into a new file.

    Parameters
    ----------
    name : letter, name or path
    parameters : what differs from the notebook's own values
    output : where the executed notebook goes; what ran is kept there if a cell fails
    progress : whether to show a bar on standard error

    Raises
    ------
    UsageError
        If a parameter is unknown, its value cannot be, or `output` would overwrite the notebook.
    SombError
        If a cell fails, naming it.
    """
    import papermill

    path, output, given = notebook_path(name), Path(output), dict(parameters or {})
    if output.resolve() == path.resolve():
        raise UsageError(f"{output} is the notebook itself; name another file to write to")
    own = own_parameters(path)
    unknown = sorted(set(given) - set(own))
    if unknown:
        raise UsageError(f"unknown parameter '{unknown[0]}'; {path.name} takes {', '.join(own)}")
    if category_of(path):
        check(category_of(path), {**{key: _literal(text) for key, text in own.items()}, **given})
    output.parent.mkdir(parents=True, exist_ok=True)
    try:
        papermill.execute_notebook(
            str(path),
            str(output),
            given,
            kernel_name="python3",
            progress_bar=progress,
            cwd=str(Path.cwd()),
            extra_arguments=QUIET,
        )
    except papermill.exceptions.PapermillExecutionError as error:
        raise SombError(
            f"cell {error.cell_index + 1} of {path.name} failed ({_first_line(error.source)}): "
            f"{error.ename}: {error.evalue}; what ran is in {output}"
        ) from None
    return output


def _literal(text: str) -> Any:
    import ast

    return ast.literal_eval(text)


def _first_line(source: str) -> str:
    return next((line for line in source.splitlines() if line.strip()), "")


def to_text(path: Path) -> str:
    """Return the MyST text that pairs with a notebook, as ``jupytext`` writes it."""
    import jupytext
    from jupytext.config import load_jupytext_config
    from jupytext.formats import long_form_one_format

    config, form = load_jupytext_config(str(path)), long_form_one_format("md:myst")
    config.set_default_format_options(form)
    return str(jupytext.writes(jupytext.read(path), form, config=config))


def refresh(names: Iterable[str] = ()) -> Iterable[Path]:
    """Execute the text notebooks on simulated tables and store text and outputs as a pair, yielding each.

    Raises
    ------
    SombError
        If a cell fails, naming it; the stored notebook stays as it was.
    """
    import jupytext
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    paths = [notebook_path(name) for name in names] or [p.with_suffix(".ipynb") for p in sorted(FOLDER.glob("*.md"))]
    for path in paths:
        notebook = jupytext.read(path.with_suffix(".md"))
        for number, cell in enumerate(notebook.cells):
            cell.id = f"{path.stem.lower().replace('_', '-')}-{number:02d}"
        notebook.metadata.setdefault(
            "kernelspec", {"display_name": "Python 3", "language": "python", "name": "python3"}
        )
        try:
            with _simulated_only():
                NotebookClient(
                    notebook,
                    timeout=900,
                    record_timing=False,
                    extra_arguments=QUIET,
                    resources={"metadata": {"path": str(FOLDER)}},
                ).execute()
        except CellExecutionError as error:
            raise SombError(f"{path.with_suffix('.md')}: {error}") from None
        notebook.metadata.pop("language_info", None)
        nbformat.write(notebook, path)
        path.with_suffix(".md").write_text(to_text(path), encoding="utf-8")
        yield path


@contextlib.contextmanager
def _simulated_only() -> Any:
    """Let ``auto`` find no real table: outputs that are committed must hold none."""
    before = {key: os.environ.get(key) for key in ("SOMB_DATA", "SOMB_CACHE")}
    os.environ.pop("SOMB_DATA", None)
    os.environ["SOMB_CACHE"] = str(cache_dir() / "refresh")
    try:
        yield
    finally:
        for key, value in before.items():
            os.environ.pop(key, None)
            if value is not None:
                os.environ[key] = value
