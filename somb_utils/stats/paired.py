"""Two models on the same folds: difference with its interval, win probability, and a test of each question."""

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import cast

import numpy as np
import pandas as pd
from scipy import stats

from somb_utils.stats.bootstrap import all_replicates, batches
from somb_utils.stats.design import Design, Rows, design, each_protocol
from somb_utils.stats.exchange import FoldRanks, exchange_p, exchangeable
from somb_utils.stats.intervals import N_BOOTSTRAP, SEED, Draws, interval
from somb_utils.stats.permutation import N_PERMUTATIONS
from somb_utils.tasks.definitions import Definitions, Protocol, task_of

# A repetition tests a fifth of the rows and trains on the other four.
TEST_PER_TRAIN = 0.25
N_PATTERNS = 99_999  # of signs, where there are too many to do all
COLUMNS = [
    "task", "protocol", "metric", "a", "b", "difference", "low", "high", "wins", "folds", "p_these", "test", "p_new",
    "floor",
]  # fmt: skip


def nadeau_bengio(differences: np.ndarray, test_per_train: float = TEST_PER_TRAIN) -> float:
    """Return the two-sided p-value of the corrected resampled t-test (Nadeau and Bengio 2003, section 4.1).

    `differences` holds one per repetition, `test_per_train` the tested rows per training row. It is 1 if all
    differences are 0, NaN with fewer than two.
    """
    n = len(differences)
    if n < 2:
        return np.nan
    mean, variance = differences.mean(), differences.var(ddof=1)
    if np.allclose(differences, 0):
        return 1.0
    if variance == 0:
        return 0.0
    t = mean / np.sqrt((1 / n + test_per_train) * variance)
    return float(2 * stats.t.sf(abs(t), n - 1))


def sign_flip(differences: np.ndarray) -> float:
    """Return the exact two-sided p-value of the mean under random signs (Fisher 1935, section 21).

    `differences` holds one per crew member or time point. Four have 16 patterns of signs, so no p-value is below
    :func:`sign_flip_floor`. Of more than 20, 99,999 patterns are drawn.
    """
    n = len(differences)
    if n == 0:
        return np.nan
    if n > 20:
        drawn = stats.permutation_test(
            (differences,), np.mean, permutation_type="samples", n_resamples=N_PATTERNS, rng=SEED, batch=1000, axis=-1
        )
        return float(drawn.pvalue)
    signs = 1 - 2 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
    means = np.abs(signs @ differences)
    return float((means >= np.abs(differences.sum()) - 1e-12).mean())


def sign_flip_floor(n: int) -> float:
    """Return the smallest p-value that :func:`sign_flip` can give: 2 / 2**n, 0.125 for four crew members."""
    return 2.0 / 2**n if n <= 20 else 2 / (1 + N_PATTERNS)


def differences(
    results: pd.DataFrame,
    predictions: pd.DataFrame,
    n_bootstrap: int = N_BOOTSTRAP,
    seed: int = SEED,
    n_jobs: int | None = None,
    n_permutations: int = N_PERMUTATIONS,
    own: Definitions | None = None,
) -> pd.DataFrame:
    """Compare every two models on each task that both were scored on without a failed fold.

    Parameters
    ----------
    results, predictions
        Of one data source, as :class:`somb_utils.RunResult` holds them.
    n_bootstrap, seed
        Replicates and seed of the paired bootstrap.
    n_jobs
        Tasks at once, in threads; one when omitted, unless :class:`joblib.parallel_config` names threads.
    n_permutations
        Exchanges behind each `p_these`.
    own
        Definitions of your own tasks: :attr:`somb_utils.RunResult.own_tasks`.

    Returns
    -------
    DataFrame
        One row per task, protocol and pair of models: task, protocol, metric, a, b; difference (mean of a less mean of
        b) with its 95 % interval, low and high; wins, the share of replicates in which a scores higher, ties counting
        half; folds; and the p-values of two questions.

        `p_these`: do the models differ on *these* crew members or time points? Their predictions are exchanged within
        each, by sampling unit. Missing for tasks of genes and metabolites.

        `p_new`: would they differ on *new* crew, time points, genes or metabolites? `test` names the test: over crew
        or time points the exact sign flip (Fisher 1935), whose smallest possible p-value is `floor`; over repetitions
        of genes or metabolites the corrected t-test (Nadeau and Bengio 2003). Missing for your own folds of rows
        without groups, whose overlap is not known.

    Raises
    ------
    UsageError
        If `n_bootstrap` is below 1.

    Examples
    --------
    >>> import somb_utils as somb
    >>> result = somb.run("D1", ["majority", "logreg"], source="simulated", n_jobs=1)
    >>> table = differences(result.results, result.predictions, n_bootstrap=200)
    >>> table[["a", "b", "folds", "test"]].values.tolist()
    [['majority', 'logreg', 5, 'Nadeau-Bengio']]
    """
    parts = [
        of_draws(rows, predicted, all_replicates(predicted, n_bootstrap, seed, n_jobs, own), n_permutations, seed, own)
        for rows, predicted in each_protocol(results, predictions)
    ]
    return pd.concat(parts, ignore_index=True)


