"""The context files: text by hand, every figure about the data computed from the open tables.

A template in ``data/llm/contexts/templates`` holds figures in the language of `somb_utils.llm.bank.checks`,
``{{op: count, table: clinical_cbc}}``, with an optional format, ``{{op: mean, … | .2f}}``. The rendered text stands
beside it in ``data/llm/contexts`` and is what models read, so an evaluation needs no tables.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer
import yaml
from pydantic import ValidationError

from somb_utils.errors import SombError, UsageError
from somb_utils.llm.bank.checks import Check, Value, evaluate
from somb_utils.llm.bank.questions import CONTEXTS, GROUND_TRUTH, LLM
from somb_utils.paths import replacing
from somb_utils.tables.registry import open_folder
from somb_utils.tables.sources import resolve_source

Loader = Callable[[str], pd.DataFrame]

NAMES = (*CONTEXTS, GROUND_TRUTH)
FOLDER = LLM / "contexts"
TEMPLATES = FOLDER / "templates"
_FIGURE = re.compile(r"\{\{(.+?)\}\}")


@dataclass(frozen=True)
class Drift:
    """A place where a committed text is not what its template and the tables give.

    Attributes
    ----------
    place : file and line, such as ``clinical.md:19``.
    figure : the figure's expression; empty if the line differs beyond its figures.
    committed, computed : what stands there, what should.
    """

    place: str
    figure: str
    committed: str
    computed: str

    def __str__(self) -> str:
        what = self.figure or "the line"
        return f"{self.place}: {what} should read {self.computed!r}, it reads {self.committed!r}"


def template(name: str, folder: Path = TEMPLATES) -> str:
    """Return the text of one template."""
    path = folder / f"{name}.md"
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise SombError(f"{path} cannot be read: {error.strerror}") from error


def _shown(value: Value, spec: str) -> str:
    if isinstance(value, list):
        return ", ".join(value)
    return format(value, spec or ("," if isinstance(value, int) else ""))


def figure(text: str, load: Loader) -> str:
    """Return what a figure shows: a check without its value, then an optional format after a bar.

    Raises
    ------
    SombError
        If the figure is no valid check or its table is not here.
    """
    expression, bar, spec = text.rpartition(" | ")
    if not bar:
        expression, spec = text, ""
    try:
        check = Check.model_validate({**yaml.safe_load("{" + expression + "}"), "value": 0})
        return _shown(evaluate(check, load), spec.strip())
    except (yaml.YAMLError, ValidationError, ValueError, TypeError) as error:
        raise SombError(f"Figure {text!r} cannot be computed: {error}") from error
    except SombError as error:
        raise SombError(f"Figure {text!r}: {error}") from error


def render(load: Loader, templates: Path = TEMPLATES) -> dict[str, str]:
    """Return the text of every context, its figures computed from the tables of `load`."""
    return {name: _FIGURE.sub(lambda found: figure(found[1], load), template(name, templates)) for name in NAMES}


def _standing(prose: list[str], line: str) -> list[str] | None:
    """Return what stands between the pieces of prose in a line, None if the prose itself differs."""
    if not (line.startswith(prose[0]) and line.endswith(prose[-1])):
        return None
    found, at = [], len(prose[0])
    for piece in prose[1:-1]:
        end = line.find(piece, at)
        if end < 0:
            return None
        found.append(line[at:end])
        at = end + len(piece)
    end = len(line) - len(prose[-1])
    return [*found, line[at:end]] if len(prose) > 1 else ([] if line == prose[0] else None)


def _line_drifts(place: str, pattern: str, line: str, load: Loader) -> list[Drift]:
    pieces = _FIGURE.split(pattern)
    prose, figures = pieces[::2], pieces[1::2]
    computed = [figure(text, load) for text in figures]
    standing = _standing(prose, line)
    if standing is None:
        return [Drift(place, "", line, _FIGURE.sub(lambda _: computed.pop(0), pattern))]
    return [Drift(place, f, old, new) for f, old, new in zip(figures, standing, computed, strict=True) if old != new]


def check(load: Loader, folder: Path = FOLDER, templates: Path = TEMPLATES) -> list[Drift]:
    """Compare the committed contexts with their templates and tables, figure by figure.

    Parameters
    ----------
    load
        Loader of the open tables by stem.
    folder, templates
        Folders of the rendered texts and of the templates.

    Returns
    -------
    list of Drift
        Empty if every text is what `render` gives.
    """
    drifts = []
    for name in NAMES:
        path = folder / f"{name}.md"
        committed = path.read_text(encoding="utf-8").split("\n") if path.is_file() else []
        expected = template(name, templates).split("\n")
        for number, (pattern, line) in enumerate(zip_longest(expected, committed, fillvalue=""), start=1):
            drifts += _line_drifts(f"{name}.md:{number}", pattern, line, load)
    return drifts


def open_loader(data: str | None = None) -> Loader:
    """Return the loader of the real tables: folder `data`, else ``SOMB_DATA``, else the verified download cache.

    Raises
    ------
    UsageError
        If the real tables are not here. Simulated tables have other figures, so they never stand in.
    """
    if data is None and not os.environ.get("SOMB_DATA") and not any(open_folder().glob("*.csv")):
        raise UsageError(
            "Contexts are computed from the real tables: `somb data fetch` gets them, --data DIR or SOMB_DATA=DIR "
            "names a folder that has them"
        )
    source = resolve_source(data or ("auto" if os.environ.get("SOMB_DATA") else "open"))
    if source.kind == "simulated":
        raise UsageError("Simulated tables have other figures; give the folder of the real ones with --data DIR")
    return source.load


def _refuse_drift(load: Loader) -> None:
    drifts = check(load, FOLDER, TEMPLATES)
    for drift in drifts:
        typer.echo(str(drift))
    if drifts:
        raise SombError(f"{len(drifts)} drifts; `somb llm contexts` renders the texts anew")
    typer.echo(f"{len(NAMES)} contexts agree with the tables")


def contexts_command(
    check: Annotated[
        bool, typer.Option("--check", help="change nothing; exit 1 if a text is not what the tables give")
    ] = False,
    data: Annotated[
        str | None, typer.Option(help="folder of the real tables (default: SOMB_DATA, else the download cache)")
    ] = None,
) -> None:
    """Render the context files from the open tables, or check that they have not drifted."""
    load = open_loader(data)
    if check:
        _refuse_drift(load)
        return
    for name, text in render(load, TEMPLATES).items():
        with replacing(FOLDER / f"{name}.md") as path:
            path.write_text(text, encoding="utf-8")
    typer.echo(f"{len(NAMES)} contexts written to {FOLDER}")
