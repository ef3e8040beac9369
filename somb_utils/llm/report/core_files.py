"""The report of marked items as files: Markdown, one page that needs no other host, CSV and Parquet."""

from pathlib import Path

import pandas as pd

from somb_utils.llm.report import core, core_figures
from somb_utils.llm.report.figures import mark_simulated
from somb_utils.llm.report.files import cell, markdown_table
from somb_utils.llm.report.folder import ReportFolder
from somb_utils.llm.report.html import page
from somb_utils.llm.report.summary import Summary

TITLE = "SpaceOmicsBench: language models on items that code marks"


def markdown(summary: Summary, marks: pd.DataFrame) -> str:
    """Return the report as Markdown."""
    parts = [f"# {TITLE}", "\n".join(f"- {cell(line)}" for line in core.lead(summary, marks)), core.METHOD]
    parts += [f"## {title}\n\n{markdown_table(frame)}" for _, title, frame in core.sections(summary)]
    return "\n\n".join(parts) + "\n"


def html(summary: Summary, marks: pd.DataFrame) -> str:
    """Return the report as one page."""
    drawn = {"core_accuracy": (core.TITLES["accuracy"], core_figures.accuracies(summary.tables["accuracy"]))}
    costs = summary.tables["costs"]
    real = costs[~costs["model"].str.endswith(core.MARKED)]
    if (figure := core_figures.pareto(real if len(real) else costs)) is not None:
        drawn["core_costs"] = (core.TITLES["costs"], figure)
    if marks["simulated"].any():
        for _, figure in drawn.values():
            mark_simulated(figure)
    return page(TITLE, core.lead(summary, marks), core.METHOD, drawn, sections=list(core.sections(summary)))


def write_core_report(
    marks: pd.DataFrame, out: Path, compare: bool = False, n_bootstrap: int = 2000, seed: int = 42
) -> list[Path]:
    """Write the report of marked items into a folder: Markdown, an interactive page, and the tables.

    Parameters
    ----------
    marks
        As `load_marks` gives them.
    out
        Folder that is new, empty, or of an earlier report, whose files are replaced.
    compare, n_bootstrap, seed
        As for `summarise_marks`.

    Returns
    -------
    list of Path
        The files, ``core.md`` and ``core.html`` first.

    Raises
    ------
    UsageError
        If the folder has files in it that no report wrote.
    SombError
        If a file cannot be written.
    """
    marks = core.with_stand_ins(marks)
    summary = core.summarise_marks(marks, compare, n_bootstrap, seed)
    pages = {"core.md": markdown(summary, marks), "core.html": html(summary, marks)}
    tables = {f"tables/core_{name}.csv": table for name, table in summary.tables.items() if len(table)}
    folder = ReportFolder(out, [*pages, "marks.csv", "marks.parquet", *tables])
    folder.write_all(pages, {"marks": marks}, tables)
    folder.remove({f"tables/core_{name}.csv" for name in core.TITLES} - tables.keys())
    return folder.written
