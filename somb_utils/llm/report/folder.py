"""A report's folder: new, empty, or written by an earlier report; nothing else in it is replaced or removed."""

import json
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path

import pandas as pd

from somb_utils._escape import spreadsheet
from somb_utils.errors import SombError, UsageError
from somb_utils.paths import replacing

RECORD = ".somb_report.json"  # names of the files that reports wrote into the folder


class ReportFolder:
    """A folder that one report writes its files into; earlier reports' files are replaced."""

    def __init__(self, path: Path, names: Collection[str]) -> None:
        """Claim the folder for files of these names (with ``/``), or refuse before anything is written."""
        self.path = path
        self.written: list[Path] = []
        if path.exists() and not path.is_dir():
            raise UsageError(f"{path} is not a folder. Name another with --out")
        earlier = self._earlier()
        if earlier is None and path.is_dir() and any(path.iterdir()):
            raise UsageError(f"{path} is not empty and not the folder of a report. Name another with --out")
        self.earlier = earlier or set()
        foreign = sorted(name for name in names if (path / name).exists() and name not in self.earlier)
        if foreign:
            raise UsageError(f"{path / foreign[0]} was not written by a report. Move it, or name another --out")
        self._record(self.earlier | set(names))

    def _earlier(self) -> set[str] | None:
        try:
            names = json.loads((self.path / RECORD).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return {name for name in names if isinstance(name, str)} if isinstance(names, list) else None

    def _record(self, names: Collection[str]) -> None:
        self._replace(RECORD, lambda file: file.write_text(json.dumps(sorted(names), indent=1), encoding="utf-8"))

    def _replace(self, name: str, write: Callable[[Path], object]) -> None:
        try:
            with replacing(self.path / name) as temporary:
                write(temporary)
        except OSError as error:
            raise SombError(f"The report cannot be written to {self.path}: {error.strerror}") from error

    def write(self, name: str, write: Callable[[Path], object]) -> None:
        """Write a file of the report: `write` is called with the path of a temporary file that then takes its name."""
        self._replace(name, write)
        self.written.append(self.path / name)

    def write_all(
        self, pages: Mapping[str, str], frames: Mapping[str, pd.DataFrame], tables: Mapping[str, pd.DataFrame]
    ) -> None:
        """Write pages, data frames (each ``NAME.csv`` and ``NAME.parquet``) and tables (CSV), in this order."""
        for name, text in pages.items():
            self.write(name, partial(Path.write_text, data=text, encoding="utf-8"))
        for name, frame in frames.items():
            self.write(f"{name}.csv", partial(spreadsheet(frame).to_csv, index=False))
            self.write(f"{name}.parquet", partial(frame.to_parquet, index=False))
        for name, table in tables.items():
            self.write(name, partial(spreadsheet(table).to_csv, index=False))

    def remove(self, names: Collection[str]) -> None:
        """Remove files of these names that an earlier report wrote."""
        for name in set(names) & self.earlier:
            (self.path / name).unlink(missing_ok=True)
        self._record(set(self.earlier) - set(names) | {path.relative_to(self.path).as_posix() for path in self.written})
