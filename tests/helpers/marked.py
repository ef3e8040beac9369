"""Marked answers of models of known accuracy, as a log of items gives them."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from somb_utils.llm.run.marks import MARKS

KINDS = ("numeric", "sign", "choice", "undetermined")
ABOUT = {
    "set": "core", "condition": "recall", "epoch": 1, "modality": "clinical", "twin": "", "reason": "", "given": "x",
    "key": "y", "answer": "ANSWER: x", "input_tokens": 100, "output_tokens": 10, "cost": np.nan, "seconds": 1.0,
    "settings": "temperature 0", "digests": "items 12345678, prompt 12345678, tables 12345678", "tables": "open",
    "simulated": False, "completed_at": "2026-11-26T10:00:00+00:00", "source": "a.eval",
}  # fmt: skip


def marks(right: Mapping[str, str], **about: object) -> pd.DataFrame:
    """Return one row per model and item from a text per model, one letter an item.

    ``+`` right, ``-`` wrong, ``d`` declined, ``i`` invalid, ``l`` stopped at a limit, ``f`` failed.
    """
    statuses = {"d": "declined", "i": "invalid", "l": "limit", "f": "failed"}
    rows = []
    for model, letters in right.items():
        for number, letter in enumerate(letters):
            kind = KINDS[number % len(KINDS)]
            status = statuses.get(letter, "declined" if kind == "undetermined" and letter == "+" else "answered")
            rows.append(ABOUT | {
                "model": model, "item_id": f"CLIN-C{number:03d}", "kind": kind,
                "form": "numeric" if kind == "undetermined" else kind,
                "chance": {"sign": 0.5, "choice": 0.25}.get(kind, 0.0), "status": status, "correct": letter == "+",
                "constant": {"sign": "increase", "choice": "ABCD"[number // 4 % 4]}.get(kind, f"{number} samples"),
            } | about)  # fmt: skip
    return pd.DataFrame(rows, columns=MARKS)
