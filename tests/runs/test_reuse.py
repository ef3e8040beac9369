"""A finished fold is used again only for the same model, data and code; its file is believed only if it is intact."""

import importlib
import math
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

import somb_utils as somb
from somb_utils.errors import SombError, UsageError

WEAK, STRONG = "1e-6", "1.0"  # so regularised that it predicts the commonest class; as usual
IMPORT = "from sklearn.linear_model import LogisticRegression\n\n"
NET = IMPORT + "STRENGTH = {C}\n\ndef build():\n    return LogisticRegression(C=STRENGTH)\n"
HERE, IN_A_WORKER = None, math.inf  # limits of time: with none at all, a single job is done in this process


def score(model: Any, out: Path | None, **options: Any) -> float:
    table = somb.run("A1", {"mine": model}, source="simulated", out=out, **{"n_jobs": 1, **options}).summary(20)
    return round(float(table["mean"][0]), 6)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a folder to import from, as a user's own."""
    folder = tmp_path / "project"
    (folder / "pk").mkdir(parents=True)
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    forget()


def forget() -> None:
    """Import the user's modules anew, as another process does."""
    for name in [name for name in sys.modules if name.partition(".")[0] in ("pk", "side", "weights")]:
        del sys.modules[name]
    importlib.invalidate_caches()


def write(project: Path, **files: str) -> None:
    for name, text in files.items():
        (project / f"{name.replace('__', '/')}.py").write_text(text)
    if not (project / "pk" / "__init__.py").exists():
        (project / "pk" / "__init__.py").write_text("")
    importlib.invalidate_caches()


EDITS: dict[str, Callable[[str], dict[str, str]]] = {
    "a helper of the package": lambda C: {
        "pk__models": "from pk.net import build as make\n",
        "pk__net": NET.format(C=C),
    },
    "a helper imported when called": lambda C: {
        "pk__models": "def make():\n    from side import build\n    return build()\n",
        "side": NET.format(C=C),
    },
    "a module of constants": lambda C: {
        "pk__models": "from pk import net\nfrom side import C\n\ndef make():\n    return net.build(C)\n",
        "pk__net": IMPORT + "def build(C):\n    return LogisticRegression(C=C)\n",
        "side": f"C = {C}\n",
    },
    "a method of a base class": lambda C: {
        "pk__models": "from side import Base\n\nclass Model(Base):\n    pass\n\nmake = Model\n",
        "side": "from sklearn.linear_model import LogisticRegression\n\nclass Base(LogisticRegression):\n"
        f"    def fit(self, X, y):\n        self.C = {C}\n        return super().fit(X, y)\n",
    },
}


@pytest.mark.parametrize("files", EDITS.values(), ids=EDITS)
def test_an_edited_file_gives_the_new_score_in_another_process_and_a_refusal_in_this_one(
    files: Callable[[str], dict[str, str]], project: Path, tmp_path: Path
) -> None:
    truth = {C: score(LogisticRegression(C=float(C)), None) for C in (WEAK, STRONG)}
    assert truth[WEAK] != truth[STRONG]
    write(project, **files(WEAK))
    assert score("pk.models:make", tmp_path / "run") == truth[WEAK]
    write(project, **files(STRONG))
    with pytest.raises(UsageError, match=r"model 'mine': .*\.py was edited after it was imported"):
        score("pk.models:make", tmp_path / "run")
    forget()
    assert score("pk.models:make", tmp_path / "run") == truth[STRONG]
    write(project, **files(WEAK))
    forget()
    counts: list[int] = []
    assert score("pk.models:make", tmp_path / "run", on_start=lambda jobs, _: counts.append(jobs)) == truth[WEAK]
    assert counts == [0]  # the first text's folds are still there


