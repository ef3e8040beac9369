"""The report as files: Markdown, one interactive HTML page that needs no other host, CSV and Parquet."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from somb_utils.errors import SombError
from somb_utils.llm.bank import DIMENSIONS
from somb_utils.llm.judge import FLAGS
from somb_utils.llm.logs import Evaluation
from somb_utils.llm.summary import Summary, answer_scores, summarise
from somb_utils.paths import replacing

TEMPLATES = Path(__file__).parent / "templates"
TITLES = {
    "ranking": "Ranking",
    "ranking_by_judge": "Ranking by judge",
    "pairs": "Pairs of models, over their common questions",
    "dimension": "Dimensions",
    "difficulty": "Difficulty",
    "modality": "Modality",
    "kind": "Kind of question",
    "counts": "What became of the answers",
    "unscored": "Verdicts that do not count",
    "flags": "Flags (number of answers)",
    "usage": "Tokens, cost in dollars, seconds",
    "agreement": "Judges: quadratic-weighted kappa and ordinal Krippendorff alpha",
    "rank_agreement": "Judges: agreement on the order of models",
    "leniency": "Judges: leniency (mean shift from the other judges, on answers of other makers)",
    "self_preference": "Judges: self-preference (judge family x model family)",
    "length_preference": "Judges: taste for length (points a doubling, beyond the other judges)",
    "length": "Score against length",
    "length_adjusted": "Ranking as if all answers were equally long",
    "judge_weighted_differs": "Weighted scores that are not the judge's own",
    "published": "Published reference scores (another set of 100 questions)",
}
GROUPED = ("dimension", "difficulty", "modality", "kind", "ranking_by_judge")


def shown(value: Any, digits: int = 2) -> str:
    """Return a table's cell as text: numbers rounded, missing ones as a dash."""
    if value is None or value is pd.NA or (isinstance(value, float) and pd.isna(value)):
        return "–"
    if isinstance(value, float):
        return str(int(value)) if value == int(value) and digits == 0 else f"{round(value, 9):.{digits}f}"
    return str(value)


def display_table(name: str, table: pd.DataFrame, models: list[str] | None = None) -> pd.DataFrame:
    """Return a table as text for reading: groups across, intervals in brackets, means to the digits that count."""
    frame = table.copy()
    digits = 3 if name in ("ranking", "ranking_by_judge") else 4 if name == "usage" else 2
    for column in ("rank", "rank_low", "rank_high", "adjusted_rank", "words"):
        if column in frame:
            frame[column] = frame[column].map(lambda v: shown(float(v), 0))
    if "low" in frame:
        spans = zip(frame["low"], frame["high"], strict=True)
        middle = next(c for c in ("mean", "difference", "shift", "preference", "per_doubling") if c in frame)
        frame[middle] = [
            f"{shown(m, digits)} ({shown(low, 2)} to {shown(high, 2)})"
            for m, (low, high) in zip(frame[middle], spans, strict=True)
        ]
        frame = frame.drop(columns=["low", "high"])
    if "rank_low" in frame:
        frame["rank"] = frame["rank"] + " (" + frame["rank_low"] + " to " + frame["rank_high"] + ")"
        frame = frame.drop(columns=["rank_low", "rank_high"])
    if name in GROUPED:
        group = "judge" if name == "ranking_by_judge" else name
        order = list(dict.fromkeys(frame[group]))
        frame = frame.pivot(index="model", columns=group, values="mean")[order]
        frame = frame.reindex(models or frame.index).reset_index()
        frame.columns.name = None
    return frame.map(lambda v: shown(v, digits))


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


def _sections(summary: Summary) -> Iterator[tuple[str, str, pd.DataFrame]]:
    ranking = summary.tables.get("ranking")
    models = list(ranking["model"]) if ranking is not None else None
    for name, title in TITLES.items():
        table = summary.tables.get(name)
        if table is not None and len(table):
            yield name, title, display_table(name, table, models)


def _lead(summary: Summary, evaluation: Evaluation) -> list[str]:
    scored = evaluation.scored
    lines = [
        f"Answers: {len(evaluation.answers)}, models: {evaluation.answers['model'].nunique()}, questions: "
        f"{evaluation.answers['question_id'].nunique()}, judges: {scored['judge'].nunique()}, verdicts that "
        f"count: {len(scored)}."
    ]
    lines += summary.notes
    lines += [f"Judge {judge} is {bias}: {size}." for judge, bias, size in summary.findings]
    if "judge_weighted_differs" in summary.tables:
        number = len(summary.tables["judge_weighted_differs"])
        lines.append(
            "Weighted scores are computed from the dimensions; "
            + (f"{number} differ" if number else "none differs")
            + " from the judge's own by more than rounding."
        )
    return lines


