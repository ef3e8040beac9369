"""The two kinds of error that a user meets, each with its exit code on the command line."""

import unicodedata

_UNSAFE = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # control, format (as for text direction), surrogates, line separators


def printable(text: object, most: int | None = 200) -> str:
    """Return a text that is safe to print: on one line, bounded, without characters that control a terminal."""
    shown = str(text)
    if most is not None and len(shown) > most:
        shown = shown[: most - 1] + "…"
    return "".join(c if unicodedata.category(c) not in _UNSAFE else ascii(c)[1:-1] for c in shown)


class SombError(Exception):
    """Something failed at run time: a table, a model, a disk. Exit code 1.

    Parameters
    ----------
    message
        What failed and how to fix it; control characters but line ends are escaped.
    """

    exit_code = 1

    def __init__(self, message: object = "") -> None:
        super().__init__("\n".join(printable(line, most=None) for line in str(message).split("\n")))


class UsageError(SombError):
    """The request itself cannot be met: an unknown name, a bad value. Exit code 2.

    Parameters
    ----------
    message
        See :class:`SombError`.
    """

    exit_code = 2


def reason(error: BaseException) -> str:
    """Return kind and message of another library's error on one line, with the remedy where one is known."""
    try:
        text = " ".join(str(error).split())[:300]
    except Exception:
        text = "(its message cannot be printed)"
    message = f"{type(error).__name__}: {text}" if text else type(error).__name__
    if isinstance(error, OSError) and ("libgomp" in text or "libomp" in text):
        return f"{message}; install OpenMP: apt-get install libgomp1 (Debian, Ubuntu), brew install libomp (macOS)"
    return message
