"""The condition ``analysis``: a model works on the tables with Python and a shell, within limits; code marks it."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from inspect_ai import Task, task
from inspect_ai.agent import AgentState, as_solver, react
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.event import Event, SampleLimitEvent, ToolEvent
from inspect_ai.log import transcript
from inspect_ai.model import ChatMessageSystem, GenerateConfig, Model, ModelInfo, get_model_info, set_model_info
from inspect_ai.scorer import Score, Scorer, Target, mean, scorer, stderr
from inspect_ai.solver import Generate, Solver, TaskState, solver, use_tools
from inspect_ai.tool import Tool, bash, python
from inspect_ai.util import SandboxEnvironmentSpec

from somb_utils.errors import UsageError
from somb_utils.llm.core.marking import stated
from somb_utils.llm.core.prompts import SYSTEM
from somb_utils.llm.run import cost
from somb_utils.llm.run.answering import named_failures
from somb_utils.llm.run.arguments import listed, shown_by_inspect
from somb_utils.llm.run.evaluation import digest
from somb_utils.llm.run.items import Selection, item_sample, log_metadata, marked, select
from somb_utils.llm.run.plan import Estimate
from somb_utils.llm.run.sandbox import FOLDER, Staged, need_unchanged, sandbox_spec, stage

INSTRUCTIONS = f"""{SYSTEM}

The data are CSV files in the folder {FOLDER} of your working directory; {FOLDER}/README.md names the study of each. \
Work out the answer from them with the tools python and bash: pandas, numpy, scipy and scikit-learn are installed. \
Each call starts anew: print what you need."""
CALLS, STEP = 6, 400  # calls that an analysis is expected to take, and tokens that each adds
CONTINUE = "Go on with the tools, or end with the line ANSWER: your answer"
_MEMORY = re.compile(r"MemoryError|out of memory|cannot allocate memory|bad_alloc|\bKilled\b", re.IGNORECASE)


@dataclass(frozen=True)
class Limits:
    """What a model may use for one item.

    Parameters
    ----------
    seconds
        In all.
    call_seconds
        For one call of a tool, which is stopped; the model may go on.
    memory
        Bytes of one process that a tool starts.
    tokens
        In all, in and out.
    messages
        Of the conversation.
    dollars
        At the model's price; no limit by default.

    Raises
    ------
    UsageError
        If a value is out of bounds.
    """

    seconds: int = 900
    call_seconds: int = 120
    memory: int = 4 * 2**30
    tokens: int = 300_000
    messages: int = 60
    dollars: float | None = None

    def __post_init__(self) -> None:
        """Refuse limits within which nothing can be done."""
        least = {"seconds": 1, "call_seconds": 1, "memory": 2**28, "tokens": 1, "messages": 3}
        for name, low in least.items():
            if not getattr(self, name) >= low:
                raise UsageError(f"--limit {name}: give {low:,} or more, not {getattr(self, name):,}")
        if self.dollars is not None and not self.dollars > 0:
            raise UsageError(f"--limit dollars: give more than 0, not {self.dollars:g}")

    @classmethod
    def of(cls, stated: Iterable[str]) -> "Limits":
        """Return the limits in texts such as ``tokens=100000``, the others as by default."""
        values: dict[str, Any] = {}
        known = [field.name for field in fields(cls)]
        for text in stated:
            name, _, value = text.partition("=")
            try:
                values[name] = float(value) if name == "dollars" else int(value)
            except ValueError:
                raise UsageError(f"--limit {text}: give a number, as in tokens=100000") from None
            if name not in known:
                raise UsageError(f"--limit {text}: no such limit; there are {', '.join(known)}")
        return cls(**values)


async def _until_answered(state: AgentState) -> bool | str:
    """Let the agent go on until a message without tool calls states an answer."""
    if state.output.message.tool_calls:
        return True
    return False if stated(state.output.completion) else CONTINUE


def _tools(limits: Limits) -> list[Tool]:
    return [python(timeout=limits.call_seconds), bash(timeout=limits.call_seconds)]


@solver
def analyst(limits: Limits) -> Solver:
    """Run Inspect's agent `react` with a Python and a shell tool, until a message ends with the line of the answer."""
    agent = as_solver(react(prompt=None, tools=_tools(limits), submit=False, on_continue=_until_answered))

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        with named_failures():
            return await agent(state, generate)

    return solve


def _stopped_calls(events: Iterable[Event]) -> Counter[str]:
    """Return how many calls of tools were stopped, by the limit that they reached."""
    stopped: Counter[str] = Counter()
    for event in events:
        if isinstance(event, ToolEvent):
            said = f"{event.result}\n{event.error.message if event.error else ''}"
            if event.error is not None and event.error.type == "timeout":
                stopped["call time"] += 1
            elif _MEMORY.search(said):
                stopped["memory"] += 1
    return stopped


