"""A run's folder: results, predictions and provenance, which change together; what may be added to it."""

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock

from somb_utils._seeds import SEED
from somb_utils.errors import SombError, UsageError
from somb_utils.paths import replacing, sha256_of, try_writing
from somb_utils.runs.record import FORMAT, KEY, PREDICTION_COLUMNS, RESULT_COLUMNS
from somb_utils.runs.results import RunResult
from somb_utils.tasks.task_data import TaskData

_TABLES = ("results.parquet", "predictions.parquet")
_PROVENANCE = "provenance.json"
_CONTROLS = "controls.json"  # apart from the scores
_PENDING = ".pending"  # files of a save that is under way; complete once its provenance is there


def check_folder(folder: Path, loaded: Sequence[TaskData], models: Collection[str] = ()) -> Mapping[str, Any] | None:
    """Make the run folder, and refuse one that cannot take the results of these tasks and models.

    `models` names those whose stored results will be replaced. Returns the provenance of what is stored.
    """
    try:
        try_writing(folder)
        with FileLock(folder / ".lock"):
            pass
    except (OSError, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SombError(f"cannot write or lock files in {folder}: {reason}; name another folder with --out") from None
    return check_content(folder, loaded, models)


def check_content(folder: Path, loaded: Sequence[TaskData], models: Collection[str]) -> Mapping[str, Any] | None:
    """Refuse a run folder whose results these tasks and models cannot join; see :func:`check_folder`."""
    if not (folder / _PROVENANCE).is_file() or not loaded:
        return None
    before = load_run(folder).provenance
    tasks = {f"{data.name}/{data.protocol}": {"data_sha256": data.fingerprint} for data in loaded}
    _check_same_data(folder, before, {**loaded[0].provenance, "tasks": tasks}, models)
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
    """Add a run to `folder`, replacing rows of the same task, protocol and model.

    The three files change together: a save that is interrupted is completed, or has changed nothing, at the next
    :func:`load_run` or :func:`save`.
    """
    with FileLock(folder / ".lock"):
        merged = result
        _complete(folder)
        if (folder / _PROVENANCE).is_file():
            before = load_run(folder)
            models = {entry["model"] for entry in result.provenance["models"]}
            _check_same_data(folder, before.provenance, result.provenance, models)  # another run may have written
            merged = _merge(before, result)
        _write(merged, folder)


def add_day_tests(folder: Path, tests: Sequence[Mapping[str, Any]]) -> None:
    """Add day tests, as :meth:`somb_utils.runs.day.DayTest.row` gives them, to the provenance of a run folder."""
    with FileLock(folder / ".lock"):
        _complete(folder)
        run = load_run(folder)
        parts = [run.provenance, {**run.provenance, "models": [], "day_tests": tests}]
        _write(RunResult(run.results, run.predictions, joined_provenance(parts)), folder)


def add_controls(folder: Path, table: pd.DataFrame, record: Mapping[str, Any]) -> None:
    """Write controls, as :func:`somb_utils.controls` gives them, and their provenance, beside the scores of a run.

    Those of the same task, protocol and model are replaced.
    """
    rows = json.loads(table.to_json(orient="records", double_precision=15))
    with FileLock(folder / ".lock"):
        before: dict[str, Any] = {"controls": [], "models": [], "tasks": {}, "runs": {}}
        if (folder / _CONTROLS).is_file():
            before = _read_controls(folder / _CONTROLS)
        new = {tuple(entry[key] for key in KEY) for entry in record["models"]}
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


def _write(run: RunResult, folder: Path) -> None:
    pending = folder / _PENDING
    hashes = {}
    for name, frame in zip(_TABLES, (run.results, run.predictions), strict=True):
        with replacing(pending / name) as temporary:
            frame.to_parquet(temporary, index=False, compression="zstd")
        hashes[name] = sha256_of(pending / name)
    with replacing(pending / _PROVENANCE) as temporary:
        text = json.dumps({**run.provenance, "files": hashes}, indent=2)
        temporary.write_text(text + "\n", encoding="utf-8")
    _complete(folder)


def _complete(folder: Path) -> None:
    """Move the files of a save into place if all of them were written."""
    pending = folder / _PENDING
    if not (pending / _PROVENANCE).is_file():
        return
    try:
        for name in (*_TABLES, _PROVENANCE):
            if (pending / name).is_file():
                (pending / name).replace(folder / name)
    except OSError as error:
        raise SombError(f"cannot write in {folder}: {error.strerror or error}") from None


def load_run(folder: str | Path) -> RunResult:
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
    try:
        stored = json.loads((folder / _PROVENANCE).read_text(encoding="utf-8"))
        results, predictions = (pd.read_parquet(folder / name) for name in _TABLES)
        run = _with_seeds(RunResult(results, predictions, _current(stored)))
        for name, sha256 in run.provenance.pop("files", {}).items():
            if sha256_of(folder / name) != sha256:
                raise ValueError(f"{name} was changed after the run wrote it")
        _check_provenance(run)
        return run
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = f"{_PROVENANCE} lacks {error}" if isinstance(error, KeyError) else error
        raise SombError(
            f"{folder} is not a readable run folder: {reason}. Finished folds are kept in {folder / 'jobs'}: move "
            f"{', '.join((*_TABLES, _PROVENANCE))} away, and the commands that made them fit nothing anew"
        ) from None


def _with_seeds(run: RunResult) -> RunResult:
    """Return a run with the columns that runs of version 1 lack: the seed, one for each model, and probabilities."""
    if "seed" in run.results:
        return run
    models = run.provenance["models"]
    seed_of = {tuple(e[key] for key in KEY): SEED if e["seed"] is None else e["seed"] for e in models}

    def seeds(frame: pd.DataFrame) -> list[int]:
        return [seed_of[key] for key in frame[KEY].itertuples(index=False, name=None)]

    results = run.results.assign(seed=seeds(run.results))[RESULT_COLUMNS]
    predictions = run.predictions.assign(seed=seeds(run.predictions), y_proba=None)[PREDICTION_COLUMNS]
    return RunResult(results, predictions, run.provenance)


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


def _check_provenance(run: RunResult) -> None:
    """Check that provenance says how every group of rows was made, by looking it up."""
    run_of = {tuple(entry[key] for key in KEY): entry["run"] for entry in run.provenance["models"]}
    for task, protocol, model in run.results[KEY].drop_duplicates().itertuples(index=False):
        run.provenance["tasks"][f"{task}/{protocol}"]["data_sha256"]
        run.provenance["runs"][run_of[task, protocol, model]]
    run.provenance["source"], run.provenance["described"]


def _merge(before: RunResult, now: RunResult) -> RunResult:
    new = pd.MultiIndex.from_frame(now.results[KEY].drop_duplicates())

    def joined(old: pd.DataFrame, fresh: pd.DataFrame) -> pd.DataFrame:
        kept = old[~pd.MultiIndex.from_frame(old[KEY]).isin(new)]
        return pd.concat([kept, fresh], ignore_index=True) if len(kept) else fresh

    kept = [entry for entry in before.provenance["models"] if tuple(entry[key] for key in KEY) not in new]
    return RunResult(
        joined(before.results, now.results),
        joined(before.predictions, now.predictions),
        joined_provenance([{**before.provenance, "models": kept}, now.provenance]),
    )


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


def replaced(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each group of rows that `before` has under the same name, made in another way."""
    stored = {tuple(entry[key] for key in KEY): entry for entry in before["models"]}
    sentences = []
    for entry in now["models"]:
        old = stored.get(tuple(entry[key] for key in KEY), entry)
        changed = [f"{part} {old[part]}" for part in ("target", "params", "seed") if old[part] != entry[part]]
        if changed:
            sentences.append(f"{entry['model']} on {entry['task']} replaces the results made with {', '.join(changed)}")
    return sentences
