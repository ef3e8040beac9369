"""What the audit's notebook shows, and says where it needs real tables."""

from collections.abc import Callable
from typing import Any

from somb_utils.errors import SombError
from somb_utils.notebook import Session

NEEDS_REAL = "This needs the real tables: simulated ones are laid out alike, but hold none of these facts."


def on_real(session: Session, compute: Callable[..., Any], *names: str) -> Any:
    """Return what `compute` makes of tasks and tables, or a sentence where they are simulated or missing.

    Parameters
    ----------
    session : the notebook's
    compute : takes what `names` stand for
    names : ids of tasks, names of tables
    """
    if session.simulated:
        return NEEDS_REAL
    try:
        return compute(*[session.task(name) if name in session.tasks else session.table(name) for name in names])
    except SombError as error:
        return str(error)
