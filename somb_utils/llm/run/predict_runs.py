"""Runs of language models as predictors: planned, asked, resumed, and written as a file of predictions."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from somb_utils._seeds import SEED
from somb_utils.errors import UsageError
from somb_utils.llm.run import engine, logs, plan
from somb_utils.llm.run.missing import COMPLETE, Ended, Key, missing
from somb_utils.llm.run.models import Settings, open_models
from somb_utils.llm.run.predict import fold_sample, fold_texts, prediction_task, read_fold
from somb_utils.llm.run.rows_as_text import INSTRUCTIONS, FoldText
from somb_utils.paths import replacing
from somb_utils.predictions.codec import FORMS, Form, encode
from somb_utils.tasks.task_data import TaskData


def _wanted(model: str, data: TaskData, texts: list[FoldText], settings: Settings) -> dict[Key, int]:
    """Return numbers of folds by what a model's predictions for them rest on."""
    words = logs.settings_in_words(settings.temperature, settings.max_tokens)
    return {(model, data.name, data.protocol, n, text.digest, words): n for n, text in enumerate(texts)}


def _replies(log_dir: Path) -> tuple[Ended, dict[Key, np.ndarray]]:
    """Return how each fold in a folder of logs ended, and the probabilities of those that are valid."""
    ended: Ended = {}
    valid: dict[Key, np.ndarray] = {}
    for path in logs.in_folder(log_dir):
        log = logs.read_log(path)
        config = log.plan.config.merge(log.eval.model_generate_config)
        words = logs.settings_in_words(config.temperature, config.max_tokens)
        for sample in log.samples or []:
            about = sample.metadata
            if "fold_label" not in about:
                continue
            key = (log.eval.model, about["task"], about["protocol"], about["fold"], about["prompt"], words)
            status, reason = logs.answer_status(sample)
            probabilities, why = read_fold(about, sample.output.completion) if status in COMPLETE else (None, reason)
            if probabilities is not None:
                ended[key], valid[key] = ("ok", ""), probabilities
            elif key not in valid:
                ended[key] = (status if status not in COMPLETE else "failed", f"fold {about['fold_label']}: {why}")
    return ended, valid


def plan_predictions(
    model: str, data: TaskData, log_dir: Path, prices: dict[str, Any], settings: Settings
) -> list[plan.Estimate]:
    """Return an estimate of the folds that the folder of logs lacks."""
    texts = fold_texts(data)
    asked = missing(_wanted(model, data, texts, settings), _replies(log_dir)[0])
    return [plan.estimate(model, [INSTRUCTIONS + texts[number].prompt for number in asked], prices, settings)]


def run_predictions(
    model: str,
    data: TaskData,
    log_dir: Path,
    settings: Settings,
    max_cost: float | None = None,
    prices: dict[str, Any] | None = None,
) -> tuple[engine.Outcome, pd.DataFrame]:
    """Put the folds of a task to a model; those with valid predictions in the same folder are not asked again.

    Parameters
    ----------
    model
        Name as Inspect knows it, ``provider/model``.
    data
        As `load_small` gives it.
    log_dir, settings, max_cost, prices
        As for `run_answers`; `settings` state a token limit.

    Returns
    -------
    Outcome
        How the run ended: folds whose replies are not valid are failed.
    DataFrame
        Predictions of the other folds, in the columns of a run's.

    Raises
    ------
    UsageError
        If the model cannot be used, or a budget is given without a price.
    SombError
        If a log cannot be written, or the run was interrupted.
    """
    budget = engine.budget_for([model], prices, max_cost, settings.batch)
    (opened,) = open_models([model], settings)
    texts = fold_texts(data)
    wanted = _wanted(str(opened), data, texts, settings)
    samples = [fold_sample(data, number, texts[number]) for number in missing(wanted, _replies(log_dir)[0])]
    engine.evaluate([prediction_task(data, samples, opened)] if samples else [], log_dir, settings)
    ended, valid = _replies(log_dir)
    parts = [_rows(data, number, texts[number], valid[key]) for key, number in wanted.items() if key in valid]
    return engine.outcome(log_dir, list(wanted), ended, budget), pd.concat(parts) if parts else pd.DataFrame()


def _rows(data: TaskData, number: int, text: FoldText, probabilities: np.ndarray) -> pd.DataFrame:
    classes, binary = np.array(data.task.classes), data.task.type == "binary"
    best = (probabilities[:, 1] >= 0.5).astype(int) if binary else probabilities.argmax(axis=1)
    table = pd.DataFrame({"id": data.X.index[list(text.rows)], "y_pred": classes[best]})
    table = table.assign(protocol=data.protocol, fold=data.folds[number].label, seed=SEED)
    return table.assign(y_score=probabilities[:, 1]) if binary else table.assign(y_proba=list(probabilities))


def form_of(out: Path, name: str) -> Form:
    """Return the form of a file of predictions, which `somb evaluate` finds by the task's name."""
    form = next((form for form in FORMS if out.name == f"{name}.{form}"), None)
    if form is None:
        raise UsageError(f"--out: name the file {', '.join(f'{name}.{form}' for form in FORMS)}, not {out.name}")
    return form


def write_predictions(predictions: pd.DataFrame, data: TaskData, out: Path) -> None:
    """Write a file of predictions, whole."""
    content = encode(predictions, data, form_of(out, data.name))
    with replacing(out) as temporary:
        temporary.write_bytes(content)
