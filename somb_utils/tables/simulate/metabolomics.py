"""Plasma metabolomics: compounds, their differential table, and the sample matrix."""

import numpy as np
import pandas as pd

from somb_utils.tables.simulate import core
from somb_utils.tables.simulate.clinical import phase_of
from somb_utils.tables.simulate.proteomics import limma_table

# Of the real tables: rows of response (D1) and anppos matrix, compounds a contrast of metabolomics_de, D1's
# positives.
RESPONSE, MATRIX, TESTED, POSITIVE = 433, 454, 655, 91
MONTHS = {
    "June_Pre": ("L-92", -92),
    "Aug_Pre": ("L-44", -44),
    "Sept_Pre": ("L-3", -3),
    "Sept_Post": ("R+1", 1),
    "Nov_Post": ("R+45", 45),
    "Dec_Post": ("R+82", 82),
}
# Real contrasts, and in each: compounds with adj_pval < 0.05, those among D1's positives.
CONTRASTS = {
    "I4-FP1": ("(R+1) vs (L-92, L-44, L-3)", 101, 72),
    "I4-FP2": ("(R+1, R+45, R+82) vs (L-92, L-44, L-3)", 0, 0),
    "I4-RP3": ("(R+45, R+82) vs (R+1)", 63, 49),
    "I4-LP3": ("(R+45, R+82) vs (L-92, L-44, L-3)", 3, 3),
}
SUPER_SIZES = (224, 100, 39, 24, 19, 7, 6, 3, 3, 2, 2, 1)  # compounds a super-pathway; three have none
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
FIGURES = {
    "df": 40, "tilt": 1.6, "inflation": 1.0, "scale": 0.35, "mean": 0.0, "sd": 0.035, "floor": -6.44,
    "slope": 0.32,
}  # fmt: skip


