"""Predictions made elsewhere: read, checked to the last value, and scored."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
