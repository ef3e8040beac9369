"""TabPFN on the raw fold: a network that was trained on simulated tables and reads the training rows as its context.

The first fit downloads the weights; recent ones ask for an account and a licence to be accepted.
"""

from typing import Any

import somb_utils as somb


def make() -> Any:
    """Return an unfitted classifier for up to ten classes; missing values and scales are its own affair."""
    try:
        from tabpfn import TabPFNClassifier
    except ImportError:
        raise somb.UsageError(
            "the example examples.tabpfn_model needs TabPFN, which the benchmark does not install; get it with: "
            "pip install tabpfn"
        ) from None
    # Its default seed is 0; None takes the run's.
    return somb.raw(TabPFNClassifier(ignore_pretraining_limits=True, random_state=None))
