"""Statistics of scores: intervals, tests against chance, comparison of models, ranks and calibration.

Each function takes the results or predictions that a run stores. What is resampled follows from the task's design:
crew members, time points, or genes and metabolites.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
