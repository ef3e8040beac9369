"""Submissions: an honest one passes, and each kind of tampering is refused with its reason."""

import contextlib
import json
import re
import shutil
import stat
import struct
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import somb_utils as somb
from somb_utils.errors import SombError, UsageError
from somb_utils.leaderboard import archive, submission
from somb_utils.leaderboard import board as leaderboard
from somb_utils.leaderboard import register as listing
from somb_utils.leaderboard.entries import entries, table
from somb_utils.leaderboard.model_card import TEMPLATE, Card, read_card
from somb_utils.notebook.parameters import check
from somb_utils.predictions import parquet_form
from somb_utils.tables.sources import FolderSource

CARD = {
    "name": "Ridge of Ada",
    "authors": ["Ada Lovelace"],
    "contact": "ada@example.org",
    "licence": "MIT",
    "description": "Logistic regression, fitted on each fold.",
    "training_data": "none",
    "tuning": "none",
}
Members = dict[str, bytes]
Command = Callable[..., tuple[int, str, str]]
in_process = pytest.mark.usefixtures("no_process")


@pytest.fixture(scope="module")
def folder(open_data: Path) -> Path:
    return open_data / "processed"


@pytest.fixture(scope="module")
def tables(folder: Path) -> FolderSource:
    """Return the real tables, each of which is read once."""
    return FolderSource(folder)


