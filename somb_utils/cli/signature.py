"""``somb signature``: whether a list of differentially expressed genes is like spaceflight."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from somb_utils.cli.console import fit_progress, print_frame
from somb_utils.cli.options import Format, Print, read_names
from somb_utils.errors import SombError
from somb_utils.paths import replacing, sha256_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from somb_utils.signatures.query import SignatureAnswer

LIMITS = """\
unrelated: the largest |ρ| between that reference and those of other studies and samples. alike, opposite: the 95 %
interval of ρ is beyond it; weak: it is not; none: q ≥ 0.05; unclear: there are fewer than 5 such references.
same direction, expected: of the genes that are significant in both, and how many are expected by chance.
NES: enrichment of your significant genes, those that rise and those that fall, in the reference.
p, q, NES and intervals take genes as exchangeable. They do not cover that genes change together, nor what all
experiments share, so a tiny p alone is no likeness. Human references are of 1 to 6 people: they show what happened to
these, and cannot separate flight from launch, landing, diet or season."""


def signature(
    table: Annotated[Path, typer.Argument(metavar="TABLE", help="CSV or TSV of all tested genes, also gzipped.")],
    against: Annotated[
        list[str] | None, typer.Option(callback=read_names, help="References, comma-separated [default: all].")
    ] = None,
    data: Annotated[
        str, typer.Option("--data", help="auto, open, or folders of the open tables, separated as in PATH.")
    ] = "auto",
    contrast: Annotated[str | None, typer.Option(help="Of a GeneLab table: '(Space Flight)v(Ground Control)'.")] = None,
    species: Annotated[
        Literal["human", "mouse"] | None, typer.Option(help="Of the genes, where their symbols do not show it.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for tables (CSV), the figure (PNG) and their provenance.")
    ] = None,
    format: Print = Format.table,
) -> None:
    """Compare differentially expressed genes with those of every open spaceflight table.

    The table is one that DESeq2, edgeR, limma, GeneLab or scanpy wrote: genes (symbols or Ensembl ids, human or mouse),
    log2 fold changes, positive if higher in flight, and p-values. Give every gene that was tested, changed or not.

    Examples:

    `somb signature mine.csv`

    `somb signature mine.csv --against mouse_liver_RR-8,cfrna_flight --out answer`

    `somb signature GLDS-48_differential_expression.csv --contrast "(Space Flight)v(Ground Control)"`
    """
    from somb_utils.signatures.query import signature as ask
    from somb_utils.signatures.references import select

    if out is not None:
        from somb_utils import plots  # noqa: F401  # reports a missing extra before the work
    with fit_progress("references compared") as bar:
        bar.start(len(select(against)), len(select(against)))
        answer = ask(table, against, data, contrast, species, on_done=lambda name: bar.advance(1, name))
    if format is Format.table:
        _print(answer)
    else:
        print_frame(answer.table, format)
    if out is not None:
        _write(answer, out, _provenance(answer, table, data, contrast))
        print(f"tables, figure and provenance: {out}", file=sys.stderr)


def _print(answer: "SignatureAnswer") -> None:
    mine, table = answer.signature, answer.table
    print(f"{mine.name}: {len(mine.genes):,} genes, {mine.genes['significant'].sum():,} significant")
    for note in mine.notes:
        print(f"  {note}")
    print(f"\n{_sentence(table)}\n")
    print_frame(_shown(table), Format.table, title="Every reference, highest rank correlation first")
    print(LIMITS)
    told = table[~table["reading"].isin(["weak", "none"])]
    if len(told):
        print("\nWhat these are")
    for row in told.itertuples():
        print(f"  {row.reference}: {row.sample}; {row.contrast}; {row.n}. {row.caveat}")
    for reason in dict.fromkeys(answer.left_out.values()):
        names = [name for name, why in answer.left_out.items() if why == reason]
        shown = ", ".join(names[:4]) + f" and {len(names) - 4} more" * (len(names) > 4)
        print(f"\nnot compared: {shown} ({reason})")


def _sentence(table: "pd.DataFrame") -> str:
    """Return the answer, a line for each direction."""
    openings = {
        "same": "The same table as",
        "alike": "Alike, beyond unrelated references:",
        "opposite": "Opposite, beyond unrelated references:",
        "unclear": "Unclear, for want of unrelated references to compare with:",
    }
    said = []
    for reading, opening in openings.items():
        rows = table[table["reading"] == reading].sort_values("rho", key=abs, ascending=False).to_dict("records")
        found = [f"{row['reference']} (ρ = {row['rho']:.2f}{_shared(row)})" for row in rows]
        if found:
            said.append(f"{opening} {', '.join(found)}.")
        elif reading == "alike":
            said.append("Like no reference: no correlation is beyond that of unrelated references.")
    return "\n".join(said)


def _shared(row: "Mapping[Any, Any]") -> str:
    """Return how many of the genes that are significant in both change in one direction."""
    from somb_utils.signatures.genes import FEW

    same, both = row["same_direction"], row["both"]
    if both < FEW:
        return ""
    return f"; {same:,} of the {both:,} genes that are significant in both change in the same direction"


def _shown(table: "pd.DataFrame") -> "pd.DataFrame":
    """Return the columns that answer, as text."""

    def number(value: float, decimals: int = 2) -> str:
        return "" if value != value else f"{round(value, decimals) + 0:.{decimals}f}"  # no minus before a zero

    shown = table[["reference", "reading", "n"]].copy()
    shown["genes"] = table["ranked"].map("{:,}".format)
    shown["ρ"] = table["rho"].map(number)
    shown["unrelated"] = table["unrelated"].map(number)
    shown["q"] = table["q"].map(_probability)
    shown["same direction"] = [
        f"{row['same_direction']:,} of {row['both']:,} ({100 * row['low']:.0f}-{100 * row['high']:.0f} %)"
        if row["both"]
        else ""
        for row in table.to_dict("records")
    ]
    shown["expected"] = table["expected"].map(lambda value: number(value, 1))
    shown["overlap p"] = table["overlap_p"].map(_probability)
    if "nes_up" in table:
        pairs = zip(table["nes_up"].map(number), table["nes_down"].map(number), strict=True)
        shown["NES up, down"] = [", ".join(pair).strip(", ") for pair in pairs]
    return shown


def _probability(p: float) -> str:
    if p != p:
        return ""
    return "<1e-99" if p < 1e-99 else f"{p:.2f}" if p >= 0.01 else f"{p:.0e}"


def _provenance(answer: "SignatureAnswer", table: Path, data: str, contrast: str | None) -> dict[str, Any]:
    """Return what was compared with what, and how."""
    from somb_utils.runs.record import made_with
    from somb_utils.signatures import query
    from somb_utils.signatures.references import open_tables, references

    tables = open_tables(data)
    compared = {name: references()[name].table for name in answer.table["reference"]}
    return {
        "signature": {
            "file": str(table),
            "sha256": sha256_of(table),
            "contrast": contrast,
            "notes": answer.signature.notes,
        },
        "references": {
            name: {"table": stem, "fingerprint": tables.fingerprint(stem)} for name, stem in compared.items()
        },
        "left_out": answer.left_out,
        "permutations": query.N_PERMUTATIONS,
        "seed": query.SEED,
        **made_with(),
    }


def _write(answer: "SignatureAnswer", out: Path, provenance: dict[str, Any]) -> None:
    from somb_utils._escape import spreadsheet

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SombError(f"{out} cannot be created: {error.strerror}; name another folder with --out") from None
    for name, table in {"references": answer.table, "genes": answer.genes}.items():
        with replacing(out / f"{name}.csv") as temporary:
            spreadsheet(table).to_csv(temporary, index=False)
    with replacing(out / "signature.png") as temporary:
        answer.plot().savefig(temporary, dpi=140, format="png")
    with replacing(out / "provenance.json") as temporary:
        temporary.write_text(json.dumps(provenance, indent=1), encoding="utf-8")
