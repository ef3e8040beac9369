"""Fixtures of the evaluation's tests: a bank of their own, a world of their own, commands run in this process."""

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from traceback import format_exception

import fixture_bank
import pytest
from loopback import Loopback
from rich.text import Text
from typer.testing import CliRunner

from somb_utils.errors import SombError
from somb_utils.llm.bank.operations import Loader, folder_loader


@dataclass
class Result:
    """How a command ended and what it said."""

    code: int
    text: str


Command = Callable[..., Result]


@pytest.fixture(scope="session")
def bank_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bank of 100 short questions."""
    return fixture_bank.write(tmp_path_factory.mktemp("bank") / "llm")


@pytest.fixture(scope="session")
def load_open(open_data: Path) -> Loader:
    """The published tables, each read once."""
    return folder_loader(open_data / "processed")


@pytest.fixture(scope="session", autouse=True)
def _inspect_spared() -> Iterator[None]:
    """Spare inspect three things: all packages' files, read anew, tables that nobody sees, and frames of tracebacks."""
    from inspect_ai._display.rich import display
    from inspect_ai._eval.task import log
    from inspect_ai._util import rich

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log, "get_distribution_for_object", cache(log.get_distribution_for_object))
        patch.setattr(display, "tasks_results", lambda tasks: "")
        patch.setattr(rich, "rich_traceback", lambda *error, **_: Text("".join(format_exception(*error))))
        yield


@pytest.fixture
def world(bank_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The fixture bank, an empty cache, no keys, no real tables, and a folder to work in."""
    from somb_utils.llm.bank import questions as bank

    real = bank.LLM
    for name in [n for n in os.environ if n.endswith(("_API_KEY", "_BASE_URL"))]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("SOMB_DATA", raising=False)
    monkeypatch.setenv("SOMB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("INSPECT_CACHE_DIR", str(tmp_path / "cache" / "inspect"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    fixture_bank.use(bank_folder)
    yield tmp_path
    fixture_bank.use(real)


@pytest.fixture
def server(world: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    """A loopback server that every provider's requests go to."""
    with Loopback() as loopback:
        for name, value in loopback.env().items():
            monkeypatch.setenv(name, value)
        yield loopback


@pytest.fixture
def somb_llm(world: Path) -> Command:
    """Run ``somb llm`` in this process."""
    from somb_utils.llm.commands import app

    def command(*args: object) -> Result:
        result = CliRunner().invoke(app, [str(a) for a in args])
        if isinstance(result.exception, SombError):
            return Result(result.exception.exit_code, f"{result.output}\n{result.exception}")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Result(result.exit_code, result.output)

    return command


def _run(arguments: list[str]) -> None:
    """Run ``somb llm`` as a process does, and tell the server of each sample in the log."""
    os.setsid()
    fixture_bank.report_records(os.environ["ANTHROPIC_BASE_URL"])
    from somb_utils.llm.commands import main

    sys.argv = ["somb-llm", *arguments]
    main()


@pytest.fixture
def start(world: Path) -> Callable[..., BaseProcess]:
    """Start ``somb llm`` in a process of its own: a copy of this one, which has imported all that takes seconds."""

    def command(*args: object) -> BaseProcess:
        process = get_context("fork").Process(target=_run, args=([str(a) for a in args],), daemon=True)
        process.start()
        return process

    return command
