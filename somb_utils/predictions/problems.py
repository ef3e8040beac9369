"""What prediction files of all forms share: their values as written, and everything that is wrong with them."""

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

    def add_other_protocol(self, other: str, data: TaskData) -> None:
        """Note that a file was made for the folds of another protocol."""
        self.add(f"was made for the folds of protocol {other}, this is {data.protocol}; see --protocol")

    def lines(self) -> list[str]:
        """Return one line per problem: file, fold, places, what is wrong."""
        lines = [
            ", ".join(part for part in (self.file, fold and f"fold {fold}", _listed(places)) if part) + f": {message}"
            for (fold, message), places in self._places.items()
        ]
        return lines + ([f"{self.file}: and {self._unlisted:,} problems more"] if self._unlisted else [])


@dataclass
class Cells:
    """The values of one fold as written, label by label within a row if multilabel.

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
