"""Predictions made elsewhere: scored as scikit-learn scores them, or refused with everything that is wrong."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import somb_utils as somb
from somb_utils.errors import SombError, UsageError
from somb_utils.predictions.codec import FORMS, MAX_BYTES, Form, encode
from somb_utils.predictions.evaluate import score, standing, template, validate
from somb_utils.predictions.problems import Problems
from somb_utils.runs.folder import load_run
from somb_utils.runs.results import RunResult
from somb_utils.tables.sources import FolderSource, SimulatedSource
from somb_utils.tasks import splits
from somb_utils.tasks.task_data import TaskData, load_task

REAL = ["A1", "A2", "B2", "C1", "C2", "D1", "E1", "F4", "G1", "H1", "I2"]
Answers = list[tuple[np.ndarray, np.ndarray]]


@pytest.fixture(scope="module")
def simulated() -> SimulatedSource:
    return SimulatedSource()


@pytest.fixture(scope="module")
def real(open_data: Path) -> FolderSource:
    return FolderSource(open_data / "processed")


def predicted(data: TaskData) -> Answers:
    """Fit scikit-learn estimators of the test's own: class positions or 0/1 rows, and scores (of classes by row)."""
    answers = []
    for fold in data.folds:
        multilabel = data.task.type == "multilabel"
        last = {"multilabel": KNeighborsClassifier(5), "multiclass": GaussianNB(), "binary": LogisticRegression()}[
            data.task.type
        ]
        model = make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler(), last)
        X = data.X.to_numpy()
        model.fit(X[fold.train], data.codes[fold.train])
        proba = model.predict_proba(X[fold.test])
        if multilabel:
            score = np.column_stack([p[:, 1] if p.shape[1] == 2 else np.zeros(len(p)) for p in proba])
        else:
            score = proba if data.task.type == "multiclass" else proba[:, 1]
        answers.append((model.predict(X[fold.test]), score))
    return answers


def as_json(data: TaskData, answers: Answers) -> dict[str, Any]:
    key = "split_idx" if data.task.split in ("loco", "loto") else "rep"
    entries = []
    for i, (y_pred, y_score) in enumerate(answers):
        if data.task.type == "multiclass":
            names = [data.task.classes[code] for code in y_pred]
            entries.append({key: i, "y_pred": names, "y_score": y_score.tolist()})
        else:
            entries.append({key: i, "y_pred": y_pred.tolist(), "y_score": y_score.tolist()})
    return {"predictions": entries}


def as_frame(data: TaskData, answers: Answers) -> pd.DataFrame:
    parts = []
    for fold, (y_pred, y_score) in zip(data.folds, answers, strict=True):
        ids = data.X.index[fold.test].to_numpy()
        classes = np.array(data.task.classes)
        if data.task.type == "multilabel":
            columns = {"id": np.repeat(ids, len(classes)), "label": np.tile(classes, len(ids))}
            parts.append(pd.DataFrame({**columns, "y_pred": y_pred.ravel(), "y_score": y_score.ravel()}))
        else:
            columns = {"id": ids, "y_pred": classes[y_pred]}
            by_class = {f"p[{name}]": y_score[:, k] for k, name in enumerate(classes) if y_score.ndim == 2}
            parts.append(pd.DataFrame({**columns, **(by_class or {"y_score": y_score})}))
        parts[-1]["fold"] = fold.label
    return pd.concat(parts).sample(frac=1, random_state=0)


def by_hand(data: TaskData, number: int, y_pred: np.ndarray, y_score: np.ndarray) -> dict[str, float]:
    """Return what scikit-learn itself says of one fold; metrics it leaves undefined are left out."""
    fold = data.folds[number]
    y, classes = data.codes[fold.test], data.task.classes
    if data.task.type == "multiclass":
        options: dict[str, Any] = {"labels": range(len(classes)), "zero_division": 0}
        single = sk.f1_score(y, y_pred, average=None, **options)
        certain = y_score.clip(np.finfo(float).eps)
        return {
            "accuracy": sk.accuracy_score(y, y_pred),
            "macro_f1": sk.f1_score(y, y_pred, average="macro", **options),
            "weighted_f1": sk.f1_score(y, y_pred, average="weighted", **options),
            **{f"f1[{name}]": value for name, value in zip(classes, single, strict=True)},
            "macro_auroc": np.mean([sk.roc_auc_score(y == k, y_score[:, k]) for k in np.unique(y)]),
            "balanced_log_loss": np.mean([-np.log(certain[y == k, k]).mean() for k in np.unique(y)]),
        }
    if data.task.type == "multilabel":
        aurocs = {
            f"auroc[{name}]": sk.roc_auc_score(y[:, j], y_score[:, j])
            for j, name in enumerate(classes)
            if len(set(y[:, j])) == 2
        }
        return {
            "micro_f1": sk.f1_score(y, y_pred, average="micro", zero_division=0),
            "macro_f1": sk.f1_score(y, y_pred, average="macro", zero_division=0),
            "hamming_loss": sk.hamming_loss(y, y_pred),
            "mean_auroc": float(np.mean(list(aurocs.values()))),
            "micro_ap": sk.average_precision_score(y, y_score, average="micro"),
            **aurocs,
        }
    scores = {
        "auroc": sk.roc_auc_score(y, y_score),
        "auprc": sk.average_precision_score(y, y_score),
        "f1": sk.f1_score(y, y_score >= 0.5, zero_division=0),
    }
    for k in (50, 100):
        ranked = np.sort(y_score)[::-1]
        if len(y) >= k:
            scores[f"ndcg_at_{k}"] = sk.ndcg_score(y[None], y_score[None], k=k)
        if len(y) > k and ranked[k - 1] > ranked[k]:
            scores[f"precision_at_{k}"] = sk.precision_score(y, y_score >= ranked[k - 1])
    return scores


