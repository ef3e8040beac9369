"""Language models as predictors: the Inspect task that puts the folds of a small task to a model."""

from typing import TYPE_CHECKING, Any, cast

import numpy as np
from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ChatMessageSystem, ChatMessageUser, GenerateConfig, Model
from inspect_ai.scorer import Score, Scorer, Target, mean, scorer
from inspect_ai.solver import Generate, Solver, TaskState, solver

from somb_utils.llm.run.answering import answer
from somb_utils.llm.run.arguments import shown_by_inspect
from somb_utils.llm.run.rows_as_text import INSTRUCTIONS, FoldText, fold_text, need_small, read_probabilities
from somb_utils.tables.sources import SourceLike
from somb_utils.tasks.definitions import Protocol

if TYPE_CHECKING:  # slow to import, and not needed by the other tasks, which are registered with this one
    from somb_utils.tasks.task_data import TaskData

TOKENS = 4096  # of a reply


def load_small(name: str, protocol: Protocol = "rigorous", source: SourceLike = "auto") -> "TaskData":
    """Return a task whose folds fit into prompts; raise `UsageError` if they do not."""
    from somb_utils.tasks.task_data import load_task

    data = load_task(name, protocol, source)
    need_small(data)
    return data


def fold_texts(data: "TaskData") -> list[FoldText]:
    """Return every fold of a task as text."""
    return [fold_text(data, number) for number in range(len(data.folds))]


def fold_sample(data: "TaskData", number: int, text: FoldText) -> Sample:
    """Return the Inspect sample of a fold."""
    about = {"task": data.name, "protocol": data.protocol, "fold": number, "fold_label": data.folds[number].label}
    about |= {"prompt": text.digest, "rows": len(text.rows), "classes": list(data.task.classes)}
    return Sample(
        id=f"{data.name}-{data.folds[number].label}",
        input=[ChatMessageSystem(content=INSTRUCTIONS), ChatMessageUser(content=text.prompt)],
        target=[data.task.classes[data.codes[row]] for row in text.rows],
        metadata=about,
    )


def read_fold(metadata: dict[str, Any], reply: str) -> tuple[np.ndarray | None, str]:
    """Return the probabilities in a reply to a sample with this metadata, or None and what is wrong with it."""
    return read_probabilities(reply, metadata["rows"], len(metadata["classes"]))


@solver
def predictions() -> Solver:
    """Ask for a fold's predictions; a reply that cannot be read is asked for once more, with the reason."""
    ask = answer()

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        state = await ask(state, generate)
        probabilities, why = read_fold(state.metadata, state.output.completion)
        if probabilities is None and state.output.stop_reason != "content_filter":
            state.messages.append(ChatMessageUser(content=f"Not valid: {why}. Reply with the lines asked for alone."))
            state = await ask(state, generate)
        return state

    return solve


@scorer(metrics={"*": [mean()]})
def predicted() -> Scorer:
    """Say whether the reply is valid, and the share of test rows whose likeliest class is right."""

    async def score(state: TaskState, target: Target) -> Score:
        probabilities, why = read_fold(state.metadata, state.output.completion)
        if probabilities is None:
            return Score.unscored(reason="invalid_reply", explanation=why)
        best = [state.metadata["classes"][code] for code in probabilities.argmax(axis=1)]
        return Score(value={"accuracy": float(np.mean([a == b for a, b in zip(best, target, strict=True)]))})

    return score


def prediction_task(data: "TaskData", samples: list[Sample], model: Model | None = None) -> Task:
    """Return the task that puts folds to a model."""
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
    with shown_by_inspect():
        loaded = load_small(task, cast(Protocol, protocol), data)
    return prediction_task(
        loaded, [fold_sample(loaded, number, text) for number, text in enumerate(fold_texts(loaded))]
    )
