"""Figures and tables of the power page: power and interval width, tests of phase, pairs of models, and coverage."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from somb_utils.labels import metric_name
from somb_utils.plots.style import PALETTE, QUIET, figure, legend_below, new
from somb_utils.reference import canonical
from somb_utils.runs.baselines import TRIVIAL
from somb_utils.runs.day import relabellings
from somb_utils.stats.paired import COLUMNS
from somb_utils.stats.permutation import ALPHA, N_PERMUTATIONS, SEED, adjusted
from somb_utils.studies.coverage import design_of
from somb_utils.studies.experiments import FOLDS, SIGNALS
from somb_utils.tasks.day import phase_days
from somb_utils.tasks.task_data import TaskData

USUAL = {"task": "A1", "model": "logreg", "crew": 4, "timepoints": 7, "features": 20, "test": "labels"}
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
    fig, (left, right) = new(9.5, 4.2, 1, 2, gridspec_kw={"wspace": 0.08})
    power_panel(left, table, "crew")
    for effect, rows in table.groupby("effect"):
        right.plot(rows["crew"], rows["width"], "o-", color=TINTS[float(str(effect))], ms=5, lw=1.5)
    _counts(right, table["crew"])
    right.set(xlabel=LABELS["crew"], ylabel="mean width of the 95 % interval", ylim=(0, None))
    left.set_title(f"Power ({_missions(table)} missions a point)")
    right.set_title("Width of the score's interval")
    legend_below(left, 5)
    return fig


@figure
def by_size(parts: Sequence[tuple[str, pd.DataFrame]]) -> Figure:
    """Draw power against the sizes of missions, a panel for each, one line per effect.

    Parameters
    ----------
    parts
        The column that a panel's missions differ in (timepoints, columns or rows), and their rows.
    """
    fig, axes = new(3.3 * len(parts), 3.9, 1, len(parts), sharey=True, squeeze=False)
    for ax, (column, table) in zip(axes[0], parts, strict=True):
        power_panel(ax, table, column)
        ax.set_ylabel("power (%)" if ax is axes[0, 0] else "")
        ax.set_title(f"{table['task'].iloc[0]}: {LABELS[column]}")
    legend_below(axes[0, -1], 5)
    return fig


def power_panel(ax: Axes, table: pd.DataFrame, column: str) -> None:
    """Draw power with its Wilson intervals against a column, effects side by side, and the type I error rate."""
    effects = sorted(table["effect"].unique())
    for effect in effects:
        rows = table[table["effect"] == effect].sort_values(column)
        at = rows[column] * 1.035 ** (effects.index(effect) - (len(effects) - 1) / 2)
        ends = 100 * np.abs(rows[["low", "high"]].to_numpy().T - rows["power"].to_numpy())
        label = f"effect {effect:g}" + (" (no signal)" if not effect else "")
        ax.errorbar(
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
    ax.axhline(5, color="black", ls="--", lw=1, label="5 %")
    _counts(ax, table[column])
    ax.set(xlabel=LABELS[column], ylabel="power (%)", ylim=(-3, 103))


def _counts(ax: Axes, counts: pd.Series) -> None:
    ax.set_xscale("log", base=2)
    ticks = sorted(counts.unique())
    ax.set_xticks(ticks, [f"{count:,}" for count in ticks])
    ax.xaxis.set_minor_locator(NullLocator())


def _missions(table: pd.DataFrame) -> str:
    least, most = table["missions"].min(), table["missions"].max()
    return f"{least}" if least == most else f"{most} to {least}"


@figure
def coverage(table: pd.DataFrame) -> Figure:
    """Draw the coverage of the 95 % interval, one line per design and one dot per strength of the signal.

    Parameters
    ----------
    table
        Of :func:`somb_utils.studies.coverage.stored`, with a column ``design`` that describes a setting in words.
    """
    designs = list(table["design"].unique())
    fig, ax = new(8.5, 1.8 + 0.26 * len(designs))
    ax.axvline(95, color="black", ls="--", lw=1, label="95 %")
    grouped = table[table["groups"] > 0]
    ax.scatter(
        *(100 * grouped["percentile"], grouped["design"].map(designs.index)),
        **{"s": 22, "fc": "white", "ec": QUIET, "lw": 1.2, "label": "plain percentiles (groups)"},
    )
    for number, (signal, colour) in enumerate(zip(SIGNALS, ("#7F7F7F", *PALETTE[:2]), strict=True)):
        rows = table[table["signal"] == signal]
        place = rows["design"].map(designs.index) + 0.22 * (number - 1)
        ax.hlines(place, 100 * rows["low"], 100 * rows["high"], color=colour, lw=1)
        label = {"none": "no signal"}.get(signal, f"{signal} signal")
        ax.scatter(100 * rows["coverage"], place, s=20, color=colour, zorder=3, label=label)
    ax.set_yticks(range(len(designs)), designs, fontsize=8.5)
    ax.set(xlabel="intervals that cover the expected score (%)", ylim=(len(designs) - 0.4, -0.6), xlim=(None, 100.5))
    ax.set_title(f"Coverage of 95 % intervals ({_missions(table)} simulated studies a dot)")
    ax.grid(False, axis="y")
    legend_below(ax, 5)
    return fig


def varied(table: pd.DataFrame, *columns: str, **base: Any) -> pd.DataFrame:
    """Return the settings that differ from a setting's defaults, or from `base`, in effect and these columns alone."""
    usual = {**USUAL, **base}
    fixed = {key: usual[key] for key in USUAL if key not in columns}
    return table[(table[list(fixed)] == pd.Series(fixed)).all(axis=1)]


