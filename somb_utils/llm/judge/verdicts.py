"""What a judge may reply, and the weighted score computed from it."""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, TypeAdapter, ValidationError

from somb_utils.llm.bank.questions import load_rubric
from somb_utils.llm.bank.schema import DIMENSIONS, Level
from somb_utils.llm.judge.criteria import Finding, counts, criteria_levels


class _Reply(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Flags(_Reply):
    """Yes or no to each flag."""

    hallucination: bool
    factual_error: bool
    harmful_recommendation: bool
    exceeds_data_scope: bool
    novel_insight: bool


def _whole(value: object) -> object:
    """Refuse what merely equals a level, such as true or 1.0: a literal type alone would accept it."""
    if type(value) is not int:
        raise ValueError("a level is a whole number from 1 to 5")
    return value


Whole = Annotated[Level, BeforeValidator(_whole)]


_COMBINED = "A judge's reply to a combined request: reasons, flags, then a level for each dimension."


class Verdict(_Reply):
    """A judge's reply to a combined request.

    Parameters
    ----------
    strengths, weaknesses, missed_points
        Remarks on the answer.
    justification
        Why the levels are given.
    flags
        Yes or no to each flag of the rubric.
    factual_accuracy, reasoning_quality, completeness, uncertainty_calibration, domain_integration
        Levels, whole numbers from 1 to 5.
    """

    # The schema is part of what a judge is asked: its description is not the docstring, and reasons come before levels,
    # since a model writes in this order.
    model_config = ConfigDict(json_schema_extra={"description": _COMBINED})

    strengths: list[str]
    weaknesses: list[str]
    missed_points: list[str]
    justification: str
    flags: Flags
    factual_accuracy: Whole
    reasoning_quality: Whole
    completeness: Whole
    uncertainty_calibration: Whole
    domain_integration: Whole


class CriteriaVerdict(_Reply):
    """A judge's reply to a request by criteria: findings, reasons, flags, and levels of what no criterion covers."""

    findings: list[Finding]
    justification: str
    flags: Flags
    reasoning_quality: Whole
    uncertainty_calibration: Whole
    domain_integration: Whole


class DimensionVerdict(_Reply):
    """A judge's reply about one dimension."""

    justification: str
    score: Whole


FLAGS: tuple[str, ...] = tuple(Flags.model_fields)
# What is asked for in each mode of judging, one request a part. The first two are holistic: a level for each dimension.
PARTS: dict[str, tuple[str, ...]] = {
    "combined": ("combined",), "per_dimension": (*DIMENSIONS, "flags"), "criteria": ("criteria",),
}  # fmt: skip
_FINDINGS = TypeAdapter(list[Finding])


def asked_dimensions(part: str) -> tuple[str, ...]:
    """Return the dimensions whose level a request asks for."""
    return tuple(name for name in DIMENSIONS if name == part or name in reply_model(part).model_fields)


def reply_model(part: str) -> type[BaseModel]:
    """Return the model a reply must fit: `part` is ``combined``, ``criteria``, ``flags`` or a dimension's name."""
    models: dict[str, type[BaseModel]] = {"combined": Verdict, "criteria": CriteriaVerdict, "flags": Flags}
    return models.get(part, DimensionVerdict)


def _objects(text: str) -> list[str]:
    """Return the JSON objects in a text, those inside others left out."""
    found, at = [], text.find("{")
    while at >= 0:
        try:
            _, end = json.JSONDecoder().raw_decode(text, at)
            found.append(text[at:end])
        except (ValueError, RecursionError):
            end = at + 1
        at = text.find("{", end)
    return found


def read_reply(text: str, part: str = "combined") -> tuple[BaseModel | None, str]:
    """Read a judge's reply, which may stand in a Markdown code fence and after prose.

    It counts only if it is the text's one JSON object and ends it: another one may be quoted from the answer.

    Parameters
    ----------
    text
        The reply as the model wrote it.
    part
        What was asked for: ``combined``, ``criteria``, ``flags`` or the name of a dimension.

    Returns
    -------
    reply
        The validated reply (`Verdict` for ``combined``), or None if it does not count.
    reason
        Why it does not count; empty if it does.
    """
    if not text.strip():
        return None, "judge_empty"
    objects = _objects(text)
    if len(objects) > 1 or (objects and text.rpartition(objects[0])[2].strip("`\r\n\t ")):
        return None, "judge_invalid: more than one JSON object at the end"
    try:
        return reply_model(part).model_validate_json(objects[0] if objects else text), ""
    except ValidationError as error:
        fields = ", ".join(sorted({".".join(map(str, e["loc"])) or e["type"] for e in error.errors()}))
        return None, f"judge_invalid: {fields}"


def counted(scores: object, flags: object, findings: object = None) -> dict[str, Any]:
    """Return a stored verdict's levels and flags, and the weighted score computed from the levels.

    Levels that follow from findings, where there are any, are computed from these, and a contradicted key fact raises
    the flag of a factual error, as the rubric defines it. A level, flag or finding that is missing or not valid is a
    ValueError that names it.
    """
    if not isinstance(scores, Mapping) or not isinstance(flags, Mapping):
        raise ValueError("judge_invalid: levels or flags")
    contradicted = False
    if findings is not None:
        try:
            found = [finding.model_dump() for finding in _FINDINGS.validate_python(findings)]
            scores = {**scores, **criteria_levels(found)}
        except (ValidationError, ZeroDivisionError):
            raise ValueError("judge_invalid: findings") from None
        contradicted = counts(found)["F", "contradicted"] > 0
    levels = {name: scores.get(name) for name in DIMENSIONS}
    wrong = [name for name, level in levels.items() if type(level) is not int or not 1 <= level <= 5]
    wrong += [name for name in FLAGS if type(flags.get(name)) is not bool]
    if wrong:
        raise ValueError(f"judge_invalid: {', '.join(wrong)}")
    raised = {name: flags[name] or (contradicted and name == "factual_error") for name in FLAGS}
    return levels | raised | {"weighted_score": weighted_score(levels)}


def weighted_score(levels: Mapping[str, Any]) -> float:
    """Compute the weighted score of an answer by the weights of the rubric.

    Parameters
    ----------
    levels
        The level, 1 to 5, of each of the five dimensions.

    Returns
    -------
    float
        From 1 to 5.

    Examples
    --------
    >>> from somb_utils.llm.bank import load_rubric
    >>> from somb_utils.llm.judge import weighted_score
    >>> weighted_score(dict.fromkeys(load_rubric().dimensions, 4))
    4.0
    """
    return round(sum(weight * float(levels[name]) for name, weight in _weights().items()), 6)


@lru_cache(maxsize=1)
def _weights() -> dict[str, float]:
    return {name: dimension.weight for name, dimension in load_rubric().dimensions.items()}
