"""Score predictions made elsewhere: check every file of a folder, then score them as those of a run."""

import hashlib
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd
from sklearn.metrics import f1_score

from somb_utils._escape import listed
from somb_utils._seeds import SEED
from somb_utils.errors import SombError, UsageError
from somb_utils.paths import need_empty, read_file
from somb_utils.predictions import codec
from somb_utils.predictions.codec import FORMS, FoldPredictions, Form, Predictions
from somb_utils.predictions.parquet_form import TABLES, from_parquet
from somb_utils.predictions.problems import Problems
from somb_utils.reference.canonical import canonical_scores
from somb_utils.runs.baselines import MAJORITY
from somb_utils.runs.cache import Job, ModelVersion
from somb_utils.runs.fit import Outcome, score_fold
from somb_utils.runs.folder import check_folder, load_run, save
from somb_utils.runs.models import Model
from somb_utils.runs.record import PREDICTION_COLUMNS, outcome_rows, prediction_rows, provenance
from somb_utils.runs.results import RunResult, keys_of
from somb_utils.runs.runner import load_tasks, run
from somb_utils.runs.stored import PREDICTIONS, file_of
from somb_utils.tables.sources import Source, SourceLike, resolve_source
from somb_utils.tasks.definitions import PROTOCOLS, Protocol, Task, catalogue, select_tasks, task_tables
from somb_utils.tasks.task_data import TaskData, load_task

MODEL = "submission"
MAX_LINES = 500  # of a message
_TABLE = "predictions.parquet"


@dataclass(frozen=True)
class Submission:
    """The checked predictions of one task, by seed and number of the fold."""

    data: TaskData
    predictions: Predictions
    sha256: str


def evaluate(
    folder: str | Path,
    tasks: str | None = None,
    protocol: Protocol = "rigorous",
    source: SourceLike = "auto",
    model: str | None = None,
    out: str | Path | None = None,
) -> RunResult:
    """Check prediction files and score them; nothing is scored unless every file is valid.

    Parameters
    ----------
    folder
        With one file per task, such as ``A1.json`` or ``A1.csv``; or a run folder, or a table
        of a run's predictions, ``predictions.parquet``.
    tasks
        Ids, wildcards or paths of definitions; every task of the benchmark with a file when omitted. One named by id or
        path must have a file.
    protocol, source
        See :func:`somb_utils.load_task`.
    model
        Which of a run's models; not needed if it has one.
    out
        Folder to write results, predictions and provenance to.

    Returns
    -------
    RunResult
        The model is named ``submission``.

    Raises
    ------
    UsageError
        If the folder does not exist, or a task, the protocol or the model is unknown.
    SombError
        Listing every problem of every file.

    Examples
    --------
    >>> import tempfile
    >>> from somb_utils.predictions.evaluate import template
    >>> folder = tempfile.mkdtemp()
    >>> template(folder, "A1", source="simulated")
    ['A1.json']
    >>> evaluate(folder, source="simulated").summary(0)[["task", "model", "metric"]].values.tolist()
    [['A1', 'submission', 'macro_auroc']]
    """
    submissions, notes = validate(folder, tasks, protocol, source, model)
    for note in notes:
        print(f"NOTE: {note}", file=sys.stderr)
    return score(submissions, out)


def validate(
    folder: str | Path,
    tasks: str | None = None,
    protocol: Protocol = "rigorous",
    source: SourceLike = "auto",
    model: str | None = None,
) -> tuple[dict[str, Submission], list[str]]:
    """Check prediction files, or a run's predictions; return them by file name (or task), and notes for the user."""
    folder = Path(folder)
    if protocol not in PROTOCOLS:
        raise UsageError(f"unknown protocol '{protocol}'; it is one of {', '.join(PROTOCOLS)}")
    selected = select_tasks("*" if tasks is None else tasks)
    table = folder / _TABLE if folder.is_dir() else folder
    if (folder / PREDICTIONS).is_dir():
        return _of_stored(folder, selected, protocol, source, model)
    if table.name == _TABLE and table.is_file():
        return _of_table(table, selected, protocol, source, model)
    if model is not None:
        raise UsageError(f"--model picks from a run, and {folder} has no {_TABLE}")
    if not folder.is_dir():
        raise UsageError(f"'{folder}' is not a folder of prediction files; `somb template {folder}` writes one")
    lines: list[str] = []
    notes: list[str] = []
    submissions = {}
    files = _files(folder, selected, tasks, lines)
    where = resolve_source(source, task_tables([task for task, _ in files.values()]))
    for path, (task, form) in files.items():
        problems = Problems(path.name)
        try:
            data = load_task(task, protocol, where)
            content = read_file(path, codec.MAX_BYTES)
        except SombError as error:
            problems.add(str(error))
        else:
            predictions = codec.decode(content, form, data, other_protocols(task, protocol, where), problems, notes)
            submissions[path.name] = Submission(data, predictions, hashlib.sha256(content).hexdigest())
        lines += problems.lines()
    _refuse(folder, lines)
    if not files:
        raise SombError(f"{folder} has no predictions such as A1.json or A1.parquet; `somb template` writes examples")
    return submissions, notes


