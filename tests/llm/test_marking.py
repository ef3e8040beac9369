"""Marking of replies: what counts as an answer, and as the right one."""

import pytest

from somb_utils.llm.core.items import Item
from somb_utils.llm.core.keys import Key
from somb_utils.llm.core.marking import mark

BASE = {"question": "What?", "modality": "clinical", "contexts": ["clinical"]}
OP = {"op": "count", "table": "clinical_cbc"}


def number(unit: str, decimals: int = 1) -> Item:
    return Item.model_validate(
        BASE | {"id": "CLIN-C001", "kind": "numeric", "answer": OP, "unit": unit, "tolerance": {"decimals": decimals}}
    )


SIGN = Item.model_validate(BASE | {"id": "CLIN-C002", "kind": "sign", "answer": OP})
SET = Item.model_validate(BASE | {"id": "CLIN-C003", "kind": "set", "answer": OP})
CHOICE = Item.model_validate(
    BASE | {"id": "CLIN-C004", "kind": "choice", "answer": OP, "choices": ["IL-6", "IL-10", "MCP-1"]}
)


@pytest.mark.parametrize(
    ("reply", "value", "unit"),
    [
        ("ANSWER: 14.4", 14.38, "g/dL"),
        ("**ANSWER: 14.4 g/dL**", 14.38, "g/dL"),
        ("**Answer:** `14.4` g/dL.", 14.38, "g/dL"),
        ("## Final answer: $14.4\\,\\text{g/dL}$", 14.38, "g/dL"),
        ("ANSWER: 144 g/L", 14.4, "g/dL"),
        ("ANSWER: approximately 14,4 g/dL", 14.38, "g/dL"),
        ("ANSWER: −2.3 log2 units", -2.34, "log2 units"),
        ("ANSWER: 2.3-fold", 2.3, "times"),
        ("ANSWER: 1.2 × 10^3", 1200.0, "genes"),
        ("ANSWER: 1.2e3 genes", 1200.0, "genes"),
        ("ANSWER: 1,349,950 copies per million", 1349950.0, "copies per million"),
        ("ANSWER: 1 349 950", 1349950.0, "copies per million"),
        ("ANSWER: 1.349950 million", 1349950.0, "genes"),
        ("ANSWER: 56.1 percent", 56.14, "%"),
        ("ANSWER: 56.1% (32 of 57)", 56.14, "%"),
        ("ANSWER: r = 0.4", 0.43, "correlation"),
        ("First ANSWER: 3\nANSWER: 14.4", 14.38, "g/dL"),
        ("The answer is: 14.4 g/dL.", 14.38, "g/dL"),
    ],
)
def test_numbers_are_read_in_every_usual_form(reply: str, value: float, unit: str) -> None:
    result = mark(number(unit), Key(value, str(value)), reply)
    assert result.correct and result.answered and not result.invalid


@pytest.mark.parametrize(
    ("reply", "value", "unit", "invalid"),
    [
        ("ANSWER: 14.4 mg/dL", 14.38, "g/dL", False),
        ("ANSWER: 14.5", 14.38, "g/dL", False),
        ("ANSWER: 0.561", 56.14, "%", False),
        ("ANSWER: 14.4 U/L", 14.38, "g/dL", True),
        ("ANSWER: 14.4 to 15 g/dL", 14.38, "g/dL", True),
        ("ANSWER: 14.4 or 15.0", 14.38, "g/dL", True),
        ("ANSWER: 12 %", 12.0, "samples", True),
        ("ANSWER: 1,23,4", 1234.0, "genes", True),
        ("ANSWER: high", 14.38, "g/dL", True),
        ("ANSWER:", 14.38, "g/dL", True),
        ("It is 14.4 g/dL.", 14.38, "g/dL", True),
        ("", 14.38, "g/dL", True),
    ],
)
def test_other_numbers_and_units_are_wrong_and_unreadable_ones_invalid(
    reply: str, value: float, unit: str, invalid: bool
) -> None:
    result = mark(number(unit), Key(value, str(value)), reply)
    assert not result.correct and result.invalid == invalid and result.answered != invalid


def test_whole_numbers_are_exact() -> None:
    item, key = number("samples", 0), Key(12.0, "12 samples")
    assert mark(item, key, "ANSWER: 12 samples").correct
    assert not mark(item, key, "ANSWER: 12.4").correct


@pytest.mark.parametrize(
    ("item", "key", "right", "wrong"),
    [
        (SIGN, Key("decrease", "decrease"), ["decrease", "It fell", "decreased (from 7.5 to 6.4)", "lower"], ["rises"]),
        (
            SET,
            Key(("CD44", "HLA-A"), ""),
            ["HLA-A, CD44", "cd44 and hla-a", "[CD44; HLA-A]"],
            ["CD44", "CD44, HLA-A, B2M"],
        ),
        (CHOICE, Key("IL-10", ""), ["IL-10", "il-10"], ["IL-6", "MCP-1"]),
    ],
)
def test_signs_sets_and_choices(item: Item, key: Key, right: list[str], wrong: list[str]) -> None:
    assert all(mark(item, key, f"ANSWER: {text}").correct for text in right)
    assert not any(mark(item, key, f"ANSWER: {text}").correct for text in wrong)


def test_a_choice_is_named_by_its_letter() -> None:
    at = CHOICE.options.index("IL-10")
    letter, other = "ABC"[at], "ABC"[(at + 1) % 3]
    key = Key("IL-10", "IL-10")
    for text in (letter, f"{letter})", f"({letter}) IL-10", f"{letter.lower()}. IL-10", f"**{letter}**"):
        assert mark(CHOICE, key, f"ANSWER: {text}").correct
    assert not mark(CHOICE, key, f"ANSWER: {other}").correct
    assert mark(CHOICE, key, f"ANSWER: {other}) IL-10").given  # a letter and a wording that differ
    assert mark(CHOICE, key, "ANSWER: D").invalid
    assert mark(SIGN, Key("increase", ""), "ANSWER: it rises and falls").invalid


@pytest.mark.parametrize(
    "text",
    [
        "cannot be determined",
        "Cannot be determined from these data.",
        "can't be determined",
        "not enough information to determine the answer",
        "Insufficient data",
    ],
)
def test_declining_is_right_only_where_the_answer_cannot_be_determined(text: str) -> None:
    unknown = Item.model_validate(BASE | {"id": "CLIN-C005", "kind": "undetermined", "asks": "sign", "answer": OP})
    assert mark(unknown, Key(None, "cannot be determined"), f"ANSWER: {text}").correct
    assert not mark(unknown, Key(None, "cannot be determined"), "ANSWER: increase").correct
    result = mark(SIGN, Key("increase", "increase"), f"ANSWER: {text}")
    assert not result.correct and not result.answered and not result.invalid
