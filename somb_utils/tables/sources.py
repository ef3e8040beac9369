"""Where tables come from: folders of the published files, the simulator, or a user."""

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

import pandas as pd
from typing_extensions import override

from somb_utils.errors import SombError, UsageError, printable
from somb_utils.paths import DATA, absolute, cache_dir, replacing
from somb_utils.tables.checks import check_table, read_csv
from somb_utils.tables.own import FrameSource, OwnFolders
from somb_utils.tables.registry import (
    HUMAN,
    fetch_command,
    open_folder,
    registry,
    remedy,
    table_info,
    verify_file,
)

Kind = Literal["simulated", "open", "custom"]


class Source(Protocol):
    """A place that tables are read from; results record its `kind`. Any object with these methods will do."""

    @property
    def kind(self) -> Kind:
        """Kind of tables."""

    def describe(self) -> str:
        """Return a line that says where the numbers come from."""

    def has(self, name: str) -> bool:
        """Return whether a table can be loaded."""

    def load(self, name: str) -> pd.DataFrame:
        """Return a checked table, which callers must not change in place."""

    def fingerprint(self, name: str) -> str:
        """Return a text that changes whenever the table's content does."""

    def remedy(self, names: Iterable[str]) -> str:
        """Say how missing tables can be obtained."""


@dataclass
class FolderSource(Source):
    """The open tables in one or several folders, each verified by its hash before its first use."""

    folders: tuple[Path, ...]
    kind: Kind = "open"
    _loaded: dict[str, pd.DataFrame] = field(default_factory=dict, init=False, repr=False)

    def __init__(self, *folders: Path) -> None:
        self.folders, self._loaded = tuple(map(absolute, folders)), {}

    @override
    def describe(self) -> str:
        return f"open tables in {', '.join(map(str, self.folders))}"

    def path(self, name: str) -> Path:
        """Return the file of a table in the first folder that has it, by its name or by its path in the repository.

        Where none has it, the file that the first folder lacks.
        """
        info = table_info(name)
        candidates = [folder / file for folder in self.folders for file in (info.file, info.path)]
        return next((file for file in candidates if file.is_file()), candidates[0])

    @override
    def has(self, name: str) -> bool:
        return name in registry() and self.path(name).is_file()

    @override
    def load(self, name: str) -> pd.DataFrame:
        if name not in self._loaded:
            info, path = table_info(name), self.path(name)
            verify_file(path, info)
            self._loaded[name] = check_table(read_csv(path, info), info, exact=True)
        return self._loaded[name]

    @override
    def fingerprint(self, name: str) -> str:
        return f"git:{table_info(name).git_blob}"

    @override
    def remedy(self, names: Iterable[str]) -> str:
        return remedy(map(table_info, names), self.folders[0])


@dataclass
class SimulatedSource(Source):
    """Simulated tables with the form of the real ones, generated on demand and kept in the user cache.

    Parameters
    ----------
    seed
        Random seed of every table.
    n_crew
        Crew members.
    n_features
        Columns of each sample table, or rows of a table of genes, metabolites or taxa. By default as in the real ones,
        but a quarter of the genes of cell-free RNA and the Twins Study, and a twentieth of the taxa.
    effect
        Size of the planted effects; 0 is none.
    n_timepoints
        Days of each crew member in the clinical tables.
    kind
        Kind of source that results record.
    """

    seed: int = 42
    n_crew: int = 4
    n_features: int | None = None
    effect: float = 1.0
    n_timepoints: int = 7
    kind: Kind = "simulated"
    _loaded: dict[str, pd.DataFrame] = field(default_factory=dict, init=False, repr=False)

    @override
    def describe(self) -> str:
        return f"SIMULATED tables (seed {self.seed}): no real measurement is among them"

    @override
    def has(self, name: str) -> bool:
        from somb_utils.tables.simulate import SIMULATED

        return name in SIMULATED

    @override
    def load(self, name: str) -> pd.DataFrame:
        if name not in self._loaded:
            self._loaded[name] = check_table(self._kept(name), table_info(name))
        return self._loaded[name]

    @override
    def remedy(self, names: Iterable[str]) -> str:
        return f"get the real one with: {fetch_command(map(table_info, names))}, and use it with --data open"

    def _kept(self, name: str) -> pd.DataFrame:
        """Return the table from the cache if its file there is unchanged, else simulate and keep it."""
        from somb_utils.tables.simulate import simulate_table

        fingerprint = self.fingerprint(name)
        folder, stem = cache_dir() / "simulated", f"{name}-{fingerprint[-16:]}"

        def file_name(content: bytes) -> str:
            return f"{stem}-{hashlib.sha256(fingerprint.encode() + content).hexdigest()[:32]}.parquet"

        with suppress(OSError):
            for path in folder.glob(f"{stem}-*.parquet"):
                if path.name == file_name(content := path.read_bytes()):
                    return pd.read_parquet(BytesIO(content))
        table = simulate_table(name, **self._settings)
        content = table.to_parquet()
        with suppress(SombError), replacing(folder / file_name(content)) as temporary:  # a cache may be read-only
            temporary.write_bytes(content)
        return table

    @override
    def fingerprint(self, name: str) -> str:
        text = f"{name} {self._settings} {_simulator_hash()}"
        return f"simulated:{hashlib.sha256(text.encode()).hexdigest()}"

    @property
    def _settings(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("seed", "n_crew", "n_features", "effect", "n_timepoints")}


