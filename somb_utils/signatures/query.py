"""Compare a user's signature with the references: overlap, direction, rank correlation, enrichment."""

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest, false_discovery_control, hypergeom, pearsonr

from somb_utils.errors import SombError, UsageError
from somb_utils.signatures.genes import ALPHA, Ids, Organism, Signature, translated
from somb_utils.signatures.read import read_signature
from somb_utils.signatures.references import Reference, open_tables, references, select
from somb_utils.tables.sources import SourceLike

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STRENGTHS = ["strength_mine", "strength_reference"]
MIN_GENES = 20  # in common, for a comparison
MIN_SET = 5  # significant genes of one direction, for their enrichment
MANY_GENES = 500  # in common of two references, for their correlation to serve as a yardstick
MIN_UNRELATED = 5  # references, for a yardstick
SAME = 0.999  # a correlation above it is that of a reference with itself
N_PERMUTATIONS = 1000  # of enrichment
SEED = 42


@dataclass(frozen=True)
class SignatureAnswer:
    """What `signature` found.

    Parameters
    ----------
    signature
        The user's genes as they were read, with notes on columns and corrections.
    table
        One row per reference, the highest rank correlation first.
    genes
        One row per gene that is significant in the user's table and in a reference: both effects (log2 fold change),
        and whether their direction is the same.
    left_out
        Why a reference was not compared, by name.
    """

    signature: Signature
    table: pd.DataFrame
    genes: pd.DataFrame
    left_out: dict[str, str]

    def plot(self) -> "Figure":
        """Draw correlation and agreement in direction, one row per reference.

        Returns
        -------
        Figure
            Of matplotlib.
        """
        from somb_utils.signatures.figure import overview

        return overview(self.table, self.signature.name)


def signature(
    data: pd.DataFrame | str | Path,
    against: Iterable[str] | None = None,
    source: SourceLike = "auto",
    contrast: str | None = None,
    organism: Organism | None = None,
    on_done: Callable[[str], None] = lambda name: None,
) -> SignatureAnswer:
    """Compare a list of differentially expressed genes with every open one of spaceflight.

    Parameters
    ----------
    data
        All genes that were tested, with fold changes and p-values: a data frame, or a CSV or TSV file, as DESeq2,
        edgeR, limma, GeneLab or scanpy write it.
    against
        Names of references; all by default.
    source
        See :func:`somb_utils.tables.resolve_source`; several folders are separated as in ``PATH``.
    contrast
        Of a GeneLab table that holds several, such as ``(Space Flight)v(Ground Control)``.
    organism
        ``human`` or ``mouse``, if the symbols do not show it.
    on_done
        Called with the name of each reference that was compared.

    Returns
    -------
    SignatureAnswer
        Its table has one row per reference.

    Raises
    ------
    SombError
        If the table cannot be read or no reference is available.
    UsageError
        If a reference or a contrast has no such name.

    Notes
    -----
    Every p-value refers to the exchange of genes: it is uniform if the user's genes are assigned to their values at
    random. It does not cover that genes of one pathway change together, nor what all experiments share, such as the
    dependence of a test's power on expression; two unrelated experiments can therefore have a tiny p-value. `unrelated`
    is the yardstick for that: the largest absolute correlation of the reference with references of other studies and
    samples.
    """
    chosen = select([against] if isinstance(against, str) else list(against) if against is not None else None)
    mine = read_signature(Path(data) if isinstance(data, str) else data, contrast, organism)
    tables = open_tables(source)
    loaded: dict[str, Signature] = {}
    for reference in references().values():
        if all(tables.has(table) for table in (reference.table, reference.background) if table):
            loaded[reference.name] = reference.signature(tables)
    rows, shared, left_out = [], [], {}
    for reference in chosen:
        if reference.name not in loaded:
            left_out[reference.name] = "its table is not here; somb data fetch gets it, or name its folder in SOMB_DATA"
            continue
        try:
            both = joined(mine, loaded[reference.name])
        except UsageError as error:  # identifiers differ, and the extra that translates them is missing
            left_out[reference.name] = str(error)
            continue
        ranked = both[STRENGTHS].dropna()
        if len(ranked) < MIN_GENES or ranked.nunique().min() == 1:
            left_out[reference.name] = f"fewer than {MIN_GENES} genes in common that can be ranked"
            continue
        facts = _facts(reference) | compared(both, mine.complete)
        rows.append(facts | _enrichment(both, mine, loaded[reference.name]))
        shared.append(_shared(both).assign(reference=reference.name))
        on_done(reference.name)
    if not rows:
        reasons = "; ".join(dict.fromkeys(left_out.values()))
        raise SombError(f"{mine.name}: it can be compared with no reference ({reasons})")
    if find_spec("gseapy") is None:
        mine = replace(mine, notes=(*mine.notes, "enrichment was left out: it needs the extra signature (gseapy)"))
    table = pd.DataFrame(rows)
    table.insert(list(table).index("p") + 1, "q", false_discovery_control(table["p"]))
    same = set(table.loc[table["rho"] > SAME, "reference"])  # of which nothing is to be learned about the others
    yardsticks = _yardsticks({name: each for name, each in loaded.items() if name not in same}, mine.ids)
    table.insert(list(table).index("q") + 1, "unrelated", table["reference"].map(yardsticks))
    table.insert(1, "reading", [_reading(row) for row in table.to_dict("records")])
    table = table.sort_values("rho", ascending=False, kind="stable", ignore_index=True)
    return SignatureAnswer(mine, table, pd.concat(shared, ignore_index=True), left_out)


