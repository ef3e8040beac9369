"""``somb run``, ``somb ablate`` and ``somb reproduce``: fit, score and print."""

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from somb_utils.cli.tasks import Format
from somb_utils.errors import SombError, UsageError, printable

if TYPE_CHECKING:
    import pandas as pd

    from somb_utils.runs.results import RunResult
    from somb_utils.tables.sources import Source
    from somb_utils.tasks.task_data import TaskData

Models = Annotated[str | None, typer.Option("--models", help="Baselines or package.module:object, comma-separated.")]
Params = Annotated[
    list[str] | None,
    typer.Option(
        "--model-params",
        help="model.key=value, or key=value for a single model; may be repeated. Values as in YAML: 0.1, 1e2, true, "
        "null or None, [1, 2], {a: b}, '\"text\"'.",
    ),
]
Data = Annotated[str, typer.Option("--data", help="auto, open, simulated, or a folder with the published CSV files.")]
Jobs = Annotated[int, typer.Option("--jobs", "-j", help="Parallel fold jobs; -1: one per core.")]
Cluster = Annotated[
    str | None, typer.Option("--cluster", help="Dask scheduler (tls://host:8786), or local:N for N local processes.")
]
Timeout = Annotated[float | None, typer.Option(help="Time limit of a fit in seconds; a slower fit fails.")]
Memory = Annotated[float | None, typer.Option(help="Memory limit of a fit in GiB (Linux); a larger fit fails.")]
Seed = Annotated[
    int,
    typer.Option(help="Seed of every model (your own: each random_state that is None). Folds do not depend on it."),
]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Run folder [default: results/DATA-PROTOCOL].")]
Print = Annotated[Format, typer.Option("--format", help="How to print the summary.")]


def run(
    tasks: Annotated[
        str | None, typer.Option("--tasks", "-t", help="Ids or wildcards, e.g. A1,F*; default all.")
    ] = None,
    models: Models = None,
    model_params: Params = None,
    protocol: Annotated[str, typer.Option(help="aligned or published.")] = "aligned",
    data: Data = "auto",
    jobs: Jobs = -1,
    timeout: Timeout = None,
    memory: Memory = None,
    cluster: Cluster = None,
    seed: Seed = 42,
    out: Out = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, count the fits, and fit nothing.")
    ] = False,
    format: Print = Format.table,
) -> None:
    """Fit models on tasks, score them, and print the summary.

    Results, predictions and provenance are written to the run folder; the same command resumes an interrupted run.
    `--format csv > summary.csv` saves the summary as CSV; `results.parquet` has one row per fold and metric.

    Examples:

    `somb run --tasks A1,A2`

    `somb run --tasks "F*" --models logreg,rf --model-params rf.n_estimators=300` (listed as `rf(n_estimators=300)`)

    `somb run --tasks A1 --models logreg,sklearn.svm:SVC --data simulated --out results/mine`

    `somb run --dry-run`
    """
    params = parse_params(model_params or [], models)
    if dry_run:
        from somb_utils.cli.plan import print_plan
        from somb_utils.runs.plan import plan

        source, folder = _begin(tasks, protocol, data, out)
        options: Any = {"protocol": protocol, "source": source, "seed": seed, "n_jobs": jobs, "out": folder}
        print_plan(plan(tasks, models, model_params=params, **options), format)
        return
    result = _execute(tasks, models, params, protocol, data, _where(jobs, timeout, memory, cluster), seed, out)
    _print_summary(result, jobs, format)
    _say_missing(tasks, data)
    _report_failures(result)


