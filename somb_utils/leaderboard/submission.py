"""Submissions to the leaderboard: one file of a run and its model card, checked by scoring its predictions again.

The check proves that the scores follow from the predictions, on the published tables and folds. The labels are public,
so it cannot prove that a model made the predictions: that takes the code, which the card may name.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from somb_utils._escape import listed
from somb_utils.errors import SombError, UsageError
from somb_utils.leaderboard import archive
from somb_utils.leaderboard.model_card import Card, described, skeleton
from somb_utils.leaderboard.provenance import MAX_MODELS, MAX_TASKS, Provenance
from somb_utils.predictions.codec import check as check_columns
from somb_utils.predictions.evaluate import Submission as Predictions
from somb_utils.predictions.evaluate import other_protocols, score
from somb_utils.predictions.parquet_form import from_parquet, to_parquet
from somb_utils.predictions.problems import MAX_SEEDS, Problems
from somb_utils.runs.folder import joined_provenance, load_run
from somb_utils.runs.record import KEY, PREDICTION_COLUMNS, RESULT_COLUMNS
from somb_utils.runs.results import RunResult, keys_of
from somb_utils.tables.registry import table_info
from somb_utils.tables.sources import Source, SourceLike, resolve_source
from somb_utils.tasks.definitions import PROTOCOLS, catalogue, task_tables
from somb_utils.tasks.task_data import TaskData, load_task

TOLERANCE = 1e-9
MAX_FOLDS = 100
MAX_SCORES = 500_000


@dataclass(frozen=True)
class Packed:
    """The content of a submission's file."""

    card: Card
    run: RunResult


def pack(
    folder: Path, card: Card, out: Path, models: Sequence[str] | None = None, source: SourceLike = "auto"
) -> pd.DataFrame:
    """Check a run as :func:`check` does, write it and its card to one file, and return the scores.

    Ablations and tasks of the user's own stay out, and so do the provenance's command, platform and folder names.
    `models` are those of the run that the card describes; all when omitted.
    """
    run = load_run(folder)
    try:
        provenance = Provenance.model_validate(run.provenance).model_dump()
    except ValidationError as error:
        raise SombError(f"{folder / 'provenance.json'} is not a run's\n{described(error)}") from None
    present = list(dict.fromkeys(run.results["model"]))
    if unknown := [name for name in models or () if name not in present]:
        raise UsageError(f"{folder} has no model '{unknown[0]}'; it has {', '.join(present)}")
    chosen = list(models or present)
    if not set(run.results["task"]) & set(catalogue()):
        raise UsageError(
            f"{folder} has results of your own tasks alone, and the leaderboard lists those of the benchmark"
        )

    tasks = {key: entry for key, entry in provenance["tasks"].items() if key.split("/")[0] in catalogue()}
    records = [entry for entry in provenance["models"] if entry["model"] in chosen and entry["task"] in catalogue()]
    provenance = joined_provenance([{**provenance, "tasks": tasks, "models": records}])
    part = run.of([key for key in keys_of(run.provenance) if key[2] in chosen and key[0] in catalogue()])
    packed = Packed(card.sealed(), RunResult(part.results, part.predictions, provenance))
    scores = _score_again(packed, source, str(folder))
    archive.write(
        {
            "results.parquet": to_parquet(packed.run.results[RESULT_COLUMNS]),
            "predictions.parquet": to_parquet(packed.run.predictions[PREDICTION_COLUMNS]),
            "provenance.json": json.dumps(provenance, indent=1).encode(),
            "card.json": packed.card.model_dump_json(indent=1, exclude_none=True).encode(),
        },
        out,
    )
    return scores


def read(path: Path) -> Packed:
    """Unpack a submission's file."""
    members = archive.read(path)
    lines = []
    try:
        card = Card.model_validate_json(members["card.json"])
        if card.key:
            lines.append("card.json: contains its key; pack it with somb submit pack, which writes the key's hash")
    except ValidationError as error:
        lines += [f"card.json: {line}" for line in described(error).splitlines()]
    try:
        provenance = Provenance.model_validate_json(members["provenance.json"])
    except ValidationError as error:
        lines += [f"provenance.json: {line}" for line in described(error).splitlines()]
    frames = {}
    for name, columns in (("results.parquet", RESULT_COLUMNS), ("predictions.parquet", PREDICTION_COLUMNS)):
        try:
            frames[name] = from_parquet(members[name], columns, name)
            lines += _too_much(frames[name], name)
        except SombError as error:
            lines.append(str(error))
    if lines:
        raise _refused(str(path), lines)
    run = RunResult(frames["results.parquet"], frames["predictions.parquet"], provenance.model_dump())
    return Packed(card, run)


