"""Untrusted text, made harmless where it is shown: in a page, a spreadsheet, a message."""

import json
from collections.abc import Sequence
from typing import Any

import pandas as pd


def embedded_json(data: Any) -> str:
    """Return JSON that can neither end the script element around it nor open another one."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for mark in "<>&\u2028\u2029":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return text


def listed(lines: Sequence[str], most: int = 100) -> str:
    """Return the lines of a message, at most `most` and each of bounded length, as one text."""
    shown = [line[:1000] for text in lines[:most] for line in text.splitlines()[: most + 1]]
    return "\n".join([*shown, *([f"and {len(lines) - most:,} more"] if len(lines) > most else [])])


def spreadsheet(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table in which an apostrophe precedes every text that a spreadsheet would take for a formula."""

    def literal(value: Any) -> Any:
        return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value

    return frame.map(literal).rename(columns=literal)
