"""What pairing rows by position cost: the same task in both protocols, side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from somb_utils.audit import spread
from somb_utils.audit.census import DIGITS
from somb_utils.leaderboard.board import Board, fit
from somb_utils.notebook import Session
from somb_utils.notebook.parameters import Parameters
from somb_utils.reference.published import published_primary, published_scores
from somb_utils.runs.baselines import RANDOM
from somb_utils.runs.models import SEED
from somb_utils.runs.runner import run
from somb_utils.tasks.definitions import PROTOCOLS, catalogue
from somb_utils.tasks.task_data import TaskData, load_task

Pair = tuple[TaskData, TaskData]  # a task, aligned and as published


def pairs(session: Session) -> dict[str, Pair]:
    """Return each of the session's tasks that has its tables, aligned and as published."""
    return {
        name: (load_task(name, "aligned", session.source), load_task(name, "published", session.source))
        for name in session.tasks
    }


def same_but_for_order(aligned: TaskData, published: TaskData) -> bool:
    """Return whether rows, labels, features and test folds are the same in both protocols, columns in any order."""
    folds = zip(aligned.folds, published.folds, strict=True)
    return (
        aligned.X.index.equals(published.X.index)
        and np.array_equal(aligned.codes, published.codes)
        and aligned.X.equals(published.X.reindex(columns=aligned.X.columns))
        and all(np.array_equal(a.test, b.test) for a, b in folds)
    )


def pairing(aligned: TaskData, published: TaskData) -> pd.DataFrame:
    """Count the rows that keep their own sample's features when rows are paired by position.

    One row per block of features (of a multimodal task one for each of its tables, else all features): task, features,
    rows, own (rows that have their own sample's values) and same_class (rows whose values come from some sample of
    their class).
    """
    columns = aligned.X.columns
    if aligned.task.features.recipe != "multimodal":
        return pd.DataFrame([_pairing(aligned, published, "all", columns)])
    blocks = columns.str.partition(":").get_level_values(0)
    names = dict.fromkeys(blocks)
    return pd.DataFrame([_pairing(aligned, published, name, columns[blocks == name]) for name in names])


def _pairing(aligned: TaskData, published: TaskData, block: str, columns: pd.Index) -> dict[str, object]:
    right, paired = (
        pd.util.hash_pandas_object(data.X[columns].fillna(0.0).round(DIGITS), index=False).set_axis(data.X.index)
        for data in (aligned, published)
    )
    label = aligned.y.set_axis(right) if isinstance(aligned.y, pd.Series) else None
    donor = paired.map(label[~label.index.duplicated()]) if label is not None else None
    return {
        "task": aligned.task.id,
        "features": block,
        "rows": len(right),
        "own": int((right == paired.loc[right.index]).sum()),
        "same_class": int((donor == aligned.y.loc[paired.index]).sum()) if donor is not None else None,
    }


def fold_shares(aligned: TaskData, published: TaskData) -> pd.DataFrame:
    """Return the share of positives in each test fold under both protocols, in percent."""
    return pd.DataFrame(
        {
            data.protocol: {fold.label: 100 * data.codes[fold.test].mean() for fold in data.folds}
            for data in (published, aligned)
        }
    ).rename_axis("fold")


def surplus_atoms(aligned: TaskData, published: TaskData) -> pd.DataFrame:
    """Return how many atoms too many the published counter finds, metabolites × counted elements."""
    atoms = [column for column in aligned.X.columns.astype(str) if column.startswith("n_")]
    return published.X.loc[aligned.X.index, atoms] - aligned.X[atoms]


def atom_counts(aligned: TaskData, published: TaskData) -> pd.DataFrame:
    """Return, for each counted element, how many metabolites the published counter gives too many atoms."""
    surplus = surplus_atoms(aligned, published)
    counts = {"metabolites": (surplus > 0).sum(), "largest surplus": surplus.max().astype(int)}
    return pd.DataFrame(counts).rename_axis("count of")


