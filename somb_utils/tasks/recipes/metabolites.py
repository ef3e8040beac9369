"""Chemical annotations: mass, retention time, confidence, pathways one-hot, atom counts."""

import re
from typing import Literal

import pandas as pd

from somb_utils.tasks.recipes._base import Features, Protocol, Recipe
from somb_utils.tasks.recipes._reader import Reader

ELEMENTS = ("C", "H", "N", "O", "S", "P")


class Metabolites(Recipe):
    """Chemical annotations: mass, retention time, confidence, pathways one-hot, atom counts."""

    table_fields = ("table",)

    recipe: Literal["metabolites"]
    table: str
    id: str
    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    formula: str
    label: str

    def build(self, tables: Reader, classes: tuple[str, ...], protocol: Protocol) -> Features:
        """Join numbers, one-hot categories and atom counts of each metabolite."""
        table = tables.indexed(self.table, self.id)
        numeric = tables.numbers(tables.columns(table, self.numeric), self.table).fillna(0.0)
        categories = tables.texts(tables.columns(table, self.categorical))
        one_hot = pd.get_dummies(categories, columns=list(self.categorical), dtype=float)
        count = _published_atoms if protocol == "published" else _atoms
        formulas = tables.texts(tables.columns(table, [self.formula]))[self.formula].fillna("")
        atoms = pd.DataFrame([count(formula) for formula in formulas], index=table.index)
        y = tables.binary(tables.column(table, self.label), classes)
        return Features(pd.concat([numeric, one_hot, atoms], axis=1), y)


def _atoms(formula: str) -> dict[str, int]:
    counts = dict.fromkeys(ELEMENTS, 0)
    for element, number in re.findall(r"([A-Z][a-z]?)(\d*)", formula):
        if element in counts:
            counts[element] += int(number or 1)
    return {f"n_{element}": count for element, count in counts.items()}


def _published_atoms(formula: str) -> dict[str, int]:
    return {f"n_{element}": sum(int(n or 1) for n in re.findall(rf"{element}(\d*)", formula)) for element in ELEMENTS}
