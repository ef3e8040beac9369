"""Predictions with a known truth, in the shape that a run under the protocol ``aligned`` stores them."""

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedKFold

from somb_utils.tasks.definitions import get_task


def ranking(
    y: np.ndarray, score: np.ndarray, task: str = "C2", folds: int = 5, model: str = "m", seed: int = 42
) -> pd.DataFrame:
    """Return predictions of a feature task: the first fold of as many shuffles, one score a row."""
    names = np.array(get_task(task).classes, dtype=object)
    parts = []
    for r in range(folds):
        test = next(StratifiedKFold(5, shuffle=True, random_state=seed + r).split(y, y))[1]
        parts.append(
            pd.DataFrame({"fold": str(r), "id": [f"G{i:05d}" for i in test], "y_true": names[y[test]],
                          "y_pred": names[(score[test] > 0).astype(int)], "y_score": score[test]})
        )  # fmt: skip
    return pd.concat(parts, ignore_index=True).assign(task=task, protocol="aligned", model=model)


def crew(truth: list[list[str]], called: list[list[str]], task: str = "A1", model: str = "m") -> pd.DataFrame:
    """Return predictions of a leave-one-crew-out task, a list of labels for each crew member."""
    rows = [
        {"fold": f"C{c:03d}", "id": f"C{c:03d}_T{t}", "y_true": a, "y_pred": b, "y_score": np.nan}
        for c, (labels, predicted) in enumerate(zip(truth, called, strict=True), 1)
        for t, (a, b) in enumerate(zip(labels, predicted, strict=True))
    ]
    return pd.DataFrame(rows).assign(task=task, protocol="aligned", model=model)
