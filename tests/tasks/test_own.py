"""A user's own data and tasks: from frames, from a file, and the same statistics as the benchmark's tasks."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import somb_utils as somb
from somb_utils.errors import SombError, UsageError
from somb_utils.stats.design import design
from somb_utils.tasks.definitions import read_task

Command = Callable[..., tuple[int, str, str]]
IDS = [f"s{i:02d}" for i in range(30)]
Y = pd.Series(["ground", "flight"] * 15, IDS)
GROUPS = pd.Series(np.repeat([f"P{i}" for i in range(5)], 6), IDS)


def features() -> pd.DataFrame:
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(30, 4)), IDS, ["iron", "zinc", "copper", "lead"])
    return X.assign(iron=X["iron"] + 1.5 * (Y == "flight"))


def table() -> pd.DataFrame:
    return features().assign(condition=Y, person=GROUPS, sex=["F", "M"] * 15).rename_axis("sample").reset_index()


def test_own_data_have_the_scores_and_statistics_of_a_task_of_the_benchmark() -> None:
    theirs = somb.load_task("D1", source="simulated")
    mine = somb.task_from_frames(theirs.X, theirs.y, name="mine")
    assert mine.task.metrics.primary == "auroc" and len(mine.folds) == 25
    theirs = somb.load_task("A1", source="simulated")
    mine = somb.task_from_frames(theirs.X, theirs.y, theirs.groups, name="mine")
    runs = [somb.run(data, ["majority", "logreg"], n_jobs=1, n_seeds=1) for data in (theirs, mine)]
    kept = ["metric", "mean", "sd", "folds", "chance", "low", "high", "best"]
    pd.testing.assert_frame_equal(*(run.summary(200)[kept] for run in runs))
    p = [somb.stats.permutation_p(run.predictions.query("model == 'logreg'"), run_of.task, 99)
         for run, run_of in zip(runs, (theirs, mine), strict=True)]  # fmt: skip
    assert p[0] == p[1] == runs[1].with_p_values(runs[1].summary(0), 99)["p"].iloc[1]
    gaps = [run_differences(run) for run in runs]
    pd.testing.assert_frame_equal(*gaps)


def run_differences(run: somb.RunResult) -> pd.DataFrame:
    return somb.compare(run, 100, 99).differences.drop(columns="task")


def test_neither_the_order_of_rows_nor_of_columns_matters() -> None:
    X = features()
    once = somb.task_from_frames(X, Y, GROUPS)
    again = somb.task_from_frames(X.iloc[::-1, ::-1], Y.sample(frac=1, random_state=1), GROUPS)
    assert once.fingerprint == again.fingerprint
    by_position = somb.task_from_frames(X, Y.tolist(), GROUPS.to_numpy())
    assert once.fingerprint == by_position.fingerprint


@pytest.mark.parametrize(
    ("y", "kind", "classes"),
    [
        (Y, "binary", ("flight", "ground")),
        (Y.astype(pd.CategoricalDtype(["ground", "flight", "none"])), "binary", ("ground", "flight")),
        (Y == "flight", "binary", ("False", "True")),
        (pd.Series([10.0, 9.0, 1.0] * 10, IDS), "multiclass", ("1", "9", "10")),
        (pd.DataFrame({"a": [0, 1] * 15, "b": [0, 0, 1] * 10}, IDS), "multilabel", ("a", "b")),
    ],
)
def test_labels_say_what_the_task_is(y: Any, kind: str, classes: tuple[str, ...]) -> None:
    data = somb.task_from_frames(features(), y)
    assert (data.task.type, data.task.classes) == (kind, classes)
    summary = somb.run(data, "logreg", n_jobs=1).summary(50)
    assert summary["source"].item() == "custom" and summary["low"].notna().all()


def test_every_disagreement_is_in_one_message() -> None:
    X = features()
    X.index = [*IDS[:-2], IDS[0], "extra"]
    X = X.assign(zinc=X["zinc"].where(X["zinc"] < 1, np.inf), batch="a").rename(columns={"lead": "", "copper": "iron"})
    y, groups = Y.drop("s05"), GROUPS.replace("P1", None)
    y.loc["s07"] = None
    with pytest.raises(UsageError) as error:
        somb.task_from_frames(X, y, groups)
    said = str(error.value)
    for problem in (
        "own: 10 problems",
        "X has 1 duplicated identifier: 's00'",
        "y lacks 2 rows of X: 's05', 'extra'",
        "y has 2 rows that X lacks: 's28', 's29'",
        "groups lacks 1 row of X: 'extra'",
        "X has 1 column without a name: number 4",
        "X has 1 duplicated column name: 'iron'",
        "'batch' ('a' in 's00', 's01', 's02' and 27 more)",
        "infinite value",
        "y is missing in 1 row: 's07'",
        "groups is missing in 6 rows: 's06', 's07', 's08' and 3 more",
    ):
        assert problem in said or problem.startswith("own"), said
    assert said.count("\n  ") == int(said.split()[1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": Y.reset_index(drop=True)}, r"lacks 30 rows of X(.|\n)*pass y\.to_numpy\(\)"),
        ({"y": Y.tolist()[1:], "groups": ["a"]}, r"y has 29 values for the 30 rows of X\n  groups has 1 value for"),
        ({"y": pd.Series(np.arange(30) / 7, IDS)}, r"30 different numbers in 30 rows: .*regression.* is not offered"),
        ({"y": pd.Series("flight", IDS)}, "the label is constant: 'flight' in all 30 rows"),
        ({"y": Y.mask(Y.index == "s00", "odd"), "groups": GROUPS}, r"1 class with fewer than 2 rows: 'odd' \(1 row\)"),
        ({"y": Y.mask(Y.index < "s03", "odd")}, r"1 class with fewer than 5 rows: 'odd' \(3 rows\)"),
        ({"groups": pd.Series("P", IDS)}, "one group, 'P'"),
        ({"y": Y.mask(GROUPS == "P4", "ground"), "groups": GROUPS}, "1 group with one class alone: 'P4'"),
        ({"y": Y.mask((GROUPS == "P4") & (Y == "ground"), "odd"), "groups": GROUPS}, "class in one group alone: 'odd'"),
        ({"split": "loco"}, "pass groups"),
        ({"split": "kfold"}, "split 'kfold': it is one of loco, loto, lomo, lotissue, repeated"),
        ({"metric": "accuracy"}, "a binary task has auroc or auprc"),
        ({"name": "A1"}, "'A1' is a task of the benchmark"),
        ({"name": "b1_EFFECT_only"}, "is a task of the benchmark"),
        ({"name": "my task"}, "is no id"),
        ({"X": features().to_numpy()}, "X is a ndarray"),
        ({"y": "condition"}, "y is a str"),
        ({"X": features().iloc[:0]}, "X has no row"),
        ({"X": features().iloc[:, :0]}, "X has no feature"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_task_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        somb.task_from_frames(**{"X": features(), "y": Y, **change})


def test_groups_of_one_class_are_drawn_and_exchanged_whole() -> None:
    person = pd.Series(np.repeat(np.arange(15), 2), IDS)
    cases = pd.Series(np.where(person < 8, "case", "control"), IDS)
    data = somb.task_from_frames(features(), cases, person, split="repeated")
    for fold in data.folds:
        assert not set(person.iloc[fold.train]) & set(person.iloc[fold.test])
    run = somb.run(data, "logreg", n_jobs=1)
    plan = design(run.predictions, data.task)
    assert plan.strata.tolist() == [0, 8, 15]
    assert run.summary(50)["high"].notna().all()


# On the command line


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of one's own tables."""
    (tmp_path / "tables").mkdir()
    table().to_csv(tmp_path / "tables" / "blood.csv", index=False)
    return tmp_path / "tables"


