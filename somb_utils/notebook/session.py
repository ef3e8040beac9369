"""One notebook's data, results and figures."""

import contextlib
import io
import sys
from collections.abc import Iterable
from functools import cached_property
from html import escape
from typing import Any

import joblib
import pandas as pd

from somb_utils.errors import SombError
from somb_utils.labels import metric_name
from somb_utils.notebook.display import Bar, literal, note, show
from somb_utils.notebook.files import FOLDER, need
from somb_utils.notebook.parameters import Parameters, check
from somb_utils.paths import writable_cache_dir
from somb_utils.reference.published import published_primary
from somb_utils.runs.baselines import TRIVIAL
from somb_utils.runs.results import RunResult
from somb_utils.runs.runner import run, unavailable
from somb_utils.stats import above_chance
from somb_utils.tables.sources import Source, missing_tables, remedy_for, resolve_source
from somb_utils.tasks.definitions import catalogue, select_tasks, task_tables
from somb_utils.tasks.splits import LEFT_OUT
from somb_utils.tasks.task_data import TaskData, load_task


def start(**parameters: Any) -> "Session":
    """Check a notebook's parameters, load its tasks, show where the data come from, and return the session.

    Figures drawn from here on are marked if the tables are simulated, and the modules beside the notebooks
    (``figures``) can be imported wherever the notebook is run.

    Parameters
    ----------
    **parameters
        Those of the notebook; see :class:`Parameters`.

    Returns
    -------
    Session
        With the tasks whose tables are available.

    Raises
    ------
    UsageError
        If a parameter is unknown, its value cannot be, or the extra ``book`` is not installed.
    """
    need("IPython.display"), need("myst_nb"), need("matplotlib")
    from somb_utils.plots import style

    session = Session(check(parameters))
    style.mark_figures(session.source.kind)
    if str(FOLDER) not in sys.path:
        sys.path.append(str(FOLDER))
    show(session.banner())
    return session


