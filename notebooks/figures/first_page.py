"""Pictures of README and of the book's first page: what was measured on whom and when, and what models reach.

``make pictures`` draws them anew into ``book/_static``, from the real tables and the stored canonical scores.
"""

import json
import os
import sys
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from somb_utils.errors import SombError
from somb_utils.paths import sha256_of
from somb_utils.plots.samples import mission_order
from somb_utils.plots.style import COLOURS, PALETTE, QUIET, figure, in_order, new, words
from somb_utils.reference.canonical import PROVENANCE, SCORES, canonical_scores
from somb_utils.runs.baselines import TRIVIAL
from somb_utils.stats import above_chance
from somb_utils.tables.sources import Source, resolve_source
from somb_utils.tasks.definitions import PROTOCOLS, catalogue
from somb_utils.tasks.task_data import TaskData, load_task

FOLDER = Path(__file__).parents[2] / "book" / "_static"
# What was measured, and the table whose samples it is; of the microbiome, people and capsule have one table.
MEASURED = {
    "blood count, metabolic panel": ("clinical_cbc", None),
    "serum cytokines": ("clinical_cytokines_eve", None),
    "plasma proteins": ("proteomics_plasma_matrix", None),
    "proteins of vesicles": ("proteomics_evp_matrix", None),
    "plasma metabolites": ("metabolomics_metadata", None),
    "skin biopsies, spatial RNA": ("spatial_metadata", None),
    "microbes of skin, mouth, nose, gut": ("microbiome_metadata", "human"),
    "microbes of the capsule": ("microbiome_metadata", "environmental"),
}


def samples_of(source: Source) -> pd.DataFrame:
    """Return every sample of the Inspiration4 crew and of their capsule, with what was measured."""
    parts = []
    for what, (name, origin) in MEASURED.items():
        table = source.load(name)
        table = table if origin is None else table[table["source"] == origin]
        parts.append(table[["crew", "timepoint", "timepoint_days", "phase"]].assign(measured=what))
    return pd.concat(parts, ignore_index=True)


@figure
def measured(samples: pd.DataFrame, mice: TaskData) -> Figure:
    """Draw how many samples each measurement has on each day, and how many samples of mice each tissue has."""
    fig, (people, animals) = new(9, 4.2, columns=2, width_ratios=[2.6, 1])
    times, rows = mission_order(samples), list(MEASURED)
    for phase in in_order(samples["phase"]):
        counts = samples[samples["phase"] == phase].groupby(["measured", "timepoint"]).size()
        x, y = (
            [order.index(name) for name in counts.index.get_level_values(n)] for n, order in ((1, times), (0, rows))
        )
        people.scatter(x, y, s=120 + 4 * counts, color=COLOURS[phase], label=words(phase), zorder=2)
        for column, row, count in zip(x, y, counts, strict=True):
            people.text(column, row, f"{count}", color="white", ha="center", va="center", fontsize=8, weight="bold")
    people.set_xticks(range(len(times)), times, fontsize=8)
    people.set_yticks(range(len(rows)), rows)
    people.set(xlim=(-0.6, len(times) - 0.4), ylim=(len(rows) - 0.5, -0.6))
    people.set_xlabel("day before launch (L), of flight (FD), after return (R)")
    crew = samples.loc[samples["crew"] != "capsule", "crew"].nunique()
    people.set_title(f"{crew} astronauts: samples by day")
    people.legend(loc="upper center", bbox_to_anchor=(0.4, -0.17), ncols=4, markerscale=0.6, handletextpad=0.1)
    counts = pd.crosstab(mice.groups, mice.y).sort_values("flight", ascending=False)
    animals.barh(range(len(counts)), counts["flight"], color=PALETTE[1], label="in flight")
    animals.barh(range(len(counts)), counts["ground"], left=counts["flight"], color=QUIET, label="on the ground")
    animals.set_yticks(range(len(counts)), counts.index)
    animals.set(ylim=(len(counts) - 0.4, -0.6), xlabel="samples")
    animals.set_title(f"Mice, {len(mice.task.missions)} missions")
    animals.grid(False, axis="y")
    animals.legend(loc="upper center", bbox_to_anchor=(0.25, -0.17))
    return fig


def against_chance() -> pd.DataFrame:
    """Return the canonical scores of models that learn, rescaled so that chance is 0 and a perfect score 1."""
    scores = canonical_scores()
    scores = scores[(scores["protocol"] == PROTOCOLS[0]) & ~scores["model"].isin(TRIVIAL)]
    rescaled = {key: (scores[key] - scores["chance"]) / (1 - scores["chance"]) for key in ("mean", "low", "high")}
    return scores.assign(**rescaled, above=above_chance(scores))


