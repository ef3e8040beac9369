"""Keys of items, computed from the open tables."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from somb_utils.errors import SombError
from somb_utils.llm.bank.checks import Operation, Value
from somb_utils.llm.bank.operations import Loader, evaluate
from somb_utils.llm.core.items import UNDETERMINED, Item, Tolerance
from somb_utils.tables.sources import Source

SHARES = ("fraction", "missing", "agreement")  # operations that give a share, which items ask for in %


@dataclass(frozen=True)
class Key:
    """The right answer to an item.

    Parameters
    ----------
    value
        A number, unrounded; a tuple of names; the wording of the right choice; ``increase`` or ``decrease``; or None
        if the answer cannot be determined.
    text
        The answer as it would be stated.
    """

    value: float | str | tuple[str, ...] | None
    text: str

    @classmethod
    def stored(cls, value: Any, text: str) -> "Key":
        """Return a key from a log, where names are a list."""
        return cls(tuple(value) if isinstance(value, list) else value, text)


def key_text(item: Item, value: float) -> str:
    """Return a number as an answer to the item states it, with its unit."""
    assert item.tolerance
    digits = places(value, item.tolerance)
    return f"{round(value, digits):.{max(0, digits)}f} {item.unit}"


def places(value: float, tolerance: Tolerance) -> int:
    """Return the number of decimal places that an answer states; negative for tens, hundreds, ..."""
    if tolerance.significant is None:
        return tolerance.decimals or 0
    return tolerance.significant - 1 - (math.floor(math.log10(abs(value))) if value else 0)


def _number(item: Item, operation: Operation, load: Loader) -> float:
    value = evaluate(operation, load)
    if isinstance(value, str | list) or not math.isfinite(value):
        raise SombError(f"{operation.op} gives {value!r}, which is not a number")
    return float(value) * (100 if item.unit == "%" and operation.op in SHARES else 1)


def _best(item: Item, load: Loader) -> str | tuple[str, ...]:
    """Return which of the choices, each an operation, is right."""
    values = {label: _number(item, op, load) for label, op in item.choices.items() if isinstance(op, Operation)}
    if item.pick in ("positive", "negative"):
        sign = 1 if item.pick == "positive" else -1
        return tuple(sorted(label for label, value in values.items() if sign * value > 0))
    best = (max if item.pick == "largest" else min)(values.values())
    first = [label for label, value in values.items() if value == best]
    if len(first) > 1:
        raise SombError(f"{' and '.join(first)} have the same value, {best:g}")
    return first[0]


def _labels(item: Item, value: Value) -> list[str]:
    """Return the wordings under which an operation's result is offered."""
    given = value if isinstance(value, list) else [value]
    offered = {str(choice): label for label, choice in item.choices.items()}
    if lost := [str(v) for v in given if str(v) not in offered]:
        raise SombError(f"{', '.join(lost)} is not among the choices")
    return sorted(offered[str(v)] for v in given)


def _key(item: Item, load: Loader) -> Key:
    if item.answer is None:
        best = _best(item, load)
        return Key(best, best if isinstance(best, str) else ", ".join(best))
    if item.kind in ("undetermined", "sign", "numeric"):
        value = _number(item, item.answer, load)
        if item.kind == "undetermined":
            if value:
                raise SombError(f"it cannot be determined, but its operation gives {value:g}, not 0")
            return Key(None, UNDETERMINED)
        if item.kind == "sign":
            if not value:
                raise SombError("the change is 0, which has no sign")
            word = "increase" if value > 0 else "decrease"
            return Key(word, word)
        return Key(value, key_text(item, value))
    result = evaluate(item.answer, load)
    if item.kind == "choice":
        (label,) = _labels(item, result)
        return Key(label, label)
    if not isinstance(result, list):
        raise SombError(f"{item.answer.op} gives no list of names")
    names = tuple(_labels(item, result) if item.choices else result)
    return Key(names, ", ".join(names))


def compute_keys(items: Iterable[Item], source: Source) -> dict[str, Key]:
    """Return the key of each item, computed from the tables of a source.

    Simulated tables give simulated keys, which the caller must mark; items that such tables cannot answer, because
    they have other genes or analytes, have none.

    Parameters
    ----------
    items
        As `load_items` gives them.
    source
        Where the tables come from, as `somb_utils.tables.sources.resolve_source` gives it.

    Returns
    -------
    dict
        `Key` by the item's id.

    Raises
    ------
    SombError
        If tables are missing, or real tables do not give the key of an item; the message names the item.
    """
    items = list(items)
    stems = dict.fromkeys(name for item in items for name in tables_of(item))
    if source.kind != "simulated" and (lacking := [name for name in stems if not source.has(name)]):
        raise SombError(f"The keys need tables that are missing: {', '.join(lacking)}. To {source.remedy(lacking)}")
    keys = {}
    for item in items:
        try:
            if source.kind == "simulated" and not all(map(source.has, tables_of(item))):
                continue
            keys[item.id] = _key(item, source.load)
        except SombError as error:
            if source.kind != "simulated":
                raise SombError(f"{item.id}: {error}") from error
    return keys


def tables_of(item: Item) -> tuple[str, ...]:
    """Return the stems of the tables that an item's key is computed from."""
    operations = [item.answer, *item.choices.values()]
    return tuple(dict.fromkeys(name for op in operations if isinstance(op, Operation) for name in op.tables))
