"""Recipes: how a task's features are made of its tables, each a class in a module of this folder."""

from importlib import import_module
from pkgutil import iter_modules

from somb_utils.tasks.recipes._base import GROUPED, Features, Protocol, Recipe, Spec, Split, TaskType
from somb_utils.tasks.recipes._reader import SAMPLE_COLUMNS, Reader

__all__ = [
    "GROUPED",
    "RECIPES",
    "SAMPLE_COLUMNS",
    "Features",
    "Protocol",
    "Reader",
    "Recipe",
    "Spec",
    "Split",
    "TaskType",
]

for _name in sorted(module.name for module in iter_modules(__path__)):
    import_module(f"{__name__}.{_name}")
RECIPES: tuple[type[Recipe], ...] = tuple(Recipe.__subclasses__())
