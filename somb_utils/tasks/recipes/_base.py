"""The base of all recipes, the part of a task's definition that turns its tables into features and labels."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass, field
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from somb_utils.tasks.recipes._reader import Reader

Protocol = Literal["rigorous", "aligned", "published"]
TaskType = Literal["binary", "multiclass", "multilabel"]
Split = Literal["loco", "loto", "lomo", "lotissue", "skf5", "sss5", "cv5x5", "own"]
GROUPED: tuple[Split, ...] = ("loco", "loto", "lomo", "lotissue")  # which leave one group out


class Spec(BaseModel):
    """A part of a definition: strict, without unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


@dataclass(frozen=True)
class Features:
    """Features, labels and split groups of one task, all indexed by row identifier."""

    X: pd.DataFrame  # rows × features
    y: pd.Series | pd.DataFrame  # labels; 0/1 columns for multilabel tasks
    _: KW_ONLY
    groups: pd.Series | None = None  # what is left out with each row, such as its crew member; None for feature tasks
    relatives: pd.Series | None = None  # which rows of a feature task are never on both sides of a fold
    folds: pd.DataFrame | None = None  # own folds: fold, id and part (train or test) of each of their rows
    days: pd.Series | None = None  # day of sampling of each row, if the tables name it
    stratify: np.ndarray | None = None  # labels in the row order that the split was stratified on, if it differs
    annotations: pd.DataFrame = field(default_factory=pd.DataFrame)  # facts that a metric needs beside the prediction
    problems: tuple[str, ...] = ()  # every reason why these cannot be used, if the recipe lists them


def shares(samples: pd.DataFrame) -> pd.DataFrame:
    """Return each row as shares of its sum; a row of zeros stays so."""
    totals = [math.fsum(row) for row in samples.fillna(0.0).to_numpy()]  # exact: no order of columns matters
    return samples.div(pd.Series(totals, samples.index).replace(0.0, 1.0), axis=0)


class Recipe(Spec, ABC):
    """How features are computed from tables.

    A subclass has a field `recipe`, a literal; fields that name tables (listed in `table_fields`) and columns; and the
    method :meth:`build`. It is alone in a module of this folder.
    """

    table_fields: ClassVar[tuple[str, ...]]
    splits: ClassVar[tuple[Split, ...]] = ("skf5", "sss5", "cv5x5")
    types: ClassVar[tuple[TaskType, ...]] = ("binary",)
    columns_ordered: ClassVar[bool] = False  # whether features are in the definition's order, not sorted by name
    keeps_metric: ClassVar[bool] = False  # whether the stated primary metric leads under every protocol

    recipe: str

    @abstractmethod
    def build(self, tables: Reader, classes: tuple[str, ...], protocol: Protocol) -> Features:
        """Return the features; ``published`` pairs rows by position where the published numbers were computed so."""

    def misfit(self, kind: TaskType, split: Split) -> str | None:
        """Say why a task of this type and split cannot be made, if it cannot."""
        if kind in self.types and split in self.splits:
            return None
        return f"the recipe {self.recipe} makes {' or '.join(self.types)} tasks, split by {' or '.join(self.splits)}"

    def groups_left_out(self, split: Split) -> bool:
        """Return whether every fold leaves out groups, which are then what was sampled."""
        return split in GROUPED

    def sampling_unit(self, row: str) -> str:
        """Return the id of what was sampled together with a row: by default the row itself."""
        return row

    @property
    def reads(self) -> tuple[str, ...]:
        """Names of the tables."""
        return tuple(name for field_name in self.table_fields for name in self._names(field_name))

    @property
    def columns_named(self) -> tuple[str, ...]:
        """Names of the columns that the fields name."""
        others = [name for name in type(self).model_fields if name not in (*self.table_fields, "recipe")]
        return tuple(name for field_name in others for name in self._names(field_name))

    def _names(self, field_name: str) -> Iterator[str]:
        value = getattr(self, field_name)
        if isinstance(value, str):
            yield value
        elif isinstance(value, tuple):
            yield from value
