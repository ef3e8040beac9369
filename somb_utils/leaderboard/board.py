"""The leaderboard: scores of a run, and of checked submissions, with intervals and chance levels."""

from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd

from somb_utils.errors import SombError, UsageError
from somb_utils.labels import wide
from somb_utils.leaderboard import register as listing
from somb_utils.leaderboard.entries import FOLDER, Entry, scores_beside_run
from somb_utils.leaderboard.html import document, html
from somb_utils.leaderboard.sources import NO_SUBMISSIONS, canonical_sources, published_source, run_source
from somb_utils.notebook.display import show
from somb_utils.notebook.parameters import Parameters, check
from somb_utils.notebook.session import Session
from somb_utils.runs.baselines import TRIVIAL
from somb_utils.runs.folder import joined_provenance, load_run
from somb_utils.runs.results import RunResult
from somb_utils.stats import above_chance
from somb_utils.stats.permutation import ALPHA, N_PERMUTATIONS
from somb_utils.tasks._files import is_file
from somb_utils.tasks.definitions import PROTOCOLS, catalogue, select_tasks


@dataclass(frozen=True)
class Board:
    """Scores of one run of one protocol on one data source."""

    result: RunResult  # of a single protocol, without ablations
    n_bootstrap: int = 1000  # replicates of the intervals
    seed: int = 42
    n_jobs: int | None = None
    listed: tuple[Entry, ...] = ()  # checked submissions, shown beside results of the published tables only
    unchecked: tuple[str, ...] = ()  # why other files of the leaderboard's folder are not shown

    @property
    def source(self) -> str:
        """``simulated``, ``open`` or ``custom``."""
        return str(self.result.provenance["source"])

    @cached_property
    def summary(self) -> pd.DataFrame:
        """The run's summary on the primary metric, with interval, best set, and p-values against chance."""
        summary = self.result.summary(self.n_bootstrap, self.seed, self.n_jobs)
        return self.result.with_p_values(summary, N_PERMUTATIONS, self.seed, self.n_jobs)

    @cached_property
    def submissions(self) -> pd.DataFrame:
        """The submissions' scores on the run's tasks and under its protocol, in the columns of `summary`."""
        rows = scores_beside_run(self.listed, self.summary["protocol"].iloc[0])
        rows = [row for row in rows if row["primary"] and row["task"] in set(self.summary["task"])]
        return pd.DataFrame(rows, columns=self.summary.columns)

    @property
    def everything(self) -> pd.DataFrame:
        """The run's models and the submissions."""
        return pd.concat([self.summary, self.submissions]) if len(self.submissions) else self.summary

    def table(self) -> pd.DataFrame:
        """Return tasks × models: mean ± SD of the primary metric and its interval, as text."""
        return wide(self.everything, newline=" ", above=above_chance(self.everything)).set_index("task")

    def composite(self, extensions: bool = False) -> pd.DataFrame:
        """Return the composite and its groups, best model first; without submissions, which need not do every task.

        It is of the published benchmark's tasks, or of the `extensions`.
        """
        return self.result.composite(None, self.n_bootstrap, self.seed, self.n_jobs, extensions)

    def document(self) -> dict[str, Any]:
        """Return what the interactive page shows, as plain data.

        A board of real tables also offers the canonical run under ``rigorous`` and ``aligned`` and the published
        scores, each labelled, with the checked submissions of the same protocol among them; a simulated one shows
        itself alone.
        """
        sources = [run_source(self.result.results, self.summary, self.composite(), self.listed, self.n_bootstrap)]
        if self.source == "open":
            sources += [*canonical_sources(self.listed, PROTOCOLS[:2]), published_source()]
        return document(sources, self.listed)

    def show(self) -> None:
        """Show the interactive leaderboard."""
        from IPython.display import HTML

        show(HTML(html(self.document())))

    def show_heatmap(self) -> None:
        """Show how far each model gets from chance to a perfect score, as a figure."""
        from somb_utils import plots

        scores = self.everything
        share = (scores["mean"] - scores["chance"]) / (1 - scores["chance"])
        table = scores.assign(share=share).pivot(index="task", columns="model", values="share")[
            scores["model"].unique()
        ]
        unit = "share of the way from chance (0) to perfect (1)"
        show(plots.heatmap(table, unit, limit=1.0, what="tasks and models", source=self.source))

    def recap(self) -> None:
        """Say how many tasks have a model above chance, and which tasks have no score."""
        fitted = self.summary[~self.summary["model"].isin(TRIVIAL)]
        clear = set(fitted.loc[above_chance(fitted).fillna(value=False), "task"])
        tasks = list(dict.fromkeys(fitted["task"]))
        protocol = self.summary["protocol"].iloc[0]
        share = f"On **{len(clear)} of {len(tasks)}** tasks at least one model is above chance (q < {ALPHA})"
        lines = [f"{share} under the protocol `{protocol}`."]
        if unclear := [task for task in tasks if task not in clear]:
            lines.append(f"On {', '.join(unclear)} none does.")
        if absent := [task.id for task in select_tasks() if task.id not in set(self.summary["task"])]:
            lines.append(f"Without a score here: {', '.join(absent)}.")
        if self.source == "simulated":
            lines.append("*These tables are simulated: the scores show the method, not biology.*")
        show(" ".join([*lines, self._submission_note()]))

    def _submission_note(self) -> str:
        if self.source != "open":
            return NO_SUBMISSIONS
        refused = f" Left out, since the check refuses them: {len(self.unchecked)}." if self.unchecked else ""
        n = self.submissions["model"].nunique()
        if not n:
            return "No submission has been listed for these tasks yet." + refused
        return f"{n} {'model marked † is a submission' if n == 1 else 'models marked † are submissions'}.{refused}"


