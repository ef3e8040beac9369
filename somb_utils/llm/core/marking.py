"""Marking: the answer in a reply's last line, compared with the key; no judge is needed."""

import re
import unicodedata
from dataclasses import dataclass

from somb_utils.llm.core.items import UNDETERMINED, Item
from somb_utils.llm.core.keys import Key, places
from somb_utils.llm.core.units import UNITS, factor

LONGEST = 2000  # characters of an answer that are read
_ANSWER = re.compile(
    r"^[\s>#*_`-]*(?:the\s+)?(?:final\s+)?answer[\s*_`]*(?:is\b[\s*_`]*:?|[:=])[\s*_`]*(.*)$", re.IGNORECASE
)
_NUMBER = re.compile(r"([+-]?)(\d[\d,' ]*(?:\.\d+)?|\.\d+)(?:\s*(?:[x×·*]\s*10\s*\^?|e)\s*([+-]?\d+))?", re.IGNORECASE)
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_WORDS = {"thousand": 1e3, "million": 1e6, "billion": 1e9}
_UP = re.compile(r"\b(increas\w*|ris(es?|ing)|rose|risen|up|higher|positive|upregulated|up-regulated)\b", re.IGNORECASE)
_DOWN = re.compile(
    r"\b(decreas\w*|falls?|fell|fallen|down|lower|negative|downregulated|down-regulated)\b", re.IGNORECASE
)
_DECLINED = re.compile(
    r"^(?:it |this |the answer )?(?:can(?:not|'t| not) be (?:determined|answered|known)|cannot determine|undetermined|"
    r"not determin(?:able|ed)|(?:not enough|insufficient) (?:information|data)|false premise)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Answer:
    """The answer that a reply states.

    Parameters
    ----------
    value
        A number in the item's unit, names in lower case, the wording of a choice, ``increase`` or ``decrease``; None
        if the reply says that the answer cannot be determined.
    text
        As the reply states it.
    """

    value: float | str | frozenset[str] | None
    text: str


@dataclass(frozen=True)
class Mark:
    """How a reply was marked.

    Parameters
    ----------
    correct
        Whether the answer is the key's.
    answered
        Whether the reply states an answer, and does not say that it cannot be determined.
    invalid
        Whether the reply has no answer that can be read: marked wrong, counted apart.
    given, key
        Answer and key as stated.
    """

    correct: bool
    answered: bool
    invalid: bool
    given: str
    key: str


def _plain(text: str) -> str:
    """Return text without markdown, LaTeX signs, and variants of spaces and minus signs."""
    text = re.sub(r"[\u2212\u2010-\u2014]", "-", text.translate(_SUPERSCRIPTS) if "10" in text else text)
    text = re.sub(r"[\u00a0\u2009\u202f\u2007]", " ", text).replace("\u2019", "'")
    text = re.sub(r"\\(?:text|mathrm|boxed)\{([^{}]*)\}", r"\1", text).replace("\\times", "×").replace("^{", "^")
    text = re.sub(r"\\[()\[\],;! ]|[`$]|\*\*|__|[{}]", "", text).replace("\\%", "%")
    return unicodedata.normalize("NFC", text).strip(" \t*_.")


def stated(text: str) -> str | None:
    """Return what the last line ``ANSWER: ...`` or ``The answer is ...`` of a reply says; None without such a line."""
    for line in reversed(text.splitlines()):
        if match := _ANSWER.match(line):
            return _plain(match[1])[:LONGEST] or None
    return None


def _number(text: str, unit: str) -> float | None:
    """Return the number that a text states, in `unit`; None if it states no number, or in another quantity's unit."""
    text = re.sub(r"^(?:about|approximately|approx\.?|around|roughly|~|≈|=|[rp]\s*=)\s*", "", text, flags=re.IGNORECASE)
    text = re.sub(r"\s*\([^()]*\)$", "", text)
    match = _NUMBER.match(text)
    if match is None:
        return None
    sign, digits, power = match.groups()
    digits = digits.strip()
    if re.fullmatch(r"\d+,\d{1,2}|0,\d+|\d{1,3},\d{4,}", digits):  # a decimal comma
        digits = digits.replace(",", ".")
    elif not re.fullmatch(r"\d{1,3}(?:([,' ])\d{3})(?:\1\d{3})*(?:\.\d+)?|\d*(?:\.\d+)?", digits):
        return None
    value = float(f"{sign}{re.sub('[,’ ]', '', digits).replace(chr(39), '')}e{power or 0}")
    rest = text[match.end() :].strip()
    word, _, after = rest.partition(" ")
    if word.lower() in _WORDS and (unit not in UNITS or factor(rest, unit) is None):
        value, rest = value * _WORDS[word.lower()], after
    scale = factor(rest, unit)
    return None if scale is None else value * scale


def _option(text: str, item: Item) -> str | None:
    """Return the choice that a letter, a wording or both name."""
    by_wording = {label.casefold(): label for label in item.options}
    match = re.match(r"^(?:option\s+)?\(?([A-Z])\)?(?:[).:,]?\s+(.*)|[).:]?)$", text, re.IGNORECASE)
    if text.casefold() in by_wording:
        return by_wording[text.casefold()]
    if match is None or (at := ord(match[1].upper()) - ord("A")) >= len(item.options):
        return None
    named = by_wording.get((match[2] or "").strip("()-–: ").casefold())
    return item.options[at] if named in (None, item.options[at]) else None


def _names(text: str) -> frozenset[str]:
    parts = re.split(r"\s*[,;]\s*(?:and\s+)?|\s+and\s+", text.strip("[]() "))
    return frozenset(re.sub(r"\s+", " ", part).strip("'\"*. ").casefold() for part in parts if part.strip("'\"*. "))


def parse(item: Item, text: str) -> Answer | None:
    """Return the answer that a reply states, in the form of the item's kind.

    Parameters
    ----------
    item
        The item that was asked.
    text
        The reply; its last line ``ANSWER: ...`` counts.

    Returns
    -------
    Answer or None
        None if there is no such line, or what it states is not of the form asked for.
    """
    answer = stated(text)
    if answer is None:
        return None
    if _DECLINED.match(answer):
        return Answer(None, answer)
    value: float | str | frozenset[str] | None
    if item.form == "set":
        value = _names(answer) or None
    elif item.form == "numeric":
        value = _number(answer, item.unit or "")
    elif item.form == "choice":
        value = _option(answer, item)
    else:
        up, down = bool(_UP.search(answer)), bool(_DOWN.search(answer))
        value = None if up == down else "increase" if up else "decrease"
    return None if value is None else Answer(value, answer)


def _agrees(item: Item, key: Key, value: float | str | frozenset[str]) -> bool:
    if isinstance(key.value, float):
        assert item.tolerance
        if key.value == int(key.value) and item.tolerance.decimals == 0:
            return value == key.value
        half = 0.5 * 10.0 ** -places(key.value, item.tolerance)
        return isinstance(value, float) and abs(value - key.value) <= half * (1 + 1e-9)
    if isinstance(key.value, tuple):
        return value == frozenset(name.casefold() for name in key.value)
    return value == key.value


def mark(item: Item, key: Key, text: str) -> Mark:
    """Return how a reply is marked against the key.

    Parameters
    ----------
    item
        The item that was asked.
    key
        Its key, as `compute_keys` gives it.
    text
        The reply.

    Returns
    -------
    Mark
        Right only if the answer can be read and is the key's: a number within half a unit of the last digit asked
        for (a whole number exactly), a set as a whole, and "cannot be determined" only where that is the key.
    """
    answer = parse(item, text)
    if answer is None:
        return Mark(False, False, True, (stated(text) or text.strip()[-200:]), key.text)
    if answer.value is None:
        return Mark(key.value is None, False, False, UNDETERMINED, key.text)
    return Mark(key.value is not None and _agrees(item, key, answer.value), True, False, answer.text, key.text)
