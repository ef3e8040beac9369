"""Cell-free RNA (JAXA) and what derives from it: B1, B2, I1 and the label of I3, from one set of samples.

Simulated are the 52 samples themselves (their number follows from the real group means, multiples of 1/17,
1/12 and 1/23); every column of the tables is then computed from them, so that no two tables disagree.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import special, stats

from somb_utils.tables.simulate import core

# Counts of the real tables: genes, the 466, genes in cross_mission_gene_de, its positives, the 466 among
# them, all genes with ANOVA FDR < 0.05 (by the largest p-value and its FDR in cfrna_466drr), hemoglobin.
GENES, DRR, TWINS, TWINS_POSITIVE, TWINS_DRR, ANOVA, HEMOGLOBIN = 26_845, 466, 15_540, 814, 391, 1_072, 57
GROUPS = {"pre": 17, "flight": 12, "post": 23}
LIBRARY = {"pre": 1.11, "flight": 1.47, "post": 0.89}  # median raw over normalized mean in cfrna_466drr
# Genes with each label in the real gt_cfrna_cluster_labels, of which 226 have at least one; and the loading of each
# label, high where its genes correlate tightly in the real table.
LABELS = core.figures("cfrna_labels")
LABELLED = 226
# Log2 of the normalized level: all genes (to the fold changes of cross_mission_hemoglobin_de, of which 3 to 8 %
# are exactly 1: not seen), and the floor and spread of the 466.
SILENT, LEVEL, LEVEL_SD, DRR_LEVEL, DRR_LEVEL_SD = 0.06, 1.0, 3.0, 4.2, 2.4
PSEUDO = 0.1  # added to means in fold changes
SCALES = {"normalized": "norm", "original": "raw", "transformed": "transformed"}
PAIRS = (("pre", "flight"), ("pre", "post"), ("flight", "post"))


class Panel(NamedTuple):
    """Which genes are what."""

    drr: core.Bools
    anova: core.Bools
    twins: core.Ints
    twins_features: pd.DataFrame


@lru_cache(maxsize=2)
def panel(seed: int, n: int, effect: float) -> Panel:
    """Choose the differential genes; those also in the Twins table follow its features."""
    rng = core.stream(seed, "cfrna", "panel")
    twins = core.subset(rng, n, core.scaled(TWINS, n, GENES))
    features = twins_features(core.stream(seed, "cfrna", "twins"), len(twins))
    lfc, expression, entries = (
        core.standardized(np.log(features[c].to_numpy()))
        for c in ("mean_abs_log2fc", "mean_base_expr", "n_total_deg_entries")
    )
    logit = effect * (0.55 * lfc + 0.25 * entries + 0.2 * expression)
    positive = core.pick(rng, logit, core.positives(TWINS_POSITIVE, len(twins), TWINS))
    inside = twins[positive]
    outside = rng.permutation(np.setdiff1d(np.arange(n), twins))[: core.scaled(ANOVA - TWINS_POSITIVE, n, GENES)]
    drr_inside = core.scaled(TWINS_DRR, n, GENES)
    drr = [*inside[core.subset(rng, len(inside), drr_inside)], *outside[: core.scaled(DRR, n, GENES) - drr_inside]]
    is_drr, is_anova = (np.isin(np.arange(n), genes) for genes in (drr, [*inside, *outside]))
    return Panel(is_drr, is_anova, twins, features)


def twins_features(rng: np.random.Generator, n: int) -> pd.DataFrame:
    """Simulate the nine Twins columns; medians, spreads and rank correlations follow the real table."""
    e, d, w = rng.standard_normal((3, n))
    expression = np.exp(5.1 + 2.0 * e)
    mean_lfc = np.exp(0.03 + 0.75 * (-0.7 * e + 0.7 * d))
    cells = np.clip(np.rint(2.1 + 0.5 * e + 1.0 * w), 1, 5)
    contrasts = cells + np.floor(1.6 * rng.standard_exponential(n) * cells / 2)
    entries = contrasts + np.floor(0.75 * rng.standard_exponential(n) * contrasts)
    spread = 1 + 0.5 * rng.random(n) * np.log2(entries)
    sure = rng.random(n) < 1.1 / entries + 0.25
    return pd.DataFrame(
        {
            "mean_abs_log2fc": mean_lfc,
            "max_abs_log2fc": mean_lfc * spread,
            "mean_base_expr": expression,
            "mean_lfcSE": np.exp(-1.5 + 0.6 * (-0.6 * e + 0.6 * d + 0.5 * rng.standard_normal(n))),
            "mean_abs_wald": 2.27 + 1.2 * np.exp(0.12 * w + 0.15 * d + 0.25 * rng.standard_normal(n)),
            "n_cell_types": cells.astype(np.int64),
            "n_contrasts": contrasts.astype(np.int64),
            "n_total_deg_entries": entries.astype(np.int64),
            "direction_consistency": np.where(sure, 1.0, 0.5 + 0.45 * rng.random(n)),
        }
    )


def modules(seed: int, n: int) -> pd.DataFrame:
    """Assign the 16 labels to the n genes of the 466: counts per label in proportion, half the genes labelled."""
    rng = core.stream(seed, "cfrna", "labels")
    counts = [core.positives(count, n, DRR) for count in LABELS["genes"]]
    labelled = rng.permutation(n)[: min(core.scaled(LABELLED, n, DRR), sum(counts))]
    slots = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    member = np.zeros((n, len(counts)), dtype=np.int64)
    for i, label in enumerate(slots):
        free = labelled[i : i + 1] if i < len(labelled) else labelled[member[labelled, label] == 0]
        member[free[rng.integers(len(free))] if len(free) else labelled[0], label] = 1
    return pd.DataFrame(member, columns=LABELS.index.tolist())


@lru_cache(maxsize=2)
def profile(seed: int, n: int, effect: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Simulate the samples of n genes; return the table of all genes, and the transformed samples of the 466."""
    chosen = panel(seed, n, effect)
    rng = core.stream(seed, "cfrna", "samples")
    group = np.repeat(np.arange(3), list(GROUPS.values()))
    drr, weak = chosen.drr, chosen.anova & ~chosen.drr
    level = np.where(rng.random(n) < SILENT, -8.0, LEVEL + LEVEL_SD * rng.standard_normal(n))
    expressed = DRR_LEVEL + DRR_LEVEL_SD * np.abs(rng.standard_normal(n))
    level += min(effect, 1.0) * chosen.anova * (expressed - level)
    # Most of the real 466 fall in flight and rise after it; three in ten rise in flight.
    direction = np.where(rng.random((n, 1)) < 0.7, [[0.0, -1.6, 0.6]], [[0.0, 1.0, -0.7]])
    strength = effect * (drr * (1.1 + 0.4 * rng.standard_exponential(n)) + 0.3 * weak)
    shift = direction * strength[:, None] + (0.25 + special.expit(3 - level))[:, None] * rng.standard_normal((n, 3))
    deviation = 0.9 + 1.3 * special.expit(0.8 * (5 - level))
    noise = rng.standard_normal((n, len(group)))
    loading = modules(seed, int(drr.sum())).to_numpy() * LABELS["loading"].to_numpy()
    noise[drr] += effect * (loading @ core.stream(seed, "cfrna", "modules").standard_normal((len(LABELS), len(group))))
    log2 = (level[:, None] + shift)[:, group] + deviation[:, None] * noise
    library = np.array(list(LIBRARY.values()))[group] * np.exp(0.25 * rng.standard_normal(len(group)))
    raw = np.floor(np.exp2(log2) * library + rng.random(log2.shape))
    norm = np.round(raw / library, 1)
    samples = {"original": raw, "normalized": norm, "transformed": np.log2(norm + 1)}
    p = core.p_values(rng, chosen.anova, tilt=1.3, inflation=1.0)
    anova = {
        "anova_F": special.fdtri(2, len(group) - 3, 1 - p),
        "anova_pval": p,
        "anova_fdr": stats.false_discovery_control(p),
    }
    frame = _summary(samples, group, anova)
    return frame, pd.DataFrame(samples["transformed"][drr], index=frame.loc[drr, "gene"])


