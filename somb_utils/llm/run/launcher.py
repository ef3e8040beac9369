"""Run a command within a limit on memory, and end all that it started: ``python -I -S launcher.py BYTES COMMAND...``.

It imports nothing of the project, so that it starts quickly and a model's code inherits nothing from it.
"""

import contextlib
import os
import resource
import signal
import sys


def main(limit: int, command: list[str]) -> int:
    """Run the command in a session of its own; when it ends, or is to end, kill whatever of that session is left."""
    child = os.fork()
    if child == 0:
        os.setsid()
        for kind, most in ((resource.RLIMIT_AS, limit), (resource.RLIMIT_CORE, 0)):
            with contextlib.suppress(ValueError, OSError):  # a platform without it, or a lower limit already
                resource.setrlimit(kind, (most, most))
        os.execvp(command[0], command)

    def end(*_: object) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child, signal.SIGKILL)

    signal.signal(signal.SIGTERM, end)
    _, status = os.waitpid(child, 0)
    end()
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    code = main(int(sys.argv[1]), sys.argv[2:])
    sys.exit(code if code >= 0 else 128 - code)
