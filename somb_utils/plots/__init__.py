"""Figures of the notebooks and the book: one style, colours that colour-blind readers can tell apart.

Every function returns a matplotlib figure, names units and N in its labels, and takes ``source``: figures of
simulated tables are marked so.
"""

from somb_utils._extras import missing_extra

try:
    from somb_utils.plots.features import counts, distribution, heatmap, scatter, volcano
    from somb_utils.plots.samples import missing, pca, timeline, trajectories
    from somb_utils.plots.scores import coefficients, folds, scores
    from somb_utils.plots.style import colours_of, figure, new
except ImportError as error:
    raise missing_extra("a figure", "book", error) from None

__all__ = [
    "coefficients",
    "colours_of",
    "counts",
    "distribution",
    "figure",
    "folds",
    "heatmap",
    "missing",
    "new",
    "pca",
    "scatter",
    "scores",
    "timeline",
    "trajectories",
    "volcano",
]