@pytest.fixture(scope="module")
def run(tables: FolderSource, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    somb.run("A1,C2", ["majority", "logreg"], protocol="aligned", source=tables, out=folder, n_jobs=1)
    return folder


@pytest.fixture(scope="module")
def packed(run: Path, tables: FolderSource) -> Path:
    file = run / "packed" / "ridge.zip"
    submission.pack(run, Card(**CARD), file, source=tables)
    return file


@pytest.fixture
def members(packed: Path) -> Members:
    return archive.read(packed)


@pytest.fixture(scope="module")
def listed(packed: Path, tables: FolderSource, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("listed")
    listing.add([packed], folder, tables)
    return folder


@pytest.fixture
def board(listed: Path, tmp_path: Path) -> Path:
    """Return a leaderboard of the packed submission, which a test may change."""
    return shutil.copytree(listed, tmp_path / "board")


def refused(members: Members, tables: FolderSource, tmp_path: Path) -> str:
    file = tmp_path / "tampered.zip"
    archive.write(members, file)
    with pytest.raises(SombError) as caught:
        submission.check(file, tables)
    return str(caught.value)


def with_table(members: Members, name: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Members:
    table = change(pd.read_parquet(BytesIO(members[f"{name}.parquet"])))
    return {**members, f"{name}.parquet": parquet_form.to_parquet(table)}


def with_json(members: Members, name: str, change: Callable[[dict], object]) -> Members:
    document = json.loads(members[f"{name}.json"])
    change(document)
    return {**members, f"{name}.json": json.dumps(document).encode()}


def test_an_honest_submission_passes_and_its_scores_are_the_runs(packed: Path, run: Path, tables: FolderSource) -> None:
    checked, scores = submission.check(packed, tables)
    assert checked.card.name == "Ridge of Ada"
    primary = scores[scores["primary"]].merge(somb.load_run(run).summary(), on=["task", "model", "metric"])
    assert len(primary) == 4
    for column in ("mean", "sd", "chance", "low", "high"):
        np.testing.assert_allclose(primary[f"{column}_x"], primary[f"{column}_y"], rtol=0, atol=1e-12)
    assert (primary["low_x"] <= primary["mean_x"]).all() and not scores["own_features"].any()
    assert [len(values) for values in primary["values"]] == [4, 4, 5, 5]


def test_packing_twice_gives_the_same_bytes_and_tells_no_folder(
    run: Path, packed: Path, tables: FolderSource, folder: Path
) -> None:
    again = run / "packed" / "again.zip"
    submission.pack(run, Card(**CARD), again, source=tables)
    assert again.read_bytes() == packed.read_bytes()
    members = archive.read(packed)
    assert not any(
        text in members["provenance.json"] for text in (str(folder).encode(), b"command", b"platform", b"written")
    )


def test_only_the_named_models_are_packed(run: Path, tables: FolderSource, tmp_path: Path) -> None:
    scores = submission.pack(run, Card(**CARD), tmp_path / "one.zip", ["logreg"], tables)
    assert set(scores["model"]) == {"logreg"}
    with pytest.raises(UsageError, match="has no model 'svm'; it has majority, logreg"):
        submission.pack(run, Card(**CARD), tmp_path / "one.zip", ["svm"], tables)


def test_a_scored_prediction_folder_can_be_packed(tables: FolderSource, tmp_path: Path) -> None:
    from somb_utils.predictions.evaluate import score, template, validate

    template(tmp_path / "predictions", "A1", source=tables)
    submissions, _ = validate(tmp_path / "predictions", source=tables)
    score(submissions, tmp_path / "run")
    scores = submission.pack(tmp_path / "run", Card(**CARD), tmp_path / "a.zip", source=tables)
    assert set(scores["model"]) == {"submission"}


def first(table: pd.DataFrame, **values: object) -> pd.DataFrame:
    return table.assign(**{c: [v, *table[c].tolist()[1:]] for c, v in values.items()})


def ones(table: pd.DataFrame, **values: str) -> pd.Series:
    return pd.Series(np.logical_and.reduce([table[c] == v for c, v in values.items()]), index=table.index)


@in_process
@pytest.mark.parametrize(
    ("table", "change", "reason"),
    [
        ("results", lambda t: first(t, value=0.9), "A1 aligned majority: fold C001: accuracy is stated as 0.9, its"),
        ("results", lambda t: first(t, value=np.nan, status="undefined"), "accuracy is stated as nan, its predictions"),
        ("results", lambda t: first(t, status="undefined"), "is marked 'undefined', its predictions make it 'ok'"),
        ("results", lambda t: t.iloc[1:], "A1 aligned majority: fold C001: accuracy is missing"),
        ("results", lambda t: first(t, metric="luck"), "fold C001: luck is no score of this task"),
        ("results", lambda t: pd.concat([t, t.iloc[:1]]), "fold C001: accuracy is duplicated"),
        ("results", lambda t: first(t, status="failed: no luck"), "A1 aligned majority: failed on fold C001"),
        ("results", lambda t: t[~ones(t, task="C2", fold="3")], "C2 aligned logreg: fold 3: auroc is missing"),
        ("results", lambda t: t[t["task"] != "C2"], "C2 aligned logreg: there are predictions and no scores"),
        ("results", lambda t: t.assign(source="simulated"), "was run on simulated tables"),
        ("results", lambda t: t.assign(protocol="mixed"), "unknown protocol 'mixed'; it is one of rigorous, aligned, "),
        ("results", lambda t: t.assign(protocol="published"), "provenance.json has no entry C2/published"),
        ("results", lambda t: first(t, task="Z9"), "unknown task 'Z9'"),
        (
            "results",
            lambda t: t.replace("logreg", "best"),
            "provenance.json does not say how A1 aligned 'best' was made",
        ),
        ("results", lambda t: t.iloc[:0], "results.parquet has no score"),
        ("results", lambda t: t.drop(columns="fold"), "results.parquet has the columns task"),
        ("results", lambda t: first(t, task="A1\x1b[31m"), "column 'task' holds control characters"),
        ("results", lambda t: t.assign(model=[f"m{i}" for i in range(len(t))]), "models; at most 10 are read"),
        ("results", lambda t: first(t, model=None), "results.parquet: a row lacks its task, protocol or model"),
        ("predictions", lambda t: first(t, y_pred="recovery"), "its predictions give"),
        ("predictions", lambda t: first(t, y_true="recovery"), "is not the task's label there"),
        ("predictions", lambda t: first(t, y_pred="sleep"), "y_pred is 'sleep', not one of"),
        ("predictions", lambda t: first(t, id="SYN00001"), "not tested in this fold, nor a row of the task"),
        ("predictions", lambda t: t.iloc[1:], "A1 aligned majority, fold C001, id"),
        ("predictions", lambda t: pd.concat([t, t.iloc[:1]]), "is duplicated"),
        ("predictions", lambda t: t[~ones(t, fold="C001")], "A1 aligned logreg, fold C001: the fold is missing"),
        ("predictions", lambda t: t[t["task"] != "A1"], "A1 aligned logreg, fold C004: the fold is missing"),
        ("predictions", lambda t: t.assign(y_score=t["y_score"] / 0), "not a finite number"),
        ("predictions", lambda t: t.assign(y_score="much"), "column 'y_score' is of type"),
        ("predictions", lambda t: t.assign(y_pred=3), "column 'y_pred' is of type int64; write text"),
        ("predictions", lambda t: first(t, id="x" * 3000), "a text of over 2000 characters"),
    ],
)
def test_tampered_tables_are_refused(
    members: Members, tables: FolderSource, tmp_path: Path, table: str, change: Callable, reason: str
) -> None:
    assert reason in refused(with_table(members, table, change), tables, tmp_path)


def in_a1(document: dict, **values: object) -> None:
    document["tasks"]["A1/aligned"].update(values)


@in_process
@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("provenance", lambda d: d.update(source="simulated"), "was run on simulated tables"),
        ("provenance", lambda d: d.update(source="custom"), "was run on custom tables"),
        ("provenance", lambda d: d.pop("source"), "provenance.json: source: Field required"),
        ("provenance", lambda d: d["tasks"].pop("A1/aligned"), "provenance.json has no entry A1/aligned"),
        ("provenance", lambda d: d["models"].pop(), "does not say how"),
        (
            "provenance",
            lambda d: in_a1(d, tables={}),
            "A1/aligned: table clinical_cbc has the hash None, the published",
        ),
        (
            "provenance",
            lambda d: d["tasks"]["A1/aligned"]["tables"].update(clinical_cbc="git:0"),
            "A1/aligned: table clinical_cbc has the hash git:0, the published one is git:",
        ),
        ("provenance", lambda d: in_a1(d, data_sha256="0"), "say in the card's `features` what yours are made from"),
        ("card", lambda d: d.pop("licence"), "card.json: licence: Field required"),
        ("card", lambda d: d.pop("contact"), "card.json: card: give contact or url"),
        ("card", lambda d: d.update(authors=[]), "card.json: authors:"),
        ("card", lambda d: d.update(code="javascript:alert(1)"), "card.json: code:"),
        ("card", lambda d: d.update(name="…"), "card.json: name: needs a letter or a digit"),
        ("card", lambda d: d.update(name="two\nlines"), "card.json: name: is more than one line"),
        ("card", lambda d: d.update(description="a\x1bb"), "card.json: description: has control characters"),
        ("card", lambda d: d.update(prize="all"), "card.json: prize: Extra inputs are not permitted"),
    ],
)
def test_tampered_provenance_and_cards_are_refused(
    members: Members, tables: FolderSource, tmp_path: Path, name: str, change: Callable, reason: str
) -> None:
    assert reason in refused(with_json(members, name, change), tables, tmp_path)


@in_process
def test_all_reasons_are_told_at_once(members: Members, tables: FolderSource, tmp_path: Path) -> None:
    changed = with_table(members, "results", lambda t: first(t, value=0.9))
    changed = with_table(changed, "predictions", lambda t: t[~ones(t, task="C2", model="logreg", fold="2")])
    changed = with_json(changed, "provenance", lambda d: d["tasks"]["C2/aligned"].update(tables={}))
    text = refused(changed, tables, tmp_path)
    assert "accuracy is stated as 0.9" in text and "C2 aligned logreg, fold 2: the fold is missing" in text
    assert "C2/aligned: table proteomics" in text


@in_process
def test_own_features_are_listed_as_such(members: Members, tables: FolderSource, tmp_path: Path) -> None:
    changed = with_json(members, "provenance", lambda d: in_a1(d, data_sha256="0"))
    changed = with_json(changed, "card", lambda d: d.update(features="ratios of white cells"))
    archive.write(changed, tmp_path / "own.zip")
    _, scores = submission.check(tmp_path / "own.zip", tables)
    assert set(scores.loc[scores["own_features"], "task"]) == {"A1"}


def test_runs_on_simulated_tables_cannot_be_packed(tables: FolderSource, tmp_path: Path) -> None:
    somb.run("A1", "majority", source="simulated", out=tmp_path / "run", n_jobs=1)
    with pytest.raises(SombError, match="was run on simulated tables"):
        submission.pack(tmp_path / "run", Card(**CARD), tmp_path / "a.zip", source=tables)
    assert not (tmp_path / "a.zip").exists()


@pytest.fixture(scope="module")
def rigorous(tables: FolderSource, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rigorous")
    somb.run("A1,D1", "random", source=tables, out=folder, n_jobs=1)
    submission.pack(folder, Card(**CARD), folder / "packed" / "a.zip", source=tables)
    return folder


@pytest.fixture(scope="module")
def seeds_of_a1(tables: FolderSource, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("a1")
    somb.run("A1", "random", source=tables, out=folder, n_jobs=1)
    submission.pack(folder, Card(**CARD), folder / "packed" / "a.zip", source=tables)
    return folder / "packed" / "a.zip"


def test_seeds_and_probabilities_are_packed_and_scored_again(rigorous: Path, tables: FolderSource) -> None:
    packed, scores = submission.check(rigorous / "packed" / "a.zip", tables)
    summary = somb.load_run(rigorous).summary().set_index("task")
    primary = scores[scores["primary"]].set_index("task")
    assert primary["metric"].tolist() == ["macro_auroc", "auroc"] and summary["seeds"].tolist() == [5, 5]
    for column in ("mean", "sd", "chance", "low", "high"):
        np.testing.assert_allclose(primary[column], summary[column], rtol=0, atol=1e-12)
    assert [len(values) for values in primary["values"]] == [4, 25]
    predictions = packed.run.predictions
    assert predictions.groupby("task")["seed"].nunique().tolist() == [5, 5]
    assert predictions.groupby("task")["y_proba"].count().tolist() == [5 * 28, 0]
    assert packed.run.provenance["models"][0]["seeds"] == (42, 142, 242, 342, 442)
    page = listing.page([])
    assert "canonical run, aligned protocol" in page


@in_process
@pytest.mark.parametrize(
    ("table", "change", "reason"),
    [
        ("results", lambda t: first(t, value=0.9), "A1 rigorous random: seed 42, fold C001: accuracy is stated as 0.9"),
        ("results", lambda t: t.assign(seed=t["seed"] + 1), "seed 43, fold C001: accuracy is no score of this task"),
        ("results", lambda t: t.assign(seed="x"), "column 'seed' is of type"),
        ("results", lambda t: t.assign(seed=-1), "column 'seed' has values beyond 0 to"),
        ("predictions", lambda t: first(t, y_proba=[0.0, 0.5, 0.5]), "macro_auroc is stated as"),
        ("predictions", lambda t: first(t, y_proba=[-1.0, 1.0, 1.0]), "the probability of post_flight is -1.0; give 0"),
        ("predictions", lambda t: first(t, y_proba=[0.5, 0.5]), "y_score is a list of 2, not 3 finite numbers"),
        ("predictions", lambda t: first(t, y_proba=None), "y_score is missing, not 3 finite numbers"),
        ("predictions", lambda t: t.assign(y_proba=None), "class probabilities are missing"),
        ("predictions", lambda t: t.assign(y_proba="x"), "write lists of numbers"),
        ("predictions", lambda t: t.assign(y_proba=[["x"]] * len(t)), "write text or numbers"),
        ("predictions", lambda t: t.drop(columns="y_proba"), "predictions.parquet has the columns task"),
        ("predictions", lambda t: t.assign(seed=range(len(t))), "seeds; at most 20 are read"),
    ],
)
def test_tampered_seeds_and_probabilities_are_refused(
    seeds_of_a1: Path, tables: FolderSource, tmp_path: Path, table: str, change: Callable, reason: str
) -> None:
    members = archive.read(seeds_of_a1)
    assert reason in refused(with_table(members, table, change), tables, tmp_path)


@in_process
def test_class_probabilities_of_a_binary_task_are_refused(rigorous: Path, tables: FolderSource, tmp_path: Path) -> None:
    members = archive.read(rigorous / "packed" / "a.zip")
    changed = with_table(members, "predictions", lambda t: t.assign(y_proba=[[1.0]] * len(t)))
    assert "has a y_proba, but D1 is binary" in refused(changed, tables, tmp_path)


@in_process
def test_submissions_of_earlier_versions_are_read(
    members: Members, packed: Path, tables: FolderSource, tmp_path: Path
) -> None:
    earlier = with_table(members, "predictions", lambda t: t.drop(columns=["seed", "y_proba"]))
    metrics = ["macro_auroc", "balanced_log_loss"]  # which earlier versions did not give
    earlier = with_table(earlier, "results", lambda t: t[~t["metric"].isin(metrics)].drop(columns="seed"))
    earlier = with_json(earlier, "provenance", lambda d: [model.pop("seeds") for model in d["models"]])
    archive.write(earlier, tmp_path / "a.zip")
    scores, now = (submission.check(file, tables)[1] for file in (tmp_path / "a.zip", packed))
    now = now[~now["metric"].isin(metrics)].reset_index(drop=True)
    pd.testing.assert_frame_equal(scores, now)


def test_simulated_tables_do_not_check_anything(packed: Path) -> None:
    with pytest.raises(SombError, match="checked on the published tables, which are not available"):
        submission.check(packed, "simulated")


def zipped(path: Path, entries: list[tuple[ZipInfo | str, bytes]]) -> Path:
    with ZipFile(path, "w", ZIP_DEFLATED) as made:
        for info, content in entries:
            made.writestr(info, content)
    return path


def link(name: str) -> ZipInfo:
    info = ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ([("../card.json", b"")], "'../card.json' leads out of the archive"),
        ([("a\\..\\card.json", b"")], "leads out of the archive"),
        ([("/etc/passwd", b"")], "'/etc/passwd' is an absolute path"),
        ([("C:card.json", b"")], "'C:card.json' is an absolute path"),
        ([(link("card.json"), b"/etc/passwd")], "'card.json' is a link"),
        ([("setup.py", b"")], "'setup.py' is no part of a submission"),
        ([("card.json", b"{}")], "results.parquet is missing"),
        ([("card.json", b" " * 10**6)], "card.json unpacks to 1 MB; at most 0.0625 MB is read"),
        ([("predictions.parquet", b"\0" * (50 << 20))], "predictions.parquet unpacks to 50 MB; at most 48 MB"),
        ([(f"{i}", b"") for i in range(100)], "lists too many members"),
        ([], "results.parquet is missing"),
    ],
)
def test_hostile_archives_are_refused(tmp_path: Path, entries: list, reason: str) -> None:
    file = zipped(tmp_path / "a.zip", entries)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(SombError) as caught:
        archive.read(file)
    assert reason in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before and not (tmp_path.parent / "card.json").exists()


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_stands_twice_is_refused(packed: Path, tmp_path: Path) -> None:
    entries = [*archive.read(packed).items(), ("card.json", b"{}")]
    with pytest.raises(SombError, match=r"'card\.json' is there 2 times"):
        archive.read(zipped(tmp_path / "a.zip", entries))


def test_a_member_larger_than_it_declares_is_refused(tmp_path: Path) -> None:
    bomb = [("results.parquet", b"x"), ("predictions.parquet", b"x"), ("provenance.json", b"{}")]
    file = zipped(tmp_path / "a.zip", [*bomb, ("card.json", b"\0" * (100 << 20))])
    content = file.read_bytes()
    assert len(content) < 200_000
    file.write_bytes(content.replace(struct.pack("<L", 100 << 20), struct.pack("<L", 1000)))  # both declared sizes
    with pytest.raises(SombError, match="is not a readable zip archive: Bad CRC-32"):
        archive.read(file)


def test_a_list_of_members_longer_than_it_declares_is_refused(packed: Path, tmp_path: Path) -> None:
    content = packed.read_bytes()
    locator = b"PK\x06\x07" + bytes(16)
    (tmp_path / "a.zip").write_bytes(content[:-22] + locator + content[-22:])
    with pytest.raises(SombError, match="lists too many members"):
        archive.read(tmp_path / "a.zip")


@pytest.mark.parametrize("content", [b"", b"PK", b"PAR1 not a zip", b"PK\x05\x06" + bytes(18), b"PK" + bytes(5000)])
def test_what_is_no_zip_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(SombError, match="refused"):
        archive.read(tmp_path / "a.zip")


def test_no_truncation_or_flipped_byte_gives_a_traceback(packed: Path, tmp_path: Path) -> None:
    content = packed.read_bytes()
    rng = np.random.default_rng(0)
    file = tmp_path / "a.zip"
    for place in rng.integers(0, len(content), 150):
        flipped = bytearray(content)
        flipped[place] ^= 1 << int(rng.integers(8))
        for damaged in (content[:place], bytes(flipped)):
            file.write_bytes(damaged)
            with contextlib.suppress(SombError):
                submission.read(file)


def test_text_repeated_by_a_dictionary_takes_no_memory(members: Members, tables: FolderSource, tmp_path: Path) -> None:
    n = 500_000
    columns = pq.read_schema(BytesIO(members["results.parquet"])).names
    for length, reason in ((1_000_000, "a text of over 2000 characters"), (200, "more than 64,000,000 characters")):
        long = pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, dtype=np.int32)), pa.array(["x" * length]))
        stream = BytesIO()
        table = pa.table({c: pa.array(np.zeros(n)) if c == "value" else long for c in columns})
        pq.write_table(table, stream, compression="zstd", store_schema=False)
        assert reason in refused({**members, "results.parquet": stream.getvalue()}, tables, tmp_path)


