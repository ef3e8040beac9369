"""The command ``somb``."""

import sys

import typer

from somb_utils.cli import audit, data, tasks
from somb_utils.cli.book import book
from somb_utils.cli.compare import compare
from somb_utils.cli.evaluate import evaluate, template, validate
from somb_utils.cli.notebook import notebook
from somb_utils.cli.power import coverage, power
from somb_utils.cli.readme import readme
from somb_utils.cli.runs import ablate, reproduce, run
from somb_utils.cli.submit import app as submit_app
from somb_utils.cli.submit import leaderboard
from somb_utils.errors import SombError
from somb_utils.llm.cli import app as llm_app

app = typer.Typer(
    help="SpaceOmicsBench: 21 machine-learning tasks on spaceflight multi-omics.\n\n"
    "Begin with `somb doctor`, then `somb run --tasks A1`.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(run)
app.command()(ablate)
app.command()(reproduce)
app.command()(compare)
app.command()(evaluate)
app.command()(validate)
app.command()(template)
app.command()(notebook)
app.command()(book)
app.command()(readme)
app.command()(power)
app.command()(coverage)
app.command()(leaderboard)
app.command()(tasks.tasks)
app.command()(tasks.doctor)
app.add_typer(data.app, name="data")
app.add_typer(audit.app, name="audit")
app.add_typer(submit_app, name="submit")
app.add_typer(llm_app, name="llm")


def main() -> None:
    """Run the command line; failures are one message on standard error and an exit code, never a traceback."""
    try:
        app()
    except SombError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
