"""The report's interactive figures (plotly), one function each; colours of text and grid are set by the page."""

import html
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from somb_utils.llm.bank.schema import DIFFICULTIES, DIMENSIONS, MODALITIES

PALETTE = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b58900", "#56b4e9", "#7a5195", "#8c564b", "#7f7f7f", "#2f4b7c",
]  # fmt: skip
BLUES = [[0.0, "#f7fbff"], [0.5, "#c6dbef"], [1.0, "#6baed6"]]
SYMBOLS = ["circle", "square", "diamond", "triangle-up", "x", "star"]


def shown(text: object) -> str:
    """Return a text that plotly shows literally: tags escaped, but not quotation marks, whose entities it lacks."""
    return html.escape(str(text), quote=False)


def short(names: Iterable[str]) -> dict[str, str]:
    """Return each model's label: its name without its provider, or in full where two labels would be the same."""
    names = list(dict.fromkeys(names))
    tails = Counter(name.rpartition("/")[2] for name in names)
    return {name: shown(name if tails[tail := name.rpartition("/")[2]] > 1 else tail) for name in names}


def label(name: object) -> str:
    """Return a dimension or group in words."""
    return shown(str(name).replace("_", " "))


def _colours(models: list[str]) -> dict[str, str]:
    return {model: PALETTE[i % len(PALETTE)] for i, model in enumerate(models)}


def laid_out(figure: go.Figure, height: int, **extra: Any) -> go.Figure:
    """Return the figure with the layout that all of them share."""
    figure.update_layout(
        template=None,
        height=height,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 13},
        legend={"orientation": "h", "yref": "container", "y": 0, "x": 0, "yanchor": "bottom"},
        hoverlabel={"namelength": -1},
        **extra,
    )
    figure.update_xaxes(automargin=True, fixedrange=True)
    figure.update_yaxes(automargin=True, fixedrange=True)
    return figure


def mark_simulated(figure: go.Figure) -> None:
    """Mark a figure as simulated."""
    figure.update_layout(margin={"t": max(26, figure.layout.margin.t)})
    figure.add_annotation(
        text="SIMULATED", xref="paper", yref="paper", x=0, y=1, xanchor="left", yanchor="bottom", showarrow=False,
        font={"color": "#d32f2f", "size": 12},
    )  # fmt: skip


def _error(frame: pd.DataFrame) -> dict[str, Any]:
    return {
        "type": "data", "symmetric": False, "array": (frame["high"] - frame["mean"]).tolist(),
        "arrayminus": (frame["mean"] - frame["low"]).tolist(), "thickness": 1.5, "width": 4,
    }  # fmt: skip


def ranking(by_judge: pd.DataFrame, models: list[str]) -> go.Figure:
    """Return means with 95 % intervals: one row per model (best on top), one symbol per judge."""
    figure, labels = go.Figure(), short(models)
    judges = sorted(by_judge["judge"].unique())
    judge_labels = short(judges)
    for i, judge in enumerate(judges):
        part = by_judge[by_judge["judge"] == judge].set_index("model").reindex(models).dropna(subset="mean")
        offset = (i - (len(judges) - 1) / 2) * 0.22
        rows = [len(models) - 1 - models.index(m) - offset for m in part.index]
        figure.add_scatter(
            x=part["mean"], y=rows, error_x=_error(part), mode="markers", name=f"judge {judge_labels[judge]}",
            marker={"size": 10, "symbol": SYMBOLS[i % len(SYMBOLS)], "color": PALETTE[i % len(PALETTE)]},
            customdata=[labels[m] for m in part.index],
            hovertemplate="%{customdata}: %{x:.3f}<extra></extra>",
        )  # fmt: skip
    figure.update_yaxes(
        tickvals=list(range(len(models))), ticktext=[labels[m] for m in reversed(models)], zeroline=False,
        range=[-0.6, len(models) - 0.4],
    )  # fmt: skip
    figure.update_xaxes(title="weighted score, 1 to 5", zeroline=False)
    return laid_out(figure, 130 + 44 * len(models), showlegend=len(judges) > 1)