def compounds(seed: int, n: int) -> pd.DataFrame:
    """Simulate n compounds: pathway, formula, the mass it adds up to, retention time; sorted by pathway."""
    rng = core.stream(seed, "compounds")
    sizes = np.array(SUPER_SIZES)
    above = np.sort(rng.permutation(np.resize(np.repeat(np.arange(len(sizes)), sizes), n)))
    below = _sub_pathways(rng, above)
    atoms = _atoms(rng, above == LIPIDS)
    odd = rng.permutation(n)[: len(ODD)]
    extra = dict(zip(odd.tolist(), ODD, strict=False))
    frame = pd.DataFrame(
        {
            "SuperPathway": [f"SYN_super_{a + 1:02d}" for a in above],
            "SubPathway": [f"SYN_sub_{a + 1:02d}_{b + 1:02d}" for a, b in zip(above, below, strict=True)],
            "metabolite": [f"SYN_metabolite_{i + 1:04d}" for i in range(n)],
            "annotation_confidence": np.where(rng.random(n) < 36 / 433, 2, 1),
            "Formula": [_formula(row, extra.get(i)) for i, row in enumerate(atoms)],
            "Mass": [_mass(row, extra.get(i)) for i, row in enumerate(atoms)],
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


def _counts(row: core.Ints, extra: str | None) -> dict[str, int]:
    counts = dict(zip("CHNOPS", row.tolist(), strict=True)) | ({extra: 1} if extra else {})
    return {element: k for element, k in counts.items() if k}


def _formula(row: core.Ints, extra: str | None) -> str:
    return "".join(f"{element}{k if k > 1 else ''}" for element, k in _counts(row, extra).items())


def _mass(row: core.Ints, extra: str | None) -> float:
    return round(sum(k * MASSES[element] for element, k in _counts(row, extra).items()), 4)


def _measured(spec: core.Spec, own: int) -> tuple[pd.DataFrame, core.Ints]:
    """Return the compounds of the matrix, and the positions of those in the response table."""
    frame = compounds(spec.seed, spec.size(MATRIX, own))
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
    frame = frame.iloc[tested].reset_index(drop=True)
    columns = [
        "metabolite", "SuperPathway", "SubPathway", "Formula", "Mass", "RT", "annotation_confidence",
    ]  # fmt: skip
    return frame[columns].assign(is_spaceflight_de=_responds(spec, frame))


def _responds(spec: core.Spec, frame: pd.DataFrame) -> core.Bools:
    rng = core.stream(spec.seed, "metabolomics_spaceflight_response")
    code, levels = pd.factorize(frame["SubPathway"].fillna(""))
    pathway = 0.5 * rng.standard_normal(len(levels))[code]
    heavy = np.cos(frame["Mass"].to_numpy() / 60)
    late = np.sin(1.2 * frame["RT"].to_numpy())
    logit = spec.effect * (pathway + 1.6 * late + 0.8 * heavy)
    return core.pick(rng, logit, core.positives(POSITIVE, len(frame), RESPONSE))


def metabolomics_de(name: str, spec: core.Spec) -> pd.DataFrame:
    """Simulate four contrasts; D1's positives are those significant in one of them."""
    response = metabolomics_spaceflight_response("", spec)
    n = len(response)
    extra = core.scaled(TESTED, n, RESPONSE) - n
    ids = [*response["metabolite"], *(f"SYN_other_{i + 1:04d}" for i in range(extra))]
    ids = [*ids, ids[-1]]  # one compound was measured twice
    rng = core.stream(spec.seed, name)
    responding = rng.permutation(np.flatnonzero(response["is_spaceflight_de"]))
    others = n + rng.permutation(len(ids) - n)
    tables = []
    for contrast, (comparison, count, known) in CONTRASTS.items():
        k, rest = (core.positives(c, n, RESPONSE) if c else 0 for c in (known, count - known))
        # The first contrast takes the head of the responding compounds, the others the tail: all are covered.
        members = responding[:k] if contrast == "I4-FP1" else responding[len(responding) - k :]
        positive = np.isin(np.arange(len(ids)), np.concatenate([members, others[:rest]]))
        table = limma_table(rng, ids, positive, core.signs(rng, len(ids)), FIGURES)
        table = table.sort_values(["pval", "gene"], ignore_index=True)
        tables.append(table.assign(contrast=contrast, comparison=comparison))
    return core.rounded(pd.concat(tables, ignore_index=True).rename(columns={"gene": "metabolite"}))


def metabolomics_metadata(name: str, spec: core.Spec) -> pd.DataFrame:
    """Return the samples of the metabolomics matrix."""
    rows = [
        (f"{crew}_{month}", crew, month, timepoint, days, phase_of(days), core.MISSION, "plasma")
        for crew in core.crew_names(spec.n_crew)
        for month, (timepoint, days) in MONTHS.items()
    ]
    columns = ["sample_id", "crew", "month_tp", "timepoint", "timepoint_days", "phase", "mission", "tissue"]
    return pd.DataFrame(rows, columns=columns)


def metabolomics_anppos_matrix(name: str, spec: core.Spec) -> pd.DataFrame:
    """Simulate the matrix: compounds in rows, samples in columns month by month."""
    frame, _ = _measured(spec, MATRIX)
    n = len(frame)
    rng = core.stream(spec.seed, name)
    meta = metabolomics_metadata("", spec).sort_values(["timepoint_days", "crew"])
    crew, phase = pd.factorize(meta["crew"])[0], pd.factorize(meta["phase"])[0]
    z = core.sample_latent(rng, crew, phase, n, STRENGTH * spec.effect, BETWEEN / WITHIN)
    values = core.significant(10 ** (LEVEL + LEVEL_SD * rng.standard_normal(n) + WITHIN * z)).T
    values[_missing(rng, values)] = np.nan
    head = pd.DataFrame(
        {
            "SuperPathway": frame["SuperPathway"],
            "SubPathway": frame["SubPathway"],
            "metabolite_name": frame["metabolite"],
            "annotation_confidence": frame["annotation_confidence"],
            "Formula": frame["Formula"],
            "Mass": frame["Mass"],
            "RT": frame["RT"],
        }
    )
    marks = {key: _accessions(rng, n, key, rate) for key, rate in ACCESSIONS.items()}
    mode = np.where(rng.random(n) < POSITIVE_MODE, "ANPPOS", "ANPNEG")
    head = head.assign(Mode=mode).join(pd.DataFrame(marks))
    head = head[[*head.columns[:7], "CAS ID", "Mode", "KEGG", "HMDB"]]
    return pd.concat([head, pd.DataFrame(values, columns=meta["sample_id"].tolist())], axis=1)


def _accessions(rng: np.random.Generator, n: int, key: str, rate: float) -> list[str | None]:
    stem = key.split()[0]
    return [None if gone else f"SYN-{stem}-{i + 1:04d}" for i, gone in enumerate(rng.random(n) < rate)]


def _missing(rng: np.random.Generator, values: core.Floats) -> core.Bools:
    """Hide `MISSING` of the cells, in `MISSING_ROWS` of the rows."""
    score = rng.random(values.shape) * rng.random((len(values), 1))
    score[rng.random(len(values)) > MISSING_ROWS] = -1
    hidden: core.Bools = score > np.quantile(score, 1 - MISSING, method="higher")
    return hidden
