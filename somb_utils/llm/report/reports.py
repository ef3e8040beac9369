"""The reports of whatever logs hold: answers to open questions that judges graded, and items that code marked."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from somb_utils.errors import SombError, UsageError
from somb_utils.llm.report.core_files import write_core_report
from somb_utils.llm.report.files import write_report
from somb_utils.llm.report.folder import ReportFolder
from somb_utils.llm.run import logs, marked_logs
from somb_utils.llm.run.imports import is_scored_file
from somb_utils.llm.run.marks import differing_versions

Mode = Literal["holistic", "criteria", "mixed"] | None


def write_reports(
    paths: Iterable[Path], out: Path, prices: dict[str, Any], mode: Mode = None, compare: bool = False,
    n_bootstrap: int = 2000, seed: int = 42,
) -> list[Path]:  # fmt: skip
    """Write the reports of logs into a folder: of open questions, of marked items, or of both.

    Parameters
    ----------
    paths
        Logs, folders of logs, and published scored files.
    out
        Folder that is new, empty, or of an earlier report, whose files are replaced.
    prices
        Prices by model, as `load_prices` gives them.
    mode
        Of the verdicts that means are over, as in `Evaluation`. With ``mixed``, logs may rest on different versions of
        what was asked.
    compare, n_bootstrap, seed
        As for `write_report`.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    UsageError
        If a path has no log, logs have no verdict of the mode or rest on different versions, or the folder has files
        in it that no report wrote.
    SombError
        If a file cannot be read or written, or there is no answer in the logs.
    """
    files = list(logs.find(paths))
    evaluation = replace(logs.read(files, prices), mode=mode)
    marks = marked_logs.read([file for file in files if not is_scored_file(file)], prices)
    graded = len(evaluation.answers) + len(evaluation.judgements)
    if not graded and marks.empty:
        raise SombError("There is no answer to a question of this benchmark in the logs")
    if mode in ("holistic", "criteria") and evaluation.scored.empty:
        raise UsageError(
            f"The logs have no valid verdict of the mode {mode}; `somb llm judge --mode {mode}` asks for them"
        )
    if mode != "mixed":
        evaluation.need_one_version()
        if differing := differing_versions(marks):
            raise UsageError(
                f"The logs differ in {'; '.join(differing)}. Report them apart, or together with "
                "`somb llm report --mixed`"
            )
    written = write_report(evaluation, out, compare, n_bootstrap, seed) if graded else []
    written += [] if marks.empty else write_core_report(marks, out, compare, n_bootstrap, seed)
    folder = ReportFolder(out, ())
    folder.remove(folder.earlier - {path.relative_to(out).as_posix() for path in written})
    return written
