"""``somb llm``: put the questions to models, let judges grade the answers, report, look, import."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from somb_utils.errors import SombError, UsageError, printable

if TYPE_CHECKING:
    from somb_utils.llm.run.engine import Outcome
    from somb_utils.llm.run.plan import Estimate

app = typer.Typer(
    help="Evaluate language models on the 100 questions: run, judge, report.",
    epilog="To try it without a key: `somb llm run -m offline/demo --sample 5`, `somb llm judge logs/llm -j "
    "offline/judge`, `somb llm report logs/llm`",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_show_locals=False,
)

OUT = "new, empty, or of an earlier report"
Models = Annotated[list[str], typer.Option("--model", "-m", help="PROVIDER/MODEL; may be repeated.")]
Judges = Annotated[list[str], typer.Option("--judge", "-j", help="PROVIDER/MODEL; may be repeated.")]
Logs = Annotated[list[Path], typer.Argument(help="Logs, folders of logs, or published scored files (.json).")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Estimate tokens and cost, and send nothing.")]
MaxCost = Annotated[float | None, typer.Option(min=0, help="Dollars; calls that could exceed it are not made.")]
Prices = Annotated[Path | None, typer.Option(help="YAML file of prices that add to the project's.")]
Batch = Annotated[bool, typer.Option("--batch", help="Use the provider's batch mode: cheaper, slower.")]
Tick = Annotated[float, typer.Option(help="Seconds between looks at a batch.")]
Connections = Annotated[int | None, typer.Option(help="Requests at a time (default: adapts to the provider).")]
Retries = Annotated[int, typer.Option(help="Retries of a request after a rate limit, overload or broken link.")]
Wait = Annotated[float, typer.Option(help="Seconds before the first retry; doubles each time.")]
Timeout = Annotated[int, typer.Option(help="Seconds that one request may take.")]


def _need_extra() -> None:
    """Refuse, before anything else is tried, if the extra is not installed; the error says how to get it."""
    from importlib.util import find_spec

    from somb_utils._extras import missing_extra

    for name in ("inspect_ai", "anthropic", "krippendorff", "openai"):
        if find_spec(name) is None:
            raise missing_extra("`somb llm`", "llm", ModuleNotFoundError(name=name))


def _prices(prices: Path | None) -> dict[str, Any]:
    from somb_utils.llm.run.cost import load_prices

    return load_prices(prices)


def _dollars(value: float | None) -> str:
    return "unknown" if value is None else f"${value:,.2f}"


def _show(estimates: "list[Estimate]", what: str) -> None:
    """Print a dry run's table."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=f"Dry run: {what}. Nothing was sent")
    for column in ("model", "calls", "tokens in", "tokens out", "cost", "at most"):
        table.add_column(column, justify="left" if column == "model" else "right", overflow="fold")
    for e in estimates:
        table.add_row(
            Text(printable(e.model)), f"{e.calls:,}", f"{e.input_tokens:,}", f"{e.output_tokens:,}",
            _dollars(e.dollars), _dollars(e.most_dollars),
        )  # fmt: skip
    known = [e for e in estimates if e.dollars is not None]
    total = sum(e.dollars or 0 for e in known) if known else None
    most = sum(e.most_dollars or 0 for e in known) if known else None
    table.add_section()
    table.add_row(
        "all", f"{sum(e.calls for e in estimates):,}", f"{sum(e.input_tokens for e in estimates):,}",
        f"{sum(e.output_tokens for e in estimates):,}", _dollars(total), _dollars(most),
    )  # fmt: skip
    Console(soft_wrap=True).print(table)
    typer.echo("Tokens are estimated from lengths; `at most` is every reply as long as allowed.")
    if len(known) < len(estimates):
        typer.echo("Unknown prices are left out of the sum: give them with --prices FILE.")


def _finish(outcome: "Outcome", what: str, max_cost: float | None, next_step: str) -> None:
    """Report how a run ended; if anything is missing, an error says how to go on."""
    spending = f", {outcome.spending}" if outcome.spending else ""
    typer.echo(f"{outcome.done} {what} complete{spending}. Logs: {outcome.log_dir}")
    problems = []
    if outcome.not_asked:
        problems.append(
            f"Stopped at --max-cost {max_cost:g}: {outcome.not_asked} {what} not asked for, all others kept. "
            "Run the same command again to go on"
        )
    if outcome.not_reached:
        problems.append(
            f"Interrupted: {outcome.not_reached} {what} not reached by this run. All others are kept. "
            "Run the same command again to go on"
        )
    if outcome.failed:
        reasons = "; ".join(f"{count} x {reason}" for reason, count in outcome.reasons.most_common(3))
        problems.append(f"{outcome.failed} {what} failed ({reasons}). Run the same command again to retry these alone")
    if outcome.unscored:
        reasons = "; ".join(f"{count} x {reason}" for reason, count in outcome.reasons.most_common(3))
        problems.append(
            f"{outcome.unscored} {what} do not count ({reasons}). Run the same command again to ask for them"
        )
    if problems:
        raise SombError("\n".join(problems))
    typer.echo(f"Next: {next_step}")


