"""``somb llm serve-local``: a small real model on this machine."""

from contextlib import suppress
from threading import Event
from typing import Annotated

import typer

EXAMPLE = "Example: `somb llm serve-local --threads 4`, then the line that it prints, in another terminal"


def serve_local(
    port: Annotated[int, typer.Option(min=0, max=65535, help="On this machine alone; 0 for one that is free.")] = 8765,
    threads: Annotated[int, typer.Option(min=1, max=256, help="That compute.")] = 1,
) -> None:
    """Serve a small real model on this machine (SmolLM2, 135 million parameters), to evaluate without key or network.

    It answers badly, and cannot judge. Needs the extra `local-llm` and the package of the weights.
    """
    from somb_utils.llm.run.local import MODEL, serving

    with serving(port, threads) as served, suppress(KeyboardInterrupt):
        typer.echo(f"{served.weights.name}, sha256 {served.sha256}\nServed at {served.address}; to evaluate it:")
        typer.echo(
            f"  LOCAL_BASE_URL={served.address} LOCAL_API_KEY=none somb llm run --model {MODEL} --set core "
            "--condition recall --full --temperature 0 --max-tokens 200 --max-connections 1"
        )
        typer.echo("Ctrl-C stops it.")
        Event().wait()
    typer.echo("Stopped.")
