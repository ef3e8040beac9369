"""What ``rigorous`` adds to a run: class probabilities, the order of saturated ones, and several seeds."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score

import somb_utils as somb
from somb_utils.stats.bootstrap import all_replicates, replicates

FOREST = {"forest": RandomForestClassifier(4, max_depth=3)}


class Steep(ClassifierMixin, BaseEstimator):
    """Nearest of two means, so sure that its probabilities round to 0 and 1."""

    def fit(self, X: np.ndarray, y: np.ndarray) -> "Steep":
        """Take the means."""
        self.classes_, self.means_ = np.unique(y), [X[y == k].mean(axis=0) for k in (0, 1)]
        return self

    def decision_function(self, X: np.ndarray) -> np.ndarray:
        """Return how much nearer the second mean is."""
        near, far = (((X - mean) ** 2).sum(axis=1) for mean in self.means_)
        return 100 * (near - far)

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return the logistic curve of the decision."""
        positive = expit(self.decision_function(X))
        return np.column_stack([1 - positive, positive])

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return the nearer class."""
        return (self.decision_function(X) > 0).astype(int)


class ByDecision(Steep):
    """The same without probabilities, on a scale that keeps the order."""

    predict_proba = None  # type: ignore[assignment]

    def __getattribute__(self, name: str) -> object:
        if name == "predict_proba":
            raise AttributeError(name)
        return super().__getattribute__(name)

    def decision_function(self, X: np.ndarray) -> np.ndarray:
        """Return a small multiple, which the logistic curve does not saturate."""
        return super().decision_function(X) / 1e4


def test_probabilities_that_round_to_one_are_ordered_by_decision_scores() -> None:
    models = {"steep": Steep(), "decision": ByDecision()}
    scores = {
        protocol: somb.run("C2", models, protocol=protocol, source="simulated", n_jobs=1)
        for protocol in ("rigorous", "aligned")
    }
    rows = scores["rigorous"].predictions.set_index(["model", "fold", "id"])["y_score"]
    high = rows["decision"] > expit(1e-4 * 25)
    assert high.sum() > 10 and rows["steep"].between(0, 1).all()
    for fold in rows["steep"].index.unique("fold"):
        steep, decision = (rows[model, fold][high[fold]] for model in models)
        assert (steep.rank() == decision.rank()).all() and (steep > 1 - 1e-9).all()
    saturated = scores["aligned"].predictions.query("model == 'steep' and y_score == 1")
    assert saturated.groupby("fold").size().gt(1).all(), "under aligned they are tied"


def test_stored_class_probabilities_give_every_metric() -> None:
    run = somb.run(["A1", "C2"], ["logreg", "majority"], source="simulated", n_jobs=1)
    of_a1 = run.predictions.query("task == 'A1' and model == 'logreg'")
    classes = list(run.results.query("task == 'A1'")["metric"].str.extract(r"f1\[(.*)\]")[0].dropna().unique())
    assert run.predictions.query("task == 'C2'")["y_proba"].isna().all() and of_a1["y_score"].isna().all()
    scores = run.results.query("task == 'A1' and model == 'logreg'").set_index(["fold", "metric"])["value"]
    for fold, rows in of_a1.groupby("fold"):
        proba = np.stack(rows["y_proba"].tolist())
        np.testing.assert_allclose(proba.sum(axis=1), 1)
        assert [classes[k] for k in proba.argmax(axis=1)] == rows["y_pred"].tolist()
        expected = roc_auc_score(rows["y_true"], proba, multi_class="ovr", labels=classes)
        assert scores[fold, "macro_auroc"] == pytest.approx(expected, abs=1e-12)
        log_loss = -np.log([p[classes.index(t)] for p, t in zip(proba, rows["y_true"], strict=True)])
        by_class = pd.Series(log_loss).groupby(rows["y_true"].to_numpy()).mean()
        assert scores[fold, "balanced_log_loss"] == pytest.approx(by_class.mean())


def test_score_is_the_mean_over_seeds_and_their_spread_is_shown() -> None:
    run = somb.run("A1", {**FOREST, "logreg": "logreg"}, source="simulated", n_seeds=3, n_jobs=1)
    table = run.summary(0).set_index("model")
    each = run.results.query("model == 'forest' and metric == 'macro_auroc'").groupby("seed")["value"].mean()
    assert list(each.index) == [42, 142, 242] and each.nunique() > 1
    forest = table.loc["forest"]
    expected = (3, pytest.approx(each.mean()), pytest.approx(each.std()))
    assert (forest["seeds"], forest["mean"], forest["seed_sd"]) == expected
    assert table.loc["logreg", "seeds"] == 1 and np.isnan(table.loc["logreg", "seed_sd"])
    runs = [somb.run("A1", FOREST, source="simulated", seed=seed, n_jobs=1) for seed in each.index]
    np.testing.assert_allclose([run.summary(0)["mean"].item() for run in runs], each)


@pytest.mark.parametrize("task", ["A1", "C2"])
def test_replicates_of_several_seeds_are_the_mean_of_each_seeds_by_the_same_draws(task: str) -> None:
    models = {**FOREST, "logreg": "logreg"}
    run = somb.run(task, models, source="simulated", n_seeds=3, n_jobs=1)
    draws = all_replicates(run.predictions, 60)
    forest = run.predictions.query("model == 'forest'")
    each = [replicates(rows, task, 60) for _, rows in forest.groupby("seed")]
    np.testing.assert_allclose(draws[task, "forest"], np.mean(each, axis=0), atol=1e-12)
    for model in models:  # whatever other models there are
        alone = replicates(run.predictions.query("model == @model"), task, 60)
        np.testing.assert_array_equal(draws[task, model], alone)
    logreg = run.predictions.query("model == 'logreg'")
    repeated = pd.concat([logreg.assign(seed=seed) for seed in (42, 142, 242)])
    np.testing.assert_allclose(replicates(repeated, task, 60), draws[task, "logreg"], atol=1e-12)


def test_each_repetition_has_a_seed_of_its_own() -> None:
    tables = {name: somb.load_table(name, "simulated") for name in somb.get_task("C2").tables}
    run = somb.run("C2", {**FOREST, "logreg": "logreg"}, source=tables, n_jobs=1)
    auroc = run.results.query("metric == 'auroc'")
    seeds = auroc.assign(repetition=auroc["fold"].str.partition(".")[0]).groupby(["model", "repetition"])["seed"]
    assert (seeds.nunique() == 1).all() and (seeds.size() == 5).all()
    assert sorted(seeds.first()["forest"]) == [42, 142, 242, 342, 442] and set(seeds.first()["logreg"]) == {42}
    draws = all_replicates(run.predictions, 40)
    by_hand = [replicates(rows, "C2", 40) for _, rows in run.predictions.query("model == 'forest'").groupby("seed")]
    np.testing.assert_allclose(draws["C2", "forest"], np.mean(by_hand, axis=0), atol=1e-12)
