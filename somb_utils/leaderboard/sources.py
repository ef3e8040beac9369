"""The scores that the leaderboard page shows, as plain data: a run, the canonical run and the published scores."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from somb_utils.leaderboard.entries import Entry, scores_beside_run
from somb_utils.reference.canonical import canonical_composite, canonical_scores
from somb_utils.reference.published import published_scores, shared_names
from somb_utils.runs.composite import FACTS, composite_of
from somb_utils.stats import above_chance
from somb_utils.tasks.definitions import PROTOCOLS, catalogue

NOTE = (
    "Models marked † are submissions, scored again by the maintainers from the predictions sent in. The labels are "
    "public, so the check proves the arithmetic and not the model: read what each says of itself."
)
NO_SUBMISSIONS = "Submissions are scored on the published tables and compare with no other scores: none is shown here."


def run_source(
    results: pd.DataFrame, summary: pd.DataFrame, composite: pd.DataFrame, listed: Sequence[Entry], n_bootstrap: int
) -> dict[str, Any]:
    """Return the scores of one run, and the submissions on its tasks and protocol beside them."""
    kind, protocol = str(summary["source"].iloc[0]), str(summary["protocol"].iloc[0])
    badge = {"simulated": "SIMULATED DATA", "open": "Open data", "custom": "Custom data"}[kind]
    origin = "No score says anything about real biology." if kind == "simulated" else "Computed in this book."
    rows = [row for row in _submission_rows(listed, protocol) if row["task"] in set(summary["task"])]
    submissions = NO_SUBMISSIONS if kind != "open" else NOTE if rows else ""
    return {
        "id": "run",
        "kind": kind,
        "protocol": protocol,
        "label": f"this run, {protocol} protocol",
        "badge": badge,
        "note": f"{origin} {protocol.capitalize()} protocol; intervals from {n_bootstrap} bootstrap replicates, where "
        "missions or tissues are left out for new ones. " + submissions,
        "rows": _rows(results, summary) + rows,
        "composite": _composite(composite),
    }


def _submission_rows(listed: Sequence[Entry], protocol: str) -> list[dict[str, Any]]:
    return [
        _row(score, [value for value in score["values"].values() if value is not None] if score["primary"] else ())
        for score in scores_beside_run(listed, protocol)
    ]


def _rows(results: pd.DataFrame, summary: pd.DataFrame) -> list[dict[str, Any]]:
    results = results[~results["metric"].str.contains("[", regex=False)]
    leads = summary.drop_duplicates("task").set_index("task")
    judged = summary.assign(above=above_chance(summary).astype(object)).set_index(["task", "model", "metric"])
    ends = judged[["low", "high", "best", "above"]].to_dict("index")
    rows = []
    for key, part in results.groupby(["task", "model", "metric"], sort=False):
        task, model, metric = map(str, key)
        values = part.groupby("fold", sort=False)["value"].mean().dropna()  # over seeds
        primary = metric == leads.at[task, "metric"]
        facts: dict[Any, Any] = {
            "task": task,
            "model": model,
            "metric": metric,
            "mean": values.mean(),
            "sd": np.std(values) if len(values) else np.nan,
            "chance": leads.at[task, "chance"] if primary else 0.5 if metric == "auroc" else np.nan,
            "folds": len(values),
            "failed": part["status"].str.startswith("failed").sum(),
            "undefined": (part["status"] == "undefined").sum(),
            **ends.get((task, model, metric), {}),
        }
        rows.append(_row(facts, values if primary else ()))
    return rows


def _row(facts: Mapping[Any, Any], values: Iterable[float] = ()) -> dict[str, Any]:
    """Return one score as the page reads it; null where its source states nothing."""
    return {
        **{key: facts[key] for key in ("task", "model", "metric")},
        **{key: _number(facts.get(key)) for key in ("mean", "sd", "low", "high", "chance")},
        **{key: int(facts[key]) if key in facts else None for key in ("folds", "failed", "undefined")},
        "best": bool(facts.get("best", False)),
        "above_chance": facts["above"] if isinstance(facts.get("above"), bool) else None,
        "values": [_number(value) for value in values],
    }


def canonical_sources(listed: Sequence[Entry], protocols: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield the canonical run under each protocol that has scores, with the submissions among its models."""
    scores = canonical_scores()
    for protocol in protocols:
        table, rows = scores[scores["protocol"] == protocol], _submission_rows(listed, protocol)
        if table.empty and not rows:
            continue
        judged = table.assign(above=above_chance(table).astype(object))
        yield {
            "id": "canonical" if protocol == PROTOCOLS[0] else f"canonical-{protocol}",
            "kind": "open",
            "protocol": protocol,
            "label": f"canonical run, {protocol} protocol",
            "badge": "Canonical run",
            "note": f"The project's own run on the published tables, {protocol} protocol, as stored in "
            f"data/reference. {NOTE if rows else ''}",
            "rows": [_row(row) for row in judged.to_dict("records")] + rows,
            "composite": [] if table.empty else _composite(_canonical_composite(table, protocol)),
        }


def _canonical_composite(table: pd.DataFrame, protocol: str) -> pd.DataFrame:
    return canonical_composite() if protocol == PROTOCOLS[0] else composite_of(table)


def published_source() -> dict[str, Any]:
    """Return the scores of the original benchmark."""
    table = shared_names(published_scores())
    table = table[table["task"].isin(list(catalogue()))]
    return {
        "id": "published",
        "kind": "published",
        "protocol": "published",
        "label": "published scores, published protocol",
        "badge": "Published scores",
        "note": "As published, with rows paired by position: shown for reference, not for comparison with a new model.",
        "rows": [_row(row) for row in table.to_dict("records")],
        "composite": [],
    }


def _composite(table: pd.DataFrame) -> list[dict[str, Any]]:
    groups = [column for column in table if column not in FACTS]
    return [
        {
            "model": model,
            **{column: _number(row[column]) for column in ("composite", "low", "high", "p_best")},
            "n": int(row["groups"]),
            "groups": {str(group): _number(row[str(group)]) for group in groups},
        }
        for model, row in table.iterrows()
    ]


def _number(value: Any) -> float | None:
    return None if pd.isna(value) else round(float(value), 5)
