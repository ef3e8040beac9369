"""Rows of a table are samples; label, group and day are columns of it or of a second table. For tasks of your own."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

import pandas as pd
from pydantic import Field

from somb_utils.tasks.recipes._assembly import Part, as_text, assemble, quoted
from somb_utils.tasks.recipes._base import GROUPED, Features, Protocol, Recipe, Split, TaskType
from somb_utils.tasks.recipes._reader import Reader


class Table(Recipe):
    """Rows of a table are samples; label, group and day are columns of it or of a second table."""

    table_fields = ("table", "metadata", "folds")
    splits = (*GROUPED, "cv5x5", "own")
    types = ("binary", "multiclass", "multilabel")
    keeps_metric = True

    recipe: Literal["table"]
    table: str = Field(description="table of the features, one row per sample")
    id: str = Field(description="column of sample identifiers, in each of the tables")
    metadata: str | None = Field(None, description="table of label, group and day, if they are in another one")
    label: str | tuple[str, ...] = Field(description="column of class names; if multilabel, columns of 0 and 1")
    groups: str | None = Field(None, description="column of the person, mission, or other group of each sample")
    day: str | None = Field(None, description="column of the day of sampling")
    leave_out: tuple[str, ...] | None = Field(None, description="columns of the table that are no features")
    folds: str | None = Field(
        None,
        description="table of your own folds, for the split own: columns fold, the identifier and part (train or "
        "test); without the column part, each fold tests the rows that it names and trains on all others",
    )
    unit_of: dict[str, str] = Field({}, description="what was sampled as one with a row; filled in by the package")

    def misfit(self, kind: TaskType, split: Split) -> str | None:
        """Check that the columns suit type and split."""
        if isinstance(self.label, str) == (kind == "multilabel"):
            return f"features.label of a {kind} task is {'a list' if kind == 'multilabel' else 'one column'}"
        if split in GROUPED and self.groups is None:
            return f"the split {split} needs features.groups, the column of what is left out"
        if (split == "own") != (self.folds is not None):
            return "the split own and features.folds need each other"
        return super().misfit(kind, split)

    def groups_left_out(self, split: Split) -> bool:
        """Own folds leave out groups where there are groups."""
        return split in GROUPED or (split == "own" and self.groups is not None)

    def build(self, tables: Reader, classes: tuple[str, ...], protocol: Protocol) -> Features:
        """Join the tables by identifier; the result lists every problem."""
        described = self.metadata or self.table
        labels = [self.label] if isinstance(self.label, str) else list(self.label)
        columns = [*labels, *filter(None, (self.groups, self.day))]
        needed = {self.table: [self.id, *(self.leave_out or ())]}
        needed[described] = [*needed.get(described, [self.id]), *columns]
        if self.folds:
            needed[self.folds] = [self.id, "fold"]
        loaded = {name: tables.load(name) for name in needed}
        absent = {name: [c for c in columns if c not in loaded[name].columns] for name, columns in needed.items()}
        if lacking := [
            f"{name}.csv has no column {quoted(names)}; it has {quoted(loaded[name].columns)}"
            for name, names in absent.items()
            if names
        ]:
            raise tables.error("; ".join(lacking))
        facts = loaded[described].set_index(self.id)
        X = loaded[self.table].set_index(self.id).drop(columns=[*columns, *(self.leave_out or ())], errors="ignore")

        def part(column: str | None) -> Part | None:
            return None if column is None else Part(facts[column], f"column '{column}' of {described}.csv", True)

        y = part(self.label) if isinstance(self.label, str) else Part(facts[labels], f"{described}.csv", True)
        assert y is not None
        features = assemble(Part(X, f"{self.table}.csv", True), y, part(self.groups), part(self.day))
        problems = [*features.problems, *_class_problems(features.y, classes, y.name)]
        folds = None
        if self.folds:
            folds = loaded[self.folds][[c for c in (self.id, "fold", "part") if c in loaded[self.folds]]]
            folds = folds.rename(columns={self.id: "id"}).apply(as_text)
            problems += _fold_problems(folds, features.X.index, f"{self.folds}.csv")
        return replace(features, folds=folds, problems=tuple(problems))

    def sampling_unit(self, row: str) -> str:
        """Return the group of a row where groups are kept together, else the row."""
        return self.unit_of.get(row, row)


def _class_problems(y: pd.Series | pd.DataFrame, classes: tuple[str, ...], name: str) -> Iterator[str]:
    if isinstance(y, pd.DataFrame) or not classes:
        return
    if others := sorted(set(y) - set(classes)):
        yield f"{name} has labels that classes does not name: {quoted(others)}"
    if absent := [name for name in classes if name not in set(y)]:
        yield f"classes names {quoted(absent)}, which no row of {name} has"


def _fold_problems(folds: pd.DataFrame, ids: pd.Index, name: str) -> Iterator[str]:
    if blank := int(folds.isna().any(axis=1).sum()):
        yield f"{name} has {blank:,} rows with a blank cell"
    if len(unknown := folds.loc[~folds["id"].isin(ids), "id"].dropna().unique()):
        yield f"{name} names rows without features or label: {quoted(unknown)}"
    if "part" in folds and len(other := folds.loc[~folds["part"].isin(["train", "test"]), "part"].dropna().unique()):
        yield f"the column part of {name} is train or test, and not {quoted(other)}"
    if len(repeated := folds.loc[folds.duplicated(["fold", "id"]), "id"].dropna().unique()):
        yield f"{name} names a row more than once in a fold: {quoted(repeated)}"
