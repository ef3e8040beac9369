"""Logs of items read as the table of marks; every answer is marked again from the item and key in its log."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from pydantic import ValidationError

from somb_utils.errors import SombError, UsageError
from somb_utils.llm.core.items import UNDETERMINED, Item
from somb_utils.llm.core.keys import Key
from somb_utils.llm.core.marking import mark
from somb_utils.llm.run import cost, logs
from somb_utils.llm.run.evaluation import latest
from somb_utils.llm.run.marks import COUNTED, MARKS
from somb_utils.llm.run.prompts import in_words

if TYPE_CHECKING:
    from inspect_ai.log import EvalLog, EvalSample

KEY = ["model", "set", "condition", "item_id", "epoch"]


def _constant(item: Item, key: Key) -> str:
    """Return the answer in its form that is right here, and that always given would be right so often."""
    if item.form == "choice" and key.value is not None:
        return chr(ord("A") + item.options.index(str(key.value)))
    return UNDETERMINED if key.value is None else key.text


def _row(sample: "EvalSample", model: str, prices: dict[str, Any], source: str) -> dict[str, Any]:
    about = sample.metadata
    item = Item.model_validate(about["item"])
    key = Key.stored(about["key"], str(sample.target))
    ended, reason = logs.answer_status(sample)
    result = mark(item, key, sample.output.completion)
    limits = [(score.metadata or {}).get("limit") for score in (sample.scores or {}).values()]
    if any(limits):
        status, reason = "limit", str(limits[0])
    elif ended in ("failed", "empty", "not_asked"):
        status = "not_asked" if ended == "not_asked" else "failed"
    else:
        status = "invalid" if result.invalid else "answered" if result.answered else "declined"
    sent, received, dollars = logs.money({n: u for n, u in sample.model_usage.items() if n == model}, prices)
    return {
        "model": model, "set": about["set"], "condition": about["condition"], "item_id": item.id,
        "epoch": about.get("repeat", sample.epoch), "kind": item.kind, "form": item.form, "modality": item.modality,
        "twin": item.twin or "", "chance": item.chance, "constant": _constant(item, key), "status": status,
        "reason": reason, "correct": result.correct and status in ("answered", "declined"), "given": result.given,
        "key": key.text, "answer": sample.output.completion, "input_tokens": sent, "output_tokens": received,
        "cost": dollars, "seconds": sample.output.time, "completed_at": sample.completed_at or "", "source": source,
    }  # fmt: skip


def _rows(log: "EvalLog", prices: dict[str, Any], source: str) -> list[dict[str, Any]]:
    metadata = log.eval.metadata or {}
    config = log.plan.config.merge(log.eval.model_generate_config)
    prices = cost.discounted(prices, log.eval.model) if config.batch else prices
    shared = {
        "settings": logs.settings_in_words(config.temperature, config.max_tokens),
        "digests": in_words(metadata.get("item_digests", {})),
        "tables": metadata.get("tables", ""),
        "simulated": metadata.get("tables") == "simulated",
    }
    samples = [sample for sample in log.samples or [] if "item_id" in sample.metadata]
    return [_row(sample, log.eval.model, prices, source) | shared for sample in samples]


def read(paths: Iterable[Path], prices: dict[str, Any] | None) -> pd.DataFrame:
    """Return the marked answers in logs; logs without items are passed over."""
    prices = prices if prices is not None else cost.load_prices()
    rows: list[dict[str, Any]] = []
    for path in paths:
        try:
            rows += _rows(logs.read_log(path), prices, path.name)
        except (ValidationError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise SombError(
                f"{path} is not a log of this benchmark's items: {type(error).__name__}: {error}"
            ) from error
    return latest(pd.DataFrame(rows, columns=MARKS), KEY, set(COUNTED))


def load_marks(paths: Iterable[Path], prices: dict[str, Any] | None = None) -> pd.DataFrame:
    """Return the marked answers in logs, the latest of each model, condition, item and repeat.

    Parameters
    ----------
    paths
        Logs, or folders of logs; logs of the open questions are passed over.
    prices
        Prices by model; by default, the project's.

    Returns
    -------
    DataFrame
        One row per answer, with the columns `MARKS`. Statuses are ``answered``, ``declined``, ``invalid`` and
        ``limit``, which count, and ``failed`` and ``not_asked``, which do not.

    Raises
    ------
    UsageError
        If a path does not exist or has no log, or the logs hold no items.
    SombError
        If a log cannot be read.
    """
    table = read(logs.find(paths), prices)
    if table.empty:
        raise UsageError("There is no item in these logs. `somb llm run --set core` puts some to a model")
    return table


def load_folder_marks(folder: Path) -> pd.DataFrame:
    """Read the marks in whatever logs a run's folder has; a new folder has none."""
    return read(logs.in_folder(folder), None)
