"""Models ready for a run: named, keyed, with the project's settings, and unable to leak a key into a log."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from somb_utils.errors import UsageError

if TYPE_CHECKING:
    from inspect_ai.model import Model

ANSWER_TOKENS, JUDGE_TOKENS, REASONING_TOKENS = 2000, 4096, 8192
OFFLINE = "somb llm run --model offline/demo --sample 5"
KEYS = {
    "anthropic": ("ANTHROPIC_API_KEY",), "openai": ("OPENAI_API_KEY",), "google": ("GOOGLE_API_KEY",),
    "groq": ("GROQ_API_KEY",), "together": ("TOGETHER_API_KEY",), "mistral": ("MISTRAL_API_KEY",),
    "openrouter": ("OPENROUTER_API_KEY",), "grok": ("XAI_API_KEY",), "fireworks": ("FIREWORKS_API_KEY",),
}  # fmt: skip
_SECRET = re.compile(r"(_API_KEY|_TOKEN|_SECRET|_KEY|_PASSWORD)$")
_THINKS = re.compile(r"(^|[-/])(r1|qwq|reasoner|thinking|magistral)([-:]|$)")
_THINKS_ONLY_WHEN_ASKED = re.compile(r"claude-(3|(opus|sonnet|haiku)-4(-[0-6])?(-\d{8})?$)")


@dataclass(frozen=True)
class Settings:
    """How models are called; the defaults are those of the published evaluation."""

    temperature: float = 0.3
    max_tokens: int | None = None
    batch: bool = False
    max_connections: int | None = None
    max_retries: int = 6
    retry_wait: float = 3.0
    attempt_timeout: int | None = 600
    batch_tick: float = 15.0


def _secrets() -> list[tuple[str, str]]:
    """Return the environment's keys, tokens and secrets as (value, name)."""
    return [(v, n) for n, v in os.environ.items() if len(v) >= 8 and _SECRET.search(n)]


def redact(text: str, secrets: list[tuple[str, str]] | None = None) -> str:
    """Return the text without the values of the environment's keys, tokens and secrets."""
    for value, name in _secrets() if secrets is None else secrets:
        text = text.replace(value, f"[{name}]")
    return text


def _clean(value: Any, secrets: list[tuple[str, str]]) -> Any:
    """Redact the strings in plain data, recursively."""
    if isinstance(value, str):
        return redact(value, secrets)
    if isinstance(value, dict):
        return {k: _clean(v, secrets) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_clean(v, secrets) for v in value)
    return value


def _clean_error(error: BaseException | None) -> None:
    """Redact an exception and its causes in place, so that its type still tells whether to retry."""
    secrets = _secrets()
    while error is not None:
        error.args = _clean(error.args, secrets)
        for name in ("message", "body"):
            if isinstance(getattr(error, name, None), str | dict | list):
                setattr(error, name, _clean(getattr(error, name), secrets))
        error = error.__cause__ or error.__context__


def guarded(model: "Model", retry_wait: float | None = None) -> "Model":
    """Return the model with its replies and errors redacted and its first retry delay set (once)."""
    from inspect_ai.model import ModelOutput
    from tenacity import wait_exponential_jitter

    api: Any = model.api
    if retry_wait is not None:
        wait = wait_exponential_jitter(multiplier=retry_wait, max=max(60.0, retry_wait), jitter=retry_wait)
        api.retry_wait = lambda: wait
    if getattr(api, "_somb_guarded", False):
        return model
    generate = api.generate

    async def redacted(*args: Any, **kwargs: Any) -> Any:
        try:
            result = await generate(*args, **kwargs)
        except Exception as error:
            _clean_error(error)
            raise
        output, call = result if isinstance(result, tuple) else (result, None)
        secrets = _secrets()
        if isinstance(output, Exception):
            _clean_error(output)
        elif (text := output.model_dump_json()) != (clean := redact(text, secrets)):
            output = ModelOutput.model_validate_json(clean)
        if call is not None:
            for name in ("request", "response", "error"):
                if getattr(call, name, None) is not None:
                    setattr(call, name, _clean(getattr(call, name), secrets))
        return (output, call) if isinstance(result, tuple) else output

    api.generate = redacted
    api._somb_guarded = True
    return model


def needed_keys(name: str) -> tuple[str, ...]:
    """Return the environment variables a model's provider reads."""
    provider, _, rest = name.partition("/")
    if provider == "openai-api":
        service = rest.partition("/")[0].upper().replace("-", "_")
        return (f"{service}_API_KEY", f"{service}_BASE_URL")
    return KEYS.get(provider, ())


def reasons(name: str) -> bool:
    """Return whether a model thinks before it answers unless told otherwise."""
    from inspect_ai.model import get_model_info

    info = get_model_info(name)
    known = bool(info and info.reasoning) or bool(_THINKS.search(name.lower()))
    return known and not _THINKS_ONLY_WHEN_ASKED.search(name)


def token_limit(name: str, usual: int = ANSWER_TOKENS) -> int:
    """Return the most tokens a model may answer with: `usual`, or 8,192 if it reasons."""
    return max(usual, REASONING_TOKENS) if reasons(name) else usual


def _refusal(name: str, what: str) -> UsageError:
    return UsageError(f"{name} cannot be used: {what}\nTo try it offline, without any key: {OFFLINE}")


def open_models(names: Sequence[str], settings: Settings, usual: int = ANSWER_TOKENS) -> list["Model"]:
    """Return the named models with the run's settings.

    Raises
    ------
    UsageError
        If a name has no provider, or a key or package is missing; it says which and how to try it offline.
    """
    from inspect_ai._util.error import PrerequisiteError
    from inspect_ai.model import GenerateConfig, get_model
    from rich.text import Text

    from somb_utils.llm import offline  # noqa: F401  (registers the offline model)

    models = []
    for name in dict.fromkeys(names):
        if "/" not in name:
            raise _refusal(name, "a model is named PROVIDER/NAME, such as anthropic/claude-sonnet-4-6")
        missing = [key for key in needed_keys(name) if not os.environ.get(key)]
        if missing:
            hint = " and ".join(f"export {key}=..." for key in missing)
            raise _refusal(name, f"{' and '.join(missing)} is not set. Set it with: {hint}")
        config = GenerateConfig(
            temperature=settings.temperature, max_tokens=settings.max_tokens or token_limit(name, usual)
        )
        try:
            model = get_model(name, config=config, memoize=False)
        except PrerequisiteError as error:
            raise _refusal(name, redact(Text.from_markup(str(error.message)).plain.strip())) from None
        except (ValueError, ImportError) as error:
            raise _refusal(name, redact(str(error))) from None
        models.append(guarded(model, settings.retry_wait))
    return models
