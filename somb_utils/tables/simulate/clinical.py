"""Blood counts, metabolic panel and cytokines: one row a crew member and timepoint."""

import numpy as np
import pandas as pd

from somb_utils.tables.simulate.core import MISSION, Floats, Spec, crew_names, sample_latent, significant, stream

# Summary figures a column of the real table of the same name: median, deviation between crew and within crew
# (both of the natural logarithm), decimals written.
Figures = dict[str, tuple[float, float, float, int]]
CBC: Figures = {
    "absolute_basophils": (50, 0.38, 0.26, 0),
    "absolute_eosinophils": (178, 0.26, 0.28, 0),
    "absolute_lymphocytes": (2150, 0.07, 0.21, 0),
    "absolute_monocytes": (584, 0.38, 0.14, 0),
    "absolute_neutrophils": (3700, 0.31, 0.18, 0),
    "basophils": (0.8, 0.36, 0.30, 1),
    "eosinophils": (2.75, 0.35, 0.30, 1),
    "hematocrit": (43, 0.11, 0.04, 1),
    "hemoglobin": (14.4, 0.13, 0.04, 1),
    "lymphocytes": (32.2, 0.17, 0.15, 1),
    "mch": (30.3, 0.02, 0.02, 1),
    "mchc": (33.2, 0.02, 0.01, 1),
    "mcv": (90.7, 0.02, 0.02, 1),
    "monocytes": (8.05, 0.23, 0.15, 1),
    "mpv": (10.4, 0.03, 0.03, 1),
    "neutrophils": (54.9, 0.10, 0.10, 1),
    "platelet_count": (244, 0.15, 0.15, 0),
    "rdw": (12.6, 0.03, 0.02, 1),
    "red_blood_cell_count": (4.67, 0.13, 0.04, 2),
    "white_blood_cell_count": (6.9, 0.22, 0.14, 1),
}
CMP: Figures = {
    "albumin": (4.55, 0.05, 0.04, 1),
    "albumin_to_globulin_ratio": (1.6, 0.12, 0.07, 1),
    "alkaline_phosphatase": (53, 0.23, 0.11, 0),
    "alt": (16, 0.45, 0.20, 0),
    "ast": (18.5, 0.42, 0.20, 0),
    "total_bilirubin": (0.5, 0.44, 0.30, 1),
    "bun_to_creatinine_ratio": (22.5, 0.15, 0.16, 0),
    "calcium": (9.7, 0.02, 0.03, 1),
    "carbon_dioxide": (23, 0.06, 0.08, 0),
    "chloride": (102, 0.01, 0.01, 0),
    "creatinine": (1.08, 0.12, 0.08, 2),
    "egfr_african_american": (89, 0.04, 0.10, 0),
    "egfr_non_african_american": (77, 0.04, 0.10, 0),
    "globulin": (2.8, 0.07, 0.08, 1),
    "glucose": (80, 0.08, 0.26, 0),
    "potassium": (4, 0.08, 0.11, 1),
    "total_protein": (7.3, 0.01, 0.05, 1),
    "sodium": (139, 0.01, 0.01, 0),
    "urea_nitrogen_bun": (19, 0.11, 0.18, 0),
}
CYTOKINES: Figures = {
    "6ckine": (877, 0.20, 0.35, 2),
    "bca_1": (35.2, 0.19, 0.39, 2),
    "ctack": (1150, 0.08, 0.15, 2),
    "egf": (457, 0.07, 0.46, 2),
    "ena_78": (973, 0.15, 0.48, 2),
    "eotaxin": (80.5, 0.39, 0.57, 2),
    "eotaxin_2": (669, 0.28, 0.37, 2),
    "eotaxin_3": (34.1, 0.33, 0.60, 2),
    "fgf_2": (185, 0.08, 0.12, 2),
    "flt_3l": (20.3, 0.16, 0.32, 2),
    "fractalkine": (484, 0.39, 0.60, 2),
    "g_csf": (61.8, 0.09, 0.18, 2),
    "gm_csf": (145, 0.78, 1.36, 2),
    "groα": (38.6, 0.19, 0.23, 2),
    "i_309": (1.09, 0.69, 1.08, 2),
    "ifn_α2": (121, 0.36, 0.62, 2),
    "ifnγ": (17, 0.82, 0.81, 2),
    "il_10": (11.2, 0.28, 0.38, 2),
    "il_12p40": (147, 0.21, 0.43, 2),
    "il_12p70": (32.2, 0.70, 0.67, 2),
    "il_13": (250, 0.36, 0.72, 2),
    "il_15": (8.32, 0.15, 0.42, 2),
    "il_16": (186, 0.30, 0.73, 2),
    "il_17a": (24.2, 0.01, 0.31, 2),
    "il_17e_per_il_25": (1430, 0.16, 0.26, 2),
    "il_17f": (77.7, 0.65, 0.72, 2),
    "il_18": (276, 0.43, 0.48, 2),
    "il_1ra": (19.6, 0.19, 0.41, 2),
    "il_1α": (136, 0.11, 0.55, 2),
    "il_1β": (64.5, 0.32, 0.48, 2),
    "il_2": (5.92, 0.34, 0.62, 2),
    "il_20": (308, 0.95, 1.70, 2),
    "il_21": (14.8, 0.42, 0.77, 2),
    "il_22": (157, 0.32, 0.62, 2),
    "il_23": (1330, 0.71, 1.00, 2),
    "il_27": (1440, 0.11, 0.28, 2),
    "il_28a": (382, 1.11, 1.64, 2),
    "il_3": (0.76, 0.12, 0.63, 2),
    "il_33": (56.3, 0.67, 0.96, 2),
    "il_4": (5.14, 0.25, 0.52, 2),
    "il_5": (14.1, 0.16, 0.37, 2),
    "il_6": (4.15, 0.19, 0.63, 2),
    "il_7": (9.78, 0.20, 0.42, 2),
    "il_8": (21, 0.17, 1.06, 2),
    "il_9": (25.3, 0.19, 0.21, 2),
    "ip_10": (112, 0.59, 0.50, 2),
    "lif": (24.7, 0.45, 0.87, 2),
    "m_csf": (163, 0.14, 0.40, 2),
    "mcp_1": (1020, 0.28, 0.59, 2),
    "mcp_2": (44, 0.19, 0.26, 2),
    "mcp_3": (42.9, 0.50, 0.75, 2),
    "mcp_4": (101, 0.24, 0.30, 2),
    "mdc": (1540, 0.37, 0.71, 2),
    "mig_per_cxcl9": (2250, 0.23, 0.42, 2),
    "mip_1α": (77.2, 0.15, 0.23, 2),
    "mip_1β": (57.9, 0.38, 0.47, 2),
    "mip_1δ": (4190, 0.07, 0.29, 2),
    "pdgf_aa": (6750, 1.07, 0.90, 2),
    "pdgf_ab_per_bb": (128000, 0.34, 0.58, 2),
    "rantes": (2430, 1.14, 1.03, 2),
    "scd40l": (12500, 0.20, 0.35, 2),
    "scf": (36.9, 0.41, 0.83, 2),
    "sdf_1α_plus_β": (6640, 0.09, 0.24, 2),
    "tarc": (105, 0.41, 0.57, 2),
    "tgfα": (19.5, 0.32, 0.49, 2),
    "tnfα": (107, 0.46, 0.67, 2),
    "tnfβ": (21.3, 0.79, 1.08, 2),
    "tpo": (751, 0.23, 0.50, 2),
    "trail": (66.9, 0.34, 0.57, 2),
    "tslp": (6.6, 0.52, 0.98, 2),
    "vegf_a": (660, 0.14, 0.38, 2),
}
WHOLE_FLOATS = ("absolute_neutrophils", "platelet_count")  # whole numbers the real file writes as 3570.0
# Missing values of the real 28 rows, as a rate.
MISSING = {
    "mch": 1 / 28,
    "mchc": 4 / 28,
    "mcv": 1 / 28,
    "total_bilirubin": 1 / 28,
    "bun_to_creatinine_ratio": 22 / 28,
}
DAYS = (-3, 1, 45, -44, 82, -92, 194)  # of the real samples; the first three hold every phase
MOST_TIMEPOINTS = 7 * 37  # with more, the days after R+45 would meet R+82
PANELS = {
    "clinical_cbc": ("cbc", "whole-blood", CBC),
    "clinical_cmp": ("cmp", "serum", CMP),
    "clinical_cytokines_eve": ("eve_immune", "serum", CYTOKINES),
}
STRENGTH = {"clinical_cbc": 0.6, "clinical_cmp": 0.6, "clinical_cytokines_eve": 0.55}


