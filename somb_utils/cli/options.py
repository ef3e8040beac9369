"""Options that several commands share: their names, what they accept, and how their values are read."""

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import typer
import yaml

from somb_utils.errors import UsageError
from somb_utils.runs.names import split_names

ProtocolName = Literal["rigorous", "aligned", "published"]


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
    names = [name for text in texts or () for name in split_names(text)]
    if texts and not names:
        raise UsageError(f"'{','.join(texts)}' names nothing; leave the option out for all")
    return names or None


Tasks = Annotated[
    str | None,
    typer.Option(
        "--tasks", "-t", help="Ids, wildcards or your own files, e.g. A1,F*,mine.json [default: published 21]."
    ),
]
TaskNames = Annotated[
    list[str] | None, typer.Option("--tasks", "-t", callback=read_names, help="Ids, comma-separated [default: all].")
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--models",
        callback=read_names,
        help="Baselines, strong (the strong ones), all, or package.module:object; comma-separated.",
    ),
]
ModelNames = Annotated[
    list[str] | None, typer.Option("--models", callback=read_names, help="Names, comma-separated [default: all].")
]
Params = Annotated[
    list[str] | None,
    typer.Option(
        "--model-params",
        help="model.key=value, or key=value for a single model; may be repeated. Values as in YAML: 0.1, 1e2, true, "
        "null or None, [1, 2], {a: b}, '\"text\"'.",
    ),
]
Protocol = Annotated[ProtocolName, typer.Option(parser=read_protocol, help="Folds and preparation.")]
Data = Annotated[
    str,
    typer.Option(
        "--data", help="auto, open, simulated, or a folder of CSV files, published or your own; several as in PATH."
    ),
]
Jobs = Annotated[int, typer.Option("--jobs", "-j", help="Jobs at once; -1: one per core.")]
Cluster = Annotated[
    str | None, typer.Option("--cluster", help="Dask scheduler (tls://host:8786), or local:N for N local processes.")
]
# Infinite by default rather than None: with a limit, each fit is done in a process of its own.
Timeout = Annotated[
    float, typer.Option(show_default=False, help="Time limit of a fit in seconds; a slower fit fails [default: none].")
]
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
Seeds = Annotated[
    int | None,
    typer.Option(min=1, help="Seeds of a stochastic model [default: 5 under rigorous on real tables, else 1]."),
]
Bootstrap = Annotated[int, typer.Option("--n-bootstrap", min=0, help="Bootstrap replicates per interval.")]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Run folder [default: results/DATA-PROTOCOL].")]
Print = Annotated[Format, typer.Option("--format", help="How to print tables.")]


class _Loader(yaml.SafeLoader):
    """Plain values of YAML 1.2; PyYAML follows YAML 1.1, where 1e2 is a text, no is false and 12:30 is 750."""


_Loader.yaml_implicit_resolvers = {}
for _kind, _pattern in {
    "null": r"~|null|Null|NULL|None|",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?(0|[1-9][0-9]*)",
    "float": r"[-+]?(([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+|\.?inf)|\.?nan",
}.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(f"^({_pattern})$"), None)


def parse_params(pairs: list[str] | None, models: list[str] | None) -> dict[str, dict[str, Any]]:
    """Return the parameters of each model from texts ``model.key=value``; a single model need not be named.

    >>> parse_params(["C=1e2", "logreg.penalty=None"], ["logreg"])
    {'logreg': {'C': 100.0, 'penalty': None}}
    """
    names = models or []
    parsed: dict[str, dict[str, Any]] = {}
    for pair in pairs or ():
        key, equals, text = pair.partition("=")
        model = max((name for name in names if key.startswith(f"{name}.")), key=len, default=None)
        if model is not None:
            parameter = key.removeprefix(f"{model}.")
        elif len(names) == 1:
            model, parameter = names[0], key
        else:
            model, _, parameter = key.partition(".")
        if not equals or not parameter:
            raise UsageError(f"--model-params '{pair}' is not of the form model.key=value, e.g. logreg.C=0.1")
        try:
            parsed.setdefault(model, {})[parameter] = yaml.load(text, _Loader)
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            problem = getattr(error, "problem", None) or type(error).__name__
            raise UsageError(
                f"--model-params '{pair}': the value is not YAML ({problem}); put text in quotes: key='\"text\"'"
            ) from None
    return parsed