def _signed_ratio(a: core.Floats, b: core.Floats) -> core.Floats:
    """Return b / a, or −a / b where a is larger."""
    with np.errstate(divide="ignore"):
        return np.where(b >= a, b / a, -a / b)


def _summary(samples: dict[str, core.Floats], group: core.Ints, anova: dict[str, core.Floats]) -> pd.DataFrame:
    """Return the columns of cfrna_466drr and the edges, computed from samples."""
    columns: dict[str, object] = {"gene": core.gene_ids(np.arange(len(samples["original"])))}
    means = {s: {g: x[:, group == i].mean(axis=1) for i, g in enumerate(GROUPS)} for s, x in samples.items()}
    for scale, x in samples.items():
        quarter, three = np.percentile(x, [25, 75], axis=1, method="nearest")
        columns |= {
            f"experiment_range_{scale}_values": np.ptp(x, axis=1),
            f"experiment_iqr_{scale}_values": three - quarter,
        }
        widest, ratio = _widest(means[scale])
        columns |= {f"experiment_difference_{scale}_values": widest, f"experiment_fold_change_{scale}_values": ratio}
    columns["anova_max_diff"] = columns["experiment_difference_normalized_values"]
    columns["anova_max_fc"] = columns["experiment_fold_change_normalized_values"]
    columns |= anova
    columns |= {f"{g}_{short}_mean": means[scale][g] for g in GROUPS for scale, short in SCALES.items()}
    for a, b in PAIRS:
        before, after = means["normalized"][a], means["normalized"][b]
        columns[f"edge_{a}_vs_{b}_fc"] = _signed_ratio(before + PSEUDO, after + PSEUDO)
        columns[f"edge_{a}_vs_{b}_diff"] = after - before
    whole = ["experiment_range_original_values", "experiment_iqr_original_values"]
    return core.rounded(pd.DataFrame(columns)).astype(dict.fromkeys(whole, np.int64))


