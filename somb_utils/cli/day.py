"""``somb day``: whether a score on phase is more than the day of sampling."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from somb_utils.cli.console import fit_progress, print_frame
from somb_utils.cli.options import Data, Format, Jobs, Models, Print, Protocol, Seed
from somb_utils.errors import SombError, UsageError
from somb_utils.paths import replacing

if TYPE_CHECKING:
    import pandas as pd

KEY = ["task", "protocol", "model"]
READING = (
    "A small p_day says that a model recognises phase, and not only the days that all crew share; p_within_person\n"
    "takes both for phase. crew_out and crew_and_day_out: balanced accuracy on new crew, and on new crew and new days."
)


def day(
    tasks: Annotated[str, typer.Argument(help="Ids or wildcards of tasks on phase, e.g. A1,C1.")],
    models: Models = None,
    n: Annotated[int, typer.Option("--n", min=1, help="At most this many relabellings of the days.")] = 999,
    protocol: Protocol = "rigorous",
    data: Data = "auto",
    jobs: Jobs = -1,
    seed: Seed = 42,
    run: Annotated[Path | None, typer.Option(help="Run folder to keep the tests in, for `somb compare`.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="CSV; other tests that it has are kept.")] = None,
    format: Print = Format.table,
) -> None:
    """Test whether models recognise flight phase, or the days of sampling that all crew share.

    Phases are assigned to days in every other way, alike for all crew, and the model is fitted again each time.

    Examples: `somb day A1,C1 --models logreg,rf`, `somb day "F*" --n 99 --run results/open-rigorous`
    """
    import pandas as pd

    from somb_utils.runs.baselines import BASELINES, TRIVIAL
    from somb_utils.runs.day import day_accuracy, day_test
    from somb_utils.runs.folder import add_day_tests, load_run
    from somb_utils.runs.models import resolve_models
    from somb_utils.runs.runner import load_tasks
    from somb_utils.runs.runner import run as fit
    from somb_utils.stats import permutation_p
    from somb_utils.tasks.day import is_phase_task

    if run is not None:
        load_run(run)  # reports an unreadable folder before the work
    loaded = load_tasks(tasks, protocol, data)
    chosen = resolve_models(models or [name for name in BASELINES if name not in TRIVIAL])
    phase = [task for task in loaded if is_phase_task(task)]
    others = ", ".join(task.name for task in loaded if not is_phase_task(task))
    if not phase:
        raise UsageError(f"{others}: the label is no function of the day of sampling that all crew share")
    if others:
        print(f"left out, since their label is no function of the day: {others}", file=sys.stderr)
    rows = []
    for task, model in ((task, model) for task in phase for model in chosen):
        with fit_progress(f"relabellings of {task.name} {model.name}") as bar:
            test = day_test(task, model, seed=seed, n=n, n_jobs=jobs, on_start=bar.start, on_done=bar.advance)
        if test.errors:
            print(f"{task.name} {model.name}: {len(test.errors)} left out: {test.errors[0]}", file=sys.stderr)
        within = permutation_p(fit(task, model, seed=seed, n_jobs=jobs).predictions, task.task, seed=seed)
        crew = both = float("nan")
        try:
            crew, both = day_accuracy(task, model, seed=seed, n_jobs=jobs)
        except SombError as error:
            print(f"{task.name} {model.name}: no accuracy on new days: {error}", file=sys.stderr)
        rows.append({**test.row(), "p_within_person": within, "crew_out": crew, "crew_and_day_out": both})
        if run is not None:
            add_day_tests(run, rows)
        if out is not None:
            _store(pd.DataFrame(rows).round(6), out)
    table = pd.DataFrame(rows).round(6)
    shown = (
        table.drop(columns=["metric", "seed", "data_sha256", "model_sha256"]).round(3)
        if format is Format.table
        else table
    )
    print_frame(shown, format, title="Phase or day")
    if format is Format.table:
        print(READING)


def _store(table: "pd.DataFrame", out: Path) -> None:
    import pandas as pd

    from somb_utils._escape import spreadsheet

    before = [pd.read_csv(out)] if out.is_file() else []
    with replacing(out) as temporary:
        kept = pd.concat([*before, spreadsheet(table)]).drop_duplicates(KEY, keep="last")
        kept.sort_values(KEY, kind="stable").to_csv(temporary, index=False)
