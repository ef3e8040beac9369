"""What the evaluation notebook shows: the published reference figures, and the report of one's own logs."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from somb_utils.errors import UsageError
from somb_utils.llm.bank import DIFFICULTIES, MODALITIES
from somb_utils.llm.logs import Evaluation, load
from somb_utils.llm.report import TITLES, display_table
from somb_utils.llm.summary import Summary, summarise
from somb_utils.paths import DATA

NOTHING = "No logs were given. Run `somb llm run` and `somb llm judge`, then give this notebook their folder as `logs`."


@dataclass(frozen=True)
class Report:
    """The summary of an evaluation, shown part by part; without logs the first part says how to get them."""

    summary: Summary | None

    def show_ranking(self) -> None:
        """Show models in order, with intervals, pairs and what became of the answers."""
        if self.summary is None:
            from IPython.display import Markdown, display

            display(Markdown(NOTHING))
        self._show("ranking", "ranking_by_judge", "pairs", "counts", "flags")

    def show_dimensions(self) -> None:
        """Show scores by dimension, difficulty, modality and kind of question."""
        self._show("dimension", "difficulty", "modality", "kind")

    def show_judges(self) -> None:
        """Show how judges agree, how lenient they are, whom they prefer, and what length does."""
        self._show("agreement", "rank_agreement", "leniency", "self_preference", "length", "length_adjusted")

    def _show(self, *names: str) -> None:
        from IPython.display import Markdown, display

        if self.summary is None:
            return
        ranking = self.summary.tables.get("ranking")
        models = None if ranking is None or "model" not in ranking else list(ranking["model"])
        for name in names:
            table = self.summary.tables.get(name)
            if table is not None and len(table):
                display(Markdown(f"**{TITLES[name]}**"))
                display(display_table(name, table, models).style.hide(axis="index"))


def start(
    logs: Any, judges: Any = (), compare: bool = True, sample: int | None = None, modality: Any = None,
    difficulty: Any = None,
) -> Report:  # fmt: skip
    """Check the notebook's parameters, read the logs and sum them up.

    Parameters
    ----------
    logs : folders or files; none for the published figures alone
    judges : only these judges; all if empty
    compare : whether to compare every pair of models
    sample : only the first so many questions, by identifier
    modality, difficulty : only these; all if None

    Raises
    ------
    UsageError
        If a value cannot be, a path holds nothing, or the logs hold none of what is asked for.
    """
    paths, wanted = _names(logs, "logs"), _names(judges, "judges")
    kinds = {
        "modality": _known("modality", modality, MODALITIES),
        "difficulty": _known("difficulty", difficulty, DIFFICULTIES),
    }
    if sample is not None and (not isinstance(sample, int) or isinstance(sample, bool) or sample < 1):
        raise UsageError(f"parameter sample: a number of questions, at least 1, not {sample!r}")
    if not isinstance(compare, bool):
        raise UsageError(f"parameter compare: true or false, not {compare!r}")
    if not paths:
        return Report(None)
    evaluation = load([Path(path).expanduser() for path in paths])
    for name, values in kinds.items():
        if values:
            evaluation = _where(evaluation, name, values)
    if sample is not None:
        questions = sorted({*evaluation.answers["question_id"], *evaluation.judgements["question_id"]})
        evaluation = _where(evaluation, "question_id", questions[:sample])
    if wanted:
        known = sorted(set(evaluation.judgements["judge"]))
        if unknown := [judge for judge in wanted if judge not in known]:
            raise UsageError(
                f"parameter judges: no verdict of {unknown[0]} in these logs; there are {', '.join(known)}"
            )
        evaluation = replace(evaluation, judgements=evaluation.judgements[evaluation.judgements["judge"].isin(wanted)])
    if not len(evaluation.scored):
        raise UsageError("the logs hold no scored answer to these questions")
    return Report(summarise(evaluation, compare))


def _names(value: Any, what: str) -> list[str]:
    if isinstance(value, str):
        value = json.loads(value) if value.lstrip()[:1] == "[" else [p.strip() for p in value.split(",") if p.strip()]
    if value is None:
        return []
    if not isinstance(value, Sequence) or not all(isinstance(entry, str) for entry in value):
        raise UsageError(f"parameter {what}: a list of texts, not {value!r}")
    return list(value)


def _known(name: str, value: Any, known: Sequence[str]) -> list[str]:
    values = _names(value, name)
    if unknown := [entry for entry in values if entry not in known]:
        raise UsageError(f"parameter {name}: '{unknown[0]}' is not one of {', '.join(known)}")
    return values


def _where(evaluation: Evaluation, column: str, values: Sequence[str]) -> Evaluation:
    answers, judgements = evaluation.answers, evaluation.judgements
    return Evaluation(answers[answers[column].isin(values)], judgements[judgements[column].isin(values)])


def published() -> pd.DataFrame:
    """Return the published weighted scores: judge, model, host, weighted_score."""
    return pd.read_csv(DATA / "llm" / "published_scores.csv").fillna({"host": ""})


def cross_judge() -> pd.DataFrame:
    """Return the published scores of the two models that judged each other: answering model × judge."""
    table = published()
    both = {"Claude Sonnet 4", "GPT-4o"}
    table = table[table["judge"].isin(both) & table["model"].isin(both)]
    return table.pivot(index="model", columns="judge", values="weighted_score").rename_axis(
        index="answers by", columns="judged by"
    )


def say_cross_judge() -> None:
    """Say how much the published lead depends on the judge."""
    from IPython.display import Markdown, display

    table = cross_judge()
    lead = table.loc["Claude Sonnet 4"] - table.loc["GPT-4o"]
    display(
        Markdown(
            f"Claude Sonnet 4 leads by {lead['Claude Sonnet 4']:.2f} points when it judges itself, and by "
            f"{lead['GPT-4o']:.2f} when GPT-4o does. GPT-4o gives both higher marks."
        )
    )


def published_figure() -> None:
    """Show the published scores of all models by one judge."""
    from somb_utils.notebook import show
    from somb_utils.plots.style import PALETTE, QUIET, figure, new

    table = published()
    table = table[table["judge"] == "Claude Sonnet 4.6"].sort_values("weighted_score", kind="stable")
    labels = [f"{model} ({host})" if host else model for model, host in table[["model", "host"]].to_numpy()]

    @figure
    def draw() -> Any:
        made, axes = new(7, 3.6)
        tint = PALETTE[0]
        axes.hlines(range(len(table)), 1, table["weighted_score"], color=QUIET, lw=1)
        axes.scatter(table["weighted_score"], range(len(table)), s=60, color=tint, zorder=3)
        for place, value in enumerate(table["weighted_score"]):
            axes.annotate(
                f"{value:.2f}", (value, place), xytext=(8, 0), textcoords="offset points", va="center", size=9
            )
        axes.set_yticks(range(len(table)), labels)
        axes.set_xlim(1, 5.3)
        axes.set_xlabel("weighted score, 1 to 5 (mean over N = 100 published questions)")
        axes.set_title("Published, judged by Claude Sonnet 4.6")
        return made

    show(draw())
