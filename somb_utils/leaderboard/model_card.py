"""The model card of a submission: authors, licence, training data and whatever else scores do not show."""

import hashlib
import re
import secrets
import unicodedata
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from somb_utils.errors import SombError, UsageError
from somb_utils.paths import read_file

MAX_BYTES = 64 * 1024

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
# previous_key: ""  # to replace an entry of this name: the key that its card had
# The key lets you alone replace this entry: keep this file. Packing writes a hash of it, never the key.
"""


def _printable(text: str) -> str:
    if any(unicodedata.category(sign)[0] == "C" and sign != "\n" for sign in text):
        raise ValueError("has control characters")
    return text


def _line(text: str) -> str:
    if "\n" in text:
        raise ValueError("is more than one line")
    return text


def _named(text: str) -> str:
    if not slug(text):
        raise ValueError("needs a letter or a digit of a to z, 0 to 9")
    if ":" in text:
        raise ValueError("has a colon, which on the leaderboard separates it from the names of models")
    return text


Text = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000), AfterValidator(_printable)
]
Line = Annotated[Text, StringConstraints(max_length=120), AfterValidator(_line)]
Name = Annotated[Line, StringConstraints(max_length=60), AfterValidator(_named)]
Key = Annotated[Line, StringConstraints(min_length=20)]
Address = Annotated[Line, StringConstraints(max_length=500, pattern=r"^https?://[^\s/]\S*$")]


class Card(BaseModel):
    """What a submission says of its model; `TEMPLATE` explains the fields."""

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
    key: Key | None = None
    previous_key: Key | None = None
    lock: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = None

    @model_validator(mode="after")
    def _reachable(self) -> "Card":
        if not (self.contact or self.url):
            raise ValueError("give contact or url")
        return self

    def sealed(self) -> "Card":
        """Return the card as it is packed, with a hash of its key in place of the key."""
        return self.model_copy(update={"key": None, "lock": lock_of(self.key) if self.key else None})

    def opens(self, earlier: "Card") -> bool:
        """Tell whether this card gives the key of an earlier entry."""
        return bool(self.previous_key and lock_of(self.previous_key) == earlier.lock)


def lock_of(key: str) -> str:
    """Return the hash of a key, which is published."""
    return hashlib.sha256(f"somb-entry:{key}".encode()).hexdigest()


def template() -> str:
    """Return a card to fill in, with a fresh key."""
    return f'{TEMPLATE}key: "{secrets.token_hex(16)}"\n'


def skeleton(name: str) -> str:
    """Return what a name looks like: equal for names that a reader could take for one another.

    Accents, invisible signs, punctuation and case are dropped, and each sign of Unicode's table of confusables is
    replaced by one representative of those that look like it.
    """
    alike = _alike()
    signs = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", name).casefold())
    return "".join(alike.get(sign, sign) for sign in signs if sign.isalnum()).replace("rn", "m").replace("vv", "w")


@cache
def _alike() -> dict[str, str]:
    """Return a representative of each sign that looks like another: a small letter or a digit if there is one."""
    from confusable_homoglyphs.confusables import confusables_data

    alike: dict[str, set[str]] = {}
    for sign, others in confusables_data.items():
        for other in (sign.casefold(), *(other["c"] for other in others)):
            if len(sign) == len(other) == 1 and sign.isalnum() and other.isalnum():
                joined = alike.get(sign, {sign}) | alike.get(other, {other})
                alike |= dict.fromkeys(joined, joined)
    return {
        sign: min(group, key=lambda one: (not one.isascii(), not one.islower(), one)) for sign, group in alike.items()
    }


def slug(name: str) -> str:
    """Return a name in small letters, digits and hyphens, as a file's."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


def read_card(path: Path) -> Card:
    """Read a model card, YAML or JSON; the error names every missing or wrong field."""
    import yaml

    try:
        text = read_file(path, MAX_BYTES).decode("utf-8")
        depth = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            merges = isinstance(event, yaml.ScalarEvent) and event.value == "<<"
            if merges or getattr(event, "anchor", None) or depth > 4:
                raise ValueError("write it without anchors, `<<` and nesting")
        return Card.model_validate(yaml.safe_load(text))
    except SombError as error:
        raise UsageError(f"{path} {error}; `somb submit card` prints a template") from None
    except ValidationError as error:
        raise UsageError(f"{path} is no model card; `somb submit card` prints a template\n{described(error)}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not YAML that a card may use: {' '.join(str(error).split())[:300]}") from None


def described(error: ValidationError) -> str:
    """Return one line per field that is missing or wrong."""
    return "\n".join(
        f"{'.'.join(map(str, problem['loc']))[:80] or 'card'}: "
        + ("is empty" if problem["type"].endswith("too_short") else problem["msg"].removeprefix("Value error, "))
        for problem in error.errors(include_url=False)[:20]
    )
