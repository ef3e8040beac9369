"""Each simulated task lands in the tier of the real one."""

import pandas as pd
import pytest

from somb_utils.leaderboard import fit
from somb_utils.notebook import check
from somb_utils.tasks import catalogue

SMALL = ["A1", "A2", "C1", "C2", "D1", "F4", "F5", "G1", "H1", "I2"]
LARGE = ["B1", "B2", "E1", "E2", "E3", "E4", "F3", "I1", "I3"]
WIDE = ["F1", "F2"]  # 16,172 taxa: boosting them takes a minute


@pytest.fixture(scope="module")
def scores() -> pd.DataFrame:
    # Folds stand in the notebooks' own folders, so that nothing is fitted twice in one test command.
    plan = [
        (SMALL, ["random", "logreg", "lightgbm", "rf"]),
        (LARGE, ["random", "logreg", "lightgbm"]),
        (WIDE, ["random", "logreg"]),
    ]
    runs = [fit(check("", {"tasks": tasks, "models": models, "data_source": "simulated"})) for tasks, models in plan]
    return pd.concat([run.summary() for run in runs]).set_index(["task", "model"])


@pytest.mark.parametrize("task_id", sorted(catalogue()))
def test_task_lands_in_its_tier(task_id: str, scores: pd.DataFrame) -> None:
    table = scores.loc[task_id]
    best = table.drop(index="random").sort_values("mean").iloc[-1]
    gain = best["mean"] - best["chance"]
    tier = catalogue()[task_id].tier
    if tier == "calibration":
        assert best["mean"] > 0.8
    elif tier == "standard":
        assert gain > 2 * table.loc["random", "sd"], "not clearly above chance"
    elif tier == "advanced":
        assert gain > 2 * best["sd"] / best["folds"] ** 0.5, "not above chance"
    else:
        assert gain < 0.05, "not near chance"
