"""Runs: questions put to models and answers put to judges, through Inspect, resumable and within a budget."""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.errors import MarkupError
from rich.markup import render

from somb_utils.errors import SombError, UsageError
from somb_utils.llm.bank.questions import load_bank
from somb_utils.llm.run import cost, evaluation, logs
from somb_utils.llm.run.missing import (
    COMPLETE,
    Ended,
    Key,
    answers_in,
    missing,
    verdicts_in,
    wanted_answers,
    wanted_verdicts,
)
from somb_utils.llm.run.models import Settings, open_models
from somb_utils.llm.run.progress import display, heartbeat
from somb_utils.llm.run.prompts import answer_digests, in_words
from somb_utils.llm.run.providers import JUDGE_TOKENS
from somb_utils.paths import writable_cache_dir

if TYPE_CHECKING:
    from inspect_ai import Task

_NOT_ASKED = "budget of $"
Request = tuple[Mapping[Key, Any], Callable[[list[Any]], "Task"]]  # what is wanted, and how the task of some is made


@dataclass
class Outcome:
    """How a run ended.

    Parameters
    ----------
    log_dir
        Folder of the logs.
    done
        Number of answers or verdicts that are complete.
    failed
        Why answers or verdicts failed, counted.
    unscored
        Why verdicts do not count, counted: the judge's reply was not valid.
    not_asked
        Number that the budget did not allow.
    not_reached
        Number that an interrupted run left out.
    spending
        What this run spent, in words; empty if it made no call.
    """

    log_dir: Path
    done: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    unscored: Counter[str] = field(default_factory=Counter)
    not_asked: int = 0
    not_reached: int = 0
    spending: str = ""


def _need_prices(models: Sequence[str], prices: dict[str, Any], limit: float | None) -> None:
    unknown = [model for model in models if cost.price_of(model, prices) is None]
    if limit is not None and unknown:
        raise UsageError(
            f"--max-cost needs a price for {', '.join(unknown)}. Give one with --prices FILE, as in\n"
            f"  {unknown[0]}: {{input: 1, output: 5, input_cache_write: 1, input_cache_read: 1}}"
        )


def _need_showable(names: Sequence[str]) -> None:
    """Refuse names that would crash Inspect's display, which reads brackets as markup, in the middle of a paid run."""
    for name in names:
        try:
            render(name)
        except MarkupError as error:
            raise UsageError(f"{name!r} cannot be used: Inspect reads its brackets as markup ({error})") from None


def evaluate(tasks: "list[Task]", log_dir: Path, settings: Settings) -> None:
    """Run the tasks, each with its own model, and write their logs."""
    from inspect_ai import eval as inspect_eval
    from inspect_ai.model import BatchConfig

    _need_showable([str(log_dir), *(str(task.model) for task in tasks)])
    if "INSPECT_CACHE_DIR" not in os.environ:
        os.environ["INSPECT_CACHE_DIR"] = str(writable_cache_dir() / "llm")
    try:
        log_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{log_dir} cannot be created: {error.strerror}. Name another with --log-dir") from error
    if not tasks:
        return
    shown = display()
    with heartbeat() if shown == "none" else nullcontext():
        try:
            logs = inspect_eval(
                tasks,
                model=None,
                log_dir=str(log_dir),
                max_tasks=len(tasks),
                fail_on_error=True,
                continue_on_fail=True,
                log_buffer=10,
                display=shown,
                log_level="error",
                max_retries=settings.max_retries,
                attempt_timeout=settings.attempt_timeout,
                max_connections=settings.max_connections,
                batch=BatchConfig(tick=settings.batch_tick, send_delay=settings.batch_tick) if settings.batch else None,
            )
        except KeyboardInterrupt:
            logs = []
        except OSError as error:
            raise SombError(f"The logs cannot be written to {log_dir}: {error}") from error
    if not logs or any(log.status == "cancelled" for log in logs):
        raise SombError(f"Interrupted. Completed answers are kept in {log_dir}: run the same command again to go on")


def outcome(log_dir: Path, wanted: Sequence[Key], ended: Ended, budget: cost.Budget) -> Outcome:
    """Count what was wanted by how it ended."""
    result = Outcome(log_dir, spending=budget.spending(digits=4) if budget.calls else "")
    for key in wanted:
        status, reason = ended.get(key, ("not_reached", ""))
        if status in COMPLETE:
            result.done += 1
        elif status == "not_reached":
            result.not_reached += 1
        elif _NOT_ASKED in reason:
            result.not_asked += 1
        else:
            invalid = status == "unscored" and not reason.startswith("judge_failed")
            why = result.unscored if invalid else result.failed
            why[(reason.strip() or status).splitlines()[-1][:160]] += 1
    return result


def budget_for(models: Sequence[str], prices: dict[str, Any] | None, limit: float | None, batch: bool) -> cost.Budget:
    """Return the budget that a command's calls are charged to."""
    prices = prices if prices is not None else cost.load_prices()
    _need_prices(models, prices, limit)
    for model in models if batch else ():
        prices = cost.discounted(prices, model)
    budget = cost.Budget(limit, prices)
    cost.use(budget)
    return budget