def start(**parameters: Any) -> Parameters:
    """Check a notebook's parameters, show where the data come from, and return the parameters."""
    checked = check(parameters)
    if own := [name for name in checked.tasks if is_file(name)]:
        raise UsageError(
            f"tasks: the leaderboard has those of the benchmark, not {own[0]}; `somb compare` shows your own"
        )
    session = Session(checked.model_copy(update={"tasks": checked.tasks[:1]}))
    session.missing.clear()  # the leaderboard itself says what is missing
    show(session.banner())
    return checked


def collect(checked: Parameters) -> Board:
    """Return the scores that a notebook's parameters ask for.

    With `out`, scores are read from that run folder. Without, models are fitted in the folders that the category
    notebooks keep, so that no fold is fitted twice.
    """
    stored = checked.out is not None and (Path(checked.out) / "provenance.json").is_file()
    result = load_run(str(checked.out)) if stored else fit(checked)
    source = Session(checked.model_copy(update={"tasks": checked.tasks[:1]})).source
    if result.provenance["source"] != source.kind:
        raise UsageError(
            f"{checked.out} has results of {result.provenance['source']} tables, but source is {source.kind}; real and "
            "simulated results are never shown together"
        )
    listed, unchecked = listing.checked(FOLDER, source) if source.kind == "open" else ([], [])
    chosen = select(result, checked, any_model=stored)
    return Board(chosen, checked.n_bootstrap, checked.seed, checked.n_jobs, tuple(listed), tuple(unchecked))


def select(result: RunResult, checked: Parameters, any_model: bool) -> RunResult:
    """Select a run's rows of the tasks, protocol and models asked for (or of any model), in their order."""
    names = list(dict.fromkeys([*checked.models, *(result.results["model"] if any_model else [])]))

    def selected(frame: pd.DataFrame) -> pd.DataFrame:
        asked = frame["task"].isin(checked.tasks) & frame["model"].isin(names) & (frame["protocol"] == checked.protocol)
        rows = frame[asked].sort_values("model", key=lambda models: models.map(names.index), kind="stable")
        return rows.sort_values("task", kind="stable", ignore_index=True)

    chosen = RunResult(selected(result.results), selected(result.predictions), result.provenance)
    if chosen.results.empty:
        raise UsageError(f"the run has no {checked.protocol} result of {', '.join(checked.tasks)}")
    return chosen


def fit(checked: Parameters) -> RunResult:
    """Fit the models in each category's own folder of finished folds (or in `out`) and return all results."""
    runs = []
    for _, tasks in groupby(checked.tasks, key=lambda task: catalogue()[task].category):
        session = Session(checked.model_copy(update={"tasks": list(tasks)}))
        if session.tasks and (result := session.run()) is not None:
            runs.append(result)
    if not runs:
        raise SombError("no task has its tables, so there is no score to show; get them with: somb data fetch")
    return RunResult(
        pd.concat([run.results for run in runs], ignore_index=True),
        pd.concat([run.predictions for run in runs], ignore_index=True),
        joined_provenance([run.provenance for run in runs]),
    )
