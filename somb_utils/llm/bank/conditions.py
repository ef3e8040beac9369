"""Conditions on rows and patterns of column names, as questions state them: short, plain, and quick to evaluate."""

import ast
import re

import numpy as np
import pandas as pd

from somb_utils.errors import SombError

LONGEST_CONDITION, MOST_NODES, LONGEST_PATTERN = 600, 120, 100

_ALLOWED = (
    ast.Expression, ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.Invert, ast.USub, ast.BinOp,
    ast.BitAnd, ast.BitOr, ast.Add, ast.Sub, ast.Div, ast.Compare, ast.Eq, ast.NotEq, ast.Lt,
    ast.LtE, ast.Gt,
    ast.GtE, ast.In, ast.NotIn, ast.Name, ast.Load, ast.Constant, ast.List, ast.Tuple,
)  # fmt: skip


def condition_columns(condition: str) -> list[str]:
    """Return the columns that a condition names; refuse one that is long or holds anything but plain operators."""
    if len(condition) > LONGEST_CONDITION:
        raise SombError(f"Condition {condition[:60]!r}...: more than {LONGEST_CONDITION} characters")
    quoted = re.findall(r"`([^`]+)`", condition)
    plain = re.sub(r"`[^`]+`", "quoted_column", condition)
    try:
        nodes = list(ast.walk(ast.parse(plain, mode="eval")))
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise SombError(f"Condition {condition!r} cannot be read: {getattr(error, 'msg', 'too deep')}") from None
    if len(nodes) > MOST_NODES:
        raise SombError(f"Condition {condition!r}: more than {MOST_NODES} parts")
    for node in nodes:
        if not isinstance(node, _ALLOWED):
            raise SombError(f"Condition {condition!r}: {type(node).__name__} is not allowed")
    names = [n.id for n in nodes if isinstance(n, ast.Name) and n.id != "quoted_column"]
    return list(dict.fromkeys([*names, *quoted]))


def check_pattern(pattern: str) -> None:
    """Refuse a regular expression that could be slow: long, with a repeated group or a back-reference."""
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise SombError(f"Pattern {pattern[:60]!r} cannot be read: {error}") from None
    if len(pattern) > LONGEST_PATTERN or re.search(r"\)[*+?{]|\\\d|\(\?P=|[*+}].*[*+{]", pattern):
        raise SombError(f"Pattern {pattern[:60]!r}: too long, or repeats more than one plain part")


def rows(frame: pd.DataFrame, condition: str | None) -> pd.DataFrame:
    """Return the rows that meet `condition`; column names that are not identifiers are quoted with backticks."""
    if condition is None:
        return frame
    used = condition_columns(condition)
    for name in used:
        if name.startswith("__") or name not in frame.columns:
            raise SombError(f"Condition {condition!r}: no column {name!r}")
    try:
        # Of thousands of columns, only those named.
        return frame[np.asarray(frame[used].eval(condition, engine="python"), dtype=bool)]
    except (ValueError, TypeError, KeyError) as error:
        raise SombError(f"Condition {condition!r} cannot be evaluated: {error}") from error