def test_an_interrupted_pack_leaves_the_earlier_file(
    run: Path, tables: FolderSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.zip"
    file.write_bytes(b"earlier")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "writestr", full)
    with pytest.raises(SombError, match=r"cannot write .* No space left on device"):
        submission.pack(run, Card(**CARD), file, source=tables)
    assert file.read_bytes() == b"earlier" and list(tmp_path.iterdir()) == [file]


def test_the_leaderboard_lists_what_was_checked(packed: Path, tables: FolderSource, tmp_path: Path) -> None:
    (entry,) = listing.add([packed], tmp_path, tables).added
    assert entries(tmp_path) == [entry]
    index = pd.read_csv(tmp_path / "index.csv")
    assert index["model"].unique().tolist() == ["Ridge of Ada: logreg", "Ridge of Ada: majority"]
    assert index["folds"].tolist() == [4, 4, 5, 5] and index["chance"].notna().all()
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "† Ridge of Ada: logreg" in page and "Models marked † are submissions" in page
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    listing.add([packed], tmp_path, tables)  # the same authors may send a better one
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


@in_process
def test_published_results_are_listed_apart(tables: FolderSource, tmp_path: Path) -> None:
    for protocol in ("aligned", "published"):
        somb.run("C2", "logreg", protocol=protocol, source=tables, out=tmp_path / "run", n_jobs=1)
    submission.pack(tmp_path / "run", Card(**CARD), tmp_path / "a.zip", source=tables)
    (entry,) = listing.add([tmp_path / "a.zip"], tmp_path / "board", tables).added
    assert table([entry])["protocol"].tolist() == ["aligned", "published"]
    page = listing.page([entry])
    shown = json.loads(re.search(r'<script type="application/json">(.*?)</script>', page)[1])["sources"]  # type: ignore[index]
    rows = {s["label"]: [r for r in s["rows"] if r["model"].startswith("†")] for s in shown}
    assert all(rows[f"canonical run, {protocol} protocol"] for protocol in ("aligned", "published"))
    assert not rows["published scores, published protocol"]
    aligned, published = (sum(s.primary for s in entry.scores if s.protocol == p) for p in ("aligned", "published"))
    assert aligned == published == 1


