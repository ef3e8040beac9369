"""Models ready for a run: named, keyed, with the project's settings, and unable to leak a key into a log."""

import base64
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from somb_utils.errors import UsageError

if TYPE_CHECKING:
    from inspect_ai.model import Model

ANSWER_TOKENS, JUDGE_TOKENS, REASONING_TOKENS = 2000, 4096, 8192
BOUNDS = {
    "temperature": (0, 2), "max_tokens": (1, 1_000_000), "max_connections": (1, 1000), "max_retries": (0, 100),
    "retry_wait": (0, 3600), "attempt_timeout": (1, 86_400), "batch_tick": (0.01, 3600),
}  # fmt: skip
OFFLINE = "somb llm run --model offline/demo --sample 5"
KEYS = {
    "anthropic": ("ANTHROPIC_API_KEY",), "openai": ("OPENAI_API_KEY",), "google": ("GOOGLE_API_KEY",),
    "groq": ("GROQ_API_KEY",), "together": ("TOGETHER_API_KEY",), "mistral": ("MISTRAL_API_KEY",),
    "openrouter": ("OPENROUTER_API_KEY",), "grok": ("XAI_API_KEY",), "fireworks": ("FIREWORKS_API_KEY",),
}  # fmt: skip
_SECRET = re.compile(r"TOKEN(?!IZ)|SECRET|PASSW|PASSPHRASE|CREDENTIAL|KEYS?(_|$)", re.IGNORECASE)
_SHORTEST, _SHORT = 4, 8
# What local servers, which need no key, are given as one, and switches: words of any answer.
_NO_SECRETS = {"none", "null", "empty", "dummy", "local", "test", "true", "false", "ollama", "unused", "placeholder"}
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

    def __post_init__(self) -> None:
        """Refuse values with which no call could be made, or none would end."""
        for name, (low, high) in BOUNDS.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                option = {"attempt_timeout": "timeout"}.get(name, name).replace("_", "-")
                raise UsageError(f"--{option}: give {low:g} to {high:g}, not {value:g}")


def _secrets() -> list[tuple[str, str]]:
    """Return the environment's secrets as (value, name), longest first: one may begin with another."""
    found: dict[str, str] = {}
    for name, value in os.environ.items():
        values = [value] if _SECRET.search(name) else _in_address(value)
        found |= {v: name for v in values if len(v) >= _SHORTEST and v.lower() not in _NO_SECRETS}
    return sorted(found.items(), key=lambda item: -len(item[0]))


def _in_address(value: str) -> list[str]:
    """Return the passwords and keys that an address holds, as written and as sent."""
    try:
        parts = urlsplit(value)
        user, password = parts.username or "", parts.password or ""
    except ValueError:
        return []
    if not parts.netloc:
        return []
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    secrets = [password, unquote(password), *(v for n, v in pairs if _SECRET.search(n))]
    if password:
        secrets.append(base64.b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode())
    return secrets


def redact(text: str, secrets: list[tuple[str, str]] | None = None) -> str:
    """Return the text without the values of the environment's keys, tokens, passwords and secrets."""
    for value, name in _secrets() if secrets is None else secrets:
        if len(value) >= _SHORT:
            text = text.replace(value, f"[{name}]")
        else:  # a short one only where it stands alone
            text = f"[{name}]".join(re.split(rf"(?<!\w){re.escape(value)}(?!\w)", text))
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
        elif (said := output.model_dump(mode="json")) != (clean := _clean(said, secrets)):
            output = ModelOutput.model_validate(clean)
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

    from somb_utils.llm.run import offline  # noqa: F401  (registers the offline model)

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
        address = str(getattr(model.api, "base_url", None) or "")
        if any(_in_address(address)):
            variables = " or ".join(sorted(n for n, v in os.environ.items() if v == address)) or "its address"
            raise _refusal(name, f"{variables} holds a password or key, which logs would show. Give it as the API key")
        models.append(guarded(model, settings.retry_wait))
    return models
