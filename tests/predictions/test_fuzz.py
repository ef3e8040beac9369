"""Broken prediction files, task definitions and tables end in a SombError or in what they say: no traceback, no hang.

``make explore`` tries ten times as many inputs, other ones each time.
"""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import cache
from io import BytesIO
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from parquet_here import read_here

from somb_utils.errors import SombError
from somb_utils.predictions import parquet_form as parquet
from somb_utils.predictions.codec import Form, decode
from somb_utils.predictions.problems import Problems
from somb_utils.tables.sources import FrameSource, SimulatedSource
from somb_utils.tasks.definitions import catalogue, get_task, read_task
from somb_utils.tasks.task_data import TaskData, load_task

FACTOR = settings.default.max_examples // 100  # 1, or 10 in the profile "nightly"
BATCH = 25  # mutations of one seed, so that hypothesis itself costs little
INPUTS = {
    "json values": 50,
    "json bytes": 700,
    "json cells": 650,
    "parquet bytes": 25,  # each starts a process
    "parquet cells": 475,
    "definitions": 300,
    "tables": 75,
}
ODD: list[Any] = [
    *(None, True, False, 0, 1, 2, -1, 10**400, 0.5, 1.5, -0.0, 1e-300, float("nan"), float("inf"), float("-inf")),
    *("", "0", "1", "0.5", "nan", "C001", "changed", "pre_flight", "\ud800", "\x00", "é" * 300, [], [0], [[]], {}),
]


def seeds(what: str) -> Callable[[Any], Any]:
    """Run a test on batches of mutations; each batch is one example, which hypothesis can name and shrink."""

    def decorate(test: Any) -> Any:
        examples = FACTOR * INPUTS[what] // BATCH
        slow = [HealthCheck.too_slow, HealthCheck.data_too_large]
        limits = settings(max_examples=examples, deadline=timedelta(seconds=60), suppress_health_check=slow)
        return limits(given(seed=st.integers(0, 2**64 - 1))(test))

    return decorate


def test_two_thousand_inputs_are_tried_and_ten_times_as_many_nightly() -> None:
    assert sum(INPUTS.values()) >= 2_200 and all(count % BATCH == 0 for count in INPUTS.values())


@cache
def task_data(name: str) -> TaskData:
    """Return A1, C2 or a small part of B2."""
    data = load_task(name, "aligned", _SIMULATED)
    if name != "B2":
        return data
    labels = data.task.classes[:3]
    small = data.task.model_copy(update={"classes": labels})
    folds = tuple(
        replace(fold, train=np.arange(20), test=np.arange(20 + i, 30 + i)) for i, fold in enumerate(data.folds)
    )
    y = data.y[list(labels)]
    return replace(data, task=small, X=data.X.iloc[:40, :2], y=y.iloc[:40], folds=folds)


_SIMULATED = SimulatedSource()
NAMES = ("A1", "B2", "C2")


@cache
def other(name: str) -> TaskData:
    """Return the task with other folds, as the other protocol would have them."""
    data = task_data(name)
    swapped = tuple(replace(fold, test=fold.train, train=fold.test) for fold in data.folds)
    return replace(data, protocol="published", folds=swapped)


@cache
def document(name: str) -> str:
    """Return a valid prediction file."""
    data, rng = task_data(name), random.Random(name)
    entries: list[dict[str, Any]] = []
    for number, fold in enumerate(data.folds):
        n, classes = len(fold.test), data.task.classes
        if data.task.type == "multilabel":
            y_pred: list[Any] = [[rng.randint(0, 1) for _ in classes] for _ in range(n)]
            y_score: list[Any] = [[rng.random() for _ in classes] for _ in range(n)]
        elif data.task.type == "multiclass":
            entries.append({"split_idx": number, "y_pred": rng.choices(classes, k=n)})
            continue
        else:
            y_pred, y_score = rng.choices([0, 1, *classes], k=n), [rng.random() for _ in range(n)]
        entries.append({"rep": number, "y_pred": y_pred, "y_score": y_score})
    return json.dumps({"task": data.task.id, "protocol": "aligned", "predictions": entries})


