"""The raw fold: models that take a data frame with names, identifiers and gaps, not the prepared arrays."""

from dataclasses import dataclass
from typing import Any

from sklearn.base import clone


@dataclass(frozen=True)
class RawFold:
    """An estimator or factory that takes the raw fold."""

    target: Any

    def __sklearn_clone__(self) -> "RawFold":
        return RawFold(clone(self.target, safe=False))


def raw(model: Any) -> Any:
    """Have a model fitted on the raw fold, not on the arrays that the benchmark prepares.

    The model's `fit` and `predict` then take a DataFrame of float64, shape (n_rows, n_features), with the feature names
    as columns, the row identifiers as index and NaN where a value is missing. Nothing is imputed, reduced or scaled.
    Groups are passed as to any other model: the crew member or time point of each training row, if `fit` asks for
    ``groups``. Provenance records that the model took the raw fold.

    A class of your own can set ``takes_raw_fold = True`` instead.

    Parameters
    ----------
    model
        An estimator, or a class or function that returns one. It is not changed.

    Returns
    -------
    object
        The model, to be given to :func:`somb_utils.run`, or to be named as ``package.module:object``. A function may
        also return it.

    Notes
    -----
    Row identifiers of samples name the crew member and the day, which a model should not take its predictions from.

    Examples
    --------
    >>> import somb_utils as somb
    >>> from sklearn.ensemble import HistGradientBoostingClassifier
    >>> boosting = HistGradientBoostingClassifier(min_samples_leaf=5)
    >>> result = somb.run("A1", {"boosting": somb.raw(boosting)}, source="simulated", n_jobs=1)
    >>> result.provenance["models"][0]["fold"]
    'raw'
    """
    return model if isinstance(model, RawFold) else RawFold(model)


def unwrapped(model: Any) -> tuple[Any, bool]:
    """Return a model without the mark of :func:`raw`, and whether it takes the raw fold."""
    if isinstance(model, RawFold):
        return model.target, True
    return model, getattr(model, "takes_raw_fold", False) is True
