"""``somb llm``: put the questions to models, let judges grade the answers, report, look, import."""

import shlex
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from somb_utils.errors import SombError, UsageError, printable
from somb_utils.llm.bank_commands import CONTEXTS_EXAMPLES, ITEMS_EXAMPLE, contexts_, items_
from somb_utils.llm.console import (
    OUT,
    Batch,
    Connections,
    DryRun,
    Judges,
    Limit,
    Logs,
    MaxCost,
    Mode,
    Models,
    Prices,
    Retries,
    Sandbox,
    Tick,
    Timeout,
    Wait,
    finish,
    modes,
    need_extra,
    prices_in,
    show,
)
from somb_utils.llm.item_commands import run_set
from somb_utils.llm.predict_command import PREDICT_EXAMPLES, predict
from somb_utils.llm.servers import serve_local, view

app = typer.Typer(
    help="Evaluate language models on open questions and on items that code marks: run, judge, report.",
    epilog="To try it without a key: `somb llm run -m offline/demo --sample 5`, `somb llm judge logs/llm -j "
    "offline/judge`, `somb llm report logs/llm`",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_show_locals=False,
)


@app.command(
    epilog="Examples: `somb llm run --model anthropic/claude-sonnet-4-6 --sample 10 --dry-run` · "
    "`somb llm run -m openai/gpt-4o -m anthropic/claude-haiku-4-5 --full --max-cost 5` · "
    "`somb llm run -m openai-api/local/llama3 --modality clinical` (LOCAL_BASE_URL, LOCAL_API_KEY) · "
    "`somb llm run -m openai/gpt-4o --set core --condition reading --full` (marked by code, without a judge) · "
    "`somb llm run -m openai/gpt-4o --set core --condition analysis --sample 20 --limit tokens=100000` · "
    "`somb llm run -m offline/demo --sample 5` (no key, no network)"
)
def run(
    model: Models,
    set_: Annotated[
        str,
        typer.Option(
            "--set",
            help="`open` (100 questions for a judge), `core` (marked by code), `abstain` (what the data do not answer "
            "or contradict), `perturbed` (changed figures in the contexts), or a file of `somb llm items`.",
        ),
    ] = "open",
    condition: Annotated[
        str | None,
        typer.Option(
            help="`recall` (the question alone), `reading` (with contexts) or `analysis` (with the tables, Python and "
            "a shell in a sandbox); not of `open`."
        ),
    ] = None,
    sandbox: Sandbox = "docker",
    limit: Limit = None,
    data: Annotated[
        str, typer.Option(help="Tables that keys are computed from, as elsewhere; not of `open`.")
    ] = "auto",
    sample: Annotated[int | None, typer.Option(min=1, help="Number of questions, drawn evenly.")] = None,
    modality: Annotated[list[str] | None, typer.Option(help="Only these; may be repeated.")] = None,
    difficulty: Annotated[list[str] | None, typer.Option(help="Of `open`: only these; may be repeated.")] = None,
    kind: Annotated[list[str] | None, typer.Option(help="Of `open`: only these; may be repeated.")] = None,
    full: Annotated[bool, typer.Option("--full", help="All questions of the set.")] = False,
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
    need_extra()
    from somb_utils.llm.bank.questions import load_bank
    from somb_utils.llm.run import engine, plan
    from somb_utils.llm.run.models import Settings

    if not (full or sample or modality or difficulty or kind):
        raise UsageError("Choose questions: --sample N, --modality, --difficulty, --kind, or --full")
    if full and (sample or modality or difficulty or kind):
        raise UsageError("--full means all questions; leave it out to choose some of them")
    settings = Settings(temperature, max_tokens, batch, max_connections, max_retries, retry_wait, timeout, batch_tick)
    known = prices_in(prices)
    if set_ != "open":
        if difficulty or kind:
            raise UsageError("--difficulty and --kind are of the open questions")
        selected = (set_, condition, modality, sample, seed, data)
        run_set(model, selected, repeats, log_dir, settings, known, dry_run, max_cost, sandbox, limit)
        return
    if condition:
        raise UsageError("--condition is of the items that code marks: --set core, abstain or perturbed")
    filters: dict[str, Any] = {"modality": modality, "difficulty": difficulty, "kind": kind}
    filters |= {"sample": sample, "seed": seed}
    questions = load_bank(**filters)
    if dry_run:
        show(plan.plan_answers(model, questions, repeats, log_dir, known, settings), f"{len(questions)} questions")
        return
    typer.echo(f"{len(questions)} questions x {len(model)} models, {repeats} time(s)", err=True)
    outcome = engine.run_answers(model, filters, log_dir, settings, max_cost, known, repeats)
    finish(outcome, "answers", max_cost, f"somb llm judge {log_dir} --judge PROVIDER/MODEL")


@app.command(
    epilog="Examples: `somb llm judge logs/llm --judge anthropic/claude-sonnet-4-6 --judge openai/gpt-4o` · "
    "`somb llm judge logs/llm -j openai/gpt-4o --per-dimension --dry-run` · "
    "`somb llm judge logs/llm -j openai/gpt-4o --mode both --dry-run`"
)
def judge(
    logs: Logs,
    judge: Judges,
    mode: Mode = "holistic",
    per_dimension: Annotated[
        bool, typer.Option("--per-dimension", help="Holistic in six calls: one per dimension, one for the flags.")
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
    need_extra()
    from somb_utils.llm.run import engine, plan
    from somb_utils.llm.run.models import Settings

    settings = Settings(0.0, None, batch, max_connections, max_retries, retry_wait, timeout, batch_tick)
    known, asked = prices_in(prices), modes(mode, per_dimension)
    answers = engine.judged_answers(logs)
    first = logs[0] if logs[0].is_dir() else logs[0].parent
    target = log_dir or first / "judged"
    if dry_run:
        show(plan.plan_judging(judge, answers, asked, target, known, settings), f"judging {len(answers)} answers")
        return
    typer.echo(f"{len(answers)} answers x {len(judge)} judges x {len(asked)} modes", err=True)
    outcome = engine.run_judges(answers, judge, target, settings, asked, max_cost, known)
    searched = any(target.resolve().is_relative_to(folder.resolve()) for folder in logs if folder.is_dir())
    finish(
        outcome,
        "judgements",
        max_cost,
        shlex.join(["somb", "llm", "report", *map(str, [*logs, *([] if searched else [target])])]),
    )


@app.command(
    epilog="Examples: `somb llm exam --judge anthropic/claude-sonnet-4-6 --judge openai/gpt-4o --dry-run` · "
    "`somb llm exam -j openai/gpt-4o --mode both --max-cost 10`"
)
def exam(
    judge: Judges,
    sample: Annotated[int, typer.Option(min=1, help="Number of questions; each has up to nine answers.")] = 10,
    mode: Mode = "holistic",
    log_dir: Annotated[Path, typer.Option(help="Where logs are written, and found again.")] = Path("logs/exam"),
    dry_run: DryRun = False,
    max_cost: MaxCost = None,
    prices: Prices = None,
    max_connections: Connections = None,
    max_retries: Retries = 6,
    retry_wait: Wait = 3.0,
    timeout: Timeout = 600,
) -> None:
    """Examine judges: they grade answers whose faults are planted, such as an altered figure or an injection.

    No expert is needed: the answers are made from each question's key facts and expected reasoning.
    """
    need_extra()
    from somb_utils.llm.bank.questions import load_bank
    from somb_utils.llm.run import engine, plan
    from somb_utils.llm.run import exam as planted
    from somb_utils.llm.run.models import Settings

    settings = Settings(0.0, None, False, max_connections, max_retries, retry_wait, timeout)
    known, asked = prices_in(prices), modes(mode)
    answers = planted.planted_answers(load_bank(sample=sample))
    if dry_run:
        show(plan.plan_judging(judge, answers, asked, log_dir, known, settings), f"an exam of {len(answers)} answers")
        return
    typer.echo(f"{len(answers)} planted answers x {len(judge)} judges x {len(asked)} modes", err=True)
    outcome = engine.run_judges(answers, judge, log_dir, settings, asked, max_cost, known)
    for name, checks in planted.results(log_dir, answers, judge, asked).groupby("judge", sort=False):
        typer.echo(f"Judge {printable(str(name))} (questions, with 95 % intervals):")
        for row in checks.itertuples():
            interval = f"{row.low:.0%} to {row.high:.0%}" if row.n else "no verdicts"
            typer.echo(f"  {row.passed:>3} of {row.n:>3} ({interval})  {row.check}")
    finish(outcome, "judgements", max_cost, "somb llm judge LOGS --judge PROVIDER/MODEL")


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
    mode: Annotated[
        Literal["holistic", "criteria"] | None,
        typer.Option(help="Verdicts that means are over (default: holistic ones where there are any)."),
    ] = None,
    mixed: Annotated[
        bool,
        typer.Option(
            "--mixed",
            help="Even if the logs rest on different banks, contexts, rubrics or prompts; means are over both modes.",
        ),
    ] = False,
) -> None:
    """Write report.html (open questions), core.html (items that code marks), the same as Markdown, and the tables."""
    need_extra()
    from somb_utils.llm.report.reports import write_reports

    if mixed and mode:
        raise UsageError("--mixed means over verdicts of both modes; leave --mode out")
    for path in write_reports(logs, out, prices_in(prices), "mixed" if mixed else mode, compare, n_bootstrap, seed):
        typer.echo(path)


app.command(epilog="Example: `somb llm view logs/llm`")(view)
app.command(epilog="Example: `somb llm serve-local --threads 4`, then the line that it prints, in another terminal")(
    serve_local
)


@app.command("import", epilog="Example: `somb llm import scored_eval_gpt-4o.json --out published`")
def import_(
    files: Annotated[list[Path], typer.Argument(help="Published scored files (scored_eval_*.json).")],
    out: Annotated[Path, typer.Option(help=f"Folder for the tables: {OUT}.")] = Path("llm_import"),
) -> None:
    """Turn published scored files into the report's tables, and compare averages with those that the files state."""
    need_extra()
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


app.command("items", epilog=ITEMS_EXAMPLE)(items_)
app.command("contexts", epilog=CONTEXTS_EXAMPLES)(contexts_)
app.command("predict", epilog=PREDICT_EXAMPLES)(predict)


def main() -> None:
    """Run the commands on their own, as ``python -m somb_utils.llm.commands``."""
    try:
        app()
    except SombError as error:
        typer.echo(str(error), err=True)
        raise SystemExit(error.exit_code) from None


if __name__ == "__main__":
    main()