@pytest.mark.parametrize("task_id", REAL)
def test_scores_are_those_of_scikit_learn(
    task_id: str, real: FolderSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if task_id != "C2":  # one task with all repetitions of its folds is enough
        monkeypatch.setattr(splits, "REPETITIONS", 1)
    data = load_task(task_id, source=real)
    answers = predicted(data)
    (tmp_path / "json").mkdir()
    (tmp_path / "json" / f"{task_id}.json").write_text(json.dumps(as_json(data, answers)))
    (tmp_path / "ids").mkdir()
    as_frame(data, answers).to_parquet(tmp_path / "ids" / f"{task_id}.parquet", index=False)
    found = [score(validate(tmp_path / form, source=real)[0]).results for form in ("json", "ids")]
    pd.testing.assert_frame_equal(*found, check_exact=True)
    values = found[0].set_index(["fold", "metric"])["value"]
    for number, fold in enumerate(data.folds):
        expected = by_hand(data, number, *answers[number])
        assert data.task.metrics.primary in expected
        for metric, value in expected.items():
            assert abs(values[fold.label, metric] - value) < 1e-9, (fold.label, metric)
        if task_id == "C2":
            plasma, vesicle = (
                real.load(f"proteomics_{table}_de_clean").set_index("gene").loc[data.X.index[fold.test], "logFC"]
                for table in ("plasma", "evp")
            )
            concordant = (np.sign(plasma) == np.sign(vesicle)).mean()
            assert abs(values[fold.label, "direction_concordance"] - concordant) < 1e-9


KINDS = ("A1", "B2", "C2")  # multiclass, multilabel and binary


@cache
def runs(tasks: tuple[str, ...]) -> list[RunResult]:
    return [somb.run(tasks, [model], source="simulated", n_jobs=1) for model in ("random", "logreg")]


@pytest.mark.parametrize(
    ("form", "tasks"),
    [*((form, KINDS) for form in FORMS), pytest.param("parquet", ("D1", "F4", "H1"), marks=pytest.mark.slow)],
)
def test_a_runs_predictions_score_as_the_run_did(
    form: Form, tasks: tuple[str, ...], simulated: SimulatedSource, tmp_path: Path
) -> None:
    for run in runs(tasks):
        for task in tasks:
            rows = run.predictions[run.predictions["task"] == task].sample(frac=1, random_state=1)
            content = encode(rows, load_task(task, source=simulated), form)
            (tmp_path / f"{task}.{form}").write_bytes(content)
        result = score(validate(tmp_path, source=simulated)[0])
        for part in ("results", "predictions"):
            left, right = (getattr(r, part).drop(columns="model") for r in (run, result))
            pd.testing.assert_frame_equal(left, right, check_exact=True)


def test_a_runs_own_prediction_table_is_a_valid_file(simulated: SimulatedSource, tmp_path: Path) -> None:
    run = somb.run("A1,B2,C2", ["majority"], source=simulated, n_jobs=1, out=tmp_path / "run")
    for task, rows in load_run(tmp_path / "run").predictions.groupby("task"):
        rows.to_parquet(tmp_path / f"{task}.parquet")
    result = score(validate(tmp_path, source=simulated)[0])
    pd.testing.assert_series_equal(result.summary(0)["mean"], run.summary(0)["mean"])


@pytest.mark.parametrize("with_answers", [True, False])
def test_scores_of_any_range_rank_and_y_pred_decides_f1(
    with_answers: bool, simulated: SimulatedSource, tmp_path: Path
) -> None:
    data = load_task("C2", source=simulated)
    answers = [(y_pred, 7 * y_score - 3) for y_pred, y_score in predicted(data)]
    document = as_json(data, answers)
    if not with_answers:
        for entry in document["predictions"]:
            del entry["y_pred"]
    (tmp_path / "C2.json").write_text(json.dumps(document))
    submissions, notes = validate(tmp_path, source=simulated)
    assert "ranks the rows" in notes[-1] and ("F1 is that of y_pred" in notes[-1]) == with_answers
    values = score(submissions, tmp_path / "run").results.set_index(["fold", "metric"])["value"]
    for number, fold in enumerate(data.folds):
        y, (y_pred, y_score) = data.codes[fold.test], answers[number]
        assert values[fold.label, "auroc"] == pytest.approx(sk.roc_auc_score(y, y_score))
        assert ((fold.label, "f1") in values.index) == with_answers
        if with_answers:
            assert values[fold.label, "f1"] == pytest.approx(sk.f1_score(y, y_pred, zero_division=0))


def test_without_y_pred_probabilities_tell_the_answer(simulated: SimulatedSource, tmp_path: Path) -> None:
    data = load_task("C2", source=simulated)
    answers = predicted(data)
    (tmp_path / "C2.json").write_text(json.dumps(as_json(data, answers)))
    whole = score(validate(tmp_path, source=simulated)[0])
    (tmp_path / "C2.json").unlink()
    as_frame(data, answers).drop(columns="y_pred").to_csv(tmp_path / "C2.csv", index=False)
    pd.testing.assert_frame_equal(score(validate(tmp_path, source=simulated)[0]).results, whole.results)


def test_files_of_r_are_read(simulated: SimulatedSource, tmp_path: Path) -> None:
    loaded = {task: load_task(task, source=simulated) for task in ("A1", "C2")}
    as_frame(loaded["A1"], predicted(loaded["A1"])).to_csv(tmp_path / "A1.csv.gz")  # with row names
    document = {"task": ["C2"], "protocol": ["rigorous"], **as_json(loaded["C2"], predicted(loaded["C2"]))}
    for entry in document["predictions"]:
        entry["rep"] = [float(entry["rep"])]
        entry["y_pred"] = [float(code) for code in entry["y_pred"]]
    (tmp_path / "C2.json").write_text(json.dumps(document))
    assert len(validate(tmp_path, source=simulated)[0]) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,fold\n", "column 'y_pred' is missing"),
        ("id,fold,y_pred\na,b\n", "row 0 has 2 values, the header 3"),
        ("id,fold,y_pred\n" + "a,C001,x\n" * 600, "has more rows than the 560 that are read"),
        ('id,fold,y_pred\n"a', "is not CSV"),
        ("id,fold,y_pred\nNA,C001,recovery\n", "the id is missing"),
    ],
)
def test_csv_that_is_refused(text: str, message: str, simulated: SimulatedSource, tmp_path: Path) -> None:
    (tmp_path / "A1.csv").write_text(text)
    assert message in refusal(tmp_path, simulated)