@in_process
def test_the_notebooks_board_sets_submissions_beside_the_baselines(
    listed: Path, run: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaderboard, "FOLDER", tmp_path)
    options = {
        "tasks": ["A1", "C2", "D1"],
        "models": ["majority", "logreg"],
        "out": str(run),
        "source": str(folder),
        "protocol": "aligned",
    }
    assert leaderboard.collect(check(options)).submissions.empty
    monkeypatch.setattr(leaderboard, "FOLDER", listed)
    (entry,) = entries(listed)
    board = leaderboard.collect(check(options))
    assert list(board.table().columns[-2:]) == ["† Ridge of Ada: majority", "† Ridge of Ada: logreg"]
    for model in ("logreg", "majority"):
        ours, theirs = (
            board.everything[board.everything["model"] == name].set_index("task")
            for name in (model, f"† Ridge of Ada: {model}")
        )
        pd.testing.assert_frame_equal(ours[["mean", "sd", "chance"]], theirs[["mean", "sd", "chance"]])
        assert (theirs["low"] <= theirs["mean"]).all() and theirs["folds"].tolist() == [4, 5]
    data = board.document()
    for source in ("run", "canonical-aligned"):
        rows = next(s["rows"] for s in data["sources"] if s["id"] == source)
        assert {r["model"] for r in rows} >= {"logreg", "† Ridge of Ada: logreg"}
        assert all(r["low"] <= r["mean"] <= r["high"] for r in rows if r["values"] and r["model"].startswith("†"))
    assert data["submissions"][0]["authors"] == entry.card.authors and "† " not in str(board.composite())


