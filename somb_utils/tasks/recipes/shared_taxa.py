"""Human and environmental samples on the taxids in both tables."""

from typing import Literal

import pandas as pd

from somb_utils.tasks.recipes._base import Features, Protocol, Recipe
from somb_utils.tasks.recipes._reader import Reader


class SharedTaxa(Recipe):
    """Human and environmental samples on the taxids in both tables."""

    table_fields = ("human", "environmental", "metadata")
    splits = ("loto",)
    types = ("binary", "multiclass")

    recipe: Literal["shared_taxa"]
    human: str
    environmental: str
    id: str
    metadata: str
    label: str

    def build(self, tables: Reader, classes: tuple[str, ...], protocol: Protocol) -> Features:
        """Join both kinds of samples on their shared taxa and pair them with their metadata."""
        human, environmental = (tables.sample_matrix(name, self.id) for name in (self.human, self.environmental))
        # The capsule's columns read I4_Capsule_LM92_6 where the metadata says capsule_L-92_6.
        names = environmental.index.str.replace(r"^I4_Capsule_", "capsule_", regex=True)
        environmental.index = names.str.replace(r"_LM(?=\d)", "_L-", regex=True)
        shared = human.columns.intersection(environmental.columns, sort=False)
        metadata = tables.indexed(self.metadata, "sample_id")
        kind = tables.column(metadata, self.label)
        samples = pd.concat([metadata[kind == "human"], metadata[kind == "environmental"]])
        X = pd.concat([human[shared], environmental[shared]])
        X = tables.paired(X, samples.index, by_position=protocol == "published")
        return Features(X, samples[self.label], tables.column(samples, "timepoint"))
