"""The error on a missing extra of the package: what needs it, and how to get it."""

from importlib.metadata import metadata

from somb_utils.errors import UsageError


def missing_extra(what: str, extra: str, error: ImportError) -> UsageError:
    """Return the error that says which extra is needed and how to get it; no package index has this package."""
    links = dict(link.split(", ", 1) for link in metadata("somb-utils").get_all("Project-URL") or ())
    return UsageError(
        f"{what} needs the extra {extra} ({error.name} is not installed); get it with: pip install -e '.[{extra}]' in "
        f"a checkout, or pip install 'somb-utils[{extra}] @ git+{links['Homepage']}'"
    )