@in_process
def test_simulated_results_never_stand_beside_submissions(
    listed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaderboard, "FOLDER", listed)
    somb.run("A1", "majority", source="simulated", out=tmp_path / "run", n_jobs=1)
    options = {
        "tasks": ["A1"],
        "models": ["majority"],
        "out": str(tmp_path / "run"),
        "source": "simulated",
    }
    board = leaderboard.collect(check(options))
    data = board.document()
    assert not board.listed and board.submissions.empty and not data["submissions"] and "†" not in str(data)
    assert "none is shown here" in data["sources"][0]["note"]


@in_process
def test_a_refused_file_keeps_all_others_out(
    packed: Path, members: Members, tables: FolderSource, tmp_path: Path
) -> None:
    archive.write(with_table(members, "results", lambda t: first(t, value=0.9)), tmp_path / "bad.zip")
    board = tmp_path / "board"
    with pytest.raises(SombError, match=r"nothing was added[\s\S]*bad\.zip: refused[\s\S]*accuracy is stated as 0\.9"):
        listing.add([packed, tmp_path / "bad.zip"], board, tables)
    assert [file.name for file in board.iterdir()] == [".lock"]


@in_process
def test_a_name_belongs_to_its_authors(board: Path, members: Members, tables: FolderSource, tmp_path: Path) -> None:
    archive.write(with_json(members, "card", lambda d: d.update(authors=["Eve"])), tmp_path / "eve.zip")
    before = (board / "ridge-of-ada.json").read_bytes()
    with pytest.raises(SombError, match="the name 'Ridge of Ada' is taken"):
        listing.add([tmp_path / "eve.zip"], board, tables)
    assert (board / "ridge-of-ada.json").read_bytes() == before


