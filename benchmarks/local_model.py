"""Measure the small packaged model on the core set, under recall and reading, and store the result.

    python benchmarks/local_model.py LOG_DIR

Needs the extra `local-llm`, the weights and the real tables. Answers that LOG_DIR has are not asked for again.
"""

import argparse
import json
import os
from functools import partial
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from somb_utils.llm.report import accuracy, core
from somb_utils.llm.report.stored import FOLDER, levels
from somb_utils.llm.run import local
from somb_utils.llm.run.item_runs import run_items
from somb_utils.llm.run.items import select
from somb_utils.llm.run.marked_logs import load_marks
from somb_utils.llm.run.models import Settings
from somb_utils.paths import replacing

SETTINGS = Settings(temperature=0.0, max_tokens=200, max_connections=1, attempt_timeout=3600)
# Of each answer; neither keys nor what replies said, which would give keys away.
ANSWERS = ["set", "condition", "item_id", "kind", "modality", "chance", "status", "correct", "output_tokens"]


def store(marks: pd.DataFrame, served: local.Served, folder: Path) -> list[Path]:
    """Store marked answers (CSV), and what they rest on with the levels (JSON)."""
    weights = {"file": served.weights.name, "sha256": served.sha256, "package": f"{local.PACKAGE} {local.VERSION}"}
    about = {
        "model": local.NAME,
        "weights": weights,
        "server": {"xllamacpp": version("xllamacpp"), "window": local.WINDOW, "seed": local.SEED},
        "settings": sorted(set(marks["settings"])),
        "tables": sorted(set(marks["tables"])),
        "dates": sorted({moment[:10] for moment in marks["completed_at"] if moment}),
        "digests": {core.named(cell): sorted(set(part["digests"])) for cell, part in accuracy.cells(marks)},
        "levels": json.loads(levels(marks).to_json(orient="records", double_precision=6)),
    }
    answers = marks[ANSWERS].sort_values(["set", "condition", "item_id"], ascending=[True, False, True])
    files = {
        "json": partial(Path.write_text, data=json.dumps(about, indent=1) + "\n", encoding="utf-8"),
        "csv": partial(answers.to_csv, index=False),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for suffix, write in files.items():
        with replacing(folder / f"{local.NAME}.{suffix}") as temporary:
            write(temporary)
    return [folder / f"{local.NAME}.{suffix}" for suffix in files]


def measure(
    log_dir: Path, sample: int | None = None, conditions: tuple[str, ...] = ("recall", "reading")
) -> local.Served:
    """Serve the model and put items to it, into logs; return what was served."""
    with local.serving() as served:
        os.environ |= {"LOCAL_BASE_URL": served.address, "LOCAL_API_KEY": "none"}
        for condition in conditions:
            outcome = run_items([local.MODEL], select("core", condition, sample=sample), log_dir, SETTINGS)
            print(f"{condition}: {outcome.done} answers, {outcome.failed.total()} failed")
    return served


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log_dir", type=Path)
    folder = parser.parse_args().log_dir
    what = measure(folder)
    marks = load_marks([folder])
    if set(marks["tables"]) != {"open"}:
        raise SystemExit("The keys are not of the published tables: nothing is stored")
    for path in store(marks, what, FOLDER):
        print(path)
