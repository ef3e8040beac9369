"""Notebooks: pairs that agree, short cells, the same parameters, and errors that come at once and say what to do."""

import ast
import re
import sys
from dataclasses import replace
from pathlib import Path

import nbformat
import numpy as np
import pytest
from typer.testing import CliRunner

from somb_utils import notebook
from somb_utils.errors import SombError, UsageError
from somb_utils.notebook import files
from somb_utils.notebook.parameters import NAMES, check
from somb_utils.runs.folder import load_run

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.md"))
CATEGORY = [path for path in NOTEBOOKS if re.match(r"[A-J]_", path.stem)]
GOOD = {"tasks": ["A1"], "models": ["majority", "logreg"]}


def _cells(path, kind="code"):
    return [cell for cell in nbformat.read(path.with_suffix(".ipynb"), 4).cells if cell.cell_type == kind]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_text_and_notebook_of_a_pair_agree(path):
    assert files.to_text(path.with_suffix(".ipynb")) == path.read_text(encoding="utf-8"), (
        f"{path.stem}: .md and .ipynb differ; edit the .md and run: somb notebook --refresh {path.stem}"
    )


def test_every_notebook_has_both_halves():
    assert [p.stem for p in NOTEBOOKS] == sorted(p.stem for p in (ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_no_cell_is_longer_than_fifteen_lines(path):
    assert max(len(cell.source.splitlines()) for cell in _cells(path)) <= 15


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_stored_outputs_are_whole_and_of_simulated_tables(path):
    outputs = [output for cell in _cells(path) for output in cell.outputs]
    assert outputs
    assert not [output for output in outputs if output.output_type in ("error", "stream")]
    html = " ".join(output.get("data", {}).get("text/html", "") for output in outputs)
    assert path not in CATEGORY or "SIMULATED DATA" in html


@pytest.mark.parametrize("path", CATEGORY, ids=lambda p: p.stem)
def test_parameters_cell_holds_exactly_the_nine_names(path):
    (cell,) = [cell for cell in _cells(path) if "parameters" in cell.metadata.get("tags", [])]
    names = [target.id for node in ast.parse(cell.source).body for target in node.targets]
    assert sorted(names) == sorted(NAMES)


@pytest.mark.parametrize("path", CATEGORY, ids=lambda p: p.stem)
def test_default_parameters_pass_their_own_check(path):
    (cell,) = [cell for cell in _cells(path) if "parameters" in cell.metadata.get("tags", [])]
    given = {node.targets[0].id: ast.literal_eval(node.value) for node in ast.parse(cell.source).body}
    assert len(check(given).models) == 7


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"task": ["A1"]}, "unknown parameter 'task'"),
        ({"tasks": ["B1"]}, "B1 is not of this notebook, which is about A1, A2"),
        ({"tasks": ["Z9"]}, "unknown task 'Z9'"),
        ({"tasks": 5}, "parameter tasks"),
        ({"models": ["forest"]}, "unknown model 'forest'"),
        ({"models": ["no_such_module:make"]}, "cannot import no_such_module"),
        ({"model_params": {"rf": {"n_estimators": 5}}}, "parameters for 'rf', which is not among the models"),
        ({"model_params": "{broken"}, "parameter model_params"),
        ({"protocol": "other"}, "parameter protocol"),
        ({"n_bootstrap": -1}, "parameter n_bootstrap"),
        ({"seed": "x"}, "parameter seed"),
        ({"n_jobs": 0}, "parameter n_jobs"),
    ],
)
def test_bad_parameters_are_told_at_once(changed, said):
    with pytest.raises(UsageError, match=re.escape(said)):
        check({**GOOD, **changed}, ("A1", "A2"))


def test_text_from_papermill_is_read():
    given = {"tasks": '["A1"]', "models": "logreg, rf", "model_params": '{"logreg": {"C": 0.1}}', "out": None}
    checked = check(given)
    assert checked.tasks == ["A1"]
    assert checked.models == ["logreg", "rf"]
    assert checked.model_params == {"logreg": {"C": 0.1}}


def test_wildcards_name_all_tasks_of_the_notebook():
    assert check({**GOOD, "tasks": ["A*"]}).tasks == ["A1", "A2"]


@pytest.fixture
def session(tmp_path, capsys):
    return notebook.start(**GOOD, source="simulated", out=str(tmp_path / "r"), n_bootstrap=20)


