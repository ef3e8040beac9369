"""An evaluation as two tidy tables: answers, and the judgements of these answers."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter

from somb_utils.llm.bank.schema import DIMENSIONS
from somb_utils.llm.judge.verdicts import FLAGS

ABOUT = ["model", "question_id", "epoch", "modality", "difficulty", "kind"]
ANSWERS = [
    *ABOUT, "question", "status", "reason", "answer", "input_tokens", "output_tokens", "cost", "seconds",
    "completed_at", "source",
]  # fmt: skip
JUDGEMENTS = [
    *ABOUT, "judge", "mode", "status", "reason", *DIMENSIONS, "weighted_score", "judge_weighted_score",
    *FLAGS, "justification", "strengths", "weaknesses", "missed_points", "input_tokens", "output_tokens",
    "cost", "seconds", "answer_digest", "completed_at", "source",
]  # fmt: skip
KEY = ["model", "question_id", "epoch"]


def _moment(text: str) -> str:
    if text:
        datetime.fromisoformat(text)
    return text


Name = Annotated[str, Field(min_length=1, max_length=300)]


class _Row(BaseModel):
    """What every row that is read must have."""

    model_config = ConfigDict(strict=True)

    model: Name
    question_id: Name
    epoch: int = Field(ge=1, le=10_000)
    modality: Name
    difficulty: Name
    kind: Name
    reason: str
    input_tokens: int = Field(ge=0, lt=2**53)
    output_tokens: int = Field(ge=0, lt=2**53)
    cost: float
    seconds: float | None
    completed_at: Annotated[str, AfterValidator(_moment)] = ""
    source: str


class _Answer(_Row):
    question: str
    status: Literal["ok", "truncated", "refused", "empty", "failed", "not_asked"]
    answer: str


class _Judgement(_Row):
    judge: Name
    mode: str = ""
    status: Literal["scored", "unscored"]
    judge_weighted_score: float | None = None
    justification: str = ""
    strengths: str = ""
    weaknesses: str = ""
    missed_points: str = ""
    answer_digest: str


ROWS = TypeAdapter(tuple[list[_Answer], list[_Judgement]])


@dataclass(frozen=True)
class Evaluation:
    """Answers and judgements, whatever they were read from.

    Parameters
    ----------
    answers
        One row per model, question and repeat, with the columns `ANSWERS`.
    judgements
        One row per model, question, repeat and judge, with the columns `JUDGEMENTS`.
    """

    answers: pd.DataFrame
    judgements: pd.DataFrame

    @property
    def scored(self) -> pd.DataFrame:
        """The judgements that count: those with a valid verdict."""
        return self.judgements[self.judgements["status"] == "scored"]


def digest(answer: str) -> str:
    """Return a short fingerprint of an answer."""
    return hashlib.sha256(answer.encode()).hexdigest()[:8]


def _latest(frame: pd.DataFrame, key: list[str], best: set[str]) -> pd.DataFrame:
    """Return one row per key: the one completed last, of the best where some are better."""
    order = frame.assign(
        _good=frame["status"].isin(best), _done=pd.to_datetime(frame["completed_at"], utc=True, format="ISO8601")
    )
    order = order.reset_index(names="_n").sort_values(["_good", "_done", "_n"], na_position="first")
    kept = order.drop_duplicates(key, keep="last").sort_values("_n")
    return kept.drop(columns=["_good", "_done", "_n"]).reset_index(drop=True)


def evaluation(answers: list[dict[str, Any]], judgements: list[dict[str, Any]]) -> Evaluation:
    """Return the two tables from their rows; of duplicates, the later success counts."""
    a = pd.DataFrame(answers, columns=ANSWERS)
    j = pd.DataFrame(judgements, columns=JUDGEMENTS)
    for name in (*DIMENSIONS, "weighted_score", "judge_weighted_score", "cost", "seconds"):
        for frame in (a, j):
            if name in frame:
                frame[name] = pd.to_numeric(frame[name])
    for name in FLAGS:
        j[name] = j[name].astype("boolean")
    a = _latest(a, KEY, {"ok", "truncated", "refused"})
    j = _latest(j, [*KEY, "judge"], {"scored"})
    if len(a) and len(j):
        current = a.set_index(KEY)["answer"].map(digest)
        at = pd.MultiIndex.from_frame(j[KEY])
        stale = (current.reindex(at).to_numpy() != j["answer_digest"].to_numpy()) & at.isin(current.index)
        j = j[~stale].reset_index(drop=True)
    return Evaluation(a, j)
