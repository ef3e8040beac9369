"""Where tables come from, and the checks they pass before anything is computed from them."""

import hashlib
import os
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import pandas as pd

from somb_utils.errors import SombError, UsageError, printable
from somb_utils.paths import absolute, cache_dir, replacing
from somb_utils.tables.registry import TableInfo, fetch_command, open_folder, registry, remedy, table_info, verify_file

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

    def remedy(self, names: Iterable[str]) -> str:
        """Say how tables that are not here are got."""


@dataclass
class FolderSource:
    """The open tables in a folder, each verified by its hash before its first use."""

    folder: Path
    kind: Kind = "open"
    _loaded: dict[str, pd.DataFrame] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self.folder = absolute(self.folder)

    def describe(self) -> str:
        return f"open tables in {self.folder}"

    def has(self, name: str) -> bool:
        return name in registry() and (self.folder / table_info(name).file).is_file()

    def load(self, name: str) -> pd.DataFrame:
        if name not in self._loaded:
            info = table_info(name)
            verify_file(self.folder / info.file, info)
            self._loaded[name] = check_table(_read_csv(self.folder / info.file, info), info, exact=True)
        return self._loaded[name]

    def fingerprint(self, name: str) -> str:
        return f"git:{table_info(name).git_blob}"

    def remedy(self, names: Iterable[str]) -> str:
        return remedy(map(table_info, names), self.folder)


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
        from somb_utils.tables.simulate import SIMULATED

        return name in SIMULATED

    def load(self, name: str) -> pd.DataFrame:
        if name not in self._loaded:
            self._loaded[name] = check_table(self._kept(name), table_info(name))
        return self._loaded[name]

    def remedy(self, names: Iterable[str]) -> str:
        return f"get the real one with: {fetch_command(map(table_info, names))}, and use it with --data open"

    def _kept(self, name: str) -> pd.DataFrame:
        """Return the table from the cache, if the file there is as it was written, else make and keep it."""
        from somb_utils.tables.simulate import simulate_table

        fingerprint = self.fingerprint(name)
        folder, stem = cache_dir() / "simulated", f"{name}-{fingerprint[-16:]}"
        with suppress(OSError):
            for path in folder.glob(f"{stem}-*.parquet"):
                content = path.read_bytes()
                if path.stem == f"{stem}-{_checksum(fingerprint, content)}":
                    return pd.read_parquet(BytesIO(content))
        table = simulate_table(name, **self._settings)
        content = table.to_parquet()
        path = folder / f"{stem}-{_checksum(fingerprint, content)}.parquet"
        with suppress(SombError), replacing(path) as temporary:  # a cache that cannot be written keeps nothing
            temporary.write_bytes(content)
        return table

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
        if not isinstance(self.frames[name], pd.DataFrame):
            raise UsageError(f"table '{name}' is a {type(self.frames[name]).__name__}, not a pandas DataFrame")
        return check_table(self.frames[name], registry().get(name) or TableInfo(name))

    def fingerprint(self, name: str) -> str:
        table = self.load(name)
        digest = hashlib.sha256(repr(list(table.columns)).encode())
        digest.update(pd.util.hash_pandas_object(table, index=False).to_numpy().tobytes())
        return f"custom:{digest.hexdigest()}"

    def remedy(self, names: Iterable[str]) -> str:
        return "give it under that name"


SourceLike = str | Path | Mapping[str, pd.DataFrame] | Source


