"""Cell-free RNA (JAXA) and what derives from it: B1, B2, I1 and the label of I3, from one set of samples.

Simulated are the 52 samples themselves (their number follows from the real group means, multiples of 1/17,
1/12 and 1/23); every column of the tables is then computed from them, so that no two tables disagree.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from scipy import special

from somb_utils.paths import DATA
from somb_utils.tables.simulate import core

# Counts of the real tables: genes, the 466, genes in cross_mission_gene_de, its positives, the 466 among
# them, all genes with ANOVA FDR < 0.05 (by the largest p-value and its FDR in cfrna_466drr), hemoglobin.
GENES, DRR, TWINS, TWINS_POSITIVE, TWINS_DRR, ANOVA, HEMOGLOBIN = 26_845, 466, 15_540, 814, 391, 1_072, 57
GROUPS = {"pre": 17, "flight": 12, "post": 23}
LIBRARY = {"pre": 1.11, "flight": 1.47, "post": 0.89}  # median raw over normalized mean in cfrna_466drr
# Genes with each label in the real gt_cfrna_cluster_labels; 226 genes have at least one.
_LABELS = pd.read_csv(DATA / "simulate" / "cfrna_labels.csv")
LABELS: dict[str, int] = dict(zip(_LABELS["label"], _LABELS["genes"].tolist(), strict=True))
LABELLED = 226
# Loadings of the labels whose genes correlate tightly in the real table, and of the others.
MODULE = {"MT": 1.5, "MUC": 0.8, "Cerebellum": 0.6, "skeletal muscle": 0.4}
MODULE_REST = 0.15
# Log2 of the normalized level: all genes (to the fold changes of cross_mission_hemoglobin_de, of which 3 to 8 %
# are exactly 1: not seen), and the floor and spread of the 466.
SILENT, LEVEL, LEVEL_SD, DRR_LEVEL, DRR_LEVEL_SD = 0.06, 1.0, 3.0, 4.2, 2.4
PSEUDO = 0.1  # added to means in fold changes
SCALES = {"original": "raw", "normalized": "norm", "transformed": "transformed"}
PAIRS = (("pre", "flight"), ("pre", "post"), ("flight", "post"))


@dataclass(frozen=True)
class Panel:
    """Which genes are what."""

    drr: core.Bools
    anova: core.Bools
    twins: core.Ints
    twins_features: pd.DataFrame


@dataclass(frozen=True)
class Profile:
    """The table of all genes, and the transformed samples of the 466."""

    frame: pd.DataFrame
    anova: pd.DataFrame
    drr_samples: core.Floats


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
    chosen = np.concatenate(
        [inside[core.subset(rng, len(inside), drr_inside)], outside[: core.scaled(DRR, n, GENES) - drr_inside]]
    )
    index = np.arange(n)
    return Panel(np.isin(index, chosen), np.isin(index, np.concatenate([inside, outside])), twins, features)


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
    """Assign the 16 labels to the n genes of the 466: real counts a label, half the genes labelled."""
    rng = core.stream(seed, "cfrna", "labels")
    counts = [core.scaled(count, n, DRR) for count in LABELS.values()]
    labelled = rng.permutation(n)[: min(core.scaled(LABELLED, n, DRR), sum(counts))]
    slots = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    member = np.zeros((n, len(counts)), dtype=np.int64)
    for i, label in enumerate(slots):
        free = labelled[i : i + 1] if i < len(labelled) else labelled[member[labelled, label] == 0]
        member[free[rng.integers(len(free))] if len(free) else labelled[0], label] = 1
    return pd.DataFrame(member, columns=list(LABELS))


@lru_cache(maxsize=2)
def profile(seed: int, n: int, effect: float) -> Profile:
    """Simulate the samples of n genes and summarise them."""
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
    rare = 1 / (1 + np.exp(level - 3))
    shift = direction * strength[:, None] + (0.25 + 1.0 * rare)[:, None] * rng.standard_normal((n, 3))
    deviation = 0.9 + 1.3 / (1 + np.exp(0.8 * (level - 5)))
    noise = rng.standard_normal((n, len(group)))
    members = modules(seed, int(drr.sum()))
    noise[drr] += effect * _module_noise(core.stream(seed, "cfrna", "modules"), members, len(group))
    log2 = (level[:, None] + shift)[:, group] + deviation[:, None] * noise
    library = np.array(list(LIBRARY.values()))[group] * np.exp(0.25 * rng.standard_normal(len(group)))
    raw = np.floor(np.exp2(log2) * library + rng.random(log2.shape))
    norm = np.round(raw / library, 1)
    samples = {"original": raw, "normalized": norm, "transformed": np.log2(norm + 1)}
    anova = core.p_values(rng, chosen.anova, tilt=1.3, inflation=1.0)
    return Profile(
        frame=_summary(samples, group, core.gene_ids(np.arange(n))),
        anova=pd.DataFrame(
            {
                "anova_F": special.fdtri(2, len(group) - 3, 1 - anova),
                "anova_pval": anova,
                "anova_fdr": core.benjamini_hochberg(anova),
            }
        ),
        drr_samples=samples["transformed"][drr],
    )


def _module_noise(rng: np.random.Generator, member: pd.DataFrame, n_samples: int) -> core.Floats:
    loading = member.to_numpy() * [MODULE.get(label, MODULE_REST) for label in LABELS]
    noise: core.Floats = loading @ rng.standard_normal((member.shape[1], n_samples))
    return noise


def _signed_ratio(a: core.Floats, b: core.Floats) -> core.Floats:
    """Return b / a, or −a / b where a is larger."""
    with np.errstate(divide="ignore"):
        return np.where(b >= a, b / a, -a / b)


def _summary(samples: dict[str, core.Floats], group: core.Ints, genes: list[str]) -> pd.DataFrame:
    """Return the columns of cfrna_466drr (but its ANOVA) and the edges, computed from samples."""
    columns: dict[str, object] = {"gene": genes}
    means = {(g, scale): x[:, group == i].mean(axis=1) for i, g in enumerate(GROUPS) for scale, x in samples.items()}
    for scale, x in samples.items():
        quarter, three = np.percentile(x, [25, 75], axis=1, method="nearest")
        widest, ratio = _widest(*(means[g, scale] for g in GROUPS))
        stem = f"{scale}_values"
        columns |= {f"experiment_range_{stem}": np.ptp(x, axis=1), f"experiment_iqr_{stem}": three - quarter}
        columns |= {f"experiment_difference_{stem}": widest, f"experiment_fold_change_{stem}": ratio}
    columns["anova_max_diff"] = columns["experiment_difference_normalized_values"]
    columns["anova_max_fc"] = columns["experiment_fold_change_normalized_values"]
    for g in GROUPS:
        columns |= {f"{g}_{SCALES[s]}_mean": means[g, s] for s in ("normalized", "original", "transformed")}
    for a, b in PAIRS:
        before, after = means[a, "normalized"], means[b, "normalized"]
        columns[f"edge_{a}_vs_{b}_fc"] = _signed_ratio(before + PSEUDO, after + PSEUDO)
        columns[f"edge_{a}_vs_{b}_diff"] = after - before
    frame = core.rounded(pd.DataFrame(columns))
    whole = ["experiment_range_original_values", "experiment_iqr_original_values"]
    return frame.astype(dict.fromkeys(whole, np.int64))


def _widest(pre: core.Floats, flight: core.Floats, post: core.Floats) -> tuple[core.Floats, core.Floats]:
    """Return the largest difference of two group means (later minus earlier) and its signed ratio."""
    means = {"pre": pre, "flight": flight, "post": post}
    difference = np.stack([means[b] - means[a] for a, b in PAIRS])
    floor = {g: np.maximum(mean, 0.01) for g, mean in means.items()}
    ratio = np.stack([_signed_ratio(floor[a], floor[b]) for a, b in PAIRS])
    widest = np.argmax(np.abs(difference), axis=0)[None]
    return np.take_along_axis(difference, widest, 0)[0], np.take_along_axis(ratio, widest, 0)[0]


def _profile(spec: core.Spec, published: int) -> Profile:
    return profile(spec.seed, spec.size(GENES, published), spec.effect)


def _drr_genes(spec: core.Spec, published: int) -> list[str]:
    return core.gene_ids(np.flatnonzero(panel(spec.seed, spec.size(GENES, published), spec.effect).drr))


def cfrna_3group_de_noleak(name: str, spec: core.Spec) -> pd.DataFrame:
    """Simulate B1's features: every gene, without the ANOVA that defines the label."""
    return _profile(spec, GENES).frame.copy()


