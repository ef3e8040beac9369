"""Statistics of one contrast predict adjusted p < alpha in another, on the ids in both tables."""

from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field

from somb_utils.tasks.recipes._base import Features, Protocol, Recipe
from somb_utils.tasks.recipes._reader import Reader


class DifferentialTransfer(Recipe):
    """Statistics of one contrast predict adjusted p < alpha in another, on the ids in both tables."""

    table_fields = ("table", "target")
    columns_ordered = True

    recipe: Literal["differential_transfer"]
    table: str
    target: str
    id: str
    columns: tuple[str, ...]
    alpha: float
    concordance: bool = Field(
        False,
        description="annotate each row with whether logFC has the same sign in both contrasts; rows are sorted by id, "
        "and the published folds were drawn in the order of the first table",
    )

    def build(self, tables: Reader, classes: tuple[str, ...], protocol: Protocol) -> Features:
        """Take the columns on the shared ids; an id that the target did not test is negative."""
        table, target = (tables.indexed(name, self.id) for name in (self.table, self.target))
        shared = target.index.intersection(table.index, sort=False)
        adjusted = tables.numbers(tables.columns(target, ["adj_pval"]), self.target)["adj_pval"]
        changed = adjusted.fillna(1.0) < self.alpha
        annotations, stratify = pd.DataFrame(), None
        if self.concordance:
            first, second = (
                np.sign(tables.numbers(tables.columns(frame, ["logFC"]), name).loc[shared, "logFC"])
                for name, frame in ((self.table, table), (self.target, target))
            )
            annotations = pd.DataFrame({"concordant": first == second})
            if protocol == "published":
                stratify = changed[table.index.intersection(target.index, sort=False)].to_numpy()
            shared = shared.sort_values()
        return Features(
            tables.numbers(tables.columns(table, self.columns), self.table).loc[shared],
            tables.binary(changed[shared], classes),
            stratify=stratify,
            annotations=annotations.reindex(shared),
        )
