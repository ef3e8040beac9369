"""The published reference scores, as the evaluation notebook shows them."""

from typing import Any

import pandas as pd

from somb_utils.llm.report.summary import PUBLISHED


def published() -> pd.DataFrame:
    """Return the published weighted scores: judge, model, host, weighted_score."""
    return pd.read_csv(PUBLISHED).fillna({"host": ""})


def cross_judge() -> pd.DataFrame:
    """Return the published scores of the two models that judged each other: answering model × judge."""
    table = published()
    both = {"Claude Sonnet 4", "GPT-4o"}
    table = table[table["judge"].isin(both) & table["model"].isin(both)]
    return table.pivot(index="model", columns="judge", values="weighted_score").rename_axis(
        index="answers by", columns="judged by"
    )


def say_cross_judge() -> None:
    """Say how much the published lead depends on the judge."""
    from IPython.display import Markdown, display

    table = cross_judge()
    lead = table.loc["Claude Sonnet 4"] - table.loc["GPT-4o"]
    display(
        Markdown(
            f"Claude Sonnet 4 leads by {lead['Claude Sonnet 4']:.2f} points when it judges itself, and by "
            f"{lead['GPT-4o']:.2f} when GPT-4o does. GPT-4o gives both higher marks."
        )
    )


def published_figure() -> None:
    """Show the published scores of all models by one judge."""
    from somb_utils.notebook import show
    from somb_utils.plots.style import PALETTE, QUIET, figure, new

    table = published()
    table = table[table["judge"] == "Claude Sonnet 4.6"].sort_values("weighted_score", kind="stable")
    labels = [f"{model} ({host})" if host else model for model, host in table[["model", "host"]].to_numpy()]

    @figure
    def draw() -> Any:
        made, axes = new(7, 3.6)
        tint = PALETTE[0]
        axes.hlines(range(len(table)), 1, table["weighted_score"], color=QUIET, lw=1)
        axes.scatter(table["weighted_score"], range(len(table)), s=60, color=tint, zorder=3)
        for place, value in enumerate(table["weighted_score"]):
            axes.annotate(
                f"{value:.2f}", (value, place), xytext=(8, 0), textcoords="offset points", va="center", size=9
            )
        axes.set_yticks(range(len(table)), labels)
        axes.set_xlim(1, 5.3)
        axes.set_xlabel("weighted score, 1 to 5 (mean over N = 100 published questions)")
        axes.set_title("Published, judged by Claude Sonnet 4.6")
        return made

    show(draw())
