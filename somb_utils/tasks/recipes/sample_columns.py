"""Columns of the table are samples; labels and crew come from a metadata table."""

from typing import Literal

from pydantic import Field

from somb_utils.tasks.recipes._base import Features, Protocol, Recipe, shares
from somb_utils.tasks.recipes._reader import Reader


class SampleColumns(Recipe):
    """Columns of the table are samples; labels and crew come from a metadata table."""

    table_fields = ("table", "metadata")
    splits = ("loco",)
    types = ("binary", "multiclass")

    recipe: Literal["sample_columns"]
    table: str
    id: str
    metadata: str
    label: str
    rows: str = Field("", description="regular expression of the ids of the rows that are features; empty for all")
    shares: bool = Field(
        False, description="each sample's values become shares of their sum; a sample of zeros stays so"
    )

    def build(self, tables: Reader, classes: tuple[str, ...], protocol: Protocol) -> Features:
        """Pair the samples of people with their metadata."""
        metadata = tables.indexed(self.metadata, "sample_id")
        samples = metadata[tables.column(metadata, "source") == "human"]
        matrix = tables.sample_matrix(self.table, self.id)
        matrix = matrix.loc[:, matrix.columns.str.fullmatch(self.rows)] if self.rows else matrix
        matrix = shares(matrix) if self.shares else matrix
        X = tables.paired(matrix, samples.index, by_position=protocol == "published")
        y, groups = tables.column(samples, self.label), tables.column(samples, "crew")
        return Features(X, y, groups=groups, days=tables.days(samples))

    def sampling_unit(self, row: str) -> str:
        """Return the crew member's day: its swabs, ``<crew>_<day>_<site>``, were taken together."""
        return row.rpartition("_")[0] or row