def begin(folder: Path, file: str = "mine.json", label: str = "condition") -> list[object]:
    """Return the command that begins a definition."""
    return ["task", "new", file, "--table", folder / "blood.csv", "--label", label, "--groups", "person"]


def test_a_file_goes_from_a_table_to_a_comparison(command: Command, folder: Path) -> None:
    assert command(*begin(folder))[0] == 0
    text = Path("mine.json").read_text(encoding="utf-8")
    assert "// The column that identifies a sample" in text
    assert read_task(text, "mine.json").features.leave_out == ("sex",)  # type: ignore[union-attr]
    assert command("task", "new", "mine.json")[0] == 2, "no file is overwritten"
    code, out, _ = command("task", "check", "mine.json", "--data", folder)
    assert code == 0 and "30 × 4" in out and "flight 15, ground 15" in out

    code, out, _ = command(
        "run", "--tasks", "mine.json", "--models", "majority,logreg", "--data", folder, "--out", "r", "-j", "1"
    )
    assert code == 0 and "your own tables; your own task: mine" in " ".join(out.split()) and "Composite" not in out
    run = somb.load_run("r")
    frames = somb.task_from_frames(features(), Y, GROUPS, name="mine")
    same = somb.run(frames, ["majority", "logreg"], n_jobs=1)
    pd.testing.assert_frame_equal(run.summary(100), same.summary(100))
    assert run.provenance["tasks"]["mine/rigorous"]["tables"]["blood"].startswith("custom:")
    code, out, _ = command("compare", "r", "--n-bootstrap", "50", "--n-permutations", "19", "--format", "csv")
    assert code == 0 and "mine,logreg,auroc" in out

    assert command("template", "p", "--tasks", "mine.json", "--data", folder)[0] == 0
    assert command("evaluate", "p", "--tasks", "mine.json", "--data", folder)[0] == 0
    assert "a task of your own is named with --tasks" in command("evaluate", "p", "--data", folder)[2]
    code, out, _ = command("run", "--tasks", "mine.json", "--dry-run", "--data", folder)
    assert code == 0 and "custom" in out


