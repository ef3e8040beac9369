"""Models ready for a run: named, keyed, with the run's settings."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from somb_utils.errors import UsageError
from somb_utils.llm.run.providers import ANSWER_TOKENS, needed_keys, token_limit
from somb_utils.llm.run.redaction import redact, redacting, secrets_in_address

if TYPE_CHECKING:
    from inspect_ai.model import Model

BOUNDS = {
    "temperature": (0, 2), "max_tokens": (1, 1_000_000), "max_connections": (1, 1000), "max_retries": (0, 100),
    "retry_wait": (0, 3600), "attempt_timeout": (1, 86_400), "batch_tick": (0.01, 3600),
}  # fmt: skip
OFFLINE = "somb llm run --model offline/demo --sample 5"


@dataclass(frozen=True)
class Settings:
    """How models are called; the defaults are those of the published evaluation.

    Parameters
    ----------
    temperature
        Of the answering models, 0 to 2; judges are always asked at 0.
    max_tokens
        Most tokens of a reply; by default 2,000 for answers, 4,096 for verdicts, 8,192 for models that reason.
    batch
        Whether to use the provider's batch mode.
    max_connections
        Requests at a time; by default, adapted to the provider.
    max_retries
        Retries of a request after a rate limit, an overload or a broken connection.
    retry_wait
        Seconds before the first retry; doubles each time.
    attempt_timeout
        Seconds that one request may take.
    batch_tick
        Seconds between looks at a batch.

    Raises
    ------
    UsageError
        If a value is out of bounds.
    """

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


def _refusal(name: str, reason: str) -> UsageError:
    return UsageError(f"{name} cannot be used: {reason}\nTo try it offline, without any key: {OFFLINE}")


def _need_keys(name: str) -> None:
    if "/" not in name:
        raise _refusal(name, "a model is named PROVIDER/NAME, as offline/demo is")
    missing = [key for key in needed_keys(name) if not os.environ.get(key)]
    if missing:
        hint = " and ".join(f"export {key}=..." for key in missing)
        raise _refusal(name, f"{' and '.join(missing)} is not set. Set it with: {hint}")


def _set_first_wait(model: "Model", seconds: float) -> None:
    from tenacity import wait_exponential_jitter

    api: Any = model.api
    wait = wait_exponential_jitter(multiplier=seconds, max=max(60.0, seconds), jitter=seconds)
    api.retry_wait = lambda: wait


def open_models(names: Sequence[str], settings: Settings, usual: int = ANSWER_TOKENS) -> list["Model"]:
    """Return the named models with the run's settings, their replies redacted.

    A name without a provider, a missing key or package, or an address with a password is a UsageError that says how
    to go on.
    """
    from inspect_ai._util.error import PrerequisiteError
    from inspect_ai.model import GenerateConfig, get_model
    from rich.text import Text

    from somb_utils.llm.run import offline  # noqa: F401  (registers the offline model)

    models = []
    for name in dict.fromkeys(names):
        _need_keys(name)
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
        if secrets_in_address(address):
            variables = " or ".join(sorted(n for n, v in os.environ.items() if v == address)) or "its address"
            raise _refusal(name, f"{variables} has a password or key in it, which logs would show. Use the API key")
        _set_first_wait(model, settings.retry_wait)
        models.append(redacting(model))
    return models