@scorer(metrics={"*": [mean(), stderr()]})
def marked_within(staged: Staged) -> Scorer:
    """Mark the answer against the key; one that a limit prevented is not correct, and counted as ``limit``.

    A sample whose tables changed fails: it has no score.
    """
    mark_answer = marked()

    async def score(state: TaskState, target: Target) -> Score | None:
        await need_unchanged(staged)
        result = await mark_answer(state, target)
        assert result is not None and isinstance(result.value, dict)
        events = transcript().events
        reached: list[str] = [event.type for event in events if isinstance(event, SampleLimitEvent)]
        stopped = _stopped_calls(events)
        if not reached and result.value["invalid"] and stopped:
            reached = [stopped.most_common(1)[0][0]]
        counted = dict.fromkeys(result.value, 0.0) if reached else result.value
        about = {"limit": reached[0] if reached else "", "stopped_calls": dict(stopped)}
        value = counted | {"limit": float(bool(reached))}
        return Score(value=value, answer=result.answer, explanation=result.explanation, metadata=about)

    return score


@dataclass(frozen=True)
class Analysis:
    """Items to be analysed, ready to be put to models: it makes the Inspect task of `run_items`.

    Parameters
    ----------
    selection
        The items; its digests include instructions and limits, which answers depend on.
    limits
        What a model may use for one item.
    staged, spec
        The tables, and the sandbox that has them.
    """

    selection: Selection
    limits: Limits
    staged: Staged
    spec: SandboxEnvironmentSpec

    def __call__(self, selection: Selection, samples: Sequence[Sample], model: Model | None = None) -> Task:
        """Return the task; another solver in the place of the agent finds the tools in its state."""
        for sample in samples:
            assert not isinstance(sample.input, str)
            sample.input[0] = ChatMessageSystem(content=INSTRUCTIONS)
        if model is not None:
            cost.charging(model)
        return Task(
            name="items-analysis",
            dataset=MemoryDataset(list(samples), name="SpaceOmicsBench items"),
            setup=use_tools(*_tools(self.limits)),
            solver=analyst(self.limits),
            scorer=marked_within(self.staged),
            sandbox=self.spec,
            model=model,
            config=GenerateConfig() if model else GenerateConfig(temperature=0.3),
            time_limit=self.limits.seconds,
            token_limit=self.limits.tokens,
            message_limit=self.limits.messages,
            cost_limit=self.limits.dollars,
            version=1,
            metadata=log_metadata(selection) | {"sandbox": self.spec.type, "limits": asdict(self.limits)},
        )


def estimates(plans: Iterable[Estimate], limits: Limits, prices: dict[str, Any]) -> list[Estimate]:
    """Return what agents are expected to use, given a plan of one call per item."""
    found = []
    for plan in plans:
        sent = CALLS * plan.input_tokens + plan.calls * STEP * CALLS * (CALLS - 1) // 2
        received, most = plan.calls * CALLS * STEP, plan.calls * limits.tokens
        dollars = highest = None
        if price := cost.price_of(plan.model, prices):
            dollars = (sent * price.input + received * price.output) / 1e6
            highest = most * max(price.input, price.output) / 1e6
            if limits.dollars is not None:
                highest = min(highest, plan.calls * limits.dollars)
        found.append(Estimate(plan.model, plan.calls * CALLS, sent, received, most, dollars, highest))
    return found


def bounded(selection: Selection, limits: Limits) -> Selection:
    """Return items whose digests include instructions and limits, which their answers depend on."""
    rest = selection.digests | {"analysis": digest(f"{INSTRUCTIONS}{limits}")}
    return replace(selection, digests=rest)


def prepare(selection: Selection, where: str, limits: Limits) -> Analysis:
    """Return items ready to be analysed: tables copied, sandbox chosen.

    Parameters
    ----------
    selection
        As `select` gives it for the condition ``analysis``.
    where
        ``docker`` or ``local``.
    limits
        What a model may use for one item.

    Raises
    ------
    UsageError
        If the sandbox cannot be used here.
    SombError
        If a table is not the published one, or cannot be copied.
    """
    staged = stage(selection.source)
    spec = sandbox_spec(where, staged, limits.memory)
    return Analysis(bounded(selection, limits), limits, staged, spec)


def price_models(models: Iterable[str], prices: dict[str, Any]) -> None:
    """Tell Inspect the prices of models, which the limit on dollars needs; refuse models without one."""
    for model in models:
        price = cost.price_of(model, prices)
        if price is None:
            raise UsageError(f"--limit dollars needs a price for {model}. Give one with --prices FILE")
        set_model_info(model, (get_model_info(model) or ModelInfo()).model_copy(update={"cost": price}))


@task
def spaceomics_analysis(
    sandbox: str = "docker",
    set: str = "core",
    modality: str | list[str] | None = None,
    sample: int | None = None,
    seed: int = 42,
    limits: str | list[str] | None = None,
) -> Task:
    """SpaceOmicsBench's items, answered by analysing the tables with Python and a shell, and marked by code.

    ``inspect eval somb_utils/spaceomics_analysis --model PROVIDER/MODEL``, with ``-T sandbox=local -T sample=10``;
    another agent or solver by ``--solver``, limits by ``-T limits=tokens=100000,seconds=300``.
    """
    with shown_by_inspect():
        selection = select(set, "analysis", listed(modality), sample, seed)
        ready = prepare(selection, sandbox, Limits.of(listed(limits) or []))
    return ready(ready.selection, [item_sample(asked, "analysis") for asked in ready.selection.asked])
