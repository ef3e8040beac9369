"""``somb compare``: models of one or more runs side by side, with intervals, tests and figures."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from somb_utils.cli.runs import Jobs
from somb_utils.cli.tasks import Format
from somb_utils.errors import SombError, UsageError

if TYPE_CHECKING:
    import pandas as pd

    from somb_utils.runs.compare import Comparison


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Run folders with the same protocol and data source.")],
    tasks: Annotated[str | None, typer.Option("--tasks", "-t", help="Ids, comma-separated. Default: all.")] = None,
    models: Annotated[str | None, typer.Option("--models", help="Names, comma-separated. Default: all.")] = None,
    protocol: Annotated[
        str | None, typer.Option(help="aligned or published, if the folders have results of both.")
    ] = None,
    against: Annotated[str | None, typer.Option("--against", help="Reference model [default: best mean rank].")] = None,
    n_bootstrap: Annotated[int, typer.Option(min=1, help="Bootstrap replicates per interval.")] = 1000,
    n_permutations: Annotated[int, typer.Option(min=1, help="Permutations per p-value against chance.")] = 999,
    seed: Annotated[int, typer.Option(help="Seed of bootstrap and permutations.")] = 42,
    jobs: Jobs = -1,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder for tables (CSV) and figures (PNG).")] = None,
    format: Annotated[Format, typer.Option("--format", help="How to print.")] = Format.table,
) -> None:
    """Compare models: scores against chance, paired differences, ranks over tasks, calibration.

    A model that is identical in two folders is counted once. If it differs, its name is prefixed with the folder's; the
    plain name in --against refers to the first folder. `somb run` prints the name of its run folder.

    Examples:

    `somb run --tasks A1 --models logreg,rf --out results/base`

    `somb run --tasks A1 --models logreg,sklearn.svm:SVC --out results/mine`

    `somb compare results/base results/mine --against logreg --out comparison`
    """
    from somb_utils.runs.compare import against as turned
    from somb_utils.runs.compare import compare as made_of
    from somb_utils.runs.compare import gather
    from somb_utils.runs.names import split_names
    from somb_utils.runs.workers import count

    count(jobs)
    run = gather(runs, split_names(tasks), split_names(models), protocol)
    if run.results["model"].nunique() < 2:
        raise UsageError("a comparison needs at least two models; name further run folders")
    if out is not None:
        from somb_utils import plots  # noqa: F401  # tells at once that figures need the extra
    made = made_of(run, n_bootstrap, n_permutations, seed, jobs)
    reference = _reference(against, list(run.results["model"].unique())) if against else _best(made)
    gaps = turned(made.differences, reference)
    _print(made, gaps, reference, format)
    if out is not None:
        _write(made, gaps, reference, out)
        print(f"tables and figures: {out}", file=sys.stderr)


def _reference(name: str, models: list[str]) -> str:
    from somb_utils.runs.compare import named

    return name if name in models else next(iter(named(models, name)), name)


def _best(made: "Comparison") -> str:
    if made.ranks is not None:
        return str(made.ranks.ranks.index[0])
    table = made.scores.assign(rank=made.scores.groupby("task")["mean"].rank(ascending=False))
    return str(table.groupby("model")["rank"].mean().idxmin())


def _print(made: "Comparison", gaps: "pd.DataFrame", reference: str, format: Format) -> None:
    from somb_utils.cli.console import print_frame

    mark = " (SIMULATED tables)" if made.source == "simulated" else ""
    scores = made.scores.drop(columns=["protocol", "source", "failed", "undefined"])
    if format is Format.json:
        print_frame(scores, format)
        return
    parts = [
        (f"Scores, 95 % interval, p against chance (permutation), q over the table{mark}", scores),
        (
            f"Paired difference from {reference}; wins: share of bootstrap replicates above it{mark}",
            gaps.drop(columns="protocol"),
        ),
    ]
    if made.ranks is not None:
        ranks = made.ranks.ranks.rename("mean rank").reset_index()
        title = f"Mean rank over {len(made.ranks.scores)} tasks, Friedman p = {made.ranks.p:.2g}{mark}"
        parts.append((title, ranks))
    if len(made.calibration):
        parts.append(
            (f"Calibration of binary tasks; skill: Brier score against the prevalence{mark}", made.calibration)
        )
    for title, frame in parts:
        print_frame(_rounded(frame), format, title=title)
    if (gaps["test"] == "sign flip").any() and format is Format.table:
        floors = sorted({f"{floor:g}" for floor in gaps.loc[gaps["test"] == "sign flip", "floor"]})
        print(f"With so few crew or time points, a sign-flip test gives no p-value below {', '.join(floors)}.")


def _rounded(frame: "pd.DataFrame") -> "pd.DataFrame":
    floats, flags = (frame.select_dtypes(kind).columns for kind in ("float", "bool"))
    shown = frame.astype(dict.fromkeys((*floats, *flags), object))
    shown[floats] = frame[floats].map(lambda v: "" if v != v else f"{v:.3f}")
    shown[flags] = frame[flags].map(lambda v: "*" if v else "")
    return shown


def _write(made: "Comparison", gaps: "pd.DataFrame", reference: str, out: Path) -> None:
    from somb_utils._escape import spreadsheet
    from somb_utils.paths import replacing
    from somb_utils.plots import compare as plots

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SombError(f"{out} cannot be created: {error.strerror}; name another folder with --out") from None
    frames = {"scores": made.scores, "differences": made.differences, "calibration": made.calibration}
    figures = {"differences": plots.differences(gaps, reference, source=made.source)}
    if made.ranks is not None:
        frames["ranks"] = made.ranks.ranks.rename("mean_rank").reset_index()
        figures["critical_difference"] = plots.critical_difference(made.ranks, source=made.source)
    for task in dict.fromkeys(made.calibration["task"] if len(made.calibration) else ()):
        figures[f"calibration_{task}"] = plots.reliability(made.curves, task, source=made.source)
    for name, frame in frames.items():
        with replacing(out / f"{name}.csv") as temporary:
            spreadsheet(frame.assign(source=made.source)).to_csv(temporary, index=False)
    for name, drawn in figures.items():
        with replacing(out / f"{name}.png") as temporary:
            drawn.savefig(temporary, dpi=140, format="png")