def test_a_run_folder_is_evaluated_as_it_is(command: Any, tmp_path: Path) -> None:
    run = somb.run("A1,C2", ["majority", "logreg"], source="simulated", n_jobs=1, out=tmp_path / "run")
    words = ("--data", "simulated", "--format", "json")
    code, _, err = command("evaluate", "run", *words)
    assert code == 2 and "has predictions of majority, logreg; name one of them with --model" in err
    run.predictions.to_parquet(tmp_path / "predictions.parquet", index=False)
    for place in ("run", "predictions.parquet"):
        code, out, _ = command("evaluate", place, "--model", "logreg", *words)
        expected = run.summary().query("model == 'logreg'")["mean"]
        assert code == 0 and [row["mean"] for row in json.loads(out)] == pytest.approx(expected.tolist())


# --- what is refused -------------------------------------------------------------------------------------------------

Change = Callable[[list[dict[str, Any]]], Any]


@pytest.fixture(scope="module")
def tasks(simulated: SimulatedSource) -> dict[str, TaskData]:
    return {task: load_task(task, "aligned", simulated) for task in ("A1", "B2", "C2")}


def refusal(folder: Path, source: SimulatedSource, **options: Any) -> str:
    with pytest.raises(SombError) as caught:
        validate(folder, source=source, **{"protocol": "aligned", **options})
    assert caught.value.exit_code == 1
    return str(caught.value)


def constant(data: TaskData) -> Answers:
    shape = (len(data.task.classes),)
    of_pred, of_score = shape * (data.task.type == "multilabel"), shape * (data.task.type != "binary")
    value = 1 / len(data.task.classes) if data.task.type == "multiclass" else 0.25
    return [(np.zeros((len(f.test), *of_pred), int), np.full((len(f.test), *of_score), value)) for f in data.folds]


def put(index: int, key: str, position: int, value: Any) -> Change:
    return lambda entries: entries[index][key].__setitem__(position, value)


