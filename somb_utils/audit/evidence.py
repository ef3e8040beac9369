"""Evidence on single tables: where values come from, what a description says, which rows could be positive at all."""

import re
from collections.abc import Collection, Mapping
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from somb_utils.audit.leaks import column_auroc
from somb_utils.errors import SombError
from somb_utils.metrics import chance_auprc, score_binary
from somb_utils.runs.models import SEED
from somb_utils.runs.runner import run
from somb_utils.tasks.recipes import SAMPLE_COLUMNS
from somb_utils.tasks.task_data import TaskData


def equal_columns(tables: Mapping[str, pd.DataFrame], tolerance: float = 1e-6) -> pd.DataFrame:
    """Look for tables that hold the same numbers in columns of the same name.

    Parameters
    ----------
    tables : by name; rows are matched by the first column, where both tables have it and it is unique; facts on
        samples, such as days, are left out
    tolerance : largest difference between equal columns, in their standard deviations

    Returns
    -------
    DataFrame
        One row a pair with an equal column: one, two, rows (shared), columns (numeric, of the same name), equal (how
        many of these) and names (of the equal ones), most alike first.
    """
    keyed = {
        name: table.set_index(table.columns[0]).select_dtypes("number").drop(columns=SAMPLE_COLUMNS, errors="ignore")
        for name, table in tables.items()
        if table.shape[1] and table.iloc[:, 0].is_unique
    }
    found = []
    for one, two in combinations(keyed, 2):
        a, b = keyed[one], keyed[two]
        rows, columns = a.index.intersection(b.index), a.columns.intersection(b.columns)
        if a.index.name != b.index.name or len(rows) < 2 or columns.empty:
            continue
        a, b = a.loc[rows, columns], b.loc[rows, columns]
        near = ((a - b).abs().max() <= tolerance * a.std()) & (a.isna() == b.isna()).all() & (a.std() > 0)
        names = list(columns[near])
        if names:
            found.append((one, two, len(rows), len(columns), len(names), ", ".join(names)))
    table = pd.DataFrame(found, columns=["one", "two", "rows", "columns", "equal", "names"])
    order = (table["equal"] / table["columns"]).sort_values(ascending=False, kind="stable").index
    return table.loc[order].reset_index(drop=True)


def fold_change_origin(
    changes: pd.DataFrame, means: pd.DataFrame, contrasts: Mapping[str, tuple[str, str]]
) -> pd.DataFrame:
    """Correlate fold changes with the ratios of group means that they may have been computed from.

    Parameters
    ----------
    changes : signed fold changes (2 is a doubling, -2 a halving), indexed by gene
    means : group means, indexed by gene
    contrasts : by column of `changes`, the columns of `means` before and after

    Returns
    -------
    DataFrame
        Indexed by contrast: genes (with both values), correlation (Pearson, of the log2 ratios).
    """
    shared = means.index.intersection(changes.index)
    rows = {}
    for column, (before, after) in contrasts.items():
        signed = changes.loc[shared, column]
        given = np.sign(signed) * np.log2(signed.abs())
        ratio = np.log2((means.loc[shared, after] / means.loc[shared, before]).where(lambda r: r > 0))
        both = pd.DataFrame({"given": given, "ratio": ratio}).replace([np.inf, -np.inf], np.nan).dropna()
        rows[column] = {"genes": len(both), "correlation": both["given"].corr(both["ratio"])}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("contrast")


