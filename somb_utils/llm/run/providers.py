"""What is known of models by their names (``data/llm/models.yaml``): maker, keys, whether they reason."""

import re
from functools import lru_cache
from typing import Any

import yaml

from somb_utils.paths import DATA

ANSWER_TOKENS, JUDGE_TOKENS, REASONING_TOKENS = 2000, 4096, 8192
_UNUSUAL = {"per_dimension": "per dimension", "criteria": "criteria"}  # modes of judging, as names of judges show them
SIMULATED = "simulated/"  # before the names of invented models, as in simulated/MAKER-SIZE


@lru_cache(maxsize=1)
def _facts() -> dict[str, Any]:
    facts = yaml.safe_load((DATA / "llm" / "models.yaml").read_text(encoding="utf-8"))
    for kind in ("makers", "exceptions", "services"):
        facts[kind] = {name: maker for maker, names in facts[kind].items() for name in names}
    return facts


def family(model: str) -> str:
    """Return the maker of a model as the first word of its name or its service tells it, else the name itself."""
    *services, bare = judge_model(model).lower().split("/")
    if model.startswith(SIMULATED):
        return bare.partition("-")[0]
    makers, exceptions, known_services = (_facts()[kind] for kind in ("makers", "exceptions", "services"))
    for name in exceptions:
        if f"{bare}-".startswith(f"{name}-"):
            return exceptions[name]
    # Bedrock writes region and maker before the name (us.anthropic.claude-...); llama3.1 and qwen2.5 end in a version.
    word = re.split(r"[-_.:@ ]", re.sub(r"^([a-z]+\.)+", "", bare))[0]
    if maker := makers.get(word) or makers.get(word.rstrip("0123456789")):
        return maker
    return next((known_services[name] for name in reversed(services) if name in known_services), bare)


def judge_name(model: str, mode: str) -> str:
    """Return what a judge is called: its model's name, with the mode where it is not the usual one."""
    return f"{model} ({_UNUSUAL[mode]})" if mode in _UNUSUAL else model


def judge_model(name: str) -> str:
    """Return the name of a judge's model, whatever its mode."""
    return re.sub(rf" \(({'|'.join(_UNUSUAL.values())})\)$", "", name)


def full_name(bare: str) -> str:
    """Return a model's name with its maker's own provider, as logs state it, where a file states the bare name."""
    provider = None if "/" in bare else _facts()["own_provider"].get(family(bare))
    return f"{provider}/{bare}" if provider else bare


def batch_price(model: str) -> float:
    """Return the price of a request in batch mode as a share of the usual price."""
    return float(_facts()["batch_price"].get(model.partition("/")[0], 1))


def provider_notes() -> list[str]:
    """Return what a reader of a report should know of the providers."""
    return list(_facts()["notes"])


def needed_keys(name: str) -> tuple[str, ...]:
    """Return the environment variables a model's provider reads."""
    provider, _, rest = name.partition("/")
    if provider == "openai-api":
        service = rest.partition("/")[0].upper().replace("-", "_")
        return (f"{service}_API_KEY", f"{service}_BASE_URL")
    return tuple(_facts()["keys"].get(provider, ()))


def reasons(name: str) -> bool:
    """Return whether a model reasons before it answers unless told otherwise."""
    from inspect_ai.model import get_model_info

    facts, info = _facts(), get_model_info(name)
    known = bool(info and info.reasoning) or bool(re.search(facts["reasons"], name.lower()))
    return known and not re.search(facts["reasons_only_when_asked"], name)


def token_limit(name: str, usual: int = ANSWER_TOKENS) -> int:
    """Return the most tokens a model may answer with: `usual`, or 8,192 if it reasons."""
    return max(usual, REASONING_TOKENS) if reasons(name) else usual
