"""Values of parameters on the command line: YAML's spelling, and Python's None."""

import re
from typing import Any

import yaml

from somb_utils.errors import UsageError


class _Loader(yaml.SafeLoader):
    """YAML 1.2's plain values: PyYAML's own, of YAML 1.1, take 1e2 for text, no for False and 12:30 for 750."""


_Loader.yaml_implicit_resolvers = {}
for _kind, _pattern in {
    "null": r"~|null|Null|NULL|None|",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?(0|[1-9][0-9]*)",
    "float": r"[-+]?(([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+|\.?inf)|\.?nan",
}.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(f"^({_pattern})$"), None)


def read_value(text: str, where: str) -> Any:
    """Return the value that a text spells.

    >>> [read_value(text, "C") for text in ("1e2", "None", "False", "[1, 2]", "l2", "'1e2'")]
    [100.0, None, False, [1, 2], 'l2', '1e2']
    """
    try:
        return yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        problem = getattr(error, "problem", None) or type(error).__name__
        raise UsageError(f"{where}: the value is not YAML ({problem}); put text in quotes: key='\"text\"'") from None