@pytest.mark.parametrize(
    ("task", "change", "message"),
    [
        ("A1", put(1, "y_pred", 3, "inflight"), "fold C002, position 3: y_pred is 'inflight', not one of post_flight"),
        ("A1", put(1, "y_pred", 3, 2), "fold C002, position 3: y_pred is 2, not one of"),
        ("A1", lambda e: e[0]["y_pred"].pop(), "fold C001: y_pred has 6 values, the fold tests 7 rows"),
        ("A1", lambda e: e[0].pop("y_pred"), "fold C001: y_pred is missing"),
        ("A1", lambda e: e[0].update(y_pred="x"), "fold C001: y_pred is 'x', not a list"),
        ("A1", lambda e: e[0].update(y_score=[0.5] * 7), "y_score is 0.5, not 3 finite numbers"),
        ("A1", lambda e: e.pop(), "fold C004: the fold is missing"),
        ("A1", lambda e: e.append(e[2]), "fold C003, entry 4: the fold is duplicated"),
        ("A1", lambda e: e[3].update(split_idx=4), "entry 3: unknown fold 4; A1 has 0 to 3 (C001"),
        ("A1", lambda e: e[3].update(split_idx=True), "entry 3: unknown fold True"),
        ("A1", lambda e: e[3].update(split_idx=1e400), "entry 3: unknown fold inf"),
        ("A1", lambda e: e[3].update(rep=3), "entry 3: names its fold 2 times"),
        ("A1", lambda e: e[3].update(ids=[]), "entry 3: unknown key 'ids'"),
        ("A1", lambda e: e.append(7), "entry 4: is 7, not an object"),
        ("A1", lambda e: e[0].update(y_true=["recovery"] * 7), "y_true is 'recovery', which is not the task's label"),
        ("C2", put(4, "y_score", 75, float("nan")), "fold 4, position 75: y_score is nan, not a finite number"),
        ("C2", put(4, "y_score", 75, float("-inf")), "fold 4, position 75: y_score is -inf"),
        ("C2", put(4, "y_score", 0, 10**400), "fold 4, position 0: y_score is 1000"),
        ("C2", put(4, "y_score", 0, [0.2, 0.8]), "position 0: y_score is a list of 2, not a finite number"),
        ("C2", put(4, "y_score", 0, True), "position 0: y_score is True, not a finite number"),
        ("C2", put(4, "y_score", 0, "0.5"), "position 0: y_score is '0.5', not a finite number"),
        ("C2", lambda e: e[2].pop("y_score"), "fold 2: y_score is missing"),
        ("C2", put(0, "y_pred", 0, 2), "y_pred is 2, not one of unchanged, changed"),
        ("C2", put(0, "y_pred", 0, None), "y_pred is missing, not one of"),
        ("C2", put(0, "y_pred", 0, {}), "y_pred is of type dict, not one of"),
        ("C2", put(0, "y_pred", 0, "\ud800\n"), r"y_pred is '\ud800\n', not one of"),
        ("B2", put(0, "y_pred", 5, [0] * 15), "fold 0, position 5: y_pred is not a row of 16 values"),
        ("B2", put(0, "y_pred", 5, [0] * 15 + [2]), "position 5 (prostate cancer): y_pred is 2, not 0 or 1"),
        ("B2", put(0, "y_score", 5, [0] * 15 + [1e400]), "position 5 (prostate cancer): y_score is inf"),
        ("C2", lambda e: e[2].pop("y_pred") and put(1, "y_score", 0, 7)(e), "fold 2: y_pred is missing; give it in"),
        ("B2", put(0, "y_score", 5, 0.5), "position 5: y_score is not a row of 16 values"),
    ],
)
def test_json_that_is_refused(
    task: str, change: Change, message: str, tasks: dict[str, TaskData], simulated: SimulatedSource, tmp_path: Path
) -> None:
    document = as_json(tasks[task], constant(tasks[task]))
    change(document["predictions"])
    (tmp_path / f"{task}.json").write_text(json.dumps(document))
    assert f"\n{task}.json, " in (told := refusal(tmp_path, simulated)) and message in told


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "A1.json: is not JSON: Expecting value"),
        (b"{", "is not JSON"),
        (b"[" * 100_000, "is nested too deeply"),
        (b'{"predictions": ' + b"[" * 900 + b"]" * 900 + b"}", "entry 0: is a list of 1, not an object"),
        (b'{"predictions": [{"rep": 0, "rep": 1}]}', "the key 'rep' is duplicated"),
        (b'{"predictions": [' + b"{}," * 200_000 + b"{}]}", "has 200,001 entries; A1 has 4 folds"),
        (b"{" + b"".join(b'"%d": 0, ' % i for i in range(100_000)) + b'"0": 0}', "the key '0' is duplicated"),
        (b'{"predictions": ' + b"9" * 5000 + b"}", "is not JSON: Exceeds the limit"),
        ('{"predictions": "é"}'.encode("latin-1"), "is not UTF-8 text: byte 17 is 0xe9"),
        ("{}".encode("utf-16"), "is not UTF-8 text"),
        (b"[]", 'is not of the form {"predictions"'),
        (b'{"predictions": {}}', 'is not of the form {"predictions"'),
        (b'{"task": "A2", "predictions": []}', "says it is for task 'A2'"),
        (b'{"task_id": null, "predictions": []}', "says it is for task missing"),
        (b'{"protocol": "published", "predictions": []}', "was made in protocol 'published', this is aligned"),
    ],
)
def test_text_that_is_refused(content: bytes, message: str, simulated: SimulatedSource, tmp_path: Path) -> None:
    (tmp_path / "A1.json").write_bytes(content)
    assert message in refusal(tmp_path, simulated)