def test_an_edit_before_the_first_run_is_noticed_and_a_reloaded_module_is_as_good_as_a_new_one(
    project: Path, tmp_path: Path
) -> None:
    write(project, pk__net=NET.format(C=WEAK))
    net = importlib.import_module("pk.net")
    before = net.build
    write(project, pk__net=NET.format(C=STRONG).replace("def build():", "def build():\n    # as usual"))
    with pytest.raises(UsageError, match=r"net\.py was edited after it was imported"):
        score(net.build, tmp_path / "run")
    importlib.reload(net)
    expected = score(LogisticRegression(C=float(STRONG)), None)
    assert score(net.build, tmp_path / "run") == expected
    for timeout in (HERE, IN_A_WORKER):  # the first text's function runs on the second's constants, and is not kept
        assert score(before, tmp_path / "run", timeout=timeout) == expected


def test_a_worker_fits_the_code_of_now_after_a_reload(project: Path, tmp_path: Path) -> None:
    for C in (WEAK, STRONG):
        write(project, pk__net=NET.format(C=C))
        net = importlib.reload(importlib.import_module("pk.net"))
        assert score(net.build, tmp_path / "run", timeout=IN_A_WORKER) == score(LogisticRegression(C=float(C)), None)


TYPED = """
    import somb_utils as somb
    from sklearn.linear_model import LogisticRegression
    def make():
        return LogisticRegression(C=1e-6)
    class Model(LogisticRegression):
        def fit(self, X, y):
            self.C = 1e-6
            return super().fit(X, y)
    def scores(timeout):
        models = {"function": make, "class": Model, "object": Model(), "lambda": lambda: make()}
        run = somb.run("A1", models, source="simulated", n_jobs=1, timeout=timeout, out="run")
        print(*run.summary(20).set_index("model")["mean"][list(models)].round(6))
    for timeout in (None, float("inf")):
        scores(timeout)
        exec(TEXT)
        scores(timeout)
        exec(TEXT.replace("1.0", "1e-6"))
"""
RETYPED = """
def make():
    return LogisticRegression(C=1.0)
class Model(LogisticRegression):
    def fit(self, X, y):
        self.C = 1.0
        return super().fit(X, y)
"""