METHOD = (
    "Scores go from 1 to 5. Means are over questions (repeats, then judges, averaged first); brackets hold 95 % "
    "bootstrap intervals over questions, the same draws for all models. A rank's bracket is the same for ranks. "
    "Refused, empty and failed answers and verdicts that do not fit their form are counted and never scored; an "
    "answer cut at the token limit is scored as it stands. Current Anthropic models accept no temperature, so none "
    "is sent to them."
)


def markdown(summary: Summary, evaluation: Evaluation) -> str:
    """Return the report as Markdown."""
    parts = ["# SpaceOmicsBench: language models", "\n".join(f"- {_cell(x)}" for x in _lead(summary, evaluation))]
    parts.append(METHOD)
    for _, title, frame in _sections(summary):
        parts.append(f"## {title}\n\n{markdown_table(frame)}")
    return "\n\n".join(parts) + "\n"


def _embedded(data: Any) -> str:
    """Return JSON that cannot end the script element it stands in."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for mark in "<>&\u2028\u2029":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return text


def _explorer(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Return the answers with their verdicts, for the question explorer."""
    verdicts: dict[tuple[str, str, int], list[dict[str, Any]]] = {}
    texts = ["justification", "strengths", "weaknesses", "missed_points", "reason"]
    for row in evaluation.judgements.to_dict("records"):
        levels = {d: int(row[d]) for d in DIMENSIONS} if row["status"] == "scored" else None
        raised = [f for f in FLAGS if row[f] is True or row[f] == True] if levels else []  # noqa: E712
        entry = {"judge": row["judge"], "levels": levels, "flags": raised}
        entry["score"] = float(row["weighted_score"]) if levels else None
        entry |= {name: row[name] if isinstance(row[name], str) else "" for name in texts}
        verdicts.setdefault((row["model"], row["question_id"], row["epoch"]), []).append(entry)
    names = ["model", "question_id", "epoch", "modality", "difficulty", "kind", "question", "status", "answer"]
    rows = []
    for row in evaluation.answers.to_dict("records"):
        entry = {name: row[name] for name in names}
        entry["verdicts"] = verdicts.get((row["model"], row["question_id"], row["epoch"]), [])
        rows.append(entry)
    return rows


def _figures(summary: Summary, evaluation: Evaluation) -> list[tuple[str, str, Any]]:
    """Return (id, title, figure) of every figure that has data."""
    from somb_utils.llm import figures

    tables = summary.tables
    if "ranking" not in tables:
        return []
    models = [str(m) for m in tables["ranking"]["model"]]
    found = [
        ("ranking", "Ranking, with 95 % intervals", figures.ranking(tables["ranking_by_judge"], models)),
        ("radar", "Dimensions", figures.radar(tables["dimension"], models)),
        ("heatmap", "Modality × model", figures.heatmap(tables["modality"], models)),
        ("difficulty", "Difficulty profile", figures.difficulty(tables["difficulty"], models)),
        ("agreement", "Judge agreement (weighted kappa)", figures.agreement(tables["agreement"])),
        ("length", "Score against length", figures.length(answer_scores(evaluation), models)),
    ]
    return [(name, title, figure) for name, title, figure in found if figure is not None]


def html(summary: Summary, evaluation: Evaluation) -> str:
    """Return the report as one page: no other host, every text from a model or judge escaped.

    Raises
    ------
    SombError
        If plotly or jinja2 is not installed.
    """
    try:
        from jinja2 import Environment, FileSystemLoader
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise SombError(f"{error.name} is not installed: pip install 'somb-utils[llm]'") from error
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True)
    figures = [
        (name, title, _embedded(json.loads(figure.to_json()))) for name, title, figure in _figures(summary, evaluation)
    ]
    return environment.get_template("report.html").render(
        lead=_lead(summary, evaluation),
        method=METHOD,
        figures=figures,
        sections=list(_sections(summary)),
        explorer=_embedded(_explorer(evaluation)),
        plotlyjs=get_plotlyjs(),
    )


def write_tables(evaluation: Evaluation, out: Path) -> list[Path]:
    """Write answers and judgements as CSV and Parquet; return the files."""
    written = []
    for name, frame in (("answers", evaluation.answers), ("judgements", evaluation.judgements)):
        for suffix in ("csv", "parquet"):
            path = out / f"{name}.{suffix}"
            with replacing(path) as temporary:
                if suffix == "csv":
                    frame.to_csv(temporary, index=False)
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
        Folder; its files are replaced, its ``tables`` folder entirely.
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
        shutil.rmtree(out / "tables", ignore_errors=True)
        for name, table in summary.tables.items():
            with replacing(out / "tables" / f"{name}.csv") as temporary:
                table.to_csv(temporary, index=False)
            written.append(out / "tables" / f"{name}.csv")
    except OSError as error:
        raise SombError(f"The report cannot be written to {out}: {error.strerror}") from error
    return written