def _too_much(frame: pd.DataFrame, name: str) -> Iterator[str]:
    """Name the limits of tasks, protocols, models, folds and scores that a table exceeds, before any work on it."""
    limits = {"task": MAX_TASKS, "protocol": len(PROTOCOLS) + 1, "model": MAX_MODELS, "seed": MAX_SEEDS}
    limits["fold"] = MAX_FOLDS
    for column, limit in limits.items():
        if (n := frame[column].nunique()) > limit:
            yield f"{name} has {n:,} {column}s; at most {limit} are read"
    if name == "results.parquet" and len(frame) > MAX_SCORES:
        yield f"{name} has {len(frame):,} scores; at most {MAX_SCORES:,} are read"


def check(path: Path, source: SourceLike = "auto") -> tuple[Packed, pd.DataFrame]:
    """Unpack a submission and score its predictions again.

    The scores have one row per task, protocol, model and metric, from the predictions alone: mean, sd (population), low
    and high (95 % interval of the primary metric), chance, ``values`` by fold, and whether the features are its own.
    """
    packed = read(path)
    return packed, _score_again(packed, source, str(path))


def _score_again(packed: Packed, source: SourceLike, name: str) -> pd.DataFrame:
    """Return the scores that follow from a submission's predictions (see :func:`check`)."""
    run = packed.run
    if kinds := {run.provenance["source"], *run.results["source"].unique()} - {"open"}:
        listed_kinds = " and ".join(str(kind)[:40] for kind in sorted(kinds, key=str)[:3])
        raise _refused(name, [f"was run on {listed_kinds} tables; only results of the published ones are listed"])
    models = [str(model) for model in run.results["model"].dropna().unique()]
    if len(models) > MAX_MODELS:
        raise _refused(name, [f"has {len(models)} models; a card describes at most {MAX_MODELS}"])
    looks: dict[str, str] = {}
    for model in models:
        if (other := looks.setdefault(skeleton(model), model)) != model:
            raise _refused(name, [f"the models {other[:60]!r} and {model[:60]!r} look alike; rename one"])
    known = [catalogue()[task] for task in run.results["task"].unique() if task in catalogue()]
    published = resolve_source(source, task_tables(known))
    if published.kind != "open":
        raise SombError(
            "a submission is checked on the published tables, which are not available; get them with: somb data fetch, "
            "or name their folder with --data"
        )
    lines = list(_run_problems(run))
    tables = []
    predictions = dict(iter(run.predictions.groupby(KEY, sort=False)))
    load = cache(partial(load_task, source=published))
    for key, results in run.results.groupby(KEY, sort=False):
        task, protocol, model = map(str, key)
        if task not in catalogue() or protocol not in PROTOCOLS:
            continue
        try:
            data = load(task, protocol)
        except SombError as error:
            lines.append(f"{task} cannot be checked: {error}")
            continue
        entry = run.provenance["tasks"].get(f"{task}/{protocol}")
        own_features = entry is not None and entry["data_sha256"] != data.fingerprint
        if own_features and not packed.card.features:
            lines.append(
                f"{task}/{protocol}: data_sha256 is not that of the task's own features; run it again with this "
                "version, or say in the card's `features` what yours are made from"
            )
        rows = predictions.get(key, run.predictions.iloc[:0])
        problems, again = _model_again(data, model, results, rows, published)
        lines += problems
        if again is not None and not lines:
            tables.append(_rows(again, model).assign(own_features=own_features))
    if lines:
        raise _refused(name, list(dict.fromkeys(lines)))
    return pd.concat(tables, ignore_index=True)


def _refused(name: str, lines: list[str]) -> SombError:
    return SombError(f"{name}: refused\n{listed(lines)}")


