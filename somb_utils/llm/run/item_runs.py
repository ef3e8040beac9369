"""Runs of items that code marks: planned, asked and resumed as those of the open questions are."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from somb_utils.errors import UsageError
from somb_utils.llm.core.prompts import SYSTEM, item_prompt
from somb_utils.llm.run import engine, logs, plan
from somb_utils.llm.run.items import Asked, Selection, item_sample, item_task
from somb_utils.llm.run.marked_logs import load_folder_marks
from somb_utils.llm.run.missing import Ended, Key, missing
from somb_utils.llm.run.models import Settings, open_models
from somb_utils.llm.run.prompts import in_words
from somb_utils.llm.run.providers import token_limit

if TYPE_CHECKING:
    from inspect_ai import Task
    from inspect_ai.model import Model


def _wanted(model: str, selection: Selection, repeats: int, settings: Settings) -> dict[Key, tuple[Asked, int]]:
    """Return items and numbers of the repeat by what an answer of the model to them rests on."""
    words = logs.settings_in_words(settings.temperature, settings.max_tokens or token_limit(model))
    rest = (words, in_words(selection.digests))
    return {
        (model, a.set, selection.condition, a.item.id, n, *rest): (a, n)
        for n in range(1, repeats + 1)
        for a in selection.asked
    }


def _ended(log_dir: Path) -> Ended:
    """Return how the latest answers in a folder ended, by the keys of `_wanted`."""
    names = ["model", "set", "condition", "item_id", "epoch", "settings", "digests", "status", "reason"]
    rows = load_folder_marks(log_dir)[names].itertuples(index=False, name=None)
    return {tuple(key): (status, reason) for *key, status, reason in rows}


def plan_items(
    models: Sequence[str],
    selection: Selection,
    repeats: int,
    log_dir: Path,
    prices: dict[str, Any],
    settings: Settings,
) -> list[plan.Estimate]:
    """Return an estimate for each model of the answers that the folder lacks."""
    ended, estimates = _ended(log_dir), []
    for model in models:
        asked = missing(_wanted(model, selection, repeats, settings), ended)
        texts = [SYSTEM + item_prompt(a.item, selection.condition, a.contexts) for a, _ in asked]
        estimates.append(plan.estimate(model, texts, prices, settings))
    return estimates


def run_items(
    models: Sequence[str],
    selection: Selection,
    log_dir: Path,
    settings: Settings,
    max_cost: float | None = None,
    prices: dict[str, Any] | None = None,
    repeats: int = 1,
    make: "Callable[..., Task] | None" = None,
) -> engine.Outcome:
    """Put items to models and mark the answers; what was answered in the same folder is not asked again.

    Answers to other items, contexts, tables or prompts, or asked for with other settings, do not count as answered.

    Parameters
    ----------
    models
        Names as Inspect knows them, ``provider/model``.
    selection
        As `select` gives it.
    log_dir, settings, max_cost, prices, repeats
        As for `run_answers`.
    make
        Makes the task of selection, samples and model: an `Analysis`, for the condition ``analysis``.

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
    if repeats < 1:
        raise UsageError(f"--repeats: give at least 1, not {repeats}")
    budget = engine.budget_for(models, prices, max_cost, settings.batch)

    def of_items(asked: list[tuple[Asked, int]], model: "Model") -> "Task":
        samples = [item_sample(item, selection.condition, number) for item, number in asked]
        return (make or item_task)(selection, samples, model)

    requests: list[engine.Request] = [
        (_wanted(str(model), selection, repeats, settings), partial(of_items, model=model))
        for model in open_models(models, settings)
    ]
    return engine.ask(requests, _ended, log_dir, settings, budget)
