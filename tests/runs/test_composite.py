"""The composite: weights, its interval and P(best) from each task's replicates, and no floor outside `published`."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import somb_utils as somb
from somb_utils import stats
from somb_utils.errors import UsageError
from somb_utils.reference.canonical import canonical_composite, canonical_scores
from somb_utils.runs.composite import FACTS, composite_of
from somb_utils.stats.ranks import drawn_scores, share_best


def scores(protocol: str = "aligned") -> pd.DataFrame:
    """Two groups of tasks, A (A1, A2) and D (D1): one model above chance, one below."""
    rows = [("A1", "up", 0.65), ("A2", "up", 0.825), ("D1", "up", 0.75), ("A1", "down", 0.2), ("A2", "down", 0.3)]
    rows += [("D1", "down", 0.5), ("A1", "random", 0.3), ("A2", "random", 0.3), ("D1", "random", 0.5)]
    table = pd.DataFrame(rows, columns=["task", "model", "mean"])
    return table.assign(protocol=protocol, chance=table["task"].map({"A1": 0.3, "A2": 0.3, "D1": 0.5}))


def test_groups_count_alike_unless_they_are_weighted() -> None:
    plain = composite_of(scores()).loc["up"]
    assert plain[["A", "D", "composite", "groups"]].tolist() == pytest.approx([0.625, 0.5, 0.5625, 2])
    assert composite_of(scores(), weights={"A": 3}).loc["up", "composite"] == pytest.approx((3 * 0.625 + 0.5) / 4)
    assert composite_of(scores(), weights={"A": 0}).loc["up", "composite"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"Z": 1}, "no group of tasks here is called Z"),
        ({"A": -1}, "0 or more"),
        ({"A": float("nan")}, "0 or more"),
        ({"A": 0, "D": 0}, "every group has weight 0"),
    ],
)
def test_weights_that_mean_nothing_are_refused(weights: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        composite_of(scores(), weights=weights)


def test_only_the_published_composite_has_a_floor() -> None:
    assert composite_of(scores()).loc["down", "composite"] == pytest.approx((-0.1 / 0.7 / 2 + 0) / 2)
    assert composite_of(scores("published")).loc["down", "composite"] == 0


def test_replicates_go_through_the_same_average() -> None:
    table, draws = scores(), {}
    rng = np.random.default_rng(0)
    for row in table.itertuples():
        draws[row.task, row.model] = row.mean + 0.05 * rng.standard_normal(500)
    result = composite_of(table, draws, {"A": 2})
    above = [(draws[task, "up"] - base) / (1 - base) for task, base in (("A1", 0.3), ("A2", 0.3), ("D1", 0.5))]
    expected = np.quantile((2 * (above[0] + above[1]) / 2 + above[2]) / 3, [0.025, 0.975])
    np.testing.assert_allclose(result.loc["up", ["low", "high"]].astype(float), expected)
    assert result.loc["up", "p_best"] == 1 and result.loc["down", "p_best"] == 0
    assert np.isnan(result.loc["random", "p_best"]), "a trivial baseline does not compete"
    assert result.loc["down", "low"] < 0, "replicates have no floor"
    assert composite_of(table)[["low", "high", "p_best"]].isna().all(axis=None)


def test_models_without_a_task_do_not_compete_and_have_no_interval_without_its_replicates() -> None:
    table = scores().iloc[1:]
    draws = {(row.task, row.model): np.full(10, row.mean) for row in table.itertuples()}
    result = composite_of(table, draws)
    assert np.isnan(result.loc["up", "p_best"]) and result.loc["down", "p_best"] == 1
    del draws["D1", "down"]
    assert np.isnan(composite_of(table, draws).loc["down", "low"])


def test_run_gives_composite_and_ranks_with_intervals() -> None:
    models, few = ["majority", "logreg", "rf", "xgboost"], {"n_estimators": 5}
    params = {"rf": few, "xgboost": few}
    run = somb.run(["A1", "C2", "D1"], models, model_params=params, source="simulated", n_jobs=1)
    table = run.composite(n_bootstrap=200)
    learns = table.drop(index="majority")
    assert (table["low"] <= table["high"]).all() and learns["p_best"].sum() == pytest.approx(1)
    result = somb.compare(run, n_bootstrap=200, n_permutations=49)
    assert result.ranks is not None and result.composite is not None
    ranks = result.ranks.uncertainty
    assert list(ranks.index) == list(result.ranks.ranks.index) and ranks["p_best"].sum() == pytest.approx(1)
    assert (ranks["low"] >= 1).all() and (ranks["low"] <= ranks["high"]).all() and (ranks["high"] <= 3).all()
    pd.testing.assert_frame_equal(result.composite, table)
    assert result.differences["p_these"].notna().equals(result.differences["task"] == "A1")


def test_ratings_follow_the_scores() -> None:
    grid = pd.DataFrame({"a": [0.9, 0.75, 0.8], "b": [0.8, 0.5, 0.9]}, index=["A1", "C2", "D1"])
    table = stats.ratings(grid)
    assert table["improvability"].to_dict() == pytest.approx({"a": 0.5 / 3, "b": 1 / 3})
    assert table.at["a", "elo"] > table.at["b", "elo"], "higher on two of three tasks"
    for name in ("elo", "improvability"):
        assert (table[f"{name}_low"] <= table[name]).all() and (table[name] <= table[f"{name}_high"]).all()


def test_ties_share_the_first_place_and_unknown_draws_keep_the_score() -> None:
    assert share_best(pd.DataFrame([[1.0, 2.0], [1.0, 1.0]])).tolist() == [0.75, 0.25]
    grid = pd.DataFrame([[0.5, 0.6]], index=["A1"], columns=["a", "b"])
    drawn = drawn_scores(grid, {("A1", "a"): np.array([0.4, np.nan])})
    assert drawn[0].tolist() == [[0.4, 0.5], [0.6, 0.6]]


def test_stored_composite_is_that_of_the_stored_scores() -> None:
    stored = canonical_composite()
    again = composite_of(canonical_scores().query("protocol == 'rigorous'"))
    facts = [column for column in stored if column not in FACTS] + ["composite"]
    pd.testing.assert_frame_equal(stored[facts].loc[again.index], again[facts], check_names=False, atol=1e-5)


def test_random_forest_and_logistic_regression_on_the_real_tables(open_data: Path) -> None:
    """On three tasks of the crew neither is best with confidence, and trivial baselines get no mark."""
    source = open_data / "processed"
    run = somb.run(["A1", "A2", "C1"], ["random", "rf", "logreg"], protocol="aligned", source=source, n_jobs=1)
    table = run.with_p_values(run.summary(300), 99)
    marks = table.pivot(index="task", columns="model", values="best")
    assert not marks["random"].any() and marks["logreg"].all() and marks["rf"].all()
    assert stats.above_chance(table[table["model"] == "random"]).isna().all()
