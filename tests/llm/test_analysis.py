"""The condition analysis, through the real local sandbox: marks, limits, tables that nobody changes."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import scripted  # noqa: F401  (registers its models)
import yaml
from inspect_ai.log import EvalSample, read_eval_log

from somb_utils.errors import SombError, UsageError
from somb_utils.llm.core.items import load_items
from somb_utils.llm.run import sandbox
from somb_utils.llm.run.analysis import Limits
from somb_utils.llm.run.marked_logs import load_marks
from somb_utils.paths import DATA
from somb_utils.tables.sources import FolderSource

CORE = ("--set", "core", "--condition", "analysis", "--sandbox", "local")


def hashes(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.fixture
def analysed(somb_llm: Any, world: Path, open_data: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run models on items, with the real tables; return the command's result and the marks."""
    monkeypatch.setenv("MY_API_KEY", "sk-secret")

    def run(*models: str, sample: int = 1, limits: tuple[str, ...] = ()) -> tuple[Any, pd.DataFrame]:
        options = [word for model in models for word in ("-m", f"scripted/{model}")]
        options += [word for limit in limits for word in ("--limit", limit)]
        result = somb_llm("run", *options, *CORE, "--sample", sample, "--data", open_data / "processed")
        return result, load_marks([world / "logs/llm"])

    return run


def samples(folder: Path, model: str) -> list[EvalSample]:
    logs = [read_eval_log(str(path)) for path in folder.rglob("*.eval")]
    return [sample for log in logs if log.eval.model == f"scripted/{model}" for sample in log.samples or []]


def test_right_programs_are_right(analysed: Any, open_data: Path) -> None:
    before = hashes(open_data / "processed")
    result, marks = analysed("analyst", sample=12)
    assert result.code == 0 and "WARNING: --sandbox local" in result.text
    assert marks["correct"].sum() == 12 and set(marks["condition"]) == {"analysis"}
    assert hashes(open_data / "processed") == before


def test_wrong_answers_are_wrong(analysed: Any) -> None:
    _, marks = analysed("wrong")
    assert marks[["correct", "status"]].to_numpy().tolist() == [[False, "answered"]]


@pytest.mark.slow
def test_a_right_program_answers_the_whole_core_set(analysed: Any) -> None:
    number = len(load_items("core"))
    _, marks = analysed("analyst", sample=number, limits=("call_seconds=600", "seconds=3600"))
    assert number >= 150 and marks["correct"].sum() >= number - 10


def test_limits_stop_and_are_counted(analysed: Any) -> None:
    result, marks = analysed("hungry", "talkative", limits=("memory=1073741824", "tokens=5000"))
    by_model = marks.set_index("model")
    assert result.code == 0
    assert by_model["status"].eq("limit").all() and not by_model["correct"].any()
    assert by_model["reason"].to_dict() == {"scripted/hungry": "memory", "scripted/talkative": "token"}


@pytest.mark.parametrize(("limit", "reason"), [("call_seconds=1", "call time"), ("seconds=1", "time")])
def test_time_is_limited_for_a_call_and_for_an_item(analysed: Any, limit: str, reason: str) -> None:
    _, marks = analysed("slow", limits=(limit,))
    assert marks["status"].tolist() == ["limit"] and marks["reason"].tolist() == [reason]


def test_whoever_changes_a_table_fails_and_no_other_sample_sees_it(analysed: Any, world: Path) -> None:
    result, marks = analysed("writer", "seeker")
    status = marks.set_index("model")["status"]
    assert result.code == 1 and "changed tables: clinical_cbc.csv" in result.text
    assert status["scripted/writer"] == "failed" and status["scripted/seeker"] != "failed"


def test_the_folder_and_its_environment_name_no_keys(analysed: Any, world: Path) -> None:
    analysed("seeker")
    (sample,) = samples(world / "logs/llm", "seeker")
    (found,) = [message.text for message in sample.messages if message.role == "tool"]
    listed = found.splitlines()
    assert "tables/clinical_cbc.csv" in listed
    assert {Path(line).suffix for line in listed[1:]} <= {"", ".csv", ".md"}
    assert set(json.loads(listed[0].replace("'", '"'))) <= {
        "HOME", "LANG", "LC_CTYPE", "OLDPWD", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "PATH", "PWD", "SHLVL",
        "TMPDIR", "_",
    }  # fmt: skip
    readme = next(iter(Path(sample.messages[0].text).parts))  # the instructions name no item either
    assert "CLIN-C" not in readme


def test_a_dry_run_plans_several_calls_an_item_and_sends_nothing(somb_llm: Any, world: Path, open_data: Path) -> None:
    command = ("run", "-m", "openai/gpt-4o", *CORE, "--sample", 2, "--data", open_data / "processed", "--dry-run")
    result = somb_llm(*command, "--limit", "dollars=0.5")
    assert result.code == 0 and "$1.00" in result.text  # at most
    assert not (world / "logs").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--limit", "tokens=many"), "give a number"),
        (("--limit", "wishes=3"), "no such limit"),
        (("--limit", "memory=5"), "268,435,456 or more"),
        (("--limit", "dollars=1"), "needs a price"),
        (("--sandbox", "cloud"), "docker or local"),
    ],
)
def test_what_cannot_be_is_refused(somb_llm: Any, open_data: Path, words: tuple[str, str], message: str) -> None:
    run = ("run", "-m", "scripted/analyst", *CORE, "--sample", 1, "--data", open_data / "processed")
    result = somb_llm(*run, *words)
    assert result.code == 2 and message in result.text


def test_docker_is_the_default_and_says_what_it_needs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    staged = sandbox.Staged(folder=tmp_path, hashes=())
    with pytest.raises(UsageError, match="--sandbox local"):
        sandbox.sandbox_spec("docker", staged, 2**30)


def test_the_container_has_no_network_and_reads_tables_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    engine = tmp_path / "docker"
    engine.write_text("#!/bin/sh\n")
    engine.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    spec = sandbox.sandbox_spec("docker", sandbox.Staged(folder=tmp_path, hashes=()), 2**30)
    service = yaml.safe_load(Path(spec.config).read_text())["services"]["default"]
    assert service["network_mode"] == "none" and service["cap_drop"] == ["ALL"]
    assert [mount["read_only"] for mount in service["volumes"]] == [True]
    assert (Path(service["build"]["context"]) / "Dockerfile").is_file()


def test_the_image_has_the_locked_versions() -> None:
    dockerfile = (DATA / "llm" / "sandbox" / "Dockerfile").read_text()
    locked = (Path(__file__).parents[2] / "requirements.lock").read_text()
    pinned = [word for word in dockerfile.split() if "==" in word]
    assert len(pinned) == 5 and all(f"{name} " in locked for name in pinned)


def test_tables_that_are_not_the_published_ones_are_not_copied(tmp_path: Path) -> None:
    (tmp_path / "clinical_cbc.csv").write_text("a,b\n1,2\n")
    with pytest.raises(SombError, match="clinical_cbc"):
        sandbox.stage(FolderSource(tmp_path))


def test_what_a_call_started_ends_with_it(tmp_path: Path) -> None:
    command = [sys.executable, "-I", "-S", str(sandbox.LAUNCHER), str(2**30), "sh", "-c", "sleep 60 & echo $!; exit 3"]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 3
    state = Path(f"/proc/{ended.stdout.strip()}/stat")
    assert not state.exists() or state.read_text().split()[2] == "Z"


def test_limits_are_those_stated() -> None:
    assert Limits.of(["tokens=5", "dollars=0.5"]) == Limits(tokens=5, dollars=0.5)
