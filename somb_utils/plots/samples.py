"""Figures of samples: who was sampled when, what is missing, how samples lie to one another and change."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import StandardScaler

from somb_utils.plots.style import (
    COLOURS,
    MARKERS,
    PHASES,
    QUIET,
    colours_of,
    figure,
    in_order,
    legend_below,
    new,
    words,
)


def mission_order(samples: pd.DataFrame) -> list[str]:
    """Return the time points of a sample table in the order of the mission.

    Days of flight count from launch and the others from launch or return, so the phase sorts first.
    """
    days = samples.drop_duplicates("timepoint")
    order = pd.DataFrame({"phase": days["phase"].map(PHASES.index), "day": days["timepoint_days"]})
    return days.loc[order.sort_values(["phase", "day"]).index, "timepoint"].tolist()


@figure
def timeline(samples: pd.DataFrame, what: str = "samples") -> Figure:
    """Draw who was sampled when.

    Parameters
    ----------
    samples
        Columns crew, timepoint, timepoint_days, phase; a row a sample.
    what
        What a sample is, for the title.

    Returns
    -------
    Figure
        Of matplotlib.
    """
    times, crew = mission_order(samples), sorted(samples["crew"].unique())
    fig, ax = new(8, 1.6 + 0.4 * len(crew))
    absent = [(t, c) for t in times for c in crew if not ((samples.timepoint == t) & (samples.crew == c)).any()]
    if absent:
        x, y = [times.index(t) for t, _ in absent], [crew.index(c) for _, c in absent]
        ax.scatter(x, y, marker="x", color=QUIET, s=50, label="no sample")
    for phase in in_order(samples["phase"]):
        rows = samples[samples["phase"] == phase]
        column, line = rows["timepoint"].map(times.index), rows["crew"].map(crew.index)
        ax.scatter(column, line, s=130, color=COLOURS.get(phase, QUIET), label=words(phase), zorder=2)
    draw_flight(ax, samples, times)
    per_time = samples["timepoint"].value_counts()
    ax.set_xticks(range(len(times)), [f"{t}\nn = {per_time[t]}" for t in times])
    ax.set_yticks(range(len(crew)), [f"{c} (n = {(samples.crew == c).sum()})" for c in crew])
    ax.set(
        xlabel="day before launch (L) or after return (R)", xlim=(-0.5, len(times) - 0.5), ylim=(len(crew) - 0.5, -0.5)
    )
    ax.set_title(f"N = {len(samples)} {what}, {len(crew)} crew")
    ax.grid(False)
    legend_below(ax)
    return fig


def draw_flight(ax: Axes, samples: pd.DataFrame, times: list[str]) -> None:
    """Mark a flight that was not sampled, between the last time point before launch and the first after return."""
    before = samples.loc[samples["phase"] == "pre_flight", "timepoint"].nunique()
    if 0 < before < len(times) and "in_flight" not in set(samples["phase"]):
        ax.axvspan(before - 0.62, before - 0.38, color="#E69F00", alpha=0.35, lw=0, label="flight", zorder=0)


@figure
def missing(X: pd.DataFrame, what: str = "features") -> Figure:
    """Draw which cells of a samples × features table are missing, in the features that lack any.

    Parameters
    ----------
    X
        Rows are samples; NaN where missing.
    what
        What the columns are.

    Returns
    -------
    Figure
        Of matplotlib.
    """
    lacking = X.isna().sum().sort_values(ascending=False, kind="stable")
    absent = X[lacking.index[lacking > 0]].isna()
    n, cells = absent.shape[1], X.isna().to_numpy().mean()
    fig, ax = new(8, (1.8 + 0.12 * len(X)) if n else 0.9)
    ax.grid(False)
    ax.set_title(f"{cells:.1%} of cells missing (dark), in {n:,} of {X.shape[1]:,} {what}; N = {len(X)} samples")
    if n == 0:
        ax.set_axis_off()
        return fig
    ax.imshow(absent, aspect="auto", cmap="Greys", vmin=0, vmax=1.3, interpolation="nearest")
    ax.set_yticks(range(len(X)), X.index, fontsize=6.5)
    ax.set_xlabel(f"{what} that lack any (n = {n:,}), most often missing first")
    if n <= 40:
        ax.set_xticks(range(n), [words(c) for c in absent], rotation=30, ha="right", fontsize=7.5)
    return fig


@figure
def pca(X: pd.DataFrame, samples: pd.DataFrame, what: str = "features", colour: str = "phase") -> Figure:
    """Draw the first two principal components of mean-imputed, standardised features.

    Parameters
    ----------
    X
        Samples × features, numbers.
    samples
        Columns crew and `colour`, same index.
    what
        What the columns are.
    colour
        Column that colours points.

    Returns
    -------
    Figure
        Of matplotlib.
    """
    filled = StandardScaler().fit_transform(SimpleImputer().fit_transform(X.loc[:, X.notna().any()]))
    fitted = PCA(2, random_state=42).fit(filled)
    points = fitted.transform(filled)
    points *= np.sign(points[np.abs(points).argmax(axis=0), [0, 1]])
    fig, ax = new(7, 4.6)
    colours = colours_of(in_order(samples[colour]))
    for group, crew in sorted({(str(g), str(c)) for g, c in zip(samples[colour], samples["crew"], strict=True)}):
        at = ((samples[colour] == group) & (samples["crew"] == crew)).to_numpy()
        ax.scatter(*points[at].T, color=colours[group], marker=MARKERS.get(crew, "o"), s=60, ec="white", lw=0.6)
    for group, tint in colours.items():
        ax.scatter(
            [], [], color=tint, marker="o", s=60, label=f"{words(group)} (n = {(samples[colour] == group).sum()})"
        )
    for crew in sorted(set(samples["crew"]) & set(MARKERS)):
        ax.scatter([], [], color="white", ec="black", marker=MARKERS[crew], s=50, label=crew)
    for axis, k in ((ax.xaxis, 0), (ax.yaxis, 1)):
        axis.set_label_text(f"component {k + 1} ({fitted.explained_variance_ratio_[k]:.0%} of variance)")
    ax.set_title(f"N = {len(X)} samples, {X.shape[1]:,} {what}")
    ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return fig
