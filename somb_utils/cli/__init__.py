"""The command ``somb``."""

import gc
import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from somb_utils.cli import audit, data, export, task, tasks
from somb_utils.cli.book import book
from somb_utils.cli.canonical import canonical
from somb_utils.cli.compare import compare
from somb_utils.cli.console import write_anything
from somb_utils.cli.day import day
from somb_utils.cli.evaluate import evaluate, template, validate
from somb_utils.cli.notebook import notebook
from somb_utils.cli.osdr import osdr
from somb_utils.cli.power import coverage, power
from somb_utils.cli.readme import readme
from somb_utils.cli.runs import ablate, reproduce, run, summary
from somb_utils.cli.signature import signature
from somb_utils.cli.submit import app as submit_app
from somb_utils.cli.submit import leaderboard
from somb_utils.errors import SombError
from somb_utils.llm.commands import app as llm_app


class _Group(TyperGroup):
    """The commands, with the failures that any of them can meet."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            print("\nstopped", file=sys.stderr)
            raise typer.Exit(130) from None
        except EOFError as error:  # which would be the one word "Aborted."
            raise SombError(f"a file or the standard input ended too early: {error or 'it is empty'}") from error
        except BrokenPipeError:
            raise
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            raise SombError(f"{where}{error.strerror or error}") from error


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"somb-utils {version('somb-utils')}")
        raise typer.Exit


app = typer.Typer(
    cls=_Group,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def somb(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """SpaceOmicsBench: 21 machine-learning tasks on spaceflight multi-omics.

    Begin with `somb doctor`, then `somb run --tasks A1`.
    """


for command in (run, summary, ablate, reproduce, compare, day, evaluate, validate, template, signature, notebook):
    app.command()(command)
app.command()(book)
app.command()(readme)
app.command()(canonical)
app.command()(power)
app.command()(coverage)
app.command()(leaderboard)
app.command()(osdr)
app.command()(tasks.tasks)
app.command()(tasks.doctor)
app.add_typer(task.app, name="task")
app.add_typer(data.app, name="data")
app.add_typer(export.app, name="export")
app.add_typer(audit.app, name="audit")
app.add_typer(submit_app, name="submit")
app.add_typer(llm_app, name="llm")


def main() -> None:
    """Run the command line; failures are one message on standard error and an exit code, never a traceback."""
    gc.set_threshold(100_000, 50, 50)  # a fifth of a short command's time went into looking for garbage among imports
    write_anything()
    try:
        app()
    except SombError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    finally:
        _flush()


def _flush() -> None:
    """Write what is left of the output, unless its reader has seen enough and is gone, as ``head`` is."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
