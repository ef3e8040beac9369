"""Prices, estimates and the budget that stops a run before it is overspent."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from somb_utils.errors import SombError, UsageError
from somb_utils.llm.bank.questions import YamlLoader
from somb_utils.llm.run.providers import batch_price
from somb_utils.paths import DATA

if TYPE_CHECKING:
    from inspect_ai.model import Model, ModelCost, ModelUsage

PRICES = DATA / "llm" / "prices.yaml"
CHARACTERS_PER_TOKEN = 3.5
_DATED = re.compile(r"-(\d{8}|\d{4}-\d{2}-\d{2})$")


class BudgetReachedError(SombError):
    """The next call could cost more than is left of ``--max-cost``, so it is not made."""


def load_prices(path: Path | None = None) -> dict[str, "ModelCost"]:
    """Return the prices of models: the project's, overridden by those of a file.

    Parameters
    ----------
    path
        YAML file of Inspect's form: ``{model: {input, output, input_cache_write, input_cache_read}}``.

    Returns
    -------
    dict
        By model, in dollars per million tokens.

    Raises
    ------
    UsageError
        If `path` cannot be read or is not of that form.
    """
    from inspect_ai.model import ModelCost

    prices: dict[str, ModelCost] = {}
    for source in [PRICES] + ([path] if path else []):
        try:
            entries = yaml.load(source.read_text(encoding="utf-8"), YamlLoader) or {}
            prices |= {name: ModelCost.model_validate(entry) for name, entry in entries.items()}
        except (OSError, yaml.YAMLError, ValueError, AttributeError) as error:
            raise UsageError(f"{source} is not a price file: {error}. See {PRICES} for the form") from error
    return prices


def price_of(model: str, prices: dict[str, "ModelCost"]) -> "ModelCost | None":
    """Return the price of a model by its name, with or without a version's date, or by its provider; else None."""
    names = (model, _DATED.sub("", model), model.partition("/")[0])
    return next((prices[name] for name in names if name in prices), None)


def discounted(prices: dict[str, "ModelCost"], model: str) -> dict[str, "ModelCost"]:
    """Return prices with that of a model in batch mode."""
    price, share = price_of(model, prices), batch_price(model)
    if price is None:
        return prices
    return prices | {model: type(price)(**{name: value * share for name, value in price.model_dump().items()})}


def tokens(text: str) -> int:
    """Return a rough count of tokens, on the high side for English prose."""
    return int(len(text) / CHARACTERS_PER_TOKEN) + 1


def cost(price: "ModelCost", usage: "ModelUsage") -> float:
    """Return the dollars of a call's token usage."""
    million = (
        usage.input_tokens * price.input
        + usage.output_tokens * price.output
        + (usage.input_tokens_cache_write or 0) * price.input_cache_write
        + (usage.input_tokens_cache_read or 0) * price.input_cache_read
    )
    return million / 1e6


@dataclass
class Budget:
    """The dollars that one command may spend; each call reserves its highest cost before it is made."""

    limit: float | None = None
    prices: dict[str, "ModelCost"] = field(default_factory=dict)
    spent: float = 0.0
    reserved: float = 0.0
    calls: int = 0
    unpriced: int = 0

    def __post_init__(self) -> None:
        """Refuse a limit that is not an amount of money."""
        if self.limit is not None and not self.limit >= 0:
            raise UsageError(f"--max-cost: give 0 or more dollars, not {self.limit:g}")

    @asynccontextmanager
    async def call(self, model: str, prompt: str, max_tokens: int) -> AsyncIterator[list["ModelUsage"]]:
        """Reserve a call's highest cost; the block appends the usage it had, which replaces the reserve."""
        import anyio

        price = price_of(model, self.prices)
        usages: list[ModelUsage] = []
        if price is None:
            yield usages
            self.calls += 1
            self.unpriced += 1
            return
        dearest = max(price.input, price.input_cache_write)
        highest = (tokens(prompt) * dearest + max_tokens * price.output) / 1e6
        while self.limit is not None and self.spent + self.reserved + highest > self.limit:
            if self.reserved <= 0:
                raise BudgetReachedError(f"not asked: the budget of ${self.limit:g} would be exceeded")
            await anyio.sleep(0.02)
        self.reserved += highest
        try:
            yield usages
        finally:
            self.reserved = max(0.0, self.reserved - highest)
            if self.reserved < 1e-12:
                self.reserved = 0.0
            self.spent += sum(cost(price, usage) for usage in usages)
            self.calls += 1

    def spending(self, digits: int = 2) -> str:
        """Return in words what was spent, as far as it is known."""
        if self.unpriced and self.unpriced == self.calls:
            return "cost unknown"
        unknown = f", cost of {self.unpriced} calls unknown" if self.unpriced else ""
        return f"${self.spent:.{digits}f} spent{unknown}"


_current = Budget()


def current() -> Budget:
    """Return the budget of the running command (unlimited unless one was set)."""
    return _current


def use(budget: Budget) -> None:
    """Make `budget` the one that calls are charged to."""
    global _current
    _current = budget


def charging(model: "Model") -> None:
    """Have every call of the model, whoever makes it, charged to the budget of the running command."""
    api: Any = model.api
    generate = api.generate

    async def charged(input: list[Any], tools: list[Any], tool_choice: Any, config: Any) -> Any:
        prompt = "".join(f"{message.text}{getattr(message, 'tool_calls', '')}" for message in input)
        async with current().call(str(model), prompt, config.max_tokens or 0) as usages:
            result = await generate(input, tools, tool_choice, config)
            output = result[0] if isinstance(result, tuple) else result
            if usage := getattr(output, "usage", None):
                usages.append(usage)
        return result

    api.generate = charged
