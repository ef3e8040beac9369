"""``somb osdr``: the files of a study in NASA's Open Science Data Repository."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from somb_utils.cli.console import print_frame
from somb_utils.cli.options import Format, Print
from somb_utils.errors import printable

if TYPE_CHECKING:
    from somb_utils.tables.osdr import Study


def osdr(
    accession: Annotated[str, typer.Argument(help="Of the study, e.g. OSD-379.")],
    fetch: Annotated[
        str | None, typer.Option("--fetch", help="Tables to download: a part of their names, or a wildcard.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder for them [default: the accession].")] = None,
    every: Annotated[bool, typer.Option("--all", help="List every file, not only tables.")] = False,
    format: Print = Format.table,
) -> None:
    """List the files of a study of NASA's Open Science Data Repository, or download its processed tables.

    Tables of differential expression come first, then counts. A download resumes where it stopped, and writes the
    table's address, time and SHA-256 into `<table>.provenance.json` beside it.

    Examples: `somb osdr OSD-379`, `somb osdr OSD-379 --fetch differential_expression`,
    `somb osdr OSD-379 --fetch "*Normalized_Counts*.csv" --out tables/`
    """
    from somb_utils.tables.osdr import fetch_tables, read_study, select

    study = read_study(accession)
    if accession != study.accession:
        print(f"{printable(accession)} is read as {study.accession}", file=sys.stderr)
    if fetch is None:
        _list(study, every, format)
        return
    for path in fetch_tables(study, select(study, fetch), out or Path(study.accession)):
        print(path)


def _list(study: "Study", every: bool, format: Format) -> None:
    import pandas as pd
    from rich.filesize import decimal

    from somb_utils.tables.osdr import OTHER

    shown = [file for file in study.files if every or file.kind != OTHER]
    columns = {
        "kind": [file.kind for file in shown],
        "file": [file.file_name for file in shown],
        "size": [file.size if format is Format.table else file.file_size for file in shown],
        "category": [" / ".join(filter(None, (file.category, file.subcategory))) for file in shown],
        "access": ["restricted" if file.restricted else "open" for file in shown],
    }
    print_frame(pd.DataFrame(columns), format, title=f"{study.accession}: {len(shown)} of {len(study.files)} files")
    if not every:
        others = pd.DataFrame(
            [(file.category or "no category", file.file_size or 0) for file in study.files if file.kind == OTHER],
            columns=["category", "bytes"],
        )
        for category, sizes in others.groupby("category")["bytes"]:
            line = f"not shown: {len(sizes)} files of {category} ({decimal(int(sizes.sum()))})"
            print(printable(line, most=None), file=sys.stderr)
