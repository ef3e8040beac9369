"""What pairing rows by position cost: the same task in both protocols, side by side."""

from collections.abc import Sequence

import pandas as pd

from somb_utils.leaderboard import fit
from somb_utils.load import TaskData, load_task
from somb_utils.notebook import Parameters, Session
from somb_utils.published import published_primary

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
    blocks = columns.str.partition(":").get_level_values(0) if aligned.task.pca and aligned.task.id == "G1" else None
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
        task, model, metric, published score (missing on simulated tables), here under ``published`` and ``aligned``,
        what alignment adds, and chance.
    """
    runs = {
        protocol: fit(parameters.model_copy(update={"protocol": protocol})) for protocol in ("published", "aligned")
    }
    key = ["task", "model", "metric"]
    tables = {protocol: run.summary().set_index(key) for protocol, run in runs.items()}
    table = pd.DataFrame({protocol: summary["mean"] for protocol, summary in tables.items()})
    table["aligned − published"] = table["aligned"] - table["published"]
    table["chance"] = tables["aligned"]["chance"]
    if runs["aligned"].provenance["source"] == "open":
        table.insert(0, "stated", published_primary().set_index(key)["mean"])
    return table.reset_index()


def draws_for_chance(session: Session) -> pd.DataFrame:
    """Return the published random draw beside the exact chance level of each task of the session."""
    random = published_primary().query("model == 'random'").set_index("task")["mean"]
    rows = {
        name: {"one random draw": random[name], "exact chance": data.chance} for name, data in session.tasks.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("task")
