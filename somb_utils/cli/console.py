"""Printing for people and for pipes: tables, progress, formats."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from somb_utils.escape import spreadsheet


def print_frame(frame: pd.DataFrame, format: str, title: str = "") -> None:
    """Print a data frame to standard output as a table, JSON records, CSV or Markdown."""
    if format == "json":
        print(frame.to_json(orient="records", indent=2, force_ascii=False))
    elif format == "csv":
        spreadsheet(frame).to_csv(sys.stdout, index=False)
    elif format == "markdown":
        print(markdown(frame))
    else:
        console = Console()
        if not console.is_terminal:
            console = Console(width=max(console.width, 160))
        table = Table(title=title, title_style="bold")
        for column in frame:
            numeric = pd.api.types.is_numeric_dtype(frame[column])
            table.add_column(str(column), justify="right" if numeric else "left")
        for row in frame.itertuples(index=False):
            table.add_row(*(value if isinstance(value, Text) else str(value) for value in row))
        console.print(table)


def markdown(frame: pd.DataFrame) -> str:
    """Return a data frame as a GitHub Markdown table."""
    lines = [list(map(str, frame.columns)), ["---"] * frame.shape[1]]
    lines += [[str(value).replace("|", "\\|") for value in row] for row in frame.itertuples(index=False)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


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
        TextColumn("{task.description:<26}"),
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