def of_draws(
    results: pd.DataFrame,
    predictions: pd.DataFrame,
    draws: Draws,
    n_permutations: int,
    seed: int,
    own: Definitions | None = None,
) -> pd.DataFrame:
    """Compare the models of one protocol, whose replicates are `draws`."""
    tested = {
        (task, model): _Tested(plan, rows)
        for task, plan, models in batches(predictions, own)
        for model, rows in models.items()
    }
    rows = []
    for (name, protocol), table in results.groupby(["task", "protocol"], sort=False):
        task = task_of(str(name), cast("Protocol", protocol), own)
        if task is None:
            continue
        primary = table[table["metric"] == task.metrics.primary]
        folds = primary.pivot_table(index="fold", columns="model", values="value", sort=False)
        values = {str(model): of_model.to_numpy() for model, of_model in folds.items()}
        failed = set(primary.loc[primary["status"].str.startswith("failed"), "model"])
        grouped = task.leaves_groups_out
        for a, b in combinations([m for m in dict.fromkeys(primary["model"]) if m not in failed], 2):
            gaps = values[a] - values[b]
            gaps = gaps[~np.isnan(gaps)]
            if not len(gaps):
                continue
            drawn = draws[task.id, a] - draws[task.id, b]
            low, high = interval(drawn)
            rows.append({
                "task": name, "protocol": protocol, "metric": task.metrics.primary, "a": a, "b": b,
                "difference": gaps.mean(), "low": low, "high": high, "wins": win_probability(drawn),
                "folds": len(gaps),
                "p_these": _of_these(tested[task.id, a], tested[task.id, b], n_permutations, seed),
                "test": "sign flip" if grouped else "none" if task.split == "own" else "Nadeau-Bengio",
                "p_new": sign_flip(gaps) if grouped else np.nan if task.split == "own" else nadeau_bengio(gaps),
                "floor": sign_flip_floor(len(gaps)) if grouped else np.nan,
            })  # fmt: skip
    return pd.DataFrame(rows, columns=COLUMNS)


@dataclass(frozen=True)
class _Tested:
    """One model's predictions of one task, and what their exchange needs, made once for all of its pairs."""

    plan: Design
    predictions: pd.DataFrame

    @cached_property
    def exchangeable(self) -> FoldRanks | Rows | None:
        return exchangeable(self.plan, self.predictions)


def _of_these(a: _Tested, b: _Tested, n_permutations: int, seed: int) -> float:
    """Return the p-value on these crew or time points; NaN for other tasks, and for models tested on other rows."""
    if not a.plan.task.leaves_groups_out:
        return np.nan
    if a.plan is not b.plan:
        of_a = with_seeds_of(a.predictions, b.predictions)
        of_b = with_seeds_of(b.predictions, of_a)
        plan = design(of_a, a.plan.task)
        if not plan.fits(of_b):
            return np.nan
        a, b = _Tested(plan, of_a), _Tested(plan, of_b)
    return exchange_p(a.plan, a.exchangeable, b.exchangeable, n_permutations, seed)


def with_seeds_of(predictions: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    """Return predictions of a model that was fitted once as if it had been fitted with every seed of another."""
    own, seeds = (frame["seed"].unique().tolist() for frame in (predictions, others))
    if len(own) > 1 or own == seeds:
        return predictions
    return pd.concat([predictions.assign(seed=seed) for seed in seeds], ignore_index=True)


def win_probability(drawn: np.ndarray) -> float:
    """Return the share of paired differences above 0, those of 0 counting half; NaN if none is defined."""
    known = drawn[np.isfinite(drawn)]
    return float(((known > 0) + 0.5 * (known == 0)).mean()) if len(known) else np.nan
