"""``somb run``, ``somb ablate`` and ``somb reproduce``: fit, score and print."""

import math
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from somb_utils.cli import options
from somb_utils.cli.console import data_mark, fit_progress, fixed, print_frame
from somb_utils.cli.options import Format, parse_params
from somb_utils.errors import SombError, UsageError, printable

if TYPE_CHECKING:
    from somb_utils.runs.plan import Plan
    from somb_utils.runs.results import RunResult


def run(
    tasks: options.Tasks = None,
    models: options.Models = None,
    model_params: options.Params = None,
    protocol: options.Protocol = "rigorous",
    data: options.Data = "auto",
    jobs: options.Jobs = -1,
    timeout: options.Timeout = math.inf,
    memory: options.Memory = None,
    cluster: options.Cluster = None,
    seed: options.Seed = 42,
    seeds: options.Seeds = None,
    out: options.Out = None,
    controls: Annotated[
        bool, typer.Option("--controls", help="Fit controls too: a planted effect, permuted labels, the group.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, count the fits, fit nothing.")] = False,
    format: options.Print = Format.table,
) -> None:
    """Fit models on tasks, score them, and print the summary.

    Results, predictions and provenance are written to the run folder; the same command resumes an interrupted run.
    Controls are stored apart from them in `controls.json`, and printed after the summary; one that fails is a warning.
    `--format csv > summary.csv` saves the summary as CSV; `results.parquet` has one row per fold and metric.

    Examples:

    `somb run --tasks A1,A2 --dry-run`

    `somb run --tasks "F*" --models logreg,rf --model-params rf.n_estimators=300` (listed as `rf(n_estimators=300)`)

    `somb run --tasks A1 --models logreg,sklearn.svm:SVC --data simulated --out results/mine`

    `somb run --tasks A1,D1 --models logreg --controls`
    """
    params = parse_params(model_params, models)
    settings = {**_begin(tasks, protocol, data, out), "model_params": params, "seed": seed, "n_jobs": jobs}
    if controls:
        from somb_utils.runs.controls import learning
        from somb_utils.runs.models import resolve_models

        learning(resolve_models(models, params))  # reports that no model learns before the work
    if dry_run:
        from somb_utils.runs.plan import plan

        _print_plan(plan(tasks, models, **settings, n_seeds=seeds), format)
        if controls:
            print("the fits of --controls are not counted", file=sys.stderr)
        return
    settings |= {"timeout": timeout, "memory": memory, "cluster": cluster}
    result = _fit(tasks, models, **settings, n_seeds=seeds)
    _print_summary(result, jobs, format)
    if controls:
        _controls(tasks, models, settings, format)
    _report(result, tasks, settings)


def summary(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder of `somb run`.")],
    tasks: options.TaskNames = None,
    models: options.ModelNames = None,
    jobs: options.Jobs = -1,
    format: options.Print = Format.table,
) -> None:
    """Print the summary of a run folder again, fitting nothing.

    It is the table that `somb run` prints, of all that the folder holds or of some tasks and models. Bootstrap scores
    are kept in the folder, so that a second summary is quick.

    Examples:

    `somb summary results/open-rigorous`

    `somb summary results/open-rigorous --tasks A1,A2 --models logreg,rf --format csv > summary.csv`
    """
    from somb_utils.runs.folder import load_run
    from somb_utils.runs.results import keys_of

    run = load_run(folder)
    keys = keys_of(run.provenance)
    for what, wanted, known in (("task", tasks, {t for t, *_ in keys}), ("model", models, {m for *_, m in keys})):
        if unknown := [name for name in wanted or () if name not in known]:
            raise UsageError(f"{folder} holds no {what} {', '.join(unknown)}; it holds {', '.join(sorted(known))}")
    chosen = [key for key in keys if key[0] in (tasks or {key[0]}) and key[2] in (models or {key[2]})]
    _print_summary(run.of(chosen), jobs, format)