def contrast_signs(contrasts: pd.DataFrame, matrix: pd.DataFrame, timepoints: pd.Series) -> pd.DataFrame:
    """Compare each contrast's log fold changes with differences of means, computed from the samples.

    Parameters
    ----------
    contrasts : columns metabolite, contrast, comparison (such as ``(R+1) vs (L-92, L-44)``) and logFC
    matrix : metabolites × samples, on a log scale
    timepoints : time point by sample

    Returns
    -------
    DataFrame
        contrast, comparison, metabolites, rank_correlation (Spearman): near 1 where the sign is that of the
        comparison as written, near -1 where it is the opposite.

    Raises
    ------
    SombError
        If a comparison does not name time points on both sides.
    """
    rows = []
    for (contrast, comparison), part in contrasts.groupby(["contrast", "comparison"]):
        sides = [set(re.findall(r"(?:L-|R\+|FD)\d+", side)) for side in str(comparison).split(" vs ")]
        if len(sides) != 2 or not all(timepoints.isin(side).any() for side in sides):
            raise SombError(f"contrast {contrast}: '{comparison}' does not name time points of the samples")
        after, before = (matrix[list(timepoints.index[timepoints.isin(side)])].mean(axis=1) for side in sides)
        given = part.drop_duplicates("metabolite").set_index("metabolite")["logFC"]
        both = pd.DataFrame({"given": given, "here": (after - before).groupby(level=0).first()}).dropna()
        found = {"metabolites": len(both), "rank_correlation": both["given"].corr(both["here"], method="spearman")}
        rows.append({"contrast": contrast, "comparison": comparison, **found})
    return pd.DataFrame(rows)


def tested_rows(X: pd.DataFrame, adjusted: pd.Series, alpha: float = 0.05) -> pd.DataFrame:
    """Show what features tell about being tested at all, where an untested row counts as negative.

    Parameters
    ----------
    X : rows × features
    adjusted : adjusted p-values of the target contrast, missing where it was not tested; same index
    alpha : a row is positive below it

    Returns
    -------
    DataFrame
        Indexed by feature: rows, tested, positive (counts), and the feature's AUROC for being tested
        (``auroc_tested``), for being positive among all rows (``auroc_all``) and if tested (``auroc_if_tested``).
    """
    tested, positive = adjusted.notna().to_numpy(), (adjusted < alpha).to_numpy()
    return pd.DataFrame(
        {
            "rows": len(X),
            "tested": int(tested.sum()),
            "positive": int(positive.sum()),
            "auroc_tested": column_auroc(X, tested),
            "auroc_all": column_auroc(X, positive),
            "auroc_if_tested": column_auroc(X[tested], positive[tested]),
        },
        index=X.columns.rename("feature"),
    )


def rescored(predictions: pd.DataFrame, positive: str, kept: Collection[str]) -> pd.DataFrame:
    """Score binary predictions on some of their rows alone.

    Parameters
    ----------
    predictions : of one binary task, as :attr:`somb_utils.runs.results.RunResult.predictions` holds them
    positive : name of the positive class
    kept : identifiers of the rows to score

    Returns
    -------
    DataFrame
        Indexed by model: rows (tested, over all folds), auroc, auprc and chance_auprc, each the mean over the folds
        that define it.
    """
    scores = {}
    for key, part in predictions[predictions["id"].isin(kept)].groupby(["model", "fold"], sort=False):
        truth = (part["y_true"] == positive).to_numpy()
        made = score_binary(truth, part["y_score"].to_numpy())
        chance = chance_auprc(len(truth), int(truth.sum())) if truth.any() else np.nan
        scores[key] = {"rows": len(truth), "auroc": made["auroc"], "auprc": made["auprc"], "chance_auprc": chance}
    by_model = pd.DataFrame.from_dict(scores, orient="index").groupby(level=0, sort=False)
    table = by_model.mean().assign(rows=by_model["rows"].sum())
    return table.rename_axis("model")


def scored_on(
    data: TaskData, models: Any, kept: Mapping[str, Collection[str]], seed: int = SEED, n_jobs: int = 1
) -> pd.DataFrame:
    """Fit models on a binary task as it is, and score them on all tested rows and on some of them.

    Parameters
    ----------
    data : the task
    models : see :func:`somb_utils.runs.models.resolve_models`
    kept : identifiers of the rows to score, by a name for them
    seed, n_jobs : see :func:`somb_utils.runs.runner.run`

    Returns
    -------
    DataFrame
        Indexed by rows (``all``, then the names given) and model; columns as of :func:`rescored`.
    """
    predictions = run([data], models, seed=seed, n_jobs=n_jobs).predictions
    named: dict[str, Collection[str]] = {"all": data.X.index, **kept}
    parts = {name: rescored(predictions, data.task.classes[1], ids) for name, ids in named.items()}
    return pd.concat(parts, names=["scored on"])
