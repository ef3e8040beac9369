"""The report of items that code marks: its tables, and the sentences that it begins with."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from somb_utils.errors import UsageError
from somb_utils.llm.report import accuracy
from somb_utils.llm.report.summary import PUBLISHED, Summary
from somb_utils.llm.report.text import MISSING, shown
from somb_utils.llm.run.marks import KINDS_OF_DATA, differing_versions
from somb_utils.llm.run.providers import SIMULATED

TITLES = {
    "accuracy": "Accuracy by condition",
    "gains": "What contexts and tables add (the same model on the same items)",
    "pairs": "Pairs of models, over their common items",
    "kind": "Accuracy by kind of item",
    "modality": "Accuracy by modality",
    "abstention": "Abstention: items that the data do not answer, and their answerable twins",
    "counts": "What became of the answers",
    "costs": "Cost against accuracy",
    "items": "Items: difficulty (share right) and discrimination, hardest first",
    "published": "For reference, another bank: the nine published results on 100 open questions, graded by one judge",
}
STAND_INS = ("offline/", "mockllm/", SIMULATED)  # models that are none
MARKED = " (simulated)"  # after the names of models whose answers are no measurement
RANKS = ("rank", "rank_low", "rank_high")
PERCENT = ("accuracy", "chance", "constant", "coverage", "declined", "over_refusal", "difficulty")
METHOD = (
    "An answer is right or wrong: code compares it with a key that code computed from the tables; there is no partial "
    "credit and no judge. Accuracy is over the items that all models of a condition have an answer to that counts, "
    "repeats averaged first. Declined and invalid answers, and those stopped at a limit, count as not right "
    "(declining is right where the answer cannot be determined); failed calls and items not asked are left out and "
    "counted. Chance is the level of blind answers: 1/2 for a direction, 1/n for n choices, else 0. Constant is what "
    "is reached by always giving, for each form of question, the one answer that fits most items. Brackets are 95 % "
    "intervals: Wilson's for shares, paired bootstrap over items for differences and ranks; fewer than five items "
    "have none."
)


def published_nine() -> pd.DataFrame:
    """Return the published scores of the judge that graded most models; hosts of one model say how much a rerun varies.

    They are means over another bank's questions on a scale from 1 to 5, and compare with nothing else here.
    """
    table = pd.read_csv(PUBLISHED, keep_default_na=False)
    table = table[table["judge"] == table["judge"].value_counts().idxmax()]
    notes = {
        model: f"one model on {len(scores)} hosts: {scores.max() - scores.min():.2f} apart, which is run-to-run noise"
        for model, scores in table.groupby("model")["weighted_score"]
        if len(scores) > 1
    }
    return table.assign(note=table["model"].map(notes).fillna(""))


def _part(marks: pd.DataFrame, compare: bool, n_bootstrap: int, seed: int) -> dict[str, pd.DataFrame]:
    """Return the tables of answers that may be compared: all real or all simulated."""
    overall = accuracy.levels(marks, accuracy.CELL)
    ranks = accuracy.ranks(marks, n_bootstrap, seed)
    return {
        "accuracy": overall.merge(ranks, on=[*accuracy.CELL, "model"], how="left"),
        "gains": accuracy.gains(marks, n_bootstrap, seed),
        "pairs": accuracy.pairs(marks, n_bootstrap, seed) if compare else pd.DataFrame(),
        "kind": accuracy.levels(marks, [*accuracy.CELL, "kind"]),
        "modality": accuracy.levels(marks, [*accuracy.CELL, "modality"]),
        "abstention": accuracy.abstention(marks),
        "counts": accuracy.counts(marks),
        "costs": accuracy.costs(marks, overall),
        "items": accuracy.items(marks),
    }


def with_stand_ins(marks: pd.DataFrame) -> pd.DataFrame:
    """Return marks with the answers of stand-ins taken as simulated, as those to keys of simulated tables are."""
    return marks.assign(simulated=marks["simulated"] | marks["model"].str.startswith(STAND_INS))


def named(cell: dict[str, str]) -> str:
    """Return set and condition in words."""
    return f"{cell['set']} ({cell['condition']})"


def _failures(marks: pd.DataFrame) -> str:
    """Return in one sentence which calls failed, and the most frequent reasons."""
    failed = marks[marks["status"] == "failed"]
    where = [f"{len(part)} of {named(cell)}" for cell, part in accuracy.cells(failed)]
    why = failed["reason"].str.strip().str.rpartition("\n")[2].str.slice(0, 120).value_counts()
    reasons = "; ".join(f"{n} x {reason}" for reason, n in why.head(3).items())
    return f"Answers that failed and are in no share: {', '.join(where)}. Most frequent reasons: {reasons}."


def _notes(marks: pd.DataFrame, tables: dict[str, pd.DataFrame]) -> list[str]:
    notes = [_failures(marks)] if (marks["status"] == "failed").any() else []
    for cell, part in accuracy.cells(marks):
        table = accuracy.by_item(part)
        complete = table.dropna()
        if table.shape[1] > 1 and complete.empty:
            notes.append(f"{named(cell)}: no item has an answer that counts by every model; they are not ranked.")
        elif len(complete) < len(table):
            fewest, number = min(table.notna().sum().items(), key=lambda item: item[1])
            notes.append(
                f"{named(cell)}: shares are over the {len(complete)} items, of {len(table)}, that every model has an "
                f"answer to that counts; {fewest} has {number}."
            )
    if differing := differing_versions(marks):
        notes.append(f"The logs differ in {'; '.join(differing)}: what they say is not of one evaluation.")
    unknown = tables["costs"].loc[tables["costs"]["cost"].isna(), "model"].unique()
    if len(unknown):
        notes.append(f"The price of {', '.join(unknown)} is unknown, and so is its place in cost against accuracy.")
    if tables["items"]["models"].max() < accuracy.FEWEST_MODELS:
        notes.append(f"Fewer than {accuracy.FEWEST_MODELS} models: no discrimination of items is stated.")
    return notes


def summarise_marks(marks: pd.DataFrame, compare: bool = False, n_bootstrap: int = 2000, seed: int = 42) -> Summary:
    """Compute every table of the report of marked answers.

    Parameters
    ----------
    marks
        As `load_marks` gives them.
    compare
        Whether to compare every pair of models.
    n_bootstrap
        Resamples of the items, for the intervals of differences and ranks.
    seed
        Seed of the bootstrap.

    Returns
    -------
    Summary
        Tables and notes. Answers to simulated keys, and of stand-ins, are marked in the model's name, and compared and
        ranked among themselves alone.

    Raises
    ------
    UsageError
        If `n_bootstrap` or `seed` is out of bounds.
    """
    if n_bootstrap < 1 or seed < 0:
        raise UsageError(f"n_bootstrap is at least 1 and seed at least 0, not {n_bootstrap} and {seed}")
    parts, notes = [], []
    for simulated, part in marks.groupby("simulated", sort=True):
        labelled = part.assign(model=part["model"] + MARKED) if simulated else part
        parts.append(_part(labelled, compare, n_bootstrap, seed))
        notes += _notes(labelled, parts[-1])
    tables = {name: pd.concat([part[name] for part in parts], ignore_index=True) for name in parts[0]}
    if len(parts) > 1:
        tables["accuracy"].loc[tables["accuracy"]["model"].str.endswith(MARKED), list(RANKS)] = np.nan
    tables["published"] = published_nine()
    if marks["simulated"].any():
        every = "All" if marks["simulated"].all() else f"{marks['simulated'].sum()} of {len(marks)}"
        notes.insert(0, f"SIMULATED: {every} answers are of stand-ins or to keys of simulated tables; no real model "
                     "is ranked with them, and their accuracy says nothing.")  # fmt: skip
    return Summary(tables, list(dict.fromkeys(notes)), [])


def lead(summary: Summary, marks: pd.DataFrame) -> list[str]:
    """Return the sentences that the report begins with: size, judge, digests, settings, days, notes."""
    conditions = ", ".join(named(cell) for cell, _ in accuracy.cells(marks))
    asked = f"Answers: {len(marks)}, models: {marks['model'].nunique()}, items: {marks['item_id'].nunique()}."
    days = sorted({moment[:10] for moment in marks["completed_at"] if moment})
    versions = [
        f"{named(cell)}: {' and '.join(dict.fromkeys(part['digests']))}"
        for cell, part in accuracy.cells(marks[marks["digests"] != ""])
    ]
    settings = sorted({words for words in marks["settings"] if words})
    return [
        f"{asked} Conditions: {conditions}. No judge: code marks the answers.",
        *([f"Digests of {'; of '.join(versions)}."] if versions else ["No digests are recorded."]),
        *([f"Answers were asked for at {'; at '.join(settings)}."] if settings else []),
        *([f"Answers are of {' to '.join(dict.fromkeys([days[0], days[-1]]))}."] if days else []),
        f"Keys are from {' and '.join(KINDS_OF_DATA.get(kind, 'other tables') for kind in marks['tables'].unique())}.",
        *summary.notes,
    ]


def _percent(value: float, form: str = "{:.0f} %") -> str:
    return MISSING if pd.isna(value) else form.format(100 * value)


def _interval(frame: pd.DataFrame, name: str, form: str, scale: float = 100) -> pd.Series:
    """Return a column's intervals in brackets, taking their ends from the frame."""
    low, high = (f"{name}_low", f"{name}_high") if f"{name}_low" in frame else ("low", "high")
    ends = zip(frame.pop(low) * scale, frame.pop(high) * scale, strict=True)
    texts = ["" if pd.isna(a) else f" ({form.format(a)} to {form.format(b)})" for a, b in ends]
    return pd.Series(texts, index=frame.index, dtype=str)


