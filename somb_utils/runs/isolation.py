"""A model's code runs as in a separate process: what it changes in ours is restored."""

import os
import random
import sys
import warnings
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout

import numpy as np
from sklearn import config_context


@contextmanager
def isolated(seed: int) -> Iterator[None]:
    """Start the global random generators from `seed`, and restore the state of the process at the end.

    Restored are the working directory, the environment, the generators of ``numpy.random`` and ``random``, warning
    filters, standard output and error, scikit-learn's configuration, and how NumPy treats floating-point errors and
    prints. What the model prints goes to standard error, since standard output belongs to the results.
    """
    environment = dict(os.environ)
    generator = np.random.get_bit_generator()  # type: ignore[attr-defined]
    numpy_state, python_state = np.random.get_state(), random.getstate()
    np.random.seed(seed)
    random.seed(seed)
    try:
        with (
            chdir("."),
            redirect_stdout(sys.stderr),
            redirect_stderr(sys.stderr),
            warnings.catch_warnings(),
            np.errstate(),
            np.printoptions(),
            config_context(),
        ):
            yield
    finally:
        random.setstate(python_state)
        np.random.set_bit_generator(generator)  # type: ignore[attr-defined]
        np.random.set_state(numpy_state)
        if dict(os.environ) != environment:
            os.environ.clear()
            os.environ.update(environment)
