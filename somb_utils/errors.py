"""The two kinds of failure a user can meet, each with the exit code of the command line."""

import unicodedata


def printable(text: object, most: int | None = 200) -> str:
    """Return a text that is safe to print: on one line, bounded, without characters that steer a terminal.

    Parameters
    ----------
    text : object
        What to print, such as a column's name from a file of somebody else.
    most : int, optional
        Characters to keep; None for all.

    Returns
    -------
    str
        The text with control, bidirectional-format and surrogate characters replaced by their escapes.
    """
    whole = str(text)
    cut = whole if most is None or len(whole) <= most else whole[: most - 1] + "…"
    return "".join(c if unicodedata.category(c) not in _UNSAFE else ascii(c)[1:-1] for c in cut)


_UNSAFE = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # control, format (as for text direction), surrogates, line separators


class SombError(Exception):
    """Something failed at run time: a table, a model, a disk. Exit code 1.

    The message's control characters are escaped, but for its line ends.
    """

    exit_code = 1

    def __init__(self, message: object = "") -> None:
        super().__init__("\n".join(printable(line, most=None) for line in str(message).split("\n")))


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
