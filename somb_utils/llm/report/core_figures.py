"""The figures of the report of marked items: accuracy by condition, and cost against accuracy."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from somb_utils.llm.report.figures import PALETTE, SYMBOLS, laid_out, short


def _error(frame: pd.DataFrame) -> dict[str, Any]:
    return {
        "type": "data", "symmetric": False, "array": (frame["high"] - frame["accuracy"]).tolist(),
        "arrayminus": (frame["accuracy"] - frame["low"]).tolist(), "thickness": 1.5, "width": 4,
    }  # fmt: skip


def accuracies(table: pd.DataFrame) -> go.Figure:
    """Return accuracy with 95 % intervals: one row per set and model, one symbol per condition, chance as a line."""
    figure, labels = go.Figure(), short(table["model"])
    rows = table[["set", "model"]].drop_duplicates().reset_index(drop=True)
    place = {tuple(row): len(rows) - 1 - i for i, row in enumerate(rows.to_numpy())}
    conditions = list(dict.fromkeys(table["condition"]))
    for i, condition in enumerate(conditions):
        part = table[table["condition"] == condition]
        offset = (i - (len(conditions) - 1) / 2) * 0.22
        at = [place[key] - offset for key in zip(part["set"], part["model"], strict=True)]
        colour = PALETTE[i % len(PALETTE)]
        figure.add_scatter(
            x=part["accuracy"], y=at, error_x=_error(part), mode="markers", name=condition,
            marker={"size": 10, "symbol": SYMBOLS[i % len(SYMBOLS)], "color": colour},
            customdata=part["n"], hovertemplate="%{x:.1%} of %{customdata} items<extra></extra>",
        )  # fmt: skip
        figure.add_scatter(
            x=part["chance"], y=at, mode="markers", name=f"chance, {condition}", showlegend=False,
            marker={"size": 14, "symbol": "line-ns", "line": {"width": 2, "color": colour}},
            hovertemplate="chance level %{x:.1%}<extra></extra>",
        )  # fmt: skip
    names = [f"{labels[model]}<br>{name}" for name, model in rows.to_numpy()]
    figure.update_yaxes(
        tickvals=list(range(len(rows))), ticktext=names[::-1], zeroline=False, range=[-0.6, len(rows) - 0.4]
    )
    figure.update_xaxes(title="accuracy (bar: chance level)", range=[-0.02, 1.02], tickformat=".0%", zeroline=False)
    return laid_out(figure, 140 + 54 * len(rows), showlegend=True)


def pareto(costs: pd.DataFrame) -> go.Figure | None:
    """Return accuracy against cost, the Pareto set filled; None if no price is known."""
    known = costs[costs["cost"].notna()]
    if known.empty:
        return None
    figure, labels = go.Figure(), short(known["model"])
    cells = known.groupby(["set", "condition"], sort=False)
    for i, ((name, condition), part) in enumerate(cells):
        colour, best = PALETTE[i % len(PALETTE)], part["pareto"].to_numpy(dtype=bool)
        figure.add_scatter(
            x=part["cost"], y=part["accuracy"], mode="markers+text", name=f"{name}, {condition}",
            text=[labels[model] if b else "" for model, b in zip(part["model"], best, strict=True)],
            textposition="top center", customdata=[labels[model] for model in part["model"]],
            marker={"size": 11, "color": colour, "symbol": ["circle" if b else "circle-open" for b in best]},
            hovertemplate="%{customdata}: $%{x:.4f}, %{y:.1%}<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(title="cost in dollars (filled: Pareto set)", zeroline=False, rangemode="tozero")
    figure.update_yaxes(title="accuracy", range=[-0.02, 1.1], tickformat=".0%", zeroline=False)
    return laid_out(figure, 380, showlegend=len(cells) > 1)
