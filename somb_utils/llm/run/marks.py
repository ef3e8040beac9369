"""Logs of items that code marked, read as one tidy table."""

import pandas as pd

MARKS = [
    "model", "set", "condition", "item_id", "epoch", "kind", "form", "modality", "twin", "chance", "constant",
    "status", "reason", "correct", "given", "key", "answer", "input_tokens", "output_tokens", "cost", "seconds",
    "settings", "digests", "tables", "simulated", "completed_at", "source",
]  # fmt: skip
COUNTED = ("answered", "declined", "invalid", "limit")  # the statuses of answers that means are over
KINDS_OF_DATA = {"open": "the published tables", "simulated": "SIMULATED tables", "custom": "a user's own tables"}


def differing_versions(marks: pd.DataFrame) -> list[str]:
    """Return what logs of one set and condition differ in: items, contexts, prompts or tables."""
    found = []
    for (name, condition), part in marks.groupby(["set", "condition"], sort=False):
        digests = part.drop_duplicates("digests").set_index("digests")["source"]
        if len(digests) > 1:
            found.append(
                f"{name} ({condition}): " + "; ".join(f"{d or 'not recorded'} ({s})" for d, s in digests.items())
            )
    return found
