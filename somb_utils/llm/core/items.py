"""Items of the core, abstention and false-premise sets, as read from ``data/llm/core``."""

import hashlib
import json
import random
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from somb_utils.errors import SombError
from somb_utils.llm.bank.checks import Operation
from somb_utils.llm.bank.questions import LLM, read_entries
from somb_utils.llm.bank.schema import PREFIXES, Context, Modality
from somb_utils.llm.core.units import UNITS

Form = Literal["numeric", "sign", "set", "choice"]
ItemKind = Literal["numeric", "sign", "set", "choice", "undetermined"]
Group = Literal["core", "abstain", "premise", "private"]
FOLDER = LLM / "core"
LETTERS = {"core": "C", "abstain": "A", "premise": "P", "private": "S"}
UNDETERMINED = "cannot be determined"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Tolerance(_Frozen):
    """The rounding that an answer must have: half a unit of its last digit is the greatest error.

    Parameters
    ----------
    decimals
        Places after the decimal point (an absolute tolerance); 0 for a count, negative for tens, hundreds, ...
    significant
        Significant digits (a tolerance relative to the key's magnitude).
    """

    decimals: int | None = Field(None, ge=-9, le=9)
    significant: int | None = Field(None, ge=1, le=6)

    @model_validator(mode="after")
    def _one(self) -> "Tolerance":
        if (self.decimals is None) == (self.significant is None):
            raise ValueError("a tolerance is either decimals or significant")
        return self


class Item(_Frozen):
    """One item: a question whose answer code computes from the open tables and compares with a reply.

    Parameters
    ----------
    id
        Prefix of the modality, letter of the group and number, such as ``CLIN-C001``.
    question
        What models are asked; the form of the answer, rounding and choices are added by `item_prompt`.
    kind
        ``numeric``, ``sign`` (increase or decrease), ``set`` (a list of names), ``choice`` (one of several), or
        ``undetermined`` (the tables do not tell).
    asks
        Of an undetermined item: the form of the answer that it seems to have; one of the other kinds.
    modality
        One of the bank's modalities.
    contexts
        Names of the context files that are shown in the condition ``reading``.
    answer
        The operation that computes the key. Of an undetermined item it counts what the question would need, and
        must give 0. Absent if `choices` hold operations.
    tolerance, unit
        Rounding and unit of a numeric answer. The unit is one of `somb_utils.llm.core.units.UNITS` or, of a
        count, the plural of what is counted. Shares are asked for in %.
    choices
        Of ``choice``, and of ``set`` where names have to be listed: what is offered, by its wording; the value that
        `answer` gives for it (in a list: the wording itself), or an operation.
    pick
        Where choices are operations, which of them is right: the one with the largest or smallest value, or (of a
        set) those with a positive or negative one.
    group
        ``core``, ``abstain`` (the data do not tell), ``premise`` (the question assumes what the data contradict) or
        ``private``.
    twin
        Of an item that cannot be determined: id of the one of nearly the same wording that can.
    """

    id: str = Field(pattern=r"^[A-Z]{4}-[CAPS]\d{3}$")
    question: str = Field(min_length=1)
    kind: ItemKind
    asks: Form | None = None
    modality: Modality
    contexts: tuple[Context, ...] = Field(min_length=1)
    answer: Operation | None = None
    tolerance: Tolerance | None = None
    unit: str | None = None
    choices: dict[str, Operation | float | str] = Field(default_factory=dict)
    pick: Literal["largest", "smallest", "positive", "negative"] | None = None
    group: Group = "core"
    twin: str | None = None

    @model_validator(mode="after")
    def _consistent(self) -> "Item":
        if not self.id.startswith(start := f"{PREFIXES[self.modality]}-{LETTERS[self.group]}"):
            raise ValueError(f"the id of a {self.modality} item of the group {self.group} starts with {start}")
        computed = any(isinstance(choice, Operation) for choice in self.choices.values())
        picks = {"choice": ("largest", "smallest"), "set": ("positive", "negative")}.get(self.kind, ())
        unknown = self.kind == "undetermined"
        rules = [
            ((self.asks is not None) == unknown, "asks: of an item that cannot be determined"),
            ((self.form == "numeric") == bool(self.tolerance and self.unit), "tolerance and unit: of numeric answers"),
            ((self.answer is None) == computed, "either an answer, or operations as choices"),
            (self.pick in picks if computed else self.pick is None, "pick: largest or smallest of a choice's "
             "operations, positive or negative of those of a set"),
            (len(self.choices) >= 3 if self.form == "choice" else not self.choices or self.form == "set",
             "choices: three or more of a choice; of a set where names have to be listed"),
            (unknown and self.group != "core" if self.twin else not unknown or self.group in ("core", "private"),
             "twin: of every item of the groups abstain and premise that cannot be determined, and of no other"),
        ]  # fmt: skip
        if broken := [text for holds, text in rules if not holds]:
            raise ValueError("; ".join(broken))
        if self.unit and self.unit not in UNITS and not self.unit.replace(" ", "").replace("-", "").isalpha():
            raise ValueError(f"the unit {self.unit!r} is not known; add it to the units")
        return self

    @model_validator(mode="before")
    @classmethod
    def _listed(cls, data: Any) -> Any:
        """Accept a list of choices that are their own values."""
        listed = isinstance(data, dict) and isinstance(data.get("choices"), list)
        return data | {"choices": {str(label): label for label in data["choices"]}} if listed else data

    @property
    def form(self) -> Form:
        """The form of the answer asked for: the kind, or what an undetermined item seems to ask for."""
        return self.asks or self.kind  # type: ignore[return-value]

    @property
    def options(self) -> tuple[str, ...]:
        """The choices in the order shown: shuffled by the id, so that the place of the right one says nothing."""
        labels = sorted(self.choices)
        random.Random(f"options {self.id}").shuffle(labels)
        return tuple(labels)

    @property
    def chance(self) -> float:
        """The share that blind answers would get right: 1/2 of signs, 1/n of n choices, else 0."""
        return {"sign": 0.5, "choice": 1 / max(1, len(self.choices))}.get(self.kind, 0.0)


