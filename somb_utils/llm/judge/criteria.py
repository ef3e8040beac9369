"""Criteria: the key facts and reasoning points of a question, each found met, unmet or contradicted in an answer.

A finding counts only with a quotation that stands in the answer; two levels are computed from the findings.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict

from somb_utils.llm.bank.schema import Question

FEWEST_WORDS, MOST_WORDS = 3, 40  # of a quotation
Outcome = Literal["met", "unmet", "contradicted"]
OUTCOMES: tuple[str, ...] = get_args(Outcome)
# Marks of lists (a number only where a line begins, since "is 44." can end a sentence), emphasis, code and tables.
_MARKUP = re.compile(r"(?<!\S)[-+•](?!\S)|^\s*\d{1,2}[.)](?=\s)|[*_`#|>~\\]", re.MULTILINE)
_DASHES = re.compile(r"[‐‑‒–—−]")


class Finding(BaseModel):
    """What a judge finds of one criterion: where the answer says it, and whether it meets it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    criterion: str
    quotation: str
    outcome: Outcome


def criteria(question: Question) -> dict[str, str]:
    """Return the criteria of a question by name: key facts F1, F2, … and reasoning points R1, R2, … in order."""
    facts = {f"F{n}": fact.text for n, fact in enumerate(question.key_facts, start=1)}
    return facts | {f"R{n}": point for n, point in enumerate(question.expected_reasoning, start=1)}


def _plain(text: str) -> str:
    """Return a text without what a copy may change: case, markup, spacing, forms of dashes and quotation marks."""
    text = _DASHES.sub("-", _MARKUP.sub("", unicodedata.normalize("NFKC", text)))
    text = re.sub("[“”„«»]", '"', re.sub("[‘’]", "'", text))
    return " ".join(text.casefold().split())


def quotes(quotation: str, answer: str) -> bool:
    """Return whether a quotation stands in the answer, whole words and figures, and is neither too short nor long.

    An answer of fewer than three words is quoted whole.
    """
    text, quoted = _plain(answer), _plain(quotation).strip("\"' .,;:!?")
    fewest = min(FEWEST_WORDS, len(text.split()))
    if not quoted or not fewest <= len(quoted.split()) <= MOST_WORDS:
        return False
    return bool(re.search(rf"(?<!\w)(?<!\d[.,]){re.escape(quoted)}(?!\w|[.,]\d)", text))


def problem(findings: Sequence[Finding], question: Question, answer: str) -> str:
    """Return why findings on an answer do not count; empty if they do."""
    found, expected = Counter(finding.criterion for finding in findings), criteria(question)
    wrong = [name for name in {**expected, **found} if found[name] != (name in expected)]
    if wrong:
        return f"judge_invalid: each criterion is found once, not so {', '.join(wrong)}"
    absent = [f.criterion for f in findings if f.outcome != "unmet" and not quotes(f.quotation, answer)]
    if absent:
        return (
            f"judge_misquotes: the quotations of {', '.join(absent)} are not {FEWEST_WORDS} to {MOST_WORDS} words that "
            "stand in the answer"
        )
    return ""


def remarks(findings: Sequence[Mapping[str, Any]], question: Question) -> dict[str, list[str]]:
    """Return findings as the lists of remarks that a holistic verdict has."""
    points, lists = criteria(question), {"met": "strengths", "contradicted": "weaknesses", "unmet": "missed_points"}
    found: dict[str, list[str]] = {name: [] for name in lists.values()}
    for finding in findings:
        shown = f" Answer: “{finding['quotation']}”" if finding["outcome"] != "unmet" else ""
        found[lists[finding["outcome"]]].append(f"{finding['criterion']}: {points[finding['criterion']]}{shown}")
    return found


def counts(findings: Sequence[Mapping[str, Any]]) -> Counter[tuple[str, str]]:
    """Return how many findings there are by kind of criterion (``F`` or ``R``) and outcome."""
    return Counter((str(finding["criterion"])[:1], str(finding["outcome"])) for finding in findings)


def criteria_levels(findings: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Return the levels that follow from findings: one level above 1 for each full quarter of the credit.

    For factual accuracy the credit is the share of key facts met, less one key fact for each contradiction of a key
    fact or reasoning point; for completeness it is the share of all criteria met.
    """
    of = counts(findings)
    facts = sum(n for (kind, _), n in of.items() if kind == "F")
    met, contradicted = (sum(of[kind, outcome] for kind in "FR") for outcome in ("met", "contradicted"))
    return {
        "factual_accuracy": 1 + max(0, 4 * (of["F", "met"] - contradicted) // facts),
        "completeness": 1 + 4 * met // len(findings),
    }
