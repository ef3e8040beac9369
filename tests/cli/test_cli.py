"""The command line: one clear message and an exit code, never a traceback; output for people and for pipes."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier

import somb_utils as somb
from somb_utils.tasks.definitions import catalogue, get_task

ROOT = Path(__file__).parents[2]
Command = Callable[..., tuple[int, str, str]]

RUN = ("run", "--data", "simulated", "--jobs", 1)


def test_run_prints_scores_chance_and_the_simulated_mark(command: Command, tmp_path: Path) -> None:
    code, out, err = command(*RUN, "--tasks", "A1,C2", "--models", "majority,logreg")
    assert code == 0
    assert "SIMULATED" in out and "SIMULATED" in err and "chance" in out and "±" in out and "composite" in out
    folder = tmp_path / "results" / "simulated-rigorous"
    assert {"results.parquet", "predictions", "provenance.json"} <= {f.name for f in folder.iterdir()}


def test_formats_can_be_read_back(command: Command) -> None:
    words = (*RUN, "--tasks", "A1", "--models", "majority", "--format")
    _, as_csv, _ = command(*words, "csv")
    _, as_json, _ = command(*words, "json")
    _, as_markdown, _ = command(*words, "markdown")
    mean = json.loads(as_json)[0]["mean"]
    assert pd.read_csv(StringIO(as_csv))["mean"].tolist() == [pytest.approx(mean)]
    assert as_markdown.startswith("| task | protocol |") and "| A1 | rigorous |" in as_markdown


def test_model_params_reach_the_model(command: Command, tmp_path: Path) -> None:
    code, _, _ = command(*RUN, "-t", "A1", "--models", "logreg,own_estimators:make", "--model-params", "logreg.C=0.01")
    assert code == 0
    stored = json.loads((tmp_path / "results/simulated-rigorous/provenance.json").read_text())
    params = {entry["model"]: entry["params"] for entry in stored["models"]}
    assert params["logreg(C=0.01)"] == {"C": "0.01"}
    assert params["own_estimators:make"] == {}


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ((*RUN, "--tasks", "Z1"), 2, "unknown task 'Z1'; the tasks are A1, A2"),
        ((*RUN, "--models", "svm"), 2, "unknown model 'svm'; the baselines are"),
        ((*RUN, "-t", "A1", "--models", ","), 2, "',' names nothing; leave the option out"),
        ((*RUN, "-t", "A1", "--models", "logreg", "--model-params", "C"), 2, "not of the form model.key=value"),
        ((*RUN, "-t", "A1", "--models", "logreg", "--model-params", "depth=1"), 2, "does not take these parameters"),
        (
            (*RUN, "-t", "A1", "--protocol", "mixed"),
            2,
            "unknown protocol 'mixed'; it is one of rigorous, aligned, published",
        ),
        (("run", "--data", "nowhere"), 2, "neither simulated, open, auto nor a folder"),
        (("run", "--data", "simulated", "--jobs", 0), 2, "0 jobs: give a number of jobs"),
        (("run", "--data", "open", "--tasks", "A1"), 1, "somb data fetch"),
        ((*RUN, "-t", "A1", "--models", "majority", "--out", "/dev/null/x"), 1, "cannot write"),
        (("ablate", "A1"), 2, "A1 defines no ablation; B1 does"),
        (("tasks", "Z1"), 2, "unknown task 'Z1'"),
        (("data", "fetch", "--tasks", "Z1"), 2, "unknown task 'Z1'"),
        (("data", "verify", "--data", "simulated"), 1, "there is no file to verify"),
        (("data", "derive", "--data", "simulated"), 1, "only real tables can be derived"),
        (("reproduce", "--data", "simulated", "--tasks", "A1"), 1, "only real tables can reproduce"),
        (("run", "--colour"), 2, "No such option"),
        (("compare", "nowhere", "--jobs", 0), 2, "0 jobs: give a number of jobs"),
        (("compare", "nowhere", "--protocol", "mixed"), 2, "unknown protocol 'mixed'"),
        (("power", "--jobs", 0, "--out", "power.csv"), 2, "0 jobs: give a number of jobs"),
        (("book", "--jobs", -2), 2, "-2 jobs: give a number of jobs"),
    ],
)
def test_bad_requests_get_one_message_and_a_code(
    command: Command, words: tuple, code: int, message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SOMB_CACHE", str(tmp_path / "cache")) if "open" in words else None
    found, _, err = command(*words)
    assert (found, message in err) == (code, True), err


def test_failures_are_told_and_leave_earlier_results_intact(command: Command, tmp_path: Path) -> None:
    command(*RUN, "-t", "C2", "--models", "majority")
    folder = tmp_path / "results" / "simulated-rigorous"
    before = pd.read_parquet(folder / "results.parquet")
    bad = ",".join(f"own_estimators:{name}" for name in ("AlwaysNaN", "WrongShape", "Raises"))
    code, _, err = command(*RUN, "-t", "C1,C2", "--models", bad)
    assert code == 1
    for reason in ("returned NaN or infinite values", "expected (", "RuntimeError: out of luck"):
        assert reason in err
    after = pd.read_parquet(folder / "results.parquet")
    pd.testing.assert_frame_equal(after[after["model"] == "majority"], before)


def test_a_tampered_table_stops_the_run_and_verify_names_it(command: Command, open_data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "tables"
    folder.mkdir()
    for name in ("clinical_cbc", "clinical_cmp"):
        shutil.copy(open_data / "processed" / f"{name}.csv", folder)
    assert command("data", "verify", "--data", folder)[0] == 0
    file = folder / "clinical_cmp.csv"
    file.write_bytes(file.read_bytes()[:-1])
    code, _, err = command("run", "--tasks", "A1", "--data", folder)
    assert code == 1 and "clinical_cmp.csv is truncated" in err and "somb data fetch" in err
    code, out, _ = command("data", "verify", "--data", folder)
    assert code == 1 and "clinical_cmp.csv is truncated" in out and "1 of 2 tables" in out


def test_missing_tables_are_named_and_the_rest_runs(command: Command, open_data: Path, tmp_path: Path) -> None:
    shutil.copy(open_data / "processed" / "clinical_cytokines_eve.csv", tmp_path)
    words = ("run", "--data", tmp_path, "--models", "majority", "--jobs", 1, "--format", "csv")
    code, out, err = command(*words, "--tasks", "A*")
    assert code == 0 and pd.read_csv(StringIO(out))["task"].tolist() == ["A2"]
    assert "left out: A1: clinical_cbc.csv, clinical_cmp.csv is not among" in err
    assert command(*words, "--tasks", "A1")[0] == 1


def test_a_table_that_the_protocol_alone_needs_is_named(command: Command, open_data: Path, tmp_path: Path) -> None:
    for table in (*get_task("I2").tables, *get_task("I3").tables):
        shutil.copy(open_data / "processed" / f"{table}.csv", tmp_path)
    words = ("run", "--data", tmp_path, "--models", "majority", "--jobs", 1, "--format", "csv", "--tasks")
    code, _, err = command(*words, "I2,I*")
    assert code == 1 and "I2: gt_conserved_pathways_i4_pbmc.csv is not among" in err
    code, out, err = command(*words, "I*")
    assert code == 0 and pd.read_csv(StringIO(out))["task"].tolist() == ["I3"]
    assert "left out: I2: gt_conserved_pathways_i4_pbmc.csv is not among" in err


def test_the_catalogue_shows_every_task(command: Command) -> None:
    _, out, _ = command("tasks", "--format", "csv")
    tiers = pd.read_csv(StringIO(out))["tier"]
    tasks = catalogue().values()
    assert (len(tiers), tiers.str.endswith("†").sum()) == (len(tasks), sum(task.extension for task in tasks))
    _, out, _ = command("tasks", "F3")
    assert "microbiome_env_taxonomy_cpm" in out and "calibration" in out


def test_the_ablation_runs_b1_three_times(command: Command) -> None:
    code, out, _ = command(
        "ablate", "b1", "--data", "simulated", "--models", "majority", "--jobs", 1, "--format", "csv"
    )
    assert code == 0 and pd.read_csv(StringIO(out))["task"].tolist() == ["B1", "B1_effect_only", "B1_no_effect"]


def test_doctor_names_data_and_remedy(command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SOMB_CACHE", str(tmp_path))
    code, out, _ = command("doctor")
    assert code == 0 and "21 of 21 can run" in out and "somb data fetch" in out and "scikit-learn" in out


def test_status_and_simulate(command: Command, tmp_path: Path) -> None:
    _, out, _ = command("data", "status", "--tasks", "B1", "--data", "simulated")
    assert "2 of 2 tables are available" in out
    assert command("data", "simulate", tmp_path / "sim")[0] == 0
    assert (tmp_path / "sim" / "clinical_cbc.csv").read_text().startswith("sample_id,crew")


@pytest.mark.parametrize(
    "name", ["run", "ablate", "reproduce", "signature", "tasks", "doctor", "data fetch", "data verify", "osdr"]
)
def test_help_has_examples(command: Command, name: str) -> None:
    code, out, _ = command(*name.split(), "--help")
    assert code == 0 and "Example" in out


# What a terminal shows ------------------------------------------------------------------------------------------------


def in_terminal(columns: int, *words: object, **environment: str) -> str:
    """Return what ``somb`` prints in a terminal of so many columns, without the codes that colour it."""
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "somb_utils.cli", *map(str, words)], stdout=theirs, stderr=subprocess.DEVNULL,
        env={**os.environ, "COLUMNS": str(columns), "TERM": "xterm", "SOMB_DATA": "", **environment},
    )  # fmt: skip
    os.close(theirs)
    parts = []
    with contextlib.suppress(OSError):  # which is how the end of a terminal is told
        while part := os.read(ours, 65536):
            parts.append(part)
    os.close(ours)
    assert process.wait() == 0
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", b"".join(parts).decode())


def test_no_number_is_cut_in_a_narrow_terminal(tmp_path: Path) -> None:
    models = ["random", "majority", "logreg"]
    words = ("--tasks", "A1", "--data", "simulated", "--jobs", 1, "--out", tmp_path / "run")
    table = somb.run("A1", models, source="simulated", n_jobs=1, out=tmp_path / "run").summary()
    shown = in_terminal(80, "run", *words, "--models", ",".join(models))
    for row in table.itertuples():
        assert row.model in shown and f"{row.mean:.3f} ± {row.sd:.3f}" in shown
        assert f"[{row.low:.3f}, {row.high:.3f}]" in shown
    assert "…" not in shown and max(map(len, shown.splitlines())) <= 80


def test_the_catalogue_can_be_read_in_forty_columns() -> None:
    shown = in_terminal(40, "tasks")
    assert "…" not in shown and max(map(len, shown.splitlines())) <= 40
    for word in ("26845", "16172", "auprc", "LOCO", "transcriptomics", "calibration"):
        assert word in shown
    assert re.search(r"A1\s*│", shown)


def test_what_an_ascii_terminal_lacks_is_spelt_in_ascii(tmp_path: Path) -> None:
    somb.run("A1", ["majority"], source="simulated", out=tmp_path / "run", n_jobs=1)
    words = ["run", "--tasks", "A1", "--data", "simulated", "--models", "majority", "--jobs", "1", "--out", "run"]
    done = subprocess.run(
        [sys.executable, "-m", "somb_utils.cli", *words], capture_output=True, cwd=tmp_path,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert done.returncode == 0 and b"0.500 +/- 0.000" in done.stdout and b"+--" in done.stdout, done.stderr


def test_names_are_shown_as_they_are(command: Command, tmp_path: Path) -> None:
    models = {name: DummyClassifier() for name in ("svc[rbf]", "lr[/x]", "red\x1b[31m", "[bold]")}
    somb.run("A1", models, source="simulated", out=tmp_path / "run", n_jobs=1)
    code, out, err = command("compare", "run", "--n-bootstrap", 9, "--n-permutations", 9)
    assert code == 0, err
    for name in ("svc[rbf]", "lr[/x]", "red\\x1b[31m", "[bold]"):
        assert f"│ {name} " in out
    assert "\x1b" not in out


@pytest.mark.parametrize("name", ["[old] data", "a[/b]"])
def test_folders_are_shown_as_they_are(command: Command, tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir(parents=True)
    (tmp_path / name / "clinical_cbc.csv").write_text("")
    code, out, _ = command("data", "status", "--tasks", "A1", "--data", name)
    assert code == 0 and name.replace(" ", "") in "".join(out.split())  # a long path is folded


# How any command ends -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KeyboardInterrupt(), 130, "stopped"),
        (EOFError("No data left in file"), 1, "ended too early: No data left in file"),
        (PermissionError(13, "Permission denied", "/some/file"), 1, "/some/file: Permission denied"),
        (OSError(28, "No space left on device"), 1, "No space left on device"),
    ],
)
def test_whatever_stops_a_command_is_one_line(
    command: Command, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, said: str
) -> None:
    def stop(*_: object) -> None:
        raise error

    monkeypatch.setattr("somb_utils.tasks.definitions.select_tasks", stop)
    found, out, err = command("tasks")
    assert (found, out, len(err.strip().splitlines())) == (code, "", 1)
    assert said in err


def test_a_reader_that_leaves_early_gets_no_complaint() -> None:
    somb_tasks = [sys.executable, "-m", "somb_utils.cli", "tasks", "--format", "csv"]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(somb_tasks, stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert done.stderr == ""


def test_version(command: Command) -> None:
    assert command("--version") == (0, f"somb-utils {version('somb-utils')}\n", "")


def test_reproduce_refuses_simulated_tables_before_it_fits(command: Command, tmp_path: Path) -> None:
    code, _, err = command("reproduce", "--data", "simulated", "--tasks", "A1")
    assert code == 1 and "only real tables can reproduce" in err and list(tmp_path.iterdir()) == []


# What is installed ----------------------------------------------------------------------------------------------------

BARE = """
import re, sys
from importlib.metadata import distributions, packages_distributions, requires

