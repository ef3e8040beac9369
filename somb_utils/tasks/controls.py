"""Controls of a task: tasks made of it whose scores are known beforehand, or that ask for the group instead."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedKFold

from somb_utils.tasks import splits
from somb_utils.tasks.definitions import Metrics
from somb_utils.tasks.splits import Fold
from somb_utils.tasks.task_data import TaskData

STEP = 5.0  # standard deviations by which each feature separates two classes of the positive control


POSITIVE, NEGATIVE, NUISANCE = "positive", "negative", "nuisance"


def controls_of(data: TaskData, n_permutations: int, seed: int) -> dict[str, list[TaskData]]:
    """Return the controls of a task by kind; a kind that it cannot have is empty."""
    recognised = nuisance(data)
    return {
        POSITIVE: [positive(data)],
        NEGATIVE: negatives(data, n_permutations, seed),
        NUISANCE: [recognised] if recognised else [],
    }


def positive(data: TaskData) -> TaskData:
    """Return the task with an effect in its features that any model must find.

    Every feature orders the classes in another way, five of its standard deviations apart; in a multilabel task it is
    raised by one of the labels. Missing values stay missing.
    """
    n_classes, n_features = len(data.task.classes), data.X.shape[1]
    steps = (np.arange(n_classes)[:, None] + np.arange(n_features)) % n_classes
    effect = data.codes @ (steps == 0) if data.task.type == "multilabel" else steps[data.codes]
    sd = data.X.std(ddof=0).replace(0.0, np.nan).fillna(1.0)
    return _control(data, POSITIVE, X=data.X + STEP * sd.to_numpy() * effect, folds=_tested_once(data.folds))


def negatives(data: TaskData, n: int, seed: int) -> list[TaskData]:
    """Return the task with `n` permuted label sets; none if labels vary neither within a group nor within a fold.

    Labels are exchanged among the rows that one fold tests (in a grouped task, those of one group), and among those
    that none tests. So test labels are independent of training labels, and each fold keeps its class counts.
    """
    folds = _tested_once(data.folds)
    fold_of = np.full(len(data.X), -1)
    for number, fold in enumerate(folds):
        fold_of[fold.test] = number
    cells = pd.DataFrame({"fold": fold_of, "group": "" if data.groups is None else data.groups.to_numpy()})
    blocks = list(cells.groupby(["fold", "group"]).indices.values())
    if all(len(data.y.iloc[block].drop_duplicates()) == 1 for block in blocks):
        return []
    made = []
    for i in range(n):
        rng, order = np.random.default_rng([seed, i]), np.arange(len(data.X))
        for block in blocks:
            order[block] = rng.permutation(block)
        made.append(_control(data, f"{NEGATIVE}{i}", y=data.y.iloc[order].set_axis(data.y.index), folds=folds))
    return made


def nuisance(data: TaskData) -> TaskData | None:
    """Return the task of recognising the group of a row; None without groups, or if one of them has a single row.

    Days are left out one at a time, if each group was sampled on several; else the folds are stratified by group.
    """
    groups, days = data.groups, data.days
    if groups is None or groups.value_counts().min() < 2:
        return None
    if days is not None and days.notna().all() and (days.groupby(groups).nunique() > 1).all():
        folds = splits.leave_one_group_out(days.to_numpy())
    else:
        days, k = None, min(splits.REPETITIONS, groups.value_counts().min())
        pairs = StratifiedKFold(k, shuffle=True, random_state=splits.SEED).split(groups, groups)
        folds = [Fold(str(number), train, test) for number, (train, test) in enumerate(pairs)]
    fields = {
        "type": "multiclass",
        "classes": tuple(sorted(set(groups))),
        "metrics": Metrics(primary="macro_auroc", secondary=("accuracy",)),
        "label_by_day": False,
    }
    task = data.task.model_copy(update=fields)
    return _control(data, NUISANCE, task=task, y=groups, groups=days, folds=tuple(folds))


def _tested_once(folds: Sequence[Fold]) -> tuple[Fold, ...]:
    """Return the folds that test no row that an earlier one tests: one repetition of complete cross-validation."""
    kept: list[Fold] = []
    for fold in folds:
        if not any(np.isin(fold.test, other.test).any() for other in kept):
            kept.append(fold)
    return tuple(kept)


def _control(data: TaskData, kind: str, **changes: Any) -> TaskData:
    return replace(data, ablation=f"{data.ablation}_{kind}" if data.ablation else kind, **changes).check()
