"""Rows are genes or pathways with named feature columns; the label is a column or a membership."""

from typing import Literal

import pandas as pd
from pydantic import Field, model_validator

from somb_utils.tables.derive import membership
from somb_utils.tasks.recipes._base import Features, Protocol, Recipe
from somb_utils.tasks.recipes._reader import Reader


class Rows(Recipe):
    """Rows are genes or pathways with named feature columns; the label is a column or a membership."""

    table_fields = ("table", "member_of", "collections")
    columns_ordered = True

    recipe: Literal["rows"]
    table: str
    id: str
    columns: tuple[str, ...]
    label: str | None = None
    member_of: str | None = Field(None, description="table whose genes are the positives")
    relatives: Literal["same_id", "same_family"] | None = Field(
        None,
        description="which rows are never on both sides of a fold; the family of a gene set is its id up to the first "
        "underscore",
    )
    collections: str | None = Field(None, description="table that names the collection of each row, by the same id")
    collection: str = Field("collection", description="its column")
    could_be_positive: tuple[str, ...] | None = Field(None, description="collections; rows of others are left out")

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
        if self.collections:
            listed = tables.load(self.collections)
            kept = tables.column(listed, self.collection).isin(self.could_be_positive or ())
            table = table[table[self.id].isin(tables.ids(listed, self.id)[kept])]
        family = table[self.id].str.partition("_")[0]
        relatives = {"same_id": table[self.id], "same_family": family}.get(self.relatives or "")
        y = tables.binary(tables.column(table, self.label or "label"), classes)
        return Features(tables.numbers(tables.columns(table, self.columns), self.table), y, relatives=relatives)

    def sampling_unit(self, row: str) -> str:
        """Return the id, which several rows may share, where rows of one id are kept together."""
        return row.partition("#")[0] if self.relatives == "same_id" else row


def _unique(ids: pd.Series) -> pd.Index:
    nth = ids.groupby(ids).cumcount() + 1
    return pd.Index(ids.where(nth == 1, ids + "#" + nth.astype(str)), name=ids.name)
