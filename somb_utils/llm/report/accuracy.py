"""Statistics of answers that code marks: accuracy with intervals, chance level, comparisons, items, abstention.

The unit is the item: repeats are averaged first. Shares have Wilson intervals (Wilson 1927), which are right at 0 and 1
too; differences and ranks have paired bootstrap intervals, for which an item that is drawn brings the answers of all
models (Efron & Tibshirani 1993).
"""

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from somb_utils.llm.report.panel import FEWEST, Floats, interval, resample_weights
from somb_utils.llm.run.marks import COUNTED
from somb_utils.stats.reliability import wilson_interval

CELL = ["set", "condition"]
FEWEST_MODELS = 5  # that a discrimination needs


def cells(marks: pd.DataFrame) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """Yield set and condition, with their answers, in the order of the answers."""
    for names, part in marks.groupby(CELL, sort=False):
        yield dict(zip(CELL, names, strict=True)), part


def share(values: pd.Series) -> dict[str, float]:
    """Return the mean of values from 0 to 1, one an item, with its 95 % interval (from five items on) and number."""
    low, high = wilson_interval(round(values.sum()), len(values)) if len(values) >= FEWEST else (np.nan, np.nan)
    return {"accuracy": values.mean(), "low": low, "high": high, "n": len(values)}


def by_item(marks: pd.DataFrame) -> pd.DataFrame:
    """Return items x models: the share of a model's answers to an item that are right; NaN where none counts."""
    counted = marks[marks["status"].isin(COUNTED)]
    return counted.assign(correct=counted["correct"].astype(float)).pivot_table(
        index="item_id", columns="model", values="correct", aggfunc="mean"
    )


def common(table: pd.DataFrame) -> pd.DataFrame:
    """Return the items that every model has an answer to that counts; all of them if there is none."""
    complete = table.dropna()
    return complete if len(complete) else table


def constant(items: pd.DataFrame) -> float:
    """Return the share of right answers if each form of question were always given the one answer that fits most."""
    best = items.groupby("form")["constant"].agg(lambda answers: answers.value_counts().iloc[0])
    return float(best.sum() / len(items))


