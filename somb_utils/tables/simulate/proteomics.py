"""Plasma and EVP proteomics: the sample matrix and the two differential tables."""

import numpy as np
import pandas as pd
from scipy import special

from somb_utils.tables.simulate import core
from somb_utils.tables.simulate.clinical import phase_of

# Proteins of the real tables; plasma and the shared ones all stand in the matrix.
MATRIX, PLASMA, EVP, SHARED = 2_838, 1_686, 496, 380
PLASMA_POSITIVE, EVP_POSITIVE, SHARED_POSITIVE, CONCORDANT = 57, 176, 131, 244
MONTHS = {
    "Aug_Pre": ("L-44", -44),
    "Dec_Post": ("R+82", 82),
    "June_Pre": ("L-92", -92),
    "Nov_Post": ("R+45", 45),
    "Sept_Post": ("R+1", 1),
    "Sept_Pre": ("L-3", -3),
}
ABSENT = ("C001_Nov_Post", "C002_Sept_Pre", "C003_Nov_Post")
# The real matrix (log10): mean and deviation of the column means, medians of the deviations within and
# between crew; 43 % of the columns are complete, 28.4 % of the cells are missing, rows between 5 and 42 %.
LEVEL, LEVEL_SD, WITHIN, BETWEEN = 3.88, 0.83, 0.29, 0.18
COMPLETE, MISSING = 0.43, 0.284
STRENGTH = 0.6


def protein_numbers(seed: int, n_matrix: int) -> dict[str, core.Ints]:
    """Return the gene numbers of each protein table."""
    rng = core.stream(seed, "proteins")
    matrix = core.subset(rng, max(26_845, 4 * n_matrix), n_matrix)
    order = rng.permutation(matrix)
    plasma = order[: core.scaled(PLASMA, n_matrix, MATRIX)]
    shared = plasma[: core.scaled(SHARED, n_matrix, MATRIX)]
    others = np.setdiff1d(np.arange(max(26_845, 4 * n_matrix)), plasma)
    evp_only = rng.permutation(others)[: core.scaled(EVP - SHARED, n_matrix, MATRIX)]
    return {"matrix": matrix, "plasma": plasma, "shared": shared, "evp": np.concatenate([shared, evp_only])}


def proteomics_plasma_matrix(name: str, spec: core.Spec) -> pd.DataFrame:
    """Simulate the plasma matrix: log10 intensities, missing where low, by sample and by chance."""
    rows = [
        (f"{crew}_{month}", crew, month, timepoint, days, phase_of(days), core.MISSION, "plasma")
        for crew in core.crew_names(spec.n_crew)
        for month, (timepoint, days) in MONTHS.items()
        if not core.published_gap(crew, ABSENT, f"{crew}_{month}")
    ]
    columns = ["sample_id", "crew", "month_tp", "timepoint", "timepoint_days", "phase", "mission", "tissue"]
    meta = pd.DataFrame(rows, columns=columns)
    n = spec.size(MATRIX)
    rng = core.stream(spec.seed, name)
    crew, phase = pd.factorize(meta["crew"])[0], pd.factorize(meta["phase"])[0]
    z = core.sample_latent(rng, crew, phase, n, STRENGTH * spec.effect, BETWEEN / WITHIN)
    level = rng.standard_normal(n)
    value = np.maximum(LEVEL + LEVEL_SD * level + WITHIN * z, 0.699)
    hidden = _missing(rng, level, z)
    matrix = core.rounded(pd.DataFrame(np.where(hidden, np.nan, value)))
    matrix.columns = pd.Index(core.gene_ids(protein_numbers(spec.seed, n)["matrix"]))
    return pd.concat([meta, matrix], axis=1)


def _missing(rng: np.random.Generator, level: core.Floats, z: core.Floats) -> core.Bools:
    """Hide the least detectable cells, `MISSING` of all, none in the `COMPLETE` best-detected columns."""
    column = -0.9 * level + 1.5 * rng.standard_normal(z.shape[1])
    score = column + rng.standard_normal((len(z), 1)) + rng.standard_normal(z.shape) - 0.5 * z
    score[:, column <= np.quantile(column, COMPLETE)] = -np.inf
    hidden: core.Bools = score > np.quantile(score, 1 - MISSING, method="higher")
    return hidden


def limma_table(
    rng: np.random.Generator, ids: list[str], positive: core.Bools, sign: core.Floats, figures: dict[str, float]
) -> pd.DataFrame:
    """Return a limma-like table with exactly the `positive` rows at adjusted p < 0.05, in the order of `ids`.

    `figures`: df, tilt and inflation of the p-values, scale of logFC over t, mean and deviation of AveExpr,
    floor and slope of B over t².
    """
    n = len(ids)
    p = core.p_values(rng, positive, figures["tilt"], figures["inflation"])
    t = -sign * special.stdtrit(figures["df"], p / 2)
    return pd.DataFrame(
        {
            "gene": ids,
            "logFC": t * figures["scale"] * np.exp(0.4 * rng.standard_normal(n)),
            "AveExpr": figures["mean"] + figures["sd"] * core.standardized(np.exp(0.5 * rng.standard_normal(n))),
            "t": t,
            "pval": p,
            "adj_pval": core.benjamini_hochberg(p),
            "B": figures["floor"] + figures["slope"] * t**2 + 0.05 * rng.standard_normal(n),
        }
    )


# Fitted to the real tables' t, p-value, AveExpr and B columns (quartiles and extremes).
PLASMA_FIGURES = {
    "df": 18, "tilt": 2.0, "inflation": 1.5, "scale": 0.33, "mean": 13.9, "sd": 2.96, "floor": -6.35,
    "slope": 0.21,
}  # fmt: skip
EVP_FIGURES = {
    "df": 20, "tilt": 2.5, "inflation": 1.8, "scale": 0.4, "mean": 27.7, "sd": 2.88, "floor": -6.58,
    "slope": 0.225,
}  # fmt: skip


def _plasma_de(spec: core.Spec) -> tuple[pd.DataFrame, dict[str, core.Ints]]:
    """Return the plasma table in the order of its protein numbers (the shared ones first)."""
    numbers = protein_numbers(spec.seed, spec.size(MATRIX, PLASMA))
    rng = core.stream(spec.seed, "proteomics_plasma_de_clean")
    n = len(numbers["plasma"])
    positive = core.pick(rng, np.zeros(n), core.scaled(PLASMA_POSITIVE, n, PLASMA))
    return limma_table(rng, core.gene_ids(numbers["plasma"]), positive, core.signs(rng, n), PLASMA_FIGURES), numbers


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
    positive = np.concatenate(
        [
            core.pick(rng, 0.2 * spec.effect * strength, core.positives(SHARED_POSITIVE, shared, SHARED)),
            core.pick(rng, np.zeros(n - shared), core.scaled(EVP_POSITIVE - SHARED_POSITIVE, n - shared, EVP - SHARED)),
        ]
    )
    sign = core.signs(rng, n)
    same = core.pick(rng, np.zeros(shared), core.scaled(CONCORDANT, shared, SHARED))
    sign[:shared] = np.sign(plasma["logFC"].to_numpy()[:shared]) * np.where(same, 1, -1)
    return _by_pval(limma_table(rng, core.gene_ids(numbers["evp"]), positive, sign, EVP_FIGURES))
