"""What can mislead in held-out missions: each hazard as a number or a table, computed from the tables of the tasks."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from somb_utils.stats.design import OF_ANIMALS
from somb_utils.tables.sources import Source
from somb_utils.tasks.definitions import Task
from somb_utils.tasks.task_data import TaskData


def samples(task: Task, source: Source) -> pd.DataFrame:
    """Return the samples of a task: label, and the mission or tissue that is left out with each (`group`)."""
    missions = task.features.missions  # type: ignore[union-attr]
    parts = [source.load(mission.samples).assign(group=mission.group) for mission in missions]
    return pd.concat(parts, ignore_index=True).set_index("sample")


def centring(data: TaskData, seeds: int = 5) -> dict[str, float]:
    """Return how near the scores' means are to 0 in each mission, and how well the scores tell the mission.

    `mission` is the balanced accuracy of a logistic regression that predicts the mission, by stratified
    cross-validation over all samples, a mean over partitions; `chance` is one over the number of missions.
    """
    groups = data.groups
    assert groups is not None  # of held-out missions
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, class_weight="balanced"))
    k = min(5, groups.value_counts().min())
    partitions = [StratifiedKFold(k, shuffle=True, random_state=seed) for seed in range(seeds)]
    called = [cross_val_predict(model, data.X, groups, cv=folds) for folds in partitions]
    return {
        "largest_mean": float(data.X.groupby(groups).mean().abs().to_numpy().max()),
        "sd": float(data.X.std().mean()),
        "mission": float(np.mean([balanced_accuracy_score(groups, each) for each in called])),
        "chance": 1 / groups.nunique(),
    }


def repeated_samples(task: Task, source: Source) -> pd.DataFrame:
    """Return which tables of scores hold samples of another mission's table, and by how much the scores differ."""
    missions = task.features.missions  # type: ignore[union-attr]
    names = [(m.group, f"{stem}_{task.features.collections[0]}") for m in missions for stem in m.scores]  # type: ignore[union-attr]
    tables = {key: source.load(key[1]).set_index("sample") for key in names}
    rows = []
    for i, (first, one) in enumerate(tables.items()):
        for second, other in list(tables.items())[i + 1 :]:
            shared = one.index.intersection(other.index)
            if first[0] != second[0] and len(shared):
                gap = float((one.loc[shared] - other.loc[shared]).abs().to_numpy().max())
                rows.append({"samples of": first[0], "are in": second[1], "how many": len(shared), "differ by": gap})
    return pd.DataFrame(rows)


def sampled_twice(data: TaskData) -> pd.Series:
    """Return the number of samples of each animal that has several."""
    sizes = data.X.index.to_series().map(data.task.features.sampling_unit).value_counts()
    return sizes[sizes > 1]


def strains(table: pd.DataFrame) -> pd.DataFrame:
    """Return the strains that the samples' names state, by mission and label, beside the column of the table."""
    named = table.index.to_series().str.extract(r"Mmus_([^_]+)_")[0].fillna("not named")
    stated = table["strain"].fillna("not stated") if "strain" in table else "not stated"
    rows = table.assign(named=named, stated=stated)
    rows["label"] = np.where(rows["label"] == "Flight", "flight", "ground")
    counts = rows.groupby(["group", "named", "stated", "label"]).size().unstack(fill_value=0)
    return counts.rename_axis(columns=None).reset_index()


def steps(data: TaskData) -> pd.Series:
    """Return by how much one pair of animals moves the AUROC of each fold: 1 / (flight × ground)."""
    flight = data.y == data.task.classes[1]
    assert data.groups is not None  # of held-out missions
    return 1 / (flight.groupby(data.groups).sum() * (~flight).groupby(data.groups).sum())


def overview(tasks: Mapping[str, TaskData], source: Source) -> pd.DataFrame:
    """Return these numbers for every task of missions among `tasks`."""
    rows = {}
    for name, data in tasks.items():
        if data.task.split in OF_ANIMALS:
            repeated = repeated_samples(data.task, source)
            rows[name] = {
                **centring(data),
                "repeated samples": int(repeated["how many"].sum()) if len(repeated) else 0,
                "animals with two samples": len(sampled_twice(data)),
                "largest step": steps(data).max(),
            }
    return pd.DataFrame.from_dict(rows, orient="index")