@pytest.mark.parametrize(
    ("task", "change", "message"),
    [
        ("A1", lambda f: f.drop(0), "fold C001, id 'C001_L-3': no prediction"),
        ("A1", lambda f: f[f["fold"] != "C003"], "fold C003: the fold is missing"),
        ("A1", lambda f: pd.concat([f, f[:1]]), "fold C001, row 28 (id 'C001_L-3'): is duplicated"),
        ("A1", lambda f: f.assign(id=f["id"].mask(f.index == 2, "nobody")), "row 2 (id 'nobody'): not tested in this"),
        ("A1", lambda f: f.assign(id=f["id"].mask(f.index == 2, "C002_L-3")), "row 2 (id 'C002_L-3'): not tested in"),
        ("A1", lambda f: f.assign(id=f["id"].mask(f.index == 2)), "row 2 (id missing): the id is missing"),
        (
            "A1",
            lambda f: f.assign(id=range(28)),
            "(id 2), row 3 (id 3), row 4 (id 4), row 5 (id 5), row 6 (id 6): the id is not text",
        ),
        ("A1", lambda f: f.assign(fold=f["fold"].mask(f.index == 2, "C9")), "row 2: unknown fold 'C9'; A1 has C001, C"),
        ("A1", lambda f: f.assign(y_pred=f["y_pred"].mask(f.index == 2)), "row 2 (id 'C001_L-92'): y_pred is missing"),
        ("A1", lambda f: f.assign(y_score=0.5), "y_score is 0.5, not 3 finite numbers"),
        ("A1", lambda f: f.assign(label="x"), "row 19 and 8 more: has a label, but A1 is multiclass"),
        ("A1", lambda f: f.assign(model=f["fold"]), "has predictions of several models"),
        ("A1", lambda f: f.assign(protocol="published"), "was made in protocol 'published', this is aligned"),
        ("A1", lambda f: f.assign(task="A2"), "says it is for task 'A2'"),
        ("A1", lambda f: f.assign(y_ture="x"), "unknown column 'y_ture'"),
        ("A1", lambda f: f.drop(columns="fold"), "column 'fold' is missing"),
        ("A1", lambda f: f.assign(fold=pd.Timestamp(0)), "column 'fold' is of type timestamp"),
        ("A1", lambda f: pd.concat([f] * 50), "has 1,400 rows; at most 560 are read"),
        (
            "C2",
            lambda f: f.assign(y_score=f["y_score"].mask(f.index == 3, np.nan)),
            "y_score is missing, not a finite number",
        ),
        ("C2", lambda f: f.assign(y_score="0.5"), "y_score is '0.5', not a finite number"),
        ("C2", lambda f: f.drop(columns="y_score"), "column 'y_score' is missing"),
        ("B2", lambda f: f.assign(label=f["label"].mask(f.index == 0, "MTT")), ": unknown label 'MTT'"),
        ("B2", lambda f: f.drop(columns="label"), "column 'label' is missing"),
        ("B2", lambda f: f.drop(0), "(label 'MT'): no prediction"),
        ("B2", lambda f: pd.concat([f, f[:1]]), "is duplicated (label 'MT')"),
    ],
)
@pytest.mark.usefixtures("no_process")
def test_parquet_that_is_refused(
    task: str, change: Any, message: str, tasks: dict[str, TaskData], simulated: SimulatedSource, tmp_path: Path
) -> None:
    frame = as_frame(tasks[task], constant(tasks[task]))
    frame = frame.sort_values(["fold", "id"], kind="stable", ignore_index=True)
    if task == "B2":
        frame = frame.sort_values(["fold", "id", "label"], key=lambda c: c.mask(c == "MT", ""), ignore_index=True)
    change(frame).to_parquet(tmp_path / f"{task}.parquet", index=False)
    assert message in refusal(tmp_path, simulated)


def test_everything_wrong_is_told_at_once(
    tasks: dict[str, TaskData], simulated: SimulatedSource, tmp_path: Path
) -> None:
    document = as_json(tasks["C2"], constant(tasks["C2"]))
    for i in (3, 40):
        document["predictions"][1]["y_score"][i] = float("nan")
    document["predictions"][2]["y_pred"][0] = "up"
    document["predictions"].pop(4)
    (tmp_path / "C2.json").write_text(json.dumps(document))
    (tmp_path / "A1.json").write_text("{")
    (tmp_path / "A1.parquet").write_text("PAR1")
    (tmp_path / "A2.parquet").write_text("PAR1")
    (tmp_path / "Z1.json").write_text("{}")
    (tmp_path / "a2.xls").write_text("")
    (tmp_path / "notes.md").write_text("not a prediction file, and none is meant")
    lines = refusal(tmp_path, simulated, tasks="A1,A2,C2,H1").splitlines()[1:]
    assert [line.split(":")[0] for line in lines] == [
        "'Z1.json'",
        "'a2.xls'",
        "A1.json, A1.parquet",
        "H1",
        "A2.parquet",
        "C2.json, fold 4",
        "C2.json, fold 1, position 3, position 40",
        "C2.json, fold 2, position 0",
    ]


def test_a_thousand_kinds_of_problems_are_not_all_listed() -> None:
    problems = Problems("C2.json")
    for i in range(1000):
        problems.add(f"y_score is {i}", "0", "position 1")
    assert len(problems.lines()) == 501 and problems.lines()[-1] == "C2.json: and 500 problems more"


def test_files_that_are_not_read(simulated: SimulatedSource, tmp_path: Path) -> None:
    with (tmp_path / "A1.json").open("wb") as stream:
        stream.truncate(4 * 2**30)
    os.mkfifo(tmp_path / "A2.json")
    (tmp_path / "C1.json").mkdir()
    (tmp_path / "C2.json").symlink_to(tmp_path / "nowhere")
    told = refusal(tmp_path, simulated)
    assert f"A1.json: is 4,096 MB large; at most {MAX_BYTES >> 20} MB are read" in told
    assert told.count("is not a regular file") == 3


