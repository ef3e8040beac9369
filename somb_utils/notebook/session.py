"""One notebook's data, results and figures."""

import contextlib
import io
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from functools import cached_property
from html import escape
from typing import Any

import joblib
import pandas as pd

from somb_utils.errors import SombError, UsageError
from somb_utils.notebook.display import Bar, literal, note, show
from somb_utils.notebook.files import FOLDER, need
from somb_utils.notebook.parameters import Parameters, check
from somb_utils.paths import writable_cache_dir
from somb_utils.reference.published import published_primary
from somb_utils.runs.results import RunResult
from somb_utils.runs.runner import run, unavailable
from somb_utils.tables.sources import Source, missing_tables, remedy_for, resolve_source
from somb_utils.tasks.definitions import catalogue, select_tasks, task_tables
from somb_utils.tasks.task_data import TaskData, load_task


def start(category: str, **parameters: Any) -> "Session":
    """Check a notebook's parameters, load its tasks, show where the data come from, and return the session.

    Modules that stand beside the notebooks can be imported from then on, in whichever folder the kernel runs.

    Parameters
    ----------
    category : letter of the tasks that the notebook is about; empty for any
    parameters : see :class:`Parameters`

    Raises
    ------
    UsageError
        If a parameter is unknown, its value cannot be, or the extra ``book`` is not installed.
    """
    need("IPython.display"), need("myst_nb"), need("matplotlib")
    if str(FOLDER) not in sys.path:
        sys.path.append(str(FOLDER))
    session = Session(category, check(category, parameters))
    show(session.banner())
    return session


class Session:
    """The data, results and figures of one notebook.

    A table or task that the data source lacks is reported where it is asked for, with the way to get it, and the
    notebook goes on.
    """

    def __init__(self, category: str, parameters: Parameters) -> None:
        self.category, self.parameters = category, parameters
        self._glued: Counter[str] = Counter()
        chosen = select_tasks(parameters.tasks)
        with contextlib.redirect_stderr(io.StringIO()):  # the banner says it
            self.source: Source = resolve_source(parameters.data_source, task_tables(chosen))
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
        lines = "".join(f"<br>Left out: {escape(message)}" for message in self._notes(self.missing.values()))
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
        if name not in catalogue():
            if missing_tables([name], self.source):
                remedy = remedy_for([name], self.source)
                raise SombError(f"table {name} is not among the {self.source.kind} tables; {remedy}")
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
            show(draw(*loaded, source=self.source.kind, **options))

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
        values = {name: _rounded(fact(*loaded)) for name, fact in facts.items()}
        for name, value in values.items():
            self._glued[name] += 1
            # A sentence said of several tasks glues name, name_2, ...: a key may stand once in a notebook.
            glue(name if self._glued[name] == 1 else f"{name}_{self._glued[name]}", value, display=False)
        show(Markdown(text.format(**values)))

    def _load(self, inputs: Iterable[Any]) -> list[Any] | None:
        try:
            return [self.get(name) if isinstance(name, str) else name for name in inputs]
        except UsageError:
            raise
        except SombError as error:
            note(str(error))
            return None

    def run(self) -> RunResult | None:
        """Fit the models on every fold with a progress bar; finished folds are kept, so a rerun is quick.

        Returns
        -------
        RunResult or None
            Results of this notebook's tasks and models; None if no task has its tables.
        """
        if not self.tasks:
            note("no task of this notebook has its tables, so there is nothing to run")
            return None
        p, bar = self.parameters, Bar()
        # The same data alone share a folder: after new tables, or another preparation of them, a new one begins.
        data = joblib.hash({name: task.fingerprint for name, task in self.tasks.items()})[:12]
        name = f"{self.category or 'all'}-{self.source.kind}-{p.protocol}-{data}"
        folder = p.results_dir or writable_cache_dir() / "notebooks" / name
        self.result = run(
            list(self.tasks.values()), p.models, model_params=p.model_params, protocol=p.protocol, source=self.source,
            seed=p.seed, n_jobs=p.n_jobs, out=folder, on_start=bar.start, on_done=bar.advance,
        )  # fmt: skip
        bar.finish(len(self.result.results[["task", "model", "fold"]].drop_duplicates()))
        for row in self.result.failures().itertuples():
            note(f"{row.model} failed on {row.task}, fold {row.fold}, and is left out of its mean: {row.reason}")
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
        p = self.parameters
        table = self.result.summary(p.n_bootstrap, p.seed, p.n_jobs)
        reference = published_primary().rename(columns={"mean": "published"})
        table = table.merge(reference[["task", "model", "published"]], on=["task", "model"], how="left")
        return table.assign(rows=[len(self.tasks[name].X) for name in table["task"]])

    def show_scores(self) -> None:
        """Show every model's score with its interval, chance level and the published score."""
        from somb_utils import plots

        if not self.tasks:
            return note("there is no score to show")
        primary = self.scores[["task", "model", "metric"]]
        self.show(plots.scores, self.scores, self.result.results.merge(primary, on=["task", "model", "metric"]))

    def show_coefficients(self, name: str, **options: Any) -> None:
        """Show which features of a task a logistic regression uses, and how steadily over folds."""
        from somb_utils import plots
        from somb_utils.runs.coefficients import coefficients

        def draw(data: TaskData, source: str) -> Any:
            return plots.coefficients(data, coefficients(data, **options), source=source)

        self.show(draw, name)

    def recap(self) -> None:
        """Say of each task which model that learns scored best, and whether its interval lies above chance."""
        from IPython.display import Markdown
        from myst_nb import glue

        if not self.tasks:
            return note("there is no score to sum up")
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
                f"- **{name}**: best is {literal(best['model'])} with {best['metric']} {best['mean']:.3f} "
                f"[{best['low']:.3f}, {best['high']:.3f}]; the interval {where} chance ({best['chance']:.3f}); "
                f"N = {unit}."
            )
            glue(f"{name}_best", f"{best['model']} {best['mean']:.3f}", display=False)
        doubt = "\n\n*These tables are simulated: the scores show the method, not biology.*" if self.simulated else ""
        show(Markdown("\n".join(lines) + doubt))


def _rounded(value: Any) -> Any:
    """Return a number with six digits, since the last ones differ between machines; anything else as it is."""
    return float(f"{value:.6g}") if isinstance(value, float) else value
