"""Studies of NASA's Open Science Data Repository: what files a study has, and its processed tables with provenance.

The public API (https://osdr.nasa.gov/bio/api/) answers ``/osdr/data/osd/files/379`` with the files of OSD-379, each
with an address on the same server. What it answers is another's text: no name is used as a path, and no address
followed, before a check.
"""

import hashlib
import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from functools import partial
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urljoin, urlsplit

from pydantic import BaseModel, Field, ValidationError
from rich.filesize import decimal

from somb_utils.errors import SombError, UsageError, printable
from somb_utils.paths import replacing, sha256_of
from somb_utils.tables.fetch import Download, alone, download

BASE_URL = "https://osdr.nasa.gov"
OTHER = "other"  # what is no CSV, TSV or text
# Kinds of tables in the order in which they are shown, by what their names hold.
KINDS = {
    "differential expression": r"differential[_-]?expression",
    "counts": r"counts",
    "expression": r"normalized[_-]?expression",
    "table": r"",
}
_TABLE = re.compile(r"\.(csv|tsv|txt)(\.gz|\.zip)?$", re.I)
_PLAIN = re.compile(r"(?!\.)[\w.()\[\]+@,=~ -]{1,200}(?<![. ])")
_MOST_BYTES = 50_000_000  # of a list of files
_ELSEWHERE = "or download it in a browser from https://osdr.nasa.gov/bio/repo/"


class StudyFile(BaseModel):
    """A file of a study, as the API lists it."""

    file_name: str
    remote_url: str
    file_size: int | None = Field(None, ge=0)
    category: str | None = ""
    subcategory: str | None = ""
    restricted: bool | None = False
    date_created: float | str | None = None
    date_updated: float | str | None = None

    @property
    def kind(self) -> str:
        """One of :data:`KINDS`, or ``other``."""
        if not _TABLE.search(self.file_name):
            return OTHER
        return next(kind for kind, part in KINDS.items() if re.search(part, self.file_name, re.I))

    @property
    def size(self) -> str:
        """The size for readers; ``?`` if unknown."""
        return "?" if self.file_size is None else decimal(self.file_size)


class _Study(BaseModel):
    study_files: tuple[StudyFile, ...]


class _Answer(BaseModel):
    studies: dict[str, _Study]


@dataclass(frozen=True)
class Study:
    """The files of a study, those of each kind together."""

    accession: str
    address: str  # of the list
    files: tuple[StudyFile, ...]


def read_accession(text: str) -> str:
    """Return the accession that a text names: ``OSD-379``, ``GLDS-379`` or the number alone."""
    parts = re.fullmatch(r"(?:(OSD|GLDS)-?)?0*([1-9]\d{0,5})", text.strip(), re.I)
    if not parts:
        raise UsageError(f"'{printable(text)}' is not an accession of OSDR; give one such as OSD-379")
    return f"OSD-{parts[2]}"


def read_study(text: str, *, base_url: str = BASE_URL, retries: int = 3, wait: float = 1.0) -> Study:
    """Ask OSDR for the files of a study, by an accession as :func:`read_accession` takes it."""
    accession = read_accession(text)
    address = f"{base_url}/osdr/data/osd/files/{accession.removeprefix('OSD-')}"
    with TemporaryDirectory() as folder:
        wanted = Download(address, "files.json", None, _answer_problem)
        try:
            download([wanted], Path(folder), retries=retries, wait=wait, progress=False, elsewhere=_ELSEWHERE)
            answer = _answer(Path(folder) / wanted.file)
        except SombError as error:
            status = getattr(getattr(error.__cause__, "response", None), "status_code", None)
            if status != 404:
                raise
            answer = _Answer(studies={})
    files = answer.studies[accession].study_files if accession in answer.studies else ()
    if not files:
        raise SombError(f"OSDR lists no file of {accession}; its studies are at https://osdr.nasa.gov/bio/repo/")
    former = re.fullmatch(r"(GLDS)-?0*(\d+)", text.strip(), re.I)
    if former and not any(file.file_name.startswith(f"GLDS-{former[2]}_") for file in files):
        raise UsageError(
            f"{accession} is not the study of GLDS-{former[2]}: none of its files is named so. The two numberings "
            "differ; give the OSD accession of the study"
        )
    order = [*KINDS, OTHER]
    return Study(accession, address, tuple(sorted(files, key=lambda f: (order.index(f.kind), f.file_name))))


def _answer(path: Path) -> _Answer:
    return _Answer.model_validate_json(path.read_bytes())


