"""Logs, and published scored files, read as the two tables of an evaluation."""

import json
import math
from collections.abc import Iterable, Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile, ZipFile

from pydantic import ValidationError

from somb_utils.errors import SombError, UsageError
from somb_utils.llm.judge.verdicts import counted
from somb_utils.llm.run import cost
from somb_utils.llm.run.cost import load_prices, price_of
from somb_utils.llm.run.evaluation import ABOUT, ROWS, Evaluation, digest, evaluation
from somb_utils.llm.run.imports import is_scored_file, read_scored_file
from somb_utils.llm.run.prompts import in_words
from somb_utils.llm.run.providers import judge_name

if TYPE_CHECKING:
    from inspect_ai.log import EvalLog, EvalSample
    from inspect_ai.model import ModelUsage

# Bounds of a log, far above those of any real one: its members, and their bytes unpacked.
MOST_MEMBERS, LARGEST_MEMBER, LARGEST_LOG, MOST_PACKED = 100_000, 64 * 2**20, 256 * 2**20, 50


def find(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the log files at the paths, folders searched in depth; refuse a path without any."""
    for path in paths:
        if not path.exists():
            raise UsageError(f"{path} does not exist. `somb llm run` says where it writes its logs")
        if path.is_file():
            yield path
            continue
        files = sorted(p for p in path.rglob("*.eval") if not p.name.startswith("."))
        if not files:
            raise UsageError(f"{path} has no evaluation log (*.eval) in it")
        yield from files


def read_log(path: Path) -> "EvalLog":
    """Return an Inspect log with its samples."""
    from inspect_ai.log import read_eval_log  # also lets zipfile read the compression of its logs

    try:
        return read_eval_log(_unpacked(path), format="eval")
    except Exception as error:  # inspect raises whatever its parsers do
        why = str(error).partition("\n")[0][:300] or type(error).__name__
        raise SombError(f"{path} cannot be read as an evaluation log: {why}") from error


def _unpacked(path: Path) -> BytesIO:
    """Return a log's members uncompressed, each cut at its stated size; refuse more than a real log can have."""
    copy = BytesIO()
    with ZipFile(path) as file, ZipFile(copy, "w") as plain:
        members = file.infolist()
        if len(members) > MOST_MEMBERS:
            raise BadZipFile(f"it has {len(members)} members, more than {MOST_MEMBERS}")
        left = max(LARGEST_LOG, MOST_PACKED * path.stat().st_size)
        for member in members:
            left -= member.file_size
            if member.file_size > LARGEST_MEMBER or left < 0:
                raise BadZipFile(f"it unpacks to more than any log (at {member.filename[:80]})")
        for member in {member.filename: member for member in members}.values():  # the last of a name counts
            plain.writestr(member.filename, file.read(member))
    copy.seek(0)
    return copy


def money(usage: "dict[str, ModelUsage]", prices: dict[str, Any]) -> tuple[int, int, float]:
    """Return input tokens, output tokens and cost (NaN where a price is unknown)."""
    sent = sum(
        u.input_tokens + (u.input_tokens_cache_read or 0) + (u.input_tokens_cache_write or 0) for u in usage.values()
    )
    received = sum(u.output_tokens for u in usage.values())
    dollars = 0.0
    for model, used in usage.items():
        price = price_of(model, prices)
        dollars += cost.cost(price, used) if price else math.nan
    return sent, received, dollars


def answer_status(sample: "EvalSample") -> tuple[str, str]:
    """Return how a sample ended, and why."""
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
    status, reason = answer_status(sample)
    usage = {name: u for name, u in sample.model_usage.items() if name == model}
    sent, received, dollars = money(usage, prices)
    return _about(sample, model, sample.metadata.get("repeat", sample.epoch)) | {
        "question": sample.metadata["question"], "status": status, "reason": reason,
        "answer": sample.output.completion, "input_tokens": sent, "output_tokens": received, "cost": dollars,
        "seconds": sample.output.time, "completed_at": sample.completed_at or "", "source": source,
    }  # fmt: skip


def _judgement_row(
    sample: "EvalSample", about: dict[str, Any], judge: str, mode: str, prices: dict[str, Any], source: str
) -> dict[str, Any]:
    score = (sample.scores or {}).get("rubric")
    usage = {name: u for name, u in sample.model_usage.items() if name == judge}
    sent, received, dollars = money(usage, prices)
    row: dict[str, Any] = about | {
        "judge": judge_name(judge, mode), "mode": mode, "status": "unscored", "reason": "judge_failed",
        "input_tokens": sent, "output_tokens": received, "cost": dollars, "seconds": sample.working_time,
        "source": source, "completed_at": sample.completed_at or "",
        "answer_digest": digest(sample.output.completion or str(sample.metadata.get("answer", ""))),
    }  # fmt: skip
    if score is None:
        return row | {"reason": f"judge_failed: {sample.error.message[:300]}" if sample.error else "judge_failed"}
    details = score.metadata or {}
    if not isinstance(score.value, dict):
        return row | {"reason": str(score.reason or "unscored"), "justification": score.explanation or ""}
    if not sample.output.completion.strip():
        return row | {"reason": "answer_empty"}
    try:
        found = details.get("findings", []) if mode == "criteria" else None
        verdict = counted(score.value, details.get("flags"), found)
    except ValueError as error:
        return row | {"reason": str(error)}
    lists = {name: "\n".join(details.get(name, [])) for name in ("strengths", "weaknesses", "missed_points")}
    texts = {"justification": details.get("justification", ""), "findings": json.dumps(found) if found else ""}
    return row | {"status": "scored", "reason": ""} | texts | verdict | lists


def settings_in_words(temperature: float | None, max_tokens: int | None) -> str:
    """Return how answers were asked for, as the text that stands in the tables of an evaluation."""
    parts = [] if temperature is None else [f"temperature {temperature:g}"]
    return ", ".join(parts + ([] if max_tokens is None else [f"at most {max_tokens} tokens"]))


def _rows(log: "EvalLog", prices: dict[str, Any], source: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    answers, judgements = [], []
    metadata = log.eval.metadata or {}
    config = log.plan.config.merge(log.eval.model_generate_config)
    prices = cost.discounted(prices, log.eval.model) if config.batch else prices
    asked = {"settings": settings_in_words(config.temperature, config.max_tokens)}
    asked["digests"] = in_words(metadata.get("digests", {}))
    judged = {"digests": in_words(metadata.get("judge_digests", {}))}
    for sample in log.samples or []:
        if "question_id" not in sample.metadata:
            continue
        if "answer_model" in sample.metadata:
            about = _about(sample, sample.metadata["answer_model"], sample.metadata["answer_epoch"])
            # Earlier logs state per_dimension in place of a mode.
            mode = metadata.get("mode") or ("per_dimension" if metadata.get("per_dimension") else "combined")
            judgements.append(_judgement_row(sample, about, log.eval.model, mode, prices, source) | judged)
            continue
        row = _answer_row(sample, log.eval.model, prices, source) | asked
        answers.append(row)
        score = (sample.scores or {}).get("rubric")
        details = (score.metadata or {}) if score is not None else {}
        if details.get("judge"):
            about = {name: row[name] for name in ABOUT}
            judge, mode = details["judge"], details.get("mode", "combined")
            judgements.append(_judgement_row(sample, about, judge, mode, prices, source) | judged)
    return answers, judgements


def _why(error: Exception) -> str:
    """Return in one line what is wrong with the first invalid row."""
    if not isinstance(error, ValidationError):
        return f"{type(error).__name__}: {error}"[:300]
    first, count = error.errors()[0], error.error_count()
    field = str(first["loc"][-1])
    kind = "answer" if first["loc"][0] == 0 else "judgement"
    more = f" (and {count - 1} more)" if count > 1 else ""
    return f"{kind} {first['loc'][1]} (from 0), {field}: {first['msg']}{more}"


def load(paths: Iterable[Path], prices: dict[str, Any] | None = None) -> Evaluation:
    """Read an evaluation.

    Weighted scores are computed here from the levels, whatever a log or file states.

    Parameters
    ----------
    paths
        Inspect logs, folders of logs, and published scored files (``.json``).
    prices
        Prices by model, as `load_prices` gives them (the default).

    Returns
    -------
    Evaluation
        Answers and judgements; of duplicates, the later success counts.

    Raises
    ------
    UsageError
        If a path does not exist or a folder has no log.
    SombError
        If a file is neither a log nor a scored file, or has no answer to a question of this benchmark.
    """
    found = read(find(paths), prices)
    if found.answers.empty and found.judgements.empty:
        raise SombError("There is no answer to a question of this benchmark in the logs")
    return found


def in_folder(folder: Path) -> list[Path]:
    """Return whatever logs a run's folder has, those of a killed run included; a new folder has none."""
    from inspect_ai.log import recover_eval_log, recoverable_eval_logs

    if not folder.is_dir():
        return []
    with suppress(Exception):  # inspect raises whatever its parsers do; a file that cannot be read is named below
        for killed in recoverable_eval_logs(str(folder)):
            recover_eval_log(killed.log.name, cleanup=False)
    return sorted(p for p in folder.rglob("*.eval") if not p.name.startswith("."))


def load_folder(folder: Path) -> Evaluation:
    """Read whatever logs a run's folder has."""
    return read(in_folder(folder), None)


def read(paths: Iterable[Path], prices: dict[str, Any] | None) -> Evaluation:
    """Return the answers to open questions, and the verdicts, in files; files without any are passed over."""
    prices = prices if prices is not None else load_prices()
    answers: list[dict[str, Any]] = []
    judgements: list[dict[str, Any]] = []
    for path in paths:
        try:
            rows = read_scored_file(path) if is_scored_file(path) else _rows(read_log(path), prices, path.name)
            ROWS.validate_python(rows)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise SombError(f"{path} is not a log of this benchmark: {_why(error)}") from error
        answers += rows[0]
        judgements += rows[1]
    return evaluation(answers, judgements)
