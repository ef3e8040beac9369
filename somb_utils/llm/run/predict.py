"""Language models as predictors: the folds of a small task put to a model, its replies as a file of predictions."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from inspect_ai import Task, task
from inspect_ai._util.error import PrerequisiteError
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ChatMessageSystem, ChatMessageUser, GenerateConfig, Model
from inspect_ai.scorer import Score, Scorer, Target, mean, scorer
from inspect_ai.solver import Generate, Solver, TaskState, solver

from somb_utils._seeds import SEED
from somb_utils.errors import SombError, UsageError
from somb_utils.llm.run import engine, logs, plan
from somb_utils.llm.run.answering import answer
from somb_utils.llm.run.missing import COMPLETE, Ended, Key, missing
from somb_utils.llm.run.models import Settings, open_models
from somb_utils.llm.run.rows_as_text import INSTRUCTIONS, FoldText, fold_text, need_small, read_probabilities
from somb_utils.paths import replacing
from somb_utils.predictions.codec import FORMS, Form, encode
from somb_utils.tables.sources import SourceLike
from somb_utils.tasks.definitions import Protocol
from somb_utils.tasks.task_data import TaskData, load_task

TOKENS = 4096  # of a reply


def load_small(name: str, protocol: Protocol = "rigorous", source: SourceLike = "auto") -> TaskData:
    """Return a task whose folds fit into prompts; raise `UsageError` if they do not."""
    data = load_task(name, protocol, source)
    need_small(data)
    return data


def _texts(data: TaskData) -> list[FoldText]:
    return [fold_text(data, number) for number in range(len(data.folds))]


def _sample(data: TaskData, number: int, text: FoldText) -> Sample:
    about = {"task": data.name, "protocol": data.protocol, "fold": number, "fold_label": data.folds[number].label}
    about |= {"prompt": text.digest, "rows": len(text.rows), "classes": list(data.task.classes)}
    return Sample(
        id=f"{data.name}-{data.folds[number].label}",
        input=[ChatMessageSystem(content=INSTRUCTIONS), ChatMessageUser(content=text.prompt)],
        target=[data.task.classes[data.codes[row]] for row in text.rows],
        metadata=about,
    )


def _read(metadata: dict[str, Any], reply: str) -> tuple[np.ndarray | None, str]:
    return read_probabilities(reply, metadata["rows"], len(metadata["classes"]))


@solver
def predictions() -> Solver:
    """Ask for a fold's predictions; a reply that cannot be read is asked for once more, with the reason."""
    ask = answer()

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        state = await ask(state, generate)
        probabilities, why = _read(state.metadata, state.output.completion)
        if probabilities is None and state.output.stop_reason != "content_filter":
            state.messages.append(ChatMessageUser(content=f"Not valid: {why}. Reply with the lines asked for alone."))
            state = await ask(state, generate)
        return state

    return solve


@scorer(metrics={"*": [mean()]})
def predicted() -> Scorer:
    """Say whether the reply is valid, and the share of test rows whose likeliest class is right."""

    async def score(state: TaskState, target: Target) -> Score:
        probabilities, why = _read(state.metadata, state.output.completion)
        if probabilities is None:
            return Score.unscored(reason="invalid_reply", explanation=why)
        best = [state.metadata["classes"][code] for code in probabilities.argmax(axis=1)]
        return Score(value={"accuracy": float(np.mean([a == b for a, b in zip(best, target, strict=True)]))})

    return score


def _task(data: TaskData, samples: list[Sample], model: Model | None = None) -> Task:
    return Task(
        name=f"predict-{data.name}",
        dataset=MemoryDataset(samples, name=f"SpaceOmicsBench {data.name}"),
        solver=predictions(),
        scorer=predicted(),
        model=model,
        config=GenerateConfig() if model else GenerateConfig(temperature=0.0, max_tokens=TOKENS),
        version=1,
        metadata={"tables": data.provenance["source"], "table_hashes": dict(data.provenance["tables"])},
    )


@task
def spaceomics_predict(task: str, protocol: str = "rigorous", data: str = "auto") -> Task:
    """A small task of SpaceOmicsBench, its test rows predicted from training rows as text: ``-T task=A2``."""
    try:
        loaded = load_small(task, cast(Protocol, protocol), data)
    except SombError as error:  # inspect's command shows this one without a traceback
        raise PrerequisiteError(str(error)) from None
    return _task(loaded, [_sample(loaded, number, text) for number, text in enumerate(_texts(loaded))])


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
            probabilities, why = _read(about, sample.output.completion) if status in COMPLETE else (None, reason)
            if probabilities is not None:
                ended[key], valid[key] = ("ok", ""), probabilities
            elif key not in valid:
                ended[key] = (status if status not in COMPLETE else "failed", f"fold {about['fold_label']}: {why}")
    return ended, valid


def plan_predictions(
    model: str, data: TaskData, log_dir: Path, prices: dict[str, Any], settings: Settings
) -> list[plan.Estimate]:
    """Return an estimate of the folds that the folder of logs lacks."""
    texts = _texts(data)
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
    texts = _texts(data)
    wanted = _wanted(str(opened), data, texts, settings)
    samples = [_sample(data, number, texts[number]) for number in missing(wanted, _replies(log_dir)[0])]
    engine.evaluate([_task(data, samples, opened)] if samples else [], log_dir, settings)
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
