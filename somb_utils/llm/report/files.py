"""The report as files: Markdown, one interactive HTML page that needs no other host, CSV and Parquet."""

from pathlib import Path

import pandas as pd

from somb_utils.llm.report.folder import ReportFolder
from somb_utils.llm.report.html import html
from somb_utils.llm.report.summary import Summary, summarise
from somb_utils.llm.report.text import TITLES, lead, method, sections
from somb_utils.llm.run.evaluation import Evaluation


def cell(text: str) -> str:
    """Return text that neither breaks a Markdown table nor is interpreted as markup."""
    text = " ".join(str(text).split())
    for mark, safe in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("|", "&#124;"), ("`", "&#96;")):
        text = text.replace(mark, safe)
    return text.replace("[", "\\[").replace("*", "\\*").replace("_", "\\_")


def markdown_table(frame: pd.DataFrame) -> str:
    """Return a frame of texts as a Markdown table."""
    lines = ["| " + " | ".join(cell(str(c).replace("_", " ")) for c in frame.columns) + " |"]
    lines.append("|" + " --- |" * len(frame.columns))
    lines += ["| " + " | ".join(cell(v) for v in row) + " |" for row in frame.itertuples(index=False)]
    return "\n".join(lines)


def markdown(summary: Summary, evaluation: Evaluation) -> str:
    """Return the report as Markdown."""
    parts = ["# SpaceOmicsBench: language models", "\n".join(f"- {cell(x)}" for x in lead(summary, evaluation))]
    parts.append(method())
    for _, title, frame in sections(summary):
        parts.append(f"## {title}\n\n{markdown_table(frame)}")
    return "\n\n".join(parts) + "\n"


TABLES = [f"{name}.{suffix}" for name in ("answers", "judgements") for suffix in ("csv", "parquet")]


def write_tables(evaluation: Evaluation, out: Path) -> list[Path]:
    """Write answers and judgements as CSV and Parquet into a report's folder; return the files."""
    folder = ReportFolder(out, TABLES)
    folder.write_all({}, _frames(evaluation), {})
    return folder.written


def _frames(evaluation: Evaluation) -> dict[str, pd.DataFrame]:
    return {"answers": evaluation.answers, "judgements": evaluation.judgements}


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
    folder.write_all(pages, _frames(evaluation), tables)
    folder.remove({f"tables/{name}.csv" for name in (*TITLES, "criteria")} - tables.keys())
    return folder.written