@app.command(
    epilog="Examples: `somb llm run --model anthropic/claude-sonnet-4-6 --sample 10 --dry-run` · "
    "`somb llm run -m openai/gpt-4o -m anthropic/claude-haiku-4-5 --full --max-cost 5` · "
    "`somb llm run -m openai-api/local/llama3 --modality clinical` (LOCAL_BASE_URL, LOCAL_API_KEY) · "
    "`somb llm run -m offline/demo --sample 5` (no key, no network)"
)
def run(
    model: Models,
    sample: Annotated[int | None, typer.Option(min=1, help="Number of questions, drawn evenly.")] = None,
    modality: Annotated[list[str] | None, typer.Option(help="Only these; may be repeated.")] = None,
    difficulty: Annotated[list[str] | None, typer.Option(help="Only these; may be repeated.")] = None,
    kind: Annotated[list[str] | None, typer.Option(help="Only these; may be repeated.")] = None,
    full: Annotated[bool, typer.Option("--full", help="All 100 questions.")] = False,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 42,
    repeats: Annotated[int, typer.Option(min=1, help="How often each question is asked.")] = 1,
    log_dir: Annotated[Path, typer.Option(help="Where logs are written, and found again.")] = Path("logs/llm"),
    temperature: Annotated[float, typer.Option(help="Of the answering models, where a provider takes one.")] = 0.3,
    max_tokens: Annotated[int | None, typer.Option(help="Default: 2000, or 8192 if it reasons.")] = None,
    dry_run: DryRun = False,
    max_cost: MaxCost = None,
    prices: Prices = None,
    batch: Batch = False,
    batch_tick: Tick = 15.0,
    max_connections: Connections = None,
    max_retries: Retries = 6,
    retry_wait: Wait = 3.0,
    timeout: Timeout = 600,
) -> None:
    """Put questions to models.

    What was answered in the same folder with the same settings is never asked again, whatever was asked for then:
    the same command asks only what failed or is missing, and a killed run continues where it stopped.
    """
    _need_extra()
    from somb_utils.llm.bank.questions import load_bank
    from somb_utils.llm.run import engine, plan
    from somb_utils.llm.run.models import Settings

    if not (full or sample or modality or difficulty or kind):
        raise UsageError("Choose questions: --sample N, --modality, --difficulty, --kind, or --full")
    if full and (sample or modality or difficulty or kind):
        raise UsageError("--full means all questions; leave it out to choose some of them")
    settings = Settings(temperature, max_tokens, batch, max_connections, max_retries, retry_wait, timeout, batch_tick)
    known = _prices(prices)
    filters: dict[str, Any] = {"modality": modality, "difficulty": difficulty, "kind": kind}
    filters |= {"sample": sample, "seed": seed}
    questions = load_bank(**filters)
    if dry_run:
        _show(plan.plan_answers(model, questions * repeats, known, settings), f"{len(questions)} questions")
        return
    typer.echo(f"{len(questions)} questions x {len(model)} models, {repeats} time(s)", err=True)
    outcome = engine.run_answers(model, filters, log_dir, settings, max_cost, known, repeats)
    _finish(outcome, "answers", max_cost, f"somb llm judge {log_dir} --judge PROVIDER/MODEL")


@app.command(
    epilog="Examples: `somb llm judge logs/llm --judge anthropic/claude-sonnet-4-6 --judge openai/gpt-4o` · "
    "`somb llm judge logs/llm -j openai/gpt-4o --per-dimension --dry-run`"
)
def judge(
    logs: Logs,
    judge: Judges,
    per_dimension: Annotated[
        bool, typer.Option("--per-dimension", help="Six calls per answer: one per dimension, one for the flags.")
    ] = False,
    log_dir: Annotated[Path | None, typer.Option(help="Default: `judged` beside the answers' logs.")] = None,
    dry_run: DryRun = False,
    max_cost: MaxCost = None,
    prices: Prices = None,
    batch: Batch = False,
    batch_tick: Tick = 15.0,
    max_connections: Connections = None,
    max_retries: Retries = 6,
    retry_wait: Wait = 3.0,
    timeout: Timeout = 600,
) -> None:
    """Let judges grade the answers in LOGS; several judges may grade the same answers."""
    _need_extra()
    from somb_utils.llm.run import engine, plan
    from somb_utils.llm.run.models import Settings

    settings = Settings(0.0, None, batch, max_connections, max_retries, retry_wait, timeout, batch_tick)
    known = _prices(prices)
    answers = engine.judged_answers(logs)
    first = logs[0] if logs[0].is_dir() else logs[0].parent
    target = log_dir or first / "judged"
    if dry_run:
        _show(
            plan.plan_judging(judge, answers, per_dimension, known, settings),
            f"judging {len(answers)} answers",
        )
        return
    typer.echo(f"{len(answers)} answers x {len(judge)} judges", err=True)
    outcome = engine.run_judges(answers, judge, target, settings, per_dimension, max_cost, known)
    searched = any(target.resolve().is_relative_to(folder.resolve()) for folder in logs if folder.is_dir())
    _finish(
        outcome,
        "judgements",
        max_cost,
        shlex.join(["somb", "llm", "report", *map(str, [*logs, *([] if searched else [target])])]),
    )


