"""Clinical, proteomic and metabolomic blocks of the crew days in all three."""

from typing import Literal

import pandas as pd

from somb_utils.tasks.recipes._base import Features, Protocol, Recipe
from somb_utils.tasks.recipes._reader import Reader


class Multimodal(Recipe):
    """Clinical, proteomic and metabolomic blocks of the crew days in all three."""

    table_fields = ("clinical", "proteomics", "metabolomics", "metabolomics_metadata")
    splits = ("loco",)
    types = ("binary", "multiclass")

    recipe: Literal["multimodal"]
    clinical: tuple[str, ...]
    proteomics: str
    metabolomics: str
    metabolomics_metadata: str
    label: str

    def build(self, tables: Reader, classes: tuple[str, ...], protocol: Protocol) -> Features:
        """Join the blocks by crew member and day; the columns of each block have its name as a prefix."""
        clinical, analytes = tables.samples(self.clinical)
        proteomics, proteins = tables.samples((self.proteomics,))
        matrix = tables.indexed(self.metabolomics, "metabolite_name")
        metadata = tables.indexed(self.metabolomics_metadata, "sample_id")
        samples = [column for column in matrix.columns if column in metadata.index]
        metabolites = tables.numbers(matrix[samples], self.metabolomics).T

        days = [
            _crew_day(clinical, self.clinical[0], tables),
            _crew_day(proteomics, self.proteomics, tables),
            _crew_day(metadata.loc[metabolites.index], self.metabolomics_metadata, tables),
        ]
        if any(day.has_duplicates for day in days):
            raise tables.error("tables are joined by crew and day, but a crew member has two samples of one day")
        shared = [day.isin(days[0]) & day.isin(days[1]) & day.isin(days[2]) for day in days]
        rows = clinical[shared[0]]
        proteins, metabolites = proteins.fillna(0.0), metabolites.fillna(0.0)
        if protocol == "published":
            proteins, metabolites = proteins[shared[1]], metabolites.iloc[: len(rows)]
        else:
            proteins, metabolites = (
                block.set_axis(day).reindex(days[0][shared[0]])
                for block, day in zip((proteins, metabolites), days[1:], strict=True)
            )
        blocks = {"clinical:": analytes[shared[0]], "proteomics:": proteins, "metabolomics:": metabolites}
        X = pd.concat([block.set_axis(rows.index).add_prefix(prefix) for prefix, block in blocks.items()], axis=1)
        return Features(X, tables.column(rows, self.label), tables.column(rows, "crew"))


def _crew_day(table: pd.DataFrame, name: str, tables: Reader) -> pd.MultiIndex:
    day = tables.numbers(tables.columns(table, ["timepoint_days"]), name)
    return pd.MultiIndex.from_frame(tables.columns(table, ["crew"]).join(day))
