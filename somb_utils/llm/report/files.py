"""The report as files: Markdown, one interactive HTML page that needs no other host, CSV and Parquet."""

from pathlib import Path

import pandas as pd

from somb_utils._escape import spreadsheet
from somb_utils.errors import SombError
from somb_utils.llm.report.html import html
from somb_utils.llm.report.summary import Summary, summarise
from somb_utils.llm.report.text import METHOD, TITLES, lead, sections
from somb_utils.llm.run.evaluation import Evaluation
from somb_utils.paths import replacing


def _cell(text: str) -> str:
    """Return text that neither breaks a Markdown table nor is read as markup."""
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
    parts.append(METHOD)
    for _, title, frame in sections(summary):
        parts.append(f"## {title}\n\n{markdown_table(frame)}")
    return "\n\n".join(parts) + "\n"


def write_tables(evaluation: Evaluation, out: Path) -> list[Path]:
    """Write answers and judgements as CSV and Parquet; return the files."""
    written = []
    for name, frame in (("answers", evaluation.answers), ("judgements", evaluation.judgements)):
        for suffix in ("csv", "parquet"):
            path = out / f"{name}.{suffix}"
            with replacing(path) as temporary:
                if suffix == "csv":
                    spreadsheet(frame).to_csv(temporary, index=False)
                else:
                    frame.to_parquet(temporary, index=False)
            written.append(path)
    return written


def write_report(
    evaluation: Evaluation, out: Path, compare: bool = False, n_bootstrap: int = 2000, seed: int = 42
) -> list[Path]:
    """Write the whole report into a folder and return its files, report.md and report.html first.

    Parameters
    ----------
    evaluation
        As `logs.load` gives it.
    out
        Folder; files of the report's own names are replaced, tables of an earlier report that this one lacks removed.
    compare, n_bootstrap, seed
        See `summarise`.
    """
    summary = summarise(evaluation, compare, n_bootstrap, seed)
    pages = {"report.md": markdown(summary, evaluation), "report.html": html(summary, evaluation)}
    written = []
    try:
        for name, text in pages.items():
            with replacing(out / name) as temporary:
                temporary.write_text(text, encoding="utf-8")
            written.append(out / name)
        written += write_tables(evaluation, out)
        for name in TITLES.keys() - summary.tables.keys():
            (out / "tables" / f"{name}.csv").unlink(missing_ok=True)
        for name, table in summary.tables.items():
            with replacing(out / "tables" / f"{name}.csv") as temporary:
                spreadsheet(table).to_csv(temporary, index=False)
            written.append(out / "tables" / f"{name}.csv")
    except OSError as error:
        raise SombError(f"The report cannot be written to {out}: {error.strerror}") from error
    return written
