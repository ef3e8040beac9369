"""Logs read as two tidy tables: answers (a row a model, question and repeat) and judgements (and judge)."""

import hashlib
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from zipfile import BadZipFile, ZipFile

import pandas as pd
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from somb_utils.errors import SombError, UsageError
from somb_utils.llm.bank import DIMENSIONS
from somb_utils.llm.cost import cost, load_prices, price_of
from somb_utils.llm.judge import FLAGS, counted

if TYPE_CHECKING:
    from inspect_ai.log import EvalLog, EvalSample
    from inspect_ai.model import ModelUsage

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
# Bounds of a log, far above those of any real one: its members, and their bytes unpacked.
MOST_MEMBERS, LARGEST_MEMBER, LARGEST_LOG, MOST_PACKED = 100_000, 64 * 2**20, 256 * 2**20, 50


def _moment(text: str) -> str:
    if text:
        datetime.fromisoformat(text)
    return text


Name = Annotated[str, Field(min_length=1, max_length=300)]


class _Row(BaseModel):
    """What every row that is read must be; what it says beyond this is the reader's own."""

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


_ROWS = TypeAdapter(tuple[list[_Answer], list[_Judgement]])


@dataclass(frozen=True)
class Evaluation:
    """Answers and judgements, whatever they were read from."""

    answers: pd.DataFrame
    judgements: pd.DataFrame

    @property
    def scored(self) -> pd.DataFrame:
        """The judgements that count."""
        return self.judgements[self.judgements["status"] == "scored"]


def digest(answer: str) -> str:
    """Return a short fingerprint of an answer."""
    return hashlib.sha256(answer.encode()).hexdigest()[:8]


