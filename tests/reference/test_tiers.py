"""Tiers: the rule on made-up summaries and on the project's own run; each simulated task lands in its tier."""

import pandas as pd
import pytest

from somb_utils.errors import UsageError
from somb_utils.leaderboard.board import fit
from somb_utils.notebook.parameters import check
from somb_utils.reference import tiers
from somb_utils.reference.canonical import canonical_scores
from somb_utils.tasks.definitions import catalogue, select_tasks

SMALL = ["A1", "A2", "C1", "C2", "D1", "F4", "F5", "G1", "H1", "I2"]
LARGE = ["B1", "B2", "E1", "E2", "E3", "E4", "F1", "F2", "F3", "I1", "I3"]


def summary(task: str, chance: float, models: dict[str, tuple[float, ...]]) -> pd.DataFrame:
    """Return a summary of one task: mean, low, high and q by model."""
    columns = ["mean", "low", "high", "q"]
    table = pd.DataFrame.from_dict(models, orient="index", columns=columns).rename_axis("model").reset_index()
    metric = catalogue()[task].metrics.primary
    return table.assign(task=task, protocol="aligned", metric=metric, chance=chance, p=0.001)


CLEAR, NEAR = (0.6, 0.5, 0.7, 0.01), (0.35, 0.2, 0.5, 0.3)


@pytest.mark.parametrize(
    ("task", "models", "shown", "verdict"),
    [
        ("F3", {"rf": (0.9, 0.85, 0.95, 0.01), "logreg": (0.55, 0.45, 0.6, 0.2)}, "calibration", "holds"),
        ("F3", {"rf": (0.9, 0.79, 0.95, 0.01), "logreg": (0.7, 0.6, 0.8, 0.01)}, "standard", "harder"),
        ("F4", {"rf": CLEAR, "logreg": CLEAR, "mlp": NEAR}, "standard", "holds"),
        ("F4", {"rf": CLEAR, "logreg": NEAR}, "advanced", "harder"),
        ("F4", {"rf": NEAR, "logreg": NEAR}, "frontier", "harder"),
        ("G1", {"rf": CLEAR, "logreg": NEAR, "mlp": NEAR}, "advanced", "holds"),
        ("G1", {"rf": CLEAR, "logreg": CLEAR, "mlp": NEAR}, "standard", "holds"),
        ("F5", {"rf": NEAR, "logreg": NEAR}, "frontier", "holds"),
        ("F5", {"rf": CLEAR, "logreg": NEAR}, "advanced", "easier"),
        ("F5", {"rf": NEAR, "logreg": NEAR, "random": CLEAR, "majority": CLEAR}, "frontier", "holds"),
    ],
)
def test_tier_follows_its_rule(task: str, models: dict[str, tuple[float, ...]], shown: str, verdict: str) -> None:
    chance = 0.5 if task == "F3" else 0.3
    row = tiers.check(summary(task, chance, models)).iloc[0]
    assert (row["stated"], row["shown"], row["verdict"]) == (catalogue()[task].tier, shown, verdict)
    assert row["models"] == len(set(models) - set(tiers.TRIVIAL))


def test_missing_scores_are_left_out_and_counted_so() -> None:
    table = summary("F5", 0.3, {"rf": CLEAR, "logreg": (float("nan"),) * 4})
    assert tiers.check(table).iloc[0][["above", "models", "best"]].tolist() == [1, 1, "rf"]


def test_what_cannot_be_judged_is_told() -> None:
    table = summary("F4", 0.3, {"random": CLEAR})
    with pytest.raises(UsageError, match="random and majority do not"):
        tiers.check(table)
    with pytest.raises(UsageError, match="needs the column low"):
        tiers.check(table.drop(columns="low"))
    with pytest.raises(UsageError, match="needs the column q"):
        tiers.check(table.drop(columns="q"))


def test_every_tier_has_a_rule() -> None:
    assert set(tiers.RULES) == set(tiers.ORDER) >= {task.tier for task in catalogue().values()}


def test_stated_tiers_on_the_real_tables() -> None:
    stored = canonical_scores()
    table = tiers.check(stored).set_index(["task", "protocol"])
    phase = {task.id for task in catalogue().values() if task.label_by_day}
    assert len(table) == 3 * 17 - 2 * len(phase & set(stored["task"])), "day tests were made under rigorous alone"
    assert table.loc[("F5", "rigorous"), "verdict"] == "holds"
    assert table.loc[("G1", "rigorous"), "verdict"] == "harder"
    for task in ("C2", "F4", "I2"):
        assert table.loc[(task, "aligned"), "verdict"] == "holds"
    assert (table["low"] <= table["high"]).all()


@pytest.fixture(scope="module")
def scores() -> pd.DataFrame:
    # Whole categories, whose folds stand in the notebooks' own folders, so that nothing is fitted twice in one command.
    whole = [task.id for task in select_tasks("*") if task.id[0] in {name[0] for name in SMALL + LARGE}]
    small = [name for name in whole if name[0] in {name[0] for name in SMALL}]
    models = ["random", "logreg", "lightgbm"]
    plan = [(small, [*models, "rf"]), ([name for name in whole if name not in small], models)]
    runs = [fit(check({"tasks": tasks, "models": models, "source": "simulated"})) for tasks, models in plan]
    table = pd.concat([run.summary(n_bootstrap=0) for run in runs])
    return table[(table["model"] != "rf") | table["task"].isin(SMALL)].set_index(["task", "model"])


@pytest.mark.parametrize("task_id", [task.id for task in select_tasks()])
def test_task_lands_in_its_tier(task_id: str, scores: pd.DataFrame) -> None:
    table = scores.loc[task_id]
    best = table.drop(index="random").sort_values("mean").iloc[-1]
    gain = best["mean"] - best["chance"]
    tier = catalogue()[task_id].tier
    if tier == "calibration":
        assert best["mean"] > tiers.CALIBRATED
    elif tier == "standard":
        assert gain > 2 * table.loc["random", "sd"], "not clearly above chance"
    elif tier == "advanced":
        assert gain > 2 * best["sd"] / best["folds"] ** 0.5, "not above chance"
    else:
        assert gain < 0.05, "not near chance"
