"""The condition analysis, through the real local sandbox: marks, limits, tables that nobody changes."""

import ast
import hashlib
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import scripted  # noqa: F401  (registers its models)
import yaml
from inspect_ai.log import EvalSample, read_eval_log
from inspect_ai.model import ModelCost

from somb_utils.errors import SombError, UsageError
from somb_utils.llm.run import cost, sandbox
from somb_utils.llm.run.analysis import Analysis, Limits, estimates, price_models
from somb_utils.llm.run.engine import Outcome
from somb_utils.llm.run.item_runs import plan_items, run_items
from somb_utils.llm.run.items import Selection, select
from somb_utils.llm.run.marked_logs import load_marks
from somb_utils.llm.run.models import Settings
from somb_utils.paths import DATA
from somb_utils.tables.sources import FolderSource

CORE = ("--set", "core", "--condition", "analysis", "--sandbox", "local")


def hashes(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def core(open_data: Path) -> Selection:
    """All core items, with keys from the real tables."""
    return select("core", "analysis", data=FolderSource(open_data / "processed"))


@pytest.fixture(scope="module")
def staged(core: Selection) -> sandbox.Staged:
    return sandbox.stage(core.source)


@pytest.fixture
def analysed(core: Selection, staged: sandbox.Staged, world: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Have models analyse the first items within limits; return how the run ended and the marks by model."""
    monkeypatch.setenv("MY_API_KEY", "sk-secret")

    def run(*models: str, number: int = 1, **values: int) -> tuple[Outcome, pd.DataFrame]:
        limits = Limits(**values)
        selection = replace(core, asked=core.asked[:number])
        make = Analysis(selection, limits, staged, sandbox.sandbox_spec("local", staged, limits.memory))
        names = [f"scripted/{model}" for model in models]
        outcome = run_items(names, selection, world / "logs/llm", Settings(), make=make)
        marks = load_marks([world / "logs/llm"])
        return outcome, marks.set_index(marks["model"].str.removeprefix("scripted/"))

    return run


def samples(folder: Path, model: str) -> list[EvalSample]:
    logs = [read_eval_log(str(path)) for path in folder.rglob("*.eval")]
    return [sample for log in logs if log.eval.model == f"scripted/{model}" for sample in log.samples or []]


def test_right_programs_are_right_and_no_table_changes(somb_llm: Any, world: Path, open_data: Path) -> None:
    before = hashes(open_data / "processed")
    result = somb_llm(
        "run", "-m", "scripted/analyst", *CORE, "--sample", 4, "--data", open_data / "processed", "--log-dir", "logs"
    )
    marks = load_marks([world / "logs"])
    assert result.code == 0 and "WARNING: --sandbox local" in result.text
    assert marks["correct"].sum() == 4 and set(marks["condition"]) == {"analysis"}
    assert hashes(open_data / "processed") == before


@pytest.mark.slow
def test_a_right_program_answers_the_whole_core_set(analysed: Any, core: Selection) -> None:
    number = len(core.asked)
    _, marks = analysed("analyst", number=number, call_seconds=600, seconds=3600)
    assert number >= 150 and marks["correct"].sum() >= number - 10


def test_limits_and_changed_tables_are_counted_apart_from_wrong_answers(analysed: Any, world: Path) -> None:
    models = ("hungry", "talkative", "writer", "seeker", "wrong")
    outcome, marks = analysed(*models, memory=2**30, tokens=5000)
    assert marks.loc[["hungry", "talkative"], ["status", "reason"]].to_numpy().tolist() == [
        ["limit", "memory"],
        ["limit", "token"],
    ]
    assert marks.loc["writer", "status"] == "failed" and not marks["correct"].any()
    assert "changed tables: clinical_cbc.csv" in str(outcome.failed) and outcome.failed.total() == 1
    assert marks.loc["wrong", "status"] == "answered"
    names_no_key(samples(world / "logs/llm", "seeker"))


def names_no_key(of_seeker: list[EvalSample]) -> None:
    """Check what a model's code found in its folder and environment, after another model's code changed a table."""
    (found,) = [message.text for message in of_seeker[0].messages if message.role == "tool"]
    environment, *files = found.splitlines()
    assert "tables/clinical_cbc.csv" in files and {Path(file).suffix for file in files} <= {"", ".csv", ".md"}
    assert set(ast.literal_eval(environment)) <= {
        "HOME", "LANG", "LC_CTYPE", "OLDPWD", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "PATH", "PWD", "SHLVL",
        "TMPDIR", "_",
    }  # fmt: skip


@pytest.mark.parametrize(("limit", "reason"), [("call_seconds", "call time"), ("seconds", "time")])
def test_time_is_limited_for_a_call_and_for_an_item(analysed: Any, limit: str, reason: str) -> None:
    _, marks = analysed("slow", **{limit: 1})
    assert marks[["status", "reason"]].to_numpy().tolist() == [["limit", reason]]


def test_the_budget_counts_every_call_of_the_agent(core: Selection, staged: sandbox.Staged, world: Path) -> None:
    make = Analysis(core, Limits(), staged, sandbox.sandbox_spec("local", staged, 2**30))
    prices = {"scripted/seeker": ModelCost(input=1, output=1, input_cache_write=1, input_cache_read=1)}
    selection = replace(core, asked=core.asked[:1])
    outcome = run_items(["scripted/seeker"], selection, world / "logs", Settings(), 0.004, prices, make=make)
    assert outcome.not_asked == 1 and outcome.spending == "$0.0020 spent"  # the second call could exceed it


def test_a_plan_has_several_calls_an_item_and_at_most_what_the_limits_allow(core: Selection, world: Path) -> None:
    selection = replace(core, asked=core.asked[:2])
    plans = plan_items(["openai/gpt-4o"], selection, 1, world / "logs", cost.load_prices(), Settings())
    (estimate,) = estimates(plans, Limits(dollars=0.5), cost.load_prices())
    assert estimate.calls > 2 and estimate.most_dollars == 1.0 and 0 < (estimate.dollars or 0) < 1


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ("tokens=many", "give a number"),
        ("wishes=3", "no such limit"),
        ("memory=5", "268,435,456 or more"),
        ("dollars=0", "more than 0"),
    ],
)
def test_limits_that_cannot_be_are_refused(limit: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Limits.of([limit])


def test_a_limit_on_dollars_needs_a_price() -> None:
    with pytest.raises(UsageError, match="--prices"):
        price_models(["scripted/analyst"], cost.load_prices())


def test_docker_is_the_default_and_says_what_it_needs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for where, message in (("docker", "--sandbox local"), ("cloud", "docker or local")):
        with pytest.raises(UsageError, match=message):
            sandbox.sandbox_spec(where, sandbox.Staged(folder=tmp_path, hashes=()), 2**30)


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


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells when a process ends that is nobody's child here")
def test_what_a_call_started_ends_with_it() -> None:
    script = "sleep 60 >/dev/null 2>&1 & echo $!; exit 3"  # it holds no pipe, which would be waited for
    command = [sys.executable, "-I", "-S", str(sandbox.LAUNCHER), str(2**30), "sh", "-c", script]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 3
    with suppress(ProcessLookupError):  # it has ended already
        left = os.pidfd_open(int(ended.stdout))
        assert wait([left], 30), "it goes on"
        os.close(left)


def test_limits_are_those_stated() -> None:
    assert Limits.of(["tokens=5", "dollars=0.5"]) == Limits(tokens=5, dollars=0.5)
