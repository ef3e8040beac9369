"""How far judges agree: on the levels of an answer, and on the order of the models."""

from itertools import combinations

import krippendorff
import numpy as np
import pandas as pd
from scipy import stats
from sklearn.metrics import cohen_kappa_score

from somb_utils.llm.bank.schema import DIMENSIONS
from somb_utils.llm.report.panel import Floats, rated
from somb_utils.llm.report.scores import spearman

LEVELS = [1, 2, 3, 4, 5]


def weighted_kappa(first: Floats, second: Floats) -> float:
    """Return Cohen's kappa with quadratic weights over the levels 1 to 5 (Cohen 1968).

    NaN if neither judge's levels vary.
    """
    if len(first) == 0 or (np.ptp(first) == 0 and np.ptp(second) == 0):
        return float("nan")
    a, b = first.astype(int), second.astype(int)
    return float(cohen_kappa_score(a, b, weights="quadratic", labels=LEVELS))


def krippendorff_alpha(ratings: Floats) -> float:
    """Return Krippendorff's alpha for ordinal ratings (units x judges, NaN where a judge did not rate).

    NaN if no unit was rated twice or the ratings do not vary.
    """
    paired = ratings[np.isfinite(ratings).sum(axis=1) > 1]
    if len(np.unique(paired[np.isfinite(paired)])) < 2:
        return float("nan")
    return float(krippendorff.alpha(reliability_data=paired.T, level_of_measurement="ordinal"))


def agreement(scored: pd.DataFrame) -> pd.DataFrame:
    """Return for each dimension and pair of judges the weighted kappa, exact agreement and mean difference.

    Over the answers that both judged; `alpha` is over all judges of the dimension.
    """
    rows = []
    for name in DIMENSIONS:
        table = rated(scored, name)
        alpha = krippendorff_alpha(table.round().to_numpy(dtype=float))
        for first, second in combinations(table.columns, 2):
            both = table[[first, second]].dropna().round()
            a, b = both[first].to_numpy(), both[second].to_numpy()
            rows.append(
                {
                    "dimension": name, "judge": first, "other": second, "n": len(both),
                    "kappa": weighted_kappa(a, b), "same": float((a == b).mean()) if len(both) else np.nan,
                    "shift": float((a - b).mean()) if len(both) else np.nan, "alpha": alpha,
                }
            )  # fmt: skip
    columns = ["dimension", "judge", "other", "n", "kappa", "same", "shift", "alpha"]
    return pd.DataFrame(rows, columns=columns)


def rank_agreement(scored: pd.DataFrame) -> pd.DataFrame:
    """Return for each pair of judges Kendall's tau and Spearman's rho of their rankings of the models.

    Over the answers that both graded, to questions on which both graded every model.
    """
    table = rated(scored, "weighted_score")
    rows = []
    for first, second in combinations(table.columns, 2):
        shared = table[[first, second]].dropna().groupby(["question_id", "model"]).mean()
        models = shared.index.get_level_values("model")
        graded = shared.groupby("question_id")[first].transform("size")
        both = shared[graded == models.nunique()].groupby("model").mean()
        enough = len(both) > 2
        tau = float(stats.kendalltau(both.iloc[:, 0], both.iloc[:, 1]).statistic) if enough else np.nan
        rho = spearman(both.iloc[:, 0].to_numpy(), both.iloc[:, 1].to_numpy())
        rows.append({"judge": first, "other": second, "models": len(both), "tau": tau, "rho": rho})
    return pd.DataFrame(rows, columns=["judge", "other", "models", "tau", "rho"])