def joined(mine: Signature, reference: Signature) -> pd.DataFrame:
    """Return the genes that both tested, with the columns of both."""
    other = translated(reference, mine.ids).genes
    return mine.genes.add_suffix("_mine").join(other.add_suffix("_reference"), how="inner")


def compared(both: pd.DataFrame, complete: bool = True) -> dict[str, Any]:
    """Return overlap, direction and rank correlation of two signatures on the genes that both tested."""
    in_mine, in_reference = both["significant_mine"], both["significant_reference"]
    shared = both[in_mine & in_reference]
    n, k, same = len(both), len(shared), int(_same_direction(shared).sum())
    sizes = n, int(in_reference.sum()), int(in_mine.sum())
    interval = binomtest(same, k).proportion_ci() if k else None
    ranked = both[STRENGTHS].dropna()
    correlation = pearsonr(*ranked.rank().to_numpy().T)  # Spearman's
    return {
        "genes": n,
        "ranked": len(ranked),
        "rho": correlation.statistic,
        "rho_low": correlation.confidence_interval().low,
        "rho_high": correlation.confidence_interval().high,
        "p": correlation.pvalue,
        "significant": sizes[2],
        "significant_reference": sizes[1],
        "both": k,
        "expected": sizes[1] * sizes[2] / n if complete else np.nan,
        "overlap_p": hypergeom.sf(k - 1, *sizes) if complete else np.nan,
        "same_direction": same,
        "agreement": same / k if k else np.nan,
        "low": interval.low if interval else np.nan,
        "high": interval.high if interval else np.nan,
    }


def _same_direction(both: pd.DataFrame) -> pd.Series:
    return np.sign(both["effect_mine"]) == np.sign(both["effect_reference"])


def _shared(both: pd.DataFrame) -> pd.DataFrame:
    kept = both[both["significant_mine"] & both["significant_reference"]]
    kept = kept.assign(same_direction=_same_direction(kept)).rename_axis("gene").reset_index()
    return kept[["gene", "effect_mine", "effect_reference", "same_direction"]]


def _facts(reference: Reference) -> dict[str, Any]:
    fields = ("sample", "contrast", "organism", "n", "study", "caveat")
    return {"reference": reference.name} | {field: getattr(reference, field) for field in fields}


def _reading(row: Mapping[Any, Any]) -> str:
    """Return in a word what a correlation and its interval say, beside those of unrelated references."""
    if row["rho"] > SAME:
        return "same"
    if row["q"] >= ALPHA:
        return "none"
    if np.isnan(row["unrelated"]):
        return "unclear"
    if row["rho_low"] > row["unrelated"]:
        return "alike"
    return "opposite" if row["rho_high"] < -row["unrelated"] else "weak"


def _yardsticks(loaded: Mapping[str, Signature], ids: Ids) -> pd.Series:
    """Return each reference's largest absolute correlation with references of other studies and samples."""
    strengths = {}
    for name, each in loaded.items():
        with suppress(UsageError):  # the extra that translates identifiers is missing
            strengths[name] = translated(each, ids).genes["strength"]
    rho = pd.DataFrame(strengths).corr("spearman", min_periods=MANY_GENES).abs()
    every = references()
    for a, b in product(strengths, strengths):
        if every[a].study == every[b].study or every[a].sample == every[b].sample:
            rho.loc[a, b] = np.nan
    return rho.max().where(rho.count() >= MIN_UNRELATED)


def _enrichment(both: pd.DataFrame, mine: Signature, reference: Signature) -> dict[str, float]:
    """Return the normalised enrichment of the user's significant genes, those up and those down, in the reference."""
    if find_spec("gseapy") is None:
        return {}
    import gseapy

    answer = {f"{value}_{direction}": np.nan for direction in ("up", "down") for value in ("nes", "nes_p")}
    # A list of significant genes alone is sought among all of the reference's, else among those that both tested.
    ranking = both["strength_reference"] if mine.complete else translated(reference, mine.ids).genes["strength"]
    ranking = ranking.dropna()
    ranking = ranking.clip(*ranking[np.isfinite(ranking)].agg(["min", "max"]))
    changed = both[both["significant_mine"] & both.index.isin(ranking.index)]
    directions = {"up": changed["effect_mine"] > 0, "down": changed["effect_mine"] < 0}
    sets = {direction: list(changed.index[rows]) for direction, rows in directions.items()}
    sets = {direction: genes for direction, genes in sets.items() if MIN_SET <= len(genes) < len(ranking)}
    if sets:
        logging.disable(logging.WARNING)  # that some genes have the same statistic
        try:
            run = gseapy.prerank(
                ranking, sets, min_size=MIN_SET, max_size=len(ranking), permutation_num=N_PERMUTATIONS, seed=SEED
            )
        finally:
            logging.disable(logging.NOTSET)
        for row in run.res2d.to_dict("records"):
            answer[f"nes_{row['Term']}"] = float(row["NES"])
            answer[f"nes_p_{row['Term']}"] = max(float(row["NOM p-val"]), 1 / N_PERMUTATIONS)
    return answer