def read(content: bytes, form: Form, name: str) -> list[tuple[list[Any], list[Any]]] | None:
    """Decode a file: None if it is refused, for a reason that can be printed."""
    problems = Problems("file")
    folds = decode(content, form, task_data(name), lambda: [other(name)], problems, [])
    lines = problems.lines()
    assert bool(lines) != bool(folds)
    "\n".join(lines).encode("utf-8")
    assert all(len(line) < 10_000 for line in lines)
    return [(fold.y_pred.tolist(), fold.y_score.tolist()) for fold in folds.values()] if folds else None


def said(text: bytes, name: str) -> list[tuple[list[Any], list[Any]]]:
    """Return what a prediction file says, read with nothing but json, and fail unless it says it wholly."""
    data = task_data(name)
    whole = json.loads(text.decode("utf-8-sig"))
    assert (
        whole.get("task", name) == whole.get("task_id", name) == name and whole.get("protocol", "aligned") == "aligned"
    )
    found: dict[int, tuple[list[Any], list[Any]]] = {}
    for entry in whole["predictions"]:
        (number,) = (entry[key] for key in ("rep", "split_idx") if key in entry)
        number = number[0] if isinstance(number, list) else number
        assert number not in found and not isinstance(number, bool) and number == int(number)
        if data.task.type == "multiclass":
            found[number] = ([data.task.classes.index(answer) for answer in entry["y_pred"]], [])
        else:
            names = {**dict(zip(data.task.classes, (0, 1), strict=False)), 0: 0, 1: 1, "0": 0, "1": 1}
            rows = entry.get("y_pred") or []
            codes = [[names[v] for v in row] for row in rows] if name == "B2" else [names[v] for v in rows]
            scores = np.array(entry["y_score"], dtype=float)
            assert np.isfinite(scores).all()
            found[number] = (codes, scores.tolist())
    if name == "C2":
        every = [score for _, scores in found.values() for score in scores]
        if -1e-6 <= min(every) <= max(every) <= 1 + 1e-6:
            found = {n: (codes or [int(v >= 0.5) for v in scores], scores) for n, (codes, scores) in found.items()}
        assert len({bool(codes) for codes, _ in found.values()}) == 1
    assert sorted(found) == list(range(len(data.folds)))
    for number, fold in enumerate(data.folds):
        assert len(found[number][0]) == len(fold.test) or (name == "C2" and not found[number][0])
    return [found[number] for number in sorted(found)]


def test_the_valid_files_are_read() -> None:
    for name in NAMES:
        assert read(document(name).encode(), "json", name) == said(document(name).encode(), name)
        assert read(packed(columns(name)), "parquet", name) == said(document(name).encode(), name)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from([[], {}]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["rep", "split_idx", "y_pred", "y_score", "predictions", "x"]), inner)
    ),
    max_leaves=12,
)


@settings(max_examples=FACTOR * INPUTS["json values"], deadline=timedelta(seconds=60))
@given(value=JSON | st.fixed_dictionaries({"predictions": st.lists(JSON)}), name=st.sampled_from(NAMES))
def test_any_json_is_refused(value: Any, name: str) -> None:
    assert read(json.dumps(value).encode(), "json", name) is None


