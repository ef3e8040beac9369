"""Listing submissions: check them, keep each file with its scores, and write the index and the page of all."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
from filelock import FileLock

from somb_utils._escape import spreadsheet
from somb_utils.errors import SombError, UsageError
from somb_utils.leaderboard.archive import MAX_BYTES
from somb_utils.leaderboard.entries import Entry, Score, entries, read_entry, table
from somb_utils.leaderboard.html import document, html
from somb_utils.leaderboard.model_card import Card, skeleton, slug
from somb_utils.leaderboard.sources import canonical_sources, published_source
from somb_utils.leaderboard.submission import Packed, check
from somb_utils.paths import read_file, replacing
from somb_utils.tables.sources import SourceLike

INDEX = "index.csv"
PAGE = "index.html"
TITLE = "SpaceOmicsBench: submissions"


@dataclass(frozen=True)
class Listing:
    """What was added, the index of all that is listed, and what replacements change."""

    added: tuple[Entry, ...]
    index: pd.DataFrame
    notes: tuple[str, ...]


def add(files: Sequence[Path], folder: Path, source: SourceLike = "auto") -> Listing:
    """Check submissions and list them: all of them or, if any is refused, none.

    A submission takes the place of an earlier one of its name if its card gives the earlier card's key.
    """
    added: dict[str, tuple[Entry, bytes]] = {}
    lines: list[str] = []
    notes: list[str] = []
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        listed = {skeleton(entry.card.name): entry for entry in entries(folder)}
        for file in files:
            try:
                packed, scores = check(file, source)
                content = file.read_bytes()
                entry = _entry(packed, scores, content, datetime.now(UTC).date())
                look = skeleton(entry.card.name)
                earlier = listed.get(look)
                if look in added:
                    raise SombError(f"{file}: refused\nanother of these files has the name '{entry.card.name}'")
                if earlier and earlier.sha256 == entry.sha256:
                    notes.append(f"{entry.card.name} is listed already, with this very file")
                    continue
                if earlier:
                    _check_replacing(earlier, packed.card, file)
                    notes += _changes(earlier, entry)
                added[look] = (entry, content)
            except UsageError:
                raise
            except SombError as error:
                lines.append(str(error))
        if lines:
            raise SombError("nothing was added\n" + "\n".join(lines))
        for entry, content in added.values():
            name = slug(entry.card.name)
            with replacing(folder / f"{name}.zip") as temporary:
                temporary.write_bytes(content)
            with replacing(folder / f"{name}.json") as temporary:
                temporary.write_text(entry.model_dump_json(indent=1, exclude_none=True) + "\n", encoding="utf-8")
        new = tuple(entry for entry, _ in added.values())
        return Listing(new, rebuild(folder, source, new), tuple(notes))


def _check_replacing(earlier: Entry, card: Card, file: Path) -> None:
    """Refuse a submission that may not take an entry's place."""
    if slug(earlier.card.name) != slug(card.name):
        why = f"the name '{card.name}' looks like '{earlier.card.name}', which is listed; choose another in the card"
    elif not card.opens(earlier.card):
        why = (
            f"the name '{card.name}' is taken; if the entry is yours, give the key of its card as `previous_key`, "
            "else choose another name in the card"
        )
    elif card.lock == earlier.card.lock:
        why = "this file repeats a key that it shows; give a new `key` for the next time (`somb submit card` draws one)"
    else:
        return
    raise SombError(f"{file}: refused\n{why}")


def _changes(before: Entry, now: Entry) -> list[str]:
    """Return one line per field of the card and score that a submission changes by replacing another."""
    lines = [f"{now.card.name} replaces the entry of {before.added}"]
    old, new = (entry.card.model_dump(exclude={"key", "previous_key"}) for entry in (before, now))
    lines += [f"  {field}: {old[field]!r} becomes {new[field]!r}" for field in old if old[field] != new[field]]
    was, is_ = ({(s.task, s.protocol, s.model, s.metric): s.mean for s in e.scores if s.primary} for e in (before, now))
    for key in dict.fromkeys([*was, *is_]):
        if key not in is_ or key not in was:
            lines.append(f"  {' '.join(key)}: {'no longer listed' if key in was else 'new'}")
        elif was[key] != is_[key]:
            lines.append(f"  {' '.join(key)}: {was[key]} becomes {is_[key]}")
    return lines


def _entry(packed: Packed, scores: pd.DataFrame, content: bytes, added: date) -> Entry:
    rows = scores.astype(object).where(scores.notna(), None).to_dict("records")
    for row in rows:
        row["values"] = {fold: None if np.isnan(value) else value for fold, value in row["values"].items()}
    return Entry(
        card=packed.card.model_copy(update={"previous_key": None}),
        sha256=hashlib.sha256(content).hexdigest(),
        added=added,
        versions={run: record["versions"] for run, record in packed.run.provenance["runs"].items()},
        scores=tuple(Score.model_validate(row) for row in rows),
    )


def checked(folder: Path, source: SourceLike = "auto", known: Sequence[Entry] = ()) -> tuple[list[Entry], list[str]]:
    """Score the submissions of a folder again from their files.

    Of what an entry states, only the day it was added is shown: card and scores are those of its file. `known` are
    entries that were just checked. Also returns why each other entry is not shown.
    """
    confirmed, reasons = [], []
    for file in sorted(folder.glob("*.json")):
        try:
            stated = read_entry(file)
            content = read_file(file.with_suffix(".zip"), MAX_BYTES)
            if hashlib.sha256(content).hexdigest() != stated.sha256:
                raise SombError(f"{file.stem}.zip is not the file that was listed")
            entry = next((one for one in known if one == stated), None)
            if entry is None:
                packed, scores = check(file.with_suffix(".zip"), source)
                entry = _entry(packed, scores, content, stated.added)
            if slug(entry.card.name) != file.stem:
                raise SombError(f"its name is '{entry.card.name}'")
            confirmed.append(entry)
        except SombError as error:
            reasons.append(f"{file.name} is no checked submission: {error}; restore or remove it")
    return confirmed, reasons


def rebuild(folder: Path, source: SourceLike = "auto", known: Sequence[Entry] = ()) -> pd.DataFrame:
    """Check all that is listed, write the index and the interactive page, and return the index."""
    listed, reasons = checked(folder, source, known)
    if reasons:
        raise SombError(f"{folder}: nothing was rebuilt\n" + "\n".join(reasons))
    index = table(listed)
    with replacing(folder / INDEX) as temporary:
        spreadsheet(index).to_csv(temporary, index=False, float_format="%.6g", lineterminator="\n")
    with replacing(folder / PAGE) as temporary:
        temporary.write_text(page(listed), encoding="utf-8")
    return index


def page(listed: Sequence[Entry]) -> str:
    """Return the interactive page: submissions among the canonical run's models, by protocol."""
    used = {score.protocol for entry in listed for score in entry.scores} or {"aligned"}
    protocols = [protocol for protocol in ("aligned", "published") if protocol in used]
    shown = html(document([*canonical_sources(listed, protocols), published_source()], listed))
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    head += f"<title>{TITLE}</title><style>body {{ font: 1rem sans-serif; margin: 1rem }}</style>"
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n<h1>{TITLE}</h1>\n{shown}\n</body></html>\n'
