"""Names of models in results: one with parameters has a name of its own, beside the plain one."""

import re
from collections.abc import Mapping
from typing import Any

from somb_utils.errors import UsageError, reason


def name_with(base: str, params: Mapping[str, Any]) -> str:
    """Return the name of a model with parameters: their text, or their number and hash if over 60 characters.

    >>> name_with("rf", {"n_estimators": 300, "criterion": "entropy"})
    "rf(n_estimators=300, criterion='entropy')"
    """
    if not params:
        return base
    texts = [f"{key}={getattr(value, '__qualname__', None) or repr(value)}" for key, value in params.items()]
    name = " ".join(f"{base}({', '.join(texts)})".split())
    # NumPy shortens the text of a long array, and an address in memory is another one in the next process.
    if len(name) <= 60 and "..." not in name and " at 0x" not in name:
        return name
    import joblib

    count = f"{len(params)} parameter{'s' if len(params) > 1 else ''}"
    try:
        return f"{base}({count}, {joblib.hash(dict(params))[:8]})"
    except Exception as error:  # of a pickle
        raise UsageError(f"model '{base}': {reason(error)}; give it a name with a mapping") from None


def split_names(text: str | None) -> list[str]:
    """Return the names in a list separated by commas; a comma in parentheses belongs to a name.

    >>> split_names("logreg, rf(n_estimators=300, max_depth=3)")
    ['logreg', 'rf(n_estimators=300, max_depth=3)']
    """
    parts = re.split(r",(?![^()]*\))", text or "")
    return [part.strip() for part in parts if part.strip()]
