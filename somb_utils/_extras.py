"""The error on a missing extra of the package: what needs it, and how to get it."""

from somb_utils.address import declared
from somb_utils.errors import UsageError


def missing_extra(what: str, extra: str, error: ImportError) -> UsageError:
    """Return the error that says which extra is needed and how to get it; no package index has this package."""
    elsewhere = f"; elsewhere: pip install 'somb-utils[{extra}] @ git+{address}'" if (address := declared()) else ""
    return UsageError(
        f"{what} needs the extra {extra} ({error.name} is not installed); get it in a checkout with: "
        f"pip install -e '.[{extra}]'{elsewhere}"
    )
