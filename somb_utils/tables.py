"""Where tables come from, and the checks they pass before anything is computed from them."""

import hashlib
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import pandas as pd

from somb_utils.errors import SombError, UsageError
from somb_utils.paths import cache_dir, replacing
from somb_utils.registry import TableInfo, open_folder, registry, table_info, verify_file

Kind = Literal["simulated", "open", "custom"]


class Source(Protocol):
    """A place that tables are read from. Results carry its `kind`."""

    kind: Kind

    def describe(self) -> str:
        """Return a line that tells a reader where the numbers come from."""

    def has(self, name: str) -> bool:
        """Tell whether the table can be loaded."""

    def load(self, name: str) -> pd.DataFrame:
        """Return the table; callers must not change it in place."""

    def fingerprint(self, name: str) -> str:
        """Return a text that changes whenever the table's content does."""


@dataclass
class FolderSource:
    """The open tables in a folder, each verified by its hash before its first use."""

    folder: Path
    kind: Kind = "open"
    _loaded: dict[str, pd.DataFrame] = field(default_factory=dict, repr=False)

    def describe(self) -> str:
        return f"open tables in {self.folder}"

    def has(self, name: str) -> bool:
        return (self.folder / table_info(name).file).is_file()

    def load(self, name: str) -> pd.DataFrame:
        if name not in self._loaded:
            info = table_info(name)
            verify_file(self.folder / info.file, info)
            self._loaded[name] = check_table(_read_csv(self.folder / info.file, info), info, exact=True)
        return self._loaded[name]

    def fingerprint(self, name: str) -> str:
        return f"git:{table_info(name).git_blob}"


@dataclass
class SimulatedSource:
    """Invented tables of the real ones' shape, made on demand and kept in the user cache."""

    seed: int = 42
    n_crew: int = 4
    n_features: int | None = None
    effect: float = 1.0
    n_timepoints: int = 7
    kind: Kind = "simulated"
    _loaded: dict[str, pd.DataFrame] = field(default_factory=dict, repr=False)

    def describe(self) -> str:
        return f"SIMULATED tables (seed {self.seed}): no real measurement is among them"

    def has(self, name: str) -> bool:
        from somb_utils.simulate import SIMULATED

        return name in SIMULATED

    def load(self, name: str) -> pd.DataFrame:
        if name not in self._loaded:
            path = cache_dir() / "simulated" / f"{name}-{self.fingerprint(name)[-16:]}.parquet"
            if path.is_file():
                table = pd.read_parquet(path)
            else:
                from somb_utils.simulate import simulate_table

                table = simulate_table(name, **self._settings)
                with replacing(path) as temporary:
                    table.to_parquet(temporary)
            self._loaded[name] = check_table(table, table_info(name))
        return self._loaded[name]

    def fingerprint(self, name: str) -> str:
        text = f"{name} {self._settings} {_simulator_hash()}"
        return f"simulated:{hashlib.sha256(text.encode()).hexdigest()}"

    @property
    def _settings(self) -> dict[str, Any]:
        names = ("seed", "n_crew", "n_features", "effect", "n_timepoints")
        return {name: getattr(self, name) for name in names}


@dataclass
class FrameSource:
    """A user's own tables, by name. Their results are marked ``custom``."""

    frames: Mapping[str, pd.DataFrame]
    kind: Kind = "custom"

    def describe(self) -> str:
        return f"{len(self.frames)} tables given in Python"

    def has(self, name: str) -> bool:
        return name in self.frames

    def load(self, name: str) -> pd.DataFrame:
        if name not in self.frames:
            raise SombError(f"table '{name}' is not among those given: {', '.join(sorted(self.frames))}")
        return check_table(self.frames[name], table_info(name))

    def fingerprint(self, name: str) -> str:
        table = self.load(name)
        digest = hashlib.sha256(repr(list(table.columns)).encode())
        digest.update(pd.util.hash_pandas_object(table, index=False).to_numpy().tobytes())
        return f"custom:{digest.hexdigest()}"


SourceLike = str | Path | Mapping[str, pd.DataFrame] | Source


def resolve_source(source: SourceLike = "auto") -> Source:
    """Turn what a user names into a source.

    Parameters
    ----------
    source : str, Path, mapping or Source, default "auto"
        ``simulated``; ``open``, the verified download cache; a folder of the published CSV files; a mapping
        of table name to DataFrame; or ``auto``: the folder in ``SOMB_DATA`` if set, else the cache if it
        holds every task's tables, else the simulated tables, said on standard error.

    Raises
    ------
    UsageError
        If `source` is a text that is neither a known word nor a folder.
    SombError
        If ``open`` is asked for and nothing has been downloaded.
    """
    if isinstance(source, Mapping):
        return FrameSource(source)
    if not isinstance(source, str | Path):
        return source
    if source == "simulated":
        return SimulatedSource()
    if source == "open":
        if not any(open_folder().glob("*.csv")):
            raise SombError("no open table has been downloaded yet; get them with: somb data fetch")
        return FolderSource(open_folder())
    if source != "auto":
        folder = Path(source).expanduser()
        if not folder.is_dir():
            raise UsageError(f"data source '{source}' is neither simulated, open, auto nor a folder")
        return FolderSource(folder)
    if os.environ.get("SOMB_DATA"):
        folder = Path(os.environ["SOMB_DATA"]).expanduser()
        if not folder.is_dir():
            raise UsageError(f"SOMB_DATA names '{folder}', which is not a folder")
        return FolderSource(folder)
    cached = FolderSource(open_folder())
    if all(cached.has(name) for name, info in registry().items() if info.tasks):
        return cached
    _say_simulated()
    return SimulatedSource()


