"""A report's folder: new, empty, or written by an earlier report; nothing else in it is replaced or removed."""

import json
from collections.abc import Callable, Collection
from pathlib import Path

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

    def remove(self, names: Collection[str]) -> None:
        """Remove files of these names that an earlier report wrote."""
        for name in set(names) & self.earlier:
            (self.path / name).unlink(missing_ok=True)
        self._record(set(self.earlier) - set(names) | {path.relative_to(self.path).as_posix() for path in self.written})