def names(lines):
    return {re.split(r"[ ;=<>!\\[]", line)[0].lower() for line in lines}

lines = requires("somb-utils")
extras = names(line for line in lines if "extra ==" in line and "dev" not in line)
gone = extras - names(line for line in lines if "extra ==" not in line) | {"ipython", "pillow", "nbformat"}
modules = {name for name, owners in packages_distributions().items() if {owner.lower() for owner in owners} & gone}

class Without:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in modules else self.finder.find_spec(name, path, target)

    def find_distributions(self, context):
        found = getattr(self.finder, "find_distributions", lambda context: ())(context)
        return (one for one in found if one.metadata["Name"].lower() not in gone)

sys.meta_path[:] = map(Without, sys.meta_path)
"""


def bare(program: str, *words: object, cwd: Path) -> tuple[int, str, str]:
    """Run a program in a process that finds no package of the extras."""
    done = subprocess.run(
        [sys.executable, "-c", BARE + program, *map(str, words)], capture_output=True, text=True, cwd=cwd
    )
    return done.returncode, done.stdout, done.stderr


def test_what_needs_an_extra_says_so_in_one_line(tmp_path: Path) -> None:
    shutil.copy(ROOT / "notebooks" / "A_clinical.ipynb", tmp_path / "my.ipynb")
    program = """
