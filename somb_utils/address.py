"""The public address of the project's own repository, from one setting."""

import os
import re
import shutil
import subprocess
import tomllib
from functools import cache
from importlib.metadata import metadata

from somb_utils.errors import UsageError
from somb_utils.paths import CHECKOUT

_REMOTE = re.compile(r"github\.com[:/]([\w-]+/[\w.-]+?)(?:\.git)?/?$")


def declared() -> str:
    """Return ``SOMB_REPOSITORY`` or, if that is not set, the Repository of ``[project.urls]``; empty without one.

    Files of the repository name this address, so that every fork of it names the same one.
    """
    address = os.environ.get("SOMB_REPOSITORY", _of_project()).removesuffix("/")
    if address and not re.fullmatch(r"https://github\.com/[\w-]+/[\w.-]+", address):
        raise UsageError(
            f"'{address}' is no address of a GitHub repository; set SOMB_REPOSITORY, or Repository in [project.urls] "
            "of pyproject.toml, to one like https://github.com/OWNER/NAME, or SOMB_REPOSITORY to nothing"
        )
    return address


def published() -> str:
    """Return the address that a built book names: the checkout's GitHub remote if it is public, else `declared`.

    ``SOMB_REPOSITORY`` comes before both, and is taken to be public.
    """
    if "SOMB_REPOSITORY" in os.environ:
        return declared()
    remote = _remote()
    return remote if remote and _is_public(remote) else declared()


def _of_project() -> str:
    if (file := CHECKOUT / "pyproject.toml").is_file():
        return str(tomllib.loads(file.read_text(encoding="utf-8"))["project"].get("urls", {}).get("Repository", ""))
    links = dict(link.split(", ", 1) for link in metadata("somb-utils").get_all("Project-URL") or ())
    return links.get("Repository", "")


def _remote() -> str:
    if not (CHECKOUT / ".git").exists() or not shutil.which("git"):
        return ""
    command = ["git", "-C", str(CHECKOUT), "remote", "get-url", "origin"]
    found = _REMOTE.search(subprocess.run(command, capture_output=True, text=True).stdout.strip())
    return f"https://github.com/{found[1]}" if found else ""


@cache
def _is_public(address: str) -> bool:
    """Ask once whether anybody can open a repository; where nobody answers, it is taken to be private."""
    import requests

    try:
        return requests.head(address, timeout=10, allow_redirects=True).ok
    except requests.RequestException:
        return False
