"""Category J, held-out missions: rows, labels and pathways are the published ones, and so are the scores."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import somb_utils as somb
from somb_utils.errors import SombError, UsageError
from somb_utils.runs.results import RunResult
from somb_utils.stats import bootstrap_interval, permutation_p
from somb_utils.stats.design import design
from somb_utils.tables.sources import FolderSource, SimulatedSource, load_table

PUBLISHED = {"J1": 0.574, "J2": 0.688, "J3": 0.743, "J4": 0.879, "J5": 0.756, "J6": 0.915}
PATHWAYS = {"J1": (1028, 32), "J2": (1016, 30), "J3": (1088, 35), "J4": (1066, 33), "J5": (1103, 34), "J6": (1087, 33)}


@cache
def source(folder: Path) -> FolderSource:
    return FolderSource(folder)


@cache
def logreg(folder: Path) -> RunResult:
    return somb.run("J1,J2,J3,J4,J5,J6", "logreg", source=source(folder), n_jobs=1)


def published(folder: Path, task: str, name: str) -> list[Path]:
    number = task.removeprefix("J")
    return sorted(folder.glob(f"tasks/A{number}_*/fold_*_test/{name}"))


@pytest.mark.parametrize("task", PUBLISHED)
def test_rows_labels_and_folds_are_the_published_ones(task: str, mouse_data: Path) -> None:
    data = somb.load_task(task, source=source(mouse_data))
    labels = {
        file.parent.name.removeprefix("fold_").removesuffix("_test").replace("TBD", "OSD-397"): pd.read_csv(
            file, index_col=0
        ).iloc[:, 0]
        for file in published(mouse_data, task, "test_y.csv")
    }
    assert [fold.label for fold in data.folds] == sorted(labels)
    for fold in data.folds:
        rows = data.y.iloc[fold.test]
        theirs = labels[fold.label].sort_index().map({1.0: "flight", 0.0: "ground"})
        assert rows.index.tolist() == theirs.index.tolist() and (rows == theirs).all()
    assert (len(data.X), data.y.value_counts().to_dict()) == (data.task.n_rows, data.task.class_counts)


@pytest.mark.parametrize("task", PATHWAYS)
def test_variants_have_the_pathways_that_all_missions_have(task: str, mouse_data: Path) -> None:
    reactome, mitocarta = PATHWAYS[task]
    sizes = {None: 50, "reactome": reactome, "mitocarta": mitocarta, "all": 50 + reactome + mitocarta}
    for variant, size in sizes.items():
        X = somb.load_task(task, source=source(mouse_data), ablation=variant).X
        assert X.shape[1] == size and X.notna().all(axis=None)
    with pytest.raises(UsageError, match="no ablation 'kegg'; it has: reactome, mitocarta, all"):
        somb.load_task(task, source=source(mouse_data), ablation="kegg")


def test_the_pooled_task_has_all_rows_of_the_others(mouse_data: Path) -> None:
    pooled = somb.load_task("J7", source=source(mouse_data))
    assert pooled.X.shape == (549, 50) and pooled.groups is not None
    for task in PUBLISHED:
        data = somb.load_task(task, source=source(mouse_data))
        tissue = pooled.groups[data.X.index].unique().tolist()
        assert len(tissue) == 1 and (pooled.groups == tissue[0]).sum() == len(data.X)
        pd.testing.assert_frame_equal(pooled.X.loc[data.X.index, data.X.columns], data.X)


def test_logistic_regression_has_the_published_scores(mouse_data: Path) -> None:
    means = logreg(mouse_data).summary(n_bootstrap=0).set_index("task")["mean"]
    for task, stated in PUBLISHED.items():
        file = mouse_data / "evaluation" / f"A{task[1]}_pathway_hallmark_results.json"
        theirs = json.loads(file.read_text(encoding="utf-8"))["pca_lr"]["mean_auroc"]
        assert means[task] == pytest.approx(theirs, abs=0.0005) and means[task] == pytest.approx(stated, abs=0.002)


def test_permutation_within_mission_finds_four_tissues_and_not_the_liver(mouse_data: Path) -> None:
    predictions = logreg(mouse_data).predictions
    p = {task: permutation_p(predictions[predictions["task"] == task], task) for task in PUBLISHED}
    assert all(p[task] <= 0.02 for task in ("J3", "J4", "J5", "J6")) and p["J1"] > 0.05, p


def test_rows_of_mhu_1_in_the_tables_of_mhu_2_are_left_out(mouse_data: Path) -> None:
    first, second = (load_table(f"mouse_thymus_{m}_hallmark", source(mouse_data)) for m in ("MHU-1", "MHU-2"))
    repeated = set(first["sample"]) & set(second["sample"])
    assert len(repeated) == 9
    data = somb.load_task("J4", source=source(mouse_data))
    taken = first.set_index("sample").loc[sorted(repeated & set(data.X.index)), data.X.columns]
    assert len(taken) == 6 and data.X.loc[taken.index].equals(taken)
    assert data.groups is not None and set(data.groups[taken.index]) == {"MHU-1"}


def test_two_samples_of_an_animal_are_one_sampling_unit(mouse_data: Path) -> None:
    data = somb.load_task("J5", source=source(mouse_data))
    units = data.X.index.map(data.task.features.sampling_unit)
    sizes = data.y.groupby(units).agg(["size", "nunique"])
    assert sizes["size"].value_counts().to_dict() == {1: 68, 2: 17} and (sizes["nunique"] == 1).all()
    pairs = [rows.tolist() for _, rows in data.X.index.to_series().groupby(units) if len(rows) == 2]
    assert all("_DSKN_" in a and "_FSKN_" in b and a[-3:] == b[-3:] for a, b in map(sorted, pairs))
    assert len(set(data.groups[[row for pair in pairs for row in pair]])) == 1  # type: ignore[index]


def small() -> tuple[RunResult, str]:
    return somb.run("J5", "logreg", source="simulated", n_jobs=1), "J5"


def test_two_intervals_answer_two_questions() -> None:
    run, task = small()
    row = run.summary(n_bootstrap=400).iloc[0]
    new, these = (bootstrap_interval(run.predictions, task, 400, these=which) for which in (False, True))
    assert new == (row["low"], row["high"]) and these == (row["low_these"], row["high_these"])
    assert new != these and these[0] < row["mean"] < these[1]
    plan = design(run.predictions, task)
    strata = np.diff(plan.strata)
    assert len(strata) == 6 and strata.sum() == 91, "animals are drawn within three missions and two labels"
    with pytest.raises(UsageError, match="neither missions nor tissues"):
        bootstrap_interval(somb.run("A1", "majority", source="simulated", n_jobs=1).predictions, "A1", 10, these=True)


def test_animals_of_a_mission_that_ranks_perfectly_leave_no_width() -> None:
    run, task = small()
    perfect = run.predictions.assign(y_score=(run.predictions["y_true"] == "flight").astype(float))
    assert bootstrap_interval(perfect, task, 100, these=True) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t["mouse_eye_RR-1_samples"].replace("GC", "BC"), r"has the label 'BC', not one of Flight, GC, VC"),
        (lambda t: t["mouse_eye_RR-1_samples"].assign(sample="x"), "repeats the identifier x"),
        (
            lambda t: t["mouse_eye_RR-1_samples"].assign(sample=lambda f: "z" + f["sample"]),
            "12 rows have labels but no features, the first is 'z",
        ),
        (lambda t: t["mouse_eye_RR-1_samples"].drop(columns="label"), "column 'label' is missing"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(change: Callable, message: str) -> None:
    simulated = SimulatedSource()
    tables = {name: simulated.load(name) for name in somb.get_task("J6").tables}
    tables["mouse_eye_RR-1_samples"] = change(tables)
    with pytest.raises(SombError, match=message):
        somb.load_task("J6", source=tables)
