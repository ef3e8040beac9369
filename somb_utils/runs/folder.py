"""A run's folder: results, predictions and provenance, which change together; what may be added to it."""

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock

from somb_utils.errors import SombError, UsageError, printable
from somb_utils.paths import replacing, sha256_of, try_writing
from somb_utils.runs.record import FORMAT, KEY, PREDICTION_SCHEMA, RESULT_COLUMNS, RESULT_SCHEMA
from somb_utils.runs.results import Key, RunResult, keys_of, of_keys
from somb_utils.runs.stored import (
    ONE_TABLE,
    PREDICTIONS,
    Grouped,
    StoredRun,
    file_of,
    forget,
    read_verified,
    unreadable,
    with_seeds,
    write_predictions,
)

if TYPE_CHECKING:
    from somb_utils.tasks.task_data import TaskData

_RESULTS = "results.parquet"
_FILE = re.compile(rf"{_RESULTS}|{ONE_TABLE}|{PREDICTIONS}/[0-9a-f]{{16}}-[0-9a-f]{{16}}\.parquet")
_PROVENANCE = "provenance.json"
_CONTROLS = "controls.json"  # apart from the scores
_PENDING = ".pending"  # files of a save that is under way; complete once its provenance is there


def check_folder(folder: Path, loaded: Sequence["TaskData"], models: Collection[str] = ()) -> StoredRun | None:
    """Make the run folder, and refuse one that cannot take the results of these tasks and models.

    `models` names those whose stored results will be replaced. Returns what is stored.
    """
    try:
        try_writing(folder)
        with FileLock(folder / ".lock"):
            pass
    except (OSError, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SombError(f"cannot write or lock files in {folder}: {reason}; name another folder with --out") from None
    return check_content(folder, loaded, models)


def check_content(folder: Path, loaded: Sequence["TaskData"], models: Collection[str]) -> StoredRun | None:
    """Refuse a run folder whose results these tasks and models cannot join; see :func:`check_folder`."""
    if not (folder / _PROVENANCE).is_file() or not loaded:
        return None
    before = load_run(folder)
    tasks = {f"{data.name}/{data.protocol}": {"data_sha256": data.fingerprint} for data in loaded}
    _check_same_data(folder, before.provenance, {**loaded[0].provenance, "tasks": tasks}, models)
    return before


def _check_same_data(folder: Path, before: Mapping[str, Any], now: Mapping[str, Any], models: Collection[str]) -> None:
    """Refuse results of other tables, or of other data of a task, unless `models` replace them all."""
    if before["source"] != now["source"]:
        raise UsageError(
            f"{folder} holds results of {before['source']} tables, this run uses {now['source']} ones, and the two "
            "never share a folder; choose another with --out"
        )
    if now["source"] == "simulated" and before["described"] != now["described"]:
        raise UsageError(
            f"{folder} holds results of {before['described']}, this run uses {now['described']}; choose another "
            "folder with --out"
        )
    for entry in before["models"]:
        key = f"{entry['task']}/{entry['protocol']}"
        stored, new = before["tasks"][key], now["tasks"].get(key)
        if new and new["data_sha256"] != stored["data_sha256"] and entry["model"] not in models:
            raise UsageError(
                f"{folder} holds {entry['task']} of {entry['model']} on other features, labels or folds (other tables, "
                "or another version of this package) than this run has; run that model again in the same command, or "
                "choose another folder with --out"
            )


def save(result: RunResult, folder: Path) -> None:
    """Add a run to `folder`, as :func:`add` does."""
    rows = dict(iter(result.predictions.groupby("model", sort=False)))

    def predicted(model: str) -> pa.Table:
        found = rows.get(model, result.predictions.iloc[:0])
        return pa.Table.from_pandas(found, PREDICTION_SCHEMA, preserve_index=False).replace_schema_metadata()

    add(result.results, predicted, result.provenance, folder)


def add(
    scores: pd.DataFrame, predicted: Callable[[str], pa.Table], record: Mapping[str, Any], folder: Path
) -> StoredRun:
    """Add the scores of a run, and the predictions of each model, to `folder`; same tasks and models are replaced.

    Predictions are written a model at a time, under new names; then results and provenance, which names those files,
    change together. A save that is interrupted is completed, or has changed nothing, at the next :func:`load_run` or
    :func:`save`. Returns the run, as stored.
    """
    with FileLock(folder / ".lock"):
        _complete(folder)
        before = _read(folder) if (folder / _PROVENANCE).is_file() else None
        models = list(dict.fromkeys(entry["model"] for entry in record["models"]))
        results = pa.Table.from_pandas(scores, RESULT_SCHEMA, preserve_index=False).replace_schema_metadata()
        kept: list[Key] = []
        earlier: set[str] = set()
        files: Mapping[str, str] = {}
        provenance = record
        if before is not None:
            _check_same_data(folder, before.provenance, record, models)  # another run may have written
            new = set(keys_of(record))
            kept = [key for key in keys_of(before.provenance) if key not in new]
            earlier = {model for *_, model in keys_of(before.provenance)}
            files = before.files
            provenance = joined_provenance([before.of(kept).provenance, record])
            results = pa.concat_tables([before.of(kept).scores, results])
        written: dict[str, str] = {}
        for model in dict.fromkeys([*(model for *_, model in kept), *models]):
            name = file_of(files, model)
            if model in models or name == ONE_TABLE:  # else its file is complete
                parts = [before.predicted([key for key in kept if key[2] == model])] if before is not None else []
                parts += [predicted(model)] if model in models else []
                written |= write_predictions(pa.concat_tables(parts), model, folder)
            else:
                written[name] = files[name]
        _write(results, provenance, written, folder)
        left = {f"{PREDICTIONS}/{file.name}" for file in (folder / PREDICTIONS).glob(f"{'?' * 16}-{'?' * 16}.parquet")}
        for name in (left | {file_of(files, model) for model in earlier}) - set(written):
            forget(folder, name)
        return StoredRun(folder, written, Grouped(results), of_keys(provenance, keys_of(record)), predicted)


def add_day_tests(folder: Path, tests: Sequence[Mapping[str, Any]]) -> None:
    """Add day tests, as :meth:`somb_utils.runs.day.DayTest.row` gives them, to the provenance of a run folder."""
    with FileLock(folder / ".lock"):
        _complete(folder)
        run = _read(folder)
        parts = [run.provenance, {**run.provenance, "models": [], "day_tests": tests}]
        _write(run.scores, joined_provenance(parts), run.files, folder)


def add_controls(folder: Path, table: pd.DataFrame, record: Mapping[str, Any]) -> None:
    """Write controls, as :func:`somb_utils.controls` gives them, and their provenance, beside the scores of a run.

    Those of the same task, protocol and model are replaced.
    """
    rows = json.loads(table.to_json(orient="records", double_precision=15))
    with FileLock(folder / ".lock"):
        before: dict[str, Any] = {"controls": [], "models": [], "tasks": {}, "runs": {}}
        if (folder / _CONTROLS).is_file():
            before = _read_controls(folder / _CONTROLS)
        new = set(keys_of(record))
        for part in ("controls", "models"):
            before[part] = [entry for entry in before[part] if tuple(entry[key] for key in KEY) not in new]
        joined = joined_provenance([before, record])
        del joined["day_tests"]
        content = {"what": "controls, which are not scores", **joined, "controls": [*before["controls"], *rows]}
        with replacing(folder / _CONTROLS) as temporary:
            temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _read_controls(file: Path) -> dict[str, Any]:
    try:
        stored = json.loads(file.read_text(encoding="utf-8"))
        return {part: stored[part] for part in ("controls", "models", "tasks", "runs")}
    except (ValueError, KeyError, TypeError, RecursionError):
        raise SombError(f"{file} is not readable; move it away, and the same command writes it anew") from None


def _write(results: pa.Table, provenance: Mapping[str, Any], predictions: Mapping[str, str], folder: Path) -> None:
    pending = folder / _PENDING
    with replacing(pending / _RESULTS) as temporary:
        pq.write_table(results, temporary, compression="zstd")
    files = {**predictions, _RESULTS: sha256_of(pending / _RESULTS)}
    with replacing(pending / _PROVENANCE) as temporary:
        text = json.dumps({**provenance, "files": files}, indent=2)
        temporary.write_text(text + "\n", encoding="utf-8")
    _complete(folder)


def _complete(folder: Path) -> None:
    """Move the files of a save into place if all of them were written."""
    pending = folder / _PENDING
    if not (pending / _PROVENANCE).is_file():
        return
    try:
        for name in (_RESULTS, _PROVENANCE):
            if (pending / name).is_file():
                (pending / name).replace(folder / name)
    except OSError as error:
        raise SombError(f"cannot write in {folder}: {error.strerror or error}") from None


def load_run(folder: str | Path) -> StoredRun:
    """Read the results, predictions and provenance of a run folder.

    Parameters
    ----------
    folder
        As :func:`somb_utils.run` or ``somb run`` wrote it.

    Returns
    -------
    RunResult
        All runs that the folder holds, as one.

    Raises
    ------
    SombError
        If a file is missing or unreadable, or was changed after the run.
    """
    folder = Path(folder)
    if (folder / _PENDING / _PROVENANCE).is_file():
        with FileLock(folder / ".lock"):
            _complete(folder)
    return _read(folder)


def _read(folder: Path) -> StoredRun:
    try:
        provenance = _current(json.loads((folder / _PROVENANCE).read_text(encoding="utf-8")))
        files = provenance.pop("files", {})
        if odd := [name for name in files if not _FILE.fullmatch(name)]:
            raise ValueError(f"{_PROVENANCE} names {printable(odd[0])}, which is no file of a run")
        content = read_verified(folder, _RESULTS, files.get(_RESULTS))
        table = pq.read_table(
            content, read_dictionary=[name for name in RESULT_COLUMNS if name not in ("seed", "value")]
        )
        scores = Grouped(table if "seed" in table.column_names else with_seeds(table, provenance))
        _check_provenance(scores.rows, provenance)
        return StoredRun(folder, files, scores, provenance)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = f"{_PROVENANCE} lacks {error}" if isinstance(error, KeyError) else error
        raise unreadable(folder, reason) from None


def _current(stored: dict[str, Any]) -> dict[str, Any]:
    """Return provenance in the current format; the first format had only each model's latest parameters."""
    if "format" in stored:
        if stored["format"] != FORMAT:
            raise ValueError(f"{_PROVENANCE} is of format {stored['format']}, this version reads {FORMAT}")
        return stored
    run = {key: stored[key] for key in ("versions", "platform", "written", "command")}
    models = [
        {"task": task, "protocol": protocol, "model": name, **entry, "code": None, "run": "1"}
        for task, _, protocol in (key.partition("/") for key in stored["tasks"])
        for name, entry in stored["models"].items()
    ]
    kept = {key: stored[key] for key in ("source", "described", "tasks")}
    return {"format": FORMAT, **kept, "models": models, "runs": {"1": run}}


def _check_provenance(scores: Collection[Key], provenance: Mapping[str, Any]) -> None:
    """Check that provenance says how every group of rows was made, by looking it up."""
    run_of = {key: entry["run"] for key, entry in zip(keys_of(provenance), provenance["models"], strict=True)}
    for task, protocol, model in scores:
        provenance["tasks"][f"{task}/{protocol}"]["data_sha256"]
        provenance["runs"][run_of[task, protocol, model]]
    provenance["source"], provenance["described"]


def joined_provenance(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the provenance of several runs on one data source, whose groups of rows are other ones, as one."""
    models = [entry for part in parts for entry in part["models"]]
    runs = {run: entry for part in parts for run, entry in part["runs"].items()}
    tests = {(t["data_sha256"], t["model_sha256"]): t for part in parts for t in part.get("day_tests", [])}
    return {
        **parts[-1],
        "tasks": {key: entry for part in parts for key, entry in part["tasks"].items()},
        "models": models,
        "day_tests": list(tests.values()),
        "runs": {run: runs[run] for run in dict.fromkeys(entry["run"] for entry in models)},
    }


def held(before: StoredRun, now: Mapping[str, Any]) -> StoredRun | None:
    """Return the stored results of a run if each was made as this run would make it, and none has failed; else None."""
    stored = before.of(keys_of(now))

    def made(record: Mapping[str, Any]) -> list[Any]:
        versions = [record["runs"][entry["run"]]["versions"] for entry in record["models"]]
        return [
            record["source"],
            record["tasks"],
            versions,
            [{**entry, "run": None, "constant": None} for entry in record["models"]],
        ]

    same = made(json.loads(json.dumps(now))) == made(stored.provenance)
    known = all(entry["jobs_sha256"] for entry in now["models"])
    return stored if same and known and not len(stored.failures()) else None


def replaced(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each group of rows that `before` has under the same name, made in another way."""
    stored = dict(zip(keys_of(before), before["models"], strict=True))
    sentences = []
    for key, entry in zip(keys_of(now), now["models"], strict=True):
        old = stored.get(key, entry)
        changed = [f"{part} {old[part]}" for part in ("target", "params", "seed") if old[part] != entry[part]]
        if changed:
            sentences.append(f"{entry['model']} on {entry['task']} replaces the results made with {', '.join(changed)}")
    return sentences
