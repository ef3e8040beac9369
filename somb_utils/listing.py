"""Listing submissions: check them, keep one small text file each, and make the index and the page of all."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
from filelock import FileLock

from somb_utils.card import slug
from somb_utils.entries import Entry, Score, entries, table
from somb_utils.errors import SombError, UsageError
from somb_utils.leaderboard_page import canonical_sources, document, html, published_source
from somb_utils.paths import replacing
from somb_utils.submission import Packed, check
from somb_utils.tables import SourceLike

INDEX = "index.csv"
PAGE = "index.html"


def add(files: Sequence[Path], folder: Path, source: SourceLike = "auto") -> list[Entry]:
    """Check submissions and list them: all of them or, if any is refused, none.

    A submission of the same name and authors takes the place of the earlier one.

    Parameters
    ----------
    files : as ``somb submit pack`` writes them.
    folder : the leaderboard's folder.
    source : the published tables.

    Returns
    -------
    list of Entry
        Those added.

    Raises
    ------
    UsageError
        If a file does not exist.
    SombError
        Naming all that is wrong in any file, a name that is taken, or what cannot be written.
    """
    added: dict[str, Entry] = {}
    lines = []
    with FileLock(_made(folder) / ".lock"):
        listed = {slug(entry.card.name): entry for entry in entries(folder)}
        for file in files:
            try:
                packed, scores = check(file, source)
            except UsageError:
                raise
            except SombError as error:
                lines.append(str(error))
                continue
            name = slug(packed.card.name)
            holder = added.get(name) or listed.get(name)
            if name in added or (holder and holder.card.authors != packed.card.authors):
                lines.append(f"{file}: refused\nthe name '{packed.card.name}' is taken; choose another in the card")
            added[name] = _entry(packed, scores, file)
        if lines:
            raise SombError("nothing was added\n" + "\n".join(lines))
        for name, entry in added.items():
            with replacing(folder / f"{name}.json") as temporary:
                temporary.write_text(entry.model_dump_json(indent=1, exclude_none=True) + "\n", encoding="utf-8")
        rebuild(folder)
    return list(added.values())


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SombError(f"cannot write {folder}: {error.strerror}") from None
    return folder


def _entry(packed: Packed, scores: pd.DataFrame, file: Path) -> Entry:
    rows = scores.astype(object).where(scores.notna(), None).to_dict("records")
    for row in rows:
        row["values"] = {fold: None if np.isnan(value) else value for fold, value in row["values"].items()}
    return Entry(
        card=packed.card,
        sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
        added=datetime.now(UTC).date().isoformat(),
        versions=packed.run.provenance["versions"],
        scores=tuple(Score.model_validate(row) for row in rows),
    )


def rebuild(folder: Path) -> pd.DataFrame:
    """Write the index and, unless nothing is listed, the interactive page; return the index.

    Raises
    ------
    SombError
        If a file in `folder` is not an entry, or the folder cannot be written.
    """
    listed = entries(folder)
    index = table(listed)
    with replacing(folder / INDEX) as temporary:
        index.to_csv(temporary, index=False, float_format="%.6g", lineterminator="\n")
    if listed:
        with replacing(folder / PAGE) as temporary:
            temporary.write_text(page(listed), encoding="utf-8")
    else:
        (folder / PAGE).unlink(missing_ok=True)
    return index


def page(listed: Sequence[Entry]) -> str:
    """Return the interactive page: submissions among the canonical run's models, each protocol apart."""
    used = {score.protocol for entry in listed for score in entry.scores}
    protocols = [protocol for protocol in ("aligned", "published") if protocol in used]
    shown = html(document([*canonical_sources(listed, protocols), published_source()], listed))
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    head += "<title>SpaceOmicsBench: submissions</title><style>body { font: 1rem sans-serif; margin: 1rem }</style>"
    body = f"<h1>SpaceOmicsBench: submissions</h1>\n{shown}"
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n{body}\n</body></html>\n'
