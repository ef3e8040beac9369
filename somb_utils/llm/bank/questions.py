"""The question bank: questions with checkable key facts, contexts and the rubric, read from ``data/llm``."""

import json
import random
import re
import sys
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from somb_utils.errors import SombError, UsageError
from somb_utils.llm.bank.checks import Check
from somb_utils.paths import DATA

Modality = Literal[
    "clinical", "transcriptomics", "proteomics", "metabolomics", "spatial", "microbiome", "cross_mission",
    "multi_omics", "methods",
]  # fmt: skip
Difficulty = Literal["easy", "medium", "hard", "expert"]
Kind = Literal["factual", "interpretation", "reasoning", "counterfactual", "experimental_design", "cross_mission"]
Context = Literal[
    "overview", "clinical", "transcriptomics", "proteomics", "metabolomics", "spatial", "microbiome",
    "cross_mission", "multi_omics", "hemoglobin", "methods",
]  # fmt: skip
DimensionName = Literal[
    "factual_accuracy", "reasoning_quality", "completeness", "uncertainty_calibration", "domain_integration"
]
Level = Literal[1, 2, 3, 4, 5]

MODALITIES: tuple[str, ...] = get_args(Modality)
DIFFICULTIES: tuple[str, ...] = get_args(Difficulty)
KINDS: tuple[str, ...] = get_args(Kind)
CONTEXTS: tuple[str, ...] = get_args(Context)
DIMENSIONS: tuple[str, ...] = get_args(DimensionName)
GROUND_TRUTH = "ground_truth"
PREFIXES = dict(zip(MODALITIES, ["CLIN", "TRAN", "PROT", "METB", "SPAT", "MICR", "XMIS", "MULT", "METH"], strict=True))
LETTERS = {"easy": "E", "medium": "M", "hard": "H", "expert": "X"}
LLM = DATA / "llm"
SCHEMA = LLM / "question.schema.json"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class KeyFact(_Frozen):
    """A statement a good answer makes or respects: checked on a table, cited, or a matter of method."""

    text: str = Field(min_length=1)
    check: Check | None = None
    cite: str | None = None
    method: bool = False

    @model_validator(mode="after")
    def _one_ground(self) -> "KeyFact":
        if sum([self.check is not None, self.cite is not None, self.method]) != 1:
            raise ValueError("a key fact has exactly one of check, cite and method: true")
        return self


class Question(_Frozen):
    """One question of the bank; `rubric` says for each dimension what to look for in this question."""

    id: str = Field(pattern=r"^[A-Z]{4}-[EMHX]\d{2}$")
    modality: Modality
    difficulty: Difficulty
    kind: Kind
    question: str = Field(min_length=1)
    contexts: tuple[Context, ...] = Field(min_length=1)
    expected_reasoning: tuple[str, ...] = Field(min_length=3, max_length=6)
    key_facts: tuple[KeyFact, ...] = Field(min_length=2, max_length=5)
    rubric: dict[DimensionName, str]

    @model_validator(mode="after")
    def _consistent(self) -> "Question":
        start = f"{PREFIXES[self.modality]}-{LETTERS[self.difficulty]}"
        if not self.id.startswith(start):
            raise ValueError(f"a {self.difficulty} {self.modality} question's id starts with {start}")
        missing = set(DIMENSIONS) - set(self.rubric)
        if missing:
            raise ValueError(f"the rubric lacks {', '.join(sorted(missing))}")
        if len(set(self.contexts)) < len(self.contexts):
            raise ValueError("a context is named twice")
        return self


class Dimension(_Frozen):
    """One scored dimension: its share of the weighted score, the meaning of each level, binding rules."""

    weight: float
    description: str
    anchors: dict[Level, str]
    rules: tuple[str, ...] = ()


class Rubric(_Frozen):
    """The five dimensions and the flags a judge may raise."""

    dimensions: dict[DimensionName, Dimension]
    flags: dict[str, str]

    @model_validator(mode="after")
    def _complete(self) -> "Rubric":
        if set(self.dimensions) != set(DIMENSIONS):
            raise ValueError(f"the dimensions are {', '.join(DIMENSIONS)}")
        if abs(sum(d.weight for d in self.dimensions.values()) - 1) > 1e-9:
            raise ValueError("the weights do not add up to 1")
        if any(set(d.anchors) != {1, 2, 3, 4, 5} for d in self.dimensions.values()):
            raise ValueError("each dimension has an anchor for each level from 1 to 5")
        return self


