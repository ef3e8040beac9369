"""Evidence on single tables: where values come from, what a description says, which rows could be positive at all."""

import re
from collections.abc import Collection, Mapping
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from audit_checks.leaks import column_auroc
from somb_utils.errors import SombError
from somb_utils.metrics import chance_auprc, score_binary
from somb_utils.runs.models import SEED
from somb_utils.runs.runner import run
from somb_utils.tasks.recipes import SAMPLE_COLUMNS
from somb_utils.tasks.task_data import TaskData

GROUP_MEANS = {  # columns of JAXA's table before and after, by column of fold changes
    "fc_pre_vs_flight": ("pre_norm_mean", "flight_norm_mean"),
    "fc_pre_vs_post": ("pre_norm_mean", "post_norm_mean"),
    "fc_flight_vs_post": ("flight_norm_mean", "post_norm_mean"),
}
METABOLITE_TABLES = ("metabolomics_de", "metabolomics_anppos_matrix_log10", "metabolomics_metadata")
LAYERS = ("all_skin", "vasculature", "epidermis", "outer_epidermis", "inner_epidermis", "outer_dermis")
SKIN_TABLES = tuple(f"gt_spatial_de_{layer}" for layer in LAYERS)


def equal_columns(tables: Mapping[str, pd.DataFrame], tolerance: float = 1e-6) -> pd.DataFrame:
    """Return pairs of tables that hold the same numbers in columns of the same name, most alike first.

    Rows are matched by the first column, where both tables have it and it is unique; facts on samples, such as days,
    are left out. Numbers are equal within `tolerance` standard deviations of the column. Columns: one, two, rows
    (shared), columns (numeric, of the same name), equal (how many of these) and names (of the equal ones).
    """
    keyed = {
        name: table.set_index(table.columns[0]).select_dtypes("number").drop(columns=SAMPLE_COLUMNS, errors="ignore")
        for name, table in tables.items()
        if table.shape[1] and table.iloc[:, 0].is_unique
    }
    pairs = []
    for one, two in combinations(keyed, 2):
        a, b = keyed[one], keyed[two]
        rows, columns = a.index.intersection(b.index), a.columns.intersection(b.columns)
        if a.index.name != b.index.name or len(rows) < 2 or columns.empty:
            continue
        a, b = a.loc[rows, columns], b.loc[rows, columns]
        near = ((a - b).abs().max() <= tolerance * a.std()) & (a.isna() == b.isna()).all() & (a.std() > 0)
        names = list(columns[near])
        if names:
            pairs.append((one, two, len(rows), len(columns), len(names), ", ".join(names)))
    table = pd.DataFrame(pairs, columns=["one", "two", "rows", "columns", "equal", "names"])
    order = (table["equal"] / table["columns"]).sort_values(ascending=False, kind="stable").index
    return table.loc[order].reset_index(drop=True)