def test_an_empty_folder_and_a_missing_one(simulated: SimulatedSource, tmp_path: Path) -> None:
    assert "has no predictions" in refusal(tmp_path, simulated)
    assert "A1: there is no A1.json or A1.parquet or A1.csv or A1.csv.gz" in refusal(tmp_path, simulated, tasks="A1,C*")
    with pytest.raises(UsageError, match="is not a folder"):
        validate(tmp_path / "nowhere", source=simulated)
    with pytest.raises(UsageError, match="unknown protocol"):
        validate(tmp_path, protocol="mixed", source=simulated)  # type: ignore[arg-type]


def test_predictions_for_the_other_protocols_folds(real: FolderSource, tmp_path: Path) -> None:
    data = load_task("C2", "published", real)
    frame = as_frame(data, constant(data))
    frame.to_parquet(tmp_path / "C2.parquet", index=False)
    for protocol in ("aligned", "rigorous"):
        with pytest.raises(SombError, match=f"made for the folds of protocol published, this is {protocol}") as caught:
            validate(tmp_path, source=real, protocol=protocol)
        assert "one problem" in str(caught.value)
    assert validate(tmp_path, source=real, protocol="published")[0]["C2.parquet"].data.protocol == "published"


def test_lengths_of_the_other_protocols_folds(tasks: dict[str, TaskData]) -> None:
    from somb_utils.predictions.codec import Problems, decode

    other = tasks["C2"]
    shorter = tuple(replace(fold, test=fold.test[:-1]) for fold in other.folds)
    data = replace(other, folds=shorter, protocol="published")
    problems = Problems("C2.json")
    decode(json.dumps(as_json(other, constant(other))).encode(), "json", data, lambda: [other], problems, [])
    assert problems.lines() == [
        "C2.json: was made for the folds of protocol aligned, this is published; see --protocol"
    ]


def test_json_without_a_protocol_is_noted_where_folds_differ(real: FolderSource, tmp_path: Path) -> None:
    for task in ("A1", "C2"):
        data = load_task(task, source=real)
        (tmp_path / f"{task}.json").write_text(json.dumps(as_json(data, constant(data))))
    notes = validate(tmp_path, source=real)[1]
    assert len(notes) == 1 and notes[0].startswith("C2.json does not say for which protocol's folds it was made")


@pytest.mark.parametrize("answers", [["unchanged", "changed"], [0, 1], ["0", "1"], [0.0, 1.0], [False, True]])
def test_binary_answers_by_name_or_code(
    answers: list[Any], tasks: dict[str, TaskData], simulated: SimulatedSource, tmp_path: Path
) -> None:
    data = tasks["C2"]
    document = as_json(data, constant(data))
    for entry in document["predictions"]:
        entry["y_pred"] = (answers * 50)[: len(entry["y_pred"])]
        entry["split_idx"] = entry.pop("rep")
    (tmp_path / "C2.json").write_text(json.dumps(document), encoding="utf-8-sig")
    read = validate(tmp_path, source=simulated, protocol="aligned")[0]["C2.json"].predictions
    assert all(fold.y_pred.tolist() == ([0, 1] * 50)[: len(fold.y_pred)] for fold in read.values())


def test_multiclass_scores_by_class_are_accepted(
    tasks: dict[str, TaskData], simulated: SimulatedSource, tmp_path: Path
) -> None:
    document = as_json(tasks["A1"], constant(tasks["A1"]))
    document["predictions"][0]["y_score"] = [[0.2, 0.3, 0.5]] * 7
    document["predictions"][1]["y_score"] = None
    (tmp_path / "A1.json").write_text(json.dumps(document))
    assert len(validate(tmp_path, source=simulated, protocol="aligned")[0]) == 1
    document["predictions"][0]["y_score"][2] = [0.2, 0.3, float("nan")]
    (tmp_path / "A1.json").write_text(json.dumps(document))
    assert "fold C001, position 2: the probability of recovery is nan, not a finite number" in refusal(
        tmp_path, simulated
    )


def test_rigorous_files_need_probabilities_of_every_class(simulated: SimulatedSource, tmp_path: Path) -> None:
    data = load_task("A1", source=simulated)
    frame = as_frame(data, predicted(data)).sort_values(["fold", "id"], ignore_index=True)
    by_class = ["p[recovery]", "p[pre_flight]", "p[post_flight]"]
    for changed, message in [
        (frame.drop(columns="p[recovery]"), "A1.csv: column 'p[recovery]' is missing"),
        (frame.rename(columns={"p[recovery]": "p[rest]"}), "unknown column 'p[rest]' (known: id, fold"),
        (frame.assign(**{"p[recovery]": np.nan}), "the probability of recovery is missing, not a finite number"),
        (frame.assign(**{"p[recovery]": -0.5}), "the probability of recovery is -0.5; give 0 or more"),
        (frame.assign(**{"p[recovery]": np.inf}), "row 0 (id 'C001_L-3')"),
        (frame.assign(**dict.fromkeys(by_class)), "needs under rigorous: give p[post_flight], p["),
    ]:
        changed.to_csv(tmp_path / "A1.csv", index=False)
        assert message in refusal(tmp_path, simulated, protocol="rigorous")
    (tmp_path / "A1.csv").unlink()
    document = as_json(data, predicted(data))
    document["predictions"][1]["y_score"] = None
    document["predictions"][2]["y_score"][0] = [0.5, 0.5]
    (tmp_path / "A1.json").write_text(json.dumps(document))
    text = refusal(tmp_path, simulated, protocol="rigorous")
    assert "fold C002: class probabilities are missing, which A1 needs under rigorous: give y_score, a list" in text
    assert "fold C003, position 0: y_score is a list of 2, not 3 finite numbers, one for each of post_flight" in text


