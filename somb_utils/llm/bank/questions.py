"""The question bank as read from ``data/llm``: questions, contexts and the rubric."""

import json
import random
import re
import sys
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError

from somb_utils.errors import SombError, UsageError
from somb_utils.llm.bank.schema import CONTEXTS, DIFFICULTIES, GROUND_TRUTH, KINDS, MODALITIES, Question, Rubric
from somb_utils.paths import DATA

LLM = DATA / "llm"
# Stands in every file of questions, items and contexts: a model that can recite it has read them.
CANARY = "Test data of SpaceOmicsBench, not for training. Canary 02ed9e7e-d8c3-4935-a9d1-22532a597f84"
SCHEMA = LLM / "question.schema.json"
Form = TypeVar("Form", bound=BaseModel)
YamlLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # reads the same ten times as fast, where PyYAML has it


def _read_yaml(path: Path) -> object:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SombError(f"{path} cannot be read: {error.strerror}") from error
    try:
        return yaml.load(text, YamlLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        ids = re.findall(r"^- id: *(\S+)", "\n".join(text.splitlines()[:line]), re.MULTILINE)
        where = f"{path.name}, line {line}" + (f", question {ids[-1]}" if ids else "")
        raise SombError(f"{where}: not valid YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise SombError(f"{path.name}: not valid YAML: {error}") from error


def _reasons(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, e['loc'])) or 'question'}: {e['msg']}" for e in error.errors())


def read_entries(path: Path, form: type[Form], what: str = "question") -> list[Form]:
    """Return the entries of one YAML file in their form, in file order; an error names the file and the entry's id."""
    entries = _read_yaml(path)
    if not isinstance(entries, list):
        raise SombError(f"{path.name} must hold a list of {what}s")
    valid = []
    for number, entry in enumerate(entries, start=1):
        name = entry.get("id", f"number {number}") if isinstance(entry, dict) else f"number {number}"
        try:
            valid.append(form.model_validate(entry))
        except ValidationError as error:
            raise SombError(f"{path.name}, {what} {name}: {_reasons(error)}") from error
    return valid


@lru_cache(maxsize=8)
def _bank(folder: Path) -> tuple[Question, ...]:
    files = sorted(folder.glob("*.yaml"))
    if not files:
        raise SombError(f"No questions in {folder}")
    questions = [q for path in files for q in read_entries(path, Question)]
    repeated = [i for i, n in Counter(q.id for q in questions).items() if n > 1]
    if repeated:
        raise SombError(f"Duplicated question ids in {folder}: {', '.join(repeated)}")
    return tuple(sorted(questions, key=lambda q: q.id))


def checked(name: str, values: Sequence[str] | None, valid: tuple[str, ...]) -> tuple[str, ...]:
    """Return the values of a filter, by default all valid ones; refuse an unknown value."""
    if values is None:
        return valid
    values = [values] if isinstance(values, str) else values
    if unknown := [value for value in values if value not in valid]:
        raise UsageError(f"Unknown {name}: {', '.join(unknown)}. Choose from {', '.join(valid)}")
    return tuple(values)


def stratified(questions: Sequence[Any], size: int, seed: int, second: str = "difficulty") -> list[Any]:
    """Return `size` questions in which modality and `second` keep their shares as closely as possible.

    The first of any larger sample are the smaller ones.
    """
    pool = list(questions)
    random.Random(seed).shuffle(pool)
    shares = Counter(stratum for q in pool for stratum in (q.modality, getattr(q, second)))
    picked: list[Any] = []
    drawn: Counter[str] = Counter()

    def missing(q: Any) -> float:
        expected = (shares[q.modality] + shares[getattr(q, second)]) * (len(picked) + 1) / len(questions)
        return expected - drawn[q.modality] - drawn[getattr(q, second)]

    for _ in range(size):
        best = max(pool, key=missing)
        pool.remove(best)
        picked.append(best)
        drawn.update([best.modality, getattr(best, second)])
    return picked


def load_bank(
    modality: Sequence[str] | None = None,
    difficulty: Sequence[str] | None = None,
    kind: Sequence[str] | None = None,
    sample: int | None = None,
    seed: int = 42,
) -> list[Question]:
    """Return the questions of the bank, filtered and, if asked for, sampled.

    Parameters
    ----------
    modality, difficulty, kind
        Values to keep; all by default.
    sample
        Number of questions to draw, balanced by modality and by difficulty; by default, all.
    seed
        Seed of the draw; the same seed gives the same questions, and a larger sample contains every smaller one.

    Returns
    -------
    list of Question
        Sorted by id.

    Raises
    ------
    UsageError
        If a filter's value is unknown, no question is left, or fewer are left than `sample`.

    Examples
    --------
    >>> from somb_utils.llm.bank import load_bank
    >>> [question.id for question in load_bank(modality=["clinical"], difficulty=["hard"])]
    ['CLIN-H01', 'CLIN-H02', 'CLIN-H03']
    """
    modalities = checked("modality", modality, MODALITIES)
    difficulties = checked("difficulty", difficulty, DIFFICULTIES)
    kinds = checked("kind", kind, KINDS)
    questions = [
        q
        for q in _bank(LLM / "questions")
        if q.modality in modalities and q.difficulty in difficulties and q.kind in kinds
    ]
    if not questions:
        raise UsageError("No question meets these filters together")
    if sample is None:
        return questions
    if not 1 <= sample <= len(questions):
        raise UsageError(f"A sample of {sample} cannot be drawn from {len(questions)} questions")
    return sorted(stratified(questions, sample, seed), key=lambda q: q.id)


def load_context(name: str) -> str:
    """Return the text of a context file.

    Parameters
    ----------
    name
        One of `CONTEXTS`, or `GROUND_TRUTH`, which only judges are given.

    Returns
    -------
    str
        Markdown, without the canary.

    Raises
    ------
    UsageError
        If there is no context of this name.
    SombError
        If the file cannot be read.
    """
    checked("context", [name], (*CONTEXTS, GROUND_TRUTH))
    path = LLM / "contexts" / f"{name}.md"
    try:
        return path.read_text(encoding="utf-8").removeprefix(f"<!-- {CANARY} -->\n")
    except OSError as error:
        raise SombError(f"{path} cannot be read: {error.strerror}") from error


def load_rubric() -> Rubric:
    """Return the rubric: dimensions with their weights and anchored levels, and flags.

    Returns
    -------
    Rubric
        As validated from ``data/llm/rubric.yaml``.

    Raises
    ------
    SombError
        If the file cannot be read or is not a complete rubric.
    """
    path = LLM / "rubric.yaml"
    try:
        return Rubric.model_validate(_read_yaml(path))
    except ValidationError as error:
        raise SombError(f"{path.name}: {_reasons(error)}") from error


def schema() -> str:
    """Return the JSON Schema of a question file, as text."""
    return json.dumps(TypeAdapter(list[Question]).json_schema(), indent=2) + "\n"


if __name__ == "__main__":
    if sys.argv[1:] != ["--schema"]:
        sys.exit("usage: python -m somb_utils.llm.bank.questions --schema")
    SCHEMA.write_text(schema(), encoding="utf-8")
