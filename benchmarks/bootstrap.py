"""How fast a bootstrap interval is, beside the libraries that make one, and beside what memory allows.

    python benchmarks/bootstrap.py

All ratios come from one call. Every way resamples the same rows of one fold; what takes long is timed on fewer
resamples and given for a thousand. Times are CPU seconds of one thread.
"""

import time
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.stats import bootstrap as scipy_bootstrap
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score
from threadpoolctl import threadpool_limits

from somb_utils.stats import kernels
from somb_utils.stats.bootstrap import replicate_scores

Metric = Callable[[np.ndarray, np.ndarray], float]
PER = 1000
RATE = 0.0174  # positives of B1


def cpu(call: Callable[[], object], times: int = 3) -> float:
    """Return the least CPU seconds of several calls."""
    spent = []
    for _ in range(times):
        started = time.process_time()
        call()
        spent.append(time.process_time() - started)
    return min(spent)


def ours(metric: int, n_classes: int, a: np.ndarray, b: np.ndarray, c: np.ndarray, n: int) -> np.ndarray:
    """Return n replicates of one fold whose rows stand in the order that the metric reads."""
    one = np.array([0, len(a)])
    unit = np.random.default_rng(0).permutation(len(a)).astype(np.int32)
    return replicate_scores(metric, n_classes, one, one, [part[None] for part in (unit, a, b, c)], n, seed=1)[0]


def loop(metric: Metric, first: np.ndarray, second: np.ndarray, n: int) -> list[float]:
    """Resample rows and call scikit-learn, n times."""
    rng, size = np.random.default_rng(0), len(first)
    drawn = (rng.integers(size, size=size) for _ in range(n))
    return [metric(first[i], second[i]) for i in drawn]


def scipy_way(metric: Metric, first: np.ndarray, second: np.ndarray, n: int) -> object:
    """Make the interval with SciPy."""
    return scipy_bootstrap((first, second), metric, n_resamples=n, paired=True, vectorized=False, method="percentile")


def bandwidth() -> float:
    """Return the bytes a second that one thread copies, read and written, from memory."""
    source = np.ones(1 << 26, dtype=np.uint8)
    target = np.empty_like(source)
    return 2 * len(source) / cpu(lambda: np.copyto(target, source))


def compare() -> pd.DataFrame:
    """Time each way on each metric."""
    rng = np.random.default_rng(0)
    big, classes = 26_845, 10
    y = (rng.random(big) < RATE).astype(np.int64)
    score = rng.random(big) + 0.3 * y
    order = np.argsort(-score, kind="stable")
    positive = y[order] == 1
    code = positive + 2 * (positive | np.r_[positive[1:], True])
    true = rng.integers(classes, size=275)
    called = np.where(rng.random(275) < 0.4, true, rng.integers(classes, size=275))
    macro: Metric = lambda t, p: f1_score(t, p, average="macro", labels=range(classes), zero_division=0)  # noqa: E731
    micro: Metric = lambda t, p: f1_score(t, p, average="micro")  # noqa: E731
    cells = rng.random((466, 16)) < 0.1
    found = cells ^ (rng.random((466, 16)) < 0.05)
    tally = [part.sum(axis=1) for part in (cells & found, cells, found)]
    plan: list[tuple[str, int, int, list[np.ndarray], Metric, np.ndarray, np.ndarray]] = [
        ("AUROC", kernels.AUROC, 1, [code] * 3, roc_auc_score, y, score),
        ("AUPRC", kernels.AUPRC, 1, [code] * 3, average_precision_score, y, score),
        ("macro F1", kernels.MACRO_F1, classes, [true, called, called], macro, true, called),
        ("micro F1", kernels.MICRO_F1, 1, tally, micro, cells, found),
    ]
    limit = bandwidth()
    rows = []
    for name, metric, n_classes, given, sklearn_metric, first, second in plan:
        ours(metric, n_classes, *given, 2)
        here = cpu(lambda m=metric, k=n_classes, g=given: ours(m, k, *g, PER))
        few = 20 if len(first) > 1000 else 200
        plain = cpu(lambda m=sklearn_metric, a=first, b=second, n=few: loop(m, a, b, n)) * PER / few
        scipys = (
            cpu(lambda m=sklearn_metric, a=first, b=second, n=few: scipy_way(m, a, b, n), 1) * PER / few
            if first.ndim == 1
            else np.nan
        )
        # Read and written once per replicate: draws (written, read: 4 bytes each), counts (set to 0, raised, read: 4
        # each), unit (4), payload (8 each).
        payload = 1 if metric <= kernels.AUPRC else 2 if metric == kernels.MACRO_F1 else 3
        moved = len(first) * (8 + 12 + 4 + 8 * payload) * PER
        rows.append((name, len(first), here, plain / here, scipys / here, here / (moved / limit)))
    return pd.DataFrame(rows, columns=["metric", "rows", "seconds", "sklearn", "scipy", "memory"])


def section() -> str:
    """Return the measurements as Markdown."""
    from somb_utils.labels import markdown

    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = compare()
    times = lambda v: "" if np.isnan(v) else f"{v:,.0f} ×"  # noqa: E731
    shown = pd.DataFrame({
        "metric": table["metric"],
        "rows": table["rows"].map("{:,}".format),
        "s a thousand": table["seconds"].map("{:.3f}".format),
        "scikit-learn loop": table["sklearn"].map(times),
        "scipy.stats.bootstrap": table["scipy"].map(times),
        "of the memory limit": table["memory"].map("{:.1f} ×".format),
    })  # fmt: skip
    return f"""## Bootstrap intervals

CPU seconds of a thousand resamples of one fold, and how many times as long other ways take. Each replicate equals what
scikit-learn gives on the resampled rows. The last column is the time over that of moving the same bytes through memory
once (the working set fits a cache, so it is no hard limit).

{markdown(shown)}
"""


if __name__ == "__main__":
    print(section())
