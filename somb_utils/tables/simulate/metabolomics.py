"""Plasma metabolomics: compounds, their differential table, and the sample matrix."""

import numpy as np
import pandas as pd

from somb_utils.tables.simulate import core
from somb_utils.tables.simulate.proteomics import limma_table

# Of the real tables: rows of response (D1) and anppos matrix, compounds of each contrast, positives of D1.
RESPONSE, MATRIX, TESTED, POSITIVE = 433, 454, 655, 91
# Real contrasts, and in each: compounds with adj_pval < 0.05, those among D1's positives.
CONTRASTS = {
    "I4-FP1": ("(R+1) vs (L-92, L-44, L-3)", 101, 72),
    "I4-FP2": ("(R+1, R+45, R+82) vs (L-92, L-44, L-3)", 0, 0),
    "I4-RP3": ("(R+45, R+82) vs (R+1)", 63, 49),
    "I4-LP3": ("(R+45, R+82) vs (L-92, L-44, L-3)", 3, 3),
}
SUPER_SIZES = (224, 100, 39, 24, 19, 7, 6, 3, 3, 2, 2, 1)  # compounds per super-pathway; three compounds have none
SUB_COUNTS = (12, 14, 4, 9, 4, 2, 3, 2, 3, 2, 1, 1)  # sub-pathways in each
LIPIDS = 0  # the first super-pathway, whose compounds are the heavy ones
MASSES = {
    "C": 12.0, "H": 1.00783, "N": 14.00307, "O": 15.99491, "P": 30.97376, "S": 31.97207,
    "Cl": 34.96885, "Na": 22.98977, "Se": 79.91652,
}  # fmt: skip
ODD = ("Cl", "Cl", "Na", "Na", "Se")
# The real matrix, log10: mean and deviation over compounds, median deviation within and between crew;
# 2.1 % of the cells are missing, in a fifth of the rows; rate of missing accessions.
LEVEL, LEVEL_SD, WITHIN, BETWEEN = 5.25, 0.97, 0.151, 0.084
MISSING, MISSING_ROWS = 0.0208, 0.2
ACCESSIONS = {"CAS ID": 209 / 454, "KEGG": 214 / 454, "HMDB": 182 / 454}
POSITIVE_MODE = 275 / 454
STRENGTH = 0.3


def compounds(seed: int, n: int) -> pd.DataFrame:
    """Simulate n compounds: pathway, formula, the mass it adds up to, retention time; sorted by pathway."""
    rng = core.stream(seed, "compounds")
    sizes = np.array(SUPER_SIZES)
    above = np.sort(rng.permutation(np.resize(np.repeat(np.arange(len(sizes)), sizes), n)))
    below = _sub_pathways(rng, above)
    atoms = _atoms(rng, above == LIPIDS)
    extra = dict(zip(rng.permutation(n)[: len(ODD)].tolist(), ODD, strict=False))
    formulas, masses = zip(*(_molecule(row, extra.get(i)) for i, row in enumerate(atoms)), strict=True)
    frame = pd.DataFrame(
        {
            "SuperPathway": [f"SYN_super_{a + 1:02d}" for a in above],
            "SubPathway": [f"SYN_sub_{a + 1:02d}_{b + 1:02d}" for a, b in zip(above, below, strict=True)],
            "metabolite": [f"SYN_metabolite_{i + 1:04d}" for i in range(n)],
            "annotation_confidence": np.where(rng.random(n) < 36 / 433, 2, 1),
            "Formula": formulas,
            "Mass": masses,
            # The real retention times have two modes, at 2 and 9 minutes, and lipids up to 27.
            "RT": np.where(rng.random(n) < 0.35, 1 + 2.5 * rng.random(n), 8.3 + 1.3 * rng.standard_normal(n))
            + np.where((above == LIPIDS) & (rng.random(n) < 0.25), 10 * rng.random(n), 0),
        }
    )
    frame["RT"] = frame["RT"].clip(lower=0.9).round(2)
    bare = _largest(frame)[-3:]
    frame.loc[bare, ["SuperPathway", "SubPathway"]] = np.nan
    frame.loc[bare[-1:], "Formula"] = np.nan
    return frame


def _sub_pathways(rng: np.random.Generator, above: core.Ints) -> core.Ints:
    """Give each compound a sub-pathway: every one is used (room permitting), the first ones most."""
    below = np.floor(np.array(SUB_COUNTS)[above] * rng.random(len(above)) ** 3).astype(np.int64)
    for code, count in enumerate(SUB_COUNTS):
        members = np.flatnonzero(above == code)
        below[members[:count]] = np.arange(len(members[:count]))
        below[members] = np.sort(below[members])
    return below


def _atoms(rng: np.random.Generator, lipid: core.Bools) -> core.Ints:
    """Return counts of C, H, N, O, P, S."""
    n = len(lipid)
    small = 1 + np.floor(7 * rng.standard_exponential(n)).clip(0, 30)
    carbon = np.where(lipid, 16 + rng.integers(0, 37, n), small)
    hydrogen = np.maximum(np.where(lipid, 1.75, 1.5) * carbon + rng.integers(0, 5, n), 2)
    nitrogen = np.where(lipid, 1, rng.integers(0, 4, n))
    few = 1 + np.floor(3 * rng.standard_exponential(n)).clip(0, 16)
    oxygen = np.where(lipid, 4 + rng.integers(0, 5, n), few)
    phosphorus = np.where(lipid, rng.random(n) < 0.7, rng.random(n) < 0.06)
    sulfur = rng.random(n) < 0.05
    return np.stack([carbon, hydrogen, nitrogen, oxygen, phosphorus, sulfur], axis=1).astype(np.int64)


