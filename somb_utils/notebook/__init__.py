"""The notebooks' own help: parameters that are checked, a session that holds data and results, and execution."""

from somb_utils.notebook.display import show
from somb_utils.notebook.files import category_of, execute, notebook_path, own_parameters, refresh, to_text
from somb_utils.notebook.parameters import NAMES, Parameters, check
from somb_utils.notebook.session import Session, start

__all__ = [
    "NAMES",
    "Parameters",
    "Session",
    "category_of",
    "check",
    "execute",
    "notebook_path",
    "own_parameters",
    "refresh",
    "show",
    "start",
    "to_text",
]
