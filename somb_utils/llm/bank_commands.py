"""``somb llm contexts``: the context files rendered from the open tables, or compared with them."""

from typing import Annotated

import typer

from somb_utils.errors import SombError
from somb_utils.llm.console import need_extra

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