KEY = "a key of more than twenty signs"


def renamed(members: Members, path: Path, **fields: object) -> Path:
    archive.write(with_json(members, "card", lambda d: d.update(fields)), path)
    return path


@in_process
def test_an_entry_is_replaced_by_who_holds_its_key_and_changes_are_told(
    run: Path, folder: Path, tmp_path: Path, command: Command
) -> None:
    (tmp_path / "leaderboard").mkdir()
    words = ("--data", folder)

    def add(models: str | None = None, **fields: str) -> tuple[int, str, str]:
        (tmp_path / "card.json").write_text(json.dumps({**CARD, **fields}))
        chosen = ("--models", models) if models else ()
        assert command("submit", "pack", run, "--card", "card.json", "--out", "a.zip", *chosen, *words)[0] == 0
        assert KEY.encode() not in archive.read(tmp_path / "a.zip")["card.json"] or "previous_key" in fields
        return command("leaderboard", "--add", "a.zip", *words)

    assert add(key=KEY)[0] == 0
    code, _, err = add(models="majority", contact="eve@example.org")
    assert code == 1 and "give the key of its card as `previous_key`" in err
    assert add(previous_key="another key of twenty signs")[0] == 1
    assert "ada@example.org" in (tmp_path / "leaderboard" / "ridge-of-ada.json").read_text()
    code, _, err = add(models="logreg", previous_key=KEY, key=KEY)
    assert code == 1 and "give a new `key` for the next time" in err
    code, _, err = add(models="logreg", contact="new@example.org", previous_key=KEY, key=KEY + "2")
    assert code == 0 and "Ridge of Ada replaces the entry of" in err
    assert "contact: 'ada@example.org' becomes 'new@example.org'" in err
    assert "A1 aligned majority macro_f1: no longer listed" in err
    assert KEY not in (tmp_path / "leaderboard" / "ridge-of-ada.json").read_text()


