"""A square correlation matrix predicts one 0/1 column for each cluster."""

from typing import Literal

from somb_utils.tasks.recipes._base import Features, Protocol, Recipe
from somb_utils.tasks.recipes._reader import Reader


class Correlation(Recipe):
    """A square correlation matrix predicts one 0/1 column for each cluster."""

    table_fields = ("table", "labels")
    types = ("multilabel",)

    recipe: Literal["correlation"]
    table: str
    labels: str
    id: str

    def build(self, tables: Reader, classes: tuple[str, ...], protocol: Protocol) -> Features:
        """Pair each gene's correlations with its labels."""
        labels = tables.indexed(self.labels, self.id)
        y = tables.columns(labels, classes)
        if not y.isin([0, 1]).all(axis=None):
            raise tables.error(f"{self.labels} has a label that is neither 0 nor 1")
        X = tables.numbers(tables.indexed(self.table, self.id), self.table)
        return Features(tables.paired(X, labels.index), y.astype(int))
