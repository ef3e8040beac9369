"""The leaderboard's folder: one small text file for each checked submission, their index, and the page made of them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from filelock import FileLock
from pydantic import BaseModel, ConfigDict, ValidationError

from somb_utils.card import Card, described, slug
from somb_utils.errors import SombError, UsageError
from somb_utils.leaderboard import Board, html, payload
from somb_utils.paths import replacing
from somb_utils.results import PREDICTION_COLUMNS, RunResult
from somb_utils.submission import Packed, check
from somb_utils.tables import SourceLike
from somb_utils.tasks import Protocol

INDEX = "index.csv"
PAGE = "index.html"
_NOTE = (
    "Scored again by the maintainers from the predictions sent in. The labels are public, so the check "
    "proves the arithmetic and not the model: see each card, and its code."
)


class Score(BaseModel):
    """One model's score on one task and metric; interval and chance level of the primary metric alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str
    protocol: Protocol
    model: str
    metric: str
    primary: bool
    mean: float | None = None
    sd: float | None = None
    low: float | None = None
    high: float | None = None
    chance: float | None = None
    own_features: bool
    values: dict[str, float | None]


class Entry(BaseModel):
    """What is kept of a checked submission, as ``leaderboard/<slug>.json``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    card: Card
    sha256: str
    added: str
    versions: dict[str, str]
    scores: tuple[Score, ...]

    def label(self, model: str) -> str:
        """Return what the leaderboard calls a model: the card's name, and the model's if the card describes several."""
        return f"{self.card.name}: {model}" if len({score.model for score in self.scores}) > 1 else self.card.name


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


def entries(folder: Path) -> list[Entry]:
    """Return the listed submissions.

    Raises
    ------
    SombError
        If a file in `folder` is not an entry.
    """
    found = []
    for file in sorted(folder.glob("*.json")):
        try:
            found.append(Entry.model_validate_json(file.read_bytes()))
        except ValidationError as error:
            raise SombError(f"{file} is no listed submission; restore or remove it\n{described(error)}") from None
        except OSError as error:
            raise SombError(f"{file} cannot be read: {error.strerror}") from None
    return found


def table(listed: Sequence[Entry]) -> pd.DataFrame:
    """Return one row a submission, protocol and task: the primary metric, best first within a task."""
    rows = [
        {
            **score.model_dump(exclude={"primary", "values", "model"}),
            "model": entry.label(score.model),
            "folds": sum(value is not None for value in score.values.values()),
            "authors": "; ".join(entry.card.authors),
            "code": entry.card.code,
            "added": entry.added,
            "file": f"{slug(entry.card.name)}.json",
        }
        for entry in listed
        for score in entry.scores
        if score.primary
    ]
    columns = ["protocol", "task", "model", "metric", "mean", "sd", "low", "high", "chance", "folds", "own_features"]
    frame = pd.DataFrame(rows, columns=[*columns, "authors", "code", "added", "file"])
    return frame.sort_values(["protocol", "task", "mean"], ascending=[True, True, False], ignore_index=True)


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


@dataclass(frozen=True)
class _Stored(Board):
    """A board of stored scores: intervals are those found when the submissions were checked."""

    def composite(self) -> pd.DataFrame:
        # The published composite is measured against a random baseline, which submissions do not hold.
        aligned = (self.summary["protocol"] == "aligned").all()
        return super().composite() if aligned else pd.DataFrame(columns=["composite", "groups"])


def page(listed: Sequence[Entry]) -> str:
    """Return the interactive page: submissions, each protocol apart, beside the canonical and published scores."""
    pages = [_payload(listed, protocol) for protocol in ("aligned", "published")]
    shown = [each for each in pages if each]
    first = shown[0]
    for each in shown[1:]:
        first["sources"].insert(1, each["sources"][0])
        first["models"] += [model for model in each["models"] if model not in first["models"]]
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    head += "<title>SpaceOmicsBench: submissions</title><style>body { font: 1rem sans-serif; margin: 1rem }</style>"
    body = f"<h1>SpaceOmicsBench: submissions</h1>\n{html(first)}"
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n{body}\n</body></html>\n'


def _payload(listed: Sequence[Entry], protocol: Protocol) -> dict[str, Any] | None:
    kept = [(entry.label(s.model), s) for entry in listed for s in entry.scores if s.protocol == protocol]
    if not kept:
        return None
    results = pd.DataFrame(
        [
            {
                **score.model_dump(include={"task", "protocol", "metric"}),
                "source": "open",
                "model": label,
                "fold": fold,
                "value": np.nan if value is None else value,
                "status": "undefined" if value is None else "ok",
            }
            for label, score in kept
            for fold, value in score.values.items()
        ]
    )
    tasks = {f"{s.task}/{protocol}": {"metric": s.metric, "chance": s.chance} for _, s in kept if s.primary}
    run = RunResult(results, pd.DataFrame(columns=PREDICTION_COLUMNS), {"source": "open", "tasks": tasks})
    made = payload(_Stored(run))
    source = made["sources"][0]
    source |= {"id": f"submissions-{protocol}", "label": f"submissions, {protocol} protocol", "note": _NOTE}
    source["badge"] = "Checked submissions"
    ends = {(label, s.task, s.metric): (s.low, s.high) for label, s in kept}
    for row in source["rows"]:
        row["low"], row["high"] = ends[row["model"], row["task"], row["metric"]]
    return made
