from .compare import Comparison
from .folder import load_run
from .results import RunResult

__all__ = [
    "Comparison",
    "RunResult",
    "load_run",
]
