"""Shared by all simulated tables: random streams, invented identifiers, samples, rounding, and p-values."""

import zlib
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import pandas as pd

from somb_utils.paths import DATA

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

MISSION = "SIM"
UNIVERSE = 26_845  # genes that identifiers are drawn from
GENES_SHARE, TAXA_SHARE = 0.25, 0.05  # of the genes of cell-free RNA and of the taxa, unless a number is asked for
# Plasma samples of the real mission, by day.
MONTHS = {"June_Pre": -92, "Aug_Pre": -44, "Sept_Pre": -3, "Sept_Post": 1, "Nov_Post": 45, "Dec_Post": 82}
_DIGITS = 6
_POWERS = np.array([float(f"1e{k}") for k in range(300)])


@dataclass(frozen=True)
class Spec:
    """The arguments of `simulate_table` without the name."""

    seed: int = 42
    n_crew: int = 4
    n_features: int | None = None
    effect: float = 1.0
    n_timepoints: int = 7

    def size(self, published: int, rows: int | None = None, share: float = 1.0) -> int:
        """Return the size of a set with `published` members where the table has `rows` (default: as many).

        Without `n_features` it is `share` of the real one.
        """
        if self.n_features is None:
            return round(share * published)
        return scaled(published, self.n_features, rows or published)

    @property
    def crew(self) -> list[str]:
        """Names of the crew members, from C001 on."""
        return [f"C{i + 1:03d}" for i in range(self.n_crew)]


@cache
def figures(name: str) -> pd.DataFrame:
    """Return summary figures of real tables, indexed by the first column: ``data/simulate/<name>.csv``."""
    return pd.read_csv(DATA / "simulate" / f"{name}.csv", index_col=0)


def scaled(count: int, n: int, published: int) -> int:
    """Return `count` scaled from `published` rows to `n`, at least one."""
    return max(1, round(count * n / published))


def positives(count: int, n: int, published: int) -> int:
    """Return a number of positives scaled likewise, but at least five (one per fold) where that is possible."""
    return max(scaled(count, n, published), min(5, count, n // 2))


def stream(seed: int, *key: str) -> np.random.Generator:
    """Return the random stream of (seed, key): PCG64, the same on every machine."""
    return np.random.Generator(np.random.PCG64([seed, zlib.crc32("/".join(key).encode())]))


def significant(values: npt.ArrayLike) -> Floats:
    """Round to six significant digits, so that the last bits of the maths library vanish."""
    x = np.array(values, dtype=np.float64)
    nonzero = np.isfinite(x) & (x != 0)
    v = x[nonzero]
    shift = _DIGITS - 1 - np.floor(np.log10(np.abs(v))).astype(np.int64)
    scale = _POWERS[np.abs(shift)]
    x[nonzero] = np.where(shift >= 0, np.rint(v * scale) / scale, np.rint(v / scale) * scale)
    return x


def rounded(frame: pd.DataFrame) -> pd.DataFrame:
    """Round every float column of `frame` to six significant digits."""
    floats = frame.select_dtypes("float").columns
    out = frame.copy()
    out[floats] = significant(frame[floats])
    return out


def gene_ids(numbers: npt.ArrayLike) -> list[str]:
    """Return the invented names (`SYN00001`) of gene numbers; proteins share them, as in the real tables."""
    return [f"SYN{i + 1:05d}" for i in np.asarray(numbers)]


def phase_of(days: int) -> str:
    """Return the phase of a ground timepoint: before flight, the day after it, or recovery."""
    if days < 0:
        return "pre_flight"
    return "post_flight" if days == 1 else "recovery"


def timepoint(days: int) -> str:
    """Return the name of a ground timepoint: ``L-3`` before launch, ``R+1`` after return."""
    return f"L{days}" if days < 0 else f"R+{days}"


def plasma_samples(spec: Spec, absent: tuple[str, ...] = ()) -> pd.DataFrame:
    """Return the metadata of the plasma samples but for the absent ones, by crew member and day."""
    rows = [
        (f"{crew}_{month}", crew, month, timepoint(days), days, phase_of(days), MISSION, "plasma")
        for crew in spec.crew
        for month, days in MONTHS.items()
        if f"{crew}_{month}" not in absent
    ]
    columns = ["sample_id", "crew", "month_tp", "timepoint", "timepoint_days", "phase", "mission", "tissue"]
    return pd.DataFrame(rows, columns=columns)


def sample_latent(
    rng: np.random.Generator, samples: pd.DataFrame, n: int, strength: float, ratio: float | Floats
) -> Floats:
    """Return samples × features in units of the within-crew deviation: crew offsets, phase shifts, noise.

    `strength` is the deviation of a feature's phase shift, `ratio` the between-crew over within-crew deviation.
    """
    crew, phase = (pd.factorize(samples[column])[0] for column in ("crew", "phase"))
    offsets = rng.standard_normal((crew.max() + 1, n)) * ratio
    shifts = rng.standard_normal((phase.max() + 1, n)) * strength
    return offsets[crew] + shifts[phase] + rng.standard_normal((len(crew), n))


def subset(rng: np.random.Generator, n: int, k: int) -> Ints:
    """Return k of the first n numbers, sorted."""
    return np.sort(rng.permutation(n)[:k])


def standardized(x: Floats) -> Floats:
    """Return x with mean 0 and standard deviation 1."""
    return (x - x.mean()) / (x.std() or 1.0)


def pick(rng: np.random.Generator, logit: Floats, k: int) -> Bools:
    """Draw k members without replacement, odds proportional to exp(logit) (Gumbel top-k)."""
    return first(k, np.log(-np.log(rng.random(len(logit)))) - logit)


def first(k: int, score: Floats) -> Bools:
    """Mark the k lowest scores."""
    marked = np.zeros(len(score), dtype=bool)
    marked[np.argsort(score, kind="stable")[:k]] = True
    return marked


def highest(share: float, score: Floats) -> Bools:
    """Mark the cells with the highest scores, which make up `share` of all."""
    marked: Bools = score > np.quantile(score, 1 - share, method="higher")
    return marked


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


def signs(rng: np.random.Generator, n: int) -> Floats:
    """Return n random signs."""
    return np.where(rng.random(n) < 0.5, -1.0, 1.0)
