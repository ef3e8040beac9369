"""An evaluation as two tidy tables: answers, and the judgements of these answers."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter

from somb_utils.errors import UsageError
from somb_utils.llm.bank.schema import DIMENSIONS
from somb_utils.llm.judge.verdicts import FLAGS

ABOUT = ["model", "question_id", "epoch", "modality", "difficulty", "kind"]
ANSWERS = [
    *ABOUT, "question", "status", "reason", "answer", "input_tokens", "output_tokens", "cost", "seconds",
    "settings", "digests", "completed_at", "source",
]  # fmt: skip
JUDGEMENTS = [
    *ABOUT, "judge", "mode", "status", "reason", *DIMENSIONS, "weighted_score", "judge_weighted_score",
    *FLAGS, "justification", "strengths", "weaknesses", "missed_points", "findings", "input_tokens", "output_tokens",
    "cost", "seconds", "answer_digest", "digests", "completed_at", "source",
]  # fmt: skip
KEY = ["model", "question_id", "epoch"]
PARTS = ("bank", "contexts", "prompt", "rubric")


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
    digests: str = Field("", pattern=rf"^((^|, )({'|'.join(PARTS)}) [0-9a-f]{{8}})*$")
    completed_at: Annotated[str, AfterValidator(_moment)] = ""
    source: str


class _Answer(_Row):
    question: str
    settings: str = ""
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
    findings: str = ""
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
        One row per model, question, repeat, judge and mode of judging, with the columns `JUDGEMENTS`.
    mode
        Which verdicts means are over: ``holistic``, ``criteria``, or ``mixed`` for both; by default holistic ones where
        there are any, else those by criteria.
    """

    answers: pd.DataFrame
    judgements: pd.DataFrame
    mode: Literal["holistic", "criteria", "mixed"] | None = None

    @property
    def valid(self) -> pd.DataFrame:
        """The judgements with a valid verdict, of whatever mode."""
        return self.judgements[self.judgements["status"] == "scored"]

    @property
    def scored(self) -> pd.DataFrame:
        """The judgements that count in means: those with a valid verdict of one mode, unless modes are mixed."""
        valid = self.valid
        if self.mode == "mixed":
            return valid
        by_criteria = valid["mode"] == "criteria"
        mode = self.mode or ("criteria" if by_criteria.all() else "holistic")
        return valid[by_criteria == (mode == "criteria")]

    @property
    def versions(self) -> dict[str, dict[str, str]]:
        """Digests of bank, contexts, rubric and prompts, each with the name of a log or file that carries it."""
        found: dict[str, dict[str, str]] = {}
        by_criteria = self.judgements["mode"] == "criteria"
        for role, frame, parts in (
            ("answers", self.answers, PARTS[:-1]),
            ("judges", self.judgements[~by_criteria], PARTS),
            ("judges by criteria", self.judgements[by_criteria], PARTS),
        ):
            for text, source in frame.drop_duplicates("digests")[["digests", "source"]].itertuples(index=False):
                digests = dict(entry.split(" ") for entry in text.split(", ")) if text else {}
                for part in parts:
                    name = f"prompt of {role}" if part == "prompt" else part
                    found.setdefault(name, {}).setdefault(digests.get(part, "not recorded"), source)
        return found

    def need_one_version(self) -> None:
        """Refuse answers and verdicts that rest on different banks, contexts, rubrics or prompts."""
        for name, digests in self.versions.items():
            if len(digests) > 1:
                found = ", ".join(f"{digest} ({source})" for digest, source in digests.items())
                raise UsageError(
                    f"The logs differ in {name}: {found}. Report them apart, or together with `somb llm report --mixed`"
                )


def digest(answer: str) -> str:
    """Return a short fingerprint of an answer."""
    return hashlib.sha256(answer.encode()).hexdigest()[:8]


def latest(frame: pd.DataFrame, key: list[str], best: set[str]) -> pd.DataFrame:
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
    for frame, columns in ((a, ["settings", "digests"]), (j, ["digests", "findings"])):
        frame[columns] = frame[columns].astype(object).fillna("").astype(str)
    a = latest(a, KEY, {"ok", "truncated", "refused"})
    if len(a) and len(j):
        current = a.set_index(KEY)["answer"].map(digest)
        at = pd.MultiIndex.from_frame(j[KEY])
        stale = (current.reindex(at).to_numpy() != j["answer_digest"].to_numpy()) & at.isin(current.index)
        j = j[~stale]
    return Evaluation(a, latest(j, [*KEY, "judge"], {"scored"}))