def find(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the log files at the paths, folders searched in depth.

    Raises
    ------
    UsageError
        If a path does not exist or a folder holds no log.
    """
    for path in paths:
        if not path.exists():
            raise UsageError(f"{path} does not exist. `somb llm run` says where it writes its logs")
        if path.is_file():
            yield path
            continue
        found = sorted(p for p in path.rglob("*.eval") if not p.name.startswith("."))
        if not found:
            raise UsageError(f"{path} holds no evaluation log (*.eval)")
        yield from found


def read_log(path: Path) -> "EvalLog":
    """Return an inspect log with its samples."""
    from inspect_ai.log import read_eval_log  # also lets zipfile read the compression of its logs

    try:
        return read_eval_log(_unpacked(path), format="eval")
    except Exception as error:  # inspect raises whatever its parsers do
        why = str(error).partition("\n")[0][:300] or type(error).__name__
        raise SombError(f"{path} cannot be read as an evaluation log: {why}") from error


def _unpacked(path: Path) -> BytesIO:
    """Return a log's members in an archive of their stated sizes, uncompressed, which holds no more than a log can."""
    copy = BytesIO()
    with ZipFile(path) as file, ZipFile(copy, "w") as plain:
        members = file.infolist()
        if len(members) > MOST_MEMBERS:
            raise BadZipFile(f"it has {len(members)} members, more than {MOST_MEMBERS}")
        left = max(LARGEST_LOG, MOST_PACKED * path.stat().st_size)
        for member in members:
            left -= member.file_size
            if member.file_size > LARGEST_MEMBER or left < 0:
                raise BadZipFile(f"it unpacks to more than a log can hold (at {member.filename[:80]})")
        for member in {member.filename: member for member in members}.values():  # the last of a name counts
            plain.writestr(member.filename, file.read(member))
    copy.seek(0)
    return copy


def _money(usage: "dict[str, ModelUsage]", prices: dict[str, Any]) -> tuple[int, int, float]:
    """Return input tokens, output tokens and cost (NaN where a price is unknown)."""
    given = sum(
        u.input_tokens + (u.input_tokens_cache_read or 0) + (u.input_tokens_cache_write or 0) for u in usage.values()
    )
    made = sum(u.output_tokens for u in usage.values())
    dollars = 0.0
    for model, used in usage.items():
        price = price_of(model, prices)
        dollars += cost(price, used) if price else math.nan
    return given, made, dollars


def _answer_status(sample: "EvalSample") -> tuple[str, str]:
    if sample.error is not None:
        kind = "empty" if "the answer is empty" in sample.error.message else "failed"
        return ("not_asked" if "budget of $" in sample.error.message else kind), sample.error.message[:500]
    if sample.output.stop_reason == "content_filter":
        return "refused", "stopped by the provider's content filter"
    if not sample.output.completion.strip():
        return "empty", "no text"
    if sample.output.stop_reason in ("max_tokens", "model_length"):
        return "truncated", "the token limit cut the answer"
    return "ok", ""


def _about(sample: "EvalSample", model: str, epoch: int) -> dict[str, Any]:
    names = ("question_id", "modality", "difficulty", "kind")
    return {"model": model, "epoch": epoch} | {name: sample.metadata[name] for name in names}


def _answer_row(sample: "EvalSample", model: str, prices: dict[str, Any], source: str) -> dict[str, Any]:
    status, reason = _answer_status(sample)
    usage = {name: u for name, u in sample.model_usage.items() if name == model}
    given, made, dollars = _money(usage, prices)
    return _about(sample, model, sample.epoch) | {
        "question": sample.metadata["question"], "status": status, "reason": reason,
        "answer": sample.output.completion, "input_tokens": given, "output_tokens": made, "cost": dollars,
        "seconds": sample.output.time, "completed_at": sample.completed_at or "", "source": source,
    }  # fmt: skip


def _judgement_row(
    sample: "EvalSample", about: dict[str, Any], judge: str, prices: dict[str, Any], source: str
) -> dict[str, Any]:
    score = (sample.scores or {}).get("rubric")
    usage = {name: u for name, u in sample.model_usage.items() if name == judge}
    given, made, dollars = _money(usage, prices)
    row: dict[str, Any] = about | {
        "judge": judge, "mode": "", "status": "unscored", "reason": "judge_failed", "input_tokens": given,
        "output_tokens": made, "cost": dollars, "seconds": sample.working_time, "source": source,
        "completed_at": sample.completed_at or "",
        "answer_digest": digest(sample.output.completion or str(sample.metadata.get("answer", ""))),
    }  # fmt: skip
    if score is None:
        return row | {"reason": f"judge_failed: {sample.error.message[:300]}" if sample.error else "judge_failed"}
    details = score.metadata or {}
    row["mode"] = details.get("mode", "")
    if not isinstance(score.value, dict):
        return row | {"reason": str(score.reason or "unscored"), "justification": score.explanation or ""}
    if not sample.output.completion.strip():
        return row | {"reason": "answer_empty"}
    try:
        verdict = counted(score.value, details.get("flags"))
    except ValueError as error:
        return row | {"reason": str(error)}
    lists = {name: "\n".join(details.get(name, [])) for name in ("strengths", "weaknesses", "missed_points")}
    return row | {"status": "scored", "reason": "", "justification": details.get("justification", "")} | verdict | lists


def _rows(log: "EvalLog", prices: dict[str, Any], source: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    answers, judgements = [], []
    for sample in log.samples or []:
        if "question_id" not in sample.metadata:
            continue
        if "answer_model" in sample.metadata:
            about = _about(sample, sample.metadata["answer_model"], sample.metadata["answer_epoch"])
            row = _judgement_row(sample, about, log.eval.model, prices, source)
            if (log.eval.metadata or {}).get("per_dimension"):
                row |= {"judge": f"{row['judge']} (per dimension)", "mode": "per_dimension"}
            judgements.append(row)
            continue
        row = _answer_row(sample, log.eval.model, prices, source)
        answers.append(row)
        score = (sample.scores or {}).get("rubric")
        judge = (score.metadata or {}).get("judge") if score is not None else None
        if judge:
            about = {name: row[name] for name in ABOUT}
            judgements.append(_judgement_row(sample, about, judge, prices, source))
    return answers, judgements


def _latest(frame: pd.DataFrame, key: list[str], best: set[str]) -> pd.DataFrame:
    """Return one row a key: the last completed of those that are as good as any."""
    order = frame.assign(
        _good=frame["status"].isin(best), _done=pd.to_datetime(frame["completed_at"], utc=True, format="ISO8601")
    )
    order = order.reset_index(names="_n").sort_values(["_good", "_done", "_n"], na_position="first")
    kept = order.drop_duplicates(key, keep="last").sort_values("_n")
    return kept.drop(columns=["_good", "_done", "_n"]).reset_index(drop=True)


def evaluation(answers: list[dict[str, Any]], judgements: list[dict[str, Any]]) -> Evaluation:
    """Return the two tables from their rows; where something was done twice, the later success counts."""
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


def _why(error: Exception) -> str:
    """Return in a line what a row lacks or has that it cannot have."""
    if not isinstance(error, ValidationError):
        return f"{type(error).__name__}: {error}"[:300]
    first, count = error.errors()[0], error.error_count()
    field = str(first["loc"][-1])
    kind = "answer" if first["loc"][0] == 0 else "judgement"
    more = f" (and {count - 1} more)" if count > 1 else ""
    return f"{kind} {first['loc'][1]} (from 0), {field}: {first['msg']}{more}"


def load(paths: Iterable[Path]) -> Evaluation:
    """Return the evaluation held by logs, folders of logs and published scored files (``.json``).

    Raises
    ------
    UsageError
        If a path holds nothing.
    SombError
        If a file is neither a log nor a scored file.
    """
    from somb_utils.llm.imports import is_scored_file, read_scored_file

    prices = load_prices()
    answers: list[dict[str, Any]] = []
    judgements: list[dict[str, Any]] = []
    for path in find(paths):
        try:
            rows = read_scored_file(path) if is_scored_file(path) else _rows(read_log(path), prices, path.name)
            _ROWS.validate_python(rows)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise SombError(f"{path} is not a log of this benchmark: {_why(error)}") from error
        answers += rows[0]
        judgements += rows[1]
    if not answers and not judgements:
        raise SombError("The logs hold no answer to a question of this benchmark")
    return evaluation(answers, judgements)
