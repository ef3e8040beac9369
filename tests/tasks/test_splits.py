"""The split rules give the published folds exactly, and are proper splits of any labels."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from somb_utils.tables.sources import FolderSource
from somb_utils.tasks import splits
from somb_utils.tasks.definitions import select_tasks
from somb_utils.tasks.task_data import load_task

FILES = {"A1": "loco_clinical", "A2": "loco_clinical", "C1": "loco_proteomics", "G1": "loco_multimodal"}
FILES |= {"F4": "loco_microbiome_human", "F5": "loco_microbiome_human"}
ABSENT = {"B1", "F1", "F2", "F3"}


@pytest.fixture(scope="module")
def source(open_data: Path) -> FolderSource:
    return FolderSource(open_data / "processed")


@pytest.mark.parametrize("task_id", sorted({task.id for task in select_tasks()} - ABSENT))
@pytest.mark.parametrize("protocol", ["published", "aligned"])
def test_folds_are_the_published_ones(task_id: str, protocol: str, source: FolderSource, published_files: Path) -> None:
    data = load_task(task_id, protocol, source)  # type: ignore[arg-type]
    file = published_files / "splits" / f"{FILES.get(task_id, f'feature_split_{task_id}')}.json"
    published = json.loads(file.read_text(encoding="utf-8"))
    same = [
        fold.train.tolist() == entry["train_indices"] and fold.test.tolist() == entry["test_indices"]
        for fold, entry in zip(data.folds, published, strict=True)
    ]
    # C2's published folds are stratified on labels in another row order.
    assert all(same) is (protocol == "published" or task_id != "C2")


def test_environmental_folds_are_the_published_ones(source: FolderSource, published_files: Path) -> None:
    metadata = source.load("microbiome_metadata")
    rows = metadata[metadata["source"] == "human"]["timepoint"].tolist()
    rows += metadata[metadata["source"] == "environmental"]["timepoint"].tolist()
    published = json.loads((published_files / "splits" / "loto_microbiome.json").read_text(encoding="utf-8"))
    folds = splits.leave_one_group_out(np.array(rows))
    for fold, entry in zip(folds, published, strict=True):
        assert fold.label == entry["test_timepoint"]
        assert fold.train.tolist() == entry["train_indices"] and fold.test.tolist() == entry["test_indices"]


def test_b1_folds_are_the_published_ones(source: FolderSource, published_files: Path) -> None:
    # B1's features are not here; its genes and labels are, in two other tables.
    genes = source.load("gt_hemoglobin_de")["gene"]
    label = genes.isin(source.load("cfrna_466drr")["gene"]).astype(int).to_numpy()
    published = json.loads((published_files / "splits" / "feature_split_B1.json").read_text(encoding="utf-8"))
    for fold, entry in zip(splits.repeated_first_fold(label), published, strict=True):
        assert fold.train.tolist() == entry["train_indices"] and fold.test.tolist() == entry["test_indices"]


def test_c2_published_folds_are_unbalanced_and_aligned_ones_are_not(source: FolderSource) -> None:
    shares = {
        protocol: [data.codes[fold.test].mean() for fold in data.folds]
        for protocol in ("published", "aligned")
        if (data := load_task("C2", protocol, source))  # type: ignore[arg-type]
    }
    assert min(shares["published"]) < 0.26 and max(shares["published"]) > 0.37
    assert max(shares["aligned"]) - min(shares["aligned"]) < 0.02


@given(st.lists(st.sampled_from("abcde"), min_size=1, max_size=60))
def test_leave_one_group_out_tests_every_row_once(groups: list[str]) -> None:
    array = np.array(groups)
    folds = splits.leave_one_group_out(array)
    assert sorted(np.concatenate([fold.test for fold in folds])) == list(range(len(groups)))
    for fold in folds:
        assert set(array[fold.test]) == {fold.label} and fold.label not in set(array[fold.train])
        assert len(fold.train) + len(fold.test) == len(groups)


@given(st.integers(10, 60), st.integers(10, 60), st.sampled_from([splits.repeated_first_fold, splits.shuffled]))
def test_stratified_splits_keep_class_shares(negatives: int, positives: int, split) -> None:  # type: ignore[no-untyped-def]
    y = np.array([0] * negatives + [1] * positives)
    for fold in split(y):
        assert sorted(np.concatenate([fold.train, fold.test])) == list(range(len(y)))
        assert abs(y[fold.test].sum() - positives / 5) < 1.5
