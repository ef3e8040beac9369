"""The context files: text by hand, every figure about the data computed from the open tables.

A template in ``data/llm/contexts/templates`` holds figures in the language of `somb_utils.llm.checks`,
``{{op: count, table: clinical_cbc}}``, with an optional format, ``{{op: mean, … | .2f}}``. The rendered text stands
beside it in ``data/llm/contexts`` and is what models read, so an evaluation needs no tables.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer
import yaml
from pydantic import ValidationError

from somb_utils.errors import SombError, UsageError
from somb_utils.llm.bank import CONTEXTS, GROUND_TRUTH, LLM
from somb_utils.llm.checks import Check, Value, evaluate, folder_loader
from somb_utils.paths import replacing

Loader = Callable[[str], pd.DataFrame]

NAMES = (*CONTEXTS, GROUND_TRUTH)
FOLDER = LLM / "contexts"
TEMPLATES = FOLDER / "templates"
_FIGURE = re.compile(r"\{\{(.+?)\}\}", re.DOTALL)


@dataclass(frozen=True)
class Drift:
    """A figure whose committed text is not what the tables give; without a figure, the text around it differs."""

    context: str
    figure: str
    committed: str
    computed: str

    def __str__(self) -> str:
        if not self.figure:
            return f"{self.context}: {self.computed}"
        return f"{self.context}: {self.figure} gives {self.computed}, the text says {self.committed}"


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
    return {
        name: _FIGURE.sub(lambda found: figure(found[1], load), template(name, templates)) for name in NAMES
    }


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
        committed = path.read_text(encoding="utf-8") if path.is_file() else ""
        pieces = _FIGURE.split(template(name, templates))
        prose, figures = pieces[::2], pieces[1::2]
        found = re.fullmatch("(.*?)".join(map(re.escape, prose)), committed, re.DOTALL)
        if found is None:
            drifts.append(Drift(name, "", "", f"{path.name} differs from its template beyond the figures"))
            continue
        for text, shown in zip(figures, found.groups(), strict=True):
            computed = figure(text, load)
            if computed != shown:
                drifts.append(Drift(name, text, shown, computed))
    return drifts


def open_folder(data: str | None = None) -> Path:
    """Return the folder of the real tables: `data`, or what ``SOMB_DATA`` names.

    Raises
    ------
    UsageError
        If neither names a folder. Simulated tables have other figures, so they never stand in.
    """
    place = data or os.environ.get("SOMB_DATA")
    if not place:
        raise UsageError(
            "Contexts are computed from the real tables: give their folder with --data DIR or SOMB_DATA=DIR "
            "(`somb data fetch` downloads them)"
        )
    for folder in (Path(place) / "processed", Path(place)):
        if folder.is_dir():
            return folder
    raise UsageError(f"{place} is no folder; give the one that holds the open tables")


def contexts_command(
    check_only: Annotated[
        bool, typer.Option("--check", help="change nothing; exit 1 if a text is not what the tables give")
    ] = False,
    data: Annotated[str | None, typer.Option(help="folder of the real tables (default: SOMB_DATA)")] = None,
) -> None:
    """Render the context files from the open tables, or check that they have not drifted."""
    load = folder_loader(open_folder(data))
    if check_only:
        drifts = check(load)
        for drift in drifts:
            typer.echo(str(drift))
        if drifts:
            raise SombError(f"{len(drifts)} drifts; `somb llm contexts` renders the texts anew")
        typer.echo(f"{len(NAMES)} contexts agree with the tables")
        return
    for name, text in render(load).items():
        with replacing(FOLDER / f"{name}.md") as path:
            path.write_text(text, encoding="utf-8")
    typer.echo(f"{len(NAMES)} contexts written to {FOLDER}")
