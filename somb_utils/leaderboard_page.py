"""The interactive leaderboard page: one piece of HTML made of scores, and what it shows as plain data."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from somb_utils.canonical import SCORES, canonical_scores
from somb_utils.entries import Entry
from somb_utils.escape import embedded_json
from somb_utils.pages import metric_name
from somb_utils.published import published_scores
from somb_utils.results import composite_of
from somb_utils.tasks import catalogue

if TYPE_CHECKING:
    from somb_utils.leaderboard import Board

_SHOWN = ("mean", "sd", "low", "high", "chance")
TEMPLATES = Path(__file__).parent / "templates"
NOTE = (
    "Models marked † are submissions, scored again by the maintainers from the predictions sent in. The labels are "
    "public, so the check proves the arithmetic and not the model: read what each says of itself."
)
NO_SUBMISSIONS = "Submissions are scored on the published tables and stand beside no other scores: none is shown here."


def payload(board: "Board") -> dict[str, Any]:
    """Return what the interactive page shows, as plain data.

    A board of real tables also offers the canonical run and the published scores, each labelled, with the checked
    submissions of the same protocol among them; a simulated one holds nothing but itself.
    """
    sources = [_run_source(board)]
    if board.source == "open":
        sources += [*canonical_sources(board.listed, ["aligned"]), published_source()]
    return document(sources, board.listed)


def document(sources: list[dict[str, Any]], listed: Sequence[Entry]) -> dict[str, Any]:
    """Return sources of rows, and what the page must know of the tasks, metrics, models and submissions in them."""
    used = {row["metric"] for source in sources for row in source["rows"]}
    models = dict.fromkeys(row["model"] for source in sources for row in source["rows"])
    return {
        "sources": sources,
        "models": list(models),
        "submissions": [_card(entry) for entry in listed if any(entry.marked(s.model) in models for s in entry.scores)],
        "metrics": {metric: metric_name(metric) for metric in _metric_order() if metric in used},
        "tasks": {
            task.id: {
                "name": task.name,
                "question": task.question,
                "category": task.category,
                "modality": task.modality,
                "missions": task.missions,
                "tier": task.tier,
                "supplementary": task.supplementary,
                "rows": task.n_rows,
                "features": task.n_features,
                "classes": task.class_counts if len(task.classes) <= 4 else {"classes": len(task.classes)},
                "split": task.split,
                "metric": task.metrics.primary,
                "metrics": [task.metrics.primary, *task.metrics.secondary],
                "notes": task.notes,
            }
            for task in catalogue().values()
        },
    }


def _metric_order() -> list[str]:
    return list(
        dict.fromkeys(m for task in catalogue().values() for m in (task.metrics.primary, *task.metrics.secondary))
    )


def _card(entry: Entry) -> dict[str, Any]:
    kept = {"name", "authors", "licence", "description", "training_data", "tuning", "features", "code", "url"}
    labels = dict.fromkeys(entry.marked(score.model) for score in entry.scores)
    return {"labels": list(labels), "added": str(entry.added), **entry.card.model_dump(include=kept)}


def _run_source(board: "Board") -> dict[str, Any]:
    protocol = str(board.summary["protocol"].iloc[0])
    badge = {"simulated": "SIMULATED DATA", "open": "Open data", "custom": "Custom data"}[board.source]
    said = {"simulated": "No score says anything about real biology."}.get(board.source, "Computed in this book.")
    tasks = set(board.summary["task"])
    rows = [row for row in submission_rows(board.listed, protocol) if row["task"] in tasks]
    return {
        "id": "run",
        "kind": board.source,
        "label": f"this run, {protocol} protocol",
        "badge": badge,
        "note": f"{said} {protocol.capitalize()} protocol; intervals from {board.n_bootstrap} bootstrap replicates. "
        + (NO_SUBMISSIONS if board.source != "open" else _said_of(rows)),
        "rows": _rows(board) + rows,
        "composite": _composite(board.composite()),
    }


def _said_of(rows: list[dict[str, Any]]) -> str:
    return NOTE if rows else ""


def submission_rows(listed: Sequence[Entry], protocol: str) -> list[dict[str, Any]]:
    """Return the scores of checked submissions under one protocol; intervals and chance are those of the check."""
    rows = []
    for entry in listed:
        for score in entry.scores:
            if score.protocol == protocol and "[" not in score.metric:
                scored = [value for value in score.values.values() if value is not None]
                numbers = {key: _number(getattr(score, key)) for key in ("mean", "sd", "low", "high", "chance")}
                counts = {
                    "folds": len(scored),
                    "failed": 0,
                    "undefined": len(score.values) - len(scored),
                    "tied": False,
                }
                rows.append(
                    {
                        **{"task": score.task, "model": entry.marked(score.model), "metric": score.metric},
                        **numbers,
                        **counts,
                        "values": [_number(value) for value in scored] if score.primary else [],
                    }
                )
    return rows


def _rows(board: "Board") -> list[dict[str, Any]]:
    results = board.result.results
    results = results[~results["metric"].str.contains("[", regex=False)]
    chance = board.summary.drop_duplicates("task").set_index("task")["chance"]
    ends = board.summary.set_index(["task", "model", "metric"])[["low", "high", "tied"]].to_dict("index")
    rows = []
    for key, part in results.groupby(["task", "model", "metric"], sort=False):
        task, model, metric = map(str, key)
        values = part["value"].dropna()
        interval = ends.get((task, model, metric), {"low": np.nan, "high": np.nan, "tied": False})
        primary = metric == catalogue()[task].metrics.primary
        rows.append(
            {
                "task": task,
                "model": model,
                "metric": metric,
                "mean": _number(values.mean()),
                "sd": _number(np.std(values) if len(values) else np.nan),
                "low": _number(interval["low"]),
                "high": _number(interval["high"]),
                "tied": bool(interval["tied"]),
                "chance": _number(chance[task] if primary else 0.5 if metric == "auroc" else np.nan),
                "folds": len(values),
                "failed": int(part["status"].str.startswith("failed").sum()),
                "undefined": int((part["status"] == "undefined").sum()),
                "values": [_number(value) for value in values] if primary else [],
            }
        )
    return rows


def canonical_sources(listed: Sequence[Entry], protocols: Sequence[str]) -> list[dict[str, Any]]:
    """Return the canonical run under each protocol, with the submissions among its models."""
    if not SCORES.is_file():
        return []
    scores = canonical_scores()
    sources = []
    for protocol in protocols:
        table, rows = scores[scores["protocol"] == protocol], submission_rows(listed, protocol)
        sources.append(
            {
                "id": "canonical" if protocol == "aligned" else f"canonical-{protocol}",
                "kind": "open",
                "label": f"canonical run, {protocol} protocol",
                "badge": "Canonical run",
                "note": f"The project's own run on the published tables, {protocol} protocol, as stored in "
                f"data/reference. {_said_of(rows)}",
                "rows": [_reference_row(row) for row in table.to_dict("records")] + rows,
                "composite": _composite(composite_of(table)),
            }
        )
    return sources


def published_source() -> dict[str, Any]:
    """Return the scores of the original benchmark."""
    table = published_scores()
    table = table[table["task"].isin(list(catalogue()))].assign(
        model=lambda t: t["model"].str.removeprefix("multilabel_")
    )
    return {
        "id": "published",
        "kind": "published",
        "label": "published scores, positional pairing",
        "badge": "Published scores",
        "note": "As published, with rows paired by position: shown for reference, not for comparison with a new model.",
        "rows": [_reference_row(row) for row in table.to_dict("records")],
        "composite": [],
    }


def _reference_row(row: Mapping[Any, Any]) -> dict[str, Any]:
    numbers = {key: _number(row.get(key, np.nan)) for key in ("mean", "sd", "low", "high", "chance")}
    counts = {key: int(row[key]) if key in row else None for key in ("folds", "failed", "undefined")}
    counts["tied"] = bool(row.get("tied", False))
    return {
        **{key: row[key] for key in ("task", "model", "metric")}, **numbers, **counts,
        "values": [],
    }  # fmt: skip


def _composite(table: pd.DataFrame) -> list[dict[str, Any]]:
    groups = [column for column in table if column not in ("composite", "groups")]
    return [
        {
            "model": model,
            "composite": _number(row["composite"]),
            "n": int(row["groups"]),
            "groups": {str(group): _number(row[str(group)]) for group in groups},
        }
        for model, row in table.iterrows()
    ]


def _number(value: Any) -> float | None:
    return None if pd.isna(value) else round(float(value), 5)


def html(data: Mapping[str, Any]) -> str:
    """Return the leaderboard page: one piece of HTML that needs no other file and no other host.

    Its tables stand in the page itself, so that they can be read without a script; the script adds filters and figures.
    """
    parts = {suffix: (TEMPLATES / f"leaderboard.{suffix}").read_text(encoding="utf-8") for suffix in ("css", "js")}
    page = Template((TEMPLATES / "leaderboard.html").read_text(encoding="utf-8"))
    return page.substitute(data=embedded_json(data), **parts, **_static(data))


def _static(data: Mapping[str, Any]) -> dict[str, str]:
    """Return the first source's badge, composite and scores on primary metrics, and the submissions' cards, as HTML."""
    source, tasks = data["sources"][0], data["tasks"]
    scores = [
        (
            row["task"],
            row["model"],
            data["metrics"].get(row["metric"], row["metric"]),
            *map(_fixed, map(row.get, _SHOWN)),
        )
        for row in source["rows"]
        if row["metric"] == tasks[row["task"]]["metric"]
    ]
    composite = [(row["model"], _fixed(row["composite"]), row["n"]) for row in source["composite"]]
    cards = [
        f"<p><b>{escape(', '.join(card['labels']))}</b> · {escape(', '.join(card['authors']))} · {card['added']}<br>"
        f"{escape(card['description'])}</p>"
        for card in data["submissions"]
    ]
    return {
        "source": f"<b>{escape(source['badge'])}</b> {escape(source['note'])}",
        "ranking": f"<table>{_row(('model', 'composite', 'groups'), 'th')}{''.join(map(_row, composite))}</table>",
        "thead": _row(("task", "model", "metric", *_SHOWN), "th"),
        "tbody": "".join(map(_row, scores)),
        "submissions": "".join(["<h3>Submissions</h3>", *cards]) if cards else "",
    }


def _row(values: Sequence[Any], tag: str = "td") -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(str(value))}</{tag}>' for value in values)}</tr>"


def _fixed(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