def radar(dimension: pd.DataFrame, models: list[str]) -> go.Figure:
    """Return the five dimensions of each model; the legend switches models on and off."""
    figure, colours, labels = go.Figure(), _colours(models), short(models)
    names = [label(d).replace(" ", "<br>") for d in DIMENSIONS]
    for model in models:
        part = dimension[dimension["model"] == model].set_index("dimension")["mean"].reindex(list(DIMENSIONS))
        values = [*part.tolist(), part.iloc[0]]
        figure.add_scatterpolar(
            r=values, theta=[*names, names[0]], name=labels[model], line={"color": colours[model], "width": 2},
            hovertemplate=labels[model] + " %{theta}: %{r:.2f}<extra></extra>",
        )  # fmt: skip
    figure.update_polars(
        radialaxis={"range": [1, 5], "tickvals": [1, 2, 3, 4, 5], "angle": 90, "tickangle": 90},
        bgcolor="rgba(0,0,0,0)",
        domain={"y": [0.12, 1]},
    )
    laid_out(figure, 430 + 12 * len(models))
    return figure.update_layout(margin={"l": 74, "r": 74, "t": 40, "b": 8})


def heatmap(modality: pd.DataFrame, models: list[str]) -> go.Figure:
    """Return mean scores, modalities down and models across."""
    labels = short(models)
    table = modality.pivot_table(index="modality", columns="model", values="mean")
    table = table.reindex(columns=models).reindex([m for m in MODALITIES if m in table.index])
    text = np.where(table.notna(), table.round(2).map("{:.2f}".format), "")
    figure = go.Figure(
        go.Heatmap(
            z=table.to_numpy(), x=[labels[m] for m in table.columns], y=[label(m) for m in table.index], text=text,
            texttemplate="%{text}", colorscale=BLUES, textfont={"color": "#1b1f24"}, zmin=1, zmax=5,
            showscale=False, xgap=2, ygap=2,
            hovertemplate="%{y}, %{x}: %{z:.2f}<extra></extra>",
        )
    )  # fmt: skip
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_xaxes(tickangle=-45, showgrid=False)
    return laid_out(figure, 170 + 36 * len(table))


def difficulty(frame: pd.DataFrame, models: list[str]) -> go.Figure:
    """Return each model's mean from easy to expert, with intervals."""
    figure, colours, labels = go.Figure(), _colours(models), short(models)
    levels = [d for d in DIFFICULTIES if d in set(frame["difficulty"])]
    for i, model in enumerate(models):
        part = frame[frame["model"] == model].set_index("difficulty").reindex(levels)
        shift = (i - (len(models) - 1) / 2) * min(0.06, 0.5 / max(1, len(models)))
        figure.add_scatter(
            x=[k + shift for k in range(len(levels))], y=part["mean"], error_y=_error(part), name=labels[model],
            mode="lines+markers", line={"color": colours[model], "width": 2}, marker={"size": 7},
            hovertemplate=labels[model] + ": %{y:.2f}<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(tickvals=list(range(len(levels))), ticktext=[label(x) for x in levels], zeroline=False)
    figure.update_yaxes(title="weighted score", zeroline=False)
    return laid_out(figure, 400 + 12 * len(models))


def agreement(frame: pd.DataFrame) -> go.Figure | None:
    """Return quadratic-weighted kappa of each dimension and pair of judges, or None with one judge."""
    if frame.empty:
        return None
    labels = short([*frame["judge"], *frame["other"]])
    pair = frame["judge"].map(labels) + "<br>" + frame["other"].map(labels)
    table = frame.assign(pair=pair).pivot_table(index="dimension", columns="pair", values="kappa", dropna=False)
    table = table.reindex(list(DIMENSIONS))
    text = np.where(table.notna(), table.round(2).map("{:.2f}".format), "no variation")
    figure = go.Figure(
        go.Heatmap(
            z=table.to_numpy(), x=list(table.columns), y=[label(d) for d in table.index], text=text, zmin=0, zmax=1,
            texttemplate="%{text}", colorscale=BLUES, textfont={"color": "#1b1f24"}, showscale=False, xgap=2, ygap=2,
            hovertemplate="%{y}, %{x}: %{z:.2f}<extra></extra>",
        )
    )  # fmt: skip
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_xaxes(showgrid=False)
    return laid_out(figure, 320)


def length(per_answer: pd.DataFrame, models: list[str]) -> go.Figure:
    """Return score against answer length, one point per answer."""
    figure, colours, labels = go.Figure(), _colours(models), short(models)
    for model in models:
        part = per_answer[per_answer["model"] == model]
        figure.add_scatter(
            x=part["words"], y=part["score"], mode="markers", name=labels[model],
            customdata=part["question_id"].map(shown),
            marker={"color": colours[model], "size": 7, "opacity": 0.65},
            hovertemplate=labels[model] + " %{customdata}: %{x} words, %{y:.2f}<extra></extra>",
        )  # fmt: skip
    ticks = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000]
    figure.update_xaxes(title="words in the answer (log scale)", type="log", tickvals=ticks, zeroline=False)
    figure.update_yaxes(title="weighted score", zeroline=False)
    return laid_out(figure, 400 + 12 * len(models))