def test_class_scores_that_do_not_add_up_rank_without_log_loss(simulated: SimulatedSource, tmp_path: Path) -> None:
    data = load_task("A1", source=simulated)
    answers = predicted(data)
    as_frame(data, answers).to_csv(tmp_path / "A1.csv", index=False)
    whole = score(validate(tmp_path, source=simulated)[0]).results.set_index(["metric", "fold"])["value"]
    as_frame(data, [(y_pred, 7 * scores) for y_pred, scores in answers]).to_csv(tmp_path / "A1.csv", index=False)
    submissions, notes = validate(tmp_path, source=simulated)
    ranked = score(submissions).results.set_index(["metric", "fold"])["value"]
    assert notes == ["A1.csv: class scores do not add up to 1 in every row: they rank, without log loss"]
    assert "balanced_log_loss" in whole and "balanced_log_loss" not in ranked
    pd.testing.assert_series_equal(ranked["macro_auroc"], whole["macro_auroc"])


def test_other_protocols_may_leave_out_probabilities(simulated: SimulatedSource, tmp_path: Path) -> None:
    data = load_task("A1", "aligned", simulated)
    frame = as_frame(data, predicted(data))
    for columns, metrics in ((["p[recovery]", "p[pre_flight]", "p[post_flight]"], 0), ([], 4)):
        frame.drop(columns=columns).to_csv(tmp_path / "A1.csv", index=False)
        results = score(validate(tmp_path, source=simulated, protocol="aligned")[0]).results
        assert (results["metric"] == "macro_auroc").sum() == metrics and (results["metric"] == "macro_f1").sum() == 4


@pytest.fixture(scope="module")
def two_seeds(simulated: SimulatedSource) -> RunResult:
    return somb.run(KINDS, ["random"], source=simulated, n_jobs=1, n_seeds=2)


@pytest.mark.parametrize("form", FORMS)
def test_several_seeds_of_a_model_in_one_file(
    form: Form, two_seeds: RunResult, simulated: SimulatedSource, tmp_path: Path
) -> None:
    run = two_seeds
    assert run.results["seed"].nunique() == 2
    for task in KINDS:
        rows = run.predictions[run.predictions["task"] == task].sample(frac=1, random_state=1)
        (tmp_path / f"{task}.{form}").write_bytes(encode(rows, load_task(task, source=simulated), form))
    result = score(validate(tmp_path, source=simulated)[0])
    keys = ["task", "seed", "fold", "metric"]
    left, right = (r.results.drop(columns="model").sort_values(keys, ignore_index=True) for r in (run, result))
    pd.testing.assert_frame_equal(left, right, check_exact=True)
    assert result.summary(0)["seeds"].tolist() == run.summary(0)["seeds"].tolist()
    assert result.provenance["models"][0]["seeds"] == [42, 142]


def test_seeds_that_are_refused(simulated: SimulatedSource, tmp_path: Path) -> None:
    data = load_task("A1", source=simulated)
    frame = as_frame(data, predicted(data)).sort_values(["fold", "id"], ignore_index=True)
    for changed, message in [
        (frame.assign(seed="x"), "seed is 'x', not a whole number from 0 to"),
        (frame.assign(seed=-1), "seed is -1.0, not a whole number"),
        (frame.assign(seed=frame.index), "has 28 seeds; at most 20 are read"),
        (frame.assign(seed=[1] + [2] * 27), "fold C001, id 'C001_L-3': seed 2: no prediction"),
        (pd.concat([frame.assign(seed=1), frame[1:].assign(seed=2)]), "id 'C001_L-3': seed 2: no prediction"),
        (frame[frame["fold"] != "C003"].assign(seed=1), "fold C003: the fold is missing"),
    ]:
        changed.to_csv(tmp_path / "A1.csv", index=False)
        assert message in refusal(tmp_path, simulated, protocol="rigorous")
    (tmp_path / "A1.csv").unlink()
    document = as_json(data, predicted(data))
    document["predictions"][1]["seed"] = 1.5
    (tmp_path / "A1.json").write_text(json.dumps(document))
    assert "entry 1: seed is 1.5, not a whole number" in refusal(tmp_path, simulated, protocol="rigorous")


