"""``somb llm contexts`` and ``somb llm items``: what models are shown and asked, made from the open tables."""

from pathlib import Path
from typing import Annotated

import typer

from somb_utils.errors import SombError
from somb_utils.llm.console import need_extra

ITEMS_EXAMPLE = "Example: `somb llm items --seed 4711 --out private.yaml`, then `somb llm run --set private.yaml`"
CONTEXTS_EXAMPLES = "Examples: `somb llm contexts --check` · `somb llm contexts --data FOLDER`"


def contexts_(
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; fail if a text differs from what the tables give.")
    ] = False,
    data: Annotated[
        str | None, typer.Option(help="Folder of the real tables (default: SOMB_DATA, else the cache).")
    ] = None,
) -> None:
    """Render the context files from the open tables, or check that they agree with the tables."""
    need_extra()
    from somb_utils.llm.bank import contexts

    load = contexts.open_loader(data)
    if not check:
        contexts.write(load)
        typer.echo(f"{len(contexts.NAMES)} contexts written to {contexts.FOLDER}")
        return
    drifts = contexts.check(load, contexts.FOLDER, contexts.TEMPLATES)
    for drift in drifts:
        typer.echo(str(drift))
    if drifts:
        raise SombError(f"{len(drifts)} differences; `somb llm contexts` renders the texts again")
    typer.echo(f"{len(contexts.NAMES)} contexts agree with the tables")


def items_(
    seed: Annotated[int, typer.Option(min=0, help="Whoever knows it can make the same items: keep it.")],
    out: Annotated[Path, typer.Option(help="A new YAML file.")],
    count: Annotated[int, typer.Option(min=1, max=200, help="Number of items.")] = 35,
    data: Annotated[str, typer.Option(help="Tables, as elsewhere.")] = "auto",
) -> None:
    """Generate private items from the tables: no model can have seen them, and the same seed gives the same.

    They show whether a model does worse on items that were never published. The file holds no keys.
    """
    need_extra()
    from somb_utils.llm.core.private import generate, write

    write(generate(seed, data, count), out)
    typer.echo(
        f"{count} items in {out}. Next: somb llm run --model PROVIDER/MODEL --set {out} --condition recall --full"
    )
