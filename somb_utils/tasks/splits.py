"""The fold rules: the published ones, whose index lists are reproduced exactly, and complete cross-validation."""

from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, StratifiedShuffleSplit

SEED = 42
REPETITIONS = 5
# What a split leaves out, fold by fold.
LEFT_OUT = {"loco": "crew member", "loto": "time point", "lomo": "mission", "lotissue": "tissue"}
IN_WORDS = {split: f"leave one {what} out" for split, what in LEFT_OUT.items()} | {
    "skf5": "first fold of five stratified 5-fold splits",
    "sss5": "five stratified shuffles, 80 % to train",
    "cv5x5": "complete 5 × 5 cross-validation",
    "own": "stated by the user",
}


@dataclass(frozen=True)
class Fold:
    """One train and test pair.

    Parameters
    ----------
    label
        The crew member, time point, mission, tissue or repetition held out; ``0.3`` is the fourth fold of the first
        repetition.
    train, test
        Row positions, shape (n_train,) and (n_test,).
    """

    label: str
    train: np.ndarray
    test: np.ndarray


def leave_one_group_out(groups: np.ndarray) -> list[Fold]:
    """Return one fold per group, groups sorted as text: crew members, time points, missions or tissues."""
    rows = np.arange(len(groups))
    return [Fold(str(group), rows[groups != group], rows[groups == group]) for group in sorted(set(groups.tolist()))]


def leave_group_and_day_out(groups: np.ndarray, days: np.ndarray) -> list[Fold]:
    """Return one fold per group and day, sorted as text, trained on other groups and other days."""
    rows, folds = np.arange(len(groups)), []
    for group, day in sorted(set(zip(groups.tolist(), days.tolist(), strict=True))):
        train = (groups != group) & (days != day)
        folds.append(Fold(f"{group}_{day}", rows[train], rows[(groups == group) & (days == day)]))
    return folds


def repeated_first_fold(stratify: np.ndarray) -> list[Fold]:
    """Return the first fold of five differently seeded stratified 5-fold splits (SKF5)."""
    folds = []
    for repetition in range(REPETITIONS):
        splitter = StratifiedKFold(5, shuffle=True, random_state=SEED + repetition)
        train, test = next(splitter.split(np.zeros(len(stratify)), stratify))
        folds.append(Fold(str(repetition), train, test))
    return folds


def shuffled(stratify: np.ndarray) -> list[Fold]:
    """Return five stratified 80/20 shuffles (SSS5); test positions are in the order of the draw."""
    splitter = StratifiedShuffleSplit(n_splits=REPETITIONS, train_size=0.8, random_state=SEED)
    pairs = splitter.split(np.zeros(len(stratify)), stratify)
    return [Fold(str(repetition), train, test) for repetition, (train, test) in enumerate(pairs)]


def complete(stratify: np.ndarray, relatives: np.ndarray | None, repetitions: int = REPETITIONS) -> list[Fold]:
    """Return all folds of differently seeded stratified 5-fold splits (5 × 5); relatives stay together."""
    splitter = StratifiedKFold if relatives is None else StratifiedGroupKFold
    return [
        Fold(f"{repetition}.{k}", train, test)
        for repetition in range(repetitions)
        for k, (train, test) in enumerate(
            splitter(5, shuffle=True, random_state=SEED + repetition).split(stratify, stratify, relatives)
        )
    ]
