"""The interactive leaderboard page: one piece of HTML made of scores, and what it shows as plain data."""

from collections.abc import Mapping, Sequence
from html import escape
from itertools import chain
from pathlib import Path
from string import Template
from typing import Any

from somb_utils._escape import embedded_json
from somb_utils.labels import metric_name
from somb_utils.leaderboard.entries import Entry
from somb_utils.tasks.definitions import PROTOCOLS, Task, catalogue

_SHOWN = ("mean", "sd", "low", "high", "chance")
_WITHOUT_SCRIPT = 500  # rows of a table that a reader without a script sees
_FACTS = {"name", "question", "category", "modality", "missions", "tier", "supplementary", "split", "notes"}
TEMPLATES = Path(__file__).parent / "templates"


def document(sources: list[dict[str, Any]], listed: Sequence[Entry]) -> dict[str, Any]:
    """Return sources of scores with the facts that the page shows of their tasks, metrics, models and submissions."""
    used = {row["metric"] for source in sources for row in source["rows"]}
    protocols = [protocol for protocol in PROTOCOLS if protocol in {source["protocol"] for source in sources}]
    tasks = {protocol: [task.under(protocol) for task in catalogue().values()] for protocol in protocols}
    every = chain.from_iterable(tasks.values())
    metrics = dict.fromkeys(m for task in every for m in (task.metrics.primary, *task.metrics.secondary))
    models = dict.fromkeys(row["model"] for source in sources for row in source["rows"])
    return {
        "sources": sources,
        "models": list(models),
        "submissions": [_card(entry) for entry in listed if any(entry.marked(s.model) in models for s in entry.scores)],
        "metrics": {metric: metric_name(metric) for metric in metrics if metric in used},
        "tasks": {protocol: {task.id: _facts(task) for task in those} for protocol, those in tasks.items()},
    }


def _facts(task: Task) -> dict[str, Any]:
    return {
        **task.model_dump(include=_FACTS),
        "rows": task.n_rows,
        "features": task.n_features,
        "classes": task.class_counts if len(task.classes) <= 4 else {"classes": len(task.classes)},
        "metric": task.metrics.primary,
        "metrics": [task.metrics.primary, *task.metrics.secondary],
    }


def _card(entry: Entry) -> dict[str, Any]:
    kept = {"name", "authors", "licence", "description", "training_data", "tuning", "features", "code", "url"}
    labels = dict.fromkeys(entry.marked(score.model) for score in entry.scores)
    return {"labels": list(labels), "added": str(entry.added), **entry.card.model_dump(include=kept)}


def html(data: Mapping[str, Any]) -> str:
    """Return the leaderboard page: one piece of HTML that needs no other file and no other host.

    Its tables are readable without a script; the script adds filters and figures.
    """
    parts = {suffix: (TEMPLATES / f"leaderboard.{suffix}").read_text(encoding="utf-8") for suffix in ("css", "js")}
    page = Template((TEMPLATES / "leaderboard.html").read_text(encoding="utf-8"))
    return page.substitute(data=embedded_json(data), **parts, **_static(data))


def _static(data: Mapping[str, Any]) -> dict[str, str]:
    """Return the first source's badge, composite and scores on primary metrics, and the submissions' cards, as HTML."""
    source = data["sources"][0]
    tasks = data["tasks"][source["protocol"]]
    scores = [
        (row["task"], row["model"], metric_name(row["metric"]), *(_fixed(row[column]) for column in _SHOWN))
        for row in source["rows"]
        if row["metric"] == tasks[row["task"]]["metric"]
    ]
    facts = ("composite", "low", "high", "p_best")
    ranked = source["composite"][:_WITHOUT_SCRIPT]
    composite = [(row["model"], *(_fixed(row[fact]) for fact in facts), row["n"]) for row in ranked]
    cards = [
        f"<p><b>{escape(', '.join(card['labels']))}</b> · {escape(', '.join(card['authors']))} · {card['added']}<br>"
        f"{escape(card['description'])}</p>"
        for card in data["submissions"]
    ]
    return {
        "source": f"<b>{escape(source['badge'])}</b> {escape(source['note'])}",
        "ranking": f"<table>{_row(('model', *facts, 'groups'), 'th')}{''.join(map(_row, composite))}</table>",
        "thead": _row(("task", "model", "metric", *_SHOWN), "th"),
        "tbody": "".join(map(_row, scores[:_WITHOUT_SCRIPT])),
        "pages": f"The first {_WITHOUT_SCRIPT} of {len(scores):,} scores." if len(scores) > _WITHOUT_SCRIPT else "",
        "submissions": "".join(["<h3>Submissions</h3>", *cards]) if cards else "",
    }


def _row(values: Sequence[Any], tag: str = "td") -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(str(value))}</{tag}>' for value in values)}</tr>"


def _fixed(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
