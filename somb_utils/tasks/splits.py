"""The fold rules, which reproduce the published index lists exactly."""

from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import StratifiedKFold, StratifiedShuffleSplit

SEED = 42
REPETITIONS = 5


@dataclass(frozen=True)
class Fold:
    """One train and test pair.

    Parameters
    ----------
    label
        The crew member, time point or repetition held out.
    train, test
        Row positions, shape (n_train,) and (n_test,).
    """

    label: str
    train: np.ndarray
    test: np.ndarray


def leave_one_group_out(groups: np.ndarray) -> list[Fold]:
    """Return one fold per group, groups sorted as text (LOCO over crew, LOTO over time points)."""
    rows = np.arange(len(groups))
    return [Fold(str(group), rows[groups != group], rows[groups == group]) for group in sorted(set(groups.tolist()))]


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
