"""Definitions in files of the user: JSON with comments."""

import re
from pathlib import Path

from somb_utils.errors import SombError
from somb_utils.paths import read_file

_MOST_BYTES = 10_000_000


def is_file(word: str) -> bool:
    """Return whether a task is named by the path of its definition."""
    return word.lower().endswith(".json")


def text_of(file: str) -> str:
    """Return the text of a file."""
    try:
        return read_file(Path(file), _MOST_BYTES).decode("utf-8-sig")
    except (SombError, UnicodeDecodeError) as error:
        raise SombError(f"{file}: {error}") from None


def without_comments(text: str) -> str:
    """Return JSON without the lines that begin with ``//``, which are left blank, so that positions stay."""
    return re.sub(r"^[ \t]*//.*", "", text, flags=re.MULTILINE)
