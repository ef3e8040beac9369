"""What the real tables show under the protocol ``rigorous``, and what the other protocols hide."""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, f1_score

import somb_utils as somb
from somb_utils.tasks.definitions import Protocol, Task, get_task
from somb_utils.tasks.splits import complete


@pytest.fixture(scope="module")
def processed(open_data: Path) -> Path:
    return open_data / "processed"


@cache
def score(task: str, model: str, protocol: Protocol, folder: Path, metric: str) -> float:
    run = somb.run(task, model, protocol=protocol, source=folder, n_jobs=1)
    return float(run.results.query("metric == @metric")["value"].mean())


@pytest.mark.parametrize(("task", "aligned"), [("C1", 0.512), ("G1", 0.417)])
def test_gaps_kept_as_gaps_show_what_the_preparation_hid(task: str, aligned: float, processed: Path) -> None:
    assert score(task, "logreg", "rigorous", processed, "macro_f1") == pytest.approx(0.889, abs=0.02)
    assert score(task, "logreg", "aligned", processed, "macro_f1") == pytest.approx(aligned, abs=5e-4)


def test_rows_that_could_not_be_positive_are_left_out(processed: Path) -> None:
    e3, i2 = (somb.load_task(task, source=processed) for task in ("E3", "I2"))
    assert (len(e3.X), e3.y.value_counts()["changed"]) == (934, 18)
    assert (len(i2.X), i2.y.value_counts()["conserved"]) == (201, 146)
    assert len(somb.load_task("E3", "aligned", processed).X) > 10 * 934


def test_the_vasculature_stands_under_the_name_of_the_whole_skin(processed: Path) -> None:
    conserved = pd.read_csv(processed / "gt_conserved_degs.csv").drop_duplicates("human_gene").set_index("human_gene")
    layer = somb.load_table("gt_spatial_de_all_skin", processed).set_index("gene")
    genes = conserved.index.intersection(layer.index)
    both = conserved.loc[genes, ["skin_VA", "skin_VA.padj"]], layer.loc[genes, ["log2FoldChange", "adj_pval"]]
    assert len(genes) == 710
    np.testing.assert_allclose(*(frame.to_numpy() for frame in both), atol=1e-6)
    correlation = conserved.loc[genes, "skin"].corr(layer.loc[genes, "log2FoldChange"])
    assert correlation == pytest.approx(0.697, abs=5e-4)


def test_no_cut_of_b2_beats_the_commonest_label_in_every_gene(processed: Path) -> None:
    data = somb.load_task("B2", "aligned", processed)
    f1 = []
    for fold in data.folds:
        constant = np.zeros_like(data.codes[fold.test])
        constant[:, data.codes[fold.train].sum(axis=0).argmax()] = 1
        f1.append(f1_score(data.codes[fold.test], constant, average="micro"))
    assert np.mean(f1) == pytest.approx(0.166, abs=5e-4)
    assert score("B2", "logreg", "aligned", processed, "micro_f1") == pytest.approx(0.154, abs=5e-4)
    rigorous = somb.load_task("B2", source=processed)
    shares = [
        average_precision_score(rigorous.codes[f.test].ravel(), np.tile(rigorous.codes[f.train].mean(0), len(f.test)))
        for f in rigorous.folds
    ]
    assert rigorous.chance == pytest.approx(np.mean(shares), abs=1e-12)


FIRST_FOLDS = {
    ("E1", "rf", "auprc"): (0.038, 0.012),
    ("H1", "lightgbm", "auprc"): (0.284, 0.219),
    ("H1", "rf", "auprc"): (0.300, 0.267),
    ("B2", "rf", "micro_f1"): (0.189, 0.162),
    ("E4", "logreg", "auprc"): (0.022, 0.014),
    ("E3", "logreg", "auprc"): (0.172, 0.119),
}


def with_every_fold(task: Task, folder: Path) -> somb.TaskData:
    """Return a task as ``aligned`` builds it, with complete folds that do not know of relatives."""
    data = somb.load_task(task, "aligned", folder)
    y = (data.codes.sum(axis=1) > 0).astype(int) if data.codes.ndim > 1 else data.codes
    return somb.TaskData(**{**vars_of(data), "folds": tuple(complete(y, None))})


def vars_of(data: somb.TaskData) -> dict[str, object]:
    return {name: getattr(data, name) for name in data.__dataclass_fields__}


@pytest.mark.parametrize(
    ("task", "model", "metric"),
    [pytest.param(*key, marks=() if key[1] == "logreg" else pytest.mark.slow) for key in FIRST_FOLDS],
)
def test_five_first_folds_were_lucky(task: str, model: str, metric: str, processed: Path) -> None:
    first, every = FIRST_FOLDS[task, model, metric]
    run = somb.run(with_every_fold(get_task(task), processed), model, n_jobs=1)
    assert score(task, model, "aligned", processed, metric) == pytest.approx(first, abs=1e-3)
    assert run.results.query("metric == @metric")["value"].mean() == pytest.approx(every, abs=1e-3)


@pytest.mark.slow
def test_relatives_on_both_sides_raise_scores(processed: Path) -> None:
    d1 = get_task("D1")
    by_rows = d1.features.model_copy(update={"formulas_together": False})
    i2 = {"features": {"relatives": "same_family"}, "n_rows": 452}
    together = get_task("I2").model_copy(update={"rigorous": {**i2, "class_counts": get_task("I2").class_counts}})
    forest = {
        "D1 by rows": somb.run(with_every_fold(d1.model_copy(update={"features": by_rows}), processed), "rf"),
        "D1": somb.run("D1", "rf", source=processed),
        "I2 by rows": somb.run(with_every_fold(get_task("I2"), processed), "rf"),
        "I2": somb.run(together, "rf", source=processed),
    }
    auroc = {name: run.summary(0)["mean"].item() for name, run in forest.items()}
    assert auroc == pytest.approx({"D1 by rows": 0.662, "D1": 0.632, "I2 by rows": 0.730, "I2": 0.620}, abs=0.02)
