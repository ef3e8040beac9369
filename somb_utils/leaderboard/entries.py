"""The leaderboard's folder: one small text file per checked submission."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from somb_utils.errors import SombError
from somb_utils.leaderboard.model_card import Card, described, slug
from somb_utils.paths import CHECKOUT, read_file
from somb_utils.tasks.definitions import Protocol

# An installed wheel has no leaderboard beside the package; then it is one in the current folder.
FOLDER = CHECKOUT / "leaderboard" if (CHECKOUT / "pyproject.toml").is_file() else Path("leaderboard")
MAX_ENTRY = 32 * 2**20
Finite = Annotated[float, Field(allow_inf_nan=False)]


class Score(BaseModel):
    """One model's score on one task and metric; interval and chance level of the primary metric alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str
    protocol: Protocol
    model: str
    metric: str
    primary: bool
    mean: Finite | None = None
    sd: Finite | None = None
    low: Finite | None = None
    high: Finite | None = None
    chance: Finite | None = None
    own_features: bool
    values: dict[str, Finite | None]


class Entry(BaseModel):
    """What is kept of a checked submission, as ``leaderboard/<slug>.json`` beside the file itself, ``<slug>.zip``.

    `sha256` is the hash of the file, `versions` those of the libraries by run.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    card: Card
    sha256: str
    added: date
    versions: dict[str, dict[str, str]]
    scores: tuple[Score, ...]

    def label(self, model: str) -> str:
        """Return what the leaderboard calls a model: the card's name, and the model's if the card describes several.

        A card's name has no colon, so labels of different entries differ.
        """
        return f"{self.card.name}: {model}" if len({score.model for score in self.scores}) > 1 else self.card.name

    def marked(self, model: str) -> str:
        """Return a model's label where baselines are listed too."""
        return f"† {self.label(model)}"


def entries(folder: Path) -> list[Entry]:
    """Return the submissions that the files of a folder state, unchecked."""
    return [read_entry(file) for file in sorted(folder.glob("*.json"))]


def read_entry(file: Path) -> Entry:
    """Return what a file of the leaderboard's folder states, unchecked."""
    try:
        return Entry.model_validate_json(read_file(file, MAX_ENTRY))
    except ValidationError as error:
        raise SombError(f"{file} is no listed submission; restore or remove it\n{described(error)}") from None
    except SombError as error:
        raise SombError(f"{file} {error}") from None


def scores_beside_run(listed: Sequence[Entry], protocol: str) -> list[dict[str, Any]]:
    """Return the entries' scores under one protocol, with the columns of a run's summary; none of single labels."""
    rows = []
    for entry in listed:
        for score in entry.scores:
            if score.protocol == protocol and "[" not in score.metric:
                folds = sum(value is not None for value in score.values.values())
                counts = {"folds": folds, "failed": 0, "undefined": len(score.values) - folds}
                facts = {"model": entry.marked(score.model), "source": "open", "tied": False}
                rows.append({**score.model_dump(), **facts, **counts})
    return rows


def table(listed: Sequence[Entry]) -> pd.DataFrame:
    """Return one row per submission, protocol and task: the primary metric, best first within a task."""
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
