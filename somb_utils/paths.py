"""Where the project's own text lives, in a checkout and in an installed wheel, and where caches go."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from somb_utils.errors import SombError

_PACKAGE = Path(__file__).parent
DATA = _PACKAGE / "data" if (_PACKAGE / "data").is_dir() else _PACKAGE.parent / "data"


def cache_dir() -> Path:
    """Return the user cache folder (``SOMB_CACHE`` overrides the platform's default)."""
    return Path(os.environ.get("SOMB_CACHE") or platformdirs.user_cache_dir("spaceomicsbench"))


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; move it into place only if the block succeeds.

    Raises
    ------
    SombError
        If the folder cannot be made or the file written; what stood at `path` is intact.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        os.close(handle)
        temporary = Path(name)
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        raise SombError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def read_file(path: Path, limit: int) -> bytes:
    """Return the bytes of a file that came from elsewhere.

    Raises
    ------
    SombError
        If it is no regular file, larger than `limit` bytes (it is then not read), or unreadable.
    """
    try:
        if not path.is_file():
            raise SombError("is not a regular file")
        size = path.stat().st_size
        if size > limit:
            raise SombError(f"is {size / 2**20:,.4g} MB large; at most {limit / 2**20:g} MB are read")
        return path.read_bytes()
    except OSError as error:
        raise SombError(f"cannot be read: {error.strerror}") from None