def ablate(
    task: Annotated[str, typer.Argument(help="A task that defines ablations, e.g. B1.")],
    models: Models = None,
    model_params: Params = None,
    protocol: Annotated[str, typer.Option(help="aligned or published.")] = "aligned",
    data: Data = "auto",
    jobs: Jobs = -1,
    timeout: Timeout = None,
    memory: Memory = None,
    cluster: Cluster = None,
    seed: Seed = 42,
    out: Out = None,
    format: Print = Format.table,
) -> None:
    """Fit models on a task with all of its features, and with each of its feature subsets.

    Example: `somb ablate B1 --models logreg,lightgbm`
    """
    from somb_utils.tables.sources import resolve_source
    from somb_utils.tasks.definitions import get_task
    from somb_utils.tasks.task_data import load_task

    definition = get_task(task.upper())
    if not definition.ablations:
        raise UsageError(f"{definition.id} defines no ablation; B1 does")
    source = resolve_source(data, definition.tables)
    loaded = [load_task(definition, protocol, source, a) for a in (None, *definition.ablations)]  # type: ignore[arg-type]
    params = parse_params(model_params or [], models)
    result = _execute(loaded, models, params, protocol, data, _where(jobs, timeout, memory, cluster), seed, out)
    _print_summary(result, jobs, format)
    _report_failures(result)


def reproduce(
    tasks: Annotated[str | None, typer.Option("--tasks", "-t", help="Ids or wildcards; default all.")] = None,
    data: Data = "auto",
    jobs: Jobs = -1,
    timeout: Timeout = None,
    memory: Memory = None,
    cluster: Cluster = None,
    out: Out = None,
    format: Print = Format.table,
) -> None:
    """Run the published protocol on the real tables and compare every score with the published one.

    Example: `somb reproduce --tasks A1` (after `somb data fetch`)
    """
    from somb_utils.cli.console import print_frame
    from somb_utils.reference.published import compare
    from somb_utils.tables.sources import resolve_source
    from somb_utils.tasks.definitions import select_tasks, task_tables

    if resolve_source(data, task_tables(select_tasks(tasks))).kind != "open":
        raise SombError("only real tables can reproduce the published scores; get them with: somb data fetch")
    result = _execute(tasks, None, {}, "published", data, _where(jobs, timeout, memory, cluster), 42, out)
    table = compare(result.summary(n_jobs=jobs))
    shown = table.assign(**{c: table[c].map("{:.4f}".format) for c in ("published", "here", "difference")})
    print_frame(shown, format, title="Primary metric, published and reproduced")
    _say_missing(tasks, data)
    _report_failures(result)
    wrong = table[table["verdict"] == "DIFFERS"]
    print(f"{len(table) - len(wrong)} of {len(table)} scores are within their tolerance", file=sys.stderr)
    if len(wrong):
        raise SombError(f"{len(wrong)} scores differ from the published ones by more than their tolerance")


def parse_params(pairs: list[str], models: str | None) -> dict[str, dict[str, Any]]:
    """Read ``model.key=value`` pairs, with values in YAML's spelling."""
    from somb_utils.cli.values import read_value
    from somb_utils.runs.names import split_names

    names = split_names(models)
    parsed: dict[str, dict[str, Any]] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        owner = next((n for n in sorted(names, key=len, reverse=True) if key.startswith(f"{n}.")), None)
        if owner is None and len(names) == 1:
            owner, parameter = names[0], key
        elif owner is None:
            owner, _, parameter = key.partition(".")
        else:
            parameter = key.removeprefix(f"{owner}.")
        if not equals or not parameter:
            raise UsageError(f"--model-params '{pair}' is not of the form model.key=value, e.g. logreg.C=0.1")
        parsed.setdefault(owner, {})[parameter] = read_value(text, f"--model-params '{pair}'")
    return parsed


def _where(jobs: int, timeout: float | None, memory: float | None, cluster: str | None) -> dict[str, Any]:
    if jobs == 0 or jobs < -1:
        raise UsageError(f"--jobs {jobs}: give a number of jobs, or -1 for one per core")
    # Without a time limit, an infinite one: a fit is then done in a process of its own, also with one job.
    return {
        "n_jobs": jobs,
        "timeout": math.inf if timeout is None else timeout,
        "memory": None if memory is None else int(memory * 2**30),
        "cluster": cluster,
    }


