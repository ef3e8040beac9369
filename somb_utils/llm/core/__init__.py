"""Items that code can mark: wording, keys computed from the open tables, marking of replies."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