@lru_cache(maxsize=8)
def _all(folder: Path) -> tuple[Item, ...]:
    items = [item for path in sorted(folder.glob("*.yaml")) for item in read_entries(path, Item, "item")]
    if not items:
        raise SombError(f"No items in {folder}")
    known = Counter(item.id for item in items)
    if repeated := [name for name, n in known.items() if n > 1]:
        raise SombError(f"Duplicated item ids in {folder}: {', '.join(repeated)}")
    answerable = {item.id for item in items if item.kind != "undetermined"}
    if lost := [item.id for item in items if item.twin is not None and item.twin not in answerable]:
        raise SombError(f"The twins of these items in {folder} are not answerable items: {', '.join(lost)}")
    return tuple(sorted(items, key=lambda item: item.id))


def load_items(group: Group | None = None, folder: Path | None = None) -> tuple[Item, ...]:
    """Return the items of one group, or all, sorted by id.

    Parameters
    ----------
    group
        ``core``, ``abstain`` or ``premise``; the answerable twins of a group belong to it. By default, all.
    folder
        Folder of YAML files; by default, the benchmark's own.

    Returns
    -------
    tuple of Item
        Sorted by id.

    Raises
    ------
    SombError
        If a file cannot be read or an item is not complete; the message names file and item.
    """
    return tuple(item for item in _all(folder or FOLDER) if group in (None, item.group))


def schema() -> str:
    """Return the JSON Schema of a file of items, as text."""
    return json.dumps(TypeAdapter(list[Item]).json_schema(), indent=2) + "\n"


def items_digest(items: Iterable[Item]) -> str:
    """Return a short fingerprint of items.

    Parameters
    ----------
    items
        In any order.

    Returns
    -------
    str
        Eight hexadecimal digits, which change with any field of any item.
    """
    text = json.dumps([item.model_dump(mode="json") for item in sorted(items, key=lambda item: item.id)])
    return hashlib.sha256(text.encode()).hexdigest()[:8]
