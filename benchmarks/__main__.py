"""Run all benchmarks and write the book's page of them.

    python benchmarks [--tasks A1,C2] [--data FOLDER] [--out book/benchmarks.md]

Leave the machine alone meanwhile: ratios of times taken one after the other are only as good as it is quiet.
"""

import argparse
import os
import platform
from importlib.metadata import version
from pathlib import Path

import board
import bootstrap
import growing
import speed

from somb_utils.paths import replacing
from somb_utils.runs.code import LIBRARIES
from somb_utils.runs.runner import load_tasks
from somb_utils.tables.sources import resolve_source
from somb_utils.tasks.definitions import select_tasks, task_tables

PAGE = Path(__file__).parent.parent / "book" / "benchmarks.md"


def main() -> None:
    """Measure, print and write the page."""
    parser = argparse.ArgumentParser(prog="python benchmarks", description=__doc__)
    parser.add_argument("--tasks", help="ids or wildcards; all that have tables: omit")
    parser.add_argument("--data", default="auto", help="as for somb run")
    parser.add_argument("--out", type=Path, default=PAGE)
    options = parser.parse_args()
    source = resolve_source(options.data, task_tables(select_tasks(options.tasks)))
    tasks = [data.task.id for data in load_tasks(options.tasks, "published", source)]
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    page = f"""# Benchmarks

Written by `python benchmarks` on {platform.platform()} with {os.cpu_count()} cores, Python {platform.python_version()},
{libraries}. Data: {source.describe().split(" in ")[0]}. The ratios of a section come from one call, on one machine.

{speed.section(tasks, source)}
{growing.section()}
{board.section()}
{bootstrap.section()}"""
    with replacing(options.out) as temporary:
        temporary.write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
