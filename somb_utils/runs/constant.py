"""Models that have learnt nothing: those whose predictions do not differ between the rows of a fold."""

import pandas as pd

from somb_utils.runs.baselines import TRIVIAL
from somb_utils.runs.record import KEY, PREDICTION_COLUMNS


def constant_models(predictions: pd.DataFrame) -> dict[str, list[str]]:
    """Return, by task, the models that predict the same for every row of a fold, in all folds with several rows.

    Classes, scores and whatever else is stored of a prediction count; trivial baselines are left out.
    """
    of_prediction = ["y_pred", "y_score", *predictions.columns.difference(PREDICTION_COLUMNS)]
    learns = predictions[~predictions["model"].isin(TRIVIAL)]
    folds = learns.groupby([*KEY, "fold", "label"], sort=False, dropna=False)
    several = folds.size() > 1
    same = folds[of_prediction].nunique(dropna=False).le(1).all(axis=1)[several].groupby(level=KEY, sort=False).all()
    constant: dict[str, list[str]] = {}
    for task, _, model in same[same].index:
        constant.setdefault(task, []).append(model)
    return constant