@app.command(
    epilog="Examples: `somb llm report logs/llm --out report` · "
    "`somb llm report ../shared/open-data/reference/llm_scored/*.json --compare`"
)
def report(
    logs: Logs,
    compare: Annotated[bool, typer.Option("--compare", help="Compare every pair of models.")] = False,
    out: Annotated[Path, typer.Option(help="Folder for the report: new, empty, or of an earlier report.")] = Path(
        "llm_report"
    ),
    n_bootstrap: Annotated[int, typer.Option(min=100, help="Resamples of the questions.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap.")] = 42,
    prices: Prices = None,
    mixed: Annotated[
        bool, typer.Option("--mixed", help="Even if the logs rest on different banks, contexts, rubrics or prompts.")
    ] = False,
) -> None:
    """Write report.md, report.html and the tables (CSV, Parquet) from logs and published scored files."""
    _need_extra()
    from somb_utils.llm.report.files import write_report
    from somb_utils.llm.run.logs import load

    evaluation = load(logs, _prices(prices))
    if not mixed:
        evaluation.need_one_version()
    for path in write_report(evaluation, out, compare=compare, n_bootstrap=n_bootstrap, seed=seed):
        typer.echo(path)


@app.command(epilog="Example: `somb llm view logs/llm`")
def view(
    log_dir: Annotated[Path, typer.Argument(help="Folder of logs.")] = Path("logs/llm"),
    port: Annotated[int, typer.Option(min=1, max=65535, help="On this machine alone.")] = 7575,
    bundle: Annotated[Path | None, typer.Option(help="Write a static viewer here instead.")] = None,
) -> None:
    """Open Inspect's log viewer, or write it as static pages."""
    _need_extra()
    if not log_dir.is_dir():
        raise UsageError(f"{log_dir} is not a folder of logs. `somb llm run` says where it writes its logs")
    if bundle is None:
        from inspect_ai._view.view import view as serve

        serve(log_dir=str(log_dir), host="127.0.0.1", port=port)
        return
    from somb_utils.llm.report.bundle import bundle_logs

    bundle_logs(log_dir, bundle)
    typer.echo(f"{bundle / 'index.html'} (works over HTTP: python -m http.server -d {bundle})")


@app.command("import", epilog="Example: `somb llm import scored_eval_gpt-4o.json --out published`")
def import_(
    files: Annotated[list[Path], typer.Argument(help="Published scored files (scored_eval_*.json).")],
    out: Annotated[Path, typer.Option(help=f"Folder for the tables: {OUT}.")] = Path("llm_import"),
) -> None:
    """Turn published scored files into the report's tables, and compare averages with those that the files state."""
    _need_extra()
    from somb_utils.llm.report.files import write_tables
    from somb_utils.llm.run.imports import compare_with_stated, differing_scores
    from somb_utils.llm.run.logs import load

    evaluation = load(files)
    for path in write_tables(evaluation, out):
        typer.echo(path)
    for file in files:
        stated = compare_with_stated(file)
        wrong = stated[stated["stated"] != stated["computed"]]
        typer.echo(f"{file.name}: {len(stated) - len(wrong)} of {len(stated)} stated averages agree")
        for row in wrong.itertuples():
            typer.echo(f"  {row.name}: stated {row.stated}, computed {row.computed}")
    differing = differing_scores(evaluation.judgements)
    typer.echo(f"{len(differing)} weighted scores differ from the judge's own by more than rounding")


@app.command("contexts", epilog="Examples: `somb llm contexts --check` · `somb llm contexts --data FOLDER`")
def contexts_(
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; fail if a text differs from what the tables give.")
    ] = False,
    data: Annotated[
        str | None, typer.Option(help="Folder of the real tables (default: SOMB_DATA, else the cache).")
    ] = None,
) -> None:
    """Render the context files from the open tables, or check that they agree with the tables."""
    _need_extra()
    from somb_utils.llm.bank import contexts

    load = contexts.open_loader(data)
    if not check:
        contexts.write(load)
        typer.echo(f"{len(contexts.NAMES)} contexts written to {contexts.FOLDER}")
        return
    drifts = contexts.check(load, contexts.FOLDER, contexts.TEMPLATES)
    for drift in drifts:
        typer.echo(str(drift))
    if drifts:
        raise SombError(f"{len(drifts)} differences; `somb llm contexts` renders the texts again")
    typer.echo(f"{len(contexts.NAMES)} contexts agree with the tables")


def main() -> None:
    """Run the commands on their own, as ``python -m somb_utils.llm.commands``."""
    try:
        app()
    except SombError as error:
        typer.echo(str(error), err=True)
        raise SystemExit(error.exit_code) from None


if __name__ == "__main__":
    main()