SourceLike = str | Path | Mapping[str, pd.DataFrame] | Source


def resolve_source(source: SourceLike = "auto", tables: Iterable[str] | None = None) -> Source:
    """Return the source that a user names.

    Parameters
    ----------
    source
        ``simulated``; ``open``, the verified download cache; a folder of the published CSV files, or several, separated
        as in ``PATH``, which are your own if one of `tables` is no published one; a mapping of table name to DataFrame;
        or ``auto``: the folders in ``SOMB_DATA`` if set, else the cache if it has all of `tables`, else the simulated
        tables, with a note on standard error.
    tables
        Names of the tables that will be read; those of every task of the published benchmark by default.

    Returns
    -------
    Source
        Nothing is loaded yet.

    Raises
    ------
    UsageError
        If `source` is a text that is neither a known word nor a folder.
    SombError
        If `source` is ``open`` and nothing has been downloaded.
    """
    if isinstance(source, Mapping):
        return FrameSource(source)
    if not isinstance(source, str | Path):
        return source
    tables = None if tables is None else list(tables)
    own = [name for name in tables or () if name not in registry()]
    if source == "simulated":
        return SimulatedSource()
    if source == "open":
        if not any(open_folder().glob("*.csv")):
            raise SombError("no open table has been downloaded yet; get them with: somb data fetch")
        return FolderSource(open_folder())
    if source != "auto":
        return _in_folders(str(source), bool(own), "the data source '{}' is neither simulated, open, auto nor a folder")
    if os.environ.get("SOMB_DATA"):
        return _in_folders(os.environ["SOMB_DATA"], bool(own), "SOMB_DATA names '{}', which is not a folder")
    if own:
        raise UsageError(f"{own[0]}.csv is no published table: name the folder that has it with --data or source=")
    cached = FolderSource(open_folder())
    if tables is None:
        tables = [name for name, info in registry().items() if info.tasks and info.repository == HUMAN]
    wanted = list(dict.fromkeys(tables))
    absent = missing_tables(wanted, cached)
    if not absent:
        return cached
    _say_simulated(absent, len(wanted))
    return SimulatedSource()


def _in_folders(text: str, own: bool, problem: str) -> Source:
    """Return the source of a folder, or of several that are separated as in ``PATH``."""
    parts = [text] if Path(text).is_dir() else [part for part in text.split(os.pathsep) if part]
    for part in parts:
        if not absolute(part).is_dir():
            raise UsageError(problem.format(part))
    folders = tuple(absolute(part) for part in parts)
    return OwnFolders(folders) if own else FolderSource(*folders)


def load_table(name: str, source: SourceLike = "auto") -> pd.DataFrame:
    """Return one checked table.

    Parameters
    ----------
    name
        Such as ``"clinical_cbc"``; ``somb data status`` lists them.
    source
        See :func:`somb_utils.tables.resolve_source`.

    Returns
    -------
    DataFrame
        As published: one row per row of the file, blank cells missing.

    Raises
    ------
    UsageError
        If no open table has this name.
    SombError
        If the file is missing, truncated or changed, or the table does not fit its definition.

    Examples
    --------
    >>> load_table("clinical_cbc", "simulated").columns[:4].tolist()
    ['sample_id', 'crew', 'tissue', 'timepoint']
    """
    return resolve_source(source, [name]).load(name)


def remedy_for(names: list[str], source: Source) -> str:
    """Say how to get tables that `source` lacks; an unpublished one must come from the user."""
    if source.kind != "custom" and (own := [name for name in names if name not in registry()]):
        return (
            f"no published table is named {printable(own[0])}: name the folder that has it (--data, source=), or give "
            "it as a DataFrame, in source={name: frame}"
        )
    return source.remedy(names)


def missing_tables(names: Iterable[str], source: Source) -> list[str]:
    """Return those of `names` that `source` lacks."""
    return [name for name in dict.fromkeys(names) if not source.has(name)]


@cache
def _simulator_hash() -> str:
    files = [*(Path(__file__).parent / "simulate").glob("*.py"), *(DATA / "simulate").glob("*.csv")]
    return hashlib.sha256(b"".join(file.read_bytes() for file in sorted(files))).hexdigest()


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
