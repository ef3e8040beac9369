"""The stored result of the first model that was measured on the core set (`benchmarks/local_model.py` writes it)."""

import json
from typing import Any

import pandas as pd

from somb_utils.llm.report import accuracy, core
from somb_utils.llm.report.files import markdown_table
from somb_utils.llm.run import local
from somb_utils.paths import DATA

FOLDER = DATA / "llm" / "local"
COUNTS = ["declined", "invalid", "failed"]


def levels(marks: pd.DataFrame) -> pd.DataFrame:
    """Return accuracy by condition, over all items and by kind, with the counts of how answers ended."""
    every = accuracy.levels(marks.assign(kind="all"), [*accuracy.CELL, "kind"])
    table = pd.concat([every, accuracy.levels(marks, [*accuracy.CELL, "kind"])], ignore_index=True)
    both = pd.concat([marks.assign(kind="all"), marks])
    counts = both.groupby([*accuracy.CELL, "kind"])["status"].value_counts().unstack(fill_value=0)
    counts = counts.reindex(columns=COUNTS, fill_value=0).reset_index()
    return table.merge(counts, on=[*accuracy.CELL, "kind"]).drop(columns="model")


def stored() -> tuple[dict[str, Any], pd.DataFrame]:
    """Return what the stored result rests on, with its levels, and its answers."""
    about, answers = (FOLDER / f"{local.NAME}.{suffix}" for suffix in ("json", "csv"))
    return json.loads(about.read_text(encoding="utf-8")), pd.read_csv(answers)


def show_stored() -> None:
    """Show the stored result: what was measured, and accuracy by condition and kind with chance level."""
    from IPython.display import Markdown, display

    from somb_utils.llm.core import items_digest, load_items

    about, answers = stored()
    current = f"items {items_digest(load_items('core'))}"
    known = all(current in text for texts in about["digests"].values() for text in texts)
    sentences = [
        f"Measured on {' and '.join(about['dates'])}: {about['model']} (sha256 of the weights "
        f"{about['weights']['sha256'][:12]}…), {answers['item_id'].nunique()} items, {'; '.join(about['settings'])}. "
        "No judge: code marks the answers.",
        "" if known else "The items have changed since.",
    ]
    table = core.displayed(pd.DataFrame(about["levels"]).drop(columns="set"))
    display(Markdown(f"{' '.join(filter(None, sentences))}\n\n{markdown_table(table)}"))