def load_table(name: str, source: SourceLike = "auto") -> pd.DataFrame:
    """Return one checked table.

    Raises
    ------
    UsageError
        If no open table has this name.
    SombError
        If the file is missing, truncated or changed, or the table does not fit its definition.
    """
    return resolve_source(source).load(name)


def check_table(table: pd.DataFrame, info: TableInfo, *, exact: bool = False) -> pd.DataFrame:
    """Return `table` if its cells are plain and its identifiers present, complete, text and unique.

    If `exact`, its shape must be the published one too.

    Raises
    ------
    SombError
        Naming the table, the column and the first offending row.
    """
    if table.columns.duplicated().any():
        raise SombError(f"{info.file}: column '{table.columns[table.columns.duplicated()][0]}' stands twice")
    if exact and info.rows is not None and table.shape != (info.rows, info.columns):
        raise SombError(
            f"{info.file}: {table.shape[0]} rows and {table.shape[1]} columns, expected {info.rows} and {info.columns}"
        )
    for column in table.columns[table.dtypes.map(pd.api.types.is_object_dtype)]:
        odd = next((value for value in table[column] if not _is_plain(value)), None)
        if odd is not None:
            raise SombError(
                f"{info.file}: column '{column}' holds a cell that is neither text nor a number: {odd!r:.60}"
            )
    missing = [column for column in info.id if column not in table.columns]
    if missing:
        raise SombError(f"{info.file}: identifier column '{missing[0]}' is missing")
    if info.id:
        keys = table[list(info.id)]
        empty = (keys.isna() | (keys == "")).any(axis=1).to_numpy()
        if empty.any():
            raise SombError(f"{info.file}: row {int(empty.argmax()) + 2} has no {'+'.join(info.id)}")
        for column in info.id:
            other = first_not_text(keys[column])
            if other is not None:
                raise SombError(f"{info.file}: the identifier {other!r} in column '{column}' is not text")
        twice = keys.duplicated().to_numpy()
        if twice.any():
            row = int(twice.argmax())
            raise SombError(
                f"{info.file}: row {row + 2} repeats the identifier {'+'.join(map(str, keys.iloc[row]))} "
                f"(column {'+'.join(info.id)}); identifiers must be unique"
            )
    return table


def first_not_text(column: pd.Series) -> Any:
    """Return the first cell of a column that is neither text nor missing; None if there is none."""
    if isinstance(column.dtype, pd.StringDtype):
        return None
    return next((value for value in column.dropna() if not isinstance(value, str)), None)


def numbers(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table's cells as numbers; one that is none is missing."""
    if all(pd.api.types.is_numeric_dtype(dtype) for dtype in table.dtypes):
        return table
    return table.apply(pd.to_numeric, errors="coerce")


def _is_plain(value: object) -> bool:
    if isinstance(value, str):
        return value.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in value)
    if isinstance(value, int):
        return abs(value) < 10**300
    return value is None or value is pd.NA or isinstance(value, float | np.number | np.bool_)


def missing_tables(names: Iterable[str], source: Source) -> list[str]:
    """Return those of `names` that `source` does not hold."""
    return [name for name in dict.fromkeys(names) if not source.has(name)]


def _read_csv(path: Path, info: TableInfo) -> pd.DataFrame:
    # Only a blank cell is missing: the published tables write it so, and "NA" may be a gene.
    try:
        ids = dict.fromkeys(info.id, str)
        table = pd.read_csv(path, dtype=ids, keep_default_na=False, na_values=[""], low_memory=False)
        return table.copy()  # in one piece a dtype, where reading leaves one a column, and all that follows is slow
    except ValueError as error:
        raise SombError(f"{path} cannot be read as CSV: {error}") from None


@cache
def _simulator_hash() -> str:
    folder = Path(__file__).parent / "simulate"
    return hashlib.sha256(b"".join(file.read_bytes() for file in sorted(folder.glob("*.py")))).hexdigest()


_said = False


def _say_simulated() -> None:
    global _said
    if not _said:
        _said = True
        print(
            "NOTE: no real table is at hand, so SIMULATED tables are used; every result is marked so.\n"
            "      Get the real ones with `somb data fetch`, or name their folder in SOMB_DATA.",
            file=sys.stderr,
        )
