"""The audit's generated parts of the book: tables of stored scores."""

from collections.abc import Callable

import pandas as pd

from somb_utils.audit import seeds
from somb_utils.labels import interval, markdown, metric_name
from somb_utils.reference import tiers
from somb_utils.reference.canonical import canonical_scores
from somb_utils.reference.published import published_primary
from somb_utils.runs.baselines import TRIVIAL

LEAST = 0.05  # smallest difference between protocols, and smallest SD over seeds, that is shown


def both_protocols() -> str:
    """Return the scores of the project's own run that differ between the protocols."""
    key = ["task", "metric", "model"]
    scores = canonical_scores()
    means = scores.pivot(index=key, columns="protocol", values="mean").dropna()
    stated = published_primary().set_index(key)["mean"].rename("stated")
    chance = scores.drop_duplicates(key).set_index(key)["chance"]
    table = means.join(stated).join(chance)[["chance", "stated", "published", "aligned"]]
    moved = table[(table["aligned"] - table["published"]).abs() >= LEAST].reset_index()
    return (
        f"Scores of the project's own run that differ by {LEAST} or more between the protocols "
        f"(*stated*: as published):\n\n{_table(moved)}"
    )


def tier_table() -> str:
    """Return the stated tiers that the project's own run contradicts, in either protocol."""
    table = tiers.check(canonical_scores())
    table["score"] = [f"{m:.3f} {interval(*ends)}" for m, *ends in table[["mean", "low", "high"]].to_numpy()]
    table["models above chance"] = [f"{above} of {n}" for above, n in table[["above", "models"]].to_numpy()]
    columns = ["task", "protocol", "stated", "shown", "verdict", "metric", "chance", "best", "score"]
    refuted = table.loc[table["verdict"] != "holds", [*columns, "models above chance"]]
    n_confirmed = len(table) - len(refuted)
    head = f"{n_confirmed} of {len(table)} stated tiers are confirmed (task and protocol); these are not:"
    return f"{head}\n\n{_table(refuted)}"


def tier_rules() -> str:
    """Return the rule of each tier."""
    return markdown(pd.DataFrame(tiers.RULES.items(), columns=["tier", "rule"]))


def seed_spread() -> str:
    """Return the scores that move most over seeds."""
    scores = seeds.stored()
    table = seeds.spread(scores)
    table = table[~table["model"].isin(TRIVIAL) & (table["sd"] >= LEAST)].sort_values("sd", ascending=False)
    columns = {"first": f"seed {scores['seed'].iloc[0]}", "mean": "mean", "sd": "SD"}
    shown = ["task", "model", "metric", "chance", "seeds", *columns, "lowest", "highest"]
    head = f"Scores whose SD over seeds is {LEAST} or more:"
    return f"{head}\n\n{_table(table[shown].rename(columns=columns))}"


def _table(frame: pd.DataFrame) -> str:
    shown = {str(column): frame[column].map("{:.3f}".format) for column in frame.select_dtypes("float")}
    return markdown(frame.assign(metric=frame["metric"].map(metric_name), **shown))


PARTS = (both_protocols, tier_rules, tier_table, seed_spread)
MARKERS: dict[str, Callable[[], str]] = {part.__name__: part for part in PARTS}
