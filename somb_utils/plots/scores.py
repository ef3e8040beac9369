"""Figures of tasks and results: folds, scores against chance and the published ones, what the model uses."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from somb_utils.labels import metric_name
from somb_utils.plots.style import colours_of, figure, in_order, new, short, words
from somb_utils.runs.results import RunResult, summarise
from somb_utils.tasks.splits import LEFT_OUT
from somb_utils.tasks.task_data import TaskData

_TRAIN, _TEST = "#DDE3E8", "#37424A"


@figure
def folds(data: TaskData) -> Figure:
    """Draw which rows each fold trains and tests on, over the rows' labels, rows sorted by group and label.

    Parameters
    ----------
    data
        The task.

    Returns
    -------
    Figure
        Of matplotlib.
    """
    label = _label(data)
    keys = pd.DataFrame({"group": data.groups if data.groups is not None else "", "label": label})
    order = keys.reset_index(drop=True).sort_values(["group", "label"], kind="stable").index.to_numpy()
    role = np.full((len(data.folds), len(data.X)), np.nan)
    for row, fold in zip(role, data.folds, strict=True):
        row[fold.train], row[fold.test] = 0, 1
    classes = in_order(label)
    tints = colours_of(classes)
    fig, (top, ax) = new(8, 1.9 + 0.24 * len(data.folds), 2, 1, height_ratios=[1, len(data.folds)], sharex=True)
    codes = label.map(classes.index).to_numpy()[order][None]
    top.imshow(codes, aspect="auto", cmap=ListedColormap([tints[c] for c in classes]), interpolation="nearest")
    ax.imshow(role[:, order], aspect="auto", cmap=ListedColormap([_TRAIN, _TEST]), interpolation="nearest")
    top.set_yticks([0], ["label"])
    ax.set_yticks(range(len(data.folds)), [f"{fold.label} (n = {len(fold.test):,})" for fold in data.folds])
    ax.set_ylabel("held out" if data.task.leaves_groups_out else "repetition")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel(f"rows (N = {len(data.X):,})" + (", sorted by " + _grouping(data)))
    top.set_title(f"{data.name}: folds")
    for part in (top, ax):
        part.grid(False)
    columns = {2: 4, 3: 5, 4: 3}.get(len(classes), 4)  # rows of equal length, train beside or above test
    fig.legend(handles=_patches(label, classes, tints), loc="outside lower center", ncols=columns)
    return fig


def _label(data: TaskData) -> pd.Series:
    if isinstance(data.y, pd.DataFrame):
        return (data.y.sum(axis=1) > 0).map({True: "has a label", False: "has none"})
    return data.y


def _patches(label: pd.Series, classes: list[str], tints: dict[str, str]) -> list[Patch]:
    named = [Patch(color=tints[c], label=f"{words(c)} (n = {(label == c).sum():,})") for c in classes]
    return [Patch(color=_TRAIN, label="train"), Patch(color=_TEST, label="test"), *named]


def _grouping(data: TaskData) -> str:
    if data.groups is None:
        return "label"
    left_out = LEFT_OUT.get(data.task.split, "group").removesuffix(" member")
    return f"{left_out} and label"


@figure
def scores(table: pd.DataFrame | RunResult, per_fold: pd.DataFrame | None = None) -> Figure:
    """Draw models against score: folds, mean, bootstrap interval, chance level, published score.

    Parameters
    ----------
    table
        A run, whose p-values against chance are written into the figure; or a table of scores: task, model, metric,
        mean, low, high, chance, published (missing if none), rows, folds; see
        :meth:`somb_utils.notebook.Session.scores`. With low_these and high_these, a thin line is that second interval.
    per_fold
        Of a table: task, model, fold, value of the primary metric.

    Returns
    -------
    Figure
        Of matplotlib.

    Examples
    --------
    >>> import somb_utils as somb
    >>> result = somb.run("A1", "logreg", source="simulated", n_jobs=1)
    >>> somb.plots.scores(result).savefig("scores.png")
    """
    with_p = isinstance(table, RunResult)
    if isinstance(table, RunResult):
        per_fold = table.results.merge(summarise(table.results, table.provenance)[["task", "model", "metric"]])
        table = _scores_of(table)
    assert per_fold is not None
    names, models = list(dict.fromkeys(table["task"])), list(dict.fromkeys(table["model"]))[::-1]
    columns = min(2, len(names))
    lines = -(-len(names) // columns)
    height = 0.9 + lines * (1.1 + 0.3 * len(models))
    fig, grid = new(9 if columns > 1 else 7, height, lines, columns, squeeze=False, sharey=True)
    for ax in grid.flat[len(names) :]:
        ax.set_visible(False)
    for ax, name in zip(grid.flat, names, strict=False):
        _score_panel(ax, table[table["task"] == name], per_fold[per_fold["task"] == name], models, with_p)
    grid[0, 0].set_yticks(range(len(models)), models)
    grid[0, 0].set_ylim(-0.6, len(models) - 0.4)
    if table["published"].notna().any():
        grid[0, 0].scatter([], [], s=40, color="black", marker="|", lw=2, label="published (real tables)")
    fig.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return fig


def _scores_of(run: RunResult) -> pd.DataFrame:
    scored = run.with_p_values(run.summary())
    rows = [run.provenance["tasks"][key]["rows"] for key in scored["task"] + "/" + scored["protocol"]]
    return scored.assign(rows=rows, published=np.nan)


def _score_panel(ax: Axes, table: pd.DataFrame, per_fold: pd.DataFrame, models: list[str], with_p: bool) -> None:
    tints = colours_of(models)
    first, two = table.iloc[0], "low_these" in table
    ax.axvline(first["chance"], color="black", ls="--", lw=1, label="chance level", zorder=1)
    for place, model in enumerate(models):
        points = per_fold.loc[per_fold["model"] == model, "value"].dropna()
        ax.scatter(points, np.full(len(points), place - 0.22), s=12, color=tints[model], alpha=0.6, lw=0)
        row = table[table["model"] == model]
        ax.hlines(place, row["low"], row["high"], color=tints[model], lw=3)
        if two:
            ax.hlines(place + 0.24, row["low_these"], row["high_these"], color=tints[model], lw=1.2)
        ax.scatter(row["mean"], [place] * len(row), s=55, color=tints[model], ec="white", zorder=3)
        ax.scatter(row["published"], [place + 0.24] * len(row), s=40, color="black", marker="|", lw=2, zorder=3)
    ax.scatter([], [], s=12, color="#444444", alpha=0.6, lw=0, label="one fold")
    ax.scatter([], [], s=55, color="#444444", label="mean over folds")
    ax.plot(
        [],
        [],
        color="#444444",
        lw=3,
        label="95 % interval: new missions or tissues" if two else "95 % bootstrap interval",
    )
    if two:
        ax.plot([], [], color="#444444", lw=1.2, label="95 % interval: new animals on these")
    end = _axis_end(np.nanmax([*per_fold["value"], *table[["high", "chance", "published"]].to_numpy(float).ravel()]))
    cut = "" if end == 1 else f"; axis ends at {end:g}"
    ax.set_xlabel(f"{metric_name(first['metric'])} ({first['folds']} folds)")
    ax.set_title(f"{first['task']} (N = {first['rows']:,} rows{cut})")
    ax.set_xlim(-0.03 * end, 1.03 * end)
    if with_p:
        for model, p, shuffled in table.loc[table["p"].notna(), ["model", "p", "shuffled"]].itertuples(index=False):
            text = f"p = {p:.2g}" + " (days)" * (shuffled == "days")
            ax.text(0, models.index(model) + 0.2, text, fontsize=8, color="#444444")
    ax.xaxis.set_major_locator(MaxNLocator(5))


def _axis_end(largest: float) -> float:
    """Return where a score's axis ends: at 1, or earlier if that would squeeze all scores into its first part."""
    return next(end for end in (0.02, 0.05, 0.1, 0.2, 0.4, 1.0) if largest <= end or end == 1)