def resolve_source(source: SourceLike = "auto", tables: Iterable[str] | None = None) -> Source:
    """Turn what a user names into a source.

    Parameters
    ----------
    source : str, Path, mapping or Source, default "auto"
        ``simulated``; ``open``, the verified download cache; a folder of the published CSV files; a mapping
        of table name to DataFrame; or ``auto``: the folder in ``SOMB_DATA`` if set, else the cache if it
        holds all of `tables`, else the simulated tables, said on standard error.
    tables : iterable of str, optional
        The tables that will be read; those of every task by default.

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
        folder = absolute(source)
        if not folder.is_dir():
            raise UsageError(f"data source '{source}' is neither simulated, open, auto nor a folder")
        return FolderSource(folder)
    if os.environ.get("SOMB_DATA"):
        folder = absolute(os.environ["SOMB_DATA"])
        if not folder.is_dir():
            raise UsageError(f"SOMB_DATA names '{folder}', which is not a folder")
        return FolderSource(folder)
    cached = FolderSource(open_folder())
    wanted = (
        [name for name, info in registry().items() if info.tasks] if tables is None else list(dict.fromkeys(tables))
    )
    absent = missing_tables(wanted, cached)
    if not absent:
        return cached
    _say_simulated(absent, len(wanted))
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
    return resolve_source(source, [name]).load(name)


def check_table(table: pd.DataFrame, info: TableInfo, *, exact: bool = False) -> pd.DataFrame:
    """Return `table` if its cells are plain and its identifiers present, complete, text and unique.

    If `exact`, its shape must be the published one too.

    Raises
    ------
    SombError
        Naming the table, the column and the first offending row.
    """
    if table.columns.duplicated().any():
        repeated = printable(table.columns[table.columns.duplicated()][0])
        raise SombError(f"{info.file}: column '{repeated}' is duplicated")
    if exact and info.rows is not None and table.shape != (info.rows, info.columns):
        raise SombError(
            f"{info.file}: {table.shape[0]} rows and {table.shape[1]} columns, expected {info.rows} and {info.columns}"
        )
    for column in table.columns[table.dtypes.map(pd.api.types.is_object_dtype)]:
        odd = next((value for value in table[column] if not _is_plain(value)), None)
        if odd is not None:
            raise SombError(
                f"{info.file}: column '{printable(column)}' holds a cell that is neither text nor a number: {odd!r:.60}"
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
                f"{info.file}: row {row + 2} repeats the identifier {printable('+'.join(map(str, keys.iloc[row])))} "
                f"(column {'+'.join(info.id)}); identifiers must be unique"
            )
    return table


def first_not_text(column: pd.Series) -> Any:
    """Return the first cell of a column that is neither text nor missing; None if there is none."""
    if isinstance(column.dtype, pd.StringDtype):
        return None
    return next((value for value in column.dropna() if not isinstance(value, str)), None)


def numbers(table: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    """Return a table's cells as numbers, and which of them are text that is no number; blanks are missing.

    Parameters
    ----------
    table : DataFrame

    Returns
    -------
    found : DataFrame
        NaN where a cell is blank or no number.
    wrong : ndarray of bool
        Of the table's shape.
    """
    if all(map(pd.api.types.is_numeric_dtype, table.dtypes)):
        return table, np.zeros(table.shape, dtype=bool)
    found = table.apply(lambda column: pd.to_numeric(column.astype(object), errors="coerce"))
    return found, (found.isna() & table.notna()).to_numpy()


def _is_plain(value: object) -> bool:
    if isinstance(value, str):
        return value.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in value)
    if isinstance(value, int):
        return abs(value) < 10**300
    return value is None or value is pd.NA or isinstance(value, float | np.number | np.bool_)


def remedy_for(names: list[str], source: Source) -> str:
    """Say how tables that `source` lacks are got; one that is not published can only be given."""
    own = [name for name in names if name not in registry()]
    if own:
        return f"no published table is named {printable(own[0])}: give it as a DataFrame, in source={{name: frame}}"
    return source.remedy(names)


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


def _checksum(fingerprint: str, content: bytes) -> str:
    return hashlib.sha256(fingerprint.encode() + content).hexdigest()[:32]


_said: set[str] = set()


def _say_simulated(absent: list[str], wanted: int) -> None:
    command = fetch_command(registry()[name] for name in absent if name in registry())
    note = (
        f"NOTE: {wanted - len(absent)} of the {wanted} real tables are in the download cache, so SIMULATED tables are "
        f"used; every result is marked so.\n      Get the others with `{command}`, or name their folder in SOMB_DATA."
    )
    if any(open_folder().glob("*.csv")):
        note += "\n      `--data open` runs the tasks whose tables are there."
    if note not in _said:
        _said.add(note)
        print(note, file=sys.stderr)