def test_session_says_that_data_are_simulated(session):
    assert session.simulated
    assert "SIMULATED DATA" in session.banner().data


def test_rerun_does_nothing_new_and_gives_the_same(session):
    first = session.run().results
    again = session.run().results
    assert first.reset_index(drop=True).equals(again.reset_index(drop=True))


@pytest.mark.parametrize(("protocol", "chance", "published"), [("aligned", 0.307, 0.546), ("rigorous", 0.5, None)])
def test_scores_hold_interval_chance_and_the_published_score_of_their_metric(tmp_path, protocol, chance, published):
    session = notebook.start(**GOOD, protocol=protocol, source="simulated", out=str(tmp_path / "r"), n_bootstrap=20)
    session.run()
    row = session.scores.set_index("model").loc["logreg"]
    assert row["low"] < row["mean"] < row["high"]
    assert row["chance"] == pytest.approx(chance, abs=0.001)
    assert row["published"] == pytest.approx(published or np.nan, abs=0.001, nan_ok=True)


def test_scores_before_a_run_say_what_to_do(session):
    with pytest.raises(SombError, match=re.escape("session.run()")):
        _ = session.scores


def test_what_is_not_there_is_reported_and_the_notebook_goes_on(session, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda thing: shown.append(thing.data))
    assert session.has("A1", "clinical_cbc") and not shown
    assert not session.has("A1", "A2") and not session.has("no_such_table")
    assert "A2 is not among the tasks of this run (A1)" in shown[0]
    assert "table no_such_table is not among the simulated tables; no published table is named" in shown[1]
    with pytest.raises(SombError, match="no published table is named no_such_table"):
        session.table("no_such_table")


def test_tables_and_tasks_are_objects(session):
    assert session.table("clinical_cbc").shape[0] == len(session.task("A1").X) == 28


def test_task_without_tables_is_left_out_with_the_way_to_get_them(open_data):
    folder = str(open_data / "processed")
    made = notebook.Session(check({"tasks": ["B1", "B2"], "models": ["majority"], "source": folder}))
    assert list(made.tasks) == ["B2"]
    banner = made.banner().data
    assert "cfrna_3group_de_noleak.csv" in banner
    assert "somb data fetch --tasks B1" in banner
    assert folder not in banner


def test_notebook_runs_with_a_users_own_model_and_parameters(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests" / "helpers"))
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "helpers"))
    given = {
        "models": ["logreg", "own_models:make"],
        "model_params": {"logreg": {"C": 0.1}, "own_models:make": {"svc__C": 0.01}},
        "source": "simulated", "n_bootstrap": 20, "n_jobs": 1, "out": str(tmp_path / "results"),
    }  # fmt: skip
    out = files.execute("A", given, tmp_path / "out.ipynb", progress=False)
    said = " ".join(str(cell.get("outputs")) for cell in nbformat.read(out, 4).cells)
    assert "16 fold jobs done" in said
    assert "interval" in said
    assert (tmp_path / "results" / "predictions").is_dir()


def test_unknown_parameter_fails_before_anything_runs(tmp_path):
    with pytest.raises(UsageError, match=re.escape("unknown parameter 'n_boot'; A_clinical.ipynb takes")):
        files.execute("A", {"n_boot": 3}, tmp_path / "out.ipynb", progress=False)
    assert not (tmp_path / "out.ipynb").exists()


def test_bad_value_fails_before_anything_runs(tmp_path):
    with pytest.raises(UsageError, match="unknown model 'forest'"):
        files.execute("A", {"models": ["forest"]}, tmp_path / "out.ipynb", progress=False)
    assert not (tmp_path / "out.ipynb").exists()


def test_failing_cell_is_named_and_what_ran_is_kept(tmp_path):
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in ("x = 1", "# why\nx / 0")])
    nbformat.write(made, tmp_path / "own.ipynb")
    with pytest.raises(SombError, match=re.escape("cell 2 of own.ipynb failed")):
        files.execute(str(tmp_path / "own.ipynb"), {}, tmp_path / "out.ipynb", progress=False)
    assert nbformat.read(tmp_path / "out.ipynb", 4).cells


def test_notebook_is_never_overwritten():
    with pytest.raises(UsageError, match="is the notebook itself"):
        files.execute("A", {}, ROOT / "notebooks" / "A_clinical.ipynb")


def test_unknown_notebook_names_those_there_are():
    with pytest.raises(UsageError, match="no notebook 'Q'; there are A_clinical"):
        files.notebook_path("Q")


