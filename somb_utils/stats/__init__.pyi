from .bootstrap import bootstrap_interval
from .paired import differences
from .permutation import above_chance, permutation_p, with_p_values
from .ranks import Ranking, ranking
from .ratings import ratings
from .reliability import Calibration, calibration

__all__ = [
    "Calibration",
    "Ranking",
    "above_chance",
    "bootstrap_interval",
    "calibration",
    "differences",
    "permutation_p",
    "ranking",
    "ratings",
    "with_p_values",
]
