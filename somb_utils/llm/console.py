"""What the commands of ``somb llm`` have in common: options, the table of a dry run, how a run ended."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from somb_utils.errors import SombError, UsageError, printable

if TYPE_CHECKING:
    from somb_utils.llm.run.engine import Outcome
    from somb_utils.llm.run.plan import Estimate

OUT = "new, empty, or of an earlier report"
Models = Annotated[list[str], typer.Option("--model", "-m", help="PROVIDER/MODEL; may be repeated.")]
Judges = Annotated[list[str], typer.Option("--judge", "-j", help="PROVIDER/MODEL; may be repeated.")]
Logs = Annotated[list[Path], typer.Argument(help="Logs, folders of logs, or published scored files (.json).")]
Mode = Annotated[
    Literal["holistic", "criteria", "both"],
    typer.Option(
        help="holistic: a level for each dimension. criteria: each key fact and reasoning point met, unmet or "
        "contradicted, with a quotation; factual accuracy and completeness follow from these."
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Estimate tokens and cost, and send nothing.")]
MaxCost = Annotated[float | None, typer.Option(min=0, help="Dollars; calls that could exceed it are not made.")]
Prices = Annotated[Path | None, typer.Option(help="YAML file of prices that add to the project's.")]
Batch = Annotated[bool, typer.Option("--batch", help="Use the provider's batch mode: cheaper, slower.")]
Tick = Annotated[float, typer.Option(help="Seconds between looks at a batch.")]
Connections = Annotated[int | None, typer.Option(help="Requests at a time (default: adapts to the provider).")]
Sandbox = Annotated[
    str, typer.Option(help="Of `analysis`: `docker`, or `local`: the model's code runs on this machine, as this user.")
]
Limit = Annotated[
    list[str] | None,
    typer.Option(
        help="Of `analysis`, per item, as in `tokens=100000`: `seconds`, `call_seconds`, `memory` (bytes), `tokens`, "
        "`messages`, `dollars`; may be repeated."
    ),
]
Retries = Annotated[int, typer.Option(help="Retries of a request after a rate limit, overload or broken link.")]
Wait = Annotated[float, typer.Option(help="Seconds before the first retry; doubles each time.")]
Timeout = Annotated[int, typer.Option(help="Seconds that one request may take.")]


def need_extra() -> None:
    """Refuse, before anything else is tried, if the extra is not installed; the error says how to get it."""
    from importlib.util import find_spec

    from somb_utils._extras import missing_extra

    for name in ("inspect_ai", "anthropic", "krippendorff", "openai"):
        if find_spec(name) is None:
            raise missing_extra("`somb llm`", "llm", ModuleNotFoundError(name=name))


def modes(mode: str, per_dimension: bool = False) -> tuple[str, ...]:
    """Return the modes of judging that the options ask for."""
    if per_dimension and mode == "criteria":
        raise UsageError("--per-dimension is about holistic judging; leave it out with --mode criteria")
    holistic = ("per_dimension" if per_dimension else "combined",)
    return {"holistic": holistic, "criteria": ("criteria",), "both": (*holistic, "criteria")}[mode]


def prices_in(prices: Path | None) -> dict[str, Any]:
    """Return the project's prices, with those of a file."""
    from somb_utils.llm.run.cost import load_prices

    return load_prices(prices)


def _dollars(value: float | None) -> str:
    return "unknown" if value is None else f"${value:,.2f}"


def show(estimates: "list[Estimate]", what: str) -> None:
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
    unknown = [e.model for e in estimates if e.dollars is None]
    total = None if unknown else sum(e.dollars or 0 for e in estimates)
    most = None if unknown else sum(e.most_dollars or 0 for e in estimates)
    table.add_section()
    table.add_row(
        "all", f"{sum(e.calls for e in estimates):,}", f"{sum(e.input_tokens for e in estimates):,}",
        f"{sum(e.output_tokens for e in estimates):,}", _dollars(total), _dollars(most),
    )  # fmt: skip
    Console(soft_wrap=True).print(table)
    typer.echo(
        "Only what the folder of logs lacks. Tokens are estimated from lengths; `at most` is every reply as long as "
        "allowed."
    )
    if unknown:
        typer.echo(f"No price is known of {printable(', '.join(unknown))}: give it with --prices FILE.")


def finish(outcome: "Outcome", what: str, max_cost: float | None, next_step: str) -> None:
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
    for why, ended in ((outcome.failed, "failed"), (outcome.unscored, "do not count")):
        if why:
            reasons = "; ".join(f"{count} x {reason}" for reason, count in why.most_common(3))
            problems.append(
                f"{why.total()} {what} {ended} ({reasons}). Run the same command again to ask for these alone"
            )
    if problems:
        raise SombError("\n".join(problems))
    typer.echo(f"Next: {next_step}")
