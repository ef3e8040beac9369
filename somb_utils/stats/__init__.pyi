from .bootstrap import bootstrap_interval
from .paired import differences
from .permutation import permutation_p, with_p_values
from .ranks import Ranking, ranking
from .reliability import Calibration, calibration

__all__ = [
    "Calibration",
    "Ranking",
    "bootstrap_interval",
    "calibration",
    "differences",
    "permutation_p",
    "ranking",
    "with_p_values",
]
