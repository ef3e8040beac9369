from .features import counts, heatmap, scatter, volcano
from .samples import missing, pca, timeline
from .scores import coefficients, folds, scores
from .style import colours_of, figure

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
