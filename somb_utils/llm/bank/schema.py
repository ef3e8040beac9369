"""The form of a question and of the rubric, validated on reading."""

from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from somb_utils.llm.bank.checks import Check

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


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class KeyFact(_Frozen):
    """A statement that a good answer makes or respects: checked on a table, cited, or a matter of method."""

    text: str = Field(min_length=1)
    check: Check | None = None
    cite: str | None = None
    method: bool = False

    @model_validator(mode="after")
    def _one_ground(self) -> "KeyFact":
        if sum([self.check is not None, self.cite is not None, self.method]) != 1:
            raise ValueError("a key fact has exactly one of check, cite and method: true")
        return self


class Figure(_Frozen):
    """The ground of a number in the expected reasoning or the rubric that no checked key fact states."""

    says: str = Field(pattern=r"\d|^[a-z]+$")
    check: Check | None = None
    cite: str | None = None
    follows: str | None = Field(None, pattern=r"^[\w.+\-*/(), ]+$")
    of: dict[str, Check] = {}
    defined: str | None = None

    @model_validator(mode="after")
    def _one_ground(self) -> "Figure":
        if sum(ground is not None for ground in (self.check, self.cite, self.follows, self.defined)) != 1:
            raise ValueError("a figure has exactly one of check, cite, follows and defined")
        return self


class Question(_Frozen):
    """One question of the bank.

    Parameters
    ----------
    id
        Prefix of the modality, letter of the difficulty and number, such as ``CLIN-E01``.
    modality, difficulty, kind
        The question's place in the bank: one of `MODALITIES`, `DIFFICULTIES` and `KINDS`.
    question
        The text that models are asked.
    contexts
        Names of the context files that models are given.
    expected_reasoning
        Three to six points that a good answer reasons through; only the judge sees them.
    key_facts
        Two to five statements that a good answer makes or respects; only the judge sees them.
    rubric
        What to look for in this question, for each of the five dimensions.
    figures
        Grounds of the numbers in `expected_reasoning` and `rubric` that no checked key fact states: a check on a table,
        a citation, arithmetic that they follow from (`of` names the checks whose values it uses), or what defines them.
        Models and judges are not shown them.
    """

    id: str = Field(pattern=r"^[A-Z]{4}-[EMHX]\d{2}$")
    modality: Modality
    difficulty: Difficulty
    kind: Kind
    question: str = Field(min_length=1)
    contexts: tuple[Context, ...] = Field(min_length=1)
    expected_reasoning: tuple[str, ...] = Field(min_length=3, max_length=6)
    key_facts: tuple[KeyFact, ...] = Field(min_length=2, max_length=5)
    rubric: dict[DimensionName, str]
    figures: tuple[Figure, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> "Question":
        start = f"{PREFIXES[self.modality]}-{LETTERS[self.difficulty]}"
        if not self.id.startswith(start):
            raise ValueError(f"a {self.difficulty} {self.modality} question's id starts with {start}")
        missing = set(DIMENSIONS) - set(self.rubric)
        if missing:
            raise ValueError(f"the rubric lacks {', '.join(sorted(missing))}")
        if len(set(self.contexts)) < len(self.contexts):
            raise ValueError("a context is duplicated")
        return self


class Dimension(_Frozen):
    """One scored dimension: its weight, the meaning of each level, and rules that bind the judge."""

    weight: float
    description: str
    anchors: dict[Level, str]
    rules: tuple[str, ...] = ()


class Rubric(_Frozen):
    """The rubric by which judges score answers.

    Parameters
    ----------
    dimensions
        The five dimensions; their weights add up to 1.
    flags
        Flags that a judge may raise, with their meaning.
    """

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
