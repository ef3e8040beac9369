"""The audit: what tasks and scores show when they are looked at closely.

`census` counts what the rows and features of any task give away, `seeds` measures how much a score owes to the random
seed, and `figures` reads the numbers that the audit's pages state. The checks that the audit notebook alone runs stand
beside it, in ``notebooks/audit_checks``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
