"""The context files: text by hand, every figure about the data computed from the open tables.

A template in ``data/llm/contexts/templates`` holds figures in the language of `somb_utils.llm.bank.checks`,
``{{op: count, table: clinical_cbc}}``, with an optional format, ``{{op: mean, … | .2f}}``. Models are given the
rendered text in ``data/llm/contexts``, so an evaluation needs no tables.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from itertools import zip_longest
from pathlib import Path

import yaml
from pydantic import ValidationError

from somb_utils.errors import SombError, UsageError
from somb_utils.llm.bank.checks import Operation, Value
from somb_utils.llm.bank.operations import Loader, evaluate
from somb_utils.llm.bank.questions import LLM, YamlLoader
from somb_utils.llm.bank.schema import CONTEXTS, GROUND_TRUTH
from somb_utils.paths import replacing
from somb_utils.tables.registry import open_folder
from somb_utils.tables.sources import resolve_source

NAMES = (*CONTEXTS, GROUND_TRUTH)
FOLDER = LLM / "contexts"
TEMPLATES = FOLDER / "templates"
FIGURE = re.compile(r"\{\{(.+?)\}\}")


@dataclass(frozen=True)
class Drift:
    """A place (``clinical.md:19``) where a committed text is not what its template and the tables give.

    `figure` is the figure's expression, empty if the line differs beyond its figures.
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
    """Return the text of a figure: an operation, then an optional format after a bar."""
    expression, bar, spec = text.rpartition(" | ")
    if not bar:
        expression, spec = text, ""
    try:
        operation = Operation.model_validate(yaml.load("{" + expression + "}", YamlLoader))
        return _shown(evaluate(operation, load), spec.strip())
    except (yaml.YAMLError, ValidationError, ValueError, TypeError) as error:
        raise SombError(f"Figure {text!r} cannot be computed: {error}") from error
    except SombError as error:
        raise SombError(f"Figure {text!r}: {error}") from error


def render(load: Loader, templates: Path = TEMPLATES) -> dict[str, str]:
    """Return the text of every context, its figures computed from the tables of `load`."""
    return {name: FIGURE.sub(lambda match: figure(match[1], load), template(name, templates)) for name in NAMES}


def between(prose: list[str], line: str) -> list[str] | None:
    """Return the texts between the pieces of prose in a line, or None if the prose itself differs."""
    if not (line.startswith(prose[0]) and line.endswith(prose[-1])):
        return None
    texts, at = [], len(prose[0])
    for piece in prose[1:-1]:
        end = line.find(piece, at)
        if end < 0:
            return None
        texts.append(line[at:end])
        at = end + len(piece)
    end = len(line) - len(prose[-1])
    return [*texts, line[at:end]] if len(prose) > 1 else ([] if line == prose[0] else None)


def _line_drifts(place: str, pattern: str, line: str, compute: Callable[[str], str]) -> list[Drift]:
    pieces = FIGURE.split(pattern)
    prose, figures = pieces[::2], pieces[1::2]
    computed = [compute(text) for text in figures]
    committed = between(prose, line)
    if committed is None:
        return [Drift(place, "", line, FIGURE.sub(lambda _: computed.pop(0), pattern))]
    return [Drift(place, f, old, new) for f, old, new in zip(figures, committed, computed, strict=True) if old != new]


def check(load: Loader, folder: Path = FOLDER, templates: Path = TEMPLATES) -> list[Drift]:
    """Return where the committed contexts differ from what their templates and the tables give."""
    drifts = []
    compute = cache(partial(figure, load=load))  # some figures stand in several contexts
    for name in NAMES:
        path = folder / f"{name}.md"
        committed = path.read_text(encoding="utf-8").split("\n") if path.is_file() else []
        expected = template(name, templates).split("\n")
        for number, (pattern, line) in enumerate(zip_longest(expected, committed, fillvalue=""), start=1):
            drifts += _line_drifts(f"{name}.md:{number}", pattern, line, compute)
    return drifts


def open_loader(data: str | None = None) -> Loader:
    """Return the loader of the real tables: folder `data`, else ``SOMB_DATA``, else the verified download cache.

    Simulated tables have other figures, so they are refused.
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


def write(load: Loader) -> None:
    """Render every context into the folder that models are given their contexts from."""
    for name, text in render(load, TEMPLATES).items():
        with replacing(FOLDER / f"{name}.md") as path:
            path.write_text(text, encoding="utf-8")
