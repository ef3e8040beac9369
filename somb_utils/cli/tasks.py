"""``somb tasks`` and ``somb doctor``: what there is to run, and whether it can run here."""

import json
import os
import platform
from importlib import import_module
from importlib.metadata import distributions, metadata, requires, version
from typing import Annotated

import typer

from somb_utils.cli.console import print_frame
from somb_utils.cli.options import Format, Print
from somb_utils.errors import reason


def tasks(
    task: Annotated[str | None, typer.Argument(help="Task id [default: all tasks].")] = None,
    format: Print = Format.table,
) -> None:
    """Show the task catalogue, or one task in full.

    Examples: `somb tasks`, `somb tasks B1`, `somb tasks --format csv`
    """
    import pandas as pd

    from somb_utils.tasks.definitions import PROTOCOLS, get_task, select_tasks

    if task is None:
        rows = [
            {
                "task": t.id,
                "name": t.name,
                "modality": t.modality,
                "tier": t.tier + "*" * t.supplementary + "†" * t.extension,
                "type": t.type,
                "rows": t.n_rows,
                "features": t.n_features,
                "metric": t.metrics.primary,
                "split": t.split.upper(),
            }
            for t in (each.under(PROTOCOLS[0]) for each in select_tasks("*"))
        ]
        marks = "* supplementary: not in the composite; † extension: has a composite of its own, and runs if named"
        print_frame(pd.DataFrame(rows), format, title=f"{len(rows)} tasks ({marks})")
        return
    one = get_task(task)
    if format is Format.json:
        print(json.dumps(one.model_dump(), indent=2, ensure_ascii=False))
        return
    one = one.under(PROTOCOLS[0])
    facts = {
        "question": one.question,
        "modality": f"{one.modality} ({', '.join(one.missions)})",
        "tier": one.tier + (" (supplementary)" if one.supplementary else ""),
        "type": one.type,
        "rows × features": f"{one.n_rows:,} × {one.n_features:,}",
        "classes": ", ".join(f"{name} {count:,}" for name, count in one.class_counts.items()),
        "split": one.split.upper(),
        "primary metric": one.metrics.primary,
        "secondary metrics": ", ".join(one.metrics.secondary),
        "tables": ", ".join(one.tables),
        **{f"ablation {name}": " ".join(parts) for name, parts in one.ablations.items()},
        **{"note" + " " * n: note for n, note in enumerate(one.notes)},
    }
    frame = pd.DataFrame({"": list(facts), f"{one.id}": list(facts.values())})
    print_frame(frame, format, title=f"{one.id}: {one.name}")


def doctor() -> None:
    """Report what is installed, which data are in use, which tasks can run, and how to get what is missing.

    Example: `somb doctor`
    """
    from somb_utils._extras import missing_extra
    from somb_utils.paths import DATA, cache_dir
    from somb_utils.runs.cache import library_versions
    from somb_utils.runs.runner import unavailable
    from somb_utils.tables.sources import resolve_source
    from somb_utils.tasks.definitions import PROTOCOLS, select_tasks

    print(f"somb-utils {version('somb-utils')}, Python {platform.python_version()}, {os.cpu_count()} cores")
    print("libraries  " + ", ".join(f"{name} {it}{_load_problem(name)}" for name, it in library_versions().items()))
    for problem in _unmet(""):
        print(f"           {problem}; get it with: pip install '{problem.split()[0]}'")
    for extra in metadata("somb-utils").get_all("Provides-Extra") or ():
        if extra == "dev":
            continue
        problems = _unmet(extra)
        advice = missing_extra("this", extra, ImportError()).args[0].partition("; ")[2]
        print(f"extra {extra:10}" + ("; ".join([*problems, advice]) if problems else "ready"))
    print(f"definitions {DATA}")
    print(f"cache      {cache_dir()}")
    source = resolve_source("auto")
    print(f"data       {source.describe()}" + (" (SOMB_DATA)" if os.environ.get("SOMB_DATA") else ""))
    tasks = [task.under(PROTOCOLS[0]) for task in select_tasks()]
    lacking_tables = unavailable(tasks, source)
    print(f"tasks      {len(tasks) - len(lacking_tables)} of {len(tasks)} can run")
    for message in lacking_tables.values():
        print(f"           {message}")
    if source.kind == "simulated":
        print("           the real tables: somb data fetch, or SOMB_DATA=folder")


def _unmet(extra: str) -> list[str]:
    """Return a sentence for each requirement of the package, or of one of its extras, that is not met."""
    from packaging.requirements import Requirement

    problems = []
    for requirement in map(Requirement, requires("somb-utils") or ()):
        marker = requirement.marker
        if (marker is None) == bool(extra) or (marker is not None and not marker.evaluate({"extra": extra})):
            continue
        installed = next((package.version for package in distributions(name=requirement.name)), None)
        if installed is None or not requirement.specifier.contains(installed, prereleases=True):
            problems.append(f"{requirement.name}{requirement.specifier} is needed, {installed or 'none'} is installed")
    return problems


def _load_problem(name: str) -> str:
    """Return why an installed library cannot be loaded, and what helps; empty if it can."""
    try:
        import_module({"scikit-learn": "sklearn"}.get(name, name))
    except (ImportError, OSError) as error:
        return f" CANNOT BE LOADED ({reason(error)})"
    return ""