@seeds("json bytes")
def test_json_with_bytes_changed(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(BATCH):
        name = rng.choice(NAMES)
        text = changed_bytes(document(name).encode(), rng, b'0123456789.,:-+eE[]{}"\\ntfNI\x00\xff\n')
        found = read(text, "json", name)
        assert found is None or found == said(text, name)


def changed_bytes(content: bytes, rng: random.Random, alphabet: bytes) -> bytes:
    text = bytearray(content)
    for _ in range(rng.choice([1, 1, 1, 2, 5])):
        at = rng.randrange(len(text))
        end = min(len(text), at + rng.choice([1, 1, 2, 8, 64]))
        kind = rng.randrange(5)
        if kind == 0:
            text[at] = rng.choice(alphabet)
        elif kind == 1:
            text[at] ^= 1 << rng.randrange(8)
        elif kind == 2:
            del text[at:end]
        elif kind == 3:
            text[at:at] = text[at:end]
        else:
            text[at:at] = bytes([rng.choice(alphabet)]) * rng.choice([1, 2, 3000])
        if not text:
            return b""
    return bytes(text)


def spots(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every container and key of a JSON value."""
    pairs = list(value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ())
    for key, inner in pairs:
        yield value, key
        yield from spots(inner)


def change_value(value: Any, rng: random.Random) -> None:
    """Replace, remove, repeat or swap parts of a JSON value, large parts as often as small ones."""
    depths: dict[int, list[tuple[Any, Any]]] = {}
    for container, key in spots(value):
        depths.setdefault(len(container), []).append((container, key))
    for _ in range(rng.choice([1, 1, 2, 4])):
        container, key = rng.choice(rng.choice(list(depths.values())))
        kind = rng.randrange(6)
        if kind >= 4 and isinstance(container, dict):
            container[rng.choice(["rep", "split_idx", "y_pred", "y_score", "task", "x"])] = container.pop(key, 0)
        elif key not in container if isinstance(container, dict) else key >= len(container):
            continue
        elif kind == 0 and isinstance(container, list):
            container.insert(key, container[key])
        elif kind == 1:
            del container[key]
        elif kind == 2 and isinstance(container, list):
            with_ = rng.randrange(len(container))
            container[key], container[with_] = container[with_], container[key]
        else:
            container[key] = rng.choice(ODD)


@seeds("json cells")
def test_json_with_values_changed(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(BATCH):
        name = rng.choice(NAMES)
        value = json.loads(document(name))
        change_value(value, rng)
        text = json.dumps(value).encode()
        found = read(text, "json", name)
        assert found is None or found == said(text, name)


# --- Parquet ---------------------------------------------------------------------------------------------------------


@cache
def frame_columns(name: str) -> dict[str, list[Any]]:
    data = task_data(name)
    made: dict[str, list[Any]] = {"id": [], "fold": [], "label": [], "y_pred": [], "y_score": []}
    for fold, (y_pred, y_score) in zip(data.folds, said(document(name).encode(), name), strict=True):
        labels: tuple[Any, ...] = data.task.classes if name == "B2" else (None,)
        for i, ident in enumerate(data.X.index[fold.test]):
            for j, label in enumerate(labels):
                code = y_pred[i][j] if name == "B2" else y_pred[i]
                made["id"].append(str(ident))
                made["fold"].append(fold.label)
                made["label"].append(label)
                made["y_pred"].append(str(code) if name == "B2" else data.task.classes[code])
                made["y_score"].append(None if name == "A1" else y_score[i][j] if name == "B2" else y_score[i])
    return made


def columns(name: str) -> dict[str, list[Any]]:
    return {key: list(values) for key, values in frame_columns(name).items()}


def packed(made: dict[str, list[Any]]) -> bytes:
    stream = BytesIO()
    pq.write_table(pa.table(made), stream, write_page_checksum=True)
    return stream.getvalue()


@seeds("parquet bytes")
def test_parquet_with_bytes_changed(seed: int) -> None:
    rng = random.Random(seed)
    name = rng.choice(NAMES)
    content = packed(columns(name))
    for _ in range(BATCH):
        found = read(changed_bytes(content, rng, bytes(range(256))), "parquet", name)
        assert found is None or found == said(document(name).encode(), name)


@pytest.fixture(scope="module")
def read_in_process() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet, "_read_apart", read_here)
        yield


@seeds("parquet cells")
@pytest.mark.usefixtures("read_in_process")
def test_parquet_with_values_changed(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(BATCH):
        name = rng.choice(NAMES)
        made = columns(name)
        change_columns(made, rng)
        try:
            content = packed(made)
        except (pa.ArrowException, OverflowError, UnicodeEncodeError):
            continue  # Parquet cannot hold it
        found = read(content, "parquet", name)
        assert found is None or found == said_by_id(made, name)


def change_columns(made: dict[str, list[Any]], rng: random.Random) -> None:
    for _ in range(rng.choice([1, 1, 2])):
        key = rng.choice(list(made))
        n = len(made[key])
        kind = rng.randrange(9)
        row, with_ = (rng.randrange(n) for _ in range(2)) if n else (0, 0)
        if kind == 0:
            del made[key]
            return
        if kind == 1:
            made[rng.choice([*made, "protocol", "task", "y_true", "model", "x"])] = rng.choices(ODD[:10], k=1) * n
        elif kind == 2:
            made[key] = (
                [rng.choice([str, type, len, repr])(str(v)) for v in made[key]] if rng.random() < 0.5 else [0] * n
            )
        elif kind == 3 and n:
            for values in made.values():
                del values[row]
        elif kind == 4 and n:
            for values in made.values():
                values.append(values[row])
        elif kind == 5 and n:
            order = rng.sample(range(n), n)
            made.update({k: [values[i] for i in order] for k, values in made.items()})
        elif kind == 6 and n:
            made[key][row], made[key][with_] = made[key][with_], made[key][row]
        elif n:
            same = [v for v in ODD if isinstance(v, type(made[key][row]))] if rng.random() < 0.8 else ODD
            made[key][row] = rng.choice(same or ODD)


def said_by_id(made: dict[str, list[Any]], name: str) -> list[tuple[list[Any], list[Any]]]:
    data = task_data(name)
    multilabel = name == "B2"
    names = {**({} if multilabel else {c: i for i, c in enumerate(data.task.classes)})}
    if name != "A1":
        names |= {"0": 0, "1": 1, 0: 0, 1: 1}
    keys = list(zip(map(str, made["fold"]), made["id"], made["label"] if multilabel else made["fold"], strict=True))
    assert (
        len(set(keys))
        == len(keys)
        == sum(len(f.test) for f in data.folds) * (len(data.task.classes) if multilabel else 1)
    )
    answers = made.get("y_pred", [None])
    if name == "C2" and all(value is None or value != value for value in answers):
        probabilities = all(-1e-6 <= value <= 1 + 1e-6 for value in made["y_score"])
        answers = [int(value >= 0.5) for value in made["y_score"]] if probabilities else []
    else:
        answers = [names[value] for value in answers]
    answer = dict(zip(keys, answers, strict=True)) if answers else {}
    score = dict(zip(keys, made.get("y_score", keys), strict=True))
    told = []
    for fold in data.folds:
        ids = data.X.index[fold.test]
        if multilabel:
            rows = [[(fold.label, i, label) for label in data.task.classes] for i in ids]
            told.append(([[answer[k] for k in row] for row in rows], [[score[k] for k in row] for row in rows]))
        else:
            places = [
                next(k for k in ((fold.label, i, f) for f in set(made["fold"]) if str(f) == fold.label) if k in score)
                for i in ids
            ]
            told.append(([answer[k] for k in places if answer], [] if name == "A1" else [score[k] for k in places]))
    return told


# --- task definitions and tables -------------------------------------------------------------------------------------


@cache
def frames(name: str) -> dict[str, pd.DataFrame]:
    return {table: _SIMULATED.load(table) for table in get_task(name).tables}


@example(seed=480)  # names a column twice
@seeds("definitions")
def test_task_definitions_changed(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(BATCH):
        name = rng.choice(["A1", "C2", "D1", "H1", "I2"])
        text = get_task(name).model_dump_json()
        if rng.random() < 0.3:
            text = changed_bytes(text.encode(), rng, b'0123456789,:[]{}"').decode("utf-8", "replace")
        else:
            value = json.loads(text)
            if rng.random() < 0.5:
                borrow(value, rng)
            else:
                change_value(value, rng)
            text = json.dumps(value)
        try:
            task = read_task(text, "mine.json")
        except SombError as error:
            assert "mine.json is not a valid task definition" in str(error)
            str(error).encode("utf-8")
            continue
        said_now = json.loads(text)
        kept = json.loads(task.model_dump_json())
        assert all(kept["features"][key] == value for key, value in said_now.pop("features").items())
        assert all(kept[key] == value for key, value in said_now.items())
        if rng.random() < 0.2 and set(task.tables) <= set(everything()):
            loaded(task, everything())


def borrow(value: dict[str, Any], rng: random.Random) -> None:
    """Take parts of a definition from those of other tasks."""
    for _ in range(rng.choice([1, 2, 4])):
        taken = json.loads(get_task(rng.choice(list(catalogue()))).model_dump_json())
        key = rng.choice(list(value))
        if key == "features" and rng.random() < 0.7:
            inner = rng.choice(list(value[key]))
            value[key][inner] = taken[key].get(inner, value[key][inner])
        else:
            value[key] = taken[key]


@cache
def everything() -> dict[str, pd.DataFrame]:
    return {table: frame for name in ("A1", "C2", "D1", "H1", "I2") for table, frame in frames(name).items()}


def loaded(task: Any, tables: dict[str, pd.DataFrame]) -> TaskData | None:
    """Load a task: None if it is refused."""
    try:
        data = load_task(task, "aligned", FrameSource(tables))
        assert np.isfinite(data.chance) or np.isnan(data.chance)
        data.codes, data.fingerprint  # noqa: B018
    except SombError as error:
        str(error).encode("utf-8")
        return None
    assert not np.isinf(data.X.to_numpy()).any() and data.X.index.is_unique and len(data.X)
    return data


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning", "ignore::pandas.errors.Pandas4Warning")
@seeds("tables")
def test_tables_changed(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(BATCH):
        name = rng.choices(["A1", "C2", "H1", "I2", "D1", "F4", "G1"], [20, 20, 20, 20, 5, 1, 0.5])[0]
        tables = dict(frames(name))
        table = rng.choice(list(tables))
        tables[table], harmless = change_table(tables[table], rng)
        data = loaded(name, tables)
        if harmless:
            assert data is not None and data.fingerprint == fingerprint(name)
        if data is not None and name in ("A1", "C2", "H1", "I2"):
            assert_says(data, tables)


def assert_says(data: TaskData, tables: dict[str, pd.DataFrame]) -> None:
    """Fail unless features and labels are the tables' cells of the same identifier."""
    spec: Any = data.task.features
    ids = data.X.index[~data.X.index.str.contains("#")]
    ident = getattr(spec, "id", "sample_id")
    named = [tables[name].drop_duplicates(ident).set_index(ident).loc[ids] for name in data.task.tables]
    for table in named[:1] if data.task.id == "C2" else named:
        for column in data.X.columns.intersection(table.columns):
            np.testing.assert_array_equal(data.X.loc[ids, column], table[column].astype(float))
    if data.task.id == "A1":
        assert (data.y == named[0]["phase"]).all() and (data.groups == named[0]["crew"]).all()
    elif data.task.id == "C2":
        assert ((data.y == "changed") == (named[1]["adj_pval"].astype(float) < 0.05)).all()
    else:
        assert ((data.y[ids] == data.task.classes[1]) == (named[0][spec.label] == 1)).all()


@cache
def fingerprint(name: str) -> str:
    return load_task(name, "aligned", FrameSource(frames(name))).fingerprint


def change_table(table: pd.DataFrame, rng: random.Random) -> tuple[pd.DataFrame, bool]:
    """Return a changed copy, and whether it says the same."""
    column = rng.choice(list(table.columns))
    row = rng.randrange(len(table))
    kind = rng.randrange(9)
    if kind == 0:
        return table.sample(frac=1, random_state=rng.randrange(2**32)), True
    if kind == 1:
        return table.drop(columns=column), False
    if kind == 2:
        return table.rename(columns={column: rng.choice([*table.columns, "x", ""])}), False
    if kind == 3:
        return table.iloc[: rng.choice([0, 1, 2, row])], False
    if kind == 4:
        return pd.concat([table, table.iloc[[row]]]), False
    if kind == 5:
        return table.assign(**{column: table[column].astype(str)}), False
    if kind == 6:
        return table.assign(
            **{column: rng.choice([v for v in ODD if not isinstance(v, list | dict) and v != "\ud800"])}
        ), False
    changed = table.astype({column: object})
    changed.iat[row, table.columns.get_loc(column)] = rng.choice(ODD)
    return changed, False


def test_definitions_of_the_catalogue_survive() -> None:
    for task in catalogue().values():
        assert read_task(task.model_dump_json(), "mine.json") == task
