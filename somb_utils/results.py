"""Results of a run: tidy tables, their summary and composite, and the folder they are kept in."""

import json
import platform
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
from filelock import FileLock

from somb_utils.errors import SombError, UsageError
from somb_utils.fit import Outcome
from somb_utils.load import TaskData
from somb_utils.models import Model
from somb_utils.paths import replacing
from somb_utils.tasks import catalogue

if TYPE_CHECKING:
    from somb_utils.runner import Job

RESULT_COLUMNS = ["task", "protocol", "source", "model", "fold", "metric", "value", "status"]
PREDICTION_COLUMNS = ["task", "protocol", "model", "fold", "id", "label", "y_true", "y_pred", "y_score"]
_KEY = ["task", "protocol", "model"]
_PREDICTION_SCHEMA = pa.schema(
    [(name, pa.float64() if name == "y_score" else pa.large_string()) for name in PREDICTION_COLUMNS]
)


@dataclass(frozen=True)
class RunResult:
    """Scores and predictions of models on tasks.

    Attributes
    ----------
    results : one row a task, model, fold and metric. ``status`` is ``ok``, ``undefined`` (the fold leaves the metric
        undefined) or ``failed: reason``; `value` is missing unless ok.
    predictions : one row a tested id (and label, if multilabel). `y_score` is missing for multiclass tasks.
    provenance : data source and hashes, models and parameters, seed, versions, chance levels.
    """

    results: pd.DataFrame
    predictions: pd.DataFrame
    provenance: dict[str, Any]

    def summary(self, n_bootstrap: int = 1000, seed: int = 42) -> pd.DataFrame:
        """Return one row a task and model: primary metric, mean, population SD, folds scored, chance level, interval.

        Parameters
        ----------
        n_bootstrap : replicates of the 95 % interval (`low`, `high`; see :func:`somb_utils.stats.with_intervals`)
        seed : of the replicates
        """
        from somb_utils.stats import with_intervals

        return with_intervals(summarise(self.results, self.provenance), self.predictions, n_bootstrap, seed)

    def composite(self) -> pd.DataFrame:
        """Return the composite score and its groups, one row a model (see :func:`composite`)."""
        return composite_of(summarise(self.results, self.provenance))

    def failures(self) -> pd.DataFrame:
        """Return task, protocol, model, fold and reason of every failed job."""
        failed = self.results[self.results["status"].str.startswith("failed")]
        reasons = failed.assign(reason=failed["status"].str.removeprefix("failed: "))
        return reasons[[*_KEY, "fold", "reason"]].drop_duplicates().reset_index(drop=True)


def outcome_rows(scored: Iterable[tuple["Job", Outcome]]) -> pd.DataFrame:
    """Return the result rows of fold jobs."""
    rows = []
    for job, outcome in scored:
        data = job.data
        key = (data.name, data.protocol, data.provenance["source"], job.model.name, data.folds[job.number].label)
        scores: Mapping[str, float] = outcome.scores or {data.task.metrics.primary: np.nan}
        for metric, value in scores.items():
            status = f"failed: {outcome.error}" if outcome.error else "undefined" if np.isnan(value) else "ok"
            rows.append((*key, metric, float(value), status))
    return pd.DataFrame(rows, columns=RESULT_COLUMNS)


def prediction_rows(scored: Iterable[tuple["Job", Outcome]]) -> pd.DataFrame:
    """Return the prediction rows of fold jobs; a job that failed has none."""
    parts = [_predictions(job, outcome) for job, outcome in scored if not outcome.error]
    return pa.concat_tables(parts or [_PREDICTION_SCHEMA.empty_table()]).combine_chunks().to_pandas()


def _predictions(job: "Job", outcome: Outcome) -> pa.Table:
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
            "y_pred": names.take(outcome.y_pred),
            "y_score": outcome.y_score if outcome.y_score.size else np.full(len(ids), np.nan),
        }
    keys = {"task": data.name, "protocol": data.protocol, "model": job.model.name, "fold": fold.label}
    same = {key: pa.repeat(pa.scalar(value, pa.large_string()), len(columns["id"])) for key, value in keys.items()}
    return pa.Table.from_pydict({**same, **columns}, _PREDICTION_SCHEMA)


def provenance(
    loaded: Sequence[TaskData], models: Sequence[Model], seed: int | None, libraries: Mapping[str, str]
) -> dict[str, Any]:
    """Return what a reader needs to trust and repeat the run."""
    return {
        "source": loaded[0].provenance["source"],
        "described": loaded[0].provenance["described"],
        "tasks": {
            f"{data.name}/{data.protocol}": {
                "tables": data.provenance["tables"],
                "data_sha256": data.fingerprint,
                "rows": len(data.X),
                "features": data.X.shape[1],
                "metric": data.task.metrics.primary,
                "chance": data.chance,
            }
            for data in loaded
        },
        "models": {
            model.name: {
                "target": model.target if isinstance(model.target, str) else repr(model.target),
                "params": {key: repr(value) for key, value in model.params.items()},
                "seed": seed,
            }
            for model in models
        },
        "versions": {"somb-utils": version("somb-utils"), "python": platform.python_version(), **libraries},
        "platform": platform.platform(),
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": sys.argv,
    }


def summarise(results: pd.DataFrame, provenance: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row a task and model on the primary metric.

    Columns: task, protocol, model, source, metric, mean and sd (population) over the scored folds, folds (how many
    those are), failed and undefined (how many are left out), chance.
    """
    metric = {key.split("/")[0]: entry["metric"] for key, entry in provenance["tasks"].items()}
    primary = results[results["metric"] == results["task"].map(metric)]
    grouped = primary.groupby([*_KEY, "source", "metric"], sort=False)
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


def save(result: RunResult, folder: Path) -> None:
    """Add a run to `folder`, replacing rows of the same task, protocol and model.

    Raises
    ------
    SombError
        If the folder cannot be written, or what it holds cannot be read.
    """
    with FileLock(folder / ".lock"):
        merged = _merge(load_run(folder), result) if (folder / "provenance.json").is_file() else result
        for name, frame in (("results", merged.results), ("predictions", merged.predictions)):
            with replacing(folder / f"{name}.parquet") as temporary:
                frame.to_parquet(temporary, index=False, compression="zstd")
        with replacing(folder / "provenance.json") as temporary:
            temporary.write_text(json.dumps(merged.provenance, indent=2) + "\n", encoding="utf-8")


def load_run(folder: str | Path) -> RunResult:
    """Read the results, predictions and provenance of a run folder.

    Raises
    ------
    SombError
        If a file is missing or unreadable.
    """
    folder = Path(folder)
    try:
        return RunResult(
            pd.read_parquet(folder / "results.parquet"),
            pd.read_parquet(folder / "predictions.parquet"),
            json.loads((folder / "provenance.json").read_text(encoding="utf-8")),
        )
    except (OSError, ValueError) as error:
        raise SombError(f"{folder} is not a readable run folder: {error}") from None


def _merge(before: RunResult, now: RunResult) -> RunResult:
    new = pd.MultiIndex.from_frame(now.results[_KEY].drop_duplicates())

    def joined(old: pd.DataFrame, fresh: pd.DataFrame) -> pd.DataFrame:
        kept = old[~pd.MultiIndex.from_frame(old[_KEY]).isin(new)]
        return pd.concat([kept, fresh], ignore_index=True) if len(kept) else fresh

    entries = {part: {**before.provenance[part], **now.provenance[part]} for part in ("tasks", "models")}
    return RunResult(
        joined(before.results, now.results),
        joined(before.predictions, now.predictions),
        {**now.provenance, **entries},
    )
