"""How often the 95 % interval covers the expected score, with models fitted anew in every simulated experiment.

The truth is the expected score of the whole procedure: of models fitted to training sets of this size, drawn anew as
the test rows are, by these folds. It is estimated by the mean over a setting's experiments. Two models are fitted to
each fold: linear discriminant analysis, whose interval is studied, and the same with a diagonal covariance, for the
interval of their paired difference.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from somb_utils.labels import metric_name
from somb_utils.paths import DATA
from somb_utils.stats import kernels
from somb_utils.stats.bootstrap import all_replicates
from somb_utils.stats.design import Design, design, rows_of
from somb_utils.stats.intervals import LEVEL, interval, student_factor
from somb_utils.stats.reliability import wilson_interval
from somb_utils.studies import grid
from somb_utils.studies.experiments import FOLDS, MODELS, Setting, draw_features, has_swabs, predictions_of, simulated
from somb_utils.tasks.definitions import get_task

PLAN = DATA / "studies" / "coverage.csv"
FILE = DATA / "reference" / "coverage.csv"
COMMAND = "somb coverage"
N_BOOTSTRAP = 500
WAYS = {
    "coverage": "percentiles",
    "normal": "the normal interval",
    "bias_corrected": "bias-corrected percentiles",
    "basic": "the basic (reflected) bootstrap",
}


def plan() -> list[Setting]:
    """Return the settings of the stored table: each metric and design, from few crew or positives to many."""
    return grid.settings(PLAN, Setting)


def _score(arranged: Design, predictions: pd.DataFrame) -> float:
    rows = rows_of(arranged, predictions)
    return float(np.nanmean(kernels.fold_scores(arranged.metric, arranged.n_classes, rows.folds, *rows[1:4])))


def ends_of(draws: np.ndarray, score: float, factor: float) -> dict[str, tuple[float, float]]:
    """Return the interval of a score by its replicates, which are spread by a factor, in the ways that are compared.

    These are the one of this package, plain percentiles without the factor, the basic bootstrap (percentiles reflected
    at the score), the normal interval, and bias-corrected percentiles (Efron and Tibshirani 1993, chapters 13 and 14).
    """
    low, high = interval(draws)
    centre, spread = float(np.nanmean(draws)), float(norm.ppf((1 + LEVEL) / 2) * np.nanstd(draws))
    below = (1 + np.sum(draws < score)) / (2 + len(draws))
    tails = norm.cdf(2 * norm.ppf(below) + norm.ppf([(1 - LEVEL) / 2, (1 + LEVEL) / 2]))
    return {
        "interval": (low, high),
        "percentile": (centre + (low - centre) / factor, centre + (high - centre) / factor),
        "basic": (2 * score - high, 2 * score - low),
        "normal": (score - spread, score + spread),
        "bias_corrected": tuple(np.nanquantile(draws, tails)),
    }


def coverage_of(setting: Setting) -> dict[str, Any]:
    """Return how often the interval of a setting's experiments covers the expected score.

    These are the metric; the mean score over experiments (truth) and its SD; the number of experiments whose interval
    covers it, their share (coverage) with its 95 % Wilson interval; the interval's mean width; the coverage by the
    other ways of :func:`ends_of`; the mean of the replicates over the mean score (replicate_ratio); and mean, coverage
    and mean width of the difference between the two models, by a paired bootstrap.
    """
    task, rows = setting.definition, simulated(setting)
    factor = student_factor(setting.groups) if setting.groups else 1.0
    arranged: Design | None = None
    scores, ends, paired, centres = [], [], [], []
    for rng in np.random.default_rng([setting.seed, setting.groups, setting.rows]).spawn(setting.missions):
        X = draw_features(setting, rows, rng)
        both = [predictions_of(rows, X, task, model) for model in MODELS]
        arranged = arranged or design(both[0], task)
        draws = all_replicates(pd.concat(both), N_BOOTSTRAP, int(rng.integers(2**32)), n_jobs=1)
        full, diagonal = (draws[task.id, model] for model in MODELS)
        scores.append([_score(arranged, predictions) for predictions in both])
        ends.append(ends_of(full, scores[-1][0], factor))
        paired.append(interval(full - diagonal))
        centres.append(np.nanmean(full))
    truth, rival = np.mean(scores, axis=0)
    by_way = {way: np.array([of[way] for of in ends]) for way in ends[0]}
    share = {way: float(_covers(of, truth).mean()) for way, of in by_way.items()}
    covered = int(_covers(by_way["interval"], truth).sum())
    least, most = wilson_interval(covered, setting.missions)
    return {
        "metric": task.metrics.primary,
        "truth": float(truth),
        "sd": float(np.std(scores, axis=0)[0]),
        "covered": covered,
        "coverage": share.pop("interval"),
        "low": least,
        "high": most,
        "width": float(np.diff(np.clip(by_way["interval"], 0, 1)).mean()),
        **share,
        "replicate_ratio": float(np.mean(centres) / truth),
        "difference": float(truth - rival),
        "paired_coverage": float(_covers(np.array(paired), truth - rival).mean()),
        "paired_width": float(np.diff(paired).mean()),
    }


def _covers(ends: np.ndarray, truth: float) -> np.ndarray:
    return (ends[:, 0] <= truth) & (truth <= ends[:, 1])


def coverage(
    settings: list[Setting] | None = None, file: Path = FILE, n_jobs: int = 1, **progress: Any
) -> pd.DataFrame:
    """Measure the coverage of each setting that `file` lacks; see :func:`somb_utils.studies.grid.measure`."""
    return grid.measure(plan() if settings is None else settings, coverage_of, file, n_jobs, **progress)


def stored() -> pd.DataFrame:
    """Return the stored table by metric and size: fields of :class:`Setting` and what :func:`coverage_of` returns."""
    table = grid.read(FILE, COMMAND)
    keys = ["metric", "groups", "positives", "rows", "folds", "response_sd", "truth"]
    return table.sort_values(keys, ascending=[key != "folds" for key in keys], ignore_index=True)


def design_of(row: Mapping[Any, Any]) -> str:
    """Return what a setting samples, in words."""
    task = get_task(row["task"])
    if not row["groups"]:
        what = "labelled genes" if task.type == "multilabel" else f"rows, {row['positives']} positive"
        return f"{row['rows']:,} {what}"
    rows = "swabs" if has_swabs(task) else "one row per day"
    return f"{row['groups']} " + ("time points" if task.split == "loto" else f"crew, {rows}")


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Return the stored table as text, one row per metric and design, with ranges over populations."""
    sampled = [design_of(row) for row in table.to_dict("records")]
    named = table.assign(metric=table["metric"].map(metric_name), sampled=sampled, folds=table["folds"].map(FOLDS))
    parts = named.groupby(["metric", "sampled", "folds"], sort=False)
    return pd.DataFrame(
        [
            {
                "metric": metric,
                "sampled": what,
                "test folds": folds,
                "coverage (%)": _range(100 * part["coverage"], 1),
                "plain percentiles (%)": _range(100 * part["percentile"], 1),
                "mean width": _range(part["width"], 2),
            }
            for (metric, what, folds), part in parts
        ]
    )


