"""The audit: faults in rows and features (`census`), scores over seeds (`seeds`), and numbers on the book's pages.

The checks of the audit notebook alone are beside it, in ``notebooks/audit_checks``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
