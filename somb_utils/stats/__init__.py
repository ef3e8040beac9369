"""How sure a score is: intervals, tests against chance, comparison of models, ranks and calibration.

Small functions of the results and predictions that a run stores. What they resample is in
:mod:`somb_utils.stats.design`.
"""

from somb_utils.stats.bootstrap import (
    N_BOOTSTRAP,
    all_replicates,
    bootstrap_interval,
    interval,
    replicates,
    with_intervals,
)
from somb_utils.stats.calibration import Calibration, calibration, wilson_interval
from somb_utils.stats.paired import (
    differences,
    nadeau_bengio,
    sign_flip,
    sign_flip_floor,
    win_probability,
)
from somb_utils.stats.permutation import N_PERMUTATIONS, adjusted, permutation_p, with_p_values
from somb_utils.stats.ranks import Ranking, draw_critical_difference, ranking

__all__ = [
    "N_BOOTSTRAP",
    "N_PERMUTATIONS",
    "Calibration",
    "Ranking",
    "adjusted",
    "all_replicates",
    "bootstrap_interval",
    "calibration",
    "differences",
    "draw_critical_difference",
    "interval",
    "nadeau_bengio",
    "permutation_p",
    "ranking",
    "replicates",
    "sign_flip",
    "sign_flip_floor",
    "wilson_interval",
    "win_probability",
    "with_intervals",
    "with_p_values",
]
