"""Text that others wrote, harmless where it is shown: in a page, a terminal, a spreadsheet, a message."""

import json
from collections.abc import Sequence
from typing import Any

import pandas as pd

_LONGEST = 1000  # characters of a line of a message


def embedded_json(data: Any) -> str:
    """Return JSON that can neither end the script element it stands in nor open another one."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for mark in "<>&\u2028\u2029":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return text


def listed(lines: Sequence[str], most: int = 100) -> str:
    """Return lines of a message, one below the other: at most `most`, each of bounded length."""
    shown = [line[:_LONGEST] for text in lines[:most] for line in text.splitlines()[: most + 1]]
    return "\n".join([*shown, *([f"and {len(lines) - most:,} more"] if len(lines) > most else [])])


def spreadsheet(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose texts a spreadsheet takes for text: an apostrophe before what it would calculate."""

    def literal(value: Any) -> Any:
        return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value

    texts = [name for name in frame if not pd.api.types.is_numeric_dtype(frame[name])]
    safe = frame.assign(**{str(name): frame[name].map(literal) for name in texts})
    return safe.rename(columns=literal)
