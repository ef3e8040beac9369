"""``somb power`` and ``somb coverage``: the simulation studies behind the power page."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from somb_utils.cli.console import fit_progress, print_frame
from somb_utils.cli.options import Format, Jobs, Print

if TYPE_CHECKING:
    from types import ModuleType

Missions = Annotated[int | None, typer.Option(min=2, help="At most this many missions per setting, for a quick look.")]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="CSV; resumed if it exists [default: the project's].")]


def power(jobs: Jobs = 1, missions: Missions = None, out: Out = None, format: Print = Format.table) -> None:
    """Simulate missions of known effect and count how often a score is significantly above chance.

    Each setting (crew, days, features, effect) is stored when it is done; the same command resumes.

    Examples: `somb power`, `somb power --missions 10 --out quick.csv`
    """
    from somb_utils.studies import power as module

    _measure(module, module.power, jobs, missions, out, format)


def coverage(jobs: Jobs = 1, missions: Missions = None, out: Out = None, format: Print = Format.table) -> None:
    """Simulate predictions of known expected score and count how often the 95 % interval covers it.

    Each setting (task, crew or rows, population) is stored when it is done; the same command resumes.

    Examples: `somb coverage`, `somb coverage --missions 50 --out quick.csv`
    """
    from somb_utils.studies import coverage as module

    _measure(module, module.coverage, jobs, missions, out, format)


def _measure(
    module: "ModuleType", study: Any, jobs: int, missions: int | None, out: Path | None, format: Format
) -> None:
    settings = module.plan()
    if missions is not None:
        settings = list(dict.fromkeys(replace(each, missions=min(missions, each.missions)) for each in settings))
    with fit_progress("settings") as bar:
        table = study(settings, out or module.FILE, jobs, on_start=bar.start, on_done=bar.advance)
    print_frame(table.drop(columns="made_with") if format is Format.table else table, format)