def _range(values: pd.Series, digits: int) -> str:
    least, most = f"{values.min():.{digits}f}", f"{values.max():.{digits}f}"
    return least if least == most else f"{least} to {most}"


def span(rows: pd.DataFrame, column: str = "coverage") -> str:
    """Return the range of a share over settings, in per cent."""
    return f"{_range(100 * rows[column], 0)} %"


def of_groups(groups: int) -> str:
    """Return in a sentence the coverage of intervals of so many groups, from the simulated size next to it."""
    table = stored().query("groups > 0")
    size = min(table["groups"], key=lambda size: abs(size - groups))
    return (
        f"In simulated studies of {size} crew members or time points, whose models are fitted anew in each, "
        f"{span(table.query('groups == @size'))} of these {100 * LEVEL:.0f} % intervals cover the expected score."
    )


def of_auprc() -> str:
    """Return in a paragraph how AUPRC replicates of few positives are off, and what other intervals would cover."""
    table = stored().query("metric == 'auprc'")
    few = table[table["positives"] == table["positives"].min()]
    mean = {name: f"{100 * few[way].mean():.0f} %" for way, name in WAYS.items()}
    others = ", ".join(f"{share} by {name}" for name, share in list(mean.items())[1:])
    return (
        "The replicates of AUPRC are too high: a positive that is drawn twice ranks beside itself. With "
        f"{few['positives'].iloc[0]} positives in {few['rows'].iloc[0]:,} simulated rows, their mean is "
        f"{_range(few['replicate_ratio'], 1)} times the score. Percentiles still have the best coverage of four ways "
        f"there, {mean['percentiles']} on average, against {others}. The lower end of such an interval is no evidence "
        "that a score is above chance: that is what the permutation test is for."
    )


def of_folds() -> str:
    """Return in a paragraph what complete cross-validation does to intervals of score and difference."""
    keys = ["metric", "rows", "positives", "signal"]
    table = stored().query("groups == 0").set_index(keys)
    first, every = (table[table["folds"] == folds] for folds in ("first", "complete"))
    ratio = {column: float((every[column] / first[column]).mean()) for column in ("width", "sd", "paired_width")}
    return (
        "Complete 5 × 5 cross-validation tests every row once in each of five repetitions, where the first folds of "
        f"five splits leave a third of the rows untested. Intervals become {ratio['width']:.2f} times as wide, those "
        f"of a difference {ratio['paired_width']:.2f} times, while the standard deviation of the score between "
        f"studies becomes {ratio['sd']:.2f} times as large: "
        f"coverage is {100 * every['coverage'].mean():.0f} % on average, instead of "
        f"{100 * first['coverage'].mean():.0f} %, and {100 * every['paired_coverage'].mean():.0f} % instead of "
        f"{100 * first['paired_coverage'].mean():.0f} % for a difference."
    )
