"""For the Hugging Face Hub: a folder that ``datasets.load_dataset`` reads, with its card; the card of a run's model."""

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from somb_utils._extras import missing_extra
from somb_utils.errors import SombError, UsageError
from somb_utils.export.citations import LICENCES, papers, said_of
from somb_utils.labels import interval, markdown, metric_name, plus_minus
from somb_utils.paths import need_empty, replacing
from somb_utils.runs.results import RunResult
from somb_utils.tables.registry import table_info
from somb_utils.tasks.task_data import TaskData

try:
    from huggingface_hub import DatasetCard, DatasetCardData, EvalResult, ModelCard, ModelCardData
except ImportError as error:
    raise missing_extra("`somb export hf` and `somb export model-card`", "export", error) from None

MARK = "SIMULATED"


def write_dataset(loaded: Sequence[TaskData], folder: Path) -> list[str]:
    """Write one Parquet file for each task, and the dataset's card; return the names of its configurations.

    A file has one row per row of the task: ``id``, ``group``, ``label`` (a list of labels if multilabel), the folds
    that train on it and test it, and a column ``feature:NAME`` per feature. `folder` must be absent or empty; it
    appears whole or not at all.
    """
    need_empty(folder)
    if (source := loaded[0].provenance["source"]) == "custom":
        raise UsageError(
            "only tasks of published tables, or of simulated ones, are exported; these are of your own tables"
        )
    simulated = source == "simulated"
    names = {data.name + f"_{MARK}" * simulated: data for data in loaded}
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as temporary:
        whole = Path(temporary) / "whole"
        for name, data in names.items():
            with replacing(whole / "data" / f"{name}.parquet") as file:
                described = {"source": data.provenance["described"], "protocol": data.protocol}
                pq.write_table(rows_of(data).replace_schema_metadata(described), file, compression="zstd")
        (whole / "README.md").write_text(_dataset_card(names, simulated), encoding="utf-8")
        whole.replace(folder)
    return list(names)


def rows_of(data: TaskData) -> pa.Table:
    """Return a task's rows as a table, as :func:`write_dataset` writes them."""
    trains: list[list[str]] = [[] for _ in range(len(data.X))]
    tests: list[list[str]] = [[] for _ in range(len(data.X))]
    for fold in data.folds:
        for lists, rows in ((trains, fold.train), (tests, fold.test)):
            for row in rows:
                lists[row].append(fold.label)
    labels: Any = data.y
    if isinstance(data.y, pd.DataFrame):
        labels = [[name for name, has in zip(data.y.columns, row, strict=True) if has] for row in data.y.to_numpy()]
    columns = {
        "id": pa.array(data.X.index, pa.string()),
        "group": pa.array(data.groups, pa.string()) if data.groups is not None else pa.nulls(len(data.X), pa.string()),
        "label": pa.array(labels, pa.list_(pa.string()) if isinstance(labels, list) else pa.string()),
        "train_folds": pa.array(trains, pa.list_(pa.string())),
        "test_folds": pa.array(tests, pa.list_(pa.string())),
    }
    return pa.table(columns | {f"feature:{name}": pa.array(data.X[name], pa.float64()) for name in data.X})


def _dataset_card(names: dict[str, TaskData], simulated: bool) -> str:
    infos = [table_info(name) for name in dict.fromkeys(name for data in names.values() for name in data.task.tables)]
    licences = sorted({info.licence for info in infos})
    title = f"SpaceOmicsBench{f' ({MARK} tables)' * simulated}"
    card = DatasetCardData(
        pretty_name=title,
        license="mit" if simulated else [LICENCES[licence] for licence in licences],
        task_categories=["tabular-classification"],
        tags=["biology", "spaceflight", "omics", *(["simulated"] if simulated else [])],
        configs=[
            {"config_name": name, "data_files": [{"split": "rows", "path": f"data/{name}.parquet"}]} for name in names
        ],
    )
    origin = (
        [f"**{MARK}: no real measurement is in these files.** They show the form of the data alone."]
        if simulated
        else [
            f"Computed from open tables under {', '.join(licences)}: state the licence and cite the papers.",
            *(f"- {paper}" for paper in papers(infos)),
        ]
    )
    protocol = next(iter(names.values())).protocol
    lines = [
        f"# {title}",
        f"Machine-learning tasks on spaceflight multi-omics, with the folds of the protocol {protocol}.",
        "\n".join(origin),
        "One configuration per task, with the single split `rows`: a row has its `id`, `group`, `label`, the names of "
        "the folds that train on it (`train_folds`) and that test it (`test_folds`), and one column `feature:NAME` per "
        "feature. Missing values are left missing; impute and scale them on the training rows of each fold.",
        *(f"## {name}\n\n{data.task.name}. {said_of(data.task, protocol)}" for name, data in names.items()),
    ]
    return str(DatasetCard(f"---\n{card.to_yaml()}\n---\n\n" + "\n\n".join(lines) + "\n"))


def model_card(run: RunResult, model: str) -> str:
    """Return the card of one model of a run, with a result for each task in its metadata and in a table."""
    table = run.summary()
    if model not in set(table["model"]):
        raise UsageError(f"the run has no model '{model}'; it has {', '.join(dict.fromkeys(table['model']))}")
    rows: list[Any] = list(table[table["model"] == model].itertuples())
    source = run.provenance["source"]
    kind = {"simulated": f"{MARK} tables", "custom": "own tables"}.get(source, "open tables")
    scored = [row for row in rows if math.isfinite(row.mean)]
    if not scored:
        raise SombError(f"{model} has no score: all of its folds failed or are undefined; nothing to write")
    results = [
        EvalResult(
            task_type="tabular-classification",
            task_name=f"{row.task}, protocol {row.protocol}",
            dataset_type="spaceomicsbench",
            dataset_name=f"SpaceOmicsBench {row.task} ({kind})",
            dataset_config=row.task + f"_{MARK}" * (source == "simulated"),
            dataset_args={"protocol": row.protocol, "source": source},
            metric_type=row.metric,
            metric_name=metric_name(row.metric),
            metric_value=round(float(row.mean), 6),
            metric_args={name: _plain(getattr(row, name)) for name in ("sd", "low", "high", "chance", *_COUNTS)},
        )
        for row in scored
    ]
    data = ModelCardData(model_name=model, eval_results=results, tags=["spaceomicsbench"])
    shown = [
        {
            "task": row.task,
            "protocol": row.protocol,
            "metric": metric_name(row.metric),
            "score": plus_minus(row.mean, row.sd),
            "95 % interval": interval(row.low, row.high),
            "chance": f"{row.chance:.3f}",
            **{name: str(getattr(row, name)) for name in _COUNTS},
        }
        for row in rows
    ]
    lines = [
        f"# {model} on SpaceOmicsBench ({kind})",
        "Mean over folds and seeds ± population SD over folds, with a 95 % bootstrap interval. Failed and undefined "
        "fits are left out of the mean, and counted.",
        markdown(pd.DataFrame(shown)),
    ]
    return str(ModelCard(f"---\n{data.to_yaml()}\n---\n\n" + "\n\n".join(lines) + "\n"))


_COUNTS = ("folds", "failed", "undefined", "seeds")


def _plain(value: Any) -> float | int | None:
    """Return a number of NumPy as Python's, None for a missing one."""
    return None if pd.isna(value) else round(float(value), 6) if isinstance(value, float) else int(value)
