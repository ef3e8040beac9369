"""What the optional extras bring, and how to get one that is missing."""

from somb_utils.errors import UsageError


def missing_extra(what: str, extra: str, error: ImportError) -> UsageError:
    """placeholder"""
    return UsageError(
        f"{what} needs the extra {extra} ({error.name} is not installed); get it with: pip install -e '.[{extra}]'"
    )