def test_a_file_names_every_protocol_whose_folds_it_fits(tasks: dict[str, TaskData]) -> None:
    from somb_utils.predictions.codec import decode

    whole = tasks["C2"]
    data = replace(whole, folds=tuple(replace(fold, test=fold.test[1:]) for fold in whole.folds), protocol="rigorous")
    others = [whole, replace(whole, protocol="published")]
    expected = "C2: was made for the folds of protocol aligned or published, this is rigorous; see --protocol"
    for form, content in [
        ("json", json.dumps(as_json(whole, constant(whole))).encode()),
        ("csv", as_frame(whole, constant(whole)).to_csv(index=False).encode()),
    ]:
        problems = Problems("C2")
        decode(content, form, data, lambda: others, problems, [])  # type: ignore[arg-type]
        assert problems.lines() == [expected]


# --- the command line ------------------------------------------------------------------------------------------------


ONE_OF_A_KIND = "A1,B2,C2,F3"  # multiclass, multilabel, binary by gene and by time point


@pytest.mark.parametrize(
    ("form", "tasks"),
    [
        ("csv", None),
        *((form, ONE_OF_A_KIND) for form in FORMS if form != "csv"),
        *(pytest.param(form, None, marks=pytest.mark.slow) for form in FORMS if form != "csv"),
    ],
)
def test_the_template_of_every_task_is_valid(form: str, tasks: str | None, command: Any) -> None:
    chosen = ("--tasks", tasks) if tasks else ()
    assert command("template", "mine", "--data", "simulated", "--form", form, *chosen)[0] == 0
    code, out, _ = command("validate", "mine", "--data", "simulated", *chosen)
    assert code == 0 and out.startswith(f"{4 if tasks else 21} files are valid under the protocol rigorous")


def test_the_template_scores_as_the_majority_baseline(simulated: SimulatedSource, tmp_path: Path) -> None:
    template(tmp_path / "mine", "A1,B2,C2,F4", source=simulated)
    result = score(validate(tmp_path / "mine", source=simulated)[0])
    run = somb.run("A1,B2,C2,F4", ["majority"], source=simulated, n_jobs=1)
    pd.testing.assert_frame_equal(result.results.drop(columns="model"), run.results.drop(columns="model"))


def test_evaluate_prints_and_stores_what_a_run_does(command: Any, open_data: Path, tmp_path: Path) -> None:
    words = ("--data", open_data / "processed", "--protocol", "aligned")
    command("template", "mine", "--tasks", "A1,B2,C2", *words)
    code, out, _ = command("evaluate", "mine", "--out", "scores", *words)
    assert code == 0
    for text in ("0.200 ± 0.000", "0.307", "(logreg)", "open tables", "f1[pre_flight]", "A1: confusion matrix"):
        assert text in out
    run = load_run(tmp_path / "scores")
    assert set(run.results["model"]) == {"submission"} and len(run.summary()) == 3
    assert {key for entry in run.provenance["models"] for key in entry["params"]} == {"A1.json", "B2.json", "C2.json"}
    code, out, _ = command("evaluate", "mine", "--format", "json", "--tasks", "A*", *words)
    (row,) = json.loads(out)
    assert (row["task"], row["best_baseline"]) == ("A1", "logreg")
    assert (row["low"], row["mean"], row["high"]) == pytest.approx((0.2, 0.2, 0.2)), "the same for every crew member"
    assert row["baseline_low"] < row["baseline_mean"] < row["baseline_high"]


def test_simulated_scores_are_not_set_beside_real_ones(simulated: SimulatedSource, tmp_path: Path) -> None:
    template(tmp_path / "mine", "A1", source=simulated)
    result = score(validate(tmp_path / "mine", source=simulated)[0])
    assert standing(result, n_bootstrap=5)["best_baseline"].isna().all()


def test_bad_requests(command: Any, tmp_path: Path) -> None:
    data = ("--data", "simulated")
    for words, code, message in [
        (("evaluate", "nowhere", *data), 2, "'nowhere' is not a folder"),
        (("evaluate", ".", "--tasks", "Z1", *data), 2, "unknown task 'Z1'"),
        (("evaluate", ".", "--protocol", "x", *data), 2, "unknown protocol 'x'"),
        (("evaluate", ".", "--out", tmp_path, *data), 2, "--out must be another folder than that of the predictions"),
        (("evaluate", ".", *data), 1, "has no predictions"),
        (("template", "mine", "--form", "xls", *data), 2, "unknown form 'xls'"),
        (("template", "mine", "--tasks", "Z1", *data), 2, "unknown task 'Z1'"),
        (("template", "/dev/null/mine", "--tasks", "A1", *data), 1, "cannot write /dev/null/mine"),
    ]:
        found, _, err = command(*words)
        assert (found, message in err) == (code, True), err
    assert not list(tmp_path.iterdir())
    command("template", "mine", "--tasks", "A1", *data)
    assert command("template", "mine", "--tasks", "A2", *data)[0] == 2
    (tmp_path / "mine" / "A1.json").write_text("{}")
    code, out, err = command("evaluate", "mine", "--out", "scores", *data)
    assert code == 1 and not out and "A1.json: is not of the form" in err and not (tmp_path / "scores").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize("name", ["evaluate", "validate", "template"])
def test_help_has_examples(command: Any, name: str) -> None:
    assert "Example" in command(name, "--help")[1]
