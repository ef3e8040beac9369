"""The two kinds of failure a user can meet, each with the exit code of the command line."""


class SombError(Exception):
    """Something failed at run time: a table, a model, a disk. Exit code 1."""

    exit_code = 1


class UsageError(SombError):
    """The request itself cannot be met: an unknown name, a bad value. Exit code 2."""

    exit_code = 2


def reason(error: BaseException) -> str:
    """Return kind and message of another library's error on one line, with the remedy where one is known.

    Parameters
    ----------
    error : BaseException
        As raised.
    """
    try:
        text = " ".join(str(error).split())[:300]
    except Exception:
        text = "(its message cannot be printed)"
    known = f"{type(error).__name__}: {text}" if text else type(error).__name__
    if isinstance(error, OSError) and ("libgomp" in text or "libomp" in text):
        known += "; install the OpenMP library: apt-get install libgomp1 (Debian, Ubuntu), brew install libomp (macOS)"
    return known