def _read_yaml(path: Path) -> object:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SombError(f"{path} cannot be read: {error.strerror}") from error
    try:
        return yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        ids = re.findall(r"^- id: *(\S+)", "\n".join(text.splitlines()[:line]), re.MULTILINE)
        where = f"{path.name}, line {line}" + (f", question {ids[-1]}" if ids else "")
        raise SombError(f"{where}: not valid YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise SombError(f"{path.name}: not valid YAML: {error}") from error


def _reasons(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, e['loc'])) or 'question'}: {e['msg']}" for e in error.errors())


def read_questions(path: Path) -> list[Question]:
    """Return the questions of one YAML file (a list), in file order.

    Raises
    ------
    SombError
        With the file and the question's id, if the file or a question is not valid.
    """
    entries = _read_yaml(path)
    if not isinstance(entries, list):
        raise SombError(f"{path.name} must hold a list of questions")
    questions = []
    for number, entry in enumerate(entries, start=1):
        name = entry.get("id", f"number {number}") if isinstance(entry, dict) else f"number {number}"
        try:
            questions.append(Question.model_validate(entry))
        except ValidationError as error:
            raise SombError(f"{path.name}, question {name}: {_reasons(error)}") from error
    return questions


@lru_cache(maxsize=8)
def _bank(folder: Path) -> tuple[Question, ...]:
    files = sorted(folder.glob("*.yaml"))
    if not files:
        raise SombError(f"No questions in {folder}")
    questions = [q for path in files for q in read_questions(path)]
    repeated = [i for i, n in Counter(q.id for q in questions).items() if n > 1]
    if repeated:
        raise SombError(f"Question ids stand twice in {folder}: {', '.join(repeated)}")
    return tuple(sorted(questions, key=lambda q: q.id))


def _chosen(name: str, wanted: Sequence[str] | None, valid: tuple[str, ...]) -> tuple[str, ...]:
    """Return the wanted values of a filter, all of them by default."""
    if wanted is None:
        return valid
    wanted = [wanted] if isinstance(wanted, str) else wanted
    unknown = [w for w in wanted if w not in valid]
    if unknown:
        raise UsageError(f"Unknown {name}: {', '.join(unknown)}. Choose from {', '.join(valid)}")
    return tuple(wanted)


def _stratified(questions: list[Question], size: int, seed: int) -> list[Question]:
    """Return `size` questions whose modalities and difficulties keep their shares as nearly as they can."""
    pool = list(questions)
    random.Random(seed).shuffle(pool)
    counts = Counter(stratum for q in pool for stratum in (q.modality, q.difficulty))
    owed = {stratum: count * size / len(pool) for stratum, count in counts.items()}
    picked = []
    for _ in range(size):
        best = max(pool, key=lambda q: owed[q.modality] + owed[q.difficulty])
        pool.remove(best)
        picked.append(best)
        owed[best.modality] -= 1
        owed[best.difficulty] -= 1
    return picked


def load_bank(
    modality: Sequence[str] | None = None,
    difficulty: Sequence[str] | None = None,
    kind: Sequence[str] | None = None,
    sample: int | None = None,
    seed: int = 42,
) -> list[Question]:
    """Return the questions sorted by id, filtered, and sampled if asked.

    Parameters
    ----------
    modality, difficulty, kind
        Values to keep; all by default.
    sample
        Number of questions to draw, balanced by modality and by difficulty.
    seed
        Seed of the draw; the same seed gives the same questions.

    Raises
    ------
    UsageError
        If a filter's value is unknown, no question is left, or fewer are left than `sample`.
    """
    modalities = _chosen("modality", modality, MODALITIES)
    difficulties = _chosen("difficulty", difficulty, DIFFICULTIES)
    kinds = _chosen("kind", kind, KINDS)
    found = [
        q
        for q in _bank(LLM / "questions")
        if q.modality in modalities and q.difficulty in difficulties and q.kind in kinds
    ]
    if not found:
        raise UsageError("No question meets these filters together")
    if sample is None:
        return found
    if not 1 <= sample <= len(found):
        raise UsageError(f"A sample of {sample} cannot be drawn from {len(found)} questions")
    return sorted(_stratified(found, sample, seed), key=lambda q: q.id)


def load_context(name: str) -> str:
    """Return the text of a context file; the judge alone is given `GROUND_TRUTH`."""
    _chosen("context", [name], (*CONTEXTS, GROUND_TRUTH))
    path = LLM / "contexts" / f"{name}.md"
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise SombError(f"{path} cannot be read: {error.strerror}") from error


def load_rubric() -> Rubric:
    """Return the rubric: dimensions with weights and anchored levels, and flags."""
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