def _begin(tasks: "str | list[TaskData] | None", protocol: str, data: str, out: Path | None) -> "tuple[Source, Path]":
    """Say which tables and which folder a run uses."""
    from somb_utils.tables.sources import resolve_source
    from somb_utils.tasks.definitions import PROTOCOLS, select_tasks, task_tables

    if protocol not in PROTOCOLS:
        raise UsageError(f"unknown protocol '{protocol}'; it is one of {', '.join(PROTOCOLS)}")
    sys.path.insert(0, str(Path.cwd()))  # where a user's own model lives
    try:
        chosen = [loaded.task for loaded in tasks] if isinstance(tasks, list) else select_tasks(tasks)
    except UsageError:
        chosen = []  # whoever uses the source says that a task is unknown
    source = resolve_source(data, task_tables(chosen) or None)
    folder = out or Path("results") / f"{source.kind}-{protocol}"
    print(f"data: {source.describe()}\nrun folder: {folder}", file=sys.stderr)
    return source, folder


def _execute(
    tasks: "str | list[TaskData] | None",
    models: str | None,
    params: dict[str, dict[str, Any]],
    protocol: str,
    data: str,
    where: dict[str, Any],
    seed: int,
    out: Path | None,
) -> "RunResult":
    from somb_utils.cli.console import fit_progress
    from somb_utils.runs.runner import run as run_models

    source, folder = _begin(tasks, protocol, data, out)
    try:
        with fit_progress() as progress:
            return run_models(
                tasks,
                models,
                model_params=params,
                protocol=protocol,  # type: ignore[arg-type]
                source=source,
                seed=seed,
                out=folder,
                **where,
                on_start=progress.start,
                on_done=progress.advance,
            )
    except KeyboardInterrupt:
        print(
            f"\nstopped; {progress.done} of {progress.jobs} fold jobs are kept in {folder}. "
            "The same command resumes the run.",
            file=sys.stderr,
        )
        raise typer.Exit(130) from None


def _print_summary(result: "RunResult", jobs: int, format: Format) -> None:
    from somb_utils.cli.console import print_frame
    from somb_utils.labels import wide

    summary = result.summary(n_jobs=jobs)
    if format is Format.table:
        mark = "SIMULATED tables: scores say nothing about real biology" if _simulated(result) else "open tables"
        title = f"Primary metric, mean ± SD over folds, 95 % interval; * best of the task or tied with it ({mark})"
        print_frame(wide(summary), format, title=title)
        composite = result.composite().round(3).reset_index() if _has_composite(summary) else None
        if composite is not None:
            note = "scores rescaled to 0 at chance and 1 if perfect, averaged within groups, then over groups"
            print_frame(composite.fillna("").astype(str), format, title=f"Composite: {note}")
    else:
        print_frame(summary, format)


def _has_composite(summary: "pd.DataFrame") -> bool:
    aligned = set(summary["protocol"]) == {"aligned"}
    from somb_utils.runs.baselines import RANDOM

    random = summary.loc[summary["model"] == RANDOM, "task"]
    return aligned or set(summary["task"]) == set(random)


def _simulated(result: "RunResult") -> bool:
    return bool(result.provenance["source"] == "simulated")


def _say_missing(tasks: str | None, data: str) -> None:
    from somb_utils.runs.runner import unavailable
    from somb_utils.tables.sources import resolve_source
    from somb_utils.tasks.definitions import select_tasks, task_tables

    chosen = select_tasks(tasks)
    for message in unavailable(chosen, resolve_source(data, task_tables(chosen))).values():
        print(f"left out: {message}", file=sys.stderr)


def _report_failures(result: "RunResult") -> None:
    failures = result.failures()
    if len(failures):
        for row in failures.itertuples():
            print(
                printable(f"failed: {row.model} on {row.task}, fold {row.fold}: {row.reason}", most=None),
                file=sys.stderr,
            )
        raise SombError(
            f"{len(failures)} fold jobs failed and are left out of the means; fix the model and run the same command"
        )
