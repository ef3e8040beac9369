"""What prediction files of either form share: their values as written, and all that is wrong with them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from somb_utils.tasks.splits import Fold
from somb_utils.tasks.task_data import TaskData

OtherProtocol = Callable[[], TaskData]
_SHOWN = 20
_LINES = 500


@dataclass
class Problems:
    """What is wrong with one file; alike problems of a fold stand in one line, with their places."""

    file: str
    _places: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    _untold: int = 0

    def __bool__(self) -> bool:
        return bool(self._places)

    def add(self, message: str, fold: str = "", place: str = "") -> None:
        """Note one problem."""
        if (fold, message) in self._places or len(self._places) < _LINES:
            self._places.setdefault((fold, message), []).append(place)
        else:
            self._untold += 1

    def lines(self) -> list[str]:
        """Return one line a problem: file, fold, places, what is wrong."""
        told = [
            ", ".join(part for part in (self.file, fold and f"fold {fold}", _listed(places)) if part) + f": {message}"
            for (fold, message), places in self._places.items()
        ]
        return told + ([f"{self.file}: and {self._untold:,} problems more"] if self._untold else [])


@dataclass
class Cells:
    """The values of one fold as written, label by label within a row if multilabel.

    `truth` holds the task's own codes for them, `place` says where the i-th stands in the file.
    """

    fold: Fold
    values: Mapping[str, Sequence[Any]]
    truth: np.ndarray
    place: Callable[[int], str]


def check_stated(stated: Mapping[str, list[Any]], data: TaskData, problems: Problems) -> None:
    """Note a task or protocol that a file states and that is another one."""
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


def other_folds(data: TaskData, other: TaskData) -> str:
    """Return the message on a file whose folds are those of the other protocol."""
    return f"was made for the folds of protocol {other.protocol}, this is {data.protocol}; see --protocol"


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
