"""Runs: questions put to models and answers put to judges, through inspect, resumable and within a budget."""

import hashlib
import logging
import os
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rich.errors import MarkupError
from rich.markup import render

from somb_utils.errors import SombError, UsageError
from somb_utils.llm.bank.questions import load_bank
from somb_utils.llm.bank.schema import DIMENSIONS, Question
from somb_utils.llm.run import cost, evaluation, logs
from somb_utils.llm.run.models import JUDGE_TOKENS, Settings, open_models, token_limit
from somb_utils.paths import writable_cache_dir

if TYPE_CHECKING:
    from inspect_ai import Task
    from inspect_ai.model import Model

TYPICAL_ANSWER, TYPICAL_VERDICT = 900, 650
_NOT_ASKED = "budget of $"


@dataclass(frozen=True)
class Estimate:
    """What one model is expected to use: tokens, and dollars if its price is known."""

    model: str
    calls: int
    input_tokens: int
    output_tokens: int
    most_output_tokens: int
    dollars: float | None
    most_dollars: float | None


@dataclass
class Outcome:
    """How a run ended: samples by status, dollars spent, and where the logs are."""

    log_dir: Path
    done: int = 0
    failed: int = 0
    not_asked: int = 0
    not_reached: int = 0
    spent: float | None = None
    reasons: Counter[str] = field(default_factory=Counter)


def estimate(
    model: str, prompts: Sequence[str], prices: dict[str, Any], settings: Settings, judging: bool = False
) -> Estimate:
    """Return what sending these prompts to a model will use, from lengths alone."""
    usual = JUDGE_TOKENS if judging else 2000
    limit = settings.max_tokens or token_limit(model, usual)
    given = sum(cost.tokens(prompt) for prompt in prompts)
    made = len(prompts) * min(limit, TYPICAL_VERDICT if judging else TYPICAL_ANSWER)
    most = len(prompts) * limit
    price = cost.price_of(model, prices)
    dollars = (given * price.input + made * price.output) / 1e6 if price else None
    highest = (given * price.input + most * price.output) / 1e6 if price else None
    return Estimate(model, len(prompts), given, made, most, dollars, highest)


def plan_answers(
    models: Sequence[str], questions: Sequence[Question], prices: dict[str, Any], settings: Settings
) -> list[Estimate]:
    """Return an estimate for each model that is to answer the questions."""
    from somb_utils.llm.run.tasks import SYSTEM, question_prompt

    texts = [SYSTEM + question_prompt(question) for question in questions]
    return [estimate(model, texts, prices, settings) for model in models]


def plan_judging(
    judges: Sequence[str],
    answers: Sequence[dict[str, Any]],
    per_dimension: bool,
    prices: dict[str, Any],
    settings: Settings,
) -> list[Estimate]:
    """Return an estimate for each judge that is to grade the answers."""
    from somb_utils.llm.judge.prompts import judge_prompts

    bank = {question.id: question for question in load_bank()}
    parts = (*DIMENSIONS, "flags") if per_dimension else ("combined",)
    asked = [a for a in answers if a["question_id"] in bank]
    texts = ["".join(judge_prompts(bank[a["question_id"]], a["answer"], part)) for a in asked for part in parts]
    return [estimate(judge, texts, prices, settings, judging=True) for judge in judges]


def _need_prices(models: Sequence[str], prices: dict[str, Any], limit: float | None) -> None:
    unknown = [model for model in models if cost.price_of(model, prices) is None]
    if limit is not None and unknown:
        raise UsageError(
            f"--max-cost needs a price for {', '.join(unknown)}. Give one with --prices FILE, as in\n"
            f"  {unknown[0]}: {{input: 1, output: 5, input_cache_write: 1, input_cache_read: 1}}"
        )


@contextmanager
def _heartbeat(every: float = 10.0) -> Iterator[None]:
    """Stand in for inspect's display where there is no terminal: say now and then how many calls were made."""
    import rich

    over = threading.Event()

    def tell() -> None:
        while not over.wait(every):
            budget = cost.current()
            print(f"{budget.made} calls made, ${budget.spent:.2f} spent", file=sys.stderr, flush=True)

    threading.Thread(target=tell, daemon=True).start()
    console = rich.get_console()
    before, console.quiet = console.quiet, True
    level = logging.getLogger("inspect_ai").level
    logging.getLogger("inspect_ai").setLevel(logging.ERROR)
    try:
        yield
    finally:
        over.set()
        console.quiet = before
        logging.getLogger("inspect_ai").setLevel(level)


