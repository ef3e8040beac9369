"""A real Dask cluster of two worker processes: the same scores bit for bit, whoever dies in the middle."""

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from uuid import uuid4

import dask
import pandas as pd
import psutil
import pytest
import yaml
from distributed import Client, LocalCluster, Security
from sklearn.ensemble import HistGradientBoostingClassifier

import somb_utils as somb
from somb_utils.errors import SombError, UsageError
from somb_utils.runs.runner import _survived

Command = Callable[..., tuple[int, str, str]]
TASKS, MODELS = "A1,A2", "own_estimators:Gated,logreg"  # 16 fold jobs, the first 8 of them gated


def wait_until(condition: Callable[[], bool], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder from which each fit of ``own_estimators:Gated`` takes a file, here and in new processes."""
    helpers = str(Path(__file__).parents[1] / "helpers")
    monkeypatch.syspath_prepend(helpers)
    monkeypatch.setenv("PYTHONPATH", helpers, prepend=os.pathsep)
    folder = tmp_path / "gate"
    folder.mkdir()
    monkeypatch.setenv("GATE", str(folder))
    return folder


def let_pass(fits: int, gate: Path) -> None:
    for _ in range(fits):
        (gate / uuid4().hex).touch()


@pytest.fixture
def cluster(tmp_path: Path, gate: Path) -> Iterator[tuple[str, list[subprocess.Popen]]]:
    file = tmp_path / "scheduler.json"
    dask = [sys.executable, "-m", "dask"]
    log = (tmp_path / "cluster.log").open("w")
    options = {"stdout": log, "stderr": log, "cwd": tmp_path}
    scheduler = subprocess.Popen(
        [*dask, "scheduler", "--port", "0", "--no-dashboard", "--scheduler-file", str(file)], **options
    )
    wait_until(file.is_file)
    worker = [*dask, "worker", "--scheduler-file", str(file), "--nthreads", "1", "--no-nanny", "--no-dashboard"]
    workers = [subprocess.Popen(worker, **options) for _ in range(2)]
    try:
        with Client(scheduler_file=str(file)) as client:
            client.wait_for_workers(2, timeout=90)
        yield json.loads(file.read_text())["address"], [*workers, scheduler]
    finally:
        for process in (*workers, scheduler):
            process.kill()
            process.wait()
        log.close()


def test_a_cluster_may_lose_a_worker_and_its_client_and_tells_that_it_has_lost_all_workers_or_its_scheduler(
    cluster: tuple[str, list[subprocess.Popen]], gate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, (first, second, scheduler) = cluster
    out = tmp_path / "run"
    command = [sys.executable, "-m", "somb_utils.cli", "run", "--data", "simulated", "--tasks", TASKS]
    command += ["--models", MODELS, "--cluster", address, "--out", str(out), "--format", "csv"]

    def finished() -> dict[Path, int]:
        return {file: file.stat().st_mtime_ns for file in (out / "jobs").glob("*.npz")}

    client = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    let_pass(3, gate)
    wait_until(lambda: len(finished()) == 3)  # then both workers wait in a fit
    first.kill()
    let_pass(3, gate)
    wait_until(lambda: len(finished()) == 6)
    client.kill()
    client.wait()
    kept = finished()
    assert len(kept) == 6

    (gate / "open").touch()
    somb.run(TASKS, MODELS, source="simulated", cluster=address, out=out)
    assert {file: time for file, time in finished().items() if file in kept} == kept
    here = somb.run(TASKS, MODELS, source="simulated", n_jobs=1)
    there = somb.load_run(out)
    pd.testing.assert_frame_equal(there.results, here.results, check_exact=True)
    pd.testing.assert_frame_equal(there.predictions, here.predictions, check_exact=True)

    with monkeypatch.context() as patch:
        patch.setattr("somb_utils.runs.cluster.WORKERS_TIMEOUT", 1)
        with pytest.raises(SombError, match=r"has had no worker for 1 s; fold jobs that were finished are kept in the"):
            run_while(second.kill, address, tmp_path / "no worker")
    finishes_what_is_left(tmp_path / "no worker")

    threading.Timer(1, scheduler.kill).start()
    with pytest.raises(SombError, match=r"the Dask scheduler at tcp://.* is gone; fold jobs that were finished"):
        run_while(lambda: None, address, tmp_path / "no scheduler")


def run_while(on_done: Callable[[], None], cluster: str, out: Path) -> None:
    somb.run(
        "A1,C2",
        "majority,logreg",
        source="simulated",
        cluster=cluster,
        out=out,
        on_done=lambda cost, label: on_done(),
    )


def finishes_what_is_left(out: Path) -> None:
    kept = len(list((out / "jobs").glob("*.npz")))
    counts: list[int] = []
    options = {"source": "simulated", "out": out, "n_jobs": 1, "on_start": lambda jobs, cost: counts.append(jobs)}
    somb.run("A1,C2", "majority,logreg", **options)
    assert 0 < kept < 18 and counts == [18 - kept]


@pytest.fixture
def killer() -> Iterator[threading.Thread]:
    """Kill every worker that Dask starts in this process, again and again from when it is started to the test's end."""
    ended = threading.Event()

    def kill() -> None:
        while not ended.wait(0.02):
            for process in psutil.Process().children():
                with contextlib.suppress(psutil.NoSuchProcess):
                    if "multiprocessing.spawn" in " ".join(process.cmdline()):
                        process.kill()

    thread = threading.Thread(target=kill)
    yield thread
    ended.set()
    if thread.ident is not None:  # it was started
        thread.join()


def test_a_local_cluster_listens_here_alone_and_to_nobody_else() -> None:
    listening: dict[int, str] = {}
    refusals: list[str] = []
    stranger = Security.temporary()

    def try_to_enter() -> None:
        if listening:
            return
        processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
        sockets = [socket for process in processes for socket in process.net_connections("inet")]
        listening.update({s.laddr.port: s.laddr.ip for s in sockets if s.status == psutil.CONN_LISTEN})
        for port in listening:
            if shows_no_page(port):
                continue
            for address, security in ((f"tcp://127.0.0.1:{port}", None), (f"tls://127.0.0.1:{port}", stranger)):
                with pytest.raises(OSError) as refused:
                    Client(address, security=security, timeout=5)
                refusals.append(str(refused.value))

    run = {"source": "simulated", "cluster": "local:1", "on_done": lambda cost, label: try_to_enter()}
    result = somb.run("A1", "majority", **run)
    assert set(listening.values()) == {"127.0.0.1"}
    assert len(refusals) >= 6 and any("certificate" in text for text in refusals)
    here = somb.run("A1", "majority", source="simulated", n_jobs=1)
    pd.testing.assert_frame_equal(result.results, here.results, check_exact=True)


def shows_no_page(port: int) -> bool:
    """Tell whether a port speaks HTTP, and fail if it shows anything."""
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/info/main/workers.html", timeout=10)
    except urllib.error.HTTPError as error:
        assert error.code == 404
        return True
    except (OSError, http.client.HTTPException):
        return False
    raise AssertionError(f"port {port} shows a page of the cluster")


def test_an_own_cluster_uses_dasks_certificates_gets_raw_folds_and_refuses_a_worker_of_other_versions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(UsageError, match=r"tls://127\.0\.0\.1:9 needs certificates: set distributed\.comm\.tls in"):
        somb.run("A1", "majority", source="simulated", cluster="tls://127.0.0.1:9")
    own = Security.temporary()
    roles = ("client", "scheduler", "worker")
    parts = {f"distributed.comm.tls.{role}.cert": own.tls_client_cert for role in roles}
    parts |= {f"distributed.comm.tls.{role}.key": own.tls_client_key for role in roles}
    data = somb.load_task("A1", source="simulated")
    gaps = replace(data, X=data.X.mask(data.X.median() < data.X))
    models = {"boosting": somb.raw(HistGradientBoostingClassifier(min_samples_leaf=3)), "logreg": "logreg"}
    with (
        dask.config.set({"distributed.comm.tls.ca-file": own.tls_ca_file, **parts}),
        LocalCluster(
            n_workers=1, threads_per_worker=1, dashboard_address=":0", protocol="tls://", security=Security()
        ) as cluster,
    ):
        assert cluster.scheduler_address.startswith("tls://")
        there = somb.run(gaps, models, cluster=cluster.scheduler_address)
        with monkeypatch.context() as patch:
            patch.setattr("somb_utils.runs.runner.code_fingerprint", lambda: "another version")
            with pytest.raises(SombError, match=r"the worker on .* has other versions of somb_utils or its libraries"):
                somb.run("A1", "majority", source="simulated", cluster=cluster.scheduler_address)
    assert there.failures().empty
    here = somb.run(gaps, models, n_jobs=1)
    pd.testing.assert_frame_equal(there.predictions, here.predictions, check_exact=True)


PROGRAM = """
import sys
from somb_utils.runs import cluster
for result in cluster.unordered(abs, ((i,) for i in range(8)), "local:2"):
    print(result, flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_the_workers_of_a_local_cluster_end_with_their_parent(how: signal.Signals) -> None:
    process = subprocess.Popen([sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline()
    workers = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(how)
    process.wait(timeout=60)
    assert len(workers) >= 2 and not psutil.wait_procs(workers, timeout=60)[1]


def test_a_local_cluster_whose_workers_are_all_killed_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killer: threading.Thread
) -> None:
    monkeypatch.setattr("somb_utils.runs.cluster.WORKERS_TIMEOUT", 1)

    def first_done() -> None:
        if not killer.is_alive():
            killer.start()
        time.sleep(0.2)  # at most four of the eighteen jobs are out, so that they cannot all finish meanwhile

    # Dask gives up a job that was on four workers when they died: that job failed, and the run goes on.
    patient = dask.config.set({"distributed.scheduler.allowed-failures": 1000})
    with patient, pytest.raises(SombError, match=r"the cluster local:2 has had no worker for 1 s"):
        run_while(first_done, "local:2", tmp_path)
    finishes_what_is_left(tmp_path)


def test_a_job_that_no_worker_survived_is_a_failed_outcome() -> None:
    number, outcome = _survived(((7, "fold", "model", 42), RuntimeError("4 workers died")))
    assert number == 7 and outcome.error == "RuntimeError: 4 workers died" and not outcome.scores


def test_the_recipes_are_valid_python_and_yaml() -> None:
    text = (Path(__file__).parents[2] / "book" / "scale.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```(\w+)\n(.*?)```", text, re.DOTALL)
    for language, block in blocks:
        if language == "python":
            compile(block, "scale.md", "exec")
        if language == "yaml":
            values = yaml.safe_load(block)
            if "distributed" in values:
                assert set(values["distributed"]["comm"]["tls"]) == {"ca-file", "scheduler", "worker", "client"}
                continue
            assert values["scheduler"]["image"] == values["worker"]["image"]
    assert {"sh", "python", "yaml", "dockerfile"} <= {language for language, _ in blocks}


def test_bad_addresses_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="neither local:N nor a scheduler's address"):
        somb.run("A1", "majority", source="simulated", cluster="here")
    monkeypatch.setattr("somb_utils.runs.cluster.CONNECT_TIMEOUT", 0.2)
    with pytest.raises(SombError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        somb.run("A1", "majority", source="simulated", cluster="tcp://127.0.0.1:9")


def test_two_runs_into_one_folder_at_once_both_arrive(tmp_path: Path) -> None:
    words, options = ("majority,random",), {"source": "simulated", "n_jobs": 1, "out": tmp_path / "run"}
    fork = get_context("fork")  # copies of this process, so that neither has ended when the other begins
    both = [
        fork.Process(target=somb.run, args=(tasks, *words), kwargs=options, daemon=True)
        for tasks in ("A1,C2,H1", "A2,D1,H1")
    ]
    for process in both:
        process.start()
    for process in both:
        process.join(timeout=120)
    assert [process.exitcode for process in both] == [0, 0]
    table = somb.load_run(tmp_path / "run").summary()
    assert sorted(table["task"].unique()) == ["A1", "A2", "C2", "D1", "H1"] and len(table) == 10


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a small tmpfs")
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(folder)], capture_output=True
    ).returncode:
        pytest.skip("a tmpfs cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_told_and_earlier_results_stay_readable(small_disk: Path) -> None:
    before = somb.run("A1,C2", "logreg", source="simulated", out=small_disk / "run", n_jobs=1)
    with pytest.raises(SombError, match=r"cannot write .*No space left on device"):
        somb.run("E1,E4,I3", "random", source="simulated", out=small_disk / "run", n_jobs=1)
    pd.testing.assert_frame_equal(somb.load_run(small_disk / "run").results, before.results)


def test_an_interrupted_local_run_says_how_to_go_on(tmp_path: Path, gate: Path, command: Command) -> None:
    words = ["run", "--data", "simulated", "--tasks", TASKS, "--models", MODELS, "--jobs", "1"]
    words += ["--out", str(tmp_path), "--format", "csv"]

    def finished() -> dict[Path, int]:
        return {file: file.stat().st_mtime_ns for file in (tmp_path / "jobs").glob("*.npz")}

    def interrupt() -> None:  # as Ctrl-C, while the fifth fit waits for its file
        wait_until(lambda: len(finished()) == 4)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    let_pass(4, gate)
    thread = threading.Thread(target=interrupt)
    thread.start()
    code, _, error = command(*words)
    thread.join()
    assert code == 130 and "The same command resumes the run" in error
    kept = finished()
    assert len(kept) == 4 and not list(tmp_path.rglob("*.tmp"))
    (gate / "open").touch()
    assert command(*words)[0] == 0
    assert {file: time for file, time in finished().items() if file in kept} == kept
    assert set(somb.load_run(tmp_path).results["task"]) == {"A1", "A2"}
