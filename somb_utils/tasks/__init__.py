"""The tasks: their definitions, and the features, labels and folds that these make of the tables."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
