"""The leaderboard: scores of a run, and of checked submissions, with intervals and chance levels."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from somb_utils.errors import SombError, UsageError
from somb_utils.labels import wide
from somb_utils.leaderboard import register as listing
from somb_utils.leaderboard.entries import FOLDER, Entry
from somb_utils.leaderboard.html import document, html
from somb_utils.leaderboard.sources import NO_SUBMISSIONS, canonical_sources, published_source, run_source
from somb_utils.notebook.display import show
from somb_utils.notebook.parameters import Parameters, check
from somb_utils.notebook.session import Session
from somb_utils.runs.baselines import TRIVIAL
from somb_utils.runs.folder import joined_provenance, load_run
from somb_utils.runs.results import RunResult, composite_of
from somb_utils.tasks.definitions import catalogue


@dataclass(frozen=True)
class Board:
    """Scores of one run of one protocol on one data source."""

    result: RunResult  # the run, of a single protocol and of the 21 tasks alone (ablations left out)
    # n_bootstrap, seed, n_jobs: replicates and seed of the intervals, and how many are drawn at once
    n_bootstrap: int = 1000
    seed: int = 42
    n_jobs: int | None = None
    # checked submissions; they stand beside results of the published tables, and no others
    listed: tuple[Entry, ...] = ()
    unchecked: tuple[str, ...] = ()  # why other files of the leaderboard's folder are not shown

    @property
    def source(self) -> str:
        """``simulated``, ``open`` or ``custom``."""
        return str(self.result.provenance["source"])

    @cached_property
    def summary(self) -> pd.DataFrame:
        """The run's summary on the primary metric, with the ends of the interval (`low`, `high`)."""
        return self.result.summary(self.n_bootstrap, self.seed, self.n_jobs)

    @cached_property
    def submissions(self) -> pd.DataFrame:
        """The submissions' scores on the run's tasks and under its protocol, in the columns of `summary`."""
        protocol = self.summary["protocol"].iloc[0]
        tasks = set(self.summary["task"])
        rows = [
            {
                **score.model_dump(include={"task", "protocol", "metric", "mean", "sd", "low", "high", "chance"}),
                "model": entry.marked(score.model),
                "source": "open",
                "folds": sum(value is not None for value in score.values.values()),
                "failed": 0,
                "undefined": sum(value is None for value in score.values.values()),
                "tied": False,
            }
            for entry in self.listed
            for score in entry.scores
            if score.primary and score.protocol == protocol and score.task in tasks
        ]
        return pd.DataFrame(rows, columns=self.summary.columns)

    @property
    def everything(self) -> pd.DataFrame:
        """The run's models and the submissions."""
        return pd.concat([self.summary, self.submissions]) if len(self.submissions) else self.summary

    def table(self) -> pd.DataFrame:
        """Return one row a task and one column a model: mean ± SD of the primary metric and its interval, as text."""
        return wide(self.everything, newline=" ").set_index("task")

    def above_chance(self) -> pd.DataFrame:
        """Return tasks × models: the share of the way from chance to perfect; below 0 under chance."""
        shown = self.everything
        share = (shown["mean"] - shown["chance"]) / (1 - shown["chance"])
        table = shown.assign(share=share).pivot(index="task", columns="model", values="share")
        return table[list(dict.fromkeys(shown["model"]))]

    def composite(self) -> pd.DataFrame:
        """Return the composite and its groups, best model first; without submissions, which need not do every task."""
        return composite_of(self.summary)

    def missing(self) -> list[str]:
        """Return the tasks without a score."""
        return [task for task in catalogue() if task not in set(self.summary["task"])]

    def document(self) -> dict[str, Any]:
        """Return what the interactive page shows, as plain data.

        A board of real tables also offers the canonical run and the published scores, each labelled, with the checked
        submissions of the same protocol among them; a simulated one holds nothing but itself.
        """
        own = run_source(self.result.results, self.summary, self.composite(), self.listed, self.n_bootstrap)
        others = [*canonical_sources(self.listed, ["aligned"]), published_source()] if self.source == "open" else []
        return document([own, *others], self.listed)

    def show(self) -> None:
        """Show the interactive leaderboard."""
        from IPython.display import HTML, display

        display(HTML(html(self.document())))

    def show_heatmap(self) -> None:
        """Show where models stand between chance and perfect, as a figure."""
        from somb_utils import plots

        unit = "share of the way from chance (0) to perfect (1)"
        show(plots.heatmap(self.above_chance(), unit, limit=1.0, what="tasks and models", source=self.source))

    def recap(self) -> None:
        """Say how many tasks have a model whose interval lies above chance, and which tasks have no score."""
        from IPython.display import Markdown, display

        fitted = self.summary[~self.summary["model"].isin(TRIVIAL)]
        clear = fitted[fitted["low"] > fitted["chance"]].groupby("task")["model"].agg(", ".join)
        tasks = list(dict.fromkeys(fitted["task"]))
        unclear = [task for task in tasks if task not in clear.index]
        lines = [f"On **{len(clear)} of {len(tasks)}** tasks at least one model's interval lies wholly above chance."]
        if unclear:
            lines.append(f"On {', '.join(unclear)} none does.")
        if absent := self.missing():
            lines.append(f"Without a score here: {', '.join(absent)}.")
        if self.source == "simulated":
            lines.append("*These tables are simulated: the scores show the method, not biology.*")
        display(Markdown(" ".join([*lines, self._said_of_submissions()])))

    def _said_of_submissions(self) -> str:
        if self.source != "open":
            return NO_SUBMISSIONS
        left = f" Left out, since the check refuses them: {len(self.unchecked)}." if self.unchecked else ""
        if self.submissions.empty:
            return "No submission has been listed for these tasks yet." + left
        n = self.submissions["model"].nunique()
        return (
            f"{n} {'model' if n == 1 else 'models'} marked † {'is a submission' if n == 1 else 'are submissions'}."
            + left
        )


