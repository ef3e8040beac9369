"""Plasma and EVP proteomics: the sample matrix and the two differential tables."""

import numpy as np
import pandas as pd
from scipy import special, stats

from somb_utils.tables.simulate import core

# Proteins of the real tables; those of plasma and the shared ones are all in the matrix.
MATRIX, PLASMA, EVP, SHARED = 2_838, 1_686, 496, 380
PLASMA_POSITIVE, EVP_POSITIVE, SHARED_POSITIVE, CONCORDANT = 57, 176, 131, 244
ABSENT = ("C001_Nov_Post", "C002_Sept_Pre", "C003_Nov_Post")
# The real matrix (log10): mean and deviation of the column means, medians of the deviations within and
# between crew; 43 % of the columns are complete, 28.4 % of the cells are missing, rows between 5 and 42 %.
LEVEL, LEVEL_SD, WITHIN, BETWEEN = 3.88, 0.83, 0.29, 0.18
COMPLETE, MISSING = 0.43, 0.284
STRENGTH = 0.6


def protein_numbers(seed: int, n_matrix: int) -> dict[str, core.Ints]:
    """Return the gene numbers of each protein table."""
    rng = core.stream(seed, "proteins")
    universe = max(core.UNIVERSE, 4 * n_matrix)
    matrix = core.subset(rng, universe, n_matrix)
    plasma = rng.permutation(matrix)[: core.scaled(PLASMA, n_matrix, MATRIX)]
    shared = plasma[: core.scaled(SHARED, n_matrix, MATRIX)]
    others = rng.permutation(np.setdiff1d(np.arange(universe), plasma))
    evp = np.concatenate([shared, others[: core.scaled(EVP - SHARED, n_matrix, MATRIX)]])
    return {"matrix": matrix, "plasma": plasma, "shared": shared, "evp": evp}


def proteomics_plasma_matrix(name: str, spec: core.Spec) -> pd.DataFrame:
    """Simulate the plasma matrix: log10 intensities, missing where low, by sample and by chance."""
    samples = core.plasma_samples(spec, ABSENT).sort_values(["crew", "month_tp"], ignore_index=True)
    n = spec.size(MATRIX)
    rng = core.stream(spec.seed, name)
    z = core.sample_latent(rng, samples, n, STRENGTH * spec.effect, BETWEEN / WITHIN)
    level = rng.standard_normal(n)
    values = core.significant(np.maximum(LEVEL + LEVEL_SD * level + WITHIN * z, 0.699))
    values[_missing(rng, level, z)] = np.nan
    genes = core.gene_ids(protein_numbers(spec.seed, n)["matrix"])
    return pd.concat([samples, pd.DataFrame(values, columns=genes)], axis=1)


def _missing(rng: np.random.Generator, level: core.Floats, z: core.Floats) -> core.Bools:
    """Mark the least detectable cells, `MISSING` of all, none in the `COMPLETE` best-detected columns."""
    column = -0.9 * level + 1.5 * rng.standard_normal(z.shape[1])
    score = column + rng.standard_normal((len(z), 1)) + rng.standard_normal(z.shape) - 0.5 * z
    score[:, column <= np.quantile(column, COMPLETE)] = -np.inf
    return core.highest(MISSING, score)


def limma_table(
    rng: np.random.Generator, name: str, ids: list[str], positive: core.Bools, sign: core.Floats
) -> pd.DataFrame:
    """Return a limma-like table with exactly the `positive` rows at adjusted p < 0.05, in the order of `ids`.

    ``data/simulate/limma.csv`` was fitted to the real tables' t, p-value, AveExpr and B (quartiles and extremes):
    df, tilt and inflation of the p-values, scale of logFC over t, mean and deviation of AveExpr, floor and slope of B
    over t².
    """
    n, of = len(ids), core.figures("limma").to_dict("index")[name]
    p = core.p_values(rng, positive, of["tilt"], of["inflation"])
    t = -sign * special.stdtrit(of["df"], p / 2)
    return pd.DataFrame(
        {
            "gene": ids,
            "logFC": t * of["scale"] * np.exp(0.4 * rng.standard_normal(n)),
            "AveExpr": of["mean"] + of["sd"] * core.standardized(np.exp(0.5 * rng.standard_normal(n))),
            "t": t,
            "pval": p,
            "adj_pval": stats.false_discovery_control(p),
            "B": of["floor"] + of["slope"] * t**2 + 0.05 * rng.standard_normal(n),
        }
    )


def _plasma_de(spec: core.Spec) -> tuple[pd.DataFrame, dict[str, core.Ints]]:
    """Return the plasma table in the order of its protein numbers (the shared ones first), and all numbers."""
    name = "proteomics_plasma_de_clean"
    numbers = protein_numbers(spec.seed, spec.size(MATRIX, PLASMA))
    rng = core.stream(spec.seed, name)
    n = len(numbers["plasma"])
    positive = core.pick(rng, np.zeros(n), core.scaled(PLASMA_POSITIVE, n, PLASMA))
    return limma_table(rng, name, core.gene_ids(numbers["plasma"]), positive, core.signs(rng, n)), numbers


def _by_pval(frame: pd.DataFrame) -> pd.DataFrame:
    return core.rounded(frame.sort_values(["pval", "gene"], ignore_index=True))


def proteomics_plasma_de_clean(name: str, spec: core.Spec) -> pd.DataFrame:
    """Simulate the plasma differential table."""
    return _by_pval(_plasma_de(spec)[0])


def proteomics_evp_de_clean(name: str, spec: core.Spec) -> pd.DataFrame:
    """Simulate the EVP differential table: significance all but independent of plasma."""
    plasma, numbers = _plasma_de(spec)
    rng = core.stream(spec.seed, name)
    n, shared = len(numbers["evp"]), len(numbers["shared"])
    strength = core.standardized(np.abs(plasma["t"].to_numpy()[:shared]))
    both = core.pick(rng, 0.2 * spec.effect * strength, core.positives(SHARED_POSITIVE, shared, SHARED))
    k = core.scaled(EVP_POSITIVE - SHARED_POSITIVE, n - shared, EVP - SHARED)
    positive = np.concatenate([both, core.pick(rng, np.zeros(n - shared), k)])
    sign = core.signs(rng, n)
    same = core.pick(rng, np.zeros(shared), core.scaled(CONCORDANT, shared, SHARED))
    sign[:shared] = np.sign(plasma["logFC"].to_numpy()[:shared]) * np.where(same, 1, -1)
    return _by_pval(limma_table(rng, name, core.gene_ids(numbers["evp"]), positive, sign))