@in_process
@pytest.mark.parametrize(
    "name", ["R\u0456dge of Ada", "Ridge of Ad\u0430", "RlDGE 0F ADA", "Ri\u0323dge of Ada", "\uff32idge-of Ada"]
)
def test_a_name_that_looks_like_a_listed_one_is_refused(
    members: Members, board: Path, tables: FolderSource, tmp_path: Path, name: str
) -> None:
    with pytest.raises(SombError, match=r"looks like 'Ridge of Ada'|is taken"):
        listing.add([renamed(members, tmp_path / "a.zip", name=name)], board, tables)


@in_process
def test_labels_of_different_entries_differ(members: Members, tables: FolderSource, tmp_path: Path) -> None:
    changed = with_json(members, "card", lambda d: d.update(name="Net: logreg"))
    assert "name: has a colon" in refused(changed, tables, tmp_path)


@in_process
def test_models_that_look_alike_are_refused(members: Members, tables: FolderSource, tmp_path: Path) -> None:
    changed = with_table(members, "results", lambda t: t.replace("majority", "l\u043egreg"))
    assert "look alike" in refused(changed, tables, tmp_path)


@in_process
def test_a_file_put_into_the_folder_by_hand_is_not_shown(board: Path, packed: Path, tables: FolderSource) -> None:
    file = board / "ridge-of-ada.json"
    honest = file.read_text()
    stated = json.loads(honest)
    for score in stated["scores"]:
        score["mean"] = 0.999
    file.write_text(json.dumps(stated))
    (entry,), reasons = listing.checked(board, tables)
    assert not reasons and not any(score.mean == 0.999 for score in entry.scores)
    file.write_text(re.sub(r'"mean": [0-9.]+', '"mean": 1e999', honest, count=1))
    assert "is no listed submission" in listing.checked(board, tables)[1][0]
    (board / "other.json").write_text(honest)
    file.write_text(honest)
    listed, reasons = listing.checked(board, tables)
    assert len(listed) == 1 and "other.json is no checked submission" in reasons[0]
    (board / "ridge-of-ada.zip").write_bytes(packed.read_bytes() + b"x")
    with pytest.raises(SombError, match="is not the file that was listed"):
        listing.rebuild(board, tables)


