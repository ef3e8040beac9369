"""What exports say of the tables' origin: licences and papers."""

import re
from collections.abc import Iterable
from functools import cache

from somb_utils.paths import CHECKOUT
from somb_utils.tables.registry import TableInfo
from somb_utils.tasks.definitions import Protocol, Task
from somb_utils.tasks.splits import IN_WORDS

LICENCES = {"CC BY-NC 4.0": "cc-by-nc-4.0", "CC BY 4.0": "cc-by-4.0"}  # as the Hugging Face Hub names them


def licence_url(licence: str) -> str:
    """Return the address of a Creative Commons licence."""
    kind, version = licence.removeprefix("CC ").lower().split()
    return f"https://creativecommons.org/licenses/{kind}/{version}/"


def papers(infos: Iterable[TableInfo]) -> list[str]:
    """Return the papers to cite for tables: title and DOI if the checkout has its references, else citation keys."""
    keys = sorted({key for info in infos for key in info.paper.split(";") if key})
    return [_references().get(key, key) for key in keys]


@cache
def _references() -> dict[str, str]:
    file = CHECKOUT / "book" / "references.bib"
    if not file.is_file():
        return {}
    found = {}
    for entry in re.split(r"^@\w+", file.read_text(encoding="utf-8"), flags=re.M)[1:]:
        fields = dict(re.findall(r"^\s*(\w+)\s*=\s*\{(.*)\},?$", entry, flags=re.M))
        plain = {name: re.sub(r"[{}]", "", value) for name, value in fields.items()}
        doi = f" https://doi.org/{plain['doi']}" if "doi" in plain else ""
        found[entry[1 : entry.index(",")]] = f"{plain['title']} ({plain.get('year', 'n.d.')}).{doi}"
    return found


def said_of(task: Task, protocol: Protocol) -> str:
    """Return what a description says of a task: question, kind, split and notes."""
    split = f"Split under the protocol {protocol}: {IN_WORDS[task.under(protocol).split]}."
    return " ".join([task.question, f"A {task.type} task.", split, *task.notes])
