"""Results of a run: tidy tables, their summary and composite, and the folder they are kept in."""

import hashlib
import json
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from filelock import FileLock

from somb_utils.errors import SombError, UsageError
from somb_utils.load import TaskData
from somb_utils.paths import replacing
from somb_utils.record import FORMAT, KEY
from somb_utils.tasks import catalogue

_TABLES = ("results.parquet", "predictions.parquet")
_PROVENANCE = "provenance.json"
_PENDING = ".pending"  # files of a save that is under way; complete once its provenance is there


@dataclass(frozen=True)
class RunResult:
    """Scores and predictions of models on tasks.

    Attributes
    ----------
    results : one row a task, model, fold and metric. ``status`` is ``ok``, ``undefined`` (the fold leaves the metric
        undefined) or ``failed: reason``; `value` is missing unless ok.
    predictions : one row a tested id (and label, if multilabel). `y_score` is missing for multiclass tasks.
    provenance : data source and hashes, chance levels, and how each group of rows was made (see
        :func:`somb_utils.record.provenance`).
    """

    results: pd.DataFrame
    predictions: pd.DataFrame
    provenance: dict[str, Any]

    def summary(self, n_bootstrap: int = 1000, seed: int = 42, n_jobs: int | None = None) -> pd.DataFrame:
        """Return one row a task and model: primary metric, mean, population SD, folds scored, chance level, interval.

        Parameters
        ----------
        n_bootstrap : int, default 1000
            Replicates of the 95 % interval (`low`, `high`; see :func:`somb_utils.stats.with_intervals`).
        seed : int, default 42
            Of the replicates.
        n_jobs : int, optional
            Tasks at once, in threads; as :class:`joblib.parallel_config` says when omitted, which is one unless set.
        """
        from somb_utils.stats import with_intervals

        return with_intervals(summarise(self.results, self.provenance), self.predictions, n_bootstrap, seed, n_jobs)

    def composite(self) -> pd.DataFrame:
        """Return the composite score and its groups, one row a model (see :func:`composite`)."""
        return composite_of(summarise(self.results, self.provenance))

    def failures(self) -> pd.DataFrame:
        """Return task, protocol, model, fold and reason of every failed job."""
        failed = self.results[self.results["status"].str.startswith("failed")]
        reasons = failed.assign(reason=failed["status"].str.removeprefix("failed: "))
        return reasons[[*KEY, "fold", "reason"]].drop_duplicates().reset_index(drop=True)