def test_code_that_was_typed_in_is_never_used_again(tmp_path: Path) -> None:
    program = f"TEXT = {RETYPED!r}\n{textwrap.dedent(TYPED)}"
    done = subprocess.run([sys.executable, "-"], input=program, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    weak, strong = (score(LogisticRegression(C=float(C)), None) for C in (WEAK, STRONG))
    assert [float(line) for line in done.stdout.split()] == 2 * (4 * [weak] + 4 * [strong])
    assert not list((tmp_path / "run").glob("jobs/*"))


def test_a_method_replaced_from_a_notebook_is_not_taken_for_the_file_s(project: Path, tmp_path: Path) -> None:
    base = "from sklearn.linear_model import LogisticRegression\n\nclass Model(LogisticRegression):\n"
    write(project, pk__net=f"{base}    def fit(self, X, y):\n        return super().fit(X, y)\n")
    net = importlib.import_module("pk.net")
    strong = score(net.Model, tmp_path / "run")
    typed: dict[str, Any] = {"LogisticRegression": LogisticRegression}
    exec(
        compile(
            "def fit(self, X, y):\n    self.C = 1e-6\n    return LogisticRegression.fit(self, X, y)\n",
            "<cell 3>",
            "exec",
        ),
        typed,
    )
    net.Model.fit = typed["fit"]
    assert score(net.Model, tmp_path / "run") == score(LogisticRegression(C=1e-6), None) != strong


def test_a_factory_that_looks_around_is_judged_by_what_it_makes(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = IMPORT + "import os\n\ndef make():\n    return LogisticRegression(C=float(os.environ['STRENGTH']))\n"
    write(project, pk__net=text)
    for C in (WEAK, STRONG):
        monkeypatch.setenv("STRENGTH", C)
        assert score("pk.net:make", tmp_path / "run") == score(LogisticRegression(C=float(C)), None)


def test_parameters_count_to_their_last_element(project: Path, tmp_path: Path) -> None:
    write(
        project,
        pk__net="from sklearn.linear_model import LogisticRegression\n\nclass Model(LogisticRegression):\n"
        "    def __init__(self, table=None):\n        super().__init__()\n        self.table = table\n"
        "    def fit(self, X, y):\n        self.C = self.table[1500]\n        return super().fit(X, y)\n",
    )
    for C in (WEAK, STRONG):
        table = np.full(3000, 7.0)
        table[1500] = float(C)
        for given in ({"model_params": {"mine": {"table": table}}}, {}):
            net = importlib.import_module("pk.net")
            model = net.Model if given else net.Model(table=table)
            assert score(model, tmp_path / "run", **given) == score(LogisticRegression(C=float(C)), None)
        told = somb.load_run(tmp_path / "run").provenance["models"]
        assert len({entry["target"] for entry in told}) == 1


def test_params_are_told_in_full_or_with_their_hash(project: Path, tmp_path: Path) -> None:
    write(project, pk__net="from sklearn.linear_model import LogisticRegression as Model\n")
    hashes = set()
    for last in (1.0, 2.0):
        weights = {"class_weight": {0: 1.0, 1: 1.0, 2: last}, "C": 0.5}
        result = somb.run(
            "A1", {"mine": LogisticRegression}, model_params={"mine": weights}, source="simulated", n_jobs=1
        )
        (told,) = result.provenance["models"]
        assert told["params"] == {"class_weight": repr(weights["class_weight"]), "C": "0.5"}
        assert told["target"] == "sklearn.linear_model._logistic:LogisticRegression"
        hashes.add(told["run"])
    assert len(hashes) == 2


def damaged(kind: str, file: Path, other: Path) -> None:
    if kind == "swapped":
        file.write_bytes(other.read_bytes())
    elif kind == "empty":
        file.write_bytes(b"")
    elif kind == "cut":
        file.write_bytes(file.read_bytes()[:60])
    else:
        with np.load(file) as saved:
            arrays = {name: saved[name] for name in saved.files}
        if kind == "edited":
            arrays["values"] = arrays["values"] + 0.1
        elif kind == "pickle":
            arrays["values"] = np.array([{}], dtype=object)
        elif kind == "of another form":
            arrays = {"values": np.zeros(3)}
        np.savez(file, **arrays)


@pytest.mark.parametrize("kind", ["swapped", "empty", "cut", "edited", "pickle", "of another form"])
def test_a_fold_file_that_is_not_what_was_stored_is_fitted_again(kind: str, tmp_path: Path) -> None:
    counts: list[int] = []
    options: dict[str, Any] = {"source": "simulated", "n_jobs": 1, "out": tmp_path}
    options["on_start"] = lambda jobs, cost: counts.append(jobs)
    first = somb.run("A1", "logreg", **options)
    files = sorted((tmp_path / "jobs").glob("*.npz"))
    damaged(kind, files[0], files[1])
    (tmp_path / "provenance.json").unlink()  # else the results that the folder holds are complete, and none is read
    again = somb.run("A1", "logreg", **options)
    assert counts == [4, 1]
    pd.testing.assert_frame_equal(first.results, again.results, check_exact=True)
    pd.testing.assert_frame_equal(first.predictions, again.predictions, check_exact=True)


def test_changed_results_are_noticed(tmp_path: Path) -> None:
    somb.run("A1", "majority", source="simulated", n_jobs=1, out=tmp_path)
    table = pd.read_parquet(tmp_path / "results.parquet")
    table.assign(value=0.99).to_parquet(tmp_path / "results.parquet")
    with pytest.raises(SombError, match=r"results\.parquet was changed after the run wrote it"):
        somb.load_run(tmp_path)


@pytest.mark.parametrize("timeout", [HERE, IN_A_WORKER])
def test_a_file_that_is_edited_during_the_run_stops_it(timeout: float | None, project: Path, tmp_path: Path) -> None:
    edits = "        with open(__file__, 'a') as file:\n            file.write('# edited\\n')\n"
    fit = f"    def fit(self, X, y):\n{edits}        return super().fit(X, y)\n"
    write(project, pk__net=f"{IMPORT}class Model(LogisticRegression):\n{fit}")
    with pytest.raises(SombError, match=r"module pk\.net is not what it was when the run was started"):
        score("pk.net:Model", tmp_path / "run", timeout=timeout)
    assert not list((tmp_path / "run").glob("jobs/*"))