def _answer_problem(path: Path) -> str | None:
    if path.stat().st_size > _MOST_BYTES:
        return f"is longer than {decimal(_MOST_BYTES)}"
    try:
        _answer(path)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        return f"is not a list of files as OSDR documents it ({printable(f'{where}: ' * bool(where) + first['msg'])})"
    return None


def select(study: Study, pattern: str) -> list[StudyFile]:
    """Return the tables whose names a pattern matches: a wildcard, or a part of the name."""
    wanted = pattern.strip().lower()
    if not re.search(r"[*?\[]", wanted):
        wanted = f"*{wanted}*"
    matched = [file for file in study.files if fnmatchcase(file.file_name.lower(), wanted)]
    tables = [file for file in matched if file.kind != OTHER]
    if not tables:
        found = f"{len(matched)} files, none of which is a table (CSV, TSV or text)" if matched else "no file"
        raise UsageError(
            f"'{printable(pattern)}' matches {found}, in {study.accession}; "
            f"`somb osdr {study.accession}` lists the tables"
        )
    return tables


def fetch_tables(
    study: Study,
    files: Sequence[StudyFile],
    folder: Path,
    *,
    retries: int = 3,
    wait: float = 1.0,
    echo: Callable[[str], None] = lambda text: print(text, file=sys.stderr),
    progress: bool = True,
) -> list[Path]:
    """Download tables of a study that the folder lacks; return the paths of all.

    Each has a file ``.provenance.json`` beside it, with its address, SHA-256 and time. A file that another program put
    there or changed is never replaced.
    """
    addresses = [_address(study, file, files) for file in files]
    with alone(folder, echo):
        for file, address in zip(files, addresses, strict=True):
            path, listed = folder / file.file_name, {**file.model_dump(), "url": address}
            if path.exists() and _is_kept(path, listed):
                echo(f"{path} is there, as it was downloaded")
                continue
            echo(f"Downloading {file.file_name} ({file.size})\n  from {printable(address, most=None)}\n  to   {folder}")
            wanted = Download(address, file.file_name, file.file_size, partial(_size_problem, size=file.file_size))
            download([wanted], folder, retries=retries, wait=wait, progress=progress, elsewhere=_ELSEWHERE)
            _write_provenance(path, {"accession": study.accession, "list": study.address, "listed": listed})
    return [folder / file.file_name for file in files]


def _address(study: Study, file: StudyFile, files: Sequence[StudyFile]) -> str:
    """Return the address of a file; SombError if its name, its address or its access is not as it must be."""
    name = printable(file.file_name)
    if not _PLAIN.fullmatch(file.file_name):
        raise SombError(f"{study.accession} lists a file named '{name}', which is not the name of a file in a folder")
    if [other.file_name for other in files].count(file.file_name) > 1:
        raise SombError(f"{study.accession} lists {name} more than once; download it in a browser")
    if file.restricted:
        raise SombError(f"{name} is restricted: ask OSDR for access (https://osdr.nasa.gov/bio/repo/)")
    try:
        address = urljoin(study.address, file.remote_url)
        foreign = urlsplit(address)[:2] != urlsplit(study.address)[:2]
    except ValueError:  # brackets that enclose no IPv6 address
        foreign = True
    if foreign:
        there = printable(file.remote_url)
        raise SombError(f"{study.accession} lists {name} at {there}, which is another server than OSDR's")
    return address


def _size_problem(path: Path, size: int | None) -> str | None:
    there = path.stat().st_size
    return None if size in (None, there) else f"has {there:,} bytes, the study's list says {size:,}"


def _is_kept(path: Path, listed: dict[str, Any]) -> bool:
    """Tell whether a file is the listed one; SombError if it is not one that was downloaded here."""
    try:
        record = json.loads(_provenance_of(path).read_text(encoding="utf-8"))
        sha256, before = record["sha256"], record["listed"]
    except (OSError, ValueError, KeyError, TypeError):
        sha256 = before = None
    if sha256 is None or sha256 != sha256_of(path):
        raise SombError(
            f"{path} was not downloaded by this command, or was changed since; move it away, or name another "
            "folder with --out"
        )
    return before == listed


def _provenance_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.provenance.json")


def _write_provenance(path: Path, record: dict[str, Any]) -> None:
    content = path.read_bytes()
    record |= {
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "fetched": datetime.now(UTC).isoformat(timespec="seconds"),
        "somb-utils": version("somb-utils"),
    }
    with replacing(_provenance_of(path)) as temporary:
        temporary.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
