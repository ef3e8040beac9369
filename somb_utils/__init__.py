"""SpaceOmicsBench: 21 machine-learning tasks on spaceflight multi-omics, with honest statistics.

>>> import somb_utils as somb
>>> data = somb.load_task("A1", source="simulated")
>>> result = somb.run("A1", ["majority"], source="simulated", n_jobs=1)

The modules ``somb.compare``, ``somb.evaluate``, ``somb.plots`` and ``somb.stats`` are loaded when first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from somb_utils import compare as compare
    from somb_utils import evaluate as evaluate
    from somb_utils import plots as plots
    from somb_utils import stats as stats
    from somb_utils.errors import SombError, UsageError
    from somb_utils.load import TaskData, load_task
    from somb_utils.results import RunResult
    from somb_utils.run_folder import load_run
    from somb_utils.runner import run
    from somb_utils.tables import load_table
    from somb_utils.tasks import get_task, select_tasks

# Loaded when first used, so that importing the package costs next to nothing.
_MODULES = ("compare", "evaluate", "plots", "stats")
_HOME = {
    "SombError": "errors",
    "UsageError": "errors",
    "TaskData": "load",
    "load_task": "load",
    "RunResult": "results",
    "load_run": "run_folder",
    "run": "runner",
    "load_table": "tables",
    "get_task": "tasks",
    "select_tasks": "tasks",
}

__all__ = [
    "RunResult",
    "SombError",
    "TaskData",
    "UsageError",
    "get_task",
    "load_run",
    "load_table",
    "load_task",
    "run",
    "select_tasks",
]


def __dir__() -> list[str]:
    return sorted((*__all__, *_MODULES))


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"somb_utils.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'somb_utils' has no attribute '{name}'")
    value = getattr(import_module(f"somb_utils.{_HOME[name]}"), name)
    globals()[name] = value  # `import somb_utils.runner` would otherwise bind the module to the name
    return value
