"""The solver that asks a model once, within the budget."""

from collections.abc import Iterator
from contextlib import contextmanager

from inspect_ai.model import get_model
from inspect_ai.solver import Generate, Solver, TaskState, solver
from tenacity import RetryError

from somb_utils.errors import SombError
from somb_utils.llm.run import cost
from somb_utils.llm.run.providers import ANSWER_TOKENS, token_limit
from somb_utils.llm.run.redaction import redact, redacting


class EmptyAnswerError(SombError):
    """The model returned no text."""


class ProviderError(SombError):
    """The provider failed, retries included; the message says how."""


@contextmanager
def named_failures() -> Iterator[None]:
    """Replace tenacity's `RetryError`, which hides the cause, by the last failure in words."""
    try:
        yield
    except RetryError as error:
        last = error.last_attempt.exception()
        raise ProviderError(f"{type(last).__name__}: {redact(str(last))}") from None


@solver
def answer() -> Solver:
    """Ask the model once, within the budget; an empty answer is an error, so a rerun asks again."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        model = redacting(get_model())
        limit = model.config.max_tokens or token_limit(str(model), ANSWER_TOKENS)
        prompt = "\n".join(message.text for message in state.messages)
        async with cost.current().call(str(model), prompt, limit) as usages:
            with named_failures():
                state = await generate(state, max_tokens=limit)
            usages.extend([state.output.usage] if state.output.usage else [])
        if not state.output.completion.strip() and state.output.stop_reason != "content_filter":
            raise EmptyAnswerError(f"the answer is empty (stop reason: {state.output.stop_reason})")
        return state

    return solve
