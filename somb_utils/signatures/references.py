"""The references (``data/signature_references.yaml``): open differential tables with contrast, N and caveat."""

import os
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import yaml
from scipy.stats import false_discovery_control

from somb_utils.errors import SombError, UsageError
from somb_utils.paths import DATA
from somb_utils.signatures.genes import Ids, Signature, measured
from somb_utils.tables.sources import Source, SourceLike, resolve_source


@dataclass(frozen=True)
class Reference:
    """One contrast of an open table; the file of definitions describes the fields."""

    name: str
    table: str
    gene: str
    effect: str | list[str]  # two columns: a difference of logarithms
    sample: str
    contrast: str
    organism: str
    study: str
    n: str
    caveat: str
    statistic: str = ""
    p: str = ""
    q: str = ""
    fold: str = "log2"
    background: str = ""
    ids: str = "human symbol"

    def signature(self, tables: Source) -> Signature:
        """Return the reference's genes and how each changed."""
        table = tables.load(self.table).drop_duplicates([self.gene, *np.atleast_1d(self.effect)])
        table = table[~table[self.gene].duplicated(keep=False)].set_index(self.gene)
        if self.background:
            table = table.reindex(tables.load(self.background)[self.gene])
        values = [*np.atleast_1d(self.effect), *filter(None, (self.statistic, self.p, self.q))]
        table = table[values].apply(pd.to_numeric, errors="coerce")  # R writes NA for what it did not test
        effect = table[self.effect] if isinstance(self.effect, str) else table[self.effect[0]] - table[self.effect[1]]
        if self.fold == "signed":
            effect = np.sign(effect) * np.log2(effect.abs())
        p, q, statistic = (table[column] if column else None for column in (self.p, self.q, self.statistic))
        if q is None:
            q = pd.Series(false_discovery_control(p), table.index)
        genes = measured(effect, statistic, p, q)
        if not self.background:
            genes = genes.dropna()
        genes = genes.set_axis(genes.index.str.upper())
        genes = genes[~genes.index.duplicated(keep=False)]
        organism, kind = self.ids.split()
        return Signature(self.name, genes, Ids(organism, kind))  # type: ignore[arg-type]


@cache
def references() -> dict[str, Reference]:
    """Return every reference by name."""
    entries = yaml.safe_load((DATA / "signature_references.yaml").read_text(encoding="utf-8"))
    every = [Reference(**filled) for entry in entries for filled in _each(entry)]
    return {reference.name: reference for reference in every}


def _each(entry: dict[str, Any]) -> list[dict[str, Any]]:
    """Return an entry once for each of its columns."""
    columns = entry.pop("each", None)
    if columns is None:
        return [entry]
    return [
        {field: text.replace("{}", key) for field, text in entry.items()} | {"sample": sample}
        for key, sample in columns.items()
    ]


def select(names: list[str] | None) -> list[Reference]:
    """Return the references of these names, or all."""
    every = references()
    if unknown := [name for name in names or () if name not in every]:
        raise UsageError(f"no reference is named {', '.join(unknown)}; there are {', '.join(every)}")
    return [every[name] for name in dict.fromkeys(names)] if names else list(every.values())


def open_tables(source: SourceLike) -> Source:
    """Return the source of the tables that references read; simulated ones have none."""
    where = resolve_source(os.environ.get("SOMB_DATA") or "open" if source == "auto" else source)
    if where.kind == "simulated":
        raise SombError("references are real tables; get them with: somb data fetch, or name their folder in SOMB_DATA")
    return where
