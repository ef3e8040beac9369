"""Microbiome: sample metadata, taxonomy of crew and capsule, pathways of the crew."""

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import expit

from somb_utils.tables.simulate import core

# Taxa of the real tables: human (described only), environmental, shared by both; pathways; species by MetaPhlAn.
HUMAN, CAPSULE, SHARED, PATHWAYS, SPECIES = 16_172, 6_852, 5_830, 567, 953
TIMEPOINTS = {"L-92": -92, "L-44": -44, "R+1": 1, "FD2": 2, "FD3": 3, "R+45": 45, "R+82": 82}
PHASES = {t: "in_flight" if t.startswith("FD") else core.phase_of(days) for t, days in TIMEPOINTS.items()}
SITES = {
    "ARM": "forearm", "EAR": "ear", "GLU": "gluteal_fold", "NAC": "nasal_cavity", "NAP": "nape",
    "ORC": "oral_cheek", "PIT": "axilla", "TZO": "toe_web", "UMB": "navel", "WEB": "toe_web_alt",
}  # fmt: skip
CAPSULE_TIMEPOINTS = ("L-92", "L-44", "FD2", "FD3")
ABSENT = ("capsule_L-92_8", "C002_FD3_NAP", "C002_L-92_UMB", "C002_R+82_ARM", "C003_FD2_GLU", "C003_L-92_UMB")
WITHOUT_METADATA = ("C002_FD3_NAP", "C002_R+82_ARM")  # sequenced for pathways all the same
STOOL_CREW, STOOL_TIMEPOINTS = ("C002", "C004"), ("L-92", "L-44", "R+45", "R+82")
RANKS = ("domain", "phylum", "class", "order", "family", "genus", "species")
# Of microbiome_env_taxonomy_cpm: names per rank, and rate of taxa without one.
RANK_NAMES = (4, 113, 159, 332, 571, 1_414, 5_374)
RANK_MISSING = (0.001, 0.016, 0.056, 0.078, 0.13, 0.149, 0.123)
FIRST_TAXID = 9_900_000_000  # NCBI's have at most seven digits
# Of microbiome_env_taxonomy_cpm: 92.4 % zeros; log of the others: mean 4.39, deviation 1.82.
# Detection is a logistic of these terms: mean, deviations over taxa, over samples, of crew and of site.
PREVALENCE, PREVALENCE_SD, DEPTH_SD, CREW_SD = -4.0, 1.6, 0.9, 0.7
SITE_SD, PHASE_SD = 0.45, 0.08
CAPSULE_SD = 1.0  # makes F3 as easy with a twentieth of the taxa as 0.45 does with all
ABUNDANCE_SD, DOMINANCE = 1.4, 2.5  # the second for the 2 % most common taxa
SHARED_CPM = 800_000  # of a sample, in the taxa that both tables have
UNCLASSIFIED_LOGIT = -1.5  # of microbiome_human_metaphlan: a fifth of the reads
# Of microbiome_human_pathways_cpm: share unmapped (logit), share unintegrated of the rest; 60 % zeros.
UNMAPPED_LOGIT, UNMAPPED_SD, UNINTEGRATED = -1.07, 0.8, 0.94
PATHWAY_DETECTION, PATHWAY_SPREAD, PATHWAY_DEPTH = -0.9, 2.6, 1.3
PATHWAY_CREW, PATHWAY_SITE, PATHWAY_PHASE = 0.4, 0.24, 0.07


def microbiome_metadata(name: str, spec: core.Spec) -> pd.DataFrame:
    """Return the samples: capsule, then crew by site and day, then stool."""
    rows = [
        (f"capsule_{t}_{k}", "capsule", t, f"capsule_loc{k}", "dragon_capsule", "environmental")
        for k in range(10)
        for t in CAPSULE_TIMEPOINTS
    ]
    rows += [
        (f"{c}_{t}_{site}", c, t, site, place, "human")
        for c in spec.crew
        for site, place in SITES.items()
        for t in TIMEPOINTS
    ]
    rows += [
        (f"{c}_{t}_stool", c, t, "stool", "stool", "human_gut")
        for c in STOOL_CREW
        if c in spec.crew
        for t in STOOL_TIMEPOINTS
    ]
    columns = ["sample_id", "crew", "timepoint", "body_site", "body_site_name", "source"]
    samples = pd.DataFrame([row for row in rows if row[0] not in ABSENT], columns=columns)
    samples.insert(3, "timepoint_days", samples["timepoint"].map(TIMEPOINTS))
    samples.insert(4, "phase", samples["timepoint"].map(PHASES))
    return samples.assign(mission=core.MISSION)


class Taxa(NamedTuple):
    """The taxa of both tables: which are where, how common (also by crew member), and their lineage."""

    human: core.Ints
    capsule: core.Ints
    shared: core.Bools
    prevalence: core.Floats
    by_crew: core.Floats
    lineage: pd.DataFrame


