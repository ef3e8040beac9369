"""The day of sampling: which tasks cannot tell their label from it, and a split that leaves it out."""

from dataclasses import replace

import pandas as pd

from somb_utils.errors import UsageError
from somb_utils.tasks import splits
from somb_utils.tasks.task_data import TaskData


def is_phase_task(data: TaskData) -> bool:
    """Return whether all groups share days of sampling, and the label is a function of the day, the same for all."""
    if data.groups is None or data.days is None or data.days.isna().any() or isinstance(data.y, pd.DataFrame):
        return False
    if data.task.split != "loco" or data.y.nunique() < 2 or not (data.y.groupby(data.days).nunique() == 1).all():
        return False
    return bool((data.groups.groupby(data.days).nunique() > 1).any())


def loco_day(data: TaskData) -> TaskData:
    """Leave out a crew member and a day at once.

    Parameters
    ----------
    data
        A phase task: every crew member was sampled on the same days, and the label depends on the day alone.

    Returns
    -------
    TaskData
        Named ``<id>_loco_day``, with one fold per crew member and day, trained on the other crew members' other days.
        Classes sampled on a single day cannot be learned without it; their rows are neither trained on nor tested.

    Raises
    ------
    UsageError
        If it is no phase task, or fewer than two of its classes were sampled on two days.

    Notes
    -----
    All test rows of a fold are of one day, and so of one class. The metrics of a single fold therefore mean little:
    score the predictions of all folds together, as :func:`somb_utils.day_accuracy` does.

    Examples
    --------
    >>> import somb_utils as somb
    >>> data = somb.loco_day(somb.load_task("A1", source="simulated"))
    >>> data.name, len(data.folds), sorted(set(data.y))
    ('A1_loco_day', 24, ['pre_flight', 'recovery'])
    """
    days = phase_days(data)
    assert data.groups is not None and isinstance(data.y, pd.Series)  # of a phase task
    learnable = days.groupby(data.y).nunique() > 1
    if learnable.sum() < 2:
        raise UsageError(f"{data.name}: fewer than two classes were sampled on more than one day")
    kept = data.y.map(learnable)
    return replace(
        data,
        X=data.X[kept],
        y=data.y[kept],
        groups=data.groups[kept],
        days=days[kept],
        folds=tuple(splits.leave_group_and_day_out(data.groups[kept].to_numpy(), days[kept].to_numpy())),
        annotations=data.annotations[kept] if len(data.annotations.columns) else data.annotations,
        ablation=f"{data.ablation}_loco_day" if data.ablation else "loco_day",
    ).check()


def phase_days(data: TaskData) -> pd.Series:
    """Return the days of a phase task; UsageError if it is none."""
    if not is_phase_task(data):
        raise UsageError(f"{data.name}: its label is no function of the day of sampling that all crew share")
    assert data.days is not None
    return data.days
