"""TabICL on the raw fold: an open network that was trained on simulated tables and reads the training rows as context.

The first fit downloads the weights.
"""

from typing import Any

import somb_utils as somb


def make() -> Any:
    """Return an unfitted classifier; missing values and scales are its own affair."""
    try:
        from tabicl import TabICLClassifier
    except ImportError:
        raise somb.UsageError(
            "the example examples.tabicl_model needs TabICL, which the benchmark does not install; get it with: "
            "pip install tabicl"
        ) from None
    # Its default seed is 42; None takes the run's.
    return somb.raw(TabICLClassifier(n_jobs=1, random_state=None))