def start(**parameters: Any) -> Parameters:
    """Check a notebook's parameters, show where the data come from, and return the parameters."""
    from IPython.display import display

    checked = check(parameters)
    session = Session(checked.model_copy(update={"tasks": checked.tasks[:1]}))
    session.missing.clear()  # the leaderboard itself says what is missing
    display(session.banner())
    return checked


def collect(checked: Parameters) -> Board:
    """Return the scores that a notebook's parameters ask for.

    With `out`, scores are read from that run folder. Without, every category's models are fitted in the
    folders that the category notebooks keep, so that what these have fitted is not fitted again.
    """
    stored = checked.out is not None and (Path(checked.out) / "provenance.json").is_file()
    result = load_run(str(checked.out)) if stored else fit(checked)
    source = Session(checked.model_copy(update={"tasks": checked.tasks[:1]})).source
    kind = source.kind
    if result.provenance["source"] != kind:
        raise UsageError(
            f"{checked.out} holds results of {result.provenance['source']} tables, but source is "
            f"{kind}; real and simulated results are never shown together"
        )
    listed, unchecked = listing.checked(FOLDER, source) if kind == "open" else ([], [])
    chosen = select(result, checked, any_model=stored)
    return Board(chosen, checked.n_bootstrap, checked.seed, checked.n_jobs, tuple(listed), tuple(unchecked))


def select(result: RunResult, checked: Parameters, any_model: bool) -> RunResult:
    """Keep a run's rows of the tasks and protocol asked for (and models, unless any will do), in their order."""
    baselines = list(checked.models)
    others = [name for name in dict.fromkeys(result.results["model"]) if name not in baselines]
    order = {name: place for place, name in enumerate(baselines + (others if any_model else []))}

    def kept(frame: pd.DataFrame) -> pd.DataFrame:
        mine = frame["task"].isin(checked.tasks) & frame["model"].isin(order) & (frame["protocol"] == checked.protocol)
        frame = frame[mine]
        frame = frame.assign(_order=frame["model"].map(order))
        return frame.sort_values(["task", "_order"], kind="stable").drop(columns="_order").reset_index(drop=True)

    chosen = RunResult(kept(result.results), kept(result.predictions), result.provenance)
    if chosen.results.empty:
        raise UsageError(f"the run holds no {checked.protocol} result of {', '.join(checked.tasks)}")
    return chosen


def fit(checked: Parameters) -> RunResult:
    """Fit the models in each category's own folder of finished folds (or in `out`) and return all results."""
    categories: dict[str, list[str]] = {}
    for task in checked.tasks:
        categories.setdefault(catalogue()[task].category, []).append(task)
    runs = []
    for tasks in categories.values():
        session = Session(checked.model_copy(update={"tasks": tasks}))
        if session.tasks and (result := session.run()) is not None:
            runs.append(result)
    if not runs:
        raise SombError("no task has its tables, so there is no score to show; get them with: somb data fetch")
    return RunResult(
        pd.concat([run.results for run in runs], ignore_index=True),
        pd.concat([run.predictions for run in runs], ignore_index=True),
        joined_provenance([run.provenance for run in runs]),
    )
