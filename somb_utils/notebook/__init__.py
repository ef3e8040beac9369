"""The notebooks' own help: parameters that are checked, a session that holds data and results, and execution."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
