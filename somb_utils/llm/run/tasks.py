"""The inspect tasks: questions answered (``spaceomics``) and answers judged, with solver and scorer."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import (
    CachePolicy,
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageUser,
    GenerateConfig,
    Model,
    ModelOutput,
    ResponseSchema,
    get_model,
    model_roles,
)
from inspect_ai.scorer import Score, Scorer, Target, mean, scorer, stderr
from inspect_ai.solver import Generate, Solver, TaskState, solver
from inspect_ai.util import json_schema

from somb_utils.errors import UsageError
from somb_utils.llm.bank.questions import load_bank
from somb_utils.llm.bank.schema import DIMENSIONS, Question
from somb_utils.llm.judge.criteria import criteria_levels, problem, remarks
from somb_utils.llm.judge.prompts import again_prompt, judge_prompts, neutralised
from somb_utils.llm.judge.verdicts import PARTS, read_reply, reply_model, weighted_score
from somb_utils.llm.run import (
    analysis,  # noqa: F401  (registers its task and sandbox)
    cost,
    items,  # noqa: F401  (registers its tasks)
    offline,  # noqa: F401  (registers the offline model)
    predict,  # noqa: F401  (registers its task)
)
from somb_utils.llm.run.answering import answer, named_failures
from somb_utils.llm.run.arguments import listed, shown_by_inspect
from somb_utils.llm.run.prompts import SYSTEM, answer_digests, judge_digests, question_prompt
from somb_utils.llm.run.providers import JUDGE_TOKENS, token_limit
from somb_utils.llm.run.redaction import redact, redacting

CUT = ("max_tokens", "model_length")


def question_sample(question: Question, repeat: int = 1) -> Sample:
    """Return the Inspect sample of a question; repeats after the first carry their number."""
    about: dict[str, Any] = {"repeat": repeat} if repeat > 1 else {}
    about |= question.model_dump(include={"modality", "difficulty", "kind", "question"})
    return Sample(
        id=f"{question.id}-{repeat}" if repeat > 1 else question.id,
        input=[ChatMessageSystem(content=SYSTEM), ChatMessageUser(content=question_prompt(question))],
        metadata={"question_id": question.id, **about},
    )


@solver
def stored_answer() -> Solver:
    """Take the answer in the sample's metadata; no model is called."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        state.output = ModelOutput.from_content(model="stored", content=state.metadata["answer"])
        state.completed = True
        return state

    return solve


@lru_cache(maxsize=1)
def _questions() -> dict[str, Question]:
    return {q.id: q for q in load_bank()}


def _grader(judge: str | None, by_eval_model: bool) -> Model | None:
    """Return the judging model: the eval's model, the one named, or the one in the role ``grader``."""
    if by_eval_model:
        return get_model()
    if judge:
        return get_model(judge)
    return get_model(role="grader") if "grader" in model_roles() else None


@lru_cache(maxsize=16)
def _schema(part: str) -> ResponseSchema:
    return ResponseSchema(name=part, json_schema=json_schema(reply_model(part)), strict=True)


async def _ask(model: Model, question: Question, text: str, part: str, scope: str) -> tuple[ModelOutput, Any, str]:
    """Return the judge's output, its validated reply (or None) and the reason why it does not count.

    A judge whose reply is not valid is told why and asked once more; this second reply is never taken from the cache.
    The first reply is only cached under a `scope`.
    """
    system, user = judge_prompts(question, text, part)
    messages: list[ChatMessage] = [ChatMessageSystem(content=system), ChatMessageUser(content=user)]
    cache = CachePolicy(expiry=None, scopes={"logs": scope}) if scope else False

    async def once(cache: CachePolicy | bool) -> tuple[ModelOutput, Any, str]:
        output, reply, reason = await _reply_of(model, messages, part, cache)
        if part == "criteria" and reply is not None:
            reason = problem(reply.findings, question, neutralised(text))
        return output, None if reason else reply, reason

    output, reply, reason = await once(cache)
    if reason.startswith(("judge_invalid", "judge_misquotes")):
        messages += [ChatMessageAssistant(content=output.completion), ChatMessageUser(content=again_prompt(reason))]
        output, reply, reason = await once(False)
    return output, reply, reason


async def _reply_of(
    model: Model, messages: list[ChatMessage], part: str, cache: CachePolicy | bool
) -> tuple[ModelOutput, Any, str]:
    limit = model.config.max_tokens or token_limit(str(model), JUDGE_TOKENS)
    config = GenerateConfig(temperature=0.0, max_tokens=limit, response_schema=_schema(part))
    async with cost.current().call(str(model), "".join(message.text for message in messages), limit) as usages:
        with named_failures():
            output = await model.generate(messages, config=config, cache=cache)
        usages.extend([output.usage] if output.usage else [])
    if output.stop_reason == "content_filter":
        return output, None, "judge_refused"
    if output.stop_reason in CUT:
        return output, None, "judge_truncated"
    reply, reason = read_reply(output.completion, part)
    return output, reply, reason


