"""The output of a run: result rows, prediction rows and provenance, from the outcomes of its fold jobs."""

import ast
import hashlib
import platform
import secrets
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from types import FunctionType
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa

from somb_utils.paths import benchmark_version
from somb_utils.runs.code import library_versions
from somb_utils.tasks.definitions import task_of

if TYPE_CHECKING:
    from somb_utils.runs.cache import Job
    from somb_utils.runs.fit import Outcome
    from somb_utils.tasks.task_data import TaskData

FORMAT = 2
RESULT_COLUMNS = ["task", "protocol", "source", "model", "seed", "fold", "metric", "value", "status"]
KEY = ["task", "protocol", "model"]
PREDICTION_COLUMNS = [*KEY, "seed", "fold", "id", "label", "y_true", "y_pred", "y_score", "y_proba"]
_TYPES = {"seed": pa.int64(), "value": pa.float64(), "y_score": pa.float64(), "y_proba": pa.list_(pa.float64())}
RESULT_SCHEMA = pa.schema([(name, _TYPES.get(name, pa.large_string())) for name in RESULT_COLUMNS])
PREDICTION_SCHEMA = pa.schema([(name, _TYPES.get(name, pa.large_string())) for name in PREDICTION_COLUMNS])


def outcome_rows(scored: Iterable["tuple[Job, Outcome]"]) -> pd.DataFrame:
    """Return the result rows of fold jobs."""
    rows = []
    for job, outcome in scored:
        data = job.data
        label = data.folds[job.number].label
        key = (data.name, data.protocol, data.provenance["source"], job.model.name, job.seed, label)
        scores: Mapping[str, float] = outcome.scores or {data.task.metrics.primary: np.nan}
        for metric, value in scores.items():
            status = f"failed: {outcome.error}" if outcome.error else "undefined" if np.isnan(value) else "ok"
            rows.append((*key, metric, float(value), status))
    return pd.DataFrame(rows, columns=RESULT_COLUMNS)


def prediction_rows(scored: Iterable["tuple[Job, Outcome]"]) -> pd.DataFrame:
    """Return the prediction rows of fold jobs; a job that failed has none."""
    return prediction_table(scored).to_pandas()


def prediction_table(scored: Iterable["tuple[Job, Outcome]"]) -> pa.Table:
    """Return the same as an Arrow table."""
    parts = [_predictions(job, outcome) for job, outcome in scored if not outcome.error]
    return pa.concat_tables(parts or [PREDICTION_SCHEMA.empty_table()]).combine_chunks()


def _probabilities(data: "TaskData", outcome: "Outcome", n: int) -> pa.Array:
    """Return the class probabilities of each row of a multiclass task, in the order of the classes; else nulls."""
    if data.task.type != "multiclass" or not outcome.y_score.size:
        return pa.nulls(n, _TYPES["y_proba"])
    offsets = np.arange(n + 1) * len(data.task.classes)
    return pa.ListArray.from_arrays(offsets, outcome.y_score.ravel())


def _predictions(job: "Job", outcome: "Outcome") -> pa.Table:
    data, fold = job.data, job.data.folds[job.number]
    ids = pa.array(data.X.index, pa.large_string()).take(fold.test)
    names = pa.array(data.task.classes, pa.large_string())
    truth = data.codes[fold.test]
    if data.task.type == "multilabel":
        columns = {
            "id": ids.take(np.repeat(np.arange(len(ids)), len(names))),
            "label": names.take(np.tile(np.arange(len(names)), len(ids))),
            "y_true": pa.array(truth.ravel()).cast(pa.large_string()),
            "y_pred": pa.array(outcome.y_pred.ravel()).cast(pa.large_string()),
            "y_score": outcome.y_score.ravel(),
        }
    else:
        columns = {
            "id": ids,
            "label": pa.nulls(len(ids), pa.large_string()),
            "y_true": names.take(truth),
            "y_pred": names.take(outcome.y_pred) if outcome.y_pred.size else pa.nulls(len(ids), pa.large_string()),
            "y_score": outcome.y_score
            if outcome.y_score.ndim == 1 and outcome.y_score.size
            else np.full(len(ids), np.nan),
        }
    columns["seed"] = pa.repeat(pa.scalar(job.seed), len(columns["id"]))
    columns["y_proba"] = _probabilities(data, outcome, len(columns["id"]))
    keys = {"task": data.name, "protocol": data.protocol, "model": job.model.name, "fold": fold.label}
    same = {key: pa.repeat(pa.scalar(value, pa.large_string()), len(columns["id"])) for key, value in keys.items()}
    return pa.Table.from_pydict({**same, **columns}, PREDICTION_SCHEMA)