def draw_chance(ax: Axes, scores: pd.DataFrame, size: float) -> None:
    """Draw the models of each task, filled where above chance, and the interval of the best."""
    tasks = list(scores["task"].unique())
    ax.axvline(0, color="#444444", linewidth=1.2)
    for row, (_, models) in enumerate(scores.groupby("task", sort=False)):
        best = models.loc[models["mean"].idxmax()]
        ax.plot(
            [best["low"], best["high"]], [row, row], color=COLOURS[best["model"]], alpha=0.35, linewidth=5, zorder=1
        )
        for point in models.itertuples():
            colour = COLOURS[point.model]
            ax.scatter(point.mean, row, s=size, color=colour if point.above else "white", edgecolor=colour, zorder=2)
    ax.set(xlim=(-0.2, 1.02), ylim=(len(tasks) - 0.4, -0.6))
    ax.set_yticks(range(len(tasks)), tasks)
    ax.set_xticks([0, 0.25, 0.5, 0.75, 1], ["chance", "", "half way", "", "perfect"])


@figure
def chance(scores: pd.DataFrame) -> Figure:
    """Draw what models reach against chance, task by task."""
    fig, ax = new(9, 5.4)
    draw_chance(ax, scores, 38)
    tasks = list(scores["task"].unique())
    ax.set_yticks(range(len(tasks)), [f"{catalogue()[task].name}  {task}" for task in tasks], fontsize=9)
    n_above = scores.groupby("task")["above"].any().sum()
    ax.set_title(f"On {n_above} of {len(tasks)} tasks, some baseline is above chance")
    dot = {"marker": "o", "linestyle": ""}
    marks = [Line2D([], [], **dot, color=COLOURS[model], label=model) for model in scores["model"].unique()]
    hollow = Line2D([], [], **dot, markerfacecolor="white", color="#444444", label="not above chance (q ≥ 0.05)")
    line = Line2D([], [], color="#444444", alpha=0.35, linewidth=5, label="95 % interval of the best")
    fig.legend(handles=[*marks, hollow, line], loc="outside lower center", ncols=7, handletextpad=0.2, columnspacing=1)
    return fig


@figure
def card(scores: pd.DataFrame) -> Figure:
    """Draw what a link to the book shows in a message: 1200 × 630 pixels."""
    fig, (text, ax) = new(12, 6.3, columns=2, width_ratios=[1.1, 1])
    fig.get_layout_engine().set(rect=(0.03, 0.03, 0.94, 0.94))
    text.set_axis_off()
    text.text(0, 0.95, "SpaceOmicsBench", fontsize=32, weight="bold", va="top")
    asked = "How much can a model learn\nfrom the molecules of people\nwho went to space?"
    text.text(0, 0.78, asked, fontsize=20, va="top", linespacing=1.5)
    shown = "Scores of baselines on real tables:\nfilled where above chance,\nwith the 95 % interval of the best"
    text.text(0, 0.36, shown, fontsize=16, va="top", color="#444444", linespacing=1.4)
    draw_chance(ax, scores, 70)
    return fig


def provenance() -> str:
    """Return which stored scores the pictures are of, as it stands in them."""
    digest = sha256_of(SCORES)
    runs = json.loads(PROVENANCE.read_text(encoding="utf-8"))["source"]
    return f"Published tables ({runs}); {SCORES.name} sha256 {digest}"


def main() -> None:
    """Draw all pictures anew; without the real tables, say so."""
    source = resolve_source(os.environ.get("SOMB_DATA") or "open")
    told = {"Description": provenance(), "Date": None}
    scores = against_chance()
    with mpl.rc_context({"svg.fonttype": "none", "font.sans-serif": ["DejaVu Sans", "Verdana", "sans-serif"]}):
        drawn = {"measured": measured(samples_of(source), load_task("J7", source=source)), "chance": chance(scores)}
        for name, fig in drawn.items():
            fig.savefig(FOLDER / f"{name}.svg", metadata=told)
        card(scores).savefig(FOLDER / "card.png", metadata={"Description": provenance()})
    print(*sorted(FOLDER.glob("*.svg")), FOLDER / "card.png", sep="\n")


if __name__ == "__main__":
    try:
        main()
    except SombError as error:
        sys.exit(f"error: {error}")