def other_protocols(task: str | Task, protocol: Protocol, source: Source) -> Callable[[], list[TaskData]]:
    """Return a function that loads the task under the other protocols, once."""
    return cache(lambda: [load_task(task, other, source) for other in PROTOCOLS if other != protocol])


def _of_stored(
    folder: Path, selected: list[Task], protocol: Protocol, source: SourceLike, model: str | None
) -> tuple[dict[str, Submission], list[str]]:
    """Check one model's predictions in a run folder."""
    run = load_run(folder)
    tasks = [task.id for task in selected]
    keys = [key for key in keys_of(run.provenance) if key[0] in tasks and key[1] == protocol]
    name = _chosen(folder, list(dict.fromkeys(key[2] for key in keys)), protocol, model)
    frame = run.of([key for key in keys if key[2] == name]).predictions
    return _checked(folder, frame, run.files[file_of(run.files, name)], selected, protocol, source)


def _chosen(place: Path, present: list[str], protocol: Protocol, model: str | None) -> str:
    if not present:
        raise SombError(f"{place} has no prediction of these tasks in protocol {protocol}")
    if model not in present and (model or len(present) > 1):
        shown = ", ".join(map(str, present[:20]))
        raise UsageError(f"{place} has predictions of {shown}; name one of them with --model")
    return model or present[0]


def _of_table(
    file: Path, selected: list[Task], protocol: Protocol, source: SourceLike, model: str | None
) -> tuple[dict[str, Submission], list[str]]:
    """Check one model's predictions in a table of several."""
    try:
        content = read_file(file, TABLES[_TABLE])
        frame = from_parquet(content, PREDICTION_COLUMNS, _TABLE)
    except SombError as error:
        raise SombError(f"{file}: {error}") from None
    frame = frame[(frame["protocol"] == protocol) & frame["task"].isin([task.id for task in selected])]
    frame = frame[frame["model"] == _chosen(file, list(frame["model"].unique()), protocol, model)]
    return _checked(file, frame, hashlib.sha256(content).hexdigest(), selected, protocol, source)


def _checked(
    place: Path, frame: pd.DataFrame, sha256: str, selected: list[Task], protocol: Protocol, source: SourceLike
) -> tuple[dict[str, Submission], list[str]]:
    """Check a model's predictions, task by task."""
    predicted = [task for task in selected if task.id in set(frame["task"])]
    where = resolve_source(source, task_tables(predicted))
    lines: list[str] = []
    submissions = {}
    for task in predicted:
        rows = frame[frame["task"] == task.id]
        problems = Problems(f"{_TABLE}, {task.id}")
        data = load_task(task, protocol, where)
        columns = {name: rows[name].tolist() for name in PREDICTION_COLUMNS}
        predictions = codec.check(columns, data, other_protocols(task, protocol, where), problems)
        submissions[task.id] = Submission(data, predictions, sha256)
        lines += problems.lines()
    _refuse(place, lines)
    return submissions, []


def _refuse(folder: Path, lines: list[str]) -> None:
    if lines:
        count = f"{len(lines)} problems" if len(lines) > 1 else "one problem"
        listing = listed(lines, MAX_LINES)
        raise SombError(f"{folder}: {count}, nothing was scored (positions and rows count from 0)\n{listing}")


def score(submissions: Mapping[str, Submission], out: str | Path | None = None) -> RunResult:
    """Score checked predictions, with the metrics and in the tables of a run; the model is named ``submission``."""
    loaded = [submission.data for submission in submissions.values()]
    if out is not None:
        check_folder(Path(out), loaded, [MODEL])
    model = Model(MODEL, MODEL, {name: submission.sha256 for name, submission in submissions.items()})
    scored = []
    for submission in submissions.values():
        probabilities = codec.are_probabilities(submission.predictions.values())
        stated = {seed for seed, _ in submission.predictions} != {SEED}  # else provenance states no seed
        for (seed, number), fold in submission.predictions.items():
            version = ModelVersion(model, seed, {}, None, False, None) if stated else None
            job = Job(submission.data, model, number, version)
            scored.append((job, _outcome(job, fold, probabilities)))
    result = RunResult(
        results=outcome_rows(scored),
        predictions=prediction_rows(scored),
        provenance=provenance(loaded, [job for job, _ in scored]),
    )
    if out is not None:
        save(result, Path(out))
    return result


