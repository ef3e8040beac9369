"""Recipes: how a task's features are made of its tables, one class in one module each, found by being here."""

from importlib import import_module
from inspect import getmembers, isclass
from pkgutil import iter_modules

from somb_utils.tasks.recipes._base import Features, Protocol, Recipe, Spec, TaskType
from somb_utils.tasks.recipes._reader import SAMPLE_COLUMNS, Reader

__all__ = ["RECIPES", "SAMPLE_COLUMNS", "Features", "Protocol", "Reader", "Recipe", "Spec", "TaskType"]


def _found() -> tuple[type[Recipe], ...]:
    names = sorted(module.name for module in iter_modules(__path__) if not module.name.startswith("_"))
    modules = [import_module(f"{__name__}.{name}") for name in names]
    classes = [(module, kind) for module in modules for _, kind in getmembers(module, isclass)]
    return tuple(kind for module, kind in classes if issubclass(kind, Recipe) and kind.__module__ == module.__name__)


RECIPES = _found()
