"""The figures that the audit's pages state: computed from the real tables, stored as text."""

import json
import re

from somb_utils.errors import SombError, UsageError
from somb_utils.paths import DATA

STORED = DATA / "reference" / "audit_figures.json"


def stored() -> dict[str, int | float]:
    """Return the stored figures by name."""
    if not STORED.is_file():
        raise SombError(f"{STORED} is missing; make it with: somb audit figures --store")
    return json.loads(STORED.read_text(encoding="utf-8"))


def fill(text: str) -> str:
    """Return a page's text with each ``<!-- somb:figure NAME FORMAT -->`` replaced by the stored figure."""
    return re.sub(r"<!-- somb:figure (\w+) (\S+) -->", _figure, text)


def _figure(marker: re.Match[str]) -> str:
    name, form = marker.groups()
    known = stored()
    if name not in known:
        raise UsageError(f"the audit has no figure '{name}'; there are {', '.join(known)}")
    return format(known[name], form)
