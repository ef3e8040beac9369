"""Items that code marks, put to models: which are asked, the Inspect tasks and the run."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ChatMessageSystem, ChatMessageUser, GenerateConfig, Model
from inspect_ai.scorer import Score, Scorer, Target, mean, scorer, stderr
from inspect_ai.solver import TaskState

from somb_utils.errors import UsageError
from somb_utils.llm.bank.questions import checked, load_context, read_entries, stratified
from somb_utils.llm.bank.schema import MODALITIES
from somb_utils.llm.core.items import Item, items_digest, load_items
from somb_utils.llm.core.keys import Key, compute_keys, tables_of
from somb_utils.llm.core.marking import mark
from somb_utils.llm.core.probes import perturbed
from somb_utils.llm.core.prompts import SYSTEM, Condition, item_prompt
from somb_utils.llm.run.answering import answer
from somb_utils.llm.run.arguments import listed, shown_by_inspect
from somb_utils.llm.run.evaluation import digest
from somb_utils.tables.sources import Source, SourceLike, resolve_source

SETS = ("core", "abstain", "perturbed")
CONDITIONS = get_args(Condition)


@dataclass(frozen=True)
class Asked:
    """An item as it is asked: its set and key, and texts in place of context files."""

    item: Item
    key: Key
    set: str
    contexts: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Selection:
    """The items of a run, and what their answers rest on.

    Parameters
    ----------
    asked
        The items with their keys.
    condition
        What models are shown.
    digests
        Of items, contexts (in the condition ``reading``), prompt and tables.
    source
        Where the keys come from.
    lacking
        Number of items left out, because simulated tables give them no key.
    """

    asked: tuple[Asked, ...]
    condition: Condition
    digests: dict[str, str]
    source: Source
    lacking: int = 0

    @property
    def remarks(self) -> list[str]:
        """What a user must know before the answers: simulated keys, items left out."""
        if self.source.kind != "simulated":
            return []
        return [
            f"Keys are computed from {self.source.describe()}; results are marked so. {self.lacking} items have no "
            "answer in such tables and are left out"
        ]


def _items(name: str) -> tuple[Item, ...]:
    if name in ("core", "perturbed"):
        return load_items() if name == "perturbed" else load_items("core")
    if name == "abstain":
        return load_items("abstain") + load_items("premise")
    if not Path(name).is_file():
        raise UsageError(f"--set {name}: neither open, {', '.join(SETS)} nor a file that `somb llm items` wrote")
    return tuple(read_entries(Path(name), Item, "item"))


def select(
    name: str,
    condition: str | None,
    modality: Sequence[str] | None = None,
    sample: int | None = None,
    seed: int = 42,
    data: SourceLike = "auto",
) -> Selection:
    """Return the items of a set, with keys computed from the tables.

    Parameters
    ----------
    name
        ``core``; ``abstain``, with the false premises; ``perturbed``, items with a changed figure in their contexts;
        or a file that ``somb llm items`` wrote.
    condition
        ``recall`` (the question alone), ``reading`` (with the contexts; of ``perturbed`` the only one), or ``analysis``
        (with the tables).
    modality
        Modalities to keep; all by default.
    sample, seed
        Number of items to draw, balanced by modality and kind, their twins beside them; and the seed of the draw.
    data
        Source of the tables; by default as everywhere, simulated ones if there are no others.

    Returns
    -------
    Selection
        The items asked, and what their answers rest on.

    Raises
    ------
    UsageError
        If a name or a number cannot be.
    SombError
        If real tables do not give a key.
    """
    condition = condition or ("reading" if name == "perturbed" else None)
    if condition is None or condition not in CONDITIONS or (name == "perturbed" and condition != "reading"):
        known = "reading" if name == "perturbed" else "recall, reading or analysis"
        raise UsageError(f"--set {name} needs --condition {known}" + (f", not {condition}" if condition else ""))
    modalities = checked("modality", modality, MODALITIES)
    items = _items(name)
    source = resolve_source(data, list(dict.fromkeys(t for item in items for t in tables_of(item))))
    if name == "perturbed":
        asked = [Asked(probe.item, probe.key, name, probe.contexts) for probe in perturbed(items)]
    else:
        keys = compute_keys(items, source)
        asked = [Asked(item, keys[item.id], item.group) for item in items if item.id in keys]
    lacking = 0 if name == "perturbed" else len(items) - len(asked)
    digests = _digests([a.item for a in asked], asked, condition, source)
    asked = [a for a in asked if a.item.modality in modalities]
    if not asked:
        raise UsageError("No item meets these filters together")
    if sample is not None:
        twins = {a.item.twin for a in asked}
        pool = [a.item for a in asked if a.item.id not in twins]
        if not 1 <= sample <= len(pool):
            raise UsageError(f"A sample of {sample} cannot be drawn from {len(pool)} items")
        drawn = stratified(pool, sample, seed, "kind")
        ids = {name for item in drawn for name in (item.id, item.twin)}
        asked = [a for a in asked if a.item.id in ids]
    return Selection(tuple(asked), cast(Condition, condition), digests, source, lacking)


def _digests(items: list[Item], asked: Sequence[Asked], condition: str, source: Source) -> dict[str, str]:
    """Return digests of what answers and marks depend on."""
    found = {"items": items_digest(items), "prompt": digest(SYSTEM + "".join(item_prompt(i, "recall") for i in items))}
    if condition == "reading":
        texts = {name: load_context(name) for item in items for name in item.contexts}
        changed = [dict(a.contexts) for a in asked if a.contexts]
        found["contexts"] = digest(json.dumps([texts, changed], sort_keys=True))
    prints = sorted(source.fingerprint(name) for item in items for name in tables_of(item))
    return found | {"tables": hashlib.sha256("".join(prints).encode()).hexdigest()[:8]}


def item_metadata(asked: Asked, condition: str, repeat: int = 1) -> dict[str, Any]:
    """Return what a sample says of its item: all that marking it again needs."""
    about = {"item_id": asked.item.id, "set": asked.set, "condition": condition, "repeat": repeat}
    return about | {"item": asked.item.model_dump(mode="json", exclude_none=True), "key": asked.key.value}


def log_metadata(selection: Selection) -> dict[str, Any]:
    """Return what a log says of its items."""
    return {"item_digests": selection.digests, "condition": selection.condition, "tables": selection.source.kind}


def item_sample(asked: Asked, condition: Condition, repeat: int = 1) -> Sample:
    """Return the Inspect sample of an item; repeats after the first carry their number."""
    prompt = item_prompt(asked.item, condition, asked.contexts)
    return Sample(
        id=f"{asked.item.id}-{repeat}" if repeat > 1 else asked.item.id,
        input=[ChatMessageSystem(content=SYSTEM), ChatMessageUser(content=prompt)],
        target=asked.key.text,
        metadata=item_metadata(asked, condition, repeat),
    )


@scorer(metrics={"*": [mean(), stderr()]})
def marked() -> Scorer:
    """Mark the answer against the key; no judge is asked."""

    async def score(state: TaskState, target: Target) -> Score:
        item, key = Item.model_validate(state.metadata["item"]), Key.stored(state.metadata["key"], target.text)
        result = mark(item, key, state.output.completion)
        counted = {
            "correct": float(result.correct),
            "declined": float(not result.answered and not result.invalid),
            "invalid": float(result.invalid),
        }
        return Score(value=counted, answer=result.given, explanation=f"Key: {result.key}")

    return score


def item_task(selection: Selection, samples: list[Sample], model: Model | None = None) -> Task:
    """Return the task that puts items to a model and marks its answers."""
    return Task(
        name=f"items-{selection.condition}",
        dataset=MemoryDataset(samples, name="SpaceOmicsBench items"),
        solver=answer(),
        scorer=marked(),
        model=model,
        config=GenerateConfig() if model else GenerateConfig(temperature=0.3),
        version=1,
        metadata=log_metadata(selection),
    )


def _selected(name: str, condition: str, modality: str | list[str] | None, sample: int | None, seed: int) -> Task:
    with shown_by_inspect():
        if condition == "analysis":
            raise UsageError("The condition analysis has a task of its own: somb_utils/spaceomics_analysis")
        selection = select(name, condition, listed(modality), sample, seed)
    return item_task(selection, [item_sample(asked, selection.condition) for asked in selection.asked])


@task
def spaceomics_core(
    condition: str = "recall", modality: str | list[str] | None = None, sample: int | None = None, seed: int = 42
) -> Task:
    """SpaceOmicsBench's core items, marked by code: ``-T condition=recall`` or ``reading``."""
    return _selected("core", condition, modality, sample, seed)


@task
def spaceomics_abstain(
    condition: str = "recall", modality: str | list[str] | None = None, sample: int | None = None, seed: int = 42
) -> Task:
    """Questions that the data do not answer or contradict, each with an answerable twin, marked by code."""
    return _selected("abstain", condition, modality, sample, seed)