@lru_cache(maxsize=2)
def taxa(seed: int, n_human: int, n_crew: int) -> Taxa:
    """Draw the taxa shared by the two tables."""
    rng = core.stream(seed, "taxa")
    shared, alone = core.scaled(SHARED, n_human, HUMAN), core.scaled(CAPSULE - SHARED, n_human, HUMAN)
    n = n_human + alone
    order = rng.permutation(n)
    human, capsule = np.sort(order[:n_human]), np.sort(order[n_human - shared :])
    both = np.isin(np.arange(n), order[n_human - shared : n_human])
    prevalence = PREVALENCE + PREVALENCE_SD * rng.standard_normal(n)
    by_crew = prevalence + CREW_SD * rng.standard_normal((n_crew, n))
    return Taxa(human, capsule, both, prevalence, by_crew, _lineage(core.stream(seed, "ranks"), n))


def _lineage(rng: np.random.Generator, n: int) -> pd.DataFrame:
    """Return identifier and lineage of taxa: a rank's names divide the taxa into runs, so lineages nest."""
    frame = pd.DataFrame({"taxid": [f"SYN{FIRST_TAXID + i}" for i in range(n)]})
    for rank, names, missing in zip(RANKS, RANK_NAMES, RANK_MISSING, strict=True):
        code = np.arange(n) * names // max(n, names)
        frame[rank] = np.array([f"SYN_{rank}_{c + 1:04d}" for c in code], dtype=object)
        frame.loc[rng.random(n) < missing, rank] = None
    return frame


def _taxonomy(
    rng: np.random.Generator, known: Taxa, numbers: core.Ints, crew: core.Ints, shift: core.Floats, columns: pd.Series
) -> pd.DataFrame:
    """Return lineages and samples: the taxa of a sample are those of its crew member, with shifted detection."""
    logit = known.by_crew[:, numbers][crew] + shift
    logit += DEPTH_SD * rng.standard_normal((len(logit), 1))
    values = _compositions(rng, logit, known.prevalence[numbers], known.shared[numbers])
    lineage = known.lineage.iloc[numbers].reset_index(drop=True)
    return pd.concat([lineage, pd.DataFrame(values.T, columns=columns.tolist())], axis=1)


def _compositions(
    rng: np.random.Generator, logit: core.Floats, prevalence: core.Floats, shared: core.Bools
) -> core.Floats:
    """Return samples × taxa in counts per million: detected by `logit`, log-normal where detected.

    The shared taxa make up the same share of every sample, so that capsule and crew do not differ in scale.
    """
    present = rng.random(logit.shape) < expit(logit)
    for part in (shared, ~shared):
        present[:, np.argmax(np.where(part, prevalence, -np.inf))] = True
    sample, taxon = np.nonzero(present)
    mean = 0.4 * prevalence[taxon] + 0.2 * logit[sample, taxon]
    mean += DOMINANCE * (prevalence[taxon] > PREVALENCE + 2 * PREVALENCE_SD)
    abundance = np.exp(mean + ABUNDANCE_SD * rng.standard_normal(len(taxon)))
    block = 2 * sample + shared[taxon]
    total = np.bincount(block, abundance, minlength=2 * len(logit))
    share = np.where(shared[taxon], SHARED_CPM, 1e6 - SHARED_CPM)
    table = np.zeros(logit.shape)
    table[sample, taxon] = core.significant(abundance * share / total[block])
    return table


def _codes(values: pd.Series, order: Iterable[str]) -> core.Ints:
    return pd.Index(list(order)).get_indexer(pd.Index(values))


def microbiome_human_taxonomy_cpm(name: str, spec: core.Spec) -> pd.DataFrame:
    """Simulate the crew's taxa: crew offsets, site effects, hardly any phase effect."""
    samples = microbiome_metadata("", spec)
    samples = samples[samples["source"] == "human"].sort_values("sample_id")
    known = taxa(spec.seed, spec.size(HUMAN, share=core.TAXA_SHARE), spec.n_crew)
    rng = core.stream(spec.seed, name)
    site = spec.effect * SITE_SD * rng.standard_normal((len(SITES), len(known.human)))
    phase = spec.effect * PHASE_SD * rng.standard_normal((4, len(known.human)))
    shift = site[_codes(samples["body_site"], SITES)] + phase[_codes(samples["phase"], sorted(set(PHASES.values())))]
    crew = _codes(samples["crew"], spec.crew)
    return _taxonomy(rng, known, known.human, crew, shift, samples["sample_id"])