def provenance(loaded: Sequence["TaskData"], jobs: Iterable["Job"]) -> dict[str, Any]:
    """Return what a reader needs to trust and repeat every row of a run.

    That is ``source`` and ``described`` of the tables; ``tasks`` by ``TASK/PROTOCOL``; ``models``, one record per task,
    protocol and model; ``runs``, with versions, platform, time and command, by the identifier that the records give.
    """
    made = made_with()
    run = f"{datetime.fromisoformat(made['written']):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
    groups: dict[tuple[str, str, str], list[Job]] = {}
    for job in jobs:
        groups.setdefault((job.data.name, job.data.protocol, job.model.name), []).append(job)
    return {
        "format": FORMAT,
        "source": loaded[0].provenance["source"],
        "described": loaded[0].provenance["described"],
        "tasks": {
            f"{data.name}/{data.protocol}": _definition(data)
            | {
                "tables": data.provenance["tables"],
                "data_sha256": data.fingerprint,
                "rows": len(data.X),
                "features": data.X.shape[1],
                "metric": data.task.metrics.primary,
                "chance": data.chance,
            }
            for data in loaded
        },
        "models": [{**dict(zip(KEY, key, strict=True)), **_record(those), "run": run} for key, those in groups.items()],
        "runs": {run: made},
    }


def made_with() -> dict[str, Any]:
    """Return the versions, platform, time and command of this process."""
    return {
        "versions": {
            "benchmark": benchmark_version(),
            "somb-utils": version("somb-utils"),
            "python": platform.python_version(),
            **library_versions(),
        },
        "platform": platform.platform(),
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": sys.argv,
    }


def _definition(data: "TaskData") -> dict[str, Any]:
    """Return the definition of a user's task, without which its statistics cannot be computed again."""
    known = task_of(data.task.id, data.protocol)
    return {} if data.task == known else {"definition": data.task.model_dump(mode="json")}


def _record(jobs: Sequence["Job"]) -> dict[str, Any]:
    """Return how a model was made; `seed` and `random_states` are those of its first seed."""
    model, version = jobs[0].model, jobs[0].version
    code = version.code if version else None
    return {
        "target": _target(model.target),
        "params": {key: _value(value) for key, value in model.params.items()},
        "seed": version.seed if version else None,
        "seeds": list(dict.fromkeys(job.seed for job in jobs)) if version else [],
        "jobs_sha256": _of_jobs(jobs),
        "fold": "raw" if version and version.raw else "prepared",
        "random_states": dict(version.states) if version else {},
        "code": {"modules": dict(code.modules), "distributions": dict(code.distributions)} if code else None,
    }


def _of_jobs(jobs: Sequence["Job"]) -> str | None:
    """Return a hash of all that the outcomes of fold jobs depend on; None if part of it cannot be identified."""
    keys = [job.key for job in jobs]
    return None if None in keys else hashlib.sha256(" ".join(map(str, keys)).encode()).hexdigest()


def _target(target: Any) -> str:
    if isinstance(target, str):
        return target
    from somb_utils.runs.raw import unwrapped

    target, _ = unwrapped(target)
    if isinstance(target, type | FunctionType):
        return f"{target.__module__}:{target.__qualname__}"
    return repr(target)


def _value(value: Any) -> str:
    """Return a parameter as text: itself where the text says all, else its beginning and a hash."""
    text = repr(value)
    with suppress(ValueError, SyntaxError, MemoryError, RecursionError):
        ast.literal_eval(text)
        if len(text) <= 200:
            return text
    try:
        return f"{text[:200]} (joblib.hash {joblib.hash(value)})"
    except Exception:  # a lambda or a lock: pickle raises what it likes
        return text[:200]
