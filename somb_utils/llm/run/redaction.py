"""Keys, passwords and other secrets of the environment, cut out of whatever a provider sends back.

A reply or an error may repeat the request's key, so it is redacted where it enters: in the `generate` method of the
model's API object, which is wrapped for this. Inspect (0.3.285) has no later place that all writing passes through.
Its hooks run after the fact: `on_sample_event` once the event is in the buffer database, `on_sample_end` once the
sample is in the log, `on_model_retry` once the error is in the message; `on_before_model_generate` comes before there
is a reply. Retries, the cache of replies and the trace file are written by the model object itself.
"""

import base64
import os
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

if TYPE_CHECKING:
    from inspect_ai.model import Model

_SECRET = re.compile(r"TOKEN(?!IZ)|SECRET|PASSW|PASSPHRASE|CREDENTIAL|KEYS?(_|$)", re.IGNORECASE)
_SHORTEST, _SHORT = 4, 8
# What local servers, which need no key, are given as one, and switches: words of any answer.
_NO_SECRETS = {"none", "null", "empty", "dummy", "local", "test", "true", "false", "ollama", "unused", "placeholder"}

Secrets = list[tuple[str, str]]


def _secrets() -> Secrets:
    """Return the environment's secrets as (value, name), longest first: one may begin with another."""
    names: dict[str, str] = {}
    for name, value in os.environ.items():
        values = [value] if _SECRET.search(name) else secrets_in_address(value)
        names |= {v: name for v in values if len(v) >= _SHORTEST and v.lower() not in _NO_SECRETS}
    return sorted(names.items(), key=lambda item: -len(item[0]))


def secrets_in_address(value: str) -> list[str]:
    """Return the passwords and keys in an address, as written and as sent."""
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
    return [secret for secret in secrets if secret]


def redact(text: str, secrets: Secrets | None = None) -> str:
    """Return the text without the values of the environment's keys, tokens, passwords and secrets."""
    for value, name in _secrets() if secrets is None else secrets:
        if len(value) >= _SHORT:
            text = text.replace(value, f"[{name}]")
        else:  # a short one only where it stands alone
            text = f"[{name}]".join(re.split(rf"(?<!\w){re.escape(value)}(?!\w)", text))
    return text


def _redact_data(value: Any, secrets: Secrets) -> Any:
    """Redact the strings in plain data, recursively."""
    if isinstance(value, str):
        return redact(value, secrets)
    if isinstance(value, dict):
        return {k: _redact_data(v, secrets) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_redact_data(v, secrets) for v in value)
    return value


def _redact_error(error: BaseException | None, secrets: Secrets) -> None:
    """Redact an exception and its causes in place, so that its type still tells whether to retry."""
    while error is not None:
        error.args = _redact_data(error.args, secrets)
        for name in ("message", "body"):
            if isinstance(getattr(error, name, None), str | dict | list):
                setattr(error, name, _redact_data(getattr(error, name), secrets))
        error = error.__cause__ or error.__context__


def redacting(model: "Model") -> "Model":
    """Return the model with its replies and errors redacted; a model is wrapped once."""
    from inspect_ai.model import ModelOutput

    api: Any = model.api
    if getattr(api, "_somb_redacting", False):
        return model
    generate = api.generate

    async def redacted(*args: Any, **kwargs: Any) -> Any:
        try:
            result = await generate(*args, **kwargs)
        except Exception as error:
            _redact_error(error, _secrets())
            raise
        output, call = result if isinstance(result, tuple) else (result, None)
        secrets = _secrets()
        if isinstance(output, Exception):
            _redact_error(output, secrets)
        elif (reply := output.model_dump(mode="json")) != (clean := _redact_data(reply, secrets)):
            output = ModelOutput.model_validate(clean)
        if call is not None:
            for name in ("request", "response", "error"):
                if getattr(call, name, None) is not None:
                    setattr(call, name, _redact_data(getattr(call, name), secrets))
        return (output, call) if isinstance(result, tuple) else output

    api.generate = redacted
    api._somb_redacting = True
    return model