def microbiome_env_taxonomy_cpm(name: str, spec: core.Spec) -> pd.DataFrame:
    """Simulate the capsule's taxa: those of whoever touched a place, shifted by a capsule effect."""
    samples = microbiome_metadata("", spec)
    samples = samples[samples["source"] == "environmental"]
    columns = "I4_Capsule_" + samples["timepoint"].str.replace("L-", "LM") + "_" + samples["sample_id"].str[-1]
    known = taxa(spec.seed, spec.size(HUMAN, share=core.TAXA_SHARE), spec.n_crew)
    rng = core.stream(spec.seed, name)
    crew = rng.integers(spec.n_crew, size=len(samples))
    shift = spec.effect * CAPSULE_SD * rng.standard_normal(len(known.capsule))
    return _taxonomy(rng, known, known.capsule, crew, shift, columns.sort_values())


def _swabs(spec: core.Spec) -> pd.DataFrame:
    """Return the crew's swabs, also those without metadata."""
    samples = microbiome_metadata("", spec)
    samples = samples.loc[samples["source"] == "human", ["sample_id", "crew", "body_site", "phase"]]
    rows = [(s, s.split("_")[0], s.split("_")[2], PHASES[s.split("_")[1]]) for s in WITHOUT_METADATA]
    return pd.concat([samples, pd.DataFrame(rows, columns=samples.columns)]).sort_values("sample_id")


def microbiome_human_metaphlan(name: str, spec: core.Spec) -> pd.DataFrame:
    """Simulate the crew's species in percent, between what was not classified and one strain of each species."""
    samples, rng = _swabs(spec), core.stream(spec.seed, name)
    n = spec.size(SPECIES)
    prevalence = PREVALENCE + PREVALENCE_SD * rng.standard_normal(n)
    logit = prevalence + CREW_SD * rng.standard_normal((spec.n_crew, n))[_codes(samples["crew"], spec.crew)]
    site = SITE_SD * rng.standard_normal((len(SITES), n))[_codes(samples["body_site"], SITES)]
    phase = PHASE_SD * rng.standard_normal((4, n))[_codes(samples["phase"], sorted(set(PHASES.values())))]
    logit += spec.effect * (site + phase) + DEPTH_SD * rng.standard_normal((len(samples), 1))
    counts = _compositions(rng, logit, prevalence, np.zeros(n, dtype=bool))
    unclassified = 100 * expit(UNCLASSIFIED_LOGIT + UNMAPPED_SD * rng.standard_normal(len(samples)))
    unclassified[samples["sample_id"].isin(WITHOUT_METADATA)] = 100.0
    species = counts / counts.sum(axis=1, keepdims=True) * (100 - unclassified)[:, None]
    values = np.column_stack([unclassified, 100 - unclassified, species, species])
    names = [f"k__SYN|s__SYN_{i + 1:04d}" for i in range(n)]
    frame = pd.DataFrame(core.significant(values).T, columns=samples["sample_id"].tolist())
    frame.insert(0, "clade", ["UNCLASSIFIED", "k__SYN", *names, *(f"{species}|t__SYN" for species in names)])
    return frame


def microbiome_human_pathways_cpm(name: str, spec: core.Spec) -> pd.DataFrame:
    """Simulate the crew's pathways, after the two rows of what was not mapped or not integrated."""
    samples = _swabs(spec)
    rng = core.stream(spec.seed, name)
    n, n_samples = spec.size(PATHWAYS), len(samples)
    m = max(n - 2, 0)  # the first two rows are not pathways
    level = rng.standard_normal(m)
    crew = PATHWAY_CREW * rng.standard_normal((spec.n_crew, m))[_codes(samples["crew"], spec.crew)]
    site = rng.standard_normal((len(SITES), m))[_codes(samples["body_site"], SITES)]
    phase = rng.standard_normal((4, m))[_codes(samples["phase"], sorted(set(PHASES.values())))]
    depth = PATHWAY_DEPTH * rng.standard_normal((n_samples, 1))
    z = crew + spec.effect * (PATHWAY_SITE * site + PATHWAY_PHASE * phase)
    present = rng.random((n_samples, m)) < expit(PATHWAY_DETECTION + PATHWAY_SPREAD * level + depth + 2 * z)
    amount = np.where(present, np.exp(0.9 * level + z + 1.1 * rng.standard_normal((n_samples, m))), 0)
    unmapped = expit(UNMAPPED_LOGIT + UNMAPPED_SD * rng.standard_normal(n_samples))
    unintegrated = (1 - unmapped) * np.clip(UNINTEGRATED + 0.02 * rng.standard_normal(n_samples), 0.85, 0.99)
    rest = (1 - unmapped - unintegrated) / np.maximum(amount.sum(axis=1), 1e-9)
    values = 1e6 * np.column_stack([unmapped, unintegrated, amount * rest[:, None]])[:, :n]
    frame = pd.DataFrame(core.significant(values).T, columns=samples["sample_id"].tolist())
    frame.insert(0, "pathway", ["SYN-UNMAPPED", "SYN-UNINTEGRATED", *(f"SYN-PWY-{i + 1:04d}" for i in range(m))][:n])
    return frame
