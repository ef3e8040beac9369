"""The published reference scores, as the evaluation notebook shows them."""

import pandas as pd
from matplotlib.figure import Figure

from somb_utils.llm.report.summary import PUBLISHED


def published() -> pd.DataFrame:
    """Return the published weighted scores: judge, model, host, weighted_score."""
    return pd.read_csv(PUBLISHED).fillna({"host": ""})


def cross_judge() -> pd.DataFrame:
    """Return the published scores of the models that judged each other: answering model × judge."""
    table = published()
    pairs = set(zip(table["judge"], table["model"], strict=True))
    mutual = {judge for judge, model in pairs if judge != model and (model, judge) in pairs}
    table = table[table["judge"].isin(mutual) & table["model"].isin(mutual)]
    return table.pivot(index="model", columns="judge", values="weighted_score").rename_axis(
        index="answers by", columns="judged by"
    )


def show_cross_judge() -> None:
    """Show how much the published lead depends on the judge."""
    from IPython.display import Markdown, display

    table = cross_judge()
    second, first = table.mean(axis=1).sort_values().index
    lead = table.loc[first] - table.loc[second]
    lenient = [judge for judge in table if (table[judge] == table.max(axis=1)).all()]
    more = f" {lenient[0]} scores both higher." if lenient else ""
    display(Markdown(
        f"{first} leads by {lead[first]:.2f} points when it judges itself, and by {lead[second]:.2f} when {second} "
        f"does.{more}"
    ))  # fmt: skip


def show_published() -> None:
    """Show the published scores of the judge that scored most models."""
    from somb_utils.notebook import show
    from somb_utils.plots.style import PALETTE, QUIET, figure, new

    table = published()
    judge = table["judge"].value_counts().idxmax()
    table = table[table["judge"] == judge].sort_values("weighted_score", kind="stable")
    labels = [f"{model} ({host})" if host else model for model, host in table[["model", "host"]].to_numpy()]

    @figure
    def draw() -> Figure:
        fig, ax = new(7, 3.6)
        ax.hlines(range(len(table)), 1, table["weighted_score"], color=QUIET, lw=1)
        ax.scatter(table["weighted_score"], range(len(table)), s=60, color=PALETTE[0], zorder=3)
        for place, value in enumerate(table["weighted_score"]):
            ax.annotate(f"{value:.2f}", (value, place), xytext=(8, 0), textcoords="offset points", va="center", size=9)
        ax.set_yticks(range(len(table)), labels)
        ax.set_xlim(1, 5.3)
        ax.set_xlabel("weighted score, 1 to 5 (mean over N = 100 published questions)")
        ax.set_title(f"Published, judged by {judge}")
        return fig

    show(draw())
