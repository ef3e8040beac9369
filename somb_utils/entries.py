"""The leaderboard's folder: what is kept of each checked submission, one small text file each."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from somb_utils.card import Card, described, slug
from somb_utils.errors import SombError
from somb_utils.tasks import Protocol

FOLDER = Path(__file__).parent.parent / "leaderboard"


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

    def marked(self, model: str) -> str:
        """Return a model's label where it stands among others that are no submissions."""
        return f"† {self.label(model)}"


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
