"""A user's own tables: CSV files in folders, or data frames."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pandas as pd

from somb_utils.errors import SombError, UsageError
from somb_utils.paths import sha256_of
from somb_utils.tables.checks import check_table, read_csv
from somb_utils.tables.registry import TableInfo, registry


@dataclass
class OwnFolders:
    """The CSV files of one or several folders, one table each; the first folder that has a file counts."""

    folders: tuple[Path, ...]
    kind: Literal["custom"] = "custom"
    _loaded: dict[str, pd.DataFrame] = field(default_factory=dict, init=False, repr=False)

    def describe(self) -> str:
        """Return a line that says where the numbers come from."""
        return f"tables of your own in {', '.join(map(str, self.folders))}"

    def path(self, name: str) -> Path:
        """Return the file of a table; where no folder has it, the file that the first folder lacks."""
        candidates = [folder / f"{name}.csv" for folder in self.folders]
        return next((file for file in candidates if file.is_file()), candidates[0])

    def has(self, name: str) -> bool:
        """Return whether a folder has the file of a table."""
        return self.path(name).is_file()

    def load(self, name: str) -> pd.DataFrame:
        """Return a checked table, which callers must not change in place."""
        if not self.has(name):
            raise UsageError(f"unknown table '{name}': it is no published one, and {self.remedy([name])}")
        if name not in self._loaded:
            info = TableInfo(name)
            self._loaded[name] = check_table(read_csv(self.path(name), info), info)
        return self._loaded[name]

    def fingerprint(self, name: str) -> str:
        """Return a hash of a table's file."""
        return f"custom:{sha256_of(self.path(name))}"

    def remedy(self, names: Iterable[str]) -> str:
        """Say what the folders have instead."""
        present = sorted(file.name for folder in self.folders for file in folder.glob("*.csv"))
        some = ", ".join(present[:10]) or "no CSV file"
        return f"{'that folder has' if len(self.folders) == 1 else 'those folders have'} {some}" + (
            " and others" * (len(present) > 10)
        )


@dataclass
class FrameSource:
    """A user's own tables, by name."""

    frames: Mapping[str, pd.DataFrame]
    kind: Literal["custom"] = "custom"

    def describe(self) -> str:
        """Return a line that says where the numbers come from."""
        return f"{len(self.frames)} tables given in Python"

    def has(self, name: str) -> bool:
        """Return whether a table was given."""
        return name in self.frames

    def load(self, name: str) -> pd.DataFrame:
        """Return a checked table, which callers must not change in place."""
        if name not in self.frames:
            raise SombError(f"table '{name}' is not among those given: {', '.join(sorted(self.frames))}")
        table = self.frames[name]
        if not isinstance(table, pd.DataFrame):
            raise UsageError(f"table '{name}' is a {type(table).__name__}, not a pandas DataFrame")
        return check_table(table, registry().get(name) or TableInfo(name))

    def fingerprint(self, name: str) -> str:
        """Return a hash of a table's columns and cells."""
        table = self.load(name)
        digest = hashlib.sha256(repr(list(table.columns)).encode())
        digest.update(pd.util.hash_pandas_object(table, index=False).to_numpy().tobytes())
        return f"custom:{digest.hexdigest()}"

    def remedy(self, names: Iterable[str]) -> str:
        """Say how a missing table can be given."""
        return "give it under that name"