import shlex
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier
from somb_utils import cli
import somb_utils as somb
import somb_utils.notebook

def refused(call):
    try:
        call()
    except somb.UsageError as error:
        print("refused:", error)

models = {"logreg": "logreg", "bayes": GaussianNB(), "tree": DecisionTreeClassifier(random_state=0)}
somb.run("A1,A2", models, source="simulated", out="run", n_jobs=1)
for line in [
    "compare run --n-bootstrap 9 --n-permutations 9 --format csv",
    "compare run --n-bootstrap 9 --n-permutations 9 --out figures",
    "notebook my.ipynb", "notebook --refresh", "book", "audit tasks --data simulated --tasks A1 --format csv",
    "run --tasks A1 --data simulated --models majority --cluster local:1", "llm report nowhere", "doctor",
]:
    sys.argv = ["somb", *shlex.split(line)]
    try:
        cli.main()
        code = 0
    except SystemExit as stop:
        code = stop.code
    print("::", line, "->", code)
refused(lambda: somb.plots.scores)
refused(lambda: somb_utils.notebook.start(tasks=["A1"], models=["majority"], source="simulated"))
"""
    code, out, err = bare(program, cwd=tmp_path)
    assert code == 0 and "Traceback" not in err, err
    codes = dict(line[3:].split(" -> ") for line in out.splitlines() if line.startswith(":: "))
    assert [int(code) for code in codes.values()] == [0, 2, 2, 2, 2, 0, 2, 2, 0], (codes, err)
    assert "Friedman" not in err and "mean_rank" in out
    told = [line for line in (out + err).splitlines() if "extra book" in line]
    assert len(told) == 7 and all("pip install" in line for line in told), told
    assert "scikit-posthocs" in next(line for line in told if line.startswith("extra book"))
    assert not re.search(r"'somb-utils\[(book|dask)\]'", out + err)  # which no package index has


def test_doctor_loads_the_libraries_and_names_the_remedy(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def find_spec(self, name: str, path: object = None, target: object = None) -> None:
            if name == "lightgbm":
                raise OSError("libgomp.so.1: cannot open shared object file: No such file or directory")

    monkeypatch.delitem(sys.modules, "lightgbm", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    code, out, _ = command("doctor")
    assert code == 0 and "lightgbm" in out.splitlines()[1]
    assert "libgomp.so.1" in out.splitlines()[1] and "apt-get install libgomp1" in out.splitlines()[1]


def test_public_names_can_be_listed_and_reached() -> None:
    assert {"run", "load_task", "compare", "evaluate", "plots", "stats"} <= set(dir(somb))
    assert all(getattr(somb, name) is not None for name in dir(somb))
    assert callable(somb.compare) and callable(somb.plots.scores)
    assert (Path(somb.__file__).parent / "py.typed").is_file()
