"""The report's tables and sentences as a reader sees them, in whatever format."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from somb_utils.llm.report.summary import Summary
from somb_utils.llm.run.evaluation import Evaluation
from somb_utils.llm.run.providers import provider_notes

TITLES = {
    "ranking": "Ranking",
    "ranking_by_judge": "Ranking by judge, over the questions that the judge graded for all models",
    "pairs": "Pairs of models, over their common questions",
    "dimension": "Dimensions",
    "difficulty": "Difficulty",
    "modality": "Modality",
    "kind": "Kind of question",
    "counts": "What became of the answers",
    "unscored": "Verdicts that do not count",
    "flags": "Flags (number of answers)",
    "usage": "Tokens, cost in dollars, seconds",
    "agreement": "Judges: quadratic-weighted kappa and ordinal Krippendorff alpha",
    "rank_agreement": "Judges: agreement on the order of models",
    "leniency": "Judges: leniency (mean shift from the other judges, on answers of other makers)",
    "self_preference": "Judges: self-preference (judge family x model family)",
    "verbosity_bias": "Judges: verbosity bias (points per doubling of length, beyond the other judges)",
    "modes": "Modes: levels by criteria against holistic ones of the same judge (shift: criteria less holistic)",
    "mode_ranks": "Modes: agreement on the order of models",
    "findings": "Criteria: shares met, unmet and contradicted",
    "extreme_facts": "Criteria: key facts that no verdict or every verdict finds met (all: tables/criteria.csv)",
    "length": "Score against length",
    "length_adjusted": "Ranking as if all answers were equally long",
    "judge_weighted_differs": "Weighted scores that differ from the judge's own",
    "published": "Published reference scores (another set of 100 questions)",
}
MISSING = "–"
GROUPED = ("dimension", "difficulty", "modality", "kind", "ranking_by_judge")


def shown(value: Any, digits: int = 2) -> str:
    """Return a value of a table as text: numbers rounded, missing ones as a dash."""
    if value is None or value is pd.NA or (isinstance(value, float) and pd.isna(value)):
        return MISSING
    if isinstance(value, float):
        return str(int(value)) if value == int(value) and digits == 0 else f"{round(value, 9):.{digits}f}"
    return str(value)


def _with_interval(values: pd.Series, low: pd.Series, high: pd.Series) -> pd.Series:
    """Return texts with their intervals in brackets, where there is one."""
    return values.where(low == MISSING, values + " (" + low + " to " + high + ")")


def display_table(name: str, table: pd.DataFrame, models: list[str] | None = None) -> pd.DataFrame:
    """Return a table as text for reading: groups across, intervals in brackets, means to the digits that count."""
    frame = table.copy()
    digits = 3 if name in ("ranking", "ranking_by_judge") else 4 if name == "usage" else 2
    for column in ("rank", "rank_low", "rank_high", "adjusted_rank", "words"):
        if column in frame:
            frame[column] = frame[column].map(lambda v: shown(float(v), 0))
    if "low" in frame:
        middle = next(c for c in ("mean", "difference", "shift", "preference", "per_doubling") if c in frame)
        frame["low"], frame["high"] = frame["low"].map(shown), frame["high"].map(shown)
        frame[middle] = _with_interval(
            frame[middle].map(lambda v: shown(v, digits)), frame.pop("low"), frame.pop("high")
        )
    if "rank_low" in frame:
        frame["rank"] = _with_interval(frame["rank"], frame.pop("rank_low"), frame.pop("rank_high"))
    if name in GROUPED:
        group = "judge" if name == "ranking_by_judge" else name
        order = list(dict.fromkeys(frame[group]))
        frame = frame.pivot(index="model", columns=group, values="mean")[order]
        frame = frame.reindex(models or frame.index).reset_index()
        frame.columns.name = None
    return frame.map(lambda v: shown(v, digits))


def sections(summary: Summary) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Yield (name, title, table as text) of every table that has rows."""
    ranking = summary.tables.get("ranking")
    models = list(ranking["model"]) if ranking is not None else None
    for name, title in TITLES.items():
        table = summary.tables.get(name)
        if table is not None and len(table):
            yield name, title, display_table(name, table, models)


def lead(summary: Summary, evaluation: Evaluation) -> list[str]:
    """Return the sentences that a report begins with: its size, what to be careful of, biases of judges."""
    scored = evaluation.scored
    lines = [
        f"Answers: {len(evaluation.answers)}, models: {evaluation.answers['model'].nunique()}, questions: "
        f"{evaluation.answers['question_id'].nunique()}, judges: {scored['judge'].nunique()}, verdicts that "
        f"count: {len(scored)}."
    ]
    lines += [_versions(evaluation), *summary.notes]
    lines += [f"Judge {judge} is {bias}: {size}." for judge, bias, size in summary.findings]
    if "judge_weighted_differs" in summary.tables:
        number = len(summary.tables["judge_weighted_differs"])
        lines.append(
            "Weighted scores are computed from the dimensions; "
            + (f"{number} differ" if number else "none differs")
            + " from the judge's own by more than rounding."
        )
    return lines


def _versions(evaluation: Evaluation) -> str:
    """Return what the answers and verdicts rest on: digests, settings, days of the verdicts."""
    parts = [f"{name} {' and '.join(digests)}" for name, digests in evaluation.versions.items()]
    known = (evaluation.answers["digests"] != "").any() or (evaluation.judgements["digests"] != "").any()
    text = (
        f"Digests: {', '.join(parts)}." if known else "No digests of bank, contexts, rubric and prompts are recorded."
    )
    settings = sorted({words for words in evaluation.answers["settings"] if words})
    days = sorted({str(moment)[:10] for moment in evaluation.scored["completed_at"].dropna() if moment})
    text += f" Answers were asked for at {'; at '.join(settings)}." if settings else ""
    return text + (f" Verdicts are of {' to '.join(dict.fromkeys([days[0], days[-1]]))}." if days else "")


def method() -> str:
    """Return how the scores and intervals of a report are computed."""
    return " ".join([_METHOD, *provider_notes()])


_METHOD = (
    "Scores go from 1 to 5. Means are over the questions that all models were graded on, repeats averaged first. Where "
    "not every judge graded every answer, means are adjusted for the judges' leniency (an additive model of answer and "
    "judge). Brackets are 95 % bootstrap intervals over questions, paired between models, and likewise for ranks; "
    "fewer than five questions have none. Refused, empty and failed answers and verdicts that are not valid are "
    "counted and never scored; an answer cut at the token limit is scored as it stands."
)