def _widest(means: dict[str, core.Floats]) -> tuple[core.Floats, core.Floats]:
    """Return the largest difference of two group means (later minus earlier) and its signed ratio."""
    difference = np.stack([means[b] - means[a] for a, b in PAIRS])
    floor = {g: np.maximum(mean, 0.01) for g, mean in means.items()}
    ratio = np.stack([_signed_ratio(floor[a], floor[b]) for a, b in PAIRS])
    widest = np.argmax(np.abs(difference), axis=0)[None]
    return np.take_along_axis(difference, widest, 0)[0], np.take_along_axis(ratio, widest, 0)[0]


def _profile(spec: core.Spec, published: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    return profile(spec.seed, spec.size(GENES, published, core.GENES_SHARE), spec.effect)


def cfrna_3group_de_noleak(name: str, spec: core.Spec) -> pd.DataFrame:
    """Simulate B1's features: every gene, without the ANOVA that defines the label."""
    return _profile(spec, GENES)[0].drop(columns=["anova_F", "anova_pval", "anova_fdr"])


def cfrna_466drr(name: str, spec: core.Spec) -> pd.DataFrame:
    """Simulate the table of the 466: their rows, without the edges."""
    frame, drr = _profile(spec, GENES)
    frame = frame.loc[frame["gene"].isin(drr.index), ~frame.columns.str.startswith("edge_")]
    return frame.reset_index(drop=True)


def gt_cfrna_correlation(name: str, spec: core.Spec) -> pd.DataFrame:
    """Simulate the correlation of the 466 over the samples."""
    _, drr = _profile(spec, DRR)
    z = drr.to_numpy() - drr.to_numpy().mean(axis=1, keepdims=True)
    norm = np.sqrt((z**2).sum(axis=1, keepdims=True))
    z /= np.where(norm > 0, norm, 1.0)  # a gene that does not vary correlates with none
    correlation = np.clip(core.significant(z @ z.T), -1, 1)
    np.fill_diagonal(correlation, 1.0)
    return pd.DataFrame(correlation, index=drr.index, columns=drr.index.tolist()).reset_index()


def gt_cfrna_cluster_labels(name: str, spec: core.Spec) -> pd.DataFrame:
    """Simulate the 16 labels of the 466."""
    _, drr = _profile(spec, DRR)
    return modules(spec.seed, len(drr)).set_index(drr.index).reset_index()


def cross_mission_hemoglobin_de(name: str, spec: core.Spec) -> pd.DataFrame:
    """Simulate I1: the three fold changes of every gene; the label hardly depends on them."""
    frame, _ = _profile(spec, GENES)
    table = pd.DataFrame({"gene": frame["gene"]} | {f"fc_{a}_vs_{b}": frame[f"edge_{a}_vs_{b}_fc"] for a, b in PAIRS})
    size = core.standardized(np.log(np.abs(table.iloc[:, 1:].to_numpy())).max(axis=1))
    k = core.positives(HEMOGLOBIN, len(frame), GENES)
    label = core.pick(core.stream(spec.seed, name), -0.4 * spec.effect * size, k)
    return table.assign(label=label.astype(np.int64))


def cross_mission_gene_de(name: str, spec: core.Spec) -> pd.DataFrame:
    """Simulate I3: Twins features, labelled with the cell-free RNA ANOVA."""
    chosen = panel(spec.seed, spec.size(GENES, TWINS, core.GENES_SHARE), spec.effect)
    frame = core.rounded(chosen.twins_features)
    frame.insert(0, "gene", core.gene_ids(chosen.twins))
    return frame.assign(label=chosen.anova[chosen.twins].astype(np.int64))
