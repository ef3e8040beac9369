"""Reference scores: the published ones, the project's own canonical run, and the tiers they show."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
