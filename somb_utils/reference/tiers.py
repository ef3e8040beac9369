"""Which tier a task's scores show, by a rule that can be checked, and which stated tiers do not hold."""

from collections.abc import Mapping
from typing import get_args

import pandas as pd

from somb_utils.errors import UsageError
from somb_utils.runs.baselines import TRIVIAL
from somb_utils.tasks.definitions import Task, Tier, catalogue

ALPHA = 0.05
CALIBRATED = 0.8
RULES: dict[Tier, str] = {
    "calibration": "the best model's AUROC interval lies above 0.8",
    "standard": "more than half of the models are above chance",
    "advanced": "at least one model is above chance",
    "frontier": "no model is above chance",
}
# From hard to easy.
ORDER = tuple(reversed(get_args(Tier)))


def above_chance(summary: pd.DataFrame) -> pd.Series:
    """Tell which scores are above chance.

    A score is above chance if its whole 95 % interval is, and, where permutation p-values are given, if its p-value
    times the number of models that have one on this task and protocol is below 0.05 (Bonferroni): whoever looks for
    one good model among several gives chance as many chances. Trivial baselines never are.
    """
    learns = ~summary["model"].isin(TRIVIAL)
    above = learns & (summary["low"] > summary["chance"])
    if "p" not in summary:
        return above
    p = summary["p"].where(learns)
    tests = p.groupby([summary["task"], summary["protocol"]]).transform("count")
    return above & (p * tests < ALPHA)


def shown_tier(scores: pd.DataFrame) -> Tier:
    """Return the easiest tier whose rule (see :data:`RULES`) one task's scores meet."""
    best = scores.sort_values("mean", kind="stable").iloc[-1]
    if best["metric"] == "auroc" and best["low"] > CALIBRATED:
        return "calibration"
    share = scores["above"].mean()
    return "standard" if share > 0.5 else "advanced" if share > 0 else "frontier"


def check(summary: pd.DataFrame, tasks: Mapping[str, Task] | None = None) -> pd.DataFrame:
    """Set the tier that each task's scores show beside the stated one, with the evidence."""
    needed = ["task", "protocol", "model", "metric", "mean", "low", "high", "chance"]
    if lacking := [column for column in needed if column not in summary]:
        raise UsageError(
            f"a tier check needs the column {lacking[0]}; a summary with intervals has {', '.join(needed)}"
        )
    scored = summary.assign(above=above_chance(summary))
    scored = scored[~scored["model"].isin(TRIVIAL) & scored["mean"].notna()]
    if scored.empty:
        raise UsageError(f"a tier check needs a model that learns; {' and '.join(TRIVIAL)} do not")
    definitions = tasks or catalogue()
    rows = [
        _row(definitions[str(task)], str(protocol), scores)
        for (task, protocol), scores in scored.groupby(["task", "protocol"])
        if task in definitions
    ]
    return pd.DataFrame(rows)


def best(summary: pd.DataFrame) -> pd.DataFrame:
    """Return the best model that learns, indexed by task: best and best_score."""
    learns = summary[~summary["model"].isin(TRIVIAL)].sort_values("mean", kind="stable")
    top = learns.drop_duplicates("task", keep="last").set_index("task")
    return top[["model", "mean"]].set_axis(["best", "best_score"], axis=1)


def _row(task: Task, protocol: str, scores: pd.DataFrame) -> dict[str, object]:
    best, shown = scores.sort_values("mean", kind="stable").iloc[-1], shown_tier(scores)
    easier = ORDER.index(shown) - ORDER.index(task.tier)
    # The rule of an easier tier implies that of a harder one, but for frontier, which no other tier meets.
    verdict = "harder" if easier < 0 else "easier" if easier > 0 and task.tier == "frontier" else "holds"
    row = {
        "task": task.id,
        "protocol": protocol,
        "stated": task.tier,
        "shown": shown,
        "verdict": verdict,
        "metric": best["metric"],
        "chance": best["chance"],
        "best": best["model"],
        **{column: best[column] for column in ("mean", "low", "high")},
        "above": int(scores["above"].sum()),
        "models": len(scores),
    }
    return {**row, "least_p": scores["p"].min()} if "p" in scores else row
