"""The composite score: how far above chance a model is, averaged over groups of tasks, with its uncertainty."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from somb_utils.errors import UsageError
from somb_utils.runs.baselines import RANDOM, TRIVIAL
from somb_utils.stats.intervals import Draws, interval
from somb_utils.stats.ranks import share_best
from somb_utils.tasks.definitions import catalogue

MULTILABEL = "multilabel_"  # before the name of a model of a multilabel task in the published scores
FACTS = ["composite", "low", "high", "p_best", "groups"]


def groups_of_tasks(extensions: bool) -> dict[str, str]:
    """Return the group of each task of the composite of the published benchmark, or of the `extensions`."""
    tasks = [task for task in catalogue().values() if task.extension == extensions]
    return {task.id: task.composite_group for task in tasks if task.composite_group is not None}


def composite_of(
    summary: pd.DataFrame,
    draws: Draws | None = None,
    weights: Mapping[str, float] | None = None,
    extensions: bool = False,
) -> pd.DataFrame:
    """Return the composite of a summary of one protocol, best model first; supplementary tasks stay out.

    It is over the tasks of the published benchmark, or over the `extensions`; never over both.

    A score becomes (score - reference) / (1 - reference), which is averaged within each group of tasks and then over
    the groups, by `weights` (1 where none is named). The reference is the exact chance level. Under ``published`` it is
    the random baseline's own score, models of multilabel tasks count as other models, and values below 0 count as 0,
    as in the published benchmark.

    One column per group is followed by ``composite``; its 95 % interval ``low`` and ``high``, from the replicates
    `draws`, which have no floor; ``p_best``, the share of replicates in which the model has the highest composite
    among those that learn and were scored on every task; and the number of ``groups``.
    """
    protocols = summary["protocol"].unique()
    if len(protocols) != 1:
        raise UsageError(f"a composite needs one protocol, these results mix {', '.join(protocols)}")
    published = protocols[0] == "published"
    group = groups_of_tasks(extensions)
    scored = summary[summary["task"].isin(group) & summary["mean"].notna()]
    table = scored.assign(
        scored_as=scored["model"],
        group=scored["task"].map(group),
        base=_random_scores(summary, scored) if published else scored["chance"].astype(float),
        model=_published_names(scored) if published else scored["model"],
    )
    above = (table["mean"] - table["base"]) / (1 - table["base"])
    table["above"] = above.clip(lower=0) if published else above
    wide = table.pivot_table(index="model", columns="group", values="above", aggfunc="mean")
    shares = wide.notna() * _weights(weights or {}, wide.columns)
    shares = shares.div(shares.sum(axis=1), axis=0)
    composite = (wide.fillna(0) * shares).sum(axis=1, skipna=False)
    drawn = _drawn(table, shares, draws or {})
    ends = pd.DataFrame([interval(of_model) for of_model in drawn.to_numpy()], drawn.index, ["low", "high"])
    n_tasks = table.groupby("model")["task"].nunique()
    complete = (n_tasks == n_tasks.max()) & ~n_tasks.index.isin(TRIVIAL)
    wide = wide.assign(composite=composite, **ends, p_best=share_best(drawn[complete]), groups=wide.notna().sum(axis=1))
    return wide.sort_values("composite", ascending=False)


def _random_scores(summary: pd.DataFrame, scored: pd.DataFrame) -> pd.Series:
    random = summary[summary["model"] == RANDOM]
    reference = dict(zip(random["task"], random["mean"], strict=True))
    if lacking := sorted(set(summary["task"]) - set(reference)):
        raise UsageError(f"the published composite needs the random baseline, which is missing for {lacking[0]}")
    return scored["task"].map(reference).astype(float)


def _published_names(scored: pd.DataFrame) -> pd.Series:
    multilabel = [task.id for task in catalogue().values() if task.type == "multilabel"]
    renamed = scored["task"].isin(multilabel) & ~scored["model"].isin(TRIVIAL)
    return scored["model"].mask(renamed, MULTILABEL + scored["model"])


def _weights(weights: Mapping[str, float], groups: pd.Index) -> pd.Series:
    if unknown := [name for name in weights if name not in groups]:
        raise UsageError(f"no group of tasks here is called {', '.join(unknown)}; there are {', '.join(groups)}")
    if not all(np.isfinite(weight) and weight >= 0 for weight in weights.values()):
        raise UsageError("weights of groups are 0 or more, and finite")
    weight = pd.Series(1.0, groups)
    weight.update(pd.Series(weights, dtype=float))
    if len(weight) and not weight.any():
        raise UsageError("every group has weight 0; give one of them a positive weight")
    return weight


def _drawn(table: pd.DataFrame, shares: pd.DataFrame, draws: Draws) -> pd.DataFrame:
    """Return the composite of each replicate, models × replicates; missing where a task has no replicates."""
    size = max((len(of_task) for of_task in draws.values()), default=0)
    parts = table.groupby(["model", "group"])["task"].transform("count")
    drawn = pd.DataFrame(0.0, shares.index, range(size))
    for row, n_tasks in zip(table.to_dict("records"), parts, strict=True):
        if share := shares.at[row["model"], row["group"]]:
            of_task = draws.get((row["task"], row["scored_as"]), np.full(size, np.nan))
            drawn.loc[row["model"]] += share / n_tasks * (of_task - row["base"]) / (1 - row["base"])
    return drawn
