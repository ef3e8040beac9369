"""Croissant 1.1 (MLCommons) of tasks and tables: files with hashes, licences, citations, columns and folds."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from somb_utils._extras import missing_extra
from somb_utils.export.citations import licence_url, papers, said_of
from somb_utils.paths import benchmark_version, replacing
from somb_utils.tables.registry import TableInfo, registry, table_info
from somb_utils.tables.sources import Source, missing_tables
from somb_utils.tasks.definitions import PROTOCOLS, Task
from somb_utils.tasks.splits import IN_WORDS
from somb_utils.tasks.task_data import load_task

try:
    import mlcroissant as mlc
except ImportError as error:
    raise missing_extra("`somb export croissant`", "export", error) from None

CROISSANT = "http://mlcommons.org/croissant/1.1"


def write(tasks: Sequence[Task], source: Source, folder: Path) -> list[str]:
    """Write ``tables.json``, on every registered table, and ``<task>.json``, on each task; return their names.

    A task's document lists all columns and the folds where `source` has the published tables; else, and in
    ``tables.json``, the columns that identify a row stand alone.
    """
    documents = {
        "tables": _document(
            "SpaceOmicsBench tables",
            "The open tables that tasks of SpaceOmicsBench read, or are derived from.",
            list(registry().values()),
        )
    }
    for task in tasks:
        infos = [table_info(name) for name in task.tables]
        folds = _folds(task, source) if source.kind == "open" and not missing_tables(task.tables, source) else []
        documents[task.id] = _document(
            f"SpaceOmicsBench {task.id}: {task.name}", said_of(task, PROTOCOLS[0]), infos, source, folds
        )
    for name, document in documents.items():
        with replacing(folder / f"{name}.json") as temporary:
            temporary.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return [f"{name}.json" for name in documents]


def _document(
    name: str, text: str, infos: Sequence[TableInfo], source: Source | None = None, folds: Sequence[mlc.RecordSet] = ()
) -> dict[str, Any]:
    """Return the JSON-LD of tables and folds, which the library has read again, and so validated."""
    if lacking := [info.name for info in infos if not info.sha256]:
        text += f" Not described, since their SHA-256 is not known: {', '.join(lacking)}."
    described = [info for info in infos if info.sha256]
    metadata = mlc.Metadata(
        ctx=mlc.Context(conforms_to=CROISSANT),
        name=name,
        description=text,
        url=described[0].url if described else None,
        version=f"{benchmark_version()}.0",
        license=sorted({licence_url(info.licence) for info in infos}),
        cite_as="; ".join(papers(infos)),
        distribution=[
            mlc.FileObject(
                id=info.file,
                name=info.file,
                content_url=info.url,
                encoding_formats=[mlc.EncodingFormat.CSV],
                sha256=info.sha256,
                description=f"{info.study}; {info.licence}" + (f"; {info.accession}" if info.accession else ""),
            )
            for info in described
        ],
        record_sets=[*(_table(info, source) for info in described), *folds],
    )
    document: dict[str, Any] = metadata.to_json()
    mlc.Metadata.from_json(mlc.Context(), document)  # to_json alone lets some invalid names pass
    return document


def _table(info: TableInfo, source: Source | None) -> mlc.RecordSet:
    """Return the columns of a table, with their types, if the published one is there; else its identifiers."""
    if source is not None and source.kind == "open" and source.has(info.name):
        types = {str(column): _type(values) for column, values in source.load(info.name).items()}
    else:
        types = dict.fromkeys(info.id, mlc.DataType.TEXT)
    plain = {column: re.sub(r"[^\w.:+-]", "_", column) for column in types}  # an @id has no white space
    ids = {column: f"{info.name}/{name}" for column, name in plain.items()}
    if len(set(ids.values())) < len(ids):
        ids = {column: f"{name}-{number}" for number, (column, name) in enumerate(ids.items())}
    fields = [
        mlc.Field(
            id=ids[column],
            name=column,
            data_types=kind,
            source=mlc.Source(file_object=info.file, extract=mlc.Extract(column=column)),
        )
        for column, kind in types.items()
    ]
    return mlc.RecordSet(id=info.name, name=info.name, key=[ids[column] for column in info.id] or None, fields=fields)


def _type(values: pd.Series) -> Any:
    if pd.api.types.is_bool_dtype(values):
        return mlc.DataType.BOOL
    if pd.api.types.is_integer_dtype(values):
        return mlc.DataType.INTEGER
    return mlc.DataType.FLOAT if pd.api.types.is_float_dtype(values) else mlc.DataType.TEXT


def _folds(task: Task, source: Source) -> list[mlc.RecordSet]:
    """Return the folds under each protocol, a record each: name, and numbers of rows that it trains on and tests."""
    sets = []
    kinds = {"fold": mlc.DataType.TEXT, "train_rows": mlc.DataType.INTEGER, "test_rows": mlc.DataType.INTEGER}
    for protocol in PROTOCOLS:
        data = load_task(task, protocol, source)
        name = f"folds_{protocol}"
        fields = [mlc.Field(id=f"{name}/{field}", name=field, data_types=kind) for field, kind in kinds.items()]
        rows = [dict(zip(kinds, (fold.label, len(fold.train), len(fold.test)), strict=True)) for fold in data.folds]
        records = [{f"{name}/{field}": value for field, value in row.items()} for row in rows]
        text = f"Folds under the protocol {protocol}: {IN_WORDS[data.task.split]}."
        split = mlc.DataType.SPLIT
        sets.append(
            mlc.RecordSet(
                id=name,
                name=name,
                description=text,
                data_types=[split],
                key=[f"{name}/fold"],
                fields=fields,
                data=records,
            )
        )
    return sets