@in_process
def test_many_groups_are_refused_before_any_work(members: Members, tables: FolderSource, tmp_path: Path) -> None:
    def many(t: pd.DataFrame) -> pd.DataFrame:
        t = pd.concat([t] * (20_000 // len(t)), ignore_index=True)
        return t.assign(model=[f"m{i}" for i in range(len(t))], fold=[f"f{i}" for i in range(len(t))])

    for name in ("results", "predictions"):
        told = refused(with_table(members, name, many), tables, tmp_path)
        assert "models; at most 10 are read" in told and len(told) < 2000


@in_process
def test_messages_are_bounded_and_printable(members: Members, tables: FolderSource, tmp_path: Path) -> None:
    changed = with_json(members, "provenance", lambda d: in_a1(d, tables={f"t\x1b[31m{i}": "x" for i in range(5000)}))
    told = refused(changed, tables, tmp_path)
    assert "and 4,9" in told and "\x1b" not in told and len(told) < 50_000


@in_process
def test_the_index_holds_no_formula(members: Members, tables: FolderSource, tmp_path: Path) -> None:
    listing.add([renamed(members, tmp_path / "a.zip", authors=["=1+1"])], tmp_path / "board", tables)
    assert ",'=1+1," in (tmp_path / "board" / "index.csv").read_text()


@in_process
def test_a_packed_run_says_how_each_group_of_rows_was_made(tables: FolderSource, tmp_path: Path) -> None:
    options = {"source": tables, "out": tmp_path / "run", "n_jobs": 1}
    somb.run("A1", "logreg", model_params={"logreg": {"C": 100}}, seed=1, **options)
    somb.run("C2", "logreg", **options)
    submission.pack(tmp_path / "run", Card(**CARD), tmp_path / "a.zip", source=tables)
    told = submission.read(tmp_path / "a.zip").run.provenance
    assert [(m["task"], m["params"], m["seed"]) for m in told["models"]] == [("A1", {"C": "100"}, 1), ("C2", {}, 42)]
    assert len(told["runs"]) == 2 and all(set(run) == {"versions"} for run in told["runs"].values())


@in_process
def test_a_hostile_name_stays_text_in_the_page(members: Members, tables: FolderSource, tmp_path: Path) -> None:
    name = "</script><!-- <script><b>x [red]"
    archive.write(with_json(members, "card", lambda d: d.update(name=name)), tmp_path / "a.zip")
    (entry,) = listing.add([tmp_path / "a.zip"], tmp_path / "board", tables).added
    assert entry.card.name == name and (tmp_path / "board" / "script-script-b-x-red.json").is_file()
    page = listing.page([entry])
    assert (
        "</script><b>" not in page and page.count("<!--") == 0 and page.count("<script") == page.count("</script>") == 2
    )
    assert "&lt;/script&gt;&lt;!-- &lt;script&gt;&lt;b&gt;x [red]" in page.split("<script")[0], "read without a script"


def test_the_stored_index_follows_from_the_stored_files() -> None:
    folder = Path(__file__).parents[2] / "leaderboard"
    stored = pd.read_csv(folder / "index.csv")
    made = table(entries(folder))
    assert stored.columns.tolist() == made.columns.tolist()
    assert stored["file"].tolist() == made["file"].tolist()


def test_a_damaged_entry_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text("{}")
    with pytest.raises(SombError, match=r"mine\.json is no listed submission; restore or remove it"):
        listing.rebuild(tmp_path)


def test_cards_are_read_from_yaml_and_json(tmp_path: Path) -> None:
    (tmp_path / "card.json").write_text(json.dumps(CARD))
    filled = TEMPLATE
    for key, value in CARD.items():
        empty = "[]" if key == "authors" else '""'
        filled = filled.replace(f"{key}: {empty}", f"{key}: {json.dumps(value)}", 1)
    (tmp_path / "card.yaml").write_text(filled)
    assert read_card(tmp_path / "card.json") == read_card(tmp_path / "card.yaml") == Card(**CARD)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (TEMPLATE, "name: is empty"),
        ("name: [", "is not YAML"),
        ("- a\n- b", "is no model card"),
        ("a: &a [x]\n" * 20_000, r"MB large; at most 0\.0625 MB are read"),
        ("x: &a 1\ny: *a", "without anchors"),
        ("<<: {<<: {}}", "without anchors"),
        ("a: [[[[1]]]]", "and nesting"),
        ("[" * 5000, "is not YAML"),
    ],
)
def test_bad_cards_are_told(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "card.yaml").write_text(text)
    with pytest.raises(UsageError, match=reason):
        read_card(tmp_path / "card.yaml")


def test_the_command_line_packs_checks_and_lists(run: Path, folder: Path, command: Command) -> None:
    def somb_(*words: object) -> tuple[int, str]:
        code, out, err = command(*words)
        return code, out + err

    data = ("--data", folder)
    assert somb_("submit", "card", "card.yaml")[0] == 0
    assert somb_("submit", "card", "card.yaml") == (2, "Error: card.yaml exists already; name another file\n")
    assert somb_("submit", "pack", run, "--card", "card.yaml", *data)[0] == 2
    Path("card.json").write_text(json.dumps(CARD))
    code, said = somb_("submit", "pack", run, "--card", "card.json", "--models", "logreg", *data)
    assert code == 0 and "ridge-of-ada.zip" in said and "of 1 model(s) on 2 task(s)" in said
    code, said = somb_("submit", "check", "ridge-of-ada.zip", *data)
    assert code == 0 and "follow from its predictions" in said and "0.5464" in said
    assert somb_("submit", "check", "absent.zip", *data)[0] == 2
    Path("bad.zip").write_bytes(b"no")
    assert somb_("submit", "check", "bad.zip", *data)[0] == 1
    assert somb_("leaderboard", "--add", "ridge-of-ada.zip", *data)[0] == 2  # no folder: not in the checkout
    Path("leaderboard").mkdir()
    assert somb_("leaderboard", "--add", "bad.zip", *data)[0] == 1
    code, said = somb_("leaderboard", "--add", "ridge-of-ada.zip", *data)
    assert code == 0 and "1 submission is listed" in said and "Ada Lovelace" in said
    assert "not available" in somb_("leaderboard", "--data", "simulated")[1]
    code, said = somb_("leaderboard", "--format", "csv", *data)
    assert code == 0 and said.startswith("protocol,task,model")
    assert "Example" in somb_("submit", "pack", "--help")[1]
