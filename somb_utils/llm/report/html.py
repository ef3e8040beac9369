"""The interactive report: figures and question explorer, as one page of its own and as parts of a notebook."""

import json
from collections.abc import Collection
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from somb_utils._escape import embedded_json
from somb_utils._extras import missing_extra
from somb_utils.llm.bank.schema import DIMENSIONS
from somb_utils.llm.judge.verdicts import FLAGS
from somb_utils.llm.report.summary import Summary, answer_scores
from somb_utils.llm.report.text import lead, method, sections
from somb_utils.llm.run.evaluation import KEY, Evaluation
from somb_utils.llm.run.providers import SIMULATED

if TYPE_CHECKING:
    from jinja2 import Template
    from plotly.graph_objects import Figure

TEMPLATES = Path(__file__).parent / "templates"
FIGURES = {
    "ranking": "Ranking, with 95 % intervals",
    "radar": "Dimensions",
    "heatmap": "Modality × model",
    "difficulty": "Difficulty profile",
    "agreement": "Judge agreement (weighted kappa)",
    "length": "Score against length",
}


def draw(name: str, summary: Summary, evaluation: Evaluation) -> "Figure | None":
    """Return a figure of the report (`FIGURES`), or None if there is nothing to draw, as of one judge's agreement."""
    from somb_utils.llm.report import figures

    tables = summary.tables
    if "ranking" not in tables:
        return None
    models = [str(m) for m in tables["ranking"]["model"]]
    figure = {
        "ranking": lambda: figures.ranking(tables["ranking_by_judge"], models),
        "radar": lambda: figures.radar(tables["dimension"], models),
        "heatmap": lambda: figures.heatmap(tables["modality"], models),
        "difficulty": lambda: figures.difficulty(tables["difficulty"], models),
        "agreement": lambda: figures.agreement(tables["agreement"]),
        "length": lambda: figures.length(answer_scores(evaluation), models),
    }[name]()
    if figure is not None and any(model.startswith(SIMULATED) for model in models):
        figures.mark_simulated(figure)
    return figure


def explorer_data(evaluation: Evaluation) -> dict[str, Any]:
    """Return the questions, and the answers with their verdicts, for the question explorer."""
    verdicts: dict[tuple[str, str, int], list[dict[str, Any]]] = {}
    texts = ["justification", "strengths", "weaknesses", "missed_points", "reason"]
    for row in evaluation.judgements.to_dict("records"):
        levels = [int(row[d]) for d in DIMENSIONS] if row["status"] == "scored" else None
        entry: dict[str, Any] = {"judge": row["judge"], "levels": levels}
        entry["flags"] = [f for f in FLAGS if levels and bool(row[f])]
        entry["score"] = float(row["weighted_score"]) if levels else None
        entry |= {name: row[name] for name in texts if isinstance(row[name], str) and row[name]}
        verdicts.setdefault((row["model"], row["question_id"], row["epoch"]), []).append(entry)
    graded = answer_scores(evaluation) if len(evaluation.scored) else pd.DataFrame(columns=[*KEY, "score"])
    scores = graded.set_index(KEY)["score"].round(3).to_dict()
    about = ["modality", "difficulty", "kind", "question"]
    questions, rows = {}, []
    for row in evaluation.answers.to_dict("records"):
        questions[row["question_id"]] = {name: row[name] for name in about}
        entry = {name: row[name] for name in ("model", "question_id", "epoch", "status", "answer")}
        key = (row["model"], row["question_id"], row["epoch"])
        entry |= {"score": scores.get(key), "verdicts": verdicts.get(key, [])}
        rows.append(entry)
    return {"dimensions": list(DIMENSIONS), "questions": questions, "answers": rows}


@lru_cache
def _template(name: str) -> "Template":
    try:
        from jinja2 import Environment, FileSystemLoader
    except ImportError as error:
        raise missing_extra("the report's page", "llm", error) from error
    return Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True).get_template(name)


def _macros() -> Any:
    return _template("parts.html").module


def start_part() -> str:
    """Return the style and script that the parts of a notebook's report need before them."""
    return str(_macros().start())


def figure_part(name: str, figure: "Figure") -> str:
    """Return a figure as part of a page that contains `start_part` and serves plotly.js beside its other scripts."""
    return str(_macros().part(_macros().figure(name, FIGURES[name], embedded_json(json.loads(figure.to_json())))))


def tables_part(summary: Summary, names: Collection[str]) -> str:
    """Return the named tables as part of a page that contains `start_part`, the first of them open."""
    return str(_macros().part(_macros().tables([entry for entry in sections(summary) if entry[0] in names])))


def explorer_part(evaluation: Evaluation) -> str:
    """Return the question explorer as part of a page that contains `start_part`."""
    return str(_macros().part(_macros().explorer(embedded_json(explorer_data(evaluation)))))


def page(title: str, lines: list[str], how: str, drawn: "dict[str, tuple[str, Figure]]", **parts: Any) -> str:
    """Return a report as one page that needs no other host, every text from a model or judge escaped.

    `drawn` are its figures by name, each with its title; `parts` are its tables (``sections``) and its ``explorer``.
    """
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise missing_extra("the report's page", "llm", error) from error
    return _template("report.html").render(
        title=title,
        lead=lines,
        method=how,
        figures=[(n, text, embedded_json(json.loads(figure.to_json()))) for n, (text, figure) in drawn.items()],
        plotlyjs=get_plotlyjs(),
        **parts,
    )


def html(summary: Summary, evaluation: Evaluation) -> str:
    """Return the report as one page that needs no other host, every text from a model or judge escaped."""
    drawn = {name: (title, draw(name, summary, evaluation)) for name, title in FIGURES.items()}
    return page(
        "SpaceOmicsBench: language models",
        lead(summary, evaluation),
        method(),
        {name: (title, figure) for name, (title, figure) in drawn.items() if figure},
        sections=list(sections(summary)),
        explorer=embedded_json(explorer_data(evaluation)),
    )
