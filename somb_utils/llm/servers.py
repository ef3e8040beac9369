"""Commands that serve something on this machine: the log viewer, and a small real model."""

from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import Annotated

import typer

from somb_utils.errors import UsageError
from somb_utils.llm.console import need_extra


def view(
    log_dir: Annotated[Path, typer.Argument(help="Folder of logs.")] = Path("logs/llm"),
    port: Annotated[int, typer.Option(min=1, max=65535, help="On this machine alone.")] = 7575,
    bundle: Annotated[Path | None, typer.Option(help="Write a static viewer here instead.")] = None,
) -> None:
    """Open Inspect's log viewer, or write it as static pages."""
    need_extra()
    if not log_dir.is_dir():
        raise UsageError(f"{log_dir} is not a folder of logs. `somb llm run` says where it writes its logs")
    if bundle is None:
        from inspect_ai._view.view import view as serve

        serve(log_dir=str(log_dir), host="127.0.0.1", port=port)
        return
    from somb_utils.llm.report.bundle import bundle_logs

    bundle_logs(log_dir, bundle)
    typer.echo(f"{bundle / 'index.html'} (works over HTTP: python -m http.server -d {bundle})")


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
