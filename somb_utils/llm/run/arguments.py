"""Arguments of the Inspect tasks, as ``inspect eval -T`` gives them, and errors as its command shows them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from inspect_ai._util.error import PrerequisiteError

from somb_utils.errors import SombError


def listed(value: str | Sequence[str] | None) -> list[str] | None:
    """Return an argument, which Inspect reads as a text or a list, as a list; None if it is empty."""
    return value.split(",") if isinstance(value, str) else list(value) if value else None


@contextmanager
def shown_by_inspect() -> Iterator[None]:
    """Turn an error that a user can fix into one that Inspect's command shows without a traceback."""
    try:
        yield
    except SombError as error:
        raise PrerequisiteError(str(error)) from None
