"""Rows are genes or pathways with named feature columns; the label is a column or a membership."""

from typing import Literal

import pandas as pd
from pydantic import Field, model_validator

from somb_utils.tables.derive import membership
from somb_utils.tasks.recipes._base import Features, Protocol, Recipe
from somb_utils.tasks.recipes._reader import Reader


class Rows(Recipe):
    """Rows are genes or pathways with named feature columns; the label is a column or a membership."""

    table_fields = ("table", "member_of")
    columns_ordered = True

    recipe: Literal["rows"]
    table: str
    id: str
    columns: tuple[str, ...]
    label: str | None = None
    member_of: str | None = Field(None, description="table whose genes are the positives")

    @model_validator(mode="after")
    def _one_label(self) -> "Rows":
        if (self.label is None) == (self.member_of is None):
            raise ValueError("name either label or member_of")
        return self

    def build(self, tables: Reader, classes: tuple[str, ...], protocol: Protocol) -> Features:
        """Take the columns; an identifier that is repeated gets a number."""
        table = tables.load(self.table)
        table = table.set_axis(_unique(tables.ids(table, self.id)))
        if self.member_of:
            table = table.assign(label=membership(table[self.id], tables.load(self.member_of)))
        y = tables.column(table, self.label or "label")
        return Features(tables.numbers(tables.columns(table, self.columns), self.table), tables.binary(y, classes))


def _unique(ids: pd.Series) -> pd.Index:
    nth = ids.groupby(ids).cumcount() + 1
    return pd.Index(ids.where(nth == 1, ids + "#" + nth.astype(str)), name=ids.name)