def test_an_example_is_written_without_a_table(command: Command, folder: Path) -> None:
    assert command("task", "new", "mine.json")[0] == 0
    table().drop(columns="sex").to_csv(folder / "blood.csv", index=False)
    code, _, err = command("task", "check", "mine.json", "--data", folder)
    assert code == 0, err
    assert command("task", "new", "I3.json")[0] == 2
    code, _, err = command(*begin(folder, "other.json", "phase"))
    assert code == 2 and "has no column 'phase'; its columns are sample, iron" in err


def test_every_fault_of_a_table_is_named_with_its_row(command: Command, folder: Path) -> None:
    assert command(*begin(folder))[0] == 0
    bad = table().astype(object)
    bad.loc[3, "sample"], bad.loc[4, "sample"], bad.loc[5, "condition"] = bad.loc[2, "sample"], None, None
    bad.loc[7, "zinc"], bad.loc[8, "zinc"], bad.loc[9, "iron"], bad.loc[12, "condition"] = "NA", "n.d.", "inf", "fligth"
    bad.to_csv(folder / "blood.csv", index=False)
    code, _, err = command("task", "check", "mine.json", "--data", folder)
    assert code == 1
    for problem in (
        "blood.csv has no identifier in row 6",
        "blood.csv has 1 duplicated identifier: 's02'",
        "'zinc' ('NA' in 's07' (row 9), 's08' (row 10))",
        "1 infinite value: 'iron' in 's09' (row 11)",
        "column 'condition' of blood.csv is missing in 1 row: 's05' (row 7)",
        "column 'condition' of blood.csv has labels that classes does not name: 'fligth'",
    ):
        assert err.count(problem) == 1, err


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"label": "condition"', '"label": "phase"', "blood.csv has no column 'phase'; it has 'sample', 'iron'"),
        ('"table": "blood"', '"table": "urine"', "urine.csv is not among the tables of your own in"),
        ('"split": "loco"', '"split": "own"', "the split own and features.folds need each other"),
        ('"groups": "person"', '"groups": null', "the split loco needs features.groups"),
        ('"type": "binary"', '"type": "regression", "x": 1', r"type: Input should be .*; x: Extra inputs"),
        ('"auroc"', '"accuracy"', "the primary metric of a binary task is auroc or auprc"),
        ('"id": "mine"', '"id": "A1"', "'A1' is a task of the benchmark"),
        ("{", "", "Invalid JSON"),
    ],
)
def test_faults_of_a_definition(command: Command, folder: Path, old: str, new: str, message: str) -> None:
    assert command(*begin(folder))[0] == 0
    text = Path("mine.json").read_text(encoding="utf-8")
    assert old in text
    Path("mine.json").write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(SombError, match=message):
        somb.load_task("mine.json", source=folder)