def _molecule(row: core.Ints, extra: str | None) -> tuple[str, float]:
    """Return the formula and the mass of a compound from its counts of C, H, N, O, P, S and one more element."""
    counts = dict(zip("CHNOPS", row.tolist(), strict=True)) | ({extra: 1} if extra else {})
    formula = "".join(f"{element}{k if k > 1 else ''}" for element, k in counts.items() if k)
    return formula, round(sum(k * MASSES[element] for element, k in counts.items()), 4)


def _measured(spec: core.Spec, rows: int) -> tuple[pd.DataFrame, core.Ints]:
    """Return the compounds of the matrix, and the positions of those in the response table."""
    frame = compounds(spec.seed, spec.size(MATRIX, rows))
    n = core.scaled(RESPONSE, len(frame), MATRIX)
    # What was not tested comes from the largest super-pathway, so that no pathway is lost.
    untested = core.stream(spec.seed, "compounds", "tested").permutation(_largest(frame))[: len(frame) - n]
    return frame, np.setdiff1d(np.arange(len(frame)), untested)


def _largest(frame: pd.DataFrame) -> core.Ints:
    """Return the positions of the largest super-pathway but for the first of each of its sub-pathways."""
    first = ~frame["SubPathway"].duplicated()
    return np.flatnonzero((frame["SuperPathway"] == "SYN_super_01") & ~first)


def metabolomics_spaceflight_response(name: str, spec: core.Spec) -> pd.DataFrame:
    """Simulate D1: compounds, and whether they respond; retention time and pathway say something about it."""
    frame, tested = _measured(spec, RESPONSE)
    columns = ["metabolite", "SuperPathway", "SubPathway", "Formula", "Mass", "RT", "annotation_confidence"]
    frame = frame.loc[tested, columns].reset_index(drop=True)
    rng = core.stream(spec.seed, "metabolomics_spaceflight_response")
    code, levels = pd.factorize(frame["SubPathway"].fillna(""))
    pathway = 0.5 * rng.standard_normal(len(levels))[code]
    heavy = np.cos(frame["Mass"].to_numpy() / 60)
    late = np.sin(1.2 * frame["RT"].to_numpy())
    logit = spec.effect * (pathway + 1.6 * late + 0.8 * heavy)
    return frame.assign(is_spaceflight_de=core.pick(rng, logit, core.positives(POSITIVE, len(frame), RESPONSE)))


def metabolomics_de(name: str, spec: core.Spec) -> pd.DataFrame:
    """Simulate four contrasts; D1's positives are those significant in one of them."""
    response = metabolomics_spaceflight_response("", spec)
    n = len(response)
    ids = [*response["metabolite"], *(f"SYN_other_{i + 1:04d}" for i in range(core.scaled(TESTED, n, RESPONSE) - n))]
    ids.append(ids[-1])  # one compound was measured twice
    rng = core.stream(spec.seed, name)
    responding = rng.permutation(np.flatnonzero(response["is_spaceflight_de"]))
    others = n + rng.permutation(len(ids) - n)
    tables = []
    for contrast, (comparison, count, known) in CONTRASTS.items():
        k, rest = (core.positives(c, n, RESPONSE) if c else 0 for c in (known, count - known))
        # The first contrast takes the head of the responding compounds, the others the tail: all are covered.
        members = responding[:k] if contrast == "I4-FP1" else responding[len(responding) - k :]
        positive = np.isin(np.arange(len(ids)), np.concatenate([members, others[:rest]]))
        table = limma_table(rng, name, ids, positive, core.signs(rng, len(ids)))
        table = table.sort_values(["pval", "gene"], ignore_index=True)
        tables.append(table.assign(contrast=contrast, comparison=comparison))
    return core.rounded(pd.concat(tables, ignore_index=True).rename(columns={"gene": "metabolite"}))


def metabolomics_metadata(name: str, spec: core.Spec) -> pd.DataFrame:
    """Return the samples of the metabolomics matrix."""
    return core.plasma_samples(spec)


def metabolomics_anppos_matrix(name: str, spec: core.Spec) -> pd.DataFrame:
    """Simulate the matrix: compounds in rows, samples in columns month by month."""
    frame, _ = _measured(spec, MATRIX)
    n = len(frame)
    rng = core.stream(spec.seed, name)
    samples = core.plasma_samples(spec).sort_values(["timepoint_days", "crew"])
    z = core.sample_latent(rng, samples, n, STRENGTH * spec.effect, BETWEEN / WITHIN)
    values = core.significant(10 ** (LEVEL + LEVEL_SD * rng.standard_normal(n) + WITHIN * z)).T
    # `MISSING` of the cells, in `MISSING_ROWS` of the rows.
    score = rng.random(values.shape) * rng.random((n, 1))
    score[rng.random(n) > MISSING_ROWS] = -1
    values[core.highest(MISSING, score)] = np.nan
    head = frame.rename(columns={"metabolite": "metabolite_name"})
    for key, rate in ACCESSIONS.items():
        gone = rng.random(n) < rate
        head[key] = [None if gone[i] else f"SYN-{key.split()[0]}-{i + 1:04d}" for i in range(n)]
    head.insert(8, "Mode", np.where(rng.random(n) < POSITIVE_MODE, "ANPPOS", "ANPNEG"))
    return pd.concat([head, pd.DataFrame(values, columns=samples["sample_id"].tolist())], axis=1)