def both(parameters: Parameters) -> pd.DataFrame:
    """Fit the models under both protocols and return the scores, with intervals, one row per task, model and protocol.

    The columns are those of a run's summary, and `stated`: the published score, missing on other than real tables.
    """
    boards = [
        Board(fit(parameters.model_copy(update={"protocol": protocol})), parameters.n_bootstrap, parameters.seed)
        for protocol in PROTOCOLS
    ]
    table = pd.concat([board.summary for board in boards], ignore_index=True)
    stated = published_primary().rename(columns={"mean": "stated"})[["task", "model", "metric", "stated"]]
    if boards[0].source != "open":
        return table.assign(stated=np.nan)
    return table.merge(stated, how="left", on=["task", "model", "metric"])


def side_by_side(scores: pd.DataFrame) -> pd.DataFrame:
    """Return scores of `both` with one row per task and model, the protocols side by side.

    Columns: task, model, metric, chance, stated, published and aligned (text, with intervals) and gain (aligned minus
    published).
    """
    key = ["task", "model", "metric"]
    text = [f"{m:.3f} [{low:.3f}, {high:.3f}]" for m, low, high in scores[["mean", "low", "high"]].to_numpy()]
    shown = scores.assign(text=text).pivot(index=key, columns="protocol", values="text")
    means = scores.pivot(index=key, columns="protocol", values="mean")
    first = scores[scores["protocol"] == "aligned"].set_index(key)
    table = first[["chance", "stated"]].join(shown[["published", "aligned"]])
    return table.assign(gain=means["aligned"] - means["published"]).reset_index().rename_axis(columns=None)


def draws_for_chance(tasks: Mapping[str, TaskData], seeds: pd.DataFrame) -> pd.DataFrame:
    """Set the published random draw of each task beside the exact chance level and other draws of the same model.

    `seeds` are scores over seeds (`somb_utils.audit.seed_scores`). Indexed by task: published_draw, exact_chance
    (missing without tables, but 0.5 where the metric is AUROC), and lowest, mean and highest over the seeds.
    """
    published = published_primary().query("model == @RANDOM").set_index("task")
    published = published[published.index.isin(list(catalogue()))]
    exact = {name: data.chance for name, data in tasks.items()}
    known = [exact.get(str(t), 0.5 if m == "auroc" else np.nan) for t, m in published["metric"].items()]
    draws = spread(seeds[(seeds["model"] == RANDOM) & (seeds["protocol"] == "aligned")]).set_index("task")
    table = pd.DataFrame({"published_draw": published["mean"], "exact_chance": known}, index=published.index)
    return table.join(draws[["lowest", "mean", "highest"]])


def by_column_order(
    aligned: TaskData, published: TaskData, models: Any, seed: int = SEED, n_jobs: int = 1
) -> pd.DataFrame:
    """Separate what the order of columns does to a score from what is in them, on a task with the same columns in both.

    Indexed by model, the primary score of: published, reordered (the aligned task, its columns in the published order)
    and aligned.
    """
    reordered = replace(aligned, X=aligned.X[published.X.columns])
    orders = {"published": published, "reordered": reordered, "aligned": aligned}
    scores = {
        name: run([data], models, seed=seed, n_jobs=n_jobs).summary().set_index("model")["mean"]
        for name, data in orders.items()
    }
    return pd.DataFrame(scores)


def models_by_task(tasks: Sequence[str]) -> pd.DataFrame:
    """Return which models have a published score on which task, under the names they were published with."""
    scores = published_scores()
    scores = scores[scores["task"].isin(list(tasks))]
    return pd.crosstab(scores["model"], scores["task"]).gt(0).replace({True: "scored", False: ""})


def same_rows(pairs: Mapping[str, Pair], scores: pd.DataFrame, least: float = 0.005) -> pd.DataFrame:
    """Return scores that differ by `least` between protocols on tasks that differ in the order of columns alone.

    Columns: task, model, metric, published, aligned and difference, the largest first.
    """
    alike = [name for name, pair in pairs.items() if same_but_for_order(*pair)]
    means = scores.pivot(index=["task", "model", "metric"], columns="protocol", values="mean").reset_index()
    table = means[means["task"].isin(alike)].assign(difference=lambda t: t["aligned"] - t["published"])
    table = table[["task", "model", "metric", "published", "aligned", "difference"]]
    table = table[table["difference"].abs() >= least].rename_axis(columns=None)
    return table.sort_values("difference", key=np.abs, ascending=False, ignore_index=True)
