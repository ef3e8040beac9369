"""What pairing rows by position cost: the same task in both protocols, side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from somb_utils.audit.stability import spread
from somb_utils.leaderboard.board import Board, fit
from somb_utils.notebook import Session
from somb_utils.notebook.parameters import Parameters
from somb_utils.reference.published import published_primary, published_scores
from somb_utils.runs.models import SEED
from somb_utils.runs.runner import run
from somb_utils.tasks.definitions import PROTOCOLS, catalogue
from somb_utils.tasks.task_data import TaskData, load_task

MISPAIRED = ("C2", "D1", "F1", "F2", "F3", "F4", "F5", "G1")


def pairs(session: Session, names: Sequence[str]) -> dict[str, tuple[TaskData, TaskData]]:
    """Return each task that has its tables, aligned and as published."""
    return {
        name: (load_task(name, "aligned", session.source), load_task(name, "published", session.source))
        for name in names
        if name in session.tasks
    }


def pairing(aligned: TaskData, published: TaskData) -> pd.DataFrame:
    """Count the rows that keep their own sample's features when rows are paired by position.

    Returns
    -------
    DataFrame
        One row a block of features (all of them, or G1's three): task, features, rows, own (rows that have their own
        sample's values) and same_class (rows that have those of some sample of their class).
    """
    columns = aligned.X.columns
    joined = aligned.task.features.recipe == "multimodal"
    blocks = columns.str.partition(":").get_level_values(0) if joined else None
    names = ["all"] if blocks is None else list(dict.fromkeys(blocks))
    return pd.DataFrame(
        [_pairing(aligned, published, name, columns if blocks is None else columns[blocks == name]) for name in names]
    )


def _pairing(aligned: TaskData, published: TaskData, block: str, columns: pd.Index) -> dict[str, object]:
    own, given = (
        pd.util.hash_pandas_object(data.X[columns].fillna(0.0).round(9), index=False).set_axis(data.X.index)
        for data in (aligned, published)
    )
    label = aligned.y.set_axis(own) if isinstance(aligned.y, pd.Series) else None
    donor = given.map(label[~label.index.duplicated()]) if label is not None else None
    return {
        "task": aligned.task.id,
        "features": block,
        "rows": len(own),
        "own": int((own == given.loc[own.index]).sum()),
        "same_class": int((donor == aligned.y.loc[given.index]).sum()) if donor is not None else None,
    }


def fold_shares(aligned: TaskData, published: TaskData) -> pd.DataFrame:
    """Return the share of positives in each test fold under both protocols, in percent."""
    return pd.DataFrame(
        {
            data.protocol: {fold.label: 100 * data.codes[fold.test].mean() for fold in data.folds}
            for data in (published, aligned)
        }
    ).rename_axis("fold")


def atom_counts(aligned: TaskData, published: TaskData) -> pd.DataFrame:
    """Return, for each counted element, how many metabolites the published counter gives too many atoms."""
    atoms = [column for column in aligned.X.columns.astype(str) if column.startswith("n_")]
    surplus = published.X.loc[aligned.X.index, atoms] - aligned.X[atoms]
    return pd.DataFrame({"metabolites": (surplus > 0).sum(), "largest surplus": surplus.max().astype(int)}).rename_axis(
        "count of"
    )


def both(parameters: Parameters) -> pd.DataFrame:
    """Fit the models under both protocols and set the scores side by side.

    Returns
    -------
    DataFrame
        One row a task, model and protocol: the columns of :meth:`RunResult.summary`, `low` and `high`, and
        `stated` (the published score; missing on simulated tables).
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
    """Return one row a task and model, the scores of both protocols as text with their intervals.

    Parameters
    ----------
    scores : as :func:`both` returns them

    Returns
    -------
    DataFrame
        task, model, metric, chance, stated, published, aligned and gain (aligned − published).
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

    Parameters
    ----------
    tasks : by id, on real tables
    seeds : scores over seeds, see :func:`somb_utils.audit.stability.seed_scores`

    Returns
    -------
    DataFrame
        Indexed by task: published_draw, exact_chance (missing without tables, but 0.5 where the metric is AUROC), and
        lowest, mean and highest over the seeds.
    """
    published = published_primary().query("model == 'random'").set_index("task")
    published = published[published.index.isin(list(catalogue()))]
    exact = {name: data.chance for name, data in tasks.items()}
    known = [exact.get(str(t), 0.5 if m == "auroc" else np.nan) for t, m in published["metric"].items()]
    draws = spread(seeds[(seeds["model"] == "random") & (seeds["protocol"] == "aligned")]).set_index("task")
    table = pd.DataFrame({"published_draw": published["mean"], "exact_chance": known}, index=published.index)
    return table.join(draws[["lowest", "mean", "highest"]])


def by_column_order(
    aligned: TaskData, published: TaskData, models: Any, seed: int = SEED, n_jobs: int = 1
) -> pd.DataFrame:
    """Tell what the order of columns does to a score, apart from what is in them.

    Parameters
    ----------
    aligned, published : a task in both protocols, with the same columns
    models : see :func:`somb_utils.runs.models.resolve_models`
    seed, n_jobs : see :func:`somb_utils.runs.runner.run`

    Returns
    -------
    DataFrame
        Indexed by model, the primary score of: published, reordered (the aligned task, its columns in the published
        order), aligned.
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


def same_rows(session: Session, scores: pd.DataFrame, least: float = 0.005) -> pd.DataFrame:
    """Return scores that differ between protocols on tasks whose rows, features and folds do not.

    What is left to differ there is the order of the columns, which ``aligned`` sorts by name.

    Parameters
    ----------
    session : its tasks are compared
    scores : a summary of both protocols
    least : differences to report

    Returns
    -------
    DataFrame
        task, model, metric, published, aligned, difference; largest difference first.
    """
    alike = [name for name, pair in pairs(session, list(session.tasks)).items() if _same_but_for_order(*pair)]
    means = scores.pivot(index=["task", "model", "metric"], columns="protocol", values="mean").reset_index()
    table = means[means["task"].isin(alike)].assign(difference=lambda t: t["aligned"] - t["published"])
    table = table[["task", "model", "metric", "published", "aligned", "difference"]]
    table = table[table["difference"].abs() >= least].rename_axis(columns=None)
    return table.sort_values("difference", key=np.abs, ascending=False, ignore_index=True)


def _same_but_for_order(aligned: TaskData, published: TaskData) -> bool:
    folds = zip(aligned.folds, published.folds, strict=True)
    return (
        aligned.X.index.equals(published.X.index)
        and np.array_equal(aligned.codes, published.codes)
        and aligned.X.equals(published.X.reindex(columns=aligned.X.columns))
        and all(np.array_equal(a.test, b.test) for a, b in folds)
    )