def agreement(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the rank correlation (Spearman) between the tables' log2 fold changes, tables × tables."""
    changes = {name: table.set_index("gene")["log2FoldChange"] for name, table in tables.items()}
    return pd.concat(changes, axis=1).corr("spearman")


def fold_change_origin(
    changes: pd.DataFrame, means: pd.DataFrame, contrasts: Mapping[str, tuple[str, str]]
) -> pd.DataFrame:
    """Correlate fold changes with the ratios of group means that they may have been computed from.

    `changes` are signed (2 is a doubling, -2 a halving), `means` the groups' means, both indexed by gene; `contrasts`
    gives, by column of `changes`, the columns of `means` before and after. Returns, indexed by contrast, genes (with
    both values) and correlation (Pearson, of the log2 ratios).
    """
    shared = means.index.intersection(changes.index)
    rows = {}
    for column, (before, after) in contrasts.items():
        signed = changes.loc[shared, column]
        change = np.sign(signed) * np.log2(signed.abs())
        ratio = np.log2((means.loc[shared, after] / means.loc[shared, before]).where(lambda r: r > 0))
        both = pd.DataFrame({"change": change, "ratio": ratio}).replace([np.inf, -np.inf], np.nan).dropna()
        rows[column] = {"genes": len(both), "correlation": both["change"].corr(both["ratio"])}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("contrast")


def contrast_signs(contrasts: pd.DataFrame, matrix: pd.DataFrame, timepoints: pd.Series) -> pd.DataFrame:
    """Compare each contrast's log fold changes with differences of means, computed from the samples.

    `contrasts` has the columns metabolite, contrast, comparison (such as ``(R+1) vs (L-92, L-44)``) and logFC;
    `matrix` is metabolites × samples on a log scale, `timepoints` the time point by sample. Returns contrast,
    comparison, metabolites (count) and rank_correlation (Spearman): near 1 where the sign is that of the comparison as
    written, near -1 where it is the opposite.
    """
    rows = []
    for (contrast, comparison), part in contrasts.groupby(["contrast", "comparison"]):
        sides = [set(re.findall(r"(?:L-|R\+|FD)\d+", side)) for side in str(comparison).split(" vs ")]
        if len(sides) != 2 or not all(timepoints.isin(side).any() for side in sides):
            raise SombError(f"contrast {contrast}: '{comparison}' does not name time points of the samples")
        after, before = (matrix[list(timepoints.index[timepoints.isin(side)])].mean(axis=1) for side in sides)
        stated = part.drop_duplicates("metabolite").set_index("metabolite")["logFC"]
        both = pd.DataFrame({"stated": stated, "here": (after - before).groupby(level=0).first()}).dropna()
        correlation = both["stated"].corr(both["here"], method="spearman")
        rows.append((contrast, comparison, len(both), correlation))
    return pd.DataFrame(rows, columns=["contrast", "comparison", "metabolites", "rank_correlation"])


def metabolite_signs(contrasts: pd.DataFrame, matrix: pd.DataFrame, metadata: pd.DataFrame) -> pd.DataFrame:
    """Compare the sign of each metabolite contrast with the samples, from `METABOLITE_TABLES`; see `contrast_signs`."""
    timepoints = metadata.set_index("sample_id")["timepoint"]
    samples = matrix.set_index("metabolite_name")[list(timepoints.index.intersection(matrix.columns))]
    return contrast_signs(contrasts, samples, timepoints[samples.columns])


def genus_by_site(profile: pd.DataFrame, metadata: pd.DataFrame, genus: str) -> pd.Series:
    """Return a genus's mean share of the reads by body site, in percent, largest first.

    `profile` is clade × samples in percent, as MetaPhlAn gives it; `metadata` has sample_id and body_site.
    """
    row = profile.set_index("clade").filter(regex=rf"g__{genus}$", axis=0).select_dtypes("number").sum()
    site = metadata.set_index("sample_id")["body_site"].reindex(row.index)
    return row.groupby(site).mean().sort_values(ascending=False).rename(genus)


def pathway_collections(enriched: pd.DataFrame) -> pd.Series:
    """Return the MSigDB collection of each pathway (C2, C5, Hallmark), indexed by pathway."""
    return enriched.drop_duplicates("pathway").set_index("pathway")["info"].rename("collection")


def could_be_positive(data: TaskData, collection: pd.Series) -> pd.Series:
    """Return whether a row's collection has any positive row, by row."""
    by_row = collection.reindex(data.X.index)
    return by_row.isin(by_row[data.codes == 1].unique())


def tested_rows(X: pd.DataFrame, adjusted: pd.Series, alpha: float = 0.05) -> pd.DataFrame:
    """Show how well each feature predicts whether a row was tested at all, where an untested row counts as negative.

    `adjusted` are p-values by row, missing where a row was not tested; below `alpha` it is positive. Returns, indexed
    by feature, rows, tested and positive (counts), and the feature's AUROC for being tested (``auroc_tested``), for
    being positive among all rows (``auroc_all``) and among the tested ones (``auroc_if_tested``).
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
    """Score stored predictions of one binary task on the rows `kept` alone; `positive` is the positive class.

    Returns, indexed by model, rows (tested, over all folds), auroc, auprc and chance_auprc, each the mean over the
    folds that define it.
    """
    scores = {}
    for key, part in predictions[predictions["id"].isin(kept)].groupby(["model", "fold"], sort=False):
        truth = (part["y_true"] == positive).to_numpy()
        score = score_binary(truth, part["y_score"].to_numpy())
        chance = chance_auprc(len(truth), int(truth.sum())) if truth.any() else np.nan
        scores[key] = {"rows": len(truth), "auroc": score["auroc"], "auprc": score["auprc"], "chance_auprc": chance}
    by_model = pd.DataFrame.from_dict(scores, orient="index").groupby(level=0, sort=False)
    table = by_model.mean().assign(rows=by_model["rows"].sum())
    return table.rename_axis("model")


def scored_on(
    data: TaskData, models: Any, kept: Mapping[str, Collection[str]], seed: int = SEED, n_jobs: int = 1
) -> pd.DataFrame:
    """Fit models on a binary task as it is, and score them on all tested rows and on some of them.

    `kept` gives identifiers of rows by a name for them. Returns the columns of `rescored`, indexed by rows (``all``,
    then the names) and model.
    """
    predictions = run([data], models, seed=seed, n_jobs=n_jobs).predictions
    named: dict[str, Collection[str]] = {"all": data.X.index, **kept}
    parts = {name: rescored(predictions, data.task.classes[1], ids) for name, ids in named.items()}
    return pd.concat(parts, names=["scored on"])
