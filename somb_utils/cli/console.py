"""Printing for people and for pipes: tables, progress, formats, and streams that cannot show every character."""

import codecs
import io
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from somb_utils.errors import printable

if TYPE_CHECKING:
    import pandas as pd

WRAPPED = 24  # columns of text wider than this may be broken into lines, at spaces
_ASCII = {"±": "+/-", "×": "x", "–": "-", "—": "-", "−": "-", "…": "...", "‘": "'", "’": "'", "“": '"', "”": '"'}


def _plainer(error: UnicodeError) -> tuple[str, int]:
    """Stand in for characters that a stream's encoding lacks, as a codec's error handler."""
    assert isinstance(error, UnicodeEncodeError)
    lacking = error.object[error.start : error.end]
    return "".join(_ASCII.get(character, "?") for character in lacking), error.end


codecs.register_error("somb-plainer", _plainer)


def write_anything() -> None:
    """Let standard output and error stand in for the characters that their encoding lacks."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="somb-plainer")


def print_frame(frame: "pd.DataFrame", format: str, title: str = "") -> None:
    """Print a data frame to standard output as a table, JSON records, CSV or Markdown.

    Nothing is cut from a table that is wider than the terminal: it is printed as several, each of which begins with
    the columns that name the row.
    """
    if format == "json":
        print(frame.to_json(orient="records", indent=2, force_ascii=False))
    elif format == "csv":
        from somb_utils._escape import spreadsheet

        spreadsheet(frame).to_csv(sys.stdout, index=False)
    elif format == "markdown":
        from somb_utils.labels import markdown

        print(markdown(frame))
    else:
        _print_tables(frame, title)


def _print_tables(frame: "pd.DataFrame", title: str) -> None:
    console = Console()
    if not console.is_terminal:
        console = Console(width=max(console.width, 160))

    def text(value: object) -> Text:
        safe = "\n".join(printable(line, most=None) for line in str(value).split("\n"))
        return Text(safe.encode(console.encoding, "somb-plainer").decode(console.encoding), overflow="fold")

    columns = [[text(value) for value in (name, *frame[name])] for name in frame]
    numeric = [dtype.kind in "iuf" for dtype in frame.dtypes]
    natural = [max(_width(cell) for cell in column) for column in columns]
    needed = [min(width, WRAPPED) + 3 for width in natural]
    heading: Text | None = text(title) if title else None
    for part in _parts(_keys(frame), needed, console.width - 1):
        table = Table(title=heading, title_style="bold")
        heading = Text("(continued)") if title else None
        for i in part:
            # Rich narrows the columns that may wrap, and no other.
            table.add_column(
                columns[i][0],
                justify="right" if numeric[i] else "left",
                overflow="fold",
                no_wrap=natural[i] <= WRAPPED < console.width // 2,
            )
        for row in zip(*(columns[i][1:] for i in part), strict=True):
            table.add_row(*row)
        console.print(table)


def _width(cell: Text) -> int:
    """Return how many columns of a terminal the longest line of a text takes."""
    return max(line.cell_len for line in cell.split(allow_blank=True))


def _keys(frame: "pd.DataFrame") -> int:
    """Return how many columns, from the first, name a row."""
    names = frame.astype(str)
    return next((n for n in range(1, min(frame.shape[1], 4)) if not names.iloc[:, :n].duplicated().any()), 1)


def _parts(keys: int, needed: Sequence[int], width: int) -> Iterator[list[int]]:
    """Yield the columns of each table: those that name the row, then as many others as the width holds."""
    part = list(range(keys))
    for i in range(keys, len(needed)):
        if len(part) > keys and sum(needed[j] for j in (*part, i)) > width:
            yield part
            part = list(range(keys))
        part.append(i)
    yield part


class FitProgress:
    """A progress bar over fold jobs; its time left goes by expected cost, not by count."""

    def __init__(self, bar: Progress) -> None:
        self.bar = bar
        self.task = bar.add_task("loading", total=None, left="")
        self.cost = self.spent = 0.0
        self.jobs = self.done = 0

    def start(self, jobs: int, cost: float) -> None:
        """Set how much there is to do."""
        self.jobs, self.cost = jobs, cost
        self.bar.reset(self.task, total=jobs, description="fitting" if jobs else "nothing new to fit", left="")

    def advance(self, cost: float, label: str) -> None:
        """Count one finished job."""
        self.spent += cost
        self.done += 1
        elapsed = self.bar.tasks[0].elapsed or 0.0
        left = int(elapsed * (self.cost - self.spent) / self.spent) if self.spent else 0
        self.bar.update(self.task, completed=self.done, description=label, left=f"{left // 60}:{left % 60:02d} left")


@contextmanager
def fit_progress(what: str = "fold jobs") -> Iterator[FitProgress]:
    """Show a progress bar on standard error while jobs run; a pipe gets one line, with their name, when they end."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description:<26}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        progress = FitProgress(bar)
        yield progress
    if progress.jobs:
        print(f"{progress.done} {what} done", file=sys.stderr)
