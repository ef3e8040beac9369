"""The two kinds of failure a user can meet, each with the exit code of the command line."""


class SombError(Exception):
    """Something failed at run time: a table, a model, a disk. Exit code 1."""

    exit_code = 1


class UsageError(SombError):
    """The request itself cannot be met: an unknown name, a bad value. Exit code 2."""

    exit_code = 2