Display = Literal["rich", "plain", "none"]


def _display() -> Display:
    return "rich" if sys.stderr.isatty() and sys.stdout.isatty() else "none"


def _need_showable(names: Sequence[str]) -> None:
    """Refuse names that Inspect's display, which reads brackets as markup, would end a paid run with."""
    for name in names:
        try:
            render(name)
        except MarkupError as error:
            raise UsageError(f"{name!r} cannot be used: Inspect reads its brackets as markup ({error})") from None


def _eval(tasks: "list[Task]", models: "list[Model]", log_dir: Path, settings: Settings, **extra: Any) -> list[Path]:
    """Run every task with every model and return the logs; what is complete there is not run again."""
    from inspect_ai import eval_set
    from inspect_ai.model import BatchConfig

    _need_showable([str(log_dir), *map(str, models), *(task.name for task in tasks)])
    if "INSPECT_CACHE_DIR" not in os.environ:
        os.environ["INSPECT_CACHE_DIR"] = str(writable_cache_dir() / "llm")
    try:
        log_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{log_dir} cannot be made: {error.strerror}. Name another with --log-dir") from error
    display = _display()
    options: dict[str, Any] = dict(
        log_dir=str(log_dir),
        log_dir_allow_dirty=True,
        retry_attempts=0,
        retry_cleanup=False,  # an older log may hold repeats that this run does not ask for
        fail_on_error=True,
        continue_on_fail=True,
        log_buffer=10,
        display=display,
        log_level="error",
        max_retries=settings.max_retries,
        attempt_timeout=settings.attempt_timeout,
        max_connections=settings.max_connections,
        batch=BatchConfig(tick=settings.batch_tick, send_delay=settings.batch_tick) if settings.batch else None,
        **extra,
    )
    with _heartbeat() if display == "none" else nullcontext():
        try:
            _, headers = eval_set(tasks, model=models, **options)
        except KeyboardInterrupt:
            headers = []
        except OSError as error:
            raise SombError(f"The logs cannot be written to {log_dir}: {error}") from error
    if not headers or any(header.status == "cancelled" for header in headers):
        raise SombError(f"Interrupted. What was done is kept in {log_dir}: run the same command again to go on")
    return [Path(header.location.removeprefix("file://").removeprefix("file:")) for header in headers]


def _outcome(log_dir: Path, paths: Sequence[Path], budget: cost.Budget) -> Outcome:
    """Count the samples of a run's logs by how they ended."""
    result = Outcome(log_dir, spent=budget.spent if budget.prices else None)
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
    """Put the questions to the models; the same call again asks only what failed or was not asked.

    Parameters
    ----------
    models
        Names as inspect knows them, ``provider/model``.
    filters
        ``modality``, ``difficulty``, ``kind``, ``sample``, ``seed`` of `load_bank`.
    log_dir
        Where the logs are written and found again.
    max_cost
        Dollars; calls that could exceed it are not made.
    repeats
        How often each question is asked; answers of earlier repeats stay.

    Raises
    ------
    UsageError
        If a value cannot be, a model cannot be used, or a budget is given without a price.
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
    paths = _eval([spaceomics(**chosen, scored=False)], opened, log_dir, settings, epochs=repeats)
    return _outcome(log_dir, paths, budget)


def judged_answers(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """Return the answers to judge that the logs hold, the latest of each model, question and repeat.

    Raises
    ------
    UsageError
        If there is none, or a question is not in the bank.
    """
    table = logs.load(paths).answers
    table = table[table["status"].isin(["ok", "truncated"])]
    if table.empty:
        raise UsageError("The logs hold no answer to judge")
    foreign = sorted(set(table["question_id"]) - {question.id for question in load_bank()})
    if foreign:
        raise UsageError(f"These answers are to questions that the bank does not hold: {', '.join(foreign[:5])}")
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
    """Put the answers to the judges; the same call again makes only the requests that are missing.

    Parameters
    ----------
    answers
        As `judged_answers` gives them.
    judges
        Names as inspect knows them.
    per_dimension
        Six calls an answer, one a dimension and one for the flags, instead of one.
    log_dir, settings, max_cost, prices
        As for `run_answers`.
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
