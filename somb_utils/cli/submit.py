"""``somb submit`` and ``somb leaderboard``: pack a run, check what others packed, and list it."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from somb_utils.cli.console import fixed, print_frame
from somb_utils.cli.options import Data, Format, ModelNames, Print
from somb_utils.errors import UsageError
from somb_utils.paths import replacing

if TYPE_CHECKING:
    import pandas as pd

DECIMALS = ("mean", "sd", "chance")  # columns shown to four decimals

app = typer.Typer(help="Pack a run for the leaderboard, and check what others packed.", no_args_is_help=True)


@app.command()
def card(
    out: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="A new file, e.g. card.yaml.")] = None,
) -> None:
    """Print a model card to fill in, or write it to a new file.

    Example: `somb submit card card.yaml`
    """
    from somb_utils.leaderboard.model_card import template

    if out is None:
        print(template(), end="")
        return
    if out.exists():
        raise UsageError(f"{out} exists already; name another file")
    with replacing(out) as temporary:
        temporary.write_text(template(), encoding="utf-8")
    print(f"fill in {out}, then: somb submit pack RUN --card {out}")


@app.command()
def pack(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder of somb run or somb evaluate --out.")],
    card: Annotated[Path, typer.Option("--card", help="Model card; `somb submit card` prints one to fill in.")],
    models: ModelNames = None,
    data: Data = "auto",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The file [default: NAME.zip].")] = None,
) -> None:
    """Check a run and its model card as the maintainers will, and pack them into one file.

    Examples: `somb submit card card.yaml`, then `somb submit pack results/open-aligned --card card.yaml --models rf`
    """
    from somb_utils.leaderboard.model_card import read_card, slug
    from somb_utils.leaderboard.submission import pack as pack_run

    described = read_card(card)
    file = out or Path(f"{slug(described.name)}.zip")
    scores = pack_run(run, described, file, models, data)
    print(f"{file}: {file.stat().st_size / 1024:,.0f} kB, {_counted(scores)}")
    if described.key is None:
        print("note: the card has no key, so this submission cannot be replaced by a later one", file=sys.stderr)


@app.command()
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File written by somb submit pack.")],
    data: Data = "auto",
    format: Print = Format.table,
) -> None:
    """Score a submission's predictions again; if its scores do not follow from them, refuse it and give every reason.

    Example: `somb submit check mine.zip`
    """
    from somb_utils.leaderboard.submission import check as check_file

    packed, scores = check_file(file, data)
    primary = scores.loc[scores["primary"], ["task", "protocol", "model", "metric", "mean", "sd", "chance"]]
    if format is not Format.table:
        print_frame(primary, format)
        return
    print_frame(fixed(primary, *DECIMALS), format, title=packed.card.name)
    print(f"{file}: {_counted(scores)} follow from its predictions")


def leaderboard(
    add: Annotated[list[Path] | None, typer.Option(help="Check this submission and list it; repeatable.")] = None,
    folder: Annotated[Path, typer.Option(help="The leaderboard's folder.")] = Path("leaderboard"),
    data: Data = "auto",
    format: Print = Format.table,
) -> None:
    """Check the listed submissions again, show them, and rebuild index and page; --add checks and lists new ones.

    Examples: `somb leaderboard`, `somb leaderboard --add mine.zip --add theirs.zip`
    """
    from somb_utils.leaderboard import register

    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder; run this in the checkout, or name it with --folder")
    listed = register.add(add or (), folder, data)
    for note in listed.notes:
        print(note, file=sys.stderr)
    index = listed.index
    if format is not Format.table:
        print_frame(index, format)
        return
    ends = index[["low", "high"]].itertuples(index=False)
    index = index.assign(**{"95 % interval": [f"{low:.4f} to {high:.4f}" for low, high in ends]})
    columns = ["task", "model", "metric", "mean", "sd", "95 % interval", "chance", "authors"]
    for protocol, rows in index.groupby("protocol"):
        print_frame(fixed(rows[columns], *DECIMALS), format, title=f"Submissions, {protocol} protocol")
    pages = f"{folder / register.INDEX} and {folder / register.PAGE}"
    n = index["file"].nunique()
    print(f"{n} {'submission is' if n == 1 else 'submissions are'} listed; {pages} are up to date")


def _counted(scores: "pd.DataFrame") -> str:
    n = len(scores)
    return f"{n} scores of {scores['model'].nunique()} model(s) on {scores['task'].nunique()} task(s)"
