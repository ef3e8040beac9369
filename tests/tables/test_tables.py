"""Table sources: verified, checked, and never silently something else."""

import os
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from somb_utils.errors import SombError, UsageError
from somb_utils.tables import sources as tables
from somb_utils.tables.checks import read_csv
from somb_utils.tables.registry import table_info
from somb_utils.tables.sources import FolderSource, SimulatedSource, load_table, resolve_source
from somb_utils.tasks.task_data import load_task


@pytest.fixture
def folder(open_data: Path, tmp_path: Path) -> Path:
    for name in ("clinical_cbc", "clinical_cmp"):
        shutil.copy(open_data / "processed" / f"{name}.csv", tmp_path)
    return tmp_path


def test_a_verified_folder_loads(folder: Path) -> None:
    assert load_table("clinical_cbc", folder).shape == (28, 27)


def test_a_missing_table_names_file_and_remedy(folder: Path) -> None:
    (folder / "clinical_cmp.csv").rename(folder / "clinical_CMP2.csv")
    with pytest.raises(SombError, match=r"A1: clinical_cmp\.csv is not among .*somb data fetch --tasks A1"):
        load_task("A1", source=folder)


def test_a_truncated_table_names_sizes(folder: Path) -> None:
    file = folder / "clinical_cbc.csv"
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(SombError, match=r"clinical_cbc\.csv is truncated: .*somb data fetch"):
        load_task("A1", source=folder)


def test_a_tampered_table_is_refused(folder: Path) -> None:
    file = folder / "clinical_cbc.csv"
    file.write_bytes(file.read_bytes().replace(b"14.7", b"15.7", 1))
    with pytest.raises(SombError, match=r"clinical_cbc\.csv is not the published table: its SHA-256"):
        load_task("A1", source=folder)


def test_repeated_and_empty_identifiers_are_named() -> None:
    table = SimulatedSource().load("clinical_cbc")
    twice = pd.concat([table, table.iloc[[4]]], ignore_index=True)
    with pytest.raises(SombError, match=r"clinical_cbc\.csv: row 30 repeats the identifier C001_R\+194"):
        load_table("clinical_cbc", {"clinical_cbc": twice})
    empty = table.assign(sample_id=table["sample_id"].where(table.index != 2))
    with pytest.raises(SombError, match=r"clinical_cbc\.csv: row 4 has no sample_id"):
        load_table("clinical_cbc", {"clinical_cbc": empty})
    with pytest.raises(SombError, match="identifier column 'sample_id' is missing"):
        load_table("clinical_cbc", {"clinical_cbc": table.drop(columns="sample_id")})


def test_unknown_names_are_usage_errors(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown table 'blood'"):
        load_table("blood", tmp_path)
    with pytest.raises(UsageError, match="neither simulated, open, auto nor a folder"):
        resolve_source(str(tmp_path / "nowhere"))


def test_auto_prefers_the_named_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SOMB_DATA", str(tmp_path))
    assert resolve_source() == FolderSource(tmp_path)
    monkeypatch.setenv("SOMB_DATA", str(tmp_path / "gone"))
    with pytest.raises(UsageError, match="SOMB_DATA names"):
        resolve_source()


def test_several_folders_are_searched_by_name_and_by_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    info = table_info("mouse_eye_RR-1_hallmark")
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    (second / info.path).parent.mkdir(parents=True)
    (second / info.path).write_text("x")
    monkeypatch.setenv("SOMB_DATA", f"{first}{os.pathsep}{second}")
    source = resolve_source()
    assert source == FolderSource(first, second) and source.has(info.name) and not source.has("clinical_cbc")
    with pytest.raises(SombError, match=f"{re.escape(info.path)} is truncated"):
        source.load(info.name)
    (first / info.file).write_text("y" * 10)
    with pytest.raises(SombError, match=f"{re.escape(info.file)} is truncated: 10 bytes"):
        source.load(info.name)
    with pytest.raises(SombError, match=r"clinical_cbc\.csv is missing"):
        source.load("clinical_cbc")
    with pytest.raises(UsageError, match=f"SOMB_DATA names '{re.escape(str(tmp_path / 'gone'))}'"):
        monkeypatch.setenv("SOMB_DATA", f"{first}{os.pathsep}{tmp_path / 'gone'}")
        resolve_source()


def test_auto_without_tables_says_once_that_they_are_simulated(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("SOMB_DATA", raising=False)
    monkeypatch.setenv("SOMB_CACHE", str(tmp_path))
    monkeypatch.setattr(tables, "_said", set())
    assert resolve_source().kind == "simulated"
    assert resolve_source().kind == "simulated"
    assert capsys.readouterr().err.count("SIMULATED tables are used") == 1
    with pytest.raises(SombError, match="somb data fetch"):
        resolve_source("open")


def test_an_identifier_that_reads_na_stays_text(open_data: Path, tmp_path: Path) -> None:
    info = tables.table_info("cross_mission_gene_de")
    file = tmp_path / info.file
    file.write_text("gene,label\nNA,1\nA1BG,0\n", encoding="utf-8")
    assert read_csv(file, info)["gene"].tolist() == ["NA", "A1BG"]


def test_simulated_tables_come_from_the_cache_the_second_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SOMB_CACHE", str(tmp_path))
    first = SimulatedSource().load("clinical_cbc")
    files = list((tmp_path / "simulated").glob("clinical_cbc-*.parquet"))
    assert len(files) == 1
    pd.testing.assert_frame_equal(SimulatedSource().load("clinical_cbc"), first)
    assert SimulatedSource(seed=7).fingerprint("clinical_cbc") != SimulatedSource().fingerprint("clinical_cbc")
