"""SpaceOmicsBench: 21 machine-learning tasks on spaceflight multi-omics, with honest statistics.

>>> import somb_utils as somb
>>> data = somb.load_task("A1", source="simulated")
>>> result = somb.run(data, ["majority"], n_jobs=1)

Names are imported when first used, so that importing the package costs next to nothing.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
