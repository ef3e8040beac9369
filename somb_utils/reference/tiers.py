"""Which tier a task's scores show, by a rule that can be checked, and which stated tiers they contradict."""

from typing import get_args

import pandas as pd

from somb_utils.errors import UsageError
from somb_utils.runs.baselines import TRIVIAL
from somb_utils.tasks.definitions import Tier, catalogue

ALPHA = 0.05
CALIBRATED = 0.8
RULES: dict[Tier, str] = {
    "calibration": "the best model's AUROC interval lies above 0.8",
    "standard": "more than half of the models are above chance",
    "advanced": "at least one model is above chance",
    "frontier": "no model is above chance",
}
ORDER = tuple(reversed(get_args(Tier)))  # from hard to easy


def above_chance(summary: pd.DataFrame) -> pd.Series:
    """Tell which scores are above chance.

    A score is above chance if its whole 95 % interval is, and, where permutation p-values are given, if its p-value
    times the number of models that have one on this task and protocol is below 0.05 (Bonferroni). Trivial baselines
    never are.
    """
    learns = ~summary["model"].isin(TRIVIAL)
    above = learns & (summary["low"] > summary["chance"])
    if "p" not in summary:
        return above
    p = summary["p"].where(learns)
    tests = p.groupby([summary["task"], summary["protocol"]]).transform("count")
    return above & (p * tests < ALPHA)


def _shown_tier(scores: pd.DataFrame, best: pd.Series) -> Tier:
    """Return the easiest tier whose rule (see :data:`RULES`) one task's scores meet."""
    if best["metric"] == "auroc" and best["low"] > CALIBRATED:
        return "calibration"
    share = scores["above"].mean()
    return "standard" if share > 0.5 else "advanced" if share > 0 else "frontier"


def check(summary: pd.DataFrame) -> pd.DataFrame:
    """Set the tier that each task's scores show beside the stated one, with the evidence."""
    needed = ["task", "protocol", "model", "metric", "mean", "low", "high", "chance"]
    if lacking := [column for column in needed if column not in summary]:
        raise UsageError(f"a tier check needs the column {lacking[0]}; a summary with intervals has it")
    scored = summary.assign(above=above_chance(summary))
    scored = scored[~scored["model"].isin(TRIVIAL) & scored["mean"].notna()]
    if scored.empty:
        raise UsageError(f"a tier check needs a model that learns; {' and '.join(TRIVIAL)} do not")
    groups = scored[scored["task"].isin(list(catalogue()))].groupby(["task", "protocol"])
    return pd.DataFrame([_row(scores) for _, scores in groups])


def best(summary: pd.DataFrame) -> pd.DataFrame:
    """Return the best model that learns, indexed by task: best and best_score."""
    learns = summary[~summary["model"].isin(TRIVIAL)].sort_values("mean", kind="stable")
    top = learns.drop_duplicates("task", keep="last").set_index("task")
    return top[["model", "mean"]].set_axis(["best", "best_score"], axis=1)


def _row(scores: pd.DataFrame) -> dict[str, object]:
    best = scores.sort_values("mean", kind="stable").iloc[-1]
    stated, shown = catalogue()[best["task"]].tier, _shown_tier(scores, best)
    steps = ORDER.index(shown) - ORDER.index(stated)  # towards the easier tiers
    # Meeting the rule of an easier tier implies that of a harder one, except for frontier.
    verdict = "harder" if steps < 0 else "easier" if steps > 0 and stated == "frontier" else "holds"
    row = {
        **best[["task", "protocol"]],
        "stated": stated,
        "shown": shown,
        "verdict": verdict,
        "metric": best["metric"],
        "chance": best["chance"],
        "best": best["model"],
        **best[["mean", "low", "high"]],
        "above": int(scores["above"].sum()),
        "models": len(scores),
    }
    return {**row, "least_p": scores["p"].min()} if "p" in scores else row