def phase_of(days: int) -> str:
    """Return the phase of a ground timepoint: before flight, the day after it, or recovery."""
    if days < 0:
        return "pre_flight"
    return "post_flight" if days == 1 else "recovery"


def schedule(n_timepoints: int) -> list[tuple[str, int, str]]:
    """Return name, day and phase of each timepoint, by name: the real ones, then the days that follow each of them."""
    made = []
    for i in range(n_timepoints):
        later, first = divmod(i, len(DAYS))
        day = abs(DAYS[first]) + later
        before = DAYS[first] < 0
        made.append((f"L-{day}" if before else f"R+{day}", -day if before else day, phase_of(DAYS[first])))
    return sorted(made)


def clinical_panel(name: str, spec: Spec) -> pd.DataFrame:
    """Simulate one clinical panel: log-normal analytes with crew offsets and phase shifts."""
    prefix, tissue, figures = PANELS[name]
    rows = [
        (f"{crew}_{timepoint}", crew, tissue, timepoint, day, phase, MISSION)
        for crew in crew_names(spec.n_crew)
        for timepoint, day, phase in schedule(spec.n_timepoints)
    ]
    meta = pd.DataFrame(
        rows, columns=["sample_id", "crew", "tissue", "timepoint", "timepoint_days", "phase", "mission"]
    )
    known = list(figures)
    n = spec.size(len(known))
    names = known if spec.n_features is None else [f"syn_{j + 1:04d}" for j in range(n)]
    chosen = [figures[known[j % len(known)]] for j in range(n)]
    rng = stream(spec.seed, name)
    crew, phase = pd.factorize(meta["crew"])[0], pd.factorize(meta["phase"])[0]
    ratio = np.array([between / within for _, between, within, _ in chosen])
    z = sample_latent(rng, crew, phase, n, STRENGTH[name] * spec.effect, ratio)
    columns = {f"{prefix}_{label}": _analyte(rng, z[:, j], label, chosen[j]) for j, label in enumerate(names)}
    return pd.concat([meta, pd.DataFrame(columns)], axis=1)


def _analyte(rng: np.random.Generator, z: Floats, label: str, figures: tuple[float, float, float, int]) -> pd.Series:
    median, _, within, decimals = figures
    value = significant(median * np.exp(within * z)).round(decimals)
    if label in MISSING:
        value[rng.permutation(len(z))[: round(MISSING[label] * len(z))]] = np.nan
    whole = decimals == 0 and label not in MISSING and label not in WHOLE_FLOATS
    return pd.Series(value.astype(np.int64) if whole else value)
