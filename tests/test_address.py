"""The project's public address: which setting counts, and that a private remote is never named."""

import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests

from somb_utils import address
from somb_utils.errors import UsageError

PROJECT = '[project]\nname = "x"\n[project.urls]\nRepository = "https://github.com/upstream/bench"\n'


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout without any address, whose remotes the public can read."""
    monkeypatch.delenv("SOMB_REPOSITORY", raising=False)
    monkeypatch.setattr(address, "CHECKOUT", tmp_path)
    monkeypatch.setattr(requests, "head", lambda url, **_: SimpleNamespace(ok=True))
    address._is_public.cache_clear()
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\n')
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    return tmp_path


def add_remote(checkout: Path, url: str) -> None:
    subprocess.run(["git", "-C", checkout, "remote", "add", "origin", url], check=True)


def test_without_a_setting_there_is_no_address(checkout: Path) -> None:
    assert address.declared() == address.published() == ""


@pytest.mark.parametrize(
    "url", ["https://github.com/fork/bench.git", "git@github.com:fork/bench.git", "ssh://git@github.com/fork/bench"]
)
def test_a_public_remote_is_named_in_the_book_but_not_in_files(checkout: Path, url: str) -> None:
    (checkout / "pyproject.toml").write_text(PROJECT)
    add_remote(checkout, url)
    assert address.published() == "https://github.com/fork/bench"
    assert address.declared() == "https://github.com/upstream/bench"


@pytest.mark.parametrize("url", ["/srv/git/bench", "https://gitlab.com/fork/bench.git"])
def test_a_remote_elsewhere_is_no_address(checkout: Path, url: str) -> None:
    add_remote(checkout, url)
    assert address.published() == ""


def test_a_private_or_unreachable_remote_is_never_named(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_remote(checkout, "git@github.com:someone/secret.git")
    monkeypatch.setattr(requests, "head", lambda url, **_: SimpleNamespace(ok=False))
    assert address.published() == ""
    address._is_public.cache_clear()

    def offline(url: str, **_: object) -> None:
        raise requests.ConnectionError

    monkeypatch.setattr(requests, "head", offline)
    assert address.published() == ""


def test_the_variable_comes_before_all_and_may_be_empty(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (checkout / "pyproject.toml").write_text(PROJECT)
    add_remote(checkout, "git@github.com:fork/bench.git")
    monkeypatch.setenv("SOMB_REPOSITORY", "https://github.com/own/bench/")
    assert address.declared() == address.published() == "https://github.com/own/bench"
    monkeypatch.setenv("SOMB_REPOSITORY", "")
    assert address.declared() == address.published() == ""


@pytest.mark.parametrize("given", ["own/bench", "http://github.com/own/bench", "https://github.com/own", "x; rm -r ."])
def test_what_is_no_repository_is_refused(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("SOMB_REPOSITORY", given)
    with pytest.raises(UsageError, match="no address of a GitHub repository; set SOMB_REPOSITORY"):
        address.published()
