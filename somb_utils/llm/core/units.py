"""Units of numeric answers: how they are written, and which are turned into which."""

import re

# A unit's quantity and its size in that quantity's first unit. Only units of one quantity are converted.
UNITS: dict[str, tuple[str, float]] = {
    "%": ("share", 1.0),
    "percentage points": ("difference of shares", 1.0),
    "times": ("ratio", 1.0),
    "log2 units": ("log2", 1.0),
    "log10 units": ("log10", 1.0),
    "standard deviations": ("score", 1.0),
    "score": ("enrichment score", 1.0),
    "correlation": ("coefficient", 1.0),
    "p-value": ("probability", 1.0),
    "AUROC": ("AUROC", 1.0),
    "pg/mL": ("concentration", 1.0),
    "ng/mL": ("concentration", 1e3),
    "µg/mL": ("concentration", 1e6),
    "mg/mL": ("concentration", 1e9),
    "mg/dL": ("concentration", 1e7),
    "g/dL": ("concentration", 1e10),
    "g/L": ("concentration", 1e9),
    "mmol/L": ("amount concentration", 1.0),
    "µmol/L": ("amount concentration", 1e-3),
    "U/L": ("activity", 1.0),
    "cells per µL": ("cell count", 1.0),
    "thousand per µL": ("cell count", 1e3),
    "million per µL": ("cell count", 1e6),
    "fL": ("volume", 1.0),
    "pg": ("mass", 1.0),
    "copies per million": ("abundance", 1.0),
    "daltons": ("molecular mass", 1.0),
    "days": ("time", 1.0),
    "weeks": ("time", 7.0),
    "arbitrary units": ("arbitrary", 1.0),
}
# Other ways to write them, compared without case and spaces.
_WRITTEN = {
    "percent": "%", "percentagepoint": "percentage points", "pp": "percentage points", "%points": "percentage points",
    "x": "times", "×": "times", "fold": "times", "-fold": "times", "time": "times", "log2": "log2 units",
    "log2fc": "log2 units", "log10": "log10 units", "sd": "standard deviations", "r": "correlation",
    "ug/ml": "µg/mL", "meq/l": "mmol/L", "mm": "mmol/L", "iu/l": "U/L", "/µl": "cells per µL",
    "cells/µl": "cells per µL", "perµl": "cells per µL", "thousand/µl": "thousand per µL", "k/µl": "thousand per µL",
    "10^3/µl": "thousand per µL", "x10^3/µl": "thousand per µL", "×10^3/µl": "thousand per µL",
    "×10^9/l": "thousand per µL", "x10^9/l": "thousand per µL", "10^9/l": "thousand per µL",
    "million/µl": "million per µL", "m/µl": "million per µL", "10^6/µl": "million per µL",
    "×10^6/µl": "million per µL", "x10^6/µl": "million per µL", "10^12/l": "million per µL",
    "cpm": "copies per million", "day": "days", "week": "weeks", "au": "arbitrary units",
}  # fmt: skip


def _plain(text: str) -> str:
    """Return a written unit without case, spaces and variants of its letters."""
    text = re.sub(r"\s+", "", text).lower().replace("μ", "µ").replace("₂", "2").replace("₁₀", "10")
    return text.replace("ul", "µl").replace("³", "^3").replace("⁶", "^6").replace("⁹", "^9").rstrip(".")


_NAMES = {_plain(unit): unit for unit in UNITS} | _WRITTEN


def factor(written: str, unit: str) -> float | None:
    """Return by what a number in the unit as written is multiplied to be in `unit`; None if it is no such unit.

    No unit is taken as `unit`. A count, whose unit is what is counted, may be followed by any words.
    """
    name = _NAMES.get(_plain(written))
    if not written.strip() or name == unit or _plain(written) == _plain(unit):
        return 1.0
    if unit not in UNITS:
        return 1.0 if name is None and re.fullmatch(r"[^\W\d_][^\d%/]*", written.strip()) else None
    if name is None or UNITS[name][0] != UNITS[unit][0]:
        return None
    return UNITS[name][1] / UNITS[unit][1]
