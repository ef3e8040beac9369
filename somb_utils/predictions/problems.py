"""What prediction files of all forms share: their values as written, and everything that is wrong with them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from somb_utils._seeds import MAX_SEED, SEED
from somb_utils.errors import SombError
from somb_utils.tasks.splits import Fold
from somb_utils.tasks.task_data import TaskData

Others = Callable[[], Sequence[TaskData]]  # the task under the other protocols, to recognise their folds
MAX_SEEDS = 20
NOT_A_SEED = f"not a whole number from 0 to {MAX_SEED}"
_SHOWN = 20
_LINES = 500


@dataclass
class Problems:
    """What is wrong with one file; equal problems of a fold share a line, with their places."""

    file: str
    _places: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    _unlisted: int = 0

    def __bool__(self) -> bool:
        return bool(self._places)

    def add(self, message: str, fold: str = "", place: str = "") -> None:
        """Note one problem."""
        if (fold, message) in self._places or len(self._places) < _LINES:
            self._places.setdefault((fold, message), []).append(place)
        else:
            self._unlisted += 1

    def add_other_protocol(self, fitting: Sequence[TaskData], data: TaskData) -> None:
        """Note that a file was made for the folds of other protocols."""
        names = " or ".join(other.protocol for other in fitting)
        self.add(f"was made for the folds of protocol {names}, this is {data.protocol}; see --protocol")

    def lines(self) -> list[str]:
        """Return one line per problem: file, fold, places, what is wrong."""
        lines = [
            ", ".join(part for part in (self.file, fold and f"fold {fold}", _listed(places)) if part) + f": {message}"
            for (fold, message), places in self._places.items()
        ]
        return lines + ([f"{self.file}: and {self._unlisted:,} problems more"] if self._unlisted else [])


@dataclass
class Cells:
    """The values of one fold as written, label by label within a row if multilabel; scores of classes as lists.

    `truth` has the task's codes for them; `place` says where in the file the i-th is.
    """

    fold: Fold
    values: Mapping[str, Sequence[Any]]
    truth: np.ndarray
    place: Callable[[int], str]


def check_stated(stated: Mapping[str, list[Any]], data: TaskData, problems: Problems) -> None:
    """Note a stated task or protocol that is not that of `data`."""
    for value in {show(v): v for v in stated.get("task", ())}.values():
        if value != data.task.id:
            problems.add(f"says it is for task {show(value)}")
    for value in {show(v): v for v in stated.get("protocol", ())}.values():
        if value != data.protocol:
            problems.add(f"was made in protocol {show(value)}, this is {data.protocol}; see --protocol")


def tested_ids(data: TaskData) -> dict[str, frozenset[str]]:
    """Return the tested ids of each fold, by its label."""
    ids = data.X.index.to_numpy(dtype=object)
    return {fold.label: frozenset(ids[fold.test]) for fold in data.folds}


def seed_of(value: Any) -> int | None:
    """Return a seed, which R writes as a double; None if it is none."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value <= MAX_SEED else None


def check_seeds(seeds: Iterable[int]) -> list[int]:
    """Return the seeds of a file, each once, the default one if there is none; refuse more than are read."""
    each = list(dict.fromkeys(seeds)) or [SEED]
    if len(each) > MAX_SEEDS:
        raise SombError(f"has {len(each):,} seeds; at most {MAX_SEEDS} are read")
    return each


def check_folds(present: Iterable[tuple[int, int]], data: TaskData, problems: Problems) -> None:
    """Note the folds of which no seed has predictions."""
    numbers = {number for _, number in present}
    for number, fold in enumerate(data.folds):
        if number not in numbers:
            problems.add("the fold is missing", fold.label)


def needs_probabilities(data: TaskData) -> bool:
    """Return whether a task's primary metric takes a score of each class."""
    return data.task.metrics.primary == "macro_auroc"


def missing_probabilities(data: TaskData, remedy: str) -> str:
    """Say that class probabilities are missing, and what to give."""
    return f"class probabilities are missing, which {data.task.id} needs under {data.protocol}: give {remedy}"


def is_blank(value: Any) -> bool:
    """Tell whether a value is missing."""
    return value is None or (isinstance(value, float) and np.isnan(value))


def show(value: Any) -> str:
    """Return a value from somebody's file as a short text for a message."""
    if value is None:
        return "missing"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, str | int | float):
        return clipped(repr(value))
    return f"of type {type(value).__name__}"


def clipped(text: str) -> str:
    """Return text on one line, of bounded length."""
    text = " ".join(text.encode("utf-8", "backslashreplace").decode().split())
    return text if len(text) <= 120 else f"{text[:117]}..."


def _listed(places: list[str]) -> str:
    shown = ", ".join(place for place in places[:_SHOWN] if place)
    return f"{shown} and {len(places) - _SHOWN:,} more" if len(places) > _SHOWN else shown