def ablate(
    task: Annotated[str, typer.Argument(help="A task that defines ablations, e.g. B1.")],
    models: options.Models = None,
    model_params: options.Params = None,
    protocol: options.Protocol = "rigorous",
    data: options.Data = "auto",
    jobs: options.Jobs = -1,
    timeout: options.Timeout = math.inf,
    memory: options.Memory = None,
    cluster: options.Cluster = None,
    seed: options.Seed = 42,
    out: options.Out = None,
    format: options.Print = Format.table,
) -> None:
    """Fit models on a task with all of its features, and with each of its feature subsets.

    Example: `somb ablate B1 --models logreg,lightgbm`
    """
    from somb_utils.tasks.definitions import get_task
    from somb_utils.tasks.task_data import load_task

    definition = get_task(task.upper())
    if not definition.ablations:
        raise UsageError(f"{definition.id} defines no ablation; B1 does")
    params = parse_params(model_params, models)
    settings = {**_begin(definition.id, protocol, data, out), "model_params": params, "seed": seed, "n_jobs": jobs}
    loaded = [load_task(definition, protocol, settings["source"], name) for name in (None, *definition.ablations)]
    result = _fit(loaded, models, **settings, timeout=timeout, memory=memory, cluster=cluster)
    _print_summary(result, jobs, format)
    _report(result, definition.id, settings)


def reproduce(
    tasks: options.Tasks = None,
    data: options.Data = "auto",
    jobs: options.Jobs = -1,
    timeout: options.Timeout = math.inf,
    memory: options.Memory = None,
    cluster: options.Cluster = None,
    out: options.Out = None,
    format: options.Print = Format.table,
) -> None:
    """Run the published protocol on the real tables and compare every score with the published one.

    Example: `somb reproduce --tasks A1` (after `somb data fetch`)
    """
    from somb_utils.reference.published import compare

    settings = _begin(tasks, "published", data, out)
    if settings["source"].kind != "open":
        raise SombError("only real tables can reproduce the published scores; get them with: somb data fetch")
    result = _fit(tasks, None, **settings, n_jobs=jobs, timeout=timeout, memory=memory, cluster=cluster)
    table = compare(result.summary(n_jobs=jobs))
    shown = fixed(table, "published", "here", "difference")
    print_frame(shown, format, title="Primary metric, published and reproduced")
    _report(result, tasks, settings)
    wrong = table[table["verdict"] == "DIFFERS"]
    print(f"{len(table) - len(wrong)} of {len(table)} scores are within their tolerance", file=sys.stderr)
    if len(wrong):
        raise SombError(f"{len(wrong)} scores differ from the published ones by more than their tolerance")


def _begin(tasks: str | None, protocol: options.ProtocolName, data: str, out: Path | None) -> dict[str, Any]:
    """Print which tables and which folder a run uses; return them and the protocol."""
    from somb_utils.tables.sources import resolve_source
    from somb_utils.tasks.definitions import select_tasks, task_tables

    sys.path.insert(0, str(Path.cwd()))  # where a user's own model is
    try:
        tables = task_tables([task.under(protocol) for task in select_tasks(tasks)])
    except UsageError:
        tables = None  # the run or its plan reports the unknown task
    source = resolve_source(data, tables)
    folder = out or Path("results") / f"{source.kind}-{protocol}"
    print(f"data: {source.describe()}\nrun folder: {folder}", file=sys.stderr)
    return {"protocol": protocol, "source": source, "out": folder}


def _fit(tasks: Any, models: list[str] | None, **settings: Any) -> "RunResult":
    from somb_utils.runs.runner import run as run_models

    return _with_progress(run_models, tasks, models, **settings)


def _with_progress(function: Callable[..., Any], tasks: Any, models: list[str] | None, **settings: Any) -> Any:
    """Fit with a progress bar; what is interrupted says how to resume."""
    try:
        with fit_progress() as progress:
            return function(tasks, models, **settings, on_start=progress.start, on_done=progress.advance)
    except KeyboardInterrupt:
        print(
            f"\nstopped; {progress.done} of {progress.jobs} fold jobs are kept in {settings['out']}. "
            "The same command resumes the run.",
            file=sys.stderr,
        )
        raise typer.Exit(130) from None


