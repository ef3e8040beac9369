"""The numbers in the expected reasoning and the rubrics: each is checked, follows by arithmetic, or is defined."""

import re
from collections.abc import Iterator
from statistics import stdev

import pytest
from scipy import stats
from scipy.optimize import brentq
from test_bank import FIGURE, ROOT, WORDS, each_question, says

from somb_utils.llm.bank.operations import Loader, agrees, evaluate
from somb_utils.llm.bank.questions import load_bank
from somb_utils.llm.bank.schema import Figure, Question

FRACTION = re.compile(r"(?<![\w.+/-])\d+/\d+(?![\w/])")
UNIT = re.compile(r"(?:,? (?:to|and|or|against|by) [-+\d.,]+)? ?(%|per ?cent|million)")
# Small counts of people, draws and parts need no ground, unless they are a quantity: three per cent, one in four.
SMALL = ("two", "three", "four", "six people", "six astronauts")
COUNT = "|".join(set(WORDS) - {"no", "one", "none"})
QUANTITY = re.compile(
    rf"\b({COUNT}) (?=per ?cent|times|fold\b|quarters|to (?:{COUNT}) (?:fold|times)|of (?:{COUNT}) (?:down|up))"
    rf"|\b(?:(?:one|{COUNT}) in|factor of) ({COUNT})\b"
)


def power(change: float, n: int) -> float:
    """Power of a two-sided paired t test at 5 % for a standardised change in n people (the wrong tail left out)."""
    shift, edge = change * n**0.5, stats.t.ppf(0.975, n - 1)
    return float(stats.nct.sf(edge, n - 1, shift))


def detectable(n: int) -> float:
    """The standardised change that a two-sided paired t test at 5 % finds with a power of 80 %."""
    return float(brentq(lambda change: power(change, n) - 0.8, 0.1, 3))


def p_of_correlation(r: float, n: int) -> float:
    """Two-sided p-value of a correlation over n points."""
    return float(2 * stats.t.sf(abs(r) * ((n - 2) / (1 - r * r)) ** 0.5, n - 2))


def spread(*values: float) -> float:
    """Standard deviation."""
    return stdev(values)


def value(figure: Figure) -> float:
    """The value that a figure's arithmetic gives."""
    known: dict[str, object] = {"detectable": detectable, "p_of_correlation": p_of_correlation, "spread": spread}
    return float(eval(figure.follows or "", {"__builtins__": {}}, known | {k: c.value for k, c in figure.of.items()}))


def numbers(text: str) -> Iterator[tuple[str, str]]:
    """The numbers in a text as they stand there, each with its unit; small counts are left out."""
    for found in FRACTION.findall(text):
        yield found, ""
    text = FRACTION.sub(" ", text)
    for match in FIGURE.finditer(text):
        unit = UNIT.match(text, match.end())
        yield match[0].rstrip(","), unit[1] if unit else ""
    lower = re.sub(r"-?fold\b", " fold", text.lower())
    quantities = {word for match in QUANTITY.finditer(lower) for word in match.groups() if word}
    for match in re.finditer(r"[a-z]+(?:-[a-z]+)?(?: people| astronauts)?", lower):
        word = match[0].split()[0]
        if WORDS.get(word, 1) > 1 and (word in quantities or not {word, match[0]} & set(SMALL)):
            yield word, ""


def states(found: str, unit: str, value: float) -> bool:
    """Whether a number says a value, rounded to the digits stated; a sign that stands there has to be the value's."""
    if "/" in found:
        return abs(eval(found) - value) < 1e-9
    if found[0] in "+-" and float(found.replace(",", "")) * value < 0:
        return False
    value = abs(100 * value if unit[:1] in "%p" and unit and abs(value) <= 1 else value)
    return says(found, value / 1e6 if unit == "million" else value, plain=True)


def stated_by_facts(question: Question, found: str, unit: str) -> bool:
    """Whether a key fact that is checked on a table computes a number, or one that cites a paper states it."""
    if any(k.cite and found in {number for number, _ in numbers(k.text)} for k in question.key_facts):
        return True
    values = [k.check.value for k in question.key_facts if k.check and isinstance(k.check.value, int | float)]
    return WORDS.get(found) in values if found in WORDS else any(states(found, unit, v) for v in values)


def unfounded(question: Question) -> list[str]:
    """The numbers in the reasoning and the rubric of a question that have no ground."""
    listed = {figure.says for figure in question.figures}
    texts = (*question.expected_reasoning, *question.rubric.values())
    return [
        f"{found!r} in {text!r}"
        for text in texts
        for found, unit in numbers(text)
        if found not in listed and not stated_by_facts(question, found, unit)
    ]


@each_question
def test_a_number_in_the_reasoning_or_the_rubric_has_a_ground(question: Question) -> None:
    assert not unfounded(question), question.id


@each_question
def test_the_grounds_hold_and_are_needed(question: Question, load_open: Loader) -> None:
    for check in (c for figure in question.figures for c in (figure.check, *figure.of.values()) if c):
        assert agrees(evaluate(check, load_open), check), f"{question.id}: {check} gives {evaluate(check, load_open)}"
    texts = (*question.expected_reasoning, *question.rubric.values())
    stated = {found: unit for text in texts for found, unit in numbers(text)}
    facts = [abs(k.check.value) for k in question.key_facts if k.check and isinstance(k.check.value, int | float)]
    known = (ROOT / "book" / "references.bib").read_text()
    for figure in question.figures:
        assert figure.says in stated, f"{figure.says} stands nowhere in {question.id}"
        unit = stated[figure.says]
        assert figure.cite is None or f"{{{figure.cite}," in known, figure.cite
        for literal in re.findall(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.])", figure.follows or ""):
            typed = len(literal.replace(".", "").strip("0")) >= 3 and literal not in question.question
            assert not typed or float(literal) in facts, f"{question.id}: {literal} in {figure.follows} is not checked"
        if figure.check or figure.follows:
            given = value(figure) if figure.follows else float(figure.check.value)  # type: ignore[union-attr, arg-type]
            assert states(str(WORDS.get(figure.says, figure.says)), unit, given), f"{question.id}: {figure}"


def test_a_slip_in_the_reasoning_is_noticed() -> None:
    question = next(q for q in load_bank() if q.id == "CLIN-M02")
    for old, new in (("4.1", "4.2"), ("36 to 44", "36 to 54")):
        texts = [t.replace(old, new) for t in question.expected_reasoning]
        rubric = {name: text.replace(old, new) for name, text in question.rubric.items()}
        wrong = question.model_copy(update={"expected_reasoning": tuple(texts), "rubric": rubric})
        assert wrong != question
        assert not unfounded(question) and len(unfounded(wrong)) == 1 and new.split()[-1] in unfounded(wrong)[0]


def test_the_power_of_a_paired_test() -> None:
    assert detectable(4) == pytest.approx(2.0, abs=0.15) and p_of_correlation(0.95, 4) == pytest.approx(0.05)
