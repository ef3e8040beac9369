"""The audit's generated parts of the book: figures within the text, and tables of stored scores."""

import re
from collections.abc import Callable

import pandas as pd

from somb_utils.audit import figures, stability
from somb_utils.errors import SombError, UsageError
from somb_utils.labels import interval, markdown, metric_name
from somb_utils.reference import tiers
from somb_utils.reference.canonical import canonical_scores
from somb_utils.reference.published import published_primary


def fill_figures(text: str) -> str:
    """Return a page's text with each ``<!-- somb:figure NAME FORMAT -->`` replaced by the stored figure.

    Raises
    ------
    UsageError
        If a figure is unknown.
    """
    return re.sub(r"<!-- somb:figure (\w+) (\S+) -->", _figure, text)


def _figure(marker: re.Match[str]) -> str:
    name, form = marker.groups()
    known = figures.stored()
    if name not in known:
        raise UsageError(f"the audit has no figure '{name}'; there are {', '.join(known)}")
    return format(known[name], form)


def both_protocols() -> str:
    """Return the scores of the project's own run that differ by 0.05 or more between the protocols."""
    key = ["task", "metric", "model"]
    scores = canonical_scores()
    means = scores.pivot(index=key, columns="protocol", values="mean").dropna()
    stated = published_primary().set_index(key)["mean"].rename("stated")
    chance = scores.drop_duplicates(key).set_index(key)["chance"]
    table = means.join(stated).join(chance)[["chance", "stated", "published", "aligned"]]
    moved = table[(table["aligned"] - table["published"]).abs() >= 0.05]
    return _table(moved.reset_index())


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
    kept = table.loc[table["verdict"] != "holds", shown]
    held = f"{len(table) - len(kept)} of {len(table)} stated tiers hold (task and protocol); these do not:"
    return f"{held}\n\n{_table(kept.rename(columns={'models_above': 'models above chance'}))}"


def tier_rules() -> str:
    """Return the rule of each tier."""
    return markdown(pd.DataFrame({"tier": list(tiers.RULES), "rule": list(tiers.RULES.values())}))


def seed_spread() -> str:
    """Return how far the scores that move most move over seeds."""
    table = stability.spread(stability.stored())
    table = table[(table["model"] != "random") & (table["sd"] >= 0.05)].sort_values("sd", ascending=False)
    columns = {"first": "seed 42", "mean": "mean", "sd": "SD", "lowest": "lowest", "highest": "highest"}
    return _table(table[["task", "model", "metric", "chance", "seeds", *columns]].rename(columns=columns))


def _table(frame: pd.DataFrame) -> str:
    shown = {str(column): frame[column].map("{:.3f}".format) for column in frame.select_dtypes("float")}
    return markdown(frame.assign(metric=frame["metric"].map(metric_name), **shown))


MARKERS: dict[str, Callable[[], str]] = {
    "both_protocols": both_protocols,
    "tier_rules": tier_rules,
    "tier_table": tier_table,
    "seed_spread": seed_spread,
}
