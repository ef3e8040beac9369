"""Values of ``--model-params``: YAML's spelling, and Python's None."""

import re
from typing import Any

import yaml

from somb_utils.errors import UsageError


class _Loader(yaml.SafeLoader):
    """Plain values of YAML 1.2; PyYAML follows YAML 1.1, where 1e2 is a text, no is false and 12:30 is 750."""


_Loader.yaml_implicit_resolvers = {}
for _kind, _pattern in {
    "null": r"~|null|Null|NULL|None|",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?(0|[1-9][0-9]*)",
    "float": r"[-+]?(([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+|\.?inf)|\.?nan",
}.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(f"^({_pattern})$"), None)


def parse_params(pairs: list[str] | None, models: list[str] | None) -> dict[str, dict[str, Any]]:
    """Return the parameters of each model from texts ``model.key=value``; a single model need not be named.

    >>> parse_params(["C=1e2", "logreg.penalty=None"], ["logreg"])
    {'logreg': {'C': 100.0, 'penalty': None}}
    """
    names = models or []
    parsed: dict[str, dict[str, Any]] = {}
    for pair in pairs or ():
        key, equals, text = pair.partition("=")
        model = max((name for name in names if key.startswith(f"{name}.")), key=len, default=None)
        if model is not None:
            parameter = key.removeprefix(f"{model}.")
        elif len(names) == 1:
            model, parameter = names[0], key
        else:
            model, _, parameter = key.partition(".")
        if not equals or not parameter:
            raise UsageError(f"--model-params '{pair}' is not of the form model.key=value, e.g. logreg.C=0.1")
        try:
            parsed.setdefault(model, {})[parameter] = yaml.load(text, _Loader)
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            problem = getattr(error, "problem", None) or type(error).__name__
            raise UsageError(
                f"--model-params '{pair}': the value is not YAML ({problem}); put text in quotes: key='\"text\"'"
            ) from None
    return parsed
