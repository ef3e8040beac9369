"""Figures of the power page: power and interval width against what a mission can have more of, and coverage."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from somb_utils.labels import metric_name
from somb_utils.plots.style import PALETTE, QUIET, figure, legend_below, new
from somb_utils.studies.coverage import design_of

USUAL = {"task": "A1", "model": "logreg", "crew": 4, "timepoints": 7, "features": 20}
TINTS = dict(zip((0.0, 0.25, 0.5, 1.0), ("#7F7F7F", *PALETTE[:3]), strict=True))  # by effect
LABELS = {
    "crew": "crew members",
    "timepoints": "time points per crew member",
    "columns": "features",
    "rows": "metabolites",
}


@figure
def by_crew(table: pd.DataFrame) -> Figure:
    """Draw power and the width of the score's interval against the number of crew, one line per effect.

    Parameters
    ----------
    table
        Rows of :func:`somb_utils.studies.power.stored` that differ in crew and effect.
    """
    made, (left, right) = new(9.5, 4.2, 1, 2, gridspec_kw={"wspace": 0.08})
    power_panel(left, table, "crew")
    for effect, rows in table.groupby("effect"):
        right.plot(rows["crew"], rows["width"], "o-", color=TINTS[float(str(effect))], ms=5, lw=1.5)
    _counts(right, table["crew"])
    right.set(xlabel=LABELS["crew"], ylabel="mean width of the 95 % interval", ylim=(0, None))
    left.set_title(f"Power ({_missions(table)} missions a point)")
    right.set_title("Width of the score's interval")
    legend_below(left, 5)
    return made


@figure
def by_size(parts: Sequence[tuple[str, pd.DataFrame]]) -> Figure:
    """Draw power against the sizes of missions, a panel for each, one line per effect.

    Parameters
    ----------
    parts
        The column that a panel's missions differ in (timepoints, columns or rows), and their rows.
    """
    made, panels = new(3.3 * len(parts), 3.9, 1, len(parts), sharey=True, squeeze=False)
    for axes, (column, table) in zip(panels[0], parts, strict=True):
        power_panel(axes, table, column)
        axes.set_ylabel("power (%)" if axes is panels[0, 0] else "")
        axes.set_title(f"{table['task'].iloc[0]}: {LABELS[column]}")
    legend_below(panels[0, -1], 5)
    return made


def power_panel(axes: Axes, table: pd.DataFrame, column: str) -> None:
    """Draw power with its Wilson intervals against a column, effects side by side, and the type I error rate."""
    effects = sorted(table["effect"].unique())
    for effect in effects:
        rows = table[table["effect"] == effect].sort_values(column)
        at = rows[column] * 1.035 ** (effects.index(effect) - (len(effects) - 1) / 2)
        ends = 100 * np.abs(rows[["low", "high"]].to_numpy().T - rows["power"].to_numpy())
        label = f"effect {effect:g}" + (" (no signal)" if not effect else "")
        axes.errorbar(
            at,
            100 * rows["power"],
            ends,
            fmt="o-",
            color=TINTS[effect],
            ms=5,
            lw=1.5,
            elinewidth=1,
            capsize=2,
            label=label,
        )
    axes.axhline(5, color="black", ls="--", lw=1, label="5 %")
    _counts(axes, table[column])
    axes.set(xlabel=LABELS[column], ylabel="power (%)", ylim=(-3, 103))


def _counts(axes: Axes, counts: pd.Series) -> None:
    axes.set_xscale("log", base=2)
    ticks = sorted(counts.unique())
    axes.set_xticks(ticks, [f"{count:,}" for count in ticks])
    axes.xaxis.set_minor_locator(NullLocator())


def _missions(table: pd.DataFrame) -> str:
    least, most = table["missions"].min(), table["missions"].max()
    return f"{least}" if least == most else f"{most} to {least}"


@figure
def coverage(table: pd.DataFrame) -> Figure:
    """Draw the coverage of the 95 % interval, one line per setting, beside what plain percentiles would have.

    Parameters
    ----------
    table
        Of :func:`somb_utils.studies.coverage.stored`, with a column ``design`` that describes a setting in words.
    """
    made, axes = new(8.5, 1.6 + 0.235 * len(table))
    place = np.arange(len(table))
    axes.axvspan(93, 97, color="#009E73", alpha=0.15, lw=0, label="93 to 97 %")
    axes.axvline(95, color="black", ls="--", lw=1)
    axes.scatter(100 * table["percentile"], place, s=26, fc="white", ec=QUIET, lw=1.4, label="plain percentiles")
    axes.hlines(place, 100 * table["low"], 100 * table["high"], color=PALETTE[0], lw=1.5)
    axes.scatter(100 * table["coverage"], place, s=26, color=PALETTE[0], zorder=3, label="the interval used here")
    axes.set_yticks(place, table["design"], fontsize=8.5)
    axes.set(xlabel="intervals that hold the truth (%)", ylim=(len(table) - 0.4, -0.6), xlim=(None, 100.5))
    axes.set_title(f"Coverage of 95 % intervals ({_missions(table)} missions a line)")
    axes.grid(False, axis="y")
    legend_below(axes, 3)
    return made


def varied(table: pd.DataFrame, *columns: str, **base: Any) -> pd.DataFrame:
    """Return the settings that differ from a setting's defaults, or from `base`, in effect and these columns alone."""
    usual = {**USUAL, **base}
    fixed = {key: usual[key] for key in ("task", "crew", "timepoints", "features", "model") if key not in columns}
    return table[(table[list(fixed)] == pd.Series(fixed)).all(axis=1)]


def needed(table: pd.DataFrame, effect: float, power: float = 0.8) -> str:
    """Return, in words, the smallest crew that reaches this power."""
    crew = varied(table, "crew").query("effect == @effect and power >= @power")["crew"]
    return f"{crew.min()} crew" if len(crew) else "more crew than were simulated"


def share(row: pd.Series) -> str:
    """Return a setting's power in words, with its interval."""
    return f"{100 * row['power']:.0f} % [{100 * row['low']:.0f}, {100 * row['high']:.0f}]"


def lines(table: pd.DataFrame) -> list[str]:
    """Return each setting of the stored table in words: metric, expected score, design, whether groups are alike."""
    return [_line(row) for row in table.to_dict("records")]


def _line(row: Mapping[Any, Any]) -> str:
    groups = (", unlike" if row["group_sd"] else ", alike") if row["groups"] else ""
    return f"{metric_name(row['metric'])} {row['truth']:.2f}: {design_of(row)}{groups}"
