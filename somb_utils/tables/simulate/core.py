"""What all simulated tables share: random streams, invented identifiers, rounding, and p-values."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

MISSION = "SIM"
DIGITS = 6
_POWERS = np.array([float(f"1e{k}") for k in range(300)])
_PUBLISHED_CREW = 4


@dataclass(frozen=True)
class Spec:
    """What a table is asked to be: the arguments of `simulate_table` without the name."""

    seed: int = 42
    n_crew: int = 4
    n_features: int | None = None
    effect: float = 1.0
    n_timepoints: int = 7

    def size(self, own: int, of: int | None = None) -> int:
        """Return the size of a set that has `own` members where the table has `of` (default: `own`) rows."""
        if self.n_features is None:
            return own
        return scaled(own, self.n_features, of or own)


def scaled(count: int, n: int, published: int) -> int:
    """Return `count` scaled from `published` rows to `n`, at least one."""
    return max(1, round(count * n / published))


def positives(count: int, n: int, published: int) -> int:
    """Return a number of positives scaled likewise, but five if it can be: as many as folds."""
    return max(scaled(count, n, published), min(5, count, n // 2))


def stream(seed: int, *key: object) -> np.random.Generator:
    """Return the random stream of (seed, key): PCG64, the same on every machine."""
    words = [seed, zlib.crc32("/".join(map(str, key)).encode())]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(words)))


def significant(values: npt.ArrayLike, digits: int = DIGITS) -> Floats:
    """Round to `digits` significant digits, so that the last bits of the maths library vanish."""
    x = np.asarray(values, dtype=np.float64)
    out = x.copy()
    live = np.isfinite(x) & (x != 0)
    v = x[live]
    shift = digits - 1 - np.floor(np.log10(np.abs(v))).astype(np.int64)
    scale = _POWERS[np.abs(shift)]
    out[live] = np.where(shift >= 0, np.rint(v * scale) / scale, np.rint(v / scale) * scale)
    return out


def gene_ids(numbers: npt.ArrayLike) -> list[str]:
    """Return the invented names (`SYN00001`) of gene numbers; proteins share them, as in the real tables."""
    return [f"SYN{i + 1:05d}" for i in np.asarray(numbers)]


def subset(rng: np.random.Generator, n: int, k: int) -> Ints:
    """Return k of the first n numbers, sorted."""
    return np.sort(rng.permutation(n)[:k])


def standardized(x: Floats) -> Floats:
    """Return x with mean 0 and standard deviation 1."""
    return (x - x.mean()) / (x.std() or 1.0)


def pick(rng: np.random.Generator, logit: Floats, k: int) -> Bools:
    """Draw k members without replacement, odds proportional to exp(logit) (Gumbel top-k)."""
    score = logit - np.log(-np.log(rng.random(len(logit))))
    chosen = np.zeros(len(logit), dtype=bool)
    chosen[np.argsort(-score, kind="stable")[:k]] = True
    return chosen


def p_values(rng: np.random.Generator, positive: Bools, tilt: float, inflation: float) -> Floats:
    """Draw p-values whose Benjamini-Hochberg adjustment is below 0.05 exactly where `positive`.

    `tilt` is the exponent of the positives' uniform draw (larger: more extreme), `inflation` that of the others (1 is
    the exact null).
    """
    m, k = len(positive), int(positive.sum())
    u = rng.random(m)
    below = 0.05 * k / m
    above = (0.065 * (k + 1) + 0.1) / m
    return np.where(positive, below * np.maximum(u, 1e-6) ** tilt, above + (1 - above) * u**inflation)


def benjamini_hochberg(p: Floats) -> Floats:
    """Return Benjamini-Hochberg adjusted p-values."""
    order = np.argsort(p, kind="stable")
    ranked = p[order] * len(p) / np.arange(1, len(p) + 1)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.minimum.accumulate(ranked[::-1])[::-1], 1.0)
    return adjusted


def signs(rng: np.random.Generator, n: int) -> Floats:
    """Return n random signs."""
    return np.where(rng.random(n) < 0.5, -1.0, 1.0)


def crew_names(n_crew: int) -> list[str]:
    """Return the names of crew members, from C001 on."""
    return [f"C{i + 1:03d}" for i in range(n_crew)]


def published_gap(crew: str, names: Sequence[str], name: str) -> bool:
    """Say whether a sample is one of the real mission's missing ones (crew beyond the fourth miss none)."""
    return int(crew[1:]) <= _PUBLISHED_CREW and name in names


def rounded(frame: pd.DataFrame) -> pd.DataFrame:
    """Round every float column of `frame` to `DIGITS` significant digits."""
    floats = frame.select_dtypes("float").columns
    out = frame.copy()
    out[floats] = significant(frame[floats])
    return out


def sample_latent(
    rng: np.random.Generator, crew: Ints, phase: Ints, n: int, strength: float, ratio: float | Floats
) -> Floats:
    """Return samples × features in units of the within-crew deviation: crew offsets, phase shifts, noise.

    `strength` is the deviation of a feature's phase shift, `ratio` the between-crew over within-crew deviation.
    """
    offsets = rng.standard_normal((crew.max() + 1, n)) * ratio
    shifts = rng.standard_normal((phase.max() + 1, n)) * strength
    return offsets[crew] + shifts[phase] + rng.standard_normal((len(crew), n))
