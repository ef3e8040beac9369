from .compare import Comparison
from .folder import load_run
from .models import Model, resolve_models
from .results import RunResult, composite

__all__ = [
    "Comparison",
    "Model",
    "RunResult",
    "composite",
    "load_run",
    "resolve_models",
]
