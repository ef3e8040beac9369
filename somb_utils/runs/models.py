"""How a baseline or any other estimator is named, imported, made and checked."""

import copy
import difflib
import importlib
import inspect
import sys
import sysconfig
import traceback
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Any

from sklearn.base import clone

from somb_utils._seeds import SEED, random_states
from somb_utils.errors import SombError, UsageError, reason
from somb_utils.runs.baselines import BASELINES
from somb_utils.runs.boosting import unkndefault_parameters
from somb_utils.runs.isolation import isolated
from somb_utils.runs.names import name_with, split_names
from somb_utils.tasks.definitions import Protocol, Task


@dataclass(frozen=True)
class Model:
    """A named way to make a fresh estimator."""

    name: str  # what results call it
    target: Any  # baseline name, ``package.module:object``, or the estimator or factory itself
    # of every estimator; a factory gets those that it has by name, the estimator the others
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_baseline(self) -> bool:
        """Whether it is one of the seven baselines, with any parameters."""
        return isinstance(self.target, str) and self.target in BASELINES

    @property
    def plain_name(self) -> str:
        """The name without the parameters, as options call the model."""
        plain = _plain_name(self.target)
        return plain if self.name == name_with(plain, self.params) else self.name

    def make(self, task: Task, fold: int, seed: int = SEED) -> Any:
        """Return an unfitted estimator for one fold, every ``random_state`` that is None set from the seed."""
        estimator, _ = self._seeded(task, fold, seed)
        matrix = BASELINES[self.target].label_matrix if self.is_baseline else _takes_label_matrix(estimator)
        if task.type == "multilabel" and not matrix:
            from sklearn.multiclass import OneVsRestClassifier

            return OneVsRestClassifier(estimator)
        return estimator

    def imported(self) -> Any:
        """Return the estimator or factory itself, also if `target` names it."""
        return _import(self.target) if isinstance(self.target, str) else self.target

    def check(self, task: Task, seed: int = SEED) -> tuple[Any, dict[str, int]]:
        """Make the estimator once; return it, and the seed of each ``random_state`` that :meth:`make` sets, by name."""
        try:
            with isolated(seed):
                return self._seeded(task, 0, seed)
        except (SombError, KeyboardInterrupt):
            raise
        except BaseException as error:
            raise UsageError(f"model '{self.plain_name}' cannot be made: {reason(error)}") from None

    def _seeded(self, task: Task, fold: int, seed: int) -> tuple[Any, dict[str, int]]:
        params = {key: clone(value, safe=False) for key, value in self.params.items()}
        if self.is_baseline:
            estimator = BASELINES[self.target].make(task, fold, seed)
        else:
            estimator = _users_estimator(self.imported(), self.plain_name, params)
        _set_params(estimator, params, self.plain_name)
        states = random_states(estimator, seed)
        if states:
            estimator.set_params(**states)
        return estimator, states


def resolve_models(models: Any = None, params: Mapping[str, Mapping[str, Any]] | None = None) -> list[Model]:
    """Turn names, estimators or a mapping of them into models with unique names.

    `models` are as in :func:`somb_utils.run`. A model that no mapping names is called ``logreg(C=0.1)`` with its
    parameters, so that it does not take the place of the one without.

    >>> [model.name for model in resolve_models("logreg,rf", {"rf": {"n_estimators": 300}})]
    ['logreg', 'rf(n_estimators=300)']
    """
    if models is None:
        models = list(BASELINES)
    elif isinstance(models, str):
        models = split_names(models)
    elif isinstance(models, Model) or hasattr(models, "fit") or (callable(models) and not isinstance(models, Mapping)):
        models = [models]
    named = isinstance(models, Mapping)
    pairs = list(models.items()) if named else [(_plain_name(target), target) for target in models]
    if not pairs:
        raise UsageError(f"no model named; the baselines are {', '.join(BASELINES)}")
    params = params or {}
    stray = sorted(set(params) - {name for name, _ in pairs})
    if stray:
        names = ", ".join(name for name, _ in pairs)
        raise UsageError(f"parameters for '{stray[0]}', which is not among the models {names}")
    resolved: dict[str, Model] = {}
    for name, target in pairs:
        model = _resolve(name, target, dict(params.get(name, {})), named)
        if resolved.setdefault(model.name, model) is not model:
            raise UsageError(f"model '{model.name}' is duplicated; give each its own name with a mapping")
    return list(resolved.values())


def supports(model: Model, task: Task, protocol: Protocol) -> bool:
    """Tell whether the published benchmark ran the model on the task; ``aligned`` runs all on all."""
    if protocol == "aligned" or task.type != "multilabel" or not model.is_baseline:
        return True
    return BASELINES[model.target].published_multilabel


def _plain_name(target: Any) -> str:
    if isinstance(target, Model):
        return target.name
    return target if isinstance(target, str) else getattr(target, "__name__", type(target).__name__)