def summarise(results: pd.DataFrame, provenance: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row a task and model on the primary metric.

    Columns: task, protocol, model, source, metric, mean and sd (population) over the scored folds, folds (how many
    those are), failed and undefined (how many are left out), chance.
    """
    metric = {key.split("/")[0]: entry["metric"] for key, entry in provenance["tasks"].items()}
    primary = results[results["metric"] == results["task"].map(metric)]
    grouped = primary.groupby([*KEY, "source", "metric"], sort=False)
    table = grouped.agg(
        mean=("value", "mean"),
        sd=("value", lambda v: float(np.std(v.dropna())) if v.notna().any() else np.nan),
        folds=("value", "count"),
        failed=("status", lambda s: int(s.str.startswith("failed").sum())),
        undefined=("status", lambda s: int((s == "undefined").sum())),
    ).reset_index()
    keys = table["task"] + "/" + table["protocol"]
    table["chance"] = [provenance["tasks"][key]["chance"] for key in keys]
    return table


def composite(scores: pd.DataFrame, reference: Mapping[str, float]) -> pd.DataFrame:
    """Return the composite score: how far above guessing a model is, averaged in groups and over groups.

    Each score becomes (score - reference) / (1 - reference), floored at 0; tasks are averaged in the groups A, B,
    C, D, E, F_body_site, F_phase, F_source, G, H, I, then the groups are averaged. Supplementary tasks stay out.

    Parameters
    ----------
    scores : columns task, model, mean (primary metric)
    reference : what guessing scores, by task; below 1

    Returns
    -------
    DataFrame
        Indexed by model, best first: one column a group, ``composite`` and ``groups`` (how many it averages).
    """
    group = {task.id: task.composite_group for task in catalogue().values()}
    kept = scores[scores["task"].map(group).notna() & scores["mean"].notna()]
    base = kept["task"].map(dict(reference)).astype(float)
    above = ((kept["mean"] - base) / (1 - base)).clip(lower=0)
    table = kept.assign(group=kept["task"].map(group), above=above).pivot_table(
        index="model", columns="group", values="above", aggfunc="mean"
    )
    groups = table.notna().sum(axis=1)
    return table.assign(composite=table.mean(axis=1), groups=groups).sort_values("composite", ascending=False)


def composite_of(summary: pd.DataFrame) -> pd.DataFrame:
    """Return the composite of a run's summary, by the rule of its protocol.

    ``aligned`` measures against the exact chance level. ``published`` measures against the random baseline's own
    score and counts B2's models under names of their own, so that B2 enters nobody else's composite.

    Raises
    ------
    UsageError
        If the summary mixes protocols, or ``published`` lacks the random baseline.
    """
    protocols = summary["protocol"].unique()
    if len(protocols) != 1:
        raise UsageError(f"a composite needs one protocol, these results mix {', '.join(protocols)}")
    if protocols[0] == "aligned":
        return composite(summary, dict(zip(summary["task"], summary["chance"], strict=True)))
    random = summary[summary["model"] == "random"]
    reference = dict(zip(random["task"], random["mean"], strict=True))
    lacking = sorted(set(summary["task"]) - set(reference))
    if lacking:
        raise UsageError(f"the published composite needs the random baseline, which is missing for {lacking[0]}")
    renamed = (summary["task"] == "B2") & ~summary["model"].isin(["random", "majority"])
    return composite(summary.assign(model=summary["model"].mask(renamed, "multilabel_" + summary["model"])), reference)


def check_folder(folder: Path, loaded: Sequence[TaskData], models: Collection[str] = ()) -> None:
    """Make the run folder, and refuse one that cannot take the results of these tasks and models.

    Parameters
    ----------
    folder : Path
    loaded : sequence of TaskData
    models : collection of str
        Names of the models whose results will replace what the folder holds under their names.

    Raises
    ------
    SombError
        If the folder cannot be made, written or locked, or what it holds cannot be read.
    UsageError
        If it holds results of other tables, which this run would not replace.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        with FileLock(folder / ".lock"):
            pass
    except (OSError, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SombError(f"cannot write or lock files in {folder}: {reason}; name another folder with --out") from None
    check_content(folder, loaded, models)


def check_content(folder: Path, loaded: Sequence[TaskData], models: Collection[str]) -> None:
    """Refuse a run folder whose results these tasks and models cannot stand beside; see :func:`check_folder`."""
    if not (folder / _PROVENANCE).is_file() or not loaded:
        return
    before = load_run(folder)
    now = loaded[0].provenance
    if before.provenance["source"] != now["source"]:
        raise UsageError(
            f"{folder} holds results of {before.provenance['source']} tables, this run uses {now['source']} ones, and "
            "the two never share a folder; choose another with --out"
        )
    if now["source"] == "simulated" and before.provenance["described"] != now["described"]:
        raise UsageError(
            f"{folder} holds results of {before.provenance['described']}, this run uses {now['described']}; choose "
            "another folder with --out"
        )
    for data in loaded:
        _check_same_data(folder, before, data, models)


def _check_same_data(folder: Path, before: "RunResult", data: TaskData, models: Collection[str]) -> None:
    entry = before.provenance["tasks"].get(f"{data.name}/{data.protocol}")
    if entry is None or entry["data_sha256"] == data.fingerprint:
        return
    rows = before.results.query("task == @data.name and protocol == @data.protocol")
    left = [name for name in dict.fromkeys(rows["model"]) if name not in models]
    if left:
        raise UsageError(
            f"{folder} holds {data.name} of {', '.join(left)} on other features, labels or folds (other tables, or "
            "another version of this package) than this run has; run them again in the same command, or choose "
            "another folder with --out"
        )


def save(result: RunResult, folder: Path) -> None:
    """Add a run to `folder`, replacing rows of the same task, protocol and model.

    The three files change together: a save that is interrupted is completed, or has changed nothing, at the next
    :func:`load_run` or :func:`save`.

    Raises
    ------
    SombError
        If the folder cannot be written, or what it holds cannot be read.
    """
    with FileLock(folder / ".lock"):
        merged = _merge(_load(folder), result) if _holds_run(folder) else result
        pending = folder / _PENDING
        hashes = {}
        for name, frame in zip(_TABLES, (merged.results, merged.predictions), strict=True):
            with replacing(pending / name) as temporary:
                frame.to_parquet(temporary, index=False, compression="zstd")
            hashes[name] = _hash(pending / name)
        with replacing(pending / _PROVENANCE) as temporary:
            text = json.dumps({**merged.provenance, "files": hashes}, indent=2)
            temporary.write_text(text + "\n", encoding="utf-8")
        _complete(folder)


def _holds_run(folder: Path) -> bool:
    return any((place / _PROVENANCE).is_file() for place in (folder, folder / _PENDING))


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

    Raises
    ------
    SombError
        If a file is missing or unreadable, or was changed after the run.
    """
    folder = Path(folder)
    if (folder / _PENDING / _PROVENANCE).is_file():
        with FileLock(folder / ".lock"):
            _complete(folder)
    return _load(folder)


def _load(folder: Path) -> RunResult:
    _complete(folder)
    try:
        stored = json.loads((folder / _PROVENANCE).read_text(encoding="utf-8"))
        results, predictions = (pd.read_parquet(folder / name) for name in _TABLES)
        run = RunResult(results, predictions, _current(stored))
        for name, sha256 in run.provenance.pop("files", {}).items():
            if _hash(folder / name) != sha256:
                raise ValueError(f"{name} was changed after the run wrote it")
        return _complete_provenance(run)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = f"{_PROVENANCE} lacks {error}" if isinstance(error, KeyError) else error
        raise SombError(
            f"{folder} is not a readable run folder: {reason}. Finished folds are kept in {folder / 'jobs'}: move "
            f"{', '.join((*_TABLES, _PROVENANCE))} away, and the commands that made them fit nothing anew"
        ) from None


def _hash(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _current(stored: dict[str, Any]) -> dict[str, Any]:
    """Return provenance in today's form; the first one knew only each model's latest parameters."""
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


def _complete_provenance(run: RunResult) -> RunResult:
    """Check that provenance says how every group of rows was made."""
    told = {tuple(entry[key] for key in KEY): entry["run"] for entry in run.provenance["models"]}
    for task, protocol, model in run.results[KEY].drop_duplicates().itertuples(index=False):
        run.provenance["tasks"][f"{task}/{protocol}"]["data_sha256"]
        run.provenance["runs"][told[task, protocol, model]]
    run.provenance["source"], run.provenance["described"]
    return run


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
    return {
        **parts[-1],
        "tasks": {key: entry for part in parts for key, entry in part["tasks"].items()},
        "models": models,
        "runs": {run: runs[run] for run in dict.fromkeys(entry["run"] for entry in models)},
    }


def replaced(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each group of rows that stands in `before` under the same name, made in another way."""
    stored = {tuple(entry[key] for key in KEY): entry for entry in before["models"]}
    sentences = []
    for entry in now["models"]:
        old = stored.get(tuple(entry[key] for key in KEY))
        changed = [part for part in ("target", "params", "seed") if old is not None and old[part] != entry[part]]
        if old is not None and changed:
            told = ", ".join(f"{part} {old[part]}" for part in changed)
            sentences.append(f"{entry['model']} on {entry['task']} replaces the results made with {told}")
    return sentences
