"""``somb readme``: the README's result tables, written from the canonical run."""

from pathlib import Path
from typing import Annotated

import typer

from somb_utils.errors import SombError, UsageError
from somb_utils.paths import replacing


def readme(
    update: Annotated[bool, typer.Option("--update", help="Write the tables [default: only compare].")] = False,
    store: Annotated[list[Path] | None, typer.Option(help="First store these runs as the canonical run.")] = None,
    file: Annotated[Path, typer.Option(help="The README.")] = Path("README.md"),
) -> None:
    """Compare the README's result tables with the stored canonical run, or write them.

    Examples: `somb readme`, `somb readme --update`,
    `somb readme --store results/open-aligned --store results/open-published --update`
    """
    from somb_utils.reference.canonical import store as store_runs

    if store:
        print(f"stored {len(store_runs(store))} scores as the canonical run")
    if not file.is_file():
        raise UsageError(f"{file} does not exist; run this in the checkout, or name it with --file")
    before = file.read_text(encoding="utf-8")
    after = filled(before)
    if before == after:
        print(f"{file} agrees with the canonical run")
    elif update:
        with replacing(file) as temporary:
            temporary.write_text(after, encoding="utf-8")
        print(f"{file} is up to date")
    else:
        raise SombError(f"{file} does not agree with the canonical run; write its tables with: somb readme --update")


def filled(text: str) -> str:
    """Return the README with each table between its markers ``<!-- somb:NAME -->`` and ``<!-- /somb:NAME -->``."""
    from somb_utils.labels import markdown
    from somb_utils.reference.canonical import tables

    for name, table in tables().items():
        start, end = f"<!-- somb:{name} -->", f"<!-- /somb:{name} -->"
        if text.count(start) != 1 or text.count(end) != 1:
            raise SombError(f"the README needs the markers {start} and {end}, once each")
        head, rest = text.split(start)
        tail = rest.split(end)[1]
        text = f"{head}{start}\n\n{markdown(table)}\n\n{end}{tail}"
    return text