def _resolve(name: str, target: Any, params: dict[str, Any], named: bool) -> Model:
    if isinstance(target, Model):
        return replace(target, name=name, params={**target.params, **params})
    if isinstance(target, str):
        if ":" in target:
            _import(target)
        elif target not in BASELINES:
            raise UsageError(
                f"unknown model '{target}'; the baselines are {', '.join(BASELINES)}, "
                "your own is named as package.module:object"
            )
    return Model(name if named else name_with(name, params), target, params)


def _import(target: str) -> Any:
    module, _, attribute = target.partition(":")
    if not all(part.isidentifier() for part in [*module.split("."), *attribute.split(".")]):
        raise UsageError(f"model '{target}' is not of the form package.module:object, e.g. mymodels:make")
    try:
        with isolated(SEED):  # what a module sets on import would reach the first fold alone
            return attrgetter(attribute)(importlib.import_module(module))
    except KeyboardInterrupt:
        raise
    except ModuleNotFoundError as error:
        if error.name and f"{module}.".startswith(f"{error.name}."):
            raise UsageError(f"model '{target}': cannot import {module} ({error}); is it on PYTHONPATH?") from None
        raise _broken(target, error) from None
    except BaseException as error:
        if isinstance(error, AttributeError) and module in sys.modules:
            raise UsageError(f"model '{target}': module {module} has no '{attribute}'") from None
        raise _broken(target, error) from None


def _broken(target: str, error: BaseException) -> UsageError:
    """Name the line of the user's code that failed: the last one that is of no library."""
    libraries = tuple(sysconfig.get_paths()[kind] for kind in ("stdlib", "purelib", "platlib"))
    frames = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)[1:]]
    users = [frame for frame in frames if not frame[0].startswith((*libraries, "<frozen"))]
    file, line = (users or frames)[-1]
    if isinstance(error, SyntaxError) and error.filename:
        file, line = error.filename, error.lineno
    return UsageError(f"model '{target}' cannot be imported: {file}, line {line}: {reason(error)}")


def _users_estimator(target: Any, name: str, params: dict[str, Any]) -> Any:
    """Return the user's estimator; take out of `params` those that the factory has by name."""
    if isinstance(target, type) or not hasattr(target, "fit"):
        if not callable(target):
            raise UsageError(f"model '{name}' is {target!r}, neither an estimator nor a factory of one")
        estimator = target(**{key: params.pop(key) for key in _arguments(target) & params.keys()})
        # A factory may return one object each time, or estimators that draw from one generator.
        with suppress(Exception):
            estimator = copy.deepcopy(estimator)
    else:
        estimator = clone(target)
    if not (hasattr(estimator, "fit") and hasattr(estimator, "predict")):
        raise UsageError(f"model '{name}' makes {type(estimator).__name__}, which lacks fit or predict")
    return estimator


def _arguments(factory: Any) -> set[str]:
    with suppress(ValueError):  # some functions written in C have no signature
        kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        return {key for key, value in inspect.signature(factory).parameters.items() if value.kind in kinds}
    return set()


def _set_params(estimator: Any, params: Mapping[str, Any], name: str) -> None:
    known = estimator.get_params(deep=True) if params and hasattr(estimator, "get_params") else {}
    try:
        if params:
            estimator.set_params(**params)
    except (ValueError, AttributeError, TypeError) as error:
        unknown = [key for key in params if key not in known]
        problem = _suggest(unknown, known) if unknown else reason(error)
        raise UsageError(f"model '{name}' does not take these parameters: {problem}") from None
    ignored = unkndefault_parameters(estimator)
    if ignored:
        names = {key.rpartition("__")[2] for key in estimator.get_params(deep=True)}.difference(ignored)
        raise UsageError(f"model '{name}' does not take these parameters: {_suggest(ignored, names)}")


def _suggest(unknown: Iterable[str], known: Iterable[str]) -> str:
    spelt = {key.lower(): key for key in known}
    close = {key: difflib.get_close_matches(key.lower(), spelt, 1) for key in unknown}
    return ", ".join(f"{key} (did you mean {spelt[near[0]]}?)" if near else key for key, near in close.items())


def _takes_label_matrix(estimator: Any) -> bool:
    from sklearn.model_selection._search import BaseSearchCV
    from sklearn.pipeline import Pipeline

    if isinstance(estimator, BaseSearchCV):  # its tags say nothing about the target
        return _takes_label_matrix(estimator.estimator)
    if isinstance(estimator, Pipeline):
        return _takes_label_matrix(estimator[-1])
    if not hasattr(estimator, "get_params"):
        return True  # it cannot be copied for each label
    if not hasattr(estimator, "__sklearn_tags__"):
        return False
    tags = estimator.__sklearn_tags__()
    native = tags.classifier_tags is not None and tags.classifier_tags.multi_label
    return bool(native or (tags.estimator_type == "classifier" and tags.target_tags.multi_output))
