"""A fit that crashes, hangs or takes all memory has failed alone; workers end with the process that started them."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

import somb_utils as somb
from somb_utils.errors import UsageError

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "helpers"))


REASONS = {
    "Dies": r"WorkerDiedError: the worker process ended \(SIGKILL\(-9\)\)",
    "Hangs": "TimeoutError: took longer than 2 s",
    "Hungry": "MemoryError: Unable to allocate 8",
}
if sys.platform != "linux":  # which has limits of memory
    del REASONS["Hungry"]


@pytest.mark.parametrize("n_jobs", [2, pytest.param(1, marks=pytest.mark.slow)])
def test_such_a_fit_fails_alone(n_jobs: int, tmp_path: Path) -> None:
    data = somb.load_task("A1", source="simulated")
    data = replace(data, folds=data.folds[:1])
    bad, good = [f"own_estimators:{model}" for model in REASONS], ["majority", "logreg"]
    limits: dict[str, Any] = {"timeout": 2, "memory": 2**30 if "Hungry" in REASONS else None}
    result = somb.run(data, [*bad, *good], out=tmp_path, n_jobs=n_jobs, **limits)
    reasons = result.failures().set_index("model")["reason"]
    assert sorted(reasons.index) == sorted(bad)
    assert all(re.search(reason, reasons[f"own_estimators:{model}"]) for model, reason in REASONS.items()), reasons
    alone = somb.run(data, good, n_jobs=1)
    others = result.results[result.results["model"].isin(good)].reset_index(drop=True)
    assert others.equals(alone.results)
    assert set(somb.load_run(tmp_path).summary(20)["model"]) == {*bad, *good}


def test_one_job_on_the_command_line_outlives_its_model(command: Command) -> None:
    words = ["run", "--data", "simulated", "--jobs", "1", "--tasks", "C1", "--format", "csv"]
    code, out, err = command(*words, "--models", "own_estimators:Dies,majority")
    assert code == 1 and "C1,rigorous,majority,simulated,macro_auroc,0.5" in out
    assert err.count("failed: own_estimators:Dies on C1, fold") == 1 and "1 fold jobs failed" in err
    assert "C1,rigorous,own_estimators:Dies,simulated,macro_auroc,0.5" in out, "the other three folds are fitted"


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"timeout": 0}, "a time limit of 0 s: give more than 0"),
        ({"timeout": float("nan")}, "a time limit of nan s"),
        ({"memory": 0}, "a memory limit must be above 0"),
        ({"n_jobs": 0}, "0 jobs: give a number of jobs, or -1"),
        ({"n_jobs": -2}, "-2 jobs"),
        ({"timeout": 3, "cluster": "local:1"}, "limits of time and memory are for fits on this machine"),
    ],
)
def test_limits_that_cannot_be_are_refused(limits: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        somb.run("A1", "majority", source="simulated", **limits)  # type: ignore[arg-type]


PROGRAM = """
import os, sys
import somb_utils as somb
from somb_utils.runs import workers
for pids in workers.unordered(lambda i: (i, os.getpid()), ((i,) for i in range(4)), 1):
    print(pids[1], flush=True)
print("end", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("sent", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_workers_end_with_their_parent(sent: signal.Signals) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    lines = list(iter(parent.stdout.readline, "end\n"))
    there = [psutil.Process(pid) for pid in {int(line) for line in lines} if psutil.pid_exists(pid)]
    assert there and parent.pid != os.getpid()
    parent.send_signal(sent)
    parent.wait()
    assert psutil.wait_procs(there, timeout=60)[1] == []
