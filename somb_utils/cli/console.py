"""Printing for people and for pipes: tables, progress, formats, and streams that cannot show every character."""

import codecs
import io
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from somb_utils.errors import printable

if TYPE_CHECKING:
    import pandas as pd

    from somb_utils.runs.results import RunResult

WRAPPED = 24  # columns of text wider than this may be broken into lines, at spaces
_ASCII = {"±": "+/-", "×": "x", "–": "-", "—": "-", "−": "-", "…": "...", "‘": "'", "’": "'", "“": '"', "”": '"'}


def _plainer(error: Any) -> tuple[str, int]:
    """Replace characters that a stream's encoding lacks, as a codec's error handler."""
    return "".join(_ASCII.get(character, "?") for character in error.object[error.start : error.end]), error.end


codecs.register_error("somb-plainer", _plainer)


def write_anything() -> None:
    """Have standard output and error replace the characters that their encoding lacks."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="somb-plainer")


def data_mark(result: "RunResult") -> str:
    """Return which tables the scores of a run are of."""
    marks = {"simulated": "SIMULATED tables: scores say nothing about real biology", "custom": "your own tables"}
    own = ", ".join(dict.fromkeys(name.partition("/")[0] for name in result.own_tasks))
    return marks.get(result.provenance["source"], "open tables") + (f"; your own task: {own}" if own else "")


def fixed(frame: "pd.DataFrame", *columns: str) -> "pd.DataFrame":
    """Return a data frame whose named columns are text with four decimals."""
    return frame.assign(**{column: frame[column].map("{:.4f}".format) for column in columns})


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
    """Yield the columns of each table: those that name the row, then as many others as fit the width."""
    part = list(range(keys))
    for i in range(keys, len(needed)):
        if len(part) > keys and sum(needed[j] for j in (*part, i)) > width:
            yield part
            part = list(range(keys))
        part.append(i)
    yield part


class FitProgress:
    """A progress bar over fold jobs; the time left follows from their expected cost, not from their number."""

    def __init__(self, bar: Progress) -> None:
        self.bar = bar
        self.task = bar.add_task("loading", total=None, jobs=0, done=0)
        self.jobs = self.done = 0

    def start(self, jobs: int, cost: float) -> None:
        """Set how much there is to do."""
        self.jobs = jobs
        self.bar.reset(self.task, total=cost, description="fitting" if jobs else "nothing new to fit", jobs=jobs)

    def advance(self, cost: float, label: str) -> None:
        """Count one finished job."""
        self.done += 1
        self.bar.update(self.task, advance=cost, description=label, done=self.done)


@contextmanager
def fit_progress(what: str = "fold jobs") -> Iterator[FitProgress]:
    """Show a progress bar on standard error while jobs run; a pipe gets one line, with their name, when they end."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description:<26}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[done]}/{task.fields[jobs]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    disable = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=disable, speed_estimate_period=3600) as bar:
        progress = FitProgress(bar)
        yield progress
    if progress.jobs:
        print(f"{progress.done} {what} done", file=sys.stderr)
