"""Data faults met in use: each is refused in words, or gives the right numbers."""

import json
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import somb_utils as somb
from somb_utils.errors import SombError, UsageError, printable
from somb_utils.paths import replacing
from somb_utils.tables.derive import derive
from somb_utils.tables.registry import open_folder
from somb_utils.tables.simulate import SIMULATED, simulate_table
from somb_utils.tables.sources import SimulatedSource, resolve_source
from somb_utils.tasks.definitions import get_task, read_task
from somb_utils.tasks.splits import Fold
from somb_utils.tasks.task_data import TaskData

Command = Callable[..., tuple[int, str, str]]
ROOT = Path(__file__).parents[2]

SOURCE = SimulatedSource()


def tables(task: str) -> dict[str, pd.DataFrame]:
    return {name: SOURCE.load(name) for name in get_task(task).tables}


@pytest.mark.parametrize(
    ("task", "table", "column", "text"),
    [
        *(("D1", "metabolomics_spaceflight_response", "RT", text) for text in ("<0.5", "1,234", "1_000", "nan", " ")),
        ("A1", "clinical_cbc", -1, "12,5"),
        ("C1", "proteomics_plasma_matrix", -1, "12,5"),
        ("D1", "metabolomics_spaceflight_response", "Mass", "12,5"),
        ("E1", "gt_spatial_de_outer_epidermis", "adj_pval", "12,5"),
        ("F1", "microbiome_human_taxonomy_cpm", -1, "12,5"),
        ("G1", "proteomics_plasma_matrix", -1, "12,5"),
        ("G1", "metabolomics_anppos_matrix", -1, "12,5"),
        ("G1", "clinical_cbc", "timepoint_days", "12,5"),
        ("C2", "proteomics_evp_de_clean", "logFC", "12,5"),
        ("H1", "conserved_pbmc_to_skin", "B", "12,5"),
    ],
)
def test_text_in_a_column_of_numbers_is_refused(task: str, table: str, column: Any, text: str) -> None:
    given = tables(task)
    name = given[table].columns[column] if isinstance(column, int) else column
    values = given[table][name].astype(object)
    values.iloc[3] = text
    given[table] = given[table].assign(**{name: values})
    with pytest.raises(SombError) as error:
        somb.load_task(task, source=given)
    for part in (f"{table}.csv, row 5 (", f"column '{name}'", repr(text), "is not a number"):
        assert part in str(error.value)


def test_a_blank_value_stays_zero_where_the_definition_says_so() -> None:
    given = tables("C1")
    name = "proteomics_plasma_matrix"
    column = given[name].columns[-1]
    given[name] = given[name].assign(**{column: given[name][column].where(given[name].index != 3)})
    assert somb.load_task("C1", "aligned", given).X[column].min() == 0
    assert somb.load_task("C1", "rigorous", given).X[column].isna().sum() == 1, "a gap stays a gap"


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("features", "columns"),
        ("features", "id"),
        ("classes", "classes"),
        ("metrics", "metrics"),
        ("missions", "missions"),
        ("ablations", "ablations"),
    ],
)
def test_a_definition_that_repeats_a_name_is_refused(part: str, name: str) -> None:
    value = json.loads(get_task("B1" if part == "ablations" else "H1").model_dump_json())
    if name == "columns":
        value["features"]["columns"].append(value["features"]["columns"][0])
    elif name == "id":
        value["features"]["columns"].append(value["features"]["id"])
    elif part == "metrics":
        value["metrics"]["secondary"].append(value["metrics"]["primary"])
    elif part == "ablations":
        first = next(iter(value["ablations"]))
        value["ablations"][first] *= 2
    else:
        value[part] = [value[part][0]] * 2
    with pytest.raises(SombError, match=r"mine is not a valid task definition: .* more than once"):
        read_task(json.dumps(value), "mine")


def test_a_repeated_category_is_refused() -> None:
    value = json.loads(get_task("D1").model_dump_json())
    value["features"]["categorical"] *= 2
    with pytest.raises(SombError, match="features names 'SuperPathway' more than once"):
        read_task(json.dumps(value), "mine")


