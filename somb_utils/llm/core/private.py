"""Private items: generated from templates, the open tables and a seed that a maintainer keeps."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from somb_utils.errors import SombError, UsageError
from somb_utils.llm.bank.conditions import rows
from somb_utils.llm.bank.questions import CANARY
from somb_utils.llm.bank.schema import PREFIXES
from somb_utils.llm.core.items import LETTERS, Item, load_items
from somb_utils.llm.core.keys import compute_keys
from somb_utils.paths import DATA, replacing
from somb_utils.tables.sources import Source, SourceLike, resolve_source

TEMPLATES = DATA / "llm" / "private_templates.yaml"
MOST_TRIES = 50  # for each item


def _filled(part: Any, slots: dict[str, dict[str, Any]]) -> Any:
    """Return a part of a template with its slots filled; a text that is a whole number becomes one."""
    if isinstance(part, dict):
        return {name: _filled(value, slots) for name, value in part.items()}
    if isinstance(part, str):
        text = part.format(**slots)
        return int(text) if text.isdigit() and text != part else text
    return part


def _entries(slots: dict[str, Any], source: Source) -> dict[str, list[dict[str, Any]]]:
    """Return what each slot may hold: entries as listed, or the distinct values of a table's column."""
    found: dict[str, list[dict[str, Any]]] = {}
    for name, entries in slots.items():
        if isinstance(entries, dict):
            column = rows(source.load(entries["table"]), entries.get("where"))[entries["column"]]
            names = sorted({str(value) for value in column.dropna()})
            found[name] = [{"name": value} for value in names if not set(value) & set("'\",;{}")]
        else:
            found[name] = entries
    return found


def _item(template: dict[str, Any], number: int, entries: dict[str, list[dict[str, Any]]], rng: random.Random) -> Item:
    slots = {name: rng.choice(options) for name, options in entries.items()}
    filled = {name: _filled(part, slots) for name, part in template.items() if name != "each"}
    if each := template.get("each"):
        drawn = rng.sample(entries[each["slot"]], each["number"])
        filled["choices"] = {one["name"]: _filled(each["operation"], slots | {"one": one}) for one in drawn}
    start = f"{PREFIXES[template['modality']]}-{LETTERS['private']}"
    return Item.model_validate(filled | {"id": f"{start}{number:03d}", "group": "private"})


def generate(seed: int, data: SourceLike = "auto", count: int = 35) -> tuple[Item, ...]:
    """Return items that are not among the published ones; the same seed and tables give the same items.

    Parameters
    ----------
    seed
        Whoever knows it can generate the same items.
    data
        Source of the tables.
    count
        Number of items; each template in turn gives one.

    Returns
    -------
    tuple of Item
        Of the group ``private``. Each has a key, and no two ask the same.

    Raises
    ------
    UsageError
        If the tables do not give so many.
    """
    texts = yaml.safe_load(TEMPLATES.read_text(encoding="utf-8"))
    drawn_from = [entry["table"] for entry in texts["slots"].values() if isinstance(entry, dict)]
    source = resolve_source(data, drawn_from)
    entries, rng = _entries(texts["slots"], source), random.Random(f"private items {seed}")
    asked = {(item.answer, str(item.choices)) for item in load_items()}
    items: list[Item] = []
    for _ in range(count * MOST_TRIES):
        template = texts["templates"][len(items) % len(texts["templates"])]
        item = _item(template, len(items) + 1, entries, rng)
        what = (item.answer, str(item.choices))
        if what not in asked and _key_is_telling(item, source):
            items.append(item)
            asked.add(what)
        if len(items) == count:
            return tuple(items)
    raise UsageError(f"These tables give {len(items)} private items, not {count}: ask for fewer with --count")


def _key_is_telling(item: Item, source: Source) -> bool:
    """Return whether an item has a key, and a set some of the names but not all."""
    try:
        key = compute_keys([item], source).get(item.id)
    except SombError:  # as a gene that a table has twice, or not
        return False
    return key is not None and (item.kind != "set" or 0 < len(key.value or ()) < len(item.choices))  # type: ignore[arg-type]


def write(items: Sequence[Item], path: Path) -> None:
    """Write items as a YAML file, whole or not at all; a file that is there stays."""
    if path.exists():
        raise UsageError(f"{path} exists; name a new file with --out")
    entries = [item.model_dump(mode="json", exclude_none=True, exclude_defaults=True) for item in items]
    with replacing(path) as new:
        text = yaml.safe_dump(entries, sort_keys=False, allow_unicode=True, width=120)
        new.write_text(f"# Private items. {CANARY}\n{text}", encoding="utf-8")