def _run_problems(run: RunResult) -> Iterator[str]:
    """Say what is wrong with tasks, protocols, models and table hashes."""
    if run.results.empty:
        yield "results.parquet has no score"
    for frame, name in ((run.results, "results.parquet"), (run.predictions, "predictions.parquet")):
        for task in sorted(set(frame["task"].dropna()) - set(catalogue())):
            yield f"{name}: unknown task {task[:40]!r}; the leaderboard lists {', '.join(catalogue())}"
        for protocol in sorted(set(frame["protocol"].dropna()) - set(PROTOCOLS)):
            yield f"{name}: unknown protocol {protocol[:40]!r}; it is one of {', '.join(PROTOCOLS)}"
        if frame[KEY].isna().any(axis=None):
            yield f"{name}: a row lacks its task, protocol or model"
    scored, predicted = (
        set(map(tuple, frame[KEY].drop_duplicates().to_numpy())) for frame in (run.results, run.predictions)
    )
    for task, protocol, model in sorted(predicted - scored, key=str):
        yield f"{task} {protocol} {model}: there are predictions and no scores"
    described = {tuple(record[part] for part in KEY) for record in run.provenance["models"]}
    for task, protocol, model in sorted(scored - described, key=str):
        yield f"provenance.json does not say how {task} {protocol} {str(model)[:60]!r} was made"
    for task, protocol in sorted({(str(task), str(protocol)) for task, protocol, _ in scored}):
        if task in catalogue() and protocol in PROTOCOLS:
            yield from _hash_problems(run.provenance["tasks"].get(f"{task}/{protocol}"), task, f"{task}/{protocol}")


def _hash_problems(entry: Mapping[str, Any] | None, task: str, key: str) -> Iterator[str]:
    if entry is None:
        yield f"provenance.json has no entry {key}"
        return
    for table in sorted({*entry["tables"], *catalogue()[task].tables}):
        expected = f"git:{table_info(table).git_blob}" if table in catalogue()[task].tables else None
        if (sha := entry["tables"].get(table)) != expected:
            yield f"{key}: table {table[:60]} has the hash {str(sha)[:60]}, the published one is {expected}"


def _model_again(
    data: TaskData, model: str, results: pd.DataFrame, predictions: pd.DataFrame, source: Source
) -> tuple[list[str], RunResult | None]:
    """Return what is wrong with one model's predictions and scores on one task, and the scores that follow."""
    name = f"{data.name} {data.protocol} {model[:60]}"
    lines = []
    failed = results[results["status"].str.startswith("failed", na=False)]
    if len(failed):
        folds = ", ".join(dict.fromkeys(failed["fold"].astype(str)))
        lines.append(f"{name}: failed on fold {folds}; a listed mean is over all folds: fix it, or leave the task out")
    problems = Problems(name)
    columns = {column: predictions[column].tolist() for column in PREDICTION_COLUMNS}
    checked = check_columns(columns, data, other_protocols(data.task.id, data.protocol, source), problems)
    if problems:
        return lines + problems.lines(), None
    again = score({name: Predictions(data, checked, "")})
    return lines + [f"{name}: {line}" for line in _differences(results, again.results)], again


def _differences(stated: pd.DataFrame, again: pd.DataFrame) -> Iterator[str]:
    """Say which stated scores do not follow from the predictions."""
    keys = ["seed", "fold", "metric"]
    several = stated["seed"].nunique() > 1
    repeated = stated.duplicated(keys)
    for seed, fold, metric in stated.loc[repeated, keys].itertuples(index=False):
        yield f"{f'seed {seed}, ' if several else ''}fold {fold}: {metric} is duplicated"
    both = stated[~repeated].merge(again, how="outer", on=keys, suffixes=("", "_again"), indicator="side")
    row: Any
    for row in both.itertuples():
        place = f"{f'seed {row.seed}, ' if several else ''}fold {str(row.fold)[:40]}: {str(row.metric)[:60]}"
        if row.side == "left_only":
            yield f"{place} is no score of this task"
        elif row.side == "right_only":
            yield f"{place} is missing; its predictions give {row.value_again:.6g}"
        elif not np.isclose(row.value, row.value_again, rtol=0, atol=TOLERANCE, equal_nan=True):
            yield f"{place} is stated as {row.value:.6g}, its predictions give {row.value_again:.6g}"
        elif row.status != row.status_again:
            yield f"{place} is marked {str(row.status)[:60]!r}, its predictions make it {row.status_again!r}"


def _rows(again: RunResult, model: str) -> pd.DataFrame:
    ends = again.summary().iloc[0]
    results = again.results[~again.results["metric"].str.contains("[", regex=False)]
    key = ["task", "protocol", "metric"]
    folds = results.groupby([*key, "fold"], sort=False)["value"].mean().reset_index()  # over seeds
    grouped = folds.groupby(key, sort=False)
    table = grouped["value"].agg(mean="mean", sd=lambda values: np.std(values.dropna())).reset_index()
    primary = table["metric"] == ends["metric"]
    values: Any = [dict(zip(part["fold"], part["value"], strict=True)) for _, part in grouped]
    table.insert(2, "model", model)
    return table.assign(
        primary=primary,
        values=values,
        **{key: np.where(primary, ends[key], np.nan) for key in ("low", "high", "chance")},
    )
