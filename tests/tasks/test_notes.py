"""Figures in the notes of task definitions follow from the real tables."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import somb_utils as somb
from somb_utils.errors import SombError
from somb_utils.tasks.day import is_phase_task


def noted(task: str, text: str) -> bool:
    return any(text in note for note in somb.get_task(task).notes)


def first_component(X: pd.DataFrame) -> np.ndarray:
    centered = (X - X.mean()).to_numpy(dtype=float)
    return np.linalg.svd(centered, full_matrices=False)[0][:, 0]


def test_zeros_in_the_place_of_missing_proteins_make_missingness_the_main_variance(open_data: Path) -> None:
    gaps = somb.load_task("C1", "rigorous", open_data / "processed").X
    zeros = somb.load_task("C1", "aligned", open_data / "processed").X.loc[gaps.index, gaps.columns]
    between = gaps.notna() * gaps.mean()  # each value replaced by the mean of the seen, or by 0
    share = ((between - zeros.mean()) ** 2).to_numpy().sum() / ((zeros - zeros.mean()) ** 2).to_numpy().sum()
    r = abs(np.corrcoef(first_component(zeros), first_component(gaps.isna()))[0, 1])
    assert noted("C1", f"{share:.0%} of the variance".replace("%", " %")) and noted("C1", f"correlates {r:.3f} with")
    assert noted("C1", f"({gaps.isna().to_numpy().mean():.0%}) become 0".replace("%", " %"))
    assert noted("C1", f"from {gaps.min().min():.1f} to {gaps.max().max():.1f} before")


@pytest.mark.parametrize("task", ["F4", "F5"])
def test_swabs_without_pathways_are_named(task: str, open_data: Path) -> None:
    X = somb.load_task(task, source=open_data / "processed").X
    empty = X.index[(X == 0).all(axis=1)]
    assert noted(task, f"{' and '.join(empty)} have no pathway")


@pytest.mark.parametrize("task", somb.select_tasks(), ids=lambda task: task.id)
def test_definitions_say_whether_the_label_is_a_function_of_the_day(task: somb.Task) -> None:
    try:
        data = somb.load_task(task, source="simulated")
    except SombError as error:
        pytest.skip(str(error))
    assert is_phase_task(data) == task.label_by_day
