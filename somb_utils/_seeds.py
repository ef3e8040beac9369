"""Seeds: which ones are valid, and how the run's seed reaches an estimator that has none."""

import operator
from typing import Any

import numpy as np

from somb_utils.errors import UsageError

SEED = 42
# NumPy's legacy generator takes 32 bits, and the random baseline adds the number of the fold.
MAX_SEED = 2**32 - 1 - 1000


def checked_seed(seed: Any) -> int:
    """Return `seed` as an int."""
    try:
        number = operator.index(seed)
    except TypeError:
        number = -1
    if not 0 <= number <= MAX_SEED:
        raise UsageError(f"seed {seed!r}: give a whole number from 0 to {MAX_SEED}")
    return number


def random_states(estimator: Any, seed: int) -> dict[str, int]:
    """Return a seed for each ``random_state`` of an estimator, its own and nested ones, that is None.

    The estimator's own is the run's seed. Nested ones differ from one another, as two forests in a vote should, and
    depend on the seed and on the parameters' names alone.
    """
    if not hasattr(estimator, "get_params"):
        return {}
    params = estimator.get_params(deep=True)
    names = sorted(name for name in params if name == "random_state" or name.endswith("__random_state"))
    drawn = np.random.RandomState(seed).randint(np.iinfo(np.int32).max, size=len(names)).tolist()
    states = {name: seed if name == "random_state" else number for name, number in zip(names, drawn, strict=True)}
    return {name: number for name, number in states.items() if params[name] is None}