def ask(
    requests: "Sequence[Request]",
    ended_in: Callable[[Path], Ended],
    log_dir: Path,
    settings: Settings,
    budget: cost.Budget,
) -> Outcome:
    """Ask for whatever the folder's logs lack of what is wanted, and count how all of it ended."""
    ended = ended_in(log_dir)
    lacking = [(missing(wanted, ended), make) for wanted, make in requests]
    evaluate([make(asked) for asked, make in lacking if asked], log_dir, settings)
    return outcome(log_dir, [key for wanted, _ in requests for key in wanted], ended_in(log_dir), budget)


def run_answers(
    models: Sequence[str],
    filters: dict[str, Any],
    log_dir: Path,
    settings: Settings,
    max_cost: float | None = None,
    prices: dict[str, Any] | None = None,
    repeats: int = 1,
) -> Outcome:
    """Put questions to models; what was answered in the same folder, with the same settings, is not asked again.

    Whatever questions and repeats earlier runs asked for: a later one asks only for those that are missing or failed.
    Answers to an earlier bank, earlier contexts or an earlier prompt do not count as answered.

    Parameters
    ----------
    models
        Names as Inspect knows them, ``provider/model``.
    filters
        ``modality``, ``difficulty``, ``kind``, ``sample``, ``seed`` of `load_bank`.
    log_dir
        Folder that the logs are written to, and where an earlier run is continued from.
    settings
        How the models are called.
    max_cost
        Dollars; calls that could exceed it are not made. Unlimited by default.
    prices
        Prices by model, as `load_prices` gives them (the default).
    repeats
        How often each question is asked; answers of earlier repeats stay.

    Returns
    -------
    Outcome
        How the run ended.

    Raises
    ------
    UsageError
        If a value is out of bounds, a model cannot be used, or a budget is given without a price.
    SombError
        If a log cannot be written, or the run was interrupted.
    """
    from somb_utils.llm.run.tasks import answering

    if repeats < 1:
        raise UsageError(f"--repeats: give at least 1, not {repeats}")
    budget = budget_for(models, prices, max_cost, settings.batch)
    questions = load_bank(**filters)
    requests: list[Request] = [
        (wanted_answers(str(model), questions, repeats, settings), partial(answering, model=model))
        for model in open_models(models, settings)
    ]
    return ask(requests, answers_in, log_dir, settings, budget)


def judged_answers(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """Return the answers in logs that can be judged, the latest of each model, question and repeat.

    Parameters
    ----------
    paths
        Logs, folders of logs, or published scored files.

    Returns
    -------
    list of dict
        One per answer: the answer, its question and its model, as `run_judges` takes them.

    Raises
    ------
    UsageError
        If there is none, a question is not in the bank, or bank or contexts have changed since.
    """
    table = logs.load(paths).answers
    table = table[table["status"].isin(["ok", "truncated"])]
    if table.empty:
        raise UsageError("There is no answer to judge in the logs")
    material = in_words(answer_digests()).partition(", prompt")[0]
    changed = table[(table["digests"] != "") & ~table["digests"].str.startswith(material)]
    if len(changed):
        raise UsageError(
            f"{len(changed)} answers, as in {changed['source'].iloc[0]}, are to another version of the questions or "
            "contexts. `somb llm run` asks for them anew"
        )
    foreign = sorted(set(table["question_id"]) - {question.id for question in load_bank()})
    if foreign:
        raise UsageError(f"These answers are to questions that are not in the bank: {', '.join(foreign[:5])}")
    rows = []
    for row in table.to_dict("records"):
        fingerprint = evaluation.digest(row["answer"])
        about = {name: row[name] for name in ("question_id", "modality", "difficulty", "kind", "question", "answer")}
        ids = {"answer_model": row["model"], "answer_epoch": int(row["epoch"])}
        name = f"{row['model'].replace('/', '--')}-{row['question_id']}-{row['epoch']}-{fingerprint}"
        rows.append(about | ids | {"sample_id": name})
    return rows


def run_judges(
    answers: Sequence[dict[str, Any]],
    judges: Sequence[str],
    log_dir: Path,
    settings: Settings,
    modes: Sequence[str] = ("combined",),
    max_cost: float | None = None,
    prices: dict[str, Any] | None = None,
) -> Outcome:
    """Put answers to judges; a later call makes only the requests that are missing.

    Verdicts that do not count, because the judge's reply was not valid, are asked for again.

    Parameters
    ----------
    answers
        As `judged_answers` gives them.
    judges
        Names as Inspect knows them, ``provider/model``.
    log_dir, settings
        As for `run_answers`; judges are asked at temperature 0.
    modes
        ``combined`` (one call per answer), ``per_dimension`` (six: one per dimension and one for the flags),
        ``criteria`` (one: the key facts and reasoning points of the question, each met, unmet or contradicted).
    max_cost, prices
        As for `run_answers`.

    Returns
    -------
    Outcome
        How the run ended.

    Raises
    ------
    UsageError
        If a judge cannot be used, or a budget is given without a price.
    SombError
        If a log cannot be written, or the run was interrupted.
    """
    from somb_utils.llm.run.tasks import judging

    budget = budget_for(judges, prices, max_cost, settings.batch)
    scope = hashlib.sha256(str(log_dir.resolve()).encode()).hexdigest()[:12]
    requests: list[Request] = [
        (wanted_verdicts(str(judge), answers, mode), partial(judging, model=judge, mode=mode, scope=scope))
        for judge in open_models(judges, replace(settings, temperature=0.0), JUDGE_TOKENS)
        for mode in modes
    ]
    return ask(requests, verdicts_in, log_dir, settings, budget)
