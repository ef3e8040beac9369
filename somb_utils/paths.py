"""The project's folders, in a checkout and in an installed wheel, and writing files whole or not at all."""

import atexit
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import platformdirs

from somb_utils.errors import SombError, UsageError

_PACKAGE = Path(__file__).parent
CHECKOUT = _PACKAGE.parent  # where pages and notebooks are, unless the package is an installed wheel
DATA = _PACKAGE / "data" if (_PACKAGE / "data").is_dir() else CHECKOUT / "data"


def benchmark_version() -> str:
    """Return the version of what results depend on: tasks, metrics, questions."""
    return (DATA / "benchmark_version.txt").read_text(encoding="utf-8").strip()


def cache_dir() -> Path:
    """Return the user cache folder (``SOMB_CACHE`` overrides the platform's default), absolute."""
    return absolute(os.environ.get("SOMB_CACHE") or platformdirs.user_cache_dir("spaceomicsbench"))


def writable_cache_dir() -> Path:
    """Return the user cache folder or, where it cannot be written, one that is removed when this process ends."""
    return _writable(cache_dir())


@cache
def _writable(folder: Path) -> Path:
    try:
        try_writing(folder)
        return folder
    except OSError as error:
        instead = Path(tempfile.mkdtemp(prefix="spaceomicsbench-"))
        atexit.register(shutil.rmtree, instead, ignore_errors=True)
        print(
            f"NOTE: nothing is kept, since {folder} cannot be written ({error.strerror or error}).\n"
            "      Set SOMB_CACHE to a folder that can.",
            file=sys.stderr,
        )
        return instead


def try_writing(folder: Path) -> None:
    """Make a folder if it is missing, and write and remove a file in it."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass


@cache
def absolute(path: str | Path) -> Path:
    """Return the absolute path, ``~`` expanded; a later change of the current folder does not move it."""
    return Path(path).expanduser().absolute()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; move it into place, synced to disk, only if the block succeeds."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            temporary.chmod(0o644)
            with temporary.open("rb+") as stream:
                os.fsync(stream.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        with suppress(OSError):  # Windows and some network file systems cannot sync a folder
            _sync_folder(path.parent)
    except OSError as error:
        raise SombError(f"cannot write {path}: {error.strerror or error}") from error


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, which is not held in memory."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def need_empty(folder: Path) -> None:
    """Refuse what is neither absent nor an empty folder."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"'{folder}' exists and is not an empty folder; name another")


def read_file(path: Path, limit: int) -> bytes:
    """Return the bytes of an untrusted file of at most `limit` bytes."""
    try:
        if not path.is_file():
            raise SombError("is not a regular file")
        if (size := path.stat().st_size) > limit:
            raise SombError(f"is {size / 2**20:,.4g} MB large; at most {limit / 2**20:g} MB are read")
        return path.read_bytes()
    except OSError as error:
        raise SombError(f"cannot be read: {error.strerror}") from None
