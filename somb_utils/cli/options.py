"""Options that several commands share: their names, what they accept, and how their values are read."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, get_args

import typer

from somb_utils.errors import UsageError
from somb_utils.runs.names import split_names

ProtocolName = Literal["aligned", "published"]


class Format(StrEnum):
    """How a table is printed."""

    table = "table"
    json = "json"
    csv = "csv"
    markdown = "markdown"


def read_protocol(text: str) -> str:
    """Return the name of a protocol, checked."""
    if text not in get_args(ProtocolName):
        raise UsageError(f"unknown protocol '{text}'; it is one of {', '.join(get_args(ProtocolName))}")
    return text


def read_names(texts: list[str] | None) -> list[str] | None:
    """Return the names in comma-separated lists; None if the option was not used."""
    return [name for text in texts for name in split_names(text)] if texts else None


Tasks = Annotated[str | None, typer.Option("--tasks", "-t", help="Ids or wildcards, e.g. A1,F* [default: all].")]
TaskNames = Annotated[
    list[str] | None, typer.Option("--tasks", "-t", callback=read_names, help="Ids, comma-separated [default: all].")
]
Models = Annotated[
    list[str] | None,
    typer.Option("--models", callback=read_names, help="Baselines or package.module:object, comma-separated."),
]
Params = Annotated[
    list[str] | None,
    typer.Option(
        "--model-params",
        help="model.key=value, or key=value for a single model; may be repeated. Values as in YAML: 0.1, 1e2, true, "
        "null or None, [1, 2], {a: b}, '\"text\"'.",
    ),
]
Protocol = Annotated[
    ProtocolName, typer.Option(parser=read_protocol, metavar="aligned|published", help="Folds and preparation.")
]
Data = Annotated[str, typer.Option("--data", help="auto, open, simulated, or a folder with the published CSV files.")]
Jobs = Annotated[int, typer.Option("--jobs", "-j", help="Jobs at once; -1: one per core.")]
Cluster = Annotated[
    str | None, typer.Option("--cluster", help="Dask scheduler (tls://host:8786), or local:N for N local processes.")
]
# Infinite by default rather than None: with a limit, each fit is done in a process of its own.
Timeout = Annotated[float, typer.Option(help="Time limit of a fit in seconds; a slower fit fails.")]
Memory = Annotated[
    float | None,
    typer.Option(
        callback=lambda gib: None if gib is None else int(gib * 2**30),
        help="Memory limit of a fit in GiB (Linux); a larger fit fails.",
    ),
]
Seed = Annotated[
    int,
    typer.Option(help="Seed of every model (your own: each random_state that is None). Folds do not depend on it."),
]
Bootstrap = Annotated[int, typer.Option("--n-bootstrap", min=0, help="Bootstrap replicates per interval.")]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Run folder [default: results/DATA-PROTOCOL].")]
Print = Annotated[Format, typer.Option("--format", help="How to print tables.")]