def test_tables_of_ones_own_need_their_folder(command: Command, folder: Path) -> None:
    assert command(*begin(folder))[0] == 0
    code, _, err = command("run", "--tasks", "mine.json")
    assert code == 2 and "blood.csv is no published table: name the folder that has it with --data" in err
    assert command("task", "check", "nothing.json")[0] == 1
    (folder / "blood.csv").write_text("sample,iron,iron\na,1,2\n", encoding="utf-8")
    assert "column 'iron' is duplicated" in command("task", "check", "mine.json", "--data", folder)[2]


@pytest.mark.parametrize("grouped", [True, False])
def test_folds_of_ones_own(command: Command, folder: Path, grouped: bool) -> None:
    definition = {
        "id": "mine", "type": "binary", "split": "own", "metrics": {"primary": "auprc", "secondary": []},
        "features": {
            "recipe": "table", "table": "blood", "id": "sample", "label": "condition", "folds": "folds",
            "groups": "person" if grouped else None, "leave_out": ["sex"] if grouped else ["sex", "person"],
        },
    }  # fmt: skip
    Path("mine.json").write_text(json.dumps(definition), encoding="utf-8")
    folds = pd.DataFrame({"sample": IDS, "fold": GROUPS.map({"P0": "a", "P1": "a"}).fillna("b").tolist()})
    folds.to_csv(folder / "folds.csv", index=False)
    data = somb.load_task("mine.json", source=folder)
    assert [(fold.label, len(fold.train), len(fold.test)) for fold in data.folds] == [("a", 18, 12), ("b", 12, 18)]
    run = somb.run(data, ["majority", "logreg"], n_jobs=1)
    assert run.summary(50)["low"].notna().all() and set(run.summary(0)["metric"]) == {"auprc"}
    assert run_differences(run)["test"].tolist() == ["sign flip" if grouped else "none"]

    parts = pd.concat(
        [folds.assign(part="test"), folds.assign(fold=folds["fold"].map({"a": "b", "b": "a"}), part="train")]
    )
    parts.iloc[:-1].to_csv(folder / "folds.csv", index=False)
    assert sum(len(fold.train) for fold in somb.load_task("mine.json", source=folder).folds) == 29
    parts.assign(part="both", sample=parts["sample"].replace("s00", "s99")).to_csv(folder / "folds.csv", index=False)
    with pytest.raises(SombError, match=r"without features or label: 's99'\n  the column part .* not 'both'"):
        somb.load_task("mine.json", source=folder)


def test_label_by_day_is_noticed_and_tested(command: Command, folder: Path) -> None:
    days = pd.Series(["L-3", "L-2", "L-1", "R+1", "R+2", "R+3"] * 5, IDS)
    phase = table().assign(condition=np.where(days.str.startswith("L"), "pre", "post"), sex=days.to_numpy())
    phase.rename(columns={"sex": "day"}).to_csv(folder / "blood.csv", index=False)
    assert command(*begin(folder))[0] == 0
    text = Path("mine.json").read_text(encoding="utf-8").replace('"leave_out": ["day"]', '"leave_out": null')
    Path("mine.json").write_text(text.replace('"day": null', '"day": "day"'), encoding="utf-8")
    assert "set label_by_day to true" in " ".join(command("task", "check", "mine.json", "--data", folder)[1].split())
    text = Path("mine.json").read_text(encoding="utf-8").replace('"label_by_day": false', '"label_by_day": true')
    Path("mine.json").write_text(text, encoding="utf-8")
    assert (
        command(
            "run", "--tasks", "mine.json", "--models", "majority,logreg", "--data", folder, "--out", "r", "-j", "1"
        )[0]
        == 0
    )
    assert "somb day FILE --run FOLDER" in command("compare", "r")[1]
    assert (
        command("day", "mine.json", "--models", "logreg", "--data", folder, "--n", "9", "--run", "r", "-j", "1")[0] == 0
    )
    run = somb.load_run("r")
    assert run.with_p_values(run.summary(0))["shuffled"].tolist() == [None, "days"]


