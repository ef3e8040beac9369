"""The report as files: Markdown, one interactive HTML page that needs no other host, CSV and Parquet."""

from functools import partial
from pathlib import Path

import pandas as pd

from somb_utils._escape import spreadsheet
from somb_utils.llm.report.folder import ReportFolder
from somb_utils.llm.report.html import html
from somb_utils.llm.report.summary import Summary, summarise
from somb_utils.llm.report.text import TITLES, lead, method, sections
from somb_utils.llm.run.evaluation import Evaluation


def _cell(text: str) -> str:
    """Return text that neither breaks a Markdown table nor is interpreted as markup."""
    text = " ".join(str(text).split())
    for mark, safe in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("|", "&#124;"), ("`", "&#96;")):
        text = text.replace(mark, safe)
    return text.replace("[", "\\[").replace("*", "\\*").replace("_", "\\_")


def markdown_table(frame: pd.DataFrame) -> str:
    """Return a frame of texts as a Markdown table."""
    lines = ["| " + " | ".join(_cell(str(c).replace("_", " ")) for c in frame.columns) + " |"]
    lines.append("|" + " --- |" * len(frame.columns))
    lines += ["| " + " | ".join(_cell(v) for v in row) + " |" for row in frame.itertuples(index=False)]
    return "\n".join(lines)


def markdown(summary: Summary, evaluation: Evaluation) -> str:
    """Return the report as Markdown."""
    parts = ["# SpaceOmicsBench: language models", "\n".join(f"- {_cell(x)}" for x in lead(summary, evaluation))]
    parts.append(method())
    for _, title, frame in sections(summary):
        parts.append(f"## {title}\n\n{markdown_table(frame)}")
    return "\n\n".join(parts) + "\n"


TABLES = [f"{name}.{suffix}" for name in ("answers", "judgements") for suffix in ("csv", "parquet")]


def _write_evaluation(evaluation: Evaluation, folder: ReportFolder) -> None:
    for name, frame in (("answers", evaluation.answers), ("judgements", evaluation.judgements)):
        folder.write(f"{name}.csv", partial(spreadsheet(frame).to_csv, index=False))
        folder.write(f"{name}.parquet", partial(frame.to_parquet, index=False))


def write_tables(evaluation: Evaluation, out: Path) -> list[Path]:
    """Write answers and judgements as CSV and Parquet into a report's folder; return the files."""
    folder = ReportFolder(out, TABLES)
    _write_evaluation(evaluation, folder)
    return folder.written


def write_report(
    evaluation: Evaluation, out: Path, compare: bool = False, n_bootstrap: int = 2000, seed: int = 42
) -> list[Path]:
    """Write the whole report into a folder: Markdown, an interactive page, and the tables.

    Parameters
    ----------
    evaluation
        Answers and judgements, as `load` gives them.
    out
        Folder that is new, empty, or of an earlier report, whose files are replaced.
    compare
        Whether to compare every pair of models.
    n_bootstrap
        Resamples of the questions, for the 95 % intervals.
    seed
        Seed of the bootstrap.

    Returns
    -------
    list of Path
        The files, ``report.md`` and ``report.html`` first.

    Raises
    ------
    UsageError
        If the folder has files in it that no report wrote.
    SombError
        If a file cannot be written.
    """
    summary = summarise(evaluation, compare, n_bootstrap, seed)
    pages = {"report.md": markdown(summary, evaluation), "report.html": html(summary, evaluation)}
    tables = {f"tables/{name}.csv": table for name, table in summary.tables.items()}
    folder = ReportFolder(out, [*pages, *TABLES, *tables])
    for name, text in pages.items():
        folder.write(name, partial(Path.write_text, data=text, encoding="utf-8"))
    _write_evaluation(evaluation, folder)
    for name, table in tables.items():
        folder.write(name, partial(spreadsheet(table).to_csv, index=False))
    folder.remove({f"tables/{name}.csv" for name in (*TITLES, "criteria")} - tables.keys())
    return folder.written