def displayed(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table as text for reading: shares in per cent, differences in points, intervals in brackets."""
    frame = table.copy()
    if "rank" in frame:
        frame["rank"] = frame["rank"].map(lambda rank: shown(float(rank), 0)) + _interval(frame, "rank", "{:.0f}", 1)
    if "difference" in frame:
        points = frame["difference"].map(lambda value: _percent(value, "{:+.0f}"))
        frame["difference"] = points + _interval(frame, "difference", "{:+.0f}")
    for name in [name for name in PERCENT if name in frame and pd.api.types.is_float_dtype(frame[name])]:
        bounded = f"{name}_low" in frame or (name == "accuracy" and "low" in frame)
        intervals = _interval(frame, name, "{:.0f}") if bounded else ""
        frame[name] = frame[name].map(_percent) + intervals
    if "pareto" in frame:
        frame["pareto"] = frame["pareto"].map({True: "yes", False: "no"}).fillna("unknown")
        frame["cost"] = frame["cost"].map(lambda dollars: "unknown" if pd.isna(dollars) else f"${dollars:.4f}")
    return frame.rename(columns={"difference": "difference in points"}).map(shown)


def sections(summary: Summary) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Yield (name, title, table as text) of every table that has rows."""
    for name, title in TITLES.items():
        if len(summary.tables[name]):
            yield name, title, displayed(summary.tables[name])
