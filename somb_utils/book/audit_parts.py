"""The audit's generated parts of the book: tables of stored scores."""

from collections.abc import Callable

import pandas as pd

from somb_utils.audit import seeds
from somb_utils.errors import SombError
from somb_utils.labels import interval, markdown, metric_name
from somb_utils.reference import tiers
from somb_utils.reference.canonical import canonical_scores
from somb_utils.reference.published import published_primary
from somb_utils.runs.baselines import TRIVIAL

LEAST = 0.05  # what a score must differ by, or its SD over seeds be, to be shown


def both_protocols() -> str:
    """Return the scores of the project's own run that differ between the protocols."""
    key = ["task", "metric", "model"]
    scores = canonical_scores()
    means = scores.pivot(index=key, columns="protocol", values="mean").dropna()
    stated = published_primary().set_index(key)["mean"].rename("stated")
    chance = scores.drop_duplicates(key).set_index(key)["chance"]
    table = means.join(stated).join(chance)[["chance", "stated", "published", "aligned"]]
    moved = table[(table["aligned"] - table["published"]).abs() >= LEAST]
    shown = "Scores of the project's own run that differ by {} or more between the protocols (*stated*: as published):"
    return f"{shown.format(LEAST)}\n\n{_table(moved.reset_index())}"


def tier_table() -> str:
    """Return the stated tiers that the project's own run does not bear out, in either protocol."""
    try:
        table = tiers.check(canonical_scores())
    except SombError as error:
        return f"({error})"
    table = table.assign(
        score=[f"{m:.3f} {interval(*ends)}" for m, *ends in table[["mean", "low", "high"]].to_numpy()],
        models_above=[f"{above} of {models}" for above, models in table[["above", "models"]].to_numpy()],
    )
    shown = ["task", "protocol", "stated", "shown", "verdict", "metric", "chance", "best", "score", "models_above"]
    refuted = table.loc[table["verdict"] != "holds", shown]
    n_holding = len(table) - len(refuted)
    held = f"{n_holding} of {len(table)} stated tiers hold (task and protocol); these do not:"
    return f"{held}\n\n{_table(refuted.rename(columns={'models_above': 'models above chance'}))}"


def tier_rules() -> str:
    """Return the rule of each tier."""
    return markdown(pd.DataFrame({"tier": list(tiers.RULES), "rule": list(tiers.RULES.values())}))


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


MARKERS: dict[str, Callable[[], str]] = {
    "both_protocols": both_protocols,
    "tier_rules": tier_rules,
    "tier_table": tier_table,
    "seed_spread": seed_spread,
}