def test_command_tells_an_unknown_model(tmp_path, monkeypatch):
    from somb_utils.cli import app

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    result = CliRunner().invoke(app, ["notebook", "A", "--models", "forest", "--data", "simulated"])
    assert isinstance(result.exception, UsageError)
    assert "unknown model 'forest'" in str(result.exception)
    assert list(tmp_path.iterdir()) == []


def _own(tmp_path, *cells):
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in cells])
    nbformat.write(made, tmp_path / "own.ipynb")
    return str(tmp_path / "own.ipynb")


def test_kernel_that_dies_is_told_with_its_cell_and_what_ran_is_kept(tmp_path):
    own = _own(tmp_path, "print('before')", "import os\nos.kill(os.getpid(), 9)", "x = 1")
    with pytest.raises(SombError, match=re.escape("the kernel died in cell 2 (import os) of own.ipynb")):
        files.execute(own, {}, tmp_path / "out.ipynb", progress=False)
    assert "before" in str(nbformat.read(tmp_path / "out.ipynb", 4).cells[0].outputs)


def test_kernel_that_is_not_there_is_told(tmp_path, monkeypatch):
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    def none(self, name):
        raise NoSuchKernel(name)

    monkeypatch.setattr(KernelSpecManager, "get_kernel_spec", none)
    with pytest.raises(SombError, match=r"own\.ipynb cannot be executed: .*python3"):
        files.execute(_own(tmp_path, "x = 1"), {}, tmp_path / "out.ipynb", progress=False)


@pytest.mark.parametrize("place", ["/proc/x/y.ipynb", "/proc/y.ipynb", "file/y.ipynb"])
def test_output_that_cannot_be_written_is_told_before_anything_runs(tmp_path, place):
    (tmp_path / "file").write_text("")
    with pytest.raises(SombError, match=r"cannot write .*y\.ipynb"):
        files.execute(_own(tmp_path, "x = 1"), {}, tmp_path / place, progress=False)


def test_file_that_is_no_notebook_is_told(command, tmp_path):
    (tmp_path / "broken.ipynb").write_text("{")
    code, _, err = command("notebook", "broken.ipynb")
    assert code == 1 and "broken.ipynb is not a readable notebook" in err


def test_names_and_reasons_are_shown_as_they_are(session, monkeypatch):
    from somb_utils.notebook.display import Bar, literal, note

    shown = []
    monkeypatch.setattr("IPython.display.display", lambda thing, **_: shown.append(thing.data))
    note("TypeError: <class 'float'> & more")
    bar = Bar()
    bar.start(1, 1.0)
    assert "TypeError: &lt;class &#x27;float&#x27;&gt; &amp; more" in shown[0]
    assert "<b>" not in bar._html("A1 <b>net</b>").data
    assert literal("svc[rbf]") == r"svc\[rbf\]" and literal("logreg") == "logreg"


def test_other_data_get_another_folder_of_finished_folds(tmp_path, monkeypatch):
    monkeypatch.setenv("SOMB_CACHE", str(tmp_path))
    first = notebook.start(tasks=["A1"], models=["majority"], source="simulated")
    other = notebook.start(tasks=["A1"], models=["majority"], source="simulated")
    data = other.tasks["A1"]
    changed = replace(data, X=data.X + 1)
    other.tasks = {"A1": changed}
    first.run(), other.run(), first.run()
    folders = sorted((tmp_path / "notebooks").iterdir())
    assert len(folders) == 2 and all(folder.name.startswith("Clinical-simulated-rigorous-") for folder in folders)
    hashes = {load_run(folder).provenance["tasks"]["A1/rigorous"]["data_sha256"] for folder in folders}
    assert hashes == {data.fingerprint, changed.fingerprint}


def test_models_are_read_as_run_reads_them(command, monkeypatch):
    given = {}
    monkeypatch.setattr(
        "somb_utils.notebook.files.execute", lambda name, parameters, out: given.update(parameters) or out
    )
    assert command("notebook", "A", "--models", "majority, logreg", "--tasks", "A1, A2")[0] == 0
    assert given["models"] == ["majority", "logreg"] and given["tasks"] == ["A1", "A2"]
    assert "protocol" not in given  # the notebook's own, such as the audit's, which is aligned
    assert command("notebook", "A", "--protocol", "published")[0] == 0 and given["protocol"] == "published"
