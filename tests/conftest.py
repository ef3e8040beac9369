"""Fixtures every test can use."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from somb_utils import cli

# A busy machine makes any example slow; slowness is not what these tests are about.
settings.register_profile("somb", deadline=None)
settings.load_profile("somb")

# A shell that starts the tests in the background has SIGINT ignored, which children inherit; Ctrl-C is tested here.
signal.signal(signal.SIGINT, signal.default_int_handler)

Command = Callable[..., tuple[int, str, str]]
ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def open_data() -> Path:
    """Published files (``SOMB_OPEN_DATA``, or ``../shared/open-data``); skips where absent."""
    folder = Path(os.environ.get("SOMB_OPEN_DATA") or ROOT.parent / "shared" / "open-data")
    if not (folder / "MANIFEST.csv").is_file():
        pytest.skip(f"the open data are not in {folder}: set SOMB_OPEN_DATA to their folder")
    return folder


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """Run ``somb`` in an empty folder; return exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SOMB_DATA", raising=False)
    monkeypatch.syspath_prepend(str(Path(__file__).parent))

    def call(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["somb", *map(str, words)])
        try:
            cli.main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return code, captured.out, captured.err

    return call
