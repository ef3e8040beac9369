"""The canonical run comes out of its stored predictions, which hold no label."""

import hashlib
import json
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from serving import serving

from somb_utils.predictions import released
from somb_utils.predictions.canonical import canonical_run
from somb_utils.reference.canonical import canonical_scores
from somb_utils.runs.folder import load_run
from somb_utils.runs.results import RunResult
from somb_utils.tables.registry import registry


def assert_stored(run: RunResult, **intervals: int) -> None:
    """Check scores, and intervals if asked, against the stored summary, which has six decimals."""
    stored = canonical_scores()
    both = run.summary(**intervals).merge(stored, on=["task", "protocol", "model", "metric"], suffixes=("", "_stored"))
    assert len(both) == len(run.results[["task", "model"]].drop_duplicates())
    columns = ["mean", "sd", "folds", "failed", "undefined", "seeds", "seed_sd", "chance"]
    columns += ["low", "high"] if intervals["n_bootstrap"] else []
    expected = both[[f"{name}_stored" for name in columns]].set_axis(columns, axis=1)
    pd.testing.assert_frame_equal(both[columns], expected, check_dtype=False, rtol=0, atol=1e-6)


def test_the_small_file_is_small_listed_and_without_labels() -> None:
    listed = released.listed()["small"]
    assert released.SMALL.stat().st_size < 1_000_000
    assert listed.sha256 == hashlib.sha256(released.SMALL.read_bytes()).hexdigest()
    table = pq.read_table(released.SMALL)
    assert "y_true" not in table.column_names and table.num_rows == listed.rows
    said = table.schema.metadata
    assert said[b"licence"] == b"CC BY-NC 4.0" and set(said[b"attribution"].decode().split("; ")) <= {
        info.paper for info in registry().values()
    }
    assert "CC BY-NC 4.0" in (released.FOLDER / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["rigorous", "aligned", "published"])
def test_every_canonical_score_comes_out_of_the_released_predictions(protocol: str, open_data: Path) -> None:
    if released.listed()["all"].problem(released.fetched()):
        pytest.skip("the canonical predictions are not fetched: somb data fetch --predictions")
    run = canonical_run(protocol=protocol, source=open_data / "processed")  # type: ignore[arg-type]
    assert run.results["task"].nunique() == 17
    assert_stored(run, n_bootstrap=0)


def test_the_small_file_gives_the_canonical_scores_and_pairs_with_a_model(
    command, open_data: Path, monkeypatch, tmp_path: Path
) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("SOMB_CACHE", str(tmp_path / "cache"))
    data = open_data / "processed"
    code, out, _ = command("canonical", "baselines", "--tasks", "A1", "--data", data)
    assert code == 0 and "7 of 7 scores are the stored ones" in out
    run = load_run(tmp_path / "baselines")
    assert_stored(run, n_bootstrap=1000)
    assert run.predictions["y_true"].notna().all()
    model = "sklearn.dummy:DummyClassifier"
    assert command("run", "--tasks", "A1", "--models", model, "--data", data, "--out", "mine", "--jobs", 1)[0] == 0
    code, out, _ = command("compare", "mine", "baselines", "--n-bootstrap", 20, "--n-permutations", 19, "--jobs", 1)
    assert code == 0 and "DummyClassifier" in out and "xgboost" in out
    code, _, err = command("canonical", "baselines", "--tasks", "A1", "--data", data)
    assert code == 2 and "not an empty folder" in err


def answer(content: bytes, request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.send_header("Content-Length", str(len(content)))
    request.end_headers()
    request.wfile.write(content)


def test_labels_come_from_the_published_tables_alone(command) -> None:  # type: ignore[no-untyped-def]
    code, _, err = command("canonical", "baselines", "--tasks", "A1", "--data", "simulated")
    assert code == 1 and "somb data fetch" in err


def test_predictions_are_fetched_from_a_copy_with_the_stored_hash(command, monkeypatch, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("SOMB_CACHE", str(tmp_path / "cache"))
    listing = json.loads(released.FILES.read_text(encoding="utf-8"))
    content = released.SMALL.read_bytes()
    listing["all"] = {**listing["small"], "file": "all.parquet"}
    (tmp_path / "files.json").write_text(json.dumps(listing), encoding="utf-8")
    monkeypatch.setattr(released, "FILES", tmp_path / "files.json")
    released.listed.cache_clear()
    try:
        code, _, err = command("data", "fetch", "--predictions")
        assert code == 1 and len(err.splitlines()) == 1 and "no public address yet" in err and "--from FILE" in err
        (tmp_path / "copy").write_bytes(content[:-1])
        code, _, err = command("data", "fetch", "--predictions", "--from", tmp_path / "copy")
        assert code == 1 and "is not the stored file" in err and not released.fetched().exists()
        (tmp_path / "copy").write_bytes(content)
        assert command("data", "fetch", "--predictions", "--from", tmp_path / "copy")[0] == 0
        assert released.fetched().read_bytes() == content
        released.fetched().unlink()
        with serving(partial(answer, content)) as url:
            listing["all"]["url"] = f"{url}/all.parquet"
            (tmp_path / "files.json").write_text(json.dumps(listing), encoding="utf-8")
            released.listed.cache_clear()
            assert command("data", "fetch", "--predictions")[0] == 0
        assert released.fetched().read_bytes() == content
    finally:
        released.listed.cache_clear()
    assert command("data", "fetch", "--from", tmp_path / "copy")[0] == 2