def levels(marks: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Return accuracy, interval, chance level and what a constant answer reaches, for each group and model.

    Over the items that all models of the group have an answer to that counts, or a model's own if there is none.
    """
    rows = []
    for names, part in marks.groupby(by, sort=False, observed=True):
        table = common(by_item(part))
        about = part.drop_duplicates("item_id").set_index("item_id")
        for model in table.mean().sort_values(ascending=False, kind="stable").index:
            values = table[model].dropna()
            items = about.loc[values.index]
            row = dict(zip(by, names, strict=True)) | {"model": model} | share(values)
            best = constant(items) if len(items) >= FEWEST else np.nan
            rows.append(row | {"chance": items["chance"].mean(), "constant": best})
    columns = [*by, "model", "accuracy", "low", "high", "n", "chance", "constant"]
    return pd.DataFrame(rows, columns=columns)


def _draws(table: pd.DataFrame, n_bootstrap: int, seed: int) -> Floats:
    """Return resamples x columns: the mean of each column over resampled items."""
    return resample_weights(len(table), n_bootstrap, seed) @ table.to_numpy() / len(table)


def ranks(marks: pd.DataFrame, n_bootstrap: int, seed: int) -> pd.DataFrame:
    """Return each model's rank and its interval in each set and condition; none without a common item."""
    rows = []
    for cell, part in cells(marks):
        table = by_item(part).dropna()
        if table.empty or table.shape[1] < 2:
            continue
        draws = _draws(table, n_bootstrap, seed).round(9)
        low, high = interval(stats.rankdata(-draws, axis=1, method="min"), len(table))
        rank = table.mean().round(9).rank(ascending=False, method="min")
        for i, (model, place) in enumerate(rank.items()):
            bounds = {"rank_low": np.floor(low[i]), "rank_high": np.ceil(high[i])}
            rows.append(cell | {"model": model, "rank": place, **bounds})
    return pd.DataFrame(rows, columns=[*CELL, "model", "rank", "rank_low", "rank_high"])


def _difference(two: pd.DataFrame, n_bootstrap: int, seed: int) -> dict[str, float]:
    """Return the mean difference of two columns over their common items, with its interval, wins and losses."""
    two = two.dropna()
    difference = (two.iloc[:, 0] - two.iloc[:, 1]).round(9)
    draws = _draws(two, n_bootstrap, seed)
    low, high = interval(draws[:, 0] - draws[:, 1], len(two))
    return {
        "difference": difference.mean(), "low": float(low), "high": float(high), "wins": int((difference > 0).sum()),
        "ties": int((difference == 0).sum()), "losses": int((difference < 0).sum()), "n": len(two),
    }  # fmt: skip


DIFFERENCES = ["difference", "low", "high", "wins", "ties", "losses", "n"]


def pairs(marks: pd.DataFrame, n_bootstrap: int, seed: int) -> pd.DataFrame:
    """Return the difference in accuracy of each pair of models over their common items."""
    rows = []
    for cell, part in cells(marks):
        table = by_item(part)
        for first, second in combinations(table.mean().sort_values(ascending=False, kind="stable").index, 2):
            two = table[[first, second]]
            if len(two.dropna()):
                rows.append(cell | {"model": first, "against": second} | _difference(two, n_bootstrap, seed))
    return pd.DataFrame(rows, columns=[*CELL, "model", "against", *DIFFERENCES])


def gains(marks: pd.DataFrame, n_bootstrap: int, seed: int) -> pd.DataFrame:
    """Return the difference in accuracy of each pair of conditions, for each model over the items asked in both."""
    rows = []
    for (name, model), part in marks.groupby(["set", "model"], sort=False):
        table = by_item(part.assign(model=part["condition"]))
        order = [condition for condition in dict.fromkeys(part["condition"]) if condition in table]
        for first, second in combinations(reversed(order), 2):
            two = table[[first, second]]
            if len(two.dropna()):
                cell = {"set": name, "model": model, "condition": first, "against": second}
                rows.append(cell | _difference(two, n_bootstrap, seed))
    return pd.DataFrame(rows, columns=["set", "model", "condition", "against", *DIFFERENCES])


def items(marks: pd.DataFrame) -> pd.DataFrame:
    """Return each item's difficulty (share of right answers) and its discrimination, hardest first.

    Discrimination is the point-biserial correlation, over models, of an item with the accuracy on all other items;
    NaN with fewer than five models.
    """
    parts = []
    for cell, part in cells(marks):
        table = by_item(part)
        rest = (table.sum() - table.fillna(0)).div(table.notna().sum() - table.notna(), axis=1)
        enough = table.notna().sum(axis=1) >= FEWEST_MODELS
        with np.errstate(all="ignore"):
            discrimination = table.corrwith(rest, axis=1).where(enough)
        frame = pd.DataFrame(
            {"difficulty": table.mean(axis=1), "discrimination": discrimination, "models": table.notna().sum(axis=1)}
        )
        kinds = part.drop_duplicates("item_id").set_index("item_id")[["kind", "modality"]]
        frame = kinds.join(frame, how="inner").reset_index().assign(**cell)
        parts.append(frame.sort_values(["difficulty", "item_id"]))
    columns = [*CELL, "item_id", "kind", "modality", "difficulty", "discrimination", "models"]
    return pd.concat(parts)[columns].reset_index(drop=True) if parts else pd.DataFrame(columns=columns)


def abstention(marks: pd.DataFrame) -> pd.DataFrame:
    """Return how models decline: where they should, and where an answerable twin shows that they should not.

    ``accuracy`` is over all items, ``coverage`` the share answered, ``declined`` the share of items without an answer
    that were declined, ``over_refusal`` the share of their answerable twins that were declined.
    """
    rows = []
    with_twins = marks[marks["set"].isin(marks.loc[marks["twin"] != "", "set"])]
    counted = with_twins[with_twins["status"].isin(COUNTED)]
    for names, part in counted.groupby([*CELL, "model"], sort=False):
        row = dict(zip([*CELL, "model"], names, strict=True)) | share(part.groupby("item_id")["correct"].mean())
        row["coverage"] = part.assign(v=part["status"] == "answered").groupby("item_id")["v"].mean().mean()
        for name, unknown in (("declined", True), ("over_refusal", False)):
            some = part[(part["kind"] == "undetermined") == unknown]
            found = share(some.assign(v=some["status"] == "declined").groupby("item_id")["v"].mean())
            row |= {name: found["accuracy"], f"{name}_low": found["low"], f"{name}_high": found["high"]}
        rows.append(row)
    bounds = [f"{name}{end}" for name in ("declined", "over_refusal") for end in ("", "_low", "_high")]
    return pd.DataFrame(rows, columns=[*CELL, "model", "accuracy", "low", "high", "n", "coverage", *bounds])


def costs(marks: pd.DataFrame, accuracies: pd.DataFrame) -> pd.DataFrame:
    """Return dollars, tokens and accuracy of each model, and whether it is in the Pareto set of cost and accuracy.

    In the Pareto set is a model if no other of known cost is at least as accurate for no more, and better in one of
    the two; of a model of unknown cost it is not known (NA). Failed calls are paid and counted.
    """
    grouped = marks.groupby([*CELL, "model"], sort=False)
    spent = grouped[["input_tokens", "output_tokens"]].sum()
    spent["cost"] = grouped["cost"].agg(lambda dollars: dollars.sum(skipna=False))
    spent["seconds_median"] = grouped["seconds"].median()
    table = accuracies[[*CELL, "model", "accuracy"]].merge(spent.reset_index(), on=[*CELL, "model"])
    pareto = pd.Series(pd.NA, index=table.index, dtype="boolean")
    for _, part in cells(table[table["cost"].notna()]):
        cost, accuracy = part["cost"].to_numpy()[:, None], part["accuracy"].to_numpy()[:, None]
        no_worse = (cost <= cost.T) & (accuracy >= accuracy.T)
        better = no_worse & ((cost < cost.T) | (accuracy > accuracy.T))
        pareto[part.index] = ~better.any(axis=0)
    return table.assign(pareto=pareto)


def counts(marks: pd.DataFrame) -> pd.DataFrame:
    """Return how the answers of each model ended, in each set and condition."""
    ended = pd.crosstab([marks["set"], marks["condition"], marks["model"]], marks["status"])
    table = ended.reindex(columns=[*COUNTED, "failed", "not_asked"], fill_value=0)
    table.insert(0, "correct", marks[marks["correct"]].groupby([*CELL, "model"]).size())
    return table.fillna(0).astype(int).rename_axis(columns=None).reset_index()
