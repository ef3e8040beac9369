"""What a run shows while it is under way: Inspect's display, or a line now and then where there is no terminal."""

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from somb_utils.llm.run import cost

Display = Literal["rich", "plain", "none"]


def display() -> Display:
    """Return the display for Inspect: its own on a terminal, else none."""
    return "rich" if sys.stderr.isatty() and sys.stdout.isatty() else "none"


def heartbeat_line(budget: cost.Budget) -> str:
    """Return how many calls were made and what they cost."""
    return f"{budget.calls} calls, {budget.spending()}"


@contextmanager
def heartbeat(every: float = 10.0) -> Iterator[None]:
    """Report the calls made so far every `every` seconds, and keep Inspect quiet meanwhile."""
    import rich

    over = threading.Event()

    def report() -> None:
        while not over.wait(every):
            print(heartbeat_line(cost.current()), file=sys.stderr, flush=True)

    threading.Thread(target=report, daemon=True).start()
    console, logger = rich.get_console(), logging.getLogger("inspect_ai")
    quiet, level = console.quiet, logger.level
    console.quiet = True
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        over.set()
        console.quiet = quiet
        logger.setLevel(level)