@figure
def coefficients(data: TaskData, table: pd.DataFrame, n: int = 12) -> Figure:
    """Draw the largest coefficients of a linear model: the mean over folds and, as points, each fold's.

    Parameters
    ----------
    data
        The task.
    table
        See :func:`somb_utils.runs.coefficients.coefficients`.
    n
        How many features, by the largest absolute mean.

    Returns
    -------
    Figure
        Of matplotlib.
    """
    mean = table.groupby(["feature", "output"], sort=False)["coefficient"].mean().unstack("output")
    chosen = mean.abs().max(axis=1).sort_values(ascending=False, kind="stable").index[:n]
    outputs = in_order(mean.columns)
    tints = colours_of(outputs)
    step = 0.8 / len(outputs)
    fig, ax = new(8, 1.5 + len(chosen) * max(0.26, 0.13 * len(outputs)))
    for k, output in enumerate(outputs):
        places = np.arange(len(chosen)) + (k - (len(outputs) - 1) / 2) * step
        ax.barh(
            places, mean.loc[chosen, output], step * 0.9, color=tints[output], alpha=0.75, label=short(words(output))
        )
        rows = table[(table["output"] == output) & table["feature"].isin(chosen)]
        ax.scatter(rows["coefficient"], places[rows["feature"].map(chosen.get_loc)], s=7, color="black", zorder=3)
    ax.scatter([], [], s=7, color="black", label="one fold's model")
    ax.axvline(0, color="black", lw=0.8)
    ax.set_yticks(range(len(chosen)), [short(words(f), 46) for f in chosen], fontsize=8.5)
    ax.set_ylim(len(chosen) - 0.4, -0.6)
    ax.set_xlabel("logistic-regression coefficient\n(log odds for one standard deviation)")
    ax.set_title(f"{data.name}: {len(chosen)} of {mean.shape[0]:,} features, N = {len(data.X):,} rows")
    ax.grid(False, axis="y")
    fig.legend(loc="outside lower center", ncols=2 if max(map(len, outputs)) > 16 else 4)
    return fig
