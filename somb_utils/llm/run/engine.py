"""Runs: questions put to models and answers put to judges, through Inspect, resumable and within a budget."""

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.errors import MarkupError
from rich.markup import render

from somb_utils.errors import SombError, UsageError
from somb_utils.llm.bank.questions import load_bank
from somb_utils.llm.run import cost, evaluation, logs
from somb_utils.llm.run.models import Settings, open_models
from somb_utils.llm.run.progress import display, heartbeat
from somb_utils.llm.run.providers import JUDGE_TOKENS
from somb_utils.paths import writable_cache_dir

if TYPE_CHECKING:
    from inspect_ai import Task
    from inspect_ai.model import Model

_NOT_ASKED = "budget of $"


@dataclass
class Outcome:
    """How a run ended.

    Parameters
    ----------
    log_dir
        Folder of the logs.
    done, failed
        Number of answers or judgements that are complete, and that failed.
    not_asked
        Number that the budget did not allow.
    not_reached
        Number that an interrupted run did not come to.
    spending
        What this run spent, in words; empty if it made no call.
    reasons
        Why the failed ones failed, counted.
    """

    log_dir: Path
    done: int = 0
    failed: int = 0
    not_asked: int = 0
    not_reached: int = 0
    spending: str = ""
    reasons: Counter[str] = field(default_factory=Counter)


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


def _eval(tasks: "list[Task]", models: "list[Model]", log_dir: Path, settings: Settings) -> list[Path]:
    """Run every task with every model and return the logs; what is complete there is not run again."""
    from inspect_ai import eval_set
    from inspect_ai.model import BatchConfig

    _need_showable([str(log_dir), *map(str, models), *(task.name for task in tasks)])
    if "INSPECT_CACHE_DIR" not in os.environ:
        os.environ["INSPECT_CACHE_DIR"] = str(writable_cache_dir() / "llm")
    try:
        log_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{log_dir} cannot be created: {error.strerror}. Name another with --log-dir") from error
    shown = display()
    with heartbeat() if shown == "none" else nullcontext():
        try:
            _, headers = eval_set(
                tasks,
                model=models,
                log_dir=str(log_dir),
                log_dir_allow_dirty=True,
                retry_attempts=0,
                retry_cleanup=False,  # no log that was paid for is removed
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
            headers = []
        except OSError as error:
            raise SombError(f"The logs cannot be written to {log_dir}: {error}") from error
    if not headers or any(header.status == "cancelled" for header in headers):
        raise SombError(f"Interrupted. Completed answers are kept in {log_dir}: run the same command again to go on")
    return [Path(header.location.removeprefix("file://").removeprefix("file:")) for header in headers]


def _outcome(log_dir: Path, paths: Sequence[Path], budget: cost.Budget) -> Outcome:
    """Count the samples of a run's logs by how they ended."""
    result = Outcome(log_dir, spending=budget.spending(digits=4) if budget.calls else "")
    for path in paths:
        log = logs.read_log(path)
        expected = (log.eval.dataset.samples or 0) * (log.eval.config.epochs or 1)
        result.not_reached += max(0, expected - len(log.samples or []))
        for sample in log.samples or []:
            if sample.error is None:
                result.done += 1
            elif _NOT_ASKED in sample.error.message:
                result.not_asked += 1
            else:
                result.failed += 1
                result.reasons[sample.error.message.strip().splitlines()[-1][:160]] += 1
    return result


def run_answers(
    models: Sequence[str],
    filters: dict[str, Any],
    log_dir: Path,
    settings: Settings,
    max_cost: float | None = None,
    prices: dict[str, Any] | None = None,
    repeats: int = 1,
) -> Outcome:
    """Put questions to models; the same call again asks only what failed or was not asked.

    Each repeat is an Inspect task of its own, so that whatever repeats a later run asks for, nothing that was
    answered is asked again.

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
    from somb_utils.llm.run.tasks import spaceomics

    if repeats < 1:
        raise UsageError(f"--repeats: give at least 1, not {repeats}")
    prices = prices if prices is not None else cost.load_prices()
    _need_prices(models, prices, max_cost)
    opened = open_models(models, settings)
    budget = cost.Budget(max_cost, prices)
    cost.use(budget)
    chosen = {name: value for name, value in filters.items() if value is not None}
    tasks = [spaceomics(**chosen, scored=False)]
    tasks += [spaceomics(**chosen, scored=False, repeat=number) for number in range(2, repeats + 1)]
    return _outcome(log_dir, _eval(tasks, opened, log_dir, settings), budget)


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
        If there is none, or a question is not in the bank.
    """
    table = logs.load(paths).answers
    table = table[table["status"].isin(["ok", "truncated"])]
    if table.empty:
        raise UsageError("There is no answer to judge in the logs")
    foreign = sorted(set(table["question_id"]) - {question.id for question in load_bank()})
    if foreign:
        raise UsageError(f"These answers are to questions that are not in the bank: {', '.join(foreign[:5])}")
    rows = []
    for row in table.to_dict("records"):
        fingerprint = evaluation.digest(row["answer"])
        about = {name: row[name] for name in ("question_id", "modality", "difficulty", "kind", "question", "answer")}
        ids = {"answer_model": row["model"], "answer_epoch": int(row["epoch"])}
        rows.append(about | ids | {"sample_id": f"{row['question_id']}-{row['epoch']}-{fingerprint}"})
    return rows


def judge_task_name(model: str, per_dimension: bool) -> str:
    """Return the name of the task that judges a model's answers."""
    return f"judging-{model.replace('/', '--')}" + ("-per-dimension" if per_dimension else "")


def run_judges(
    answers: Sequence[dict[str, Any]],
    judges: Sequence[str],
    log_dir: Path,
    settings: Settings,
    per_dimension: bool = False,
    max_cost: float | None = None,
    prices: dict[str, Any] | None = None,
) -> Outcome:
    """Put answers to judges; the same call again makes only the requests that are missing.

    Parameters
    ----------
    answers
        As `judged_answers` gives them.
    judges
        Names as Inspect knows them, ``provider/model``.
    log_dir, settings
        As for `run_answers`; judges are asked at temperature 0.
    per_dimension
        Six calls per answer, one per dimension and one for the flags, instead of one.
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

    prices = prices if prices is not None else cost.load_prices()
    _need_prices(judges, prices, max_cost)
    opened = open_models(judges, replace(settings, temperature=0.0), JUDGE_TOKENS)
    budget = cost.Budget(max_cost, prices)
    cost.use(budget)
    by_model: dict[str, list[dict[str, Any]]] = {}
    for row in answers:
        by_model.setdefault(row["answer_model"], []).append(row)
    scope = hashlib.sha256(str(log_dir.resolve()).encode()).hexdigest()[:12]
    tasks = [
        judging(judge_task_name(model, per_dimension), rows, per_dimension, scope) for model, rows in by_model.items()
    ]
    return _outcome(log_dir, _eval(tasks, opened, log_dir, settings), budget)
