"""Parquet from elsewhere: read as pyarrow reads it, or refused before it takes much memory."""

import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from itertools import cycle, product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from somb_utils.errors import SombError
from somb_utils.predictions import _parquet_reader as parquet_reader
from somb_utils.predictions.parquet_form import read_bounded

MB = 2**20


def packed(table: pa.Table, **options: Any) -> bytes:
    stream = BytesIO()
    pq.write_table(table, stream, **options)
    return stream.getvalue()


def read(content: bytes, max_rows: int = 10_000, max_bytes: int = MB) -> pa.Table:
    known = ["a", "text", "long", "number", "count", "truth"]
    return read_bounded(content, known, lambda names: names, max_rows, max_bytes)


def test_what_pyarrow_writes_is_read_the_same() -> None:
    n = 2000
    table = pa.table(
        {
            "text": ["a", "b", None, "ü"] * (n // 4),
            "long": pa.array([f"row {i}" for i in range(n)], pa.large_string()),
            "number": np.linspace(0, 1, n),
            "count": pa.array(range(n), pa.int16()),
            "truth": [True, None] * (n // 2),
        }
    )
    compressions = ("none", "snappy", "zstd", "gzip", "brotli", "lz4")
    pages_and_more = product(("1.0", "2.0"), (True, False), (True, False))
    for compression, (pages, dictionary, schema) in zip(cycle(compressions), pages_and_more, strict=False):
        content = packed(
            table,
            compression=compression,
            data_page_version=pages,
            use_dictionary=dictionary,
            store_schema=schema,
            write_page_checksum=True,
            data_page_size=4000,
            row_group_size=700,
        )
        found = read(content)
        assert pa.types.is_dictionary(found["text"].type)
        assert found.to_pydict() == table.to_pydict()
    assert read(packed(table[:0])).num_rows == 0


def repeated(text: str, n: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, dtype=np.int32)), pa.array([text]))


@pytest.mark.parametrize(
    ("table", "options", "reason"),
    [
        (pa.table({"a": range(20_000)}), {}, "has 20,000 rows; at most 10,000 are read"),
        (pa.table({"a": repeated("x" * 3 * MB, 2)}), {}, "unpacks to 3 MB; at most 1 MB are read"),
        (pa.table({"a": [[0.5] * MB]}), {}, "column 'a' is of type list"),
        (pa.table({"a": [{"b": 1}]}), {}, "column 'a' is of type struct"),
        (
            pa.table({"a": ["x" * 10_000 + str(i) for i in range(9000)]}),
            {"use_dictionary": False, "column_encoding": {"a": "DELTA_BYTE_ARRAY"}},
            "is not a readable Parquet file",
        ),
    ],
)
@pytest.mark.parametrize("pages", ["1.0", "2.0"])
def test_small_files_that_would_unpack_to_much_are_refused(
    table: pa.Table, options: dict, reason: str, pages: str
) -> None:
    content = packed(table, compression="zstd", store_schema=False, data_page_version=pages, **options)
    assert len(content) < MB
    with pytest.raises(SombError, match=reason):
        read(content)


def test_a_place_outside_of_the_dictionary_is_refused() -> None:
    options = {"compression": "none", "store_schema": False, "write_statistics": False}
    one, three = (packed(pa.table({"a": ["x", "y", "z"][:n] * (12 // n)}), **options) for n in (1, 3))
    assert read(three)["a"].to_pylist() == ["x", "y", "z"] * 4
    words = [b"".join(b"\1\0\0\0" + word for word in (b"x", b"y", b"z")[:n]) for n in (1, 3)]
    assert words[1] in three and words[0] in one
    # Three words of one letter become one word of eleven.
    changed = three.replace(words[1], b"\x0b\0\0\0x" + words[1][5:])
    with pytest.raises(SombError, match="is not a readable Parquet file"):
        read(changed)


def test_a_reader_that_dies_is_told_in_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "dies.py"
    program.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGABRT)\n")
    monkeypatch.setattr(parquet_reader, "__file__", str(program))
    with pytest.raises(SombError, match="it is damaged, or takes too much memory"):
        read(packed(pa.table({"a": [1]})))


def bomb(y_pred: Any, y_score: Any = None, n: int = 1) -> pa.Table:
    columns = {"id": ["a"] * n, "fold": ["C001"] * n, "y_pred": y_pred}
    return pa.table(columns if y_score is None else {**columns, "y_score": y_score})


BOMBS: dict[str, Callable[[], bytes]] = {
    "a text of 15 MB in 56 rows": lambda: packed(bomb(repeated("x" * 15 * MB, 56), n=56), compression="zstd"),
    "a text of 150 MB in 8 row groups": lambda: packed(
        bomb(repeated("x" * 150 * MB, 8), n=8), compression="zstd", row_group_size=1, write_statistics=False
    ),
    "a list of 10 million scores": lambda: packed(
        bomb(["pre_flight"], pa.ListArray.from_arrays([0, 10_000_000], np.zeros(10_000_000))), compression="zstd"
    ),
}
# Prints by how many MB the process grew at its largest while the files were read.
DECODE = """
import resource, sys
from pathlib import Path
from somb_utils.predictions.problems import Problems
from somb_utils.tasks.task_data import load_task
from somb_utils.predictions.codec import decode
data = load_task("A1", source="simulated")
decode(b"", "parquet", data, lambda: data, Problems("none"), [])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for file in sys.argv[1:]:
    problems = Problems(file)
    decode(Path(file).read_bytes(), "parquet", data, lambda: data, problems, [])
    assert problems
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def test_no_prediction_file_takes_much_memory(tmp_path: Path) -> None:
    for name, make in BOMBS.items():
        (tmp_path / name).write_bytes(make())
    files = sorted(tmp_path.iterdir())
    assert all(file.stat().st_size < MB for file in files)
    command = [sys.executable, "-c", DECODE, *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 60
