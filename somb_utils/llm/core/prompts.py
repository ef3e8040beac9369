"""What models are asked: an item, the form of its answer and, in the condition ``reading``, its contexts."""

import string
from collections.abc import Mapping
from typing import Literal

from somb_utils.llm.bank.questions import load_context
from somb_utils.llm.core.items import UNDETERMINED, Item, Tolerance

Condition = Literal["recall", "reading", "analysis"]

SYSTEM = """\
You answer questions about open data of spaceflight studies in humans and mice. Think as long as you need, then end \
with one line of the form
ANSWER: your answer
and write nothing after it."""

_FORMS = {
    "numeric": "one number in {unit}, {rounding}, without a range",
    "sign": "increase or decrease",
    "set": "all names that apply, separated by commas{names}",
    "choice": "the letter of one choice",
}
_DECLINE = (
    f"If the data do not determine the answer, or contradict what the question assumes, write: ANSWER: {UNDETERMINED}"
)


def _rounding(tolerance: Tolerance) -> str:
    if tolerance.significant is not None:
        return f"rounded to {tolerance.significant} significant digit{'s' * (tolerance.significant > 1)}"
    decimals = tolerance.decimals or 0
    if decimals > 0:
        return f"rounded to {decimals} decimal place{'s' * (decimals > 1)}"
    return "rounded to a whole number" if decimals == 0 else f"rounded to the nearest {10**-decimals:,}"


def answer_form(item: Item) -> str:
    """Return what an answer must look like, for an item that cannot be determined the same as for its twin."""
    names = f", out of: {', '.join(item.options)}" if item.options else ""
    rounding = _rounding(item.tolerance) if item.tolerance else ""
    form = _FORMS[item.form].format(unit=item.unit, rounding=rounding, names=names)
    return f"Form of the answer: {form}. {_DECLINE}"


def question_text(item: Item) -> str:
    """Return the question, its choices with letters, and the form of the answer."""
    lettered = zip(string.ascii_uppercase, item.options if item.form == "choice" else (), strict=False)
    choices = "".join(f"\n{letter}) {option}" for letter, option in lettered)
    return f"# Question\n{item.question}{choices}\n\n{answer_form(item)}"


def item_prompt(item: Item, condition: Condition, contexts: Mapping[str, str] | None = None) -> str:
    """Return what a model is asked.

    Parameters
    ----------
    item
        The item.
    condition
        ``reading`` shows the item's contexts; ``recall`` and ``analysis`` the question alone.
    contexts
        Texts shown in place of the context files of these names.

    Returns
    -------
    str
        The user's message; `SYSTEM` goes before it.
    """
    if condition != "reading":
        return question_text(item)
    shown = [(contexts or {}).get(name) or load_context(name) for name in item.contexts]
    texts = [f"# Context: {name}\n{text.strip()}" for name, text in zip(item.contexts, shown, strict=True)]
    return "\n\n".join([*texts, question_text(item)])
