"""The model card of a submission: what the leaderboard must know that scores do not tell."""

import re
import unicodedata
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from somb_utils.errors import UsageError

MAX_BYTES = 64 * 1024
_SHOWN = 20
_EMPTY = {"string_too_short", "too_short"}

TEMPLATE = """\
# Model card of a submission to the leaderboard. All of it is published. The first seven fields are required.
name: ""            # what the leaderboard calls the model
authors: []         # e.g. [Ada Lovelace, Charles Babbage]
contact: ""         # an address or a handle; leave it out if you give url
licence: ""         # of the model and its predictions, e.g. MIT
description: ""     # what it is and how it was fitted, in a few sentences
training_data: ""   # what it was trained on beyond the benchmark's training folds; "none" if nothing
tuning: ""          # which choices were made by looking at scores, and on which rows; "none" if none
# url: https://     # a page about the model or its authors
# code: https://    # code that makes the predictions again
# features: ""      # required if the features are not the task's own: what they are made from
"""


def _printable(text: str) -> str:
    if any(unicodedata.category(sign)[0] == "C" and sign != "\n" for sign in text):
        raise ValueError("holds control characters")
    return text


def _line(text: str) -> str:
    if "\n" in text:
        raise ValueError("is more than one line")
    return text


def _named(text: str) -> str:
    if not slug(text):
        raise ValueError("needs a letter or a digit of a to z, 0 to 9")
    return text


Text = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000), AfterValidator(_printable)
]
Line = Annotated[Text, StringConstraints(max_length=120), AfterValidator(_line)]
Name = Annotated[Line, StringConstraints(max_length=60), AfterValidator(_named)]
Address = Annotated[Line, StringConstraints(max_length=500, pattern=r"^https?://[^\s/]\S*$")]


class Card(BaseModel):
    """What a submission says of its model. `TEMPLATE` explains the fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    authors: Annotated[tuple[Line, ...], Field(min_length=1, max_length=100)]
    contact: Line | None = None
    url: Address | None = None
    licence: Line
    description: Text
    training_data: Text
    tuning: Text
    code: Address | None = None
    features: Text | None = None

    @model_validator(mode="after")
    def _reachable(self) -> "Card":
        if not (self.contact or self.url):
            raise ValueError("give contact or url")
        return self


def slug(name: str) -> str:
    """Return a name as a file's: small letters, digits and hyphens."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


def read_card(path: Path) -> Card:
    """Read a model card, YAML or JSON.

    Raises
    ------
    UsageError
        If there is no such file, or it is no card: naming every field that is missing or wrong.
    """
    import yaml

    try:
        if path.stat().st_size > MAX_BYTES:
            raise UsageError(f"{path} is too large for a model card")
        return Card.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}); `somb submit card` prints a template") from None
    except ValidationError as error:
        raise UsageError(f"{path} is no model card; `somb submit card` prints a template\n{described(error)}") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{path} is not YAML: {' '.join(str(error).split())[:300]}") from None


def described(error: ValidationError) -> str:
    """Return one line a field that is missing or wrong."""
    lines = [
        f"{'.'.join(map(str, problem['loc']))[:80] or 'card'}: "
        + ("is empty" if problem["type"] in _EMPTY else problem["msg"].removeprefix("Value error, "))
        for problem in error.errors(include_url=False)[:_SHOWN]
    ]
    return "\n".join("".join(sign if sign.isprintable() else "?" for sign in line) for line in lines)
