"""What the audit notebook shows, and the note it shows where it needs real tables."""

from collections.abc import Callable
from typing import Any

from somb_utils.errors import SombError
from somb_utils.notebook import Session
from somb_utils.notebook.session import named

NEEDS_REAL = "This needs the real tables: simulated ones have the same layout, but none of these facts."
NOT_AVAILABLE = "not available: no task of this run has these tables"


def on_real(session: Session, compute: Callable[..., Any], *names: str) -> Any:
    """Return `compute` of the tasks and tables named, or a note where they are simulated or missing."""
    if session.simulated:
        return NEEDS_REAL
    try:
        return compute(*[named(session, name) for name in names])
    except SombError as error:
        return str(error)