def test_own_tasks_are_of_no_leaderboard(command: Command, folder: Path, open_data: Path) -> None:
    from somb_utils.leaderboard import board, model_card, submission
    from somb_utils.reference import canonical

    definition = {
        "id": "panel", "type": "multiclass", "split": "loco", "label_by_day": True,
        "features": {
            "recipe": "table", "table": "clinical_cmp", "id": "sample_id", "label": "phase", "groups": "crew",
            "day": "timepoint", "leave_out": ["tissue", "timepoint_days", "mission"],
        },
        "metrics": {"primary": "macro_auroc", "secondary": ["macro_f1", "balanced_log_loss"]},
    }  # fmt: skip
    Path("panel.json").write_text(json.dumps(definition), encoding="utf-8")
    source = open_data / "processed"
    run = somb.run("panel.json", ["majority", "logreg"], source=source, out="r", n_jobs=1)
    assert run.provenance["source"] == "open"
    assert run.provenance["tasks"]["panel/rigorous"]["tables"]["clinical_cmp"].startswith("git:")
    # The recipe of A1, on this table alone, gives the same features.
    a1 = json.loads(somb.get_task("A1").model_dump_json())
    twin = read_task(
        json.dumps({**a1, "id": "twin", "features": {**a1["features"], "tables": ["clinical_cmp"]}}), "twin"
    )
    twins = somb.run(twin, ["majority", "logreg"], source=source, n_jobs=1)
    kept = ["mean", "sd", "chance", "low", "high"]
    pd.testing.assert_frame_equal(run.summary(100)[kept], twins.summary(100)[kept])

    card = model_card.Card(
        name="x", authors=("Ada",), contact="a@b.example", licence="MIT", description="d", training_data="n", tuning="n"
    )
    with pytest.raises(UsageError, match="results of your own tasks alone"):
        submission.pack(Path("r"), card, Path("x.zip"), source=source)
    with pytest.raises(UsageError, match="none is canonical"):
        canonical.store([Path("r")])
    with pytest.raises(UsageError, match="the leaderboard has those of the benchmark"):
        board.start(tasks=["panel.json"], models=["logreg"], source=str(source))


def test_a_notebook_takes_own_tasks_beside_its_own(command: Command, folder: Path) -> None:
    from somb_utils.notebook.parameters import check
    from somb_utils.notebook.session import Session, named

    given = {"models": ["majority"], "source": "simulated"}
    panel = json.loads(somb.get_task("A1").model_dump_json())
    panel = {**panel, "id": "panel", "features": {**panel["features"], "tables": ["clinical_cmp"]}}
    Path("panel.json").write_text(json.dumps(panel), encoding="utf-8")
    session = Session(check({**given, "tasks": "A1,panel.json"}, ("A1", "A2")))
    assert list(session.tasks) == ["A1", "panel"] and named(session, "panel").X.shape == (28, 19)
    assert command(*begin(folder))[0] == 0
    session = Session(check({**given, "source": str(folder), "tasks": ["mine.json"]}, ("A1", "A2")))
    assert "Your own data" in session.banner().data


def test_a_definition_must_not_take_the_place_of_another() -> None:
    changed = somb.get_task("A1").model_copy(update={"order": "stored"})
    with pytest.raises(UsageError, match="'A1' is a task of the benchmark"):
        somb.run(changed, "majority", source="simulated", n_jobs=1)
    somb.run(somb.get_task("A1").under("rigorous"), "majority", source="simulated", n_jobs=1)
