"""Which of the answers and verdicts that are wanted a folder of logs has, how they ended, and which it lacks."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from somb_utils.llm.bank.schema import Question
from somb_utils.llm.run import logs
from somb_utils.llm.run.evaluation import digest
from somb_utils.llm.run.models import Settings
from somb_utils.llm.run.prompts import answer_digests, in_words, judge_digests
from somb_utils.llm.run.providers import judge_name, token_limit

Key = tuple[Any, ...]  # all that the answer or verdict rests on
Ended = dict[Key, tuple[str, str]]  # status and reason
T = TypeVar("T")
# A refused or truncated answer is one: asked again, it would be no other.
COMPLETE = ("ok", "truncated", "refused", "scored", "answered", "declined", "invalid", "limit")


def wanted_answers(
    model: str, questions: Sequence[Question], repeats: int, settings: Settings
) -> dict[Key, tuple[Question, int]]:
    """Return questions and numbers of the repeat by what an answer of the model to them rests on."""
    asked = logs.settings_in_words(settings.temperature, settings.max_tokens or token_limit(model))
    digests = in_words(answer_digests())
    return {(model, q.id, n, asked, digests): (q, n) for n in range(1, repeats + 1) for q in questions}


def wanted_verdicts(judge: str, answers: Sequence[dict[str, Any]], mode: str) -> dict[Key, dict[str, Any]]:
    """Return answers (rows of `judged_answers`) by what the judge's verdict on them rests on."""
    name, digests = judge_name(judge, mode), in_words(judge_digests(mode))
    return {
        (name, a["answer_model"], a["question_id"], a["answer_epoch"], digest(a["answer"]), digests): a for a in answers
    }


def answers_in(log_dir: Path) -> Ended:
    """Return how the latest answers in a folder ended, by the keys of `wanted_answers`."""
    names = ["model", "question_id", "epoch", "settings", "digests", "status", "reason"]
    rows = logs.load_folder(log_dir).answers[names].itertuples(index=False, name=None)
    return {tuple(key): (status, reason) for *key, status, reason in rows}


def verdicts_in(log_dir: Path) -> Ended:
    """Return how the latest verdicts in a folder ended, by the keys of `wanted_verdicts`."""
    names = ["judge", "model", "question_id", "epoch", "answer_digest", "digests", "status", "reason"]
    rows = logs.load_folder(log_dir).judgements[names].itertuples(index=False, name=None)
    return {tuple(key): (status, reason) for *key, status, reason in rows}


def missing(wanted: Mapping[Key, T], ended: Ended) -> list[T]:
    """Return what is wanted and not complete."""
    return [what for key, what in wanted.items() if ended.get(key, ("", ""))[0] not in COMPLETE]