def standing(result: RunResult, n_bootstrap: int = 1000) -> pd.DataFrame:
    """Return a submission's summary with 95 % intervals, beside the best baseline of the canonical run.

    `best_baseline` and its mean and interval are missing unless the tables are the real ones.
    """
    columns = {"model": "best_baseline", "mean": "baseline_mean", "low": "baseline_low", "high": "baseline_high"}
    keys = ["task", "protocol", "source", "metric"]
    try:
        scores = canonical_scores()
    except SombError:
        best = pd.DataFrame(columns=[*keys, *columns.values()])
    else:
        rows = scores.dropna(subset="mean").groupby(["task", "protocol"])["mean"].idxmax()
        best = scores.loc[rows].rename(columns=columns)[[*keys, *columns.values()]]
    return result.summary(n_bootstrap).merge(best, how="left", on=keys)


def template(
    folder: str | Path,
    tasks: str | None = None,
    protocol: Protocol = "rigorous",
    source: SourceLike = "auto",
    form: Form = "json",
) -> list[str]:
    """Write example predictions, the most common training answer on every row, for every task with tables.

    `folder` must be absent or empty; it appears whole or not at all, with a README.md that explains the files. Returns
    the names of the prediction files.
    """
    folder = Path(folder)
    if form not in FORMS:
        raise UsageError(f"unknown form '{form}'; it is one of {', '.join(FORMS)}")
    need_empty(folder)
    loaded = load_tasks(tasks, protocol, source)
    files = {
        f"{data.task.id}.{form}": codec.encode(run([data], MAJORITY, n_jobs=1).predictions, data, form)
        for data in loaded
    }
    temporary = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
        temporary.chmod(0o755)
        (temporary / "README.md").write_text(codec.explained(loaded, form), encoding="utf-8")
        for name, content in files.items():
            (temporary / name).write_bytes(content)
        temporary.replace(folder)
    except OSError as error:
        raise SombError(f"cannot write {folder}: {error.strerror or error}") from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
    return list(files)


def _files(folder: Path, selected: list[Task], tasks: str | None, lines: list[str]) -> dict[Path, tuple[Task, Form]]:
    """Return the task and form of each prediction file; note those that are of no task, duplicated or missing."""
    try:
        paths = sorted(p for p in folder.iterdir() if not (p.name.startswith(".") or p.suffix in (".md", ".txt")))
    except OSError as error:
        raise SombError(f"{folder} cannot be read: {error.strerror}") from None
    names = {f"{task}.{form}" for task in (*catalogue(), *(task.id for task in selected)) for form in FORMS}
    lines += [
        f"{path.name!r}: not a prediction file; they are named after their task and form, e.g. A1.json, A1.csv; a task "
        "of your own is named with --tasks"
        for path in paths
        if path.name not in names and (path.suffix or not path.is_dir())
    ]
    files: dict[Path, tuple[Task, Form]] = {}
    words = {word.strip().upper() for word in (tasks or "").split(",")}
    for task in selected:
        of_task = {path: (task, form) for form in FORMS for path in paths if path.name == f"{task.id}.{form}"}
        if len(of_task) > 1:
            lines.append(f"{', '.join(path.name for path in of_task)}: {len(of_task)} files for one task; keep one")
        elif of_task:
            files |= of_task
        elif task.id in words or task.id not in catalogue():
            lines.append(f"{task.id}: there is no {' or '.join(f'{task.id}.{form}' for form in FORMS)}")
    return files


def _outcome(job: Job, fold: FoldPredictions, probabilities: bool) -> Outcome:
    data, test = job.data, job.data.folds[job.number].test
    facts = {str(c): data.annotations[c].to_numpy()[test] for c in data.annotations}
    scores = score_fold(data.task, data.codes[test], fold.y_pred, fold.y_score, facts)
    if data.task.type == "binary" and not probabilities:
        del scores["f1"]  # that of the scores at 0.5
        if len(fold.y_pred):
            scores["f1"] = float(f1_score(data.codes[test], fold.y_pred, zero_division=0))
    return Outcome(fold.y_pred, fold.y_score, scores, 0.0)
