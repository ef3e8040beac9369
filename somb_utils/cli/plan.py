"""Printing of what ``somb run --dry-run`` has found."""

import sys
from datetime import timedelta

from somb_utils.cli.console import print_frame
from somb_utils.errors import SombError
from somb_utils.runs.plan import Plan


def print_plan(plan: Plan, format: str) -> None:
    """Print the tasks to standard output, the rest to standard error."""
    print_frame(plan.tasks.assign(gaps=plan.tasks["gaps"].map("{:.1%}".format)), format, title="Planned run")
    for message in plan.left_out:
        print(f"left out: {message}", file=sys.stderr)
    rate = "from the models' finished folds" if plan.measured else "a rough estimate; finished folds give a better one"
    print(
        f"{plan.fits} fits to do, {plan.finished} finished; about {timedelta(seconds=round(plan.seconds))} h ({rate}); "
        "nothing was fitted",
        file=sys.stderr,
    )
    if plan.problems:
        raise SombError(f"{len(plan.problems)} problems:\n" + "\n".join(f"  {problem}" for problem in plan.problems))