class Session:
    """The data and results of one notebook.

    Parameters
    ----------
    parameters
        Checked.
    """

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters
        chosen = [task.under(parameters.protocol) for task in select_tasks(parameters.tasks)]
        with contextlib.redirect_stderr(io.StringIO()):  # the banner says it
            self.source: Source = resolve_source(parameters.source, task_tables(chosen))
        self.missing = unavailable(chosen, self.source)
        self.tasks = {
            task.id: load_task(task, parameters.protocol, self.source) for task in chosen if task.id not in self.missing
        }

    @property
    def simulated(self) -> bool:
        """Whether the tables are invented."""
        return self.source.kind == "simulated"

    def banner(self) -> Any:
        """Return what the data are, unmistakably coloured if they are simulated, and what is missing.

        Returns
        -------
        HTML
            For the notebook.
        """
        from IPython.display import HTML

        colour, kind, detail = {
            "simulated": (
                "#B00020",
                "SIMULATED DATA",
                "No number on this page says anything about a real person. Get the real tables with "
                "<code>somb data fetch</code>, or name their folder in <code>SOMB_DATA</code>.",
            ),
            "open": ("#00695C", "Open data", "Every table was checked against its SHA-256 hash (open tables)."),
            "custom": ("#5D4037", "Your own data", "These are not the published tables, and nothing was checked."),
        }[self.source.kind]
        lines = "".join(f"<br>Left out: {escape(message)}" for message in self._notes(self.missing.values()))
        text = f"<b>{kind}</b>, {self.parameters.protocol} protocol. {detail}{lines}"
        style = f"background:{colour};color:white;padding:.7em 1em;border-radius:4px"
        return HTML(f'<div class="somb-source" style="{style}">{text}</div>')

    def _notes(self, messages: Iterable[str]) -> list[str]:
        # The folder's name is the reader's own business and would differ on every machine.
        where = self.source.describe()
        return [message.replace(where, f"{self.source.kind} tables") for message in messages]

    def table(self, name: str) -> pd.DataFrame:
        """Return a table.

        Parameters
        ----------
        name
            Such as ``"clinical_cbc"``.

        Returns
        -------
        DataFrame
            As published, one row per row of the file.

        Raises
        ------
        SombError
            If the data source lacks it, with the way to get it.
        """
        if missing_tables([name], self.source):
            remedy = remedy_for([name], self.source)
            raise SombError(f"table {name} is not among the {self.source.kind} tables; {remedy}")
        return self.source.load(name)

    def task(self, name: str) -> TaskData:
        """Return a task of this notebook.

        Parameters
        ----------
        name
            Its id, such as ``"A1"``.

        Returns
        -------
        TaskData
            Features, labels and folds.

        Raises
        ------
        SombError
            If the data source lacks one of its tables, or it is not among the parameters' tasks.
        """
        if name in self.missing:
            raise SombError(self._notes([self.missing[name]])[0])
        if name not in self.tasks:
            raise SombError(f"{name} is not among the tasks of this run ({', '.join(self.parameters.tasks)})")
        return self.tasks[name]

    def has(self, *names: str) -> bool:
        """Tell whether tasks and tables are available; a note says which is not and how to get it.

        Parameters
        ----------
        *names
            Ids of tasks, names of tables.

        Returns
        -------
        bool
            Whether all of them are.
        """
        for name in names:
            try:
                named(self, name)
            except SombError as error:
                note(str(error))
                return False
        return True

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
        categories = "-".join(dict.fromkeys(task.task.category.replace(" ", "-") for task in self.tasks.values()))
        name = f"{categories}-{self.source.kind}-{p.protocol}-{data}"
        self.result = run(
            list(self.tasks.values()), p.models, model_params=p.model_params, protocol=p.protocol, seed=p.seed,
            n_jobs=p.n_jobs, out=p.out or writable_cache_dir() / "notebooks" / name,
            on_start=bar.start, on_done=bar.advance,
        )  # fmt: skip
        bar.finish(len(self.result.results[["task", "model", "fold"]].drop_duplicates()))
        for row in self.result.failures().itertuples():
            note(f"{row.model} failed on {row.task}, fold {row.fold}, and is left out of its mean: {row.reason}")
        return self.result

    @cached_property
    def scores(self) -> pd.DataFrame:
        """One row per task and model: mean, bootstrap interval, p-value against chance, and published score."""
        if not hasattr(self, "result"):
            raise SombError("no results yet: call session.run() first")
        p = self.parameters
        table = self.result.summary(p.n_bootstrap, p.seed, p.n_jobs)
        table = self.result.with_p_values(table, seed=p.seed, n_jobs=p.n_jobs)
        reference = published_primary().rename(columns={"mean": "published"})
        key = ["task", "model", "metric"]  # rigorous leads with other metrics than the published benchmark
        table = table.merge(reference[[*key, "published"]], on=key, how="left")
        return table.assign(rows=[len(self.tasks[name].X) for name in table["task"]])

    def show_scores(self) -> None:
        """Show every model's score with its interval, chance level and published score; of groups, the coverage too."""
        from somb_utils import plots
        from somb_utils.studies.coverage import of_groups

        if not self.tasks:
            note("there is no score to show")
            return
        primary = self.scores[["task", "model", "metric"]]
        show(plots.scores(self.scores, self.result.results.merge(primary, on=["task", "model", "metric"])))
        grouped = [data.groups for data in self.tasks.values() if data.task.leaves_groups_out]
        sizes = sorted({groups.nunique() for groups in grouped if groups is not None})
        for sentence in dict.fromkeys(map(of_groups, sizes)):
            show(sentence)

    def recap(self) -> None:
        """Name each task's best non-trivial model, and say whether it is above chance."""
        if not self.tasks:
            note("there is no score to sum up")
            return
        lines = []
        scored = self.scores.assign(above=above_chance(self.scores)).dropna(subset="mean")
        for name, scores in scored.groupby("task", sort=False):
            fitted = scores[~scores["model"].isin(TRIVIAL)]
            best = (fitted if len(fitted) else scores).sort_values("mean", kind="stable").iloc[-1]
            task = self.tasks[str(name)].task
            ends = f"[{best['low']:.3f}, {best['high']:.3f}]"
            if pd.notna(best.get("low_these")):
                ends += f" for new {LEFT_OUT[task.split]}s and "
                ends += f"[{best['low_these']:.3f}, {best['high_these']:.3f}] for new animals"
            unit = f"{best['rows']:,} rows" + (f" in {best['folds']} groups" if task.leaves_groups_out else "")
            lines.append(
                f"- **{name}**: the best model is {literal(best['model'])}, with {metric_name(best['metric'])} "
                f"{best['mean']:.3f} {ends}, "
                f"{_verdict(best, task.label_by_day)}; N = {unit}."
            )
        doubt = "\n\n*These tables are simulated: the scores show the method, not biology.*" if self.simulated else ""
        show("\n".join(lines) + doubt)


def _verdict(score: pd.Series, by_day: bool) -> str:
    """Return how a score compares with chance, or phase with the day of sampling where the label follows it."""
    chance, q = f"{score['chance']:.3f}", f"q = {score['q']:.2g}"
    if not by_day:
        verdict = "not tested against" if pd.isna(score["above"]) else "above" if score["above"] else "not above"
        return f"{verdict} chance ({chance}{'' if pd.isna(score['q']) else f', {q}'})"
    if pd.isna(score["above"]):
        return f"where chance is {chance}; phase was not tested against the day of sampling"
    return f"where chance is {chance}; {'' if score['above'] else 'no '}evidence of phase beyond the day ({q})"


def named(session: Session, name: str) -> TaskData | pd.DataFrame:
    """Return a task by its id, or a table by its name."""
    return session.task(name) if name in catalogue() or name in session.tasks else session.table(name)