@scorer(metrics={"*": [mean(), stderr()]})
def rubric(judge: str | None = None, mode: str = "combined", by_eval_model: bool = False, scope: str = "") -> Scorer:
    """Judge the answer by the rubric; what cannot be judged is unscored, with the reason, never a default.

    The judge is the model `judge`, else the one in the role ``grader``, or with `by_eval_model` the model of the eval
    itself. In the mode ``per_dimension`` each dimension and the flags are asked for separately (six calls); the calls
    of unfinished samples are then cached under the name `scope`. In the mode ``criteria`` factual accuracy and
    completeness are computed from the judge's findings.
    """

    async def score(state: TaskState, target: Target) -> Score:
        text = state.output.completion
        if state.output.stop_reason == "content_filter":
            return Score.unscored(reason="answer_refused")
        if not text.strip():
            return Score.unscored(reason="answer_empty")
        model = _grader(judge, by_eval_model)
        if model is None:
            return Score.unscored(reason="no_judge", explanation="Name one: --model-role grader=PROVIDER/MODEL")
        question = _questions().get(state.metadata["question_id"])
        if question is None:
            return Score.unscored(reason="question_not_in_bank")
        redacting(model)
        about: dict[str, Any] = {"judge": str(model), "mode": mode}
        replies: dict[str, Any] = {}
        for part in PARTS[mode]:
            output, reply, reason = await _ask(model, question, text, part, scope if len(PARTS[mode]) > 1 else "")
            if reply is None:
                about["reply"] = redact(output.completion)[:2000]
                return Score.unscored(reason=reason, explanation=f"{part}: {reason}", metadata=about)
            replies[part] = reply.model_dump()
        return _score(replies, about, question)

    return score


def _score(replies: dict[str, Any], about: dict[str, Any], question: Question) -> Score:
    """Return one score from a combined reply, from one by criteria, or from those to the five dimensions and flags."""
    if "combined" in replies:
        verdict = replies["combined"]
    elif "criteria" in replies:
        verdict = replies["criteria"]
        verdict |= criteria_levels(verdict["findings"]) | remarks(verdict["findings"], question)
    else:
        reasons = [f"{name}: {replies[name]['justification']}" for name in DIMENSIONS]
        verdict = {name: replies[name]["score"] for name in DIMENSIONS}
        verdict |= {"flags": replies["flags"], "justification": "\n".join(reasons)}
    levels = {name: verdict.pop(name) for name in DIMENSIONS}
    value = {**levels, "weighted_score": weighted_score(levels)}
    return Score(value=value, explanation=verdict["justification"], metadata={**about, **verdict})


@task
def spaceomics(
    modality: str | list[str] | None = None,
    difficulty: str | list[str] | None = None,
    kind: str | list[str] | None = None,
    sample: int | None = None,
    seed: int = 42,
    judge: str | None = None,
    mode: str = "combined",
) -> Task:
    """SpaceOmicsBench's questions, judged by the rubric.

    ``inspect eval somb_utils/spaceomics --model PROVIDER/MODEL --model-role grader=PROVIDER/MODEL``; filters
    and the number of questions by ``-T modality=clinical,spatial -T sample=10``; ``-T mode=per_dimension`` and
    ``-T mode=criteria`` are the other modes of judging.
    """
    with shown_by_inspect():
        if mode not in PARTS:
            raise UsageError(f"Unknown mode: {mode}. Choose from {', '.join(PARTS)}")
        questions = load_bank(listed(modality), listed(difficulty), listed(kind), sample, seed)
    return Task(
        dataset=MemoryDataset([question_sample(question) for question in questions], name="SpaceOmicsBench"),
        solver=answer(),
        scorer=rubric(judge, mode),
        config=GenerateConfig(temperature=0.3),
        version=2,
        metadata={"digests": answer_digests(), "judge_digests": judge_digests(mode)},
    )


def answering(asked: Iterable[tuple[Question, int]], model: Model) -> Task:
    """Return the task that puts questions, with numbers of the repeat, to a model; its answers are judged later."""
    return Task(
        name="answering",
        dataset=MemoryDataset([question_sample(*each) for each in asked], name="SpaceOmicsBench"),
        solver=answer(),
        model=model,
        version=2,
        metadata={"digests": answer_digests()},
    )


def judging(answers: Iterable[dict[str, Any]], model: Model, mode: str, scope: str) -> Task:
    """Return the task in which a model judges stored answers (rows of `judged_answers`)."""
    samples = [
        Sample(id=a["sample_id"], input=a["question"], metadata={k: v for k, v in a.items() if k != "sample_id"})
        for a in answers
    ]
    return Task(
        name="judging" if mode == "combined" else f"judging-{mode.replace('_', '-')}",
        dataset=MemoryDataset(samples, name="judging"),
        solver=stored_answer(),
        scorer=rubric(mode=mode, by_eval_model=True, scope=scope),
        config=GenerateConfig(temperature=0.0),
        model=model,
        version=2,
        metadata={"mode": mode, "judge_digests": judge_digests(mode)},
    )