def cfrna_466drr(name: str, spec: core.Spec) -> pd.DataFrame:
    """Simulate the table of the 466: the same rows, with their ANOVA and without the edges."""
    genes = _profile(spec, GENES)
    chosen = panel(spec.seed, len(genes.frame), spec.effect).drr
    frame = genes.frame.loc[:, ~genes.frame.columns.str.startswith("edge_")]
    at = frame.columns.tolist().index("anova_max_fc") + 1
    frame = pd.concat([frame.iloc[:, :at], core.rounded(genes.anova), frame.iloc[:, at:]], axis=1)
    return frame[chosen].reset_index(drop=True)


def gt_cfrna_correlation(name: str, spec: core.Spec) -> pd.DataFrame:
    """Simulate the correlation of the 466 over the samples."""
    genes = _drr_genes(spec, DRR)
    samples = _profile(spec, DRR).drr_samples
    z = samples - samples.mean(axis=1, keepdims=True)
    norm = np.sqrt((z**2).sum(axis=1, keepdims=True))
    z /= np.where(norm > 0, norm, 1.0)  # a gene that does not vary correlates with none
    correlation = np.clip(core.significant(z @ z.T), -1, 1)
    np.fill_diagonal(correlation, 1.0)
    return pd.concat([pd.DataFrame({"gene": genes}), pd.DataFrame(correlation, columns=genes)], axis=1)


def gt_cfrna_cluster_labels(name: str, spec: core.Spec) -> pd.DataFrame:
    """Simulate the 16 labels of the 466."""
    genes = _drr_genes(spec, DRR)
    frame = modules(spec.seed, len(genes))
    frame.insert(0, "gene", genes)
    return frame


def cross_mission_hemoglobin_de(name: str, spec: core.Spec) -> pd.DataFrame:
    """Simulate I1: the three fold changes of every gene; the label hardly depends on them."""
    frame = _profile(spec, GENES).frame
    fold = {f"fc_{a}_vs_{b}": frame[f"edge_{a}_vs_{b}_fc"] for a, b in PAIRS}
    size = core.standardized(np.log(np.abs(pd.DataFrame(fold).to_numpy())).max(axis=1))
    label = core.pick(
        core.stream(spec.seed, name), -0.4 * spec.effect * size, core.positives(HEMOGLOBIN, len(frame), GENES)
    )
    return pd.DataFrame({"gene": frame["gene"], **fold, "label": label.astype(np.int64)})


def cross_mission_gene_de(name: str, spec: core.Spec) -> pd.DataFrame:
    """Simulate I3: Twins features, labelled with the cell-free RNA ANOVA."""
    chosen = panel(spec.seed, spec.size(GENES, TWINS), spec.effect)
    frame = core.rounded(chosen.twins_features)
    frame.insert(0, "gene", core.gene_ids(chosen.twins))
    return frame.assign(label=chosen.anova[chosen.twins].astype(np.int64))
