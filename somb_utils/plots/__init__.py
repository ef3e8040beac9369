"""Figures of the notebooks and the book: one style, colours that colour-blind readers can tell apart.

Every function returns a matplotlib figure, names units and N in its labels, and takes ``source``: figures of
simulated tables are marked so.
"""

from somb_utils._extras import missing_extra

try:
    from somb_utils.plots.features import counts, heatmap, scatter, volcano
    from somb_utils.plots.samples import missing, pca, timeline
    from somb_utils.plots.scores import coefficients, folds, scores
    from somb_utils.plots.style import colours_of, figure
except ImportError as error:
    raise missing_extra("a figure", "book", error) from None

__all__ = [
    "coefficients",
    "colours_of",
    "counts",
    "figure",
    "folds",
    "heatmap",
    "missing",
    "pca",
    "scatter",
    "scores",
    "timeline",
    "volcano",
]