def _print_plan(plan: "Plan", format: Format) -> None:
    """Print the tasks of a dry run to standard output, the rest to standard error."""
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


def _print_summary(result: "RunResult", jobs: int, format: Format) -> None:
    from somb_utils.labels import BEST_NOTE, THESE_NOTE, wide
    from somb_utils.runs.baselines import RANDOM

    summary = result.summary(n_jobs=jobs)
    if format is not Format.table:
        print_frame(summary, format)
        return
    title = "Primary metric, mean ± SD over folds, 95 % interval"
    print_frame(wide(summary), format, title=f"{title} ({data_mark(result)})")
    print(BEST_NOTE)
    if "low_these" in summary:
        print(THESE_NOTE)
    with_random = set(summary.loc[summary["model"] == RANDOM, "task"])
    if "published" in set(summary["protocol"]) and set(summary["task"]) != with_random:
        return
    note = "0 at chance, 1 if perfect, mean over groups of tasks; p_best: share of replicates in which it is best"
    for name, extensions in (("Composite", False), ("Composite of the extensions", True)):
        composite = result.composite(n_jobs=jobs, extensions=extensions).round(3).reset_index()
        if len(composite):
            print_frame(composite.astype(object).fillna("").astype(str), format, title=f"{name}: {note}")


def _controls(tasks: str | None, models: list[str] | None, settings: dict[str, Any], format: Format) -> None:
    """Fit the controls, print them unless another format asks for one table alone, and warn of each that fails."""
    from somb_utils.labels import interval
    from somb_utils.runs.controls import FAILED, LEVEL, N_PERMUTATIONS
    from somb_utils.runs.controls import controls as fit_controls

    table = _with_progress(fit_controls, tasks, models, **settings)

    def text(row: Any) -> str:
        if math.isnan(row.score):
            return row.verdict
        if row.control == "nuisance":
            return f"{row.group} recognised {row.score:.3f} (chance {row.chance:.3f})"
        return " ".join(part for part in (f"{row.score:.3f}", interval(row.low, row.high), f"({row.verdict})") if part)

    shown = table.assign(text=[text(row) for row in table.itertuples()])
    wide = shown.pivot(index=["task", "model"], columns="control", values="text")
    if format is Format.table:
        title = (
            "Controls, not scores: AUROC with a planted effect; AUROC on permuted labels, mean of "
            f"{N_PERMUTATIONS} permutations and its {LEVEL:.1%} interval (chance 0.5); balanced accuracy on the group"
        )
        print_frame(wide[["positive", "negative", "nuisance"]].reset_index(), format, title=title)
    print(f"controls: {settings['out'] / 'controls.json'}", file=sys.stderr)
    for row in table[table["verdict"].str.startswith(("failed", "undefined", *FAILED))].itertuples():
        line = f"WARNING: {row.control} control of {row.task} with {row.model}: {text(row)}"
        print(printable(line, most=None), file=sys.stderr)


def _report(result: "RunResult", tasks: str | None, settings: dict[str, Any]) -> None:
    """Name constant models and the tasks that were left out for want of tables, and fail if any fold has failed."""
    from somb_utils.runs.runner import unavailable
    from somb_utils.tasks.definitions import select_tasks

    constant: dict[str, list[str]] = {}
    for entry in result.provenance["models"]:
        if entry["constant"]:
            constant.setdefault(entry["task"], []).append(entry["model"])
    for task, models in constant.items():
        print(f"constant: {', '.join(models)} on {task}: one prediction for all rows of a fold", file=sys.stderr)
    selected = [task.under(settings["protocol"]) for task in select_tasks(tasks)]
    for message in unavailable(selected, settings["source"]).values():
        print(f"left out: {message}", file=sys.stderr)
    failures = result.failures()
    for row in failures.itertuples():
        line = f"failed: {row.model} on {row.task}, fold {row.fold}: {row.reason}"
        print(printable(line, most=None), file=sys.stderr)
    if len(failures):
        raise SombError(
            f"{len(failures)} fold jobs failed and are left out of the means; fix the model and run the same command"
        )