@pytest.fixture
def cache(open_data: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return a download cache that holds A1's tables alone."""
    monkeypatch.setenv("SOMB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SOMB_DATA", raising=False)
    folder = open_folder()
    folder.mkdir(parents=True)
    for name in get_task("A1").tables:
        (folder / f"{name}.csv").write_bytes((open_data / "processed" / f"{name}.csv").read_bytes())
    return folder


def test_auto_uses_the_cached_tables_of_the_tasks_chosen(cache: Path, command: Command) -> None:
    words = ("run", "--models", "majority", "--jobs", 1, "--out", "run")
    code, _, err = command(*words, "--tasks", "A1")
    assert code == 0 and err.startswith(f"data: open tables in {cache}\n")
    code, _, err = command(*words, "--tasks", "A1,C2", "--out", "both")
    assert "NOTE: 2 of the 4 real tables are in the download cache, so SIMULATED tables" in err
    assert "somb data fetch --tasks C2`" in err and "`--data open` runs the tasks whose tables are there" in err
    assert somb.load_task("A1").provenance["source"] == "open"
    assert somb.load_task("C2").provenance["source"] == "simulated"
    assert "2 of 2 tables are available" in command("data", "status", "--tasks", "A1")[1]
    assert "2 of 4 tables are available" in command("data", "status", "--tasks", "A1,C2")[1]
    assert "2 of 2 tables in" in command("data", "verify")[1]


def test_the_advice_for_a_folder_of_ones_own_does_not_lead_back(
    cache: Path, command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "clinical_cmp.csv").write_bytes((cache / "clinical_cmp.csv").read_bytes())
    monkeypatch.setenv("SOMB_DATA", str(folder))
    words = ("run", "--models", "majority", "--jobs", 1, "--tasks", "A1")
    code, _, err = command(*words)
    assert code == 1 and f"clinical_cbc.csv is not among the open tables in {folder}; put https://" in err
    assert "/clinical_cbc.csv into that folder; or unset SOMB_DATA" in err
    content = (cache / "clinical_cbc.csv").read_bytes()
    (folder / "clinical_cbc.csv").write_bytes(b"\xef\xbb\xbf" + content.replace(b"\n", b"\r\n"))
    code, _, err = command(*words)
    assert code == 1 and "clinical_cbc.csv has a byte order mark and other line ends; but for that it is the" in err
    assert command("data", "verify", "--tasks", "A1")[0] == 1
    out = command("data", "status", "--tasks", "A1")[1]
    assert "1 of 2 tables are available" in out and "differs" in out
    (folder / "clinical_cbc.csv").write_bytes(content)
    assert command(*words)[0] == 0


@pytest.mark.parametrize("damage", [lambda a, b: b"", lambda a, b: a[:-9] + b"\0" + a[-8:], lambda a, b: b])
def test_a_damaged_or_swapped_simulated_table_is_made_again(
    damage: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SOMB_CACHE", str(tmp_path))
    table = SimulatedSource().load("clinical_cbc")
    SimulatedSource(seed=7).load("clinical_cbc")
    files = sorted((tmp_path / "simulated").glob("clinical_cbc-*.parquet"))
    contents = [file.read_bytes() for file in files]
    for file, content, other in zip(files, contents, reversed(contents), strict=True):
        file.write_bytes(damage(content, other))
    pd.testing.assert_frame_equal(SimulatedSource().load("clinical_cbc"), table)
    SimulatedSource(seed=7).load("clinical_cbc")
    assert [file.read_bytes() for file in files] == contents


def test_simulated_tables_need_no_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SOMB_CACHE", str(tmp_path / "file" / "cache"))
    assert len(somb.load_task("A1", source="simulated").X) == 28


def test_a_cache_that_cannot_be_written_is_replaced_for_the_process(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code = "from somb_utils.paths import writable_cache_dir as w; assert w() is w(); print(w(), w().is_dir())"
    environment = {"SOMB_CACHE": str(tmp_path / "file" / "cache"), "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    folder, there = done.stdout.split()
    assert there == "True" and not Path(folder).exists()
    assert "Set SOMB_CACHE to a folder that can" in done.stderr


def test_kernels_run_without_a_place_for_compiled_code(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code = (
        "import numba.core.caching as c; c.CacheImpl._locator_classes = []\n"
        "import numpy as np; from somb_utils.stats import kernels as k\n"
        "z = np.array([3, 2, 3, 2])\n"
        "print(k.fold_scores(k.AUROC, 2, np.array([0, 4]), z, z, z))"
    )
    environment = {"PYTHONPATH": str(ROOT), "HOME": str(tmp_path / "file")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "[0.75]\n"), done.stderr


@pytest.mark.parametrize(
    ("n_features", "n_crew", "effect", "n_timepoints"),
    [(1, 2, 0.0, 3), (2, 2, 1.0, 3), (5, 3, 20.0, 7), (40, 2, 0.0, 10)],
)
def test_simulated_tables_are_finite_and_warn_of_nothing(
    n_features: int, n_crew: int, effect: float, n_timepoints: int
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in SIMULATED:
            table = simulate_table(name, n_features=n_features, n_crew=n_crew, effect=effect, n_timepoints=n_timepoints)
            assert len(table) and not np.isinf(table.select_dtypes("number").to_numpy(float)).any(), name
            if name == "gt_cfrna_correlation":
                assert not table.isna().any(axis=None)


@pytest.mark.parametrize("setting", [{"effect": 1e308}, {"effect": float("nan")}])
def test_settings_out_of_range_are_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="but must be"):
        simulate_table("clinical_cbc", **setting)


def test_a_task_and_a_table_of_ones_own() -> None:
    value = json.loads(get_task("A1").model_dump_json())
    mine = read_task(
        json.dumps({**value, "id": "my-Task_1", "features": {**value["features"], "tables": ["my_blood"]}}), "m"
    )
    data = somb.load_task(mine, source={"my_blood": SOURCE.load("clinical_cbc")})
    assert data.name == "my-Task_1" and data.X.shape == (28, 20)
    with pytest.raises(
        SombError, match=r"my_blood\.csv is not among .* no published table is named my_blood: name the folder"
    ):
        somb.load_task(mine, source="simulated")
    for name in ("", "1a", "a b", "../a", "a" * 65):
        with pytest.raises(SombError, match="not a valid task definition: id"):
            read_task(json.dumps({**value, "id": name}), "m")


def _folds(data: TaskData, *labels: Any) -> tuple[Fold, ...]:
    return tuple(replace(fold, label=label) for fold, label in zip(data.folds, labels, strict=False))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: {"folds": _folds(d, 0)}, "labels must be text"),
        (lambda d: {"folds": _folds(d, "a", "a")}, "labels must be unique, but 'a' is duplicated"),
        (lambda d: {"folds": ()}, "there is no fold"),
        (
            lambda d: {"folds": (Fold("a", np.arange(7), np.arange(6, 9)),)},
            "more than once, or tests on a training row",
        ),
        (lambda d: {"folds": (Fold("a", np.arange(9), np.arange(9, 99)),)}, "names a row that is not among the 28"),
        (lambda d: {"folds": (Fold("a", np.arange(20), np.arange(20, 28)),)}, r"rows of one group \(crew\)"),
        (lambda d: {"X": d.X.set_axis(range(d.X.shape[1]), axis=1)}, r"\(X.columns\) must be text"),
        (
            lambda d: {part: getattr(d, part).set_axis(range(28)) for part in ("X", "y", "groups", "days")},
            r"\(X.index\) must be text",
        ),
        (lambda d: {"X": d.X.replace(d.X.iloc[0, 0], np.inf)}, "is infinite"),
        (lambda d: {"X": d.X.astype(str)}, "features must be numbers"),
        (lambda d: {"y": d.y.replace("in_flight", "else").replace("pre_flight", "other")}, "is not one of"),
        (lambda d: {"y": d.y.iloc[::-1]}, "on different rows"),
        (
            lambda d: {"groups": d.groups.map({g: i for i, g in enumerate(sorted(set(d.groups)))})},
            "groups must be text",
        ),
    ],
)
def test_task_data_that_cannot_be_fitted_is_refused(change: Any, message: str) -> None:
    data = somb.load_task("A1", source=SOURCE)
    with pytest.raises(UsageError, match=message):
        replace(data, **change(data)).check()


def test_the_fingerprint_covers_groups_and_labels_of_folds() -> None:
    data = somb.load_task("A1", source=SOURCE)
    other = [
        replace(data, groups=data.groups + "x"),
        replace(data, folds=(replace(data.folds[0], label="x"), *data.folds[1:])),
        replace(data, y=data.y.where(data.y.index != data.y.index[0], data.y.iloc[-1])),
        replace(data, X=data.X + 1),
    ]
    assert len({data.fingerprint, *(each.fingerprint for each in other)}) == 5 - (data.y.iloc[0] == data.y.iloc[-1])


def test_messages_cannot_steer_a_terminal() -> None:
    table = SOURCE.load("clinical_cbc")
    column = "\x1b[31mred\u202e"
    with pytest.raises(SombError) as error:
        somb.load_table("clinical_cbc", {"clinical_cbc": table.assign(**{column: [["x"]] * len(table)})})
    assert "\\x1b[31mred\\u202e" in str(error.value) and str(error.value).isprintable()
    assert str(SombError("a\x07\nb")) == "a\\x07\nb" and len(printable("a" * 999)) == 200


def test_a_file_is_synced_before_it_takes_its_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    done: list[str] = []
    monkeypatch.setattr("os.fsync", lambda handle: done.append("sync"))
    monkeypatch.setattr(Path, "replace", lambda self, target: done.append("rename"))
    with replacing(tmp_path / "file") as temporary:
        temporary.write_text("text")
    assert done == ["sync", "rename", "sync"]


def test_a_change_of_the_folder_moves_no_source(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOMB_DATA", "tables")
    source = resolve_source()
    monkeypatch.chdir("/")
    assert source.folders == (tmp_path / "tables",)  # type: ignore[attr-defined]


def test_text_among_numbers_is_no_traceback_when_a_table_is_derived() -> None:
    given = {name: SOURCE.load(name) for name in ("metabolomics_de", "metabolomics_anppos_matrix")}
    given["metabolomics_de"] = given["metabolomics_de"].astype({"adj_pval": object})
    given["metabolomics_de"].loc[0, "adj_pval"] = "0,05"
    with pytest.raises(SombError, match=r"metabolomics_spaceflight_response cannot be derived: .* text among numbers"):
        derive("metabolomics_spaceflight_response", given.__getitem__)
