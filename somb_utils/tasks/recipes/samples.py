"""Rows are samples; every column that is not sample metadata is a feature."""

from typing import Literal

from pydantic import Field

from somb_utils.tasks.recipes._base import Features, Protocol, Recipe
from somb_utils.tasks.recipes._reader import Reader


class Samples(Recipe):
    """Rows are samples; every column that is not sample metadata is a feature."""

    table_fields = ("tables",)
    splits = ("loco",)
    types = ("binary", "multiclass")

    recipe: Literal["samples"]
    tables: tuple[str, ...]
    label: str
    missing_is_zero: bool = Field(False, description="missing cells become 0")

    def build(self, tables: Reader, classes: tuple[str, ...], protocol: Protocol) -> Features:
        """Join the tables by sample."""
        first, X = tables.samples(self.tables)
        X = X.fillna(0.0) if self.missing_is_zero else X
        y, groups = tables.column(first, self.label), tables.column(first, "crew")
        return Features(X, y, groups=groups, days=tables.days(first))
