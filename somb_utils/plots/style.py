"""The one style of all figures: fixed colours and markers, and the mark of simulated data."""

from collections.abc import Callable, Iterable
from functools import partial, wraps
from typing import Any

import matplotlib as mpl
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.axis import Tick
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.category import StrCategoryFormatter
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FixedFormatter, Formatter, FuncFormatter

from somb_utils.runs.baselines import BASELINES

# Okabe & Ito (2008), without the yellow that vanishes on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7A5195", "#8C564B", "#7F7F7F")
QUIET = "#B8B8B8"
COLOURS = {
    "pre_flight": "#0072B2",
    "in_flight": "#CC79A7",
    "post_flight": "#D55E00",
    "recovery": "#009E73",
    "C001": "#000000",
    "C002": "#E69F00",
    "C003": "#56B4E9",
    "C004": "#CC79A7",
    **dict(zip(BASELINES, ("#7F7F7F", "#B8B8B8", "#0072B2", "#009E73", "#CC79A7", "#D55E00", "#E69F00"), strict=False)),
    **dict.fromkeys(("other", "unchanged", "not changed", "has none", "missing", "not_de", "i4_only"), QUIET),
    **dict.fromkeys(("responsive", "changed", "has a label", "hemoglobin", "conserved", "de"), "#D55E00"),
}
PHASES = ("pre_flight", "in_flight", "post_flight", "recovery")
MARKERS = {"C001": "o", "C002": "s", "C003": "D", "C004": "^"}
DIVERGING = "RdBu_r"

_STYLE: dict[str, Any] = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.hashsalt": "somb",
}


_source = "open"


def mark_figures(source: str) -> None:
    """Take figures of this process to be of this kind of tables where none is given; ``simulated`` ones are marked."""
    global _source
    _source = source


def figure(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Make a drawing function use the style and take ``source``; figures of simulated tables are marked.

    Parameters
    ----------
    draw
        Returns a figure.

    Returns
    -------
    callable
        Takes ``source`` too; without it, a figure is marked if the notebook's session, or the run that is drawn, is
        of simulated tables.
    """

    @wraps(draw)
    def styled(*args: Any, source: str | None = None, **options: Any) -> Figure:
        with mpl.rc_context(sns.axes_style("whitegrid") | _STYLE):
            fig = draw(*args, **options)
            _take_literally(fig)
            if (source or _kind(args)) == "simulated":
                fig.suptitle("SIMULATED DATA", x=0.995, ha="right", color="#B00020", size=10, weight="bold")
                size = min(46, 15 * fig.get_figheight())
                fig.text(
                    0.5, 0.5, "SIMULATED", size=size, color="#B00020", alpha=0.08, rotation=18, ha="center", va="center"
                )
        return fig

    return styled


def _kind(arguments: tuple[Any, ...]) -> str:
    """Return ``simulated`` if the session or a run that is drawn is."""
    known = [argument.provenance["source"] for argument in arguments if hasattr(argument, "results")]
    return "simulated" if "simulated" in known else _source


def _take_literally(fig: Figure) -> None:
    """Show each text as it is: names of models and columns may hold dollar signs, and are no formulas."""
    ticks = {id(text) for tick in fig.findobj(Tick) for text in tick.findobj(Text)}
    for text in fig.findobj(Text):
        if id(text) not in ticks:
            text.set_parse_math(False)
    for ax in fig.axes:
        for axis in (ax.xaxis, ax.yaxis):
            formatter = axis.get_major_formatter()
            if isinstance(formatter, FixedFormatter | FuncFormatter | StrCategoryFormatter):
                axis.set_major_formatter(FuncFormatter(partial(_escaped, formatter)))


def _escaped(formatter: Formatter, value: float, place: int | None = None) -> str:
    return formatter(value, place).replace("$", r"\$")


def new(width: float = 8.0, height: float = 4.0, rows: int = 1, columns: int = 1, **options: Any) -> tuple[Figure, Any]:
    """Return a figure and its axes; it belongs to no window, so it shows once, where it is returned."""
    fig = Figure(figsize=(width, height), dpi=100, layout="constrained")
    FigureCanvasAgg(fig)
    return fig, fig.subplots(rows, columns, **options)


def colours_of(names: Iterable[str]) -> dict[str, str]:
    """Return the colour of each name: the fixed one of phases, crew and baselines, else the palette in order.

    Parameters
    ----------
    names
        Of models, classes or crew.

    Returns
    -------
    dict
        Name to colour.
    """
    wanted = list(dict.fromkeys(names))
    spare = [colour for colour in PALETTE if colour not in {COLOURS.get(name) for name in wanted}]
    others = [name for name in wanted if name not in COLOURS]
    return {
        name: COLOURS[name] if name in COLOURS else (spare or list(PALETTE))[others.index(name) % len(spare or PALETTE)]
        for name in wanted
    }


def in_order(names: Iterable[object]) -> list[str]:
    """Return distinct names sorted, phases in the order of the mission."""
    return sorted(
        {str(name) for name in names}, key=lambda name: (PHASES.index(name) if name in PHASES else len(PHASES), name)
    )


def short(text: object, most: int = 34) -> str:
    """Return text cut to a length that fits beside an axis."""
    return str(text) if len(str(text)) <= most else str(text)[: most - 1] + "…"


def words(name: object) -> str:
    """Return a phase or other identifier in words."""
    return str(name).replace("_", " ")


def legend_below(ax: Axes, columns: int = 6, **options: Any) -> None:
    """Put the legend under the axes, where it hides nothing."""
    ax.figure.legend(*_unique_handles(ax), loc="outside lower center", ncols=columns, handletextpad=0.4, **options)


def _unique_handles(ax: Axes) -> tuple[list[Any], list[str]]:
    handles, labels = ax.get_legend_handles_labels()
    kept = dict(zip(labels, handles, strict=True))
    return list(kept.values()), list(kept)