def needed(table: pd.DataFrame, effect: float, power: float = 0.8) -> str:
    """Return, in words, the smallest crew that reaches this power."""
    crew = varied(table, "crew").query("effect == @effect and power >= @power")["crew"]
    return f"{crew.min()} crew" if len(crew) else "more crew than were simulated"


def share(row: pd.Series) -> str:
    """Return a setting's power in words, with its interval."""
    return f"{100 * row['power']:.0f} % [{100 * row['low']:.0f}, {100 * row['high']:.0f}]"


def assignments(phase_tasks: Iterable[TaskData]) -> pd.DataFrame:
    """Return in how many ways the phases can be assigned to a task's days, and the smallest p-value; indexed by task.

    Columns: crew, days, assignments and floor.
    """
    rows = {}
    for data in phase_tasks:
        of_day = data.y.groupby(phase_days(data)).first().map(data.task.classes.index).to_numpy()
        n = len(relabellings(of_day, N_PERMUTATIONS, SEED))
        rows[data.name] = [data.groups.nunique(), len(of_day), n, round(1 / n, 4)]
    columns = ["crew", "days", "assignments", "floor"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("task")


def tests_needed(n_tests: int, p: float) -> int | None:
    """Return how many of so many tests need a p-value of `p` for its q to be below the level; None if all do not do."""
    counts = range(1, n_tests + 1)
    return next((k for k in counts if adjusted(np.r_[np.full(k, p), np.ones(n_tests - k)])[0] < ALPHA), None)


def stored_pairs() -> pd.DataFrame:
    """Return the stored paired differences between the learning models of the canonical run; empty if none are kept."""
    if not canonical.PAIRS.is_file():
        return pd.DataFrame(columns=COLUMNS)
    pairs = canonical.canonical_pairs()
    return pairs[~pairs[["a", "b"]].isin(TRIVIAL).any(axis=1)]


def separated(pairs: pd.DataFrame, *by: str) -> pd.DataFrame:
    """Count the pairs of models that differ significantly, by protocol and what is sampled, or by other columns.

    Columns: pairs, separated (the interval of the paired difference excludes 0), p_these and p_new (at most 0.05).
    """
    sampled = np.where(pairs["test"] == "sign flip", "people", "genes, proteins, metabolites, pathways")
    counted = pairs.assign(
        sampled=sampled,
        separated=(pairs["low"] > 0) | (pairs["high"] < 0),
        **{column: pairs[column] <= ALPHA for column in ("p_these", "p_new")},
    )
    parts = counted.groupby(list(by) or ["protocol", "sampled"])
    return parts[["separated", "p_these", "p_new"]].sum().assign(pairs=parts.size())


def separated_text(pairs: pd.DataFrame) -> str:
    """Say how many pairs each protocol separates, and whether those of `rigorous` are stored."""
    table = separated(pairs)
    sentences = [
        f"Under `{protocol}`, {row['separated']} of {row['pairs']} pairs on samples of {sampled} differ significantly."
        for (protocol, sampled), row in table.iterrows()
    ]
    if "rigorous" not in set(pairs["protocol"]):
        sentences.append("No pairs under `rigorous` are stored yet: `somb readme --store` keeps those of a run.")
    return " ".join(sentences)


def lines(table: pd.DataFrame) -> list[str]:
    """Return the design of each setting of the stored table in words: metric, sample, how groups respond, folds."""
    return [_line(row) for row in table.to_dict("records")]


def _line(row: Mapping[Any, Any]) -> str:
    more = ("unlike" if row["response_sd"] else "alike") if row["groups"] else FOLDS[row["folds"]]
    return f"{metric_name(row['metric'])}: {design_of(row)}, {more}"
