"""The condition ``analysis``: a model works on the tables with Python and a shell, within limits; code marks it."""

import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from inspect_ai import Task, task
from inspect_ai._util.error import PrerequisiteError
from inspect_ai.agent import Agent, AgentState, react
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.event import Event, SampleLimitEvent, ToolEvent
from inspect_ai.log import transcript
from inspect_ai.model import ChatMessageSystem, ChatMessageUser, GenerateConfig, Model
from inspect_ai.scorer import Score, Scorer, Target, mean, scorer, stderr
from inspect_ai.solver import TaskState, use_tools
from inspect_ai.tool import Tool, bash, python
from inspect_ai.util import SandboxEnvironmentSpec

from somb_utils.errors import SombError, UsageError
from somb_utils.llm.core.items import Group, Item, load_items
from somb_utils.llm.core.keys import Key, compute_keys, tables_of
from somb_utils.llm.core.marking import mark, stated
from somb_utils.llm.core.prompts import SYSTEM, item_prompt
from somb_utils.llm.run.sandbox import FOLDER, Staged, need_unchanged, sandbox_spec, stage
from somb_utils.tables.sources import resolve_source

INSTRUCTIONS = f"""{SYSTEM}

The data are CSV files in the folder {FOLDER} of your working directory; {FOLDER}/README.md names the study of each. \
Work out the answer from them with the tools python and bash: pandas, numpy, scipy and scikit-learn are installed. \
Each call starts anew: print what you need."""
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
                raise UsageError(f"The limit on {name.replace('_', ' ')} is at least {low:,}, not {getattr(self, name):,}")
        if self.dollars is not None and not self.dollars > 0:
            raise UsageError(f"The limit on dollars is more than 0, not {self.dollars:g}")


async def _until_answered(state: AgentState) -> bool | str:
    """Let the agent go on until a message without tool calls states an answer."""
    if state.output.message.tool_calls:
        return True
    return False if stated(state.output.completion) else CONTINUE


def _tools(limits: Limits) -> list[Tool]:
    return [python(timeout=limits.call_seconds), bash(timeout=limits.call_seconds)]


def analyst(limits: Limits) -> Agent:
    """Return Inspect's agent `react` with a Python and a shell tool, which ends with the line of the answer."""
    return react(prompt=None, tools=_tools(limits), submit=False, on_continue=_until_answered)


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
def marked(staged: Staged) -> Scorer:
    """Mark the answer against the key; one that a limit prevented is not correct, and counted as ``limit``.

    A sample whose tables changed fails: it has no score.
    """

    async def score(state: TaskState, target: Target) -> Score:
        await need_unchanged(staged)
        events = transcript().events
        reached = [event.type for event in events if isinstance(event, SampleLimitEvent)]
        stopped = _stopped_calls(events)
        item, key = Item(**state.metadata["item"]), state.metadata["key"]
        value = tuple(key) if isinstance(key, list) else key
        result = mark(item, Key(value, target.text), state.output.completion)
        if not reached and result.invalid and stopped:
            reached = [stopped.most_common(1)[0][0]]
        counted = {
            "correct": float(result.correct and not reached),
            "limit": float(bool(reached)),
            "invalid": float(result.invalid and not reached),
            "declined": float(not result.answered and not result.invalid and not reached),
        }
        about = {"limit": reached[0] if reached else "", "stopped_calls": dict(stopped), "key": result.key}
        return Score(value=counted, answer=result.given, explanation=about["limit"] or None, metadata=about)

    return score


def analysis_sample(item: Item, key: Key) -> Sample:
    """Return the Inspect sample of an item."""
    about: dict[str, Any] = {"item_id": item.id, "group": item.group, "condition": "analysis"}
    about |= item.model_dump(include={"modality", "kind", "question"})
    about |= {"item": item.model_dump(mode="json", exclude_none=True), "key": key.value}
    messages = [ChatMessageSystem(content=INSTRUCTIONS), ChatMessageUser(content=item_prompt(item, "analysis"))]
    return Sample(id=item.id, input=messages, target=key.text, metadata=about)


def analysing(
    samples: Sequence[Sample], limits: Limits, spec: SandboxEnvironmentSpec, staged: Staged, model: Model | None = None
) -> Task:
    """Return the task in which a model answers items by analysing the tables.

    Another solver in the place of the agent finds the tools in its state.
    """
    return Task(
        name="analysis",
        dataset=MemoryDataset(list(samples), name="SpaceOmicsBench core"),
        setup=use_tools(*_tools(limits)),
        solver=analyst(limits),
        scorer=marked(staged),
        sandbox=spec,
        model=model,
        config=GenerateConfig(temperature=0.3),
        time_limit=limits.seconds,
        token_limit=limits.tokens,
        message_limit=limits.messages,
        cost_limit=limits.dollars,
        version=1,
    )


@task
def spaceomics_analysis(
    sandbox: str = "docker",
    group: Group = "core",
    sample: int | None = None,
    seed: int = 42,
    data: str = "auto",
    seconds: int = Limits.seconds,
    call_seconds: int = Limits.call_seconds,
    memory_gb: float = Limits.memory / 2**30,
    tokens: int = Limits.tokens,
    messages: int = Limits.messages,
    dollars: float | None = None,
) -> Task:
    """SpaceOmicsBench's items, answered by analysing the tables with Python and a shell in a sandbox.

    ``inspect eval somb_utils/spaceomics_analysis --model PROVIDER/MODEL``; options by ``-T sandbox=local -T sample=10``,
    another agent or solver by ``--solver``. `data` is where the tables come from; `dollars` needs Inspect to know the
    model's price.
    """
    try:
        limits = Limits(seconds, call_seconds, int(memory_gb * 2**30), tokens, messages, dollars)
        items = list(load_items(group))
        random.Random(seed).shuffle(items)
        source = resolve_source(data, dict.fromkeys(name for item in items for name in tables_of(item)))
        keys = compute_keys(items, source)
        samples = [analysis_sample(item, keys[item.id]) for item in items if item.id in keys][:sample]
        staged = stage(source)
        return analysing(samples, limits, sandbox_spec(sandbox, staged, limits.memory), staged)
    except SombError as error:  # inspect's command shows this one without a traceback
        raise PrerequisiteError(str(error)) from None
