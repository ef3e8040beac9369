"""Missions of mice: samples with their labels, and scores of pathways, centred over the animals of a mission.

``data/simulate/mouse.csv`` has the numbers of animals and pathways of each real table of scores.
"""

from typing import Any

import numpy as np
import pandas as pd

from somb_utils.tables.simulate import core

COLLECTIONS = ("hallmark", "reactome", "mitocarta")
# The length of the shift of flight, over noise of SD 1 in each of `FACTORS` directions.
SHIFT = {"liver": 0.6, "gastrocnemius": 1.0, "kidney": 1.3, "thymus": 3.5, "skin": 2.2, "eye": 2.6}
FACTORS, COMMON = 8, 0.3  # directions in which pathways vary together; share of a shift that tissues have in common
SPREAD, NOISE = 0.2, 0.5  # SD of a score; share of its variance that is its own
SKIN_SITES = {"skin_RR-6": "DSKN", "skin_MHU-2_dorsal": "DSKN", "skin_MHU-2_femoral": "FSKN"}
REPEATED = {"thymus_MHU-2": "thymus_MHU-1"}  # whose rows its tables of scores repeat
LABELS = {"flight": "Flight", "ground": "GC", "vivarium": "VC"}


def tables() -> list[str]:
    """Return the names of all tables."""
    stems = core.figures("mouse").index
    samples = dict.fromkeys("_".join(stem.split("_")[:2]) for stem in stems)
    return [f"mouse_{stem}_{c}" for stem in stems for c in COLLECTIONS] + [f"mouse_{stem}_samples" for stem in samples]


def mouse_table(name: str, spec: core.Spec) -> pd.DataFrame:
    """Simulate one table, of samples or of scores."""
    stem, _, kind = name.removeprefix("mouse_").rpartition("_")
    return _samples(stem) if kind == "samples" else _scores(stem, kind, spec)


def _animals(stem: str) -> pd.DataFrame:
    """Return the rows of a table of scores: sample and label, which those that no task reads lack."""
    counts: Any = core.figures("mouse").loc[stem]
    tissue, mission = stem.split("_")[:2]
    prefix = f"SYN_{SKIN_SITES.get(stem, tissue.upper())}_{mission}"
    rows = [
        (f"{prefix}_Rep{i + 1}_{kind[0].upper()}{i + 1}", LABELS[kind]) for kind in LABELS for i in range(counts[kind])
    ]
    repeated = _animals(REPEATED[stem])["sample"].tolist() if stem in REPEATED else []
    others = repeated + [f"{prefix}_Rep{i + 1}_B{i + 1}" for i in range(counts["others"] - len(repeated))]
    return pd.DataFrame([*rows, *((sample, None) for sample in others)], columns=["sample", "label"])


def _samples(stem: str) -> pd.DataFrame:
    """Return the samples of a mission, with the columns that the real tables have beside the label."""
    tissue, mission = stem.split("_")
    parts = [_animals(each) for each in core.figures("mouse").index if each == stem or each.startswith(f"{stem}_")]
    samples = pd.concat(parts, ignore_index=True).dropna()
    if tissue == "gastrocnemius":
        samples["sample"] = f"{mission}." + samples["sample"]
    return samples.assign(mission=core.MISSION, REMOVE=False, strain="SYN", tissue=tissue)


def _scores(stem: str, collection: str, spec: core.Spec) -> pd.DataFrame:
    """Return samples × pathways: a few directions, along one of which flight is shifted, and noise of each pathway."""
    animals, tissue = _animals(stem), stem.split("_")[0]
    flight = (animals["label"] == LABELS["flight"]).to_numpy()
    direction = core.stream(spec.seed, "mouse").standard_normal(FACTORS) * COMMON
    direction += core.stream(spec.seed, "mouse", tissue).standard_normal(FACTORS) * (1 - COMMON)
    direction += core.stream(spec.seed, "mouse", stem).standard_normal(FACTORS) * (1 - COMMON) / 2
    z = core.stream(spec.seed, "animals", stem).standard_normal((len(animals), FACTORS))
    z += np.outer(flight, direction * spec.effect * SHIFT[tissue] / np.sqrt(direction @ direction))

    counts: Any = core.figures("mouse").loc[stem]
    n = spec.size(int(counts[collection]))
    loadings = core.stream(spec.seed, "pathways", collection).standard_normal((n, FACTORS)) / np.sqrt(FACTORS)
    own = core.stream(spec.seed, "mouse", stem, collection).standard_normal((len(animals), n))
    x = np.sqrt(1 - NOISE) * np.einsum("if,jf->ij", z, loadings) + np.sqrt(NOISE) * own
    scores = core.significant(np.clip(SPREAD * (x - x.mean(axis=0)), -1, 1))
    return pd.concat(
        [
            animals[["sample"]],
            pd.DataFrame(scores, columns=[f"SYN_{collection.upper()}_{j + 1:04d}" for j in range(n)]),
        ],
        axis=1,
    )
