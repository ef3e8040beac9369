"""Perturbed twins: a number in a context is changed, to see whether the answer follows it or is remembered."""

import random
import re
from collections.abc import Iterable
from dataclasses import dataclass

import yaml

from somb_utils.llm.bank.checks import Operation
from somb_utils.llm.bank.contexts import FIGURE, between, template
from somb_utils.llm.bank.questions import load_context
from somb_utils.llm.core.items import Item
from somb_utils.llm.core.keys import SHARES, Key, key_text, places

_NUMBER = re.compile(r"[+-]?[\d,]+(?:\.\d+)?%?")


@dataclass(frozen=True)
class Probe:
    """An item with contexts in which the figure that answers it was changed, and the key that follows from them."""

    item: Item
    contexts: dict[str, str]
    key: Key


def _changed(item: Item, text: str) -> tuple[str, float] | None:
    """Return a figure's changed text and the answer that it gives; None if it is too coarse to tell the answer."""
    assert item.tolerance and item.answer
    decimals = len(text.rstrip("%").partition(".")[2])
    number = float(text.rstrip("%").replace(",", ""))
    new = number * random.Random(f"perturbed {item.id}").choice([0.6, 0.75])  # a share stays one
    shown = f"{new:{'+' if text[0] == '+' else ''},.{decimals}f}" + "%" * text.endswith("%")
    stated = float(shown.rstrip("%").replace(",", ""))
    scale = 100 if item.unit == "%" and item.answer.op in SHARES and not text.endswith("%") else 1
    step, half = scale * 10.0**-decimals, 0.5 * 10.0 ** -places(stated * scale, item.tolerance)
    told = step / 2 <= half and abs(stated - number) * scale > 2 * half
    return (shown, stated * scale) if told else None


def _is(expression: str, operation: Operation | None) -> bool:
    """Return whether a figure's expression is the operation; only one that may be is read, which takes long."""
    if operation is None or operation.op not in expression or operation.table not in expression:
        return False
    return operation == Operation.model_validate(yaml.safe_load("{" + expression.partition(" | ")[0] + "}"))


def _contexts(item: Item) -> tuple[dict[str, str], float] | None:
    texts: dict[str, str] = {}
    answer = None
    for name in item.contexts:
        pieces = FIGURE.split(template(name).partition("\n")[2])
        committed = between(pieces[::2], load_context(name))
        if committed is None:
            continue
        for at, (expression, text) in enumerate(zip(pieces[1::2], committed, strict=True)):
            if _NUMBER.fullmatch(text) and _is(expression, item.answer):
                if (changed := _changed(item, text)) is None or answer not in (None, changed[1]):
                    return None
                committed[at], answer = changed
                texts[name] = "".join(a + b for a, b in zip(pieces[::2], [*committed, ""], strict=True))
    return None if answer is None else (texts, answer)


def perturbed(items: Iterable[Item]) -> list[Probe]:
    """Return a probe for each numeric item whose answer stands, as a figure, in a context of the item."""
    probes = []
    for item in items:
        if item.kind == "numeric" and (found := _contexts(item)) is not None:
            texts, value = found
            probes.append(Probe(item, texts, Key(value, key_text(item, value))))
    return probes
