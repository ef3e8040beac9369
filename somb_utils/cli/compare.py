"""``somb compare``: models of one or more runs side by side, with intervals, tests and figures."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from somb_utils.cli.console import print_frame
from somb_utils.cli.options import Format, Jobs, ModelNames, Print, ProtocolName, TaskNames, read_protocol
from somb_utils.errors import SombError, UsageError
from somb_utils.paths import replacing

if TYPE_CHECKING:
    import pandas as pd

    from somb_utils.runs.compare import Comparison
    from somb_utils.stats import Ranking
    from somb_utils.tasks.definitions import Definitions


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Run folders with the same protocol and data source.")],
    tasks: TaskNames = None,
    models: ModelNames = None,
    protocol: Annotated[ProtocolName | None, typer.Option(parser=read_protocol, help="If folders have both.")] = None,
    against: Annotated[str | None, typer.Option(help="Reference model [default: best mean rank].")] = None,
    n_bootstrap: Annotated[int, typer.Option(min=1, help="Bootstrap replicates per interval.")] = 1000,
    n_permutations: Annotated[int, typer.Option(min=1, help="Permutations per p-value against chance.")] = 999,
    seed: Annotated[int, typer.Option(help="Seed of bootstrap and permutations.")] = 42,
    jobs: Jobs = -1,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder for tables (CSV) and figures (PNG).")] = None,
    format: Print = Format.table,
) -> None:
    """Compare models: scores against chance, paired differences, ranks over tasks, composite, calibration.

    Differences answer two questions. p_these: do the models differ on these crew members or time points? (Predictions
    are exchanged day by day.) p_new: would they differ on new ones? (Sign flip over crew, which has a floor; for genes
    and metabolites the corrected t-test over repetitions.)

    A model that is identical in two folders is counted once. If it differs, its name is prefixed with the folder's; the
    plain name in --against refers to the first folder. `somb run` prints the name of its run folder.

    Examples:

    `somb run --tasks A1 --models logreg,sklearn.svm:SVC --out results/mine`, then

    `somb compare results/open-rigorous results/mine --against logreg --out comparison`
    """
    from somb_utils.runs import compare as comparing
    from somb_utils.runs.workers import count

    count(jobs)
    run = comparing.gather(runs, tasks or (), models or (), protocol)
    names = list(run.results["model"].unique())
    if len(names) < 2:
        raise UsageError("a comparison needs at least two models; name further run folders")
    if out is not None:
        from somb_utils import plots  # noqa: F401  # reports a missing extra before the work
    comparison = comparing.compare(run, n_bootstrap, n_permutations, seed, jobs)
    if against is None:
        against = _best(comparison)
    elif against not in names:
        against = next(iter(comparing.named(names, against)), against)
    differences = comparing.against(comparison.differences, against)
    _print(comparison, differences, against, format, run.own_tasks)
    if out is not None:
        _write(comparison, differences, against, out)
        print(f"tables and figures: {out}", file=sys.stderr)


def _best(comparison: "Comparison") -> str:
    if comparison.ranks is not None:
        return str(comparison.ranks.ranks.index[0])
    ranks = comparison.scores.groupby("task")["mean"].rank(ascending=False)
    return str(ranks.groupby(comparison.scores["model"]).mean().idxmin())


def _print(
    comparison: "Comparison", differences: "pd.DataFrame", reference: str, format: Format, own: "Definitions"
) -> None:
    from somb_utils.labels import BEST_NOTE, THESE_NOTE

    scores = comparison.scores.drop(columns=["protocol", "source", "failed", "undefined"])
    if format is Format.json:
        print_frame(scores, format)
        return
    tables = {
        "Scores, 95 % interval, p against chance (labels or days shuffled), q over the table": scores,
        f"Paired difference from {reference}; wins: share of bootstrap replicates above it; p_these: on these crew, "
        "time points, missions or tissues; p_new: on new ones, or new genes or metabolites": differences.drop(
            columns="protocol"
        ),
    }
    if comparison.ranks is not None:
        title = f"Mean rank over {len(comparison.ranks.scores)} tasks, Friedman p = {comparison.ranks.p:.2g}"
        tables[title] = _ranks(comparison.ranks)
    if comparison.ratings is not None:
        title = "Elo, and improvability: share of the error that the task's best model avoids; intervals over tasks"
        tables[title] = comparison.ratings.reset_index()
    note = "95 % interval; p_best: share of bootstrap replicates in which it is best"
    for name, composite in (
        ("Composite", comparison.composite),
        ("Composite of the extensions", comparison.extensions),
    ):
        if composite is not None and len(composite):
            tables[f"{name}, {note}"] = composite.reset_index()
    if len(comparison.calibration):
        tables["Calibration of binary tasks; skill: Brier score against the prevalence"] = comparison.calibration
    mark = {"simulated": " (SIMULATED tables)", "custom": " (your own tables)"}.get(comparison.source, "")
    for title, table in tables.items():
        print_frame(_rounded(table), format, title=title + mark)
    if format is not Format.table:
        return
    print(BEST_NOTE)
    if "low_these" in scores:
        print(THESE_NOTE)
    if untested := _without_day_test(comparison.scores, own):
        names = ",".join(untested)
        said = "FILE" if set(untested) & {key.partition("/")[0] for key in own} else names
        print(f"No p on {names}, whose labels follow the day of sampling: somb day {said} --run FOLDER tests them.")
    floors = differences.loc[differences["test"] == "sign flip", "floor"]
    if len(floors):
        shown = ", ".join(sorted({f"{floor:g}" for floor in floors}))
        print(
            f"With so few crew members, time points, missions or tissues, the sign flip gives no p_new below {shown}."
        )


def _without_day_test(scores: "pd.DataFrame", own: "Definitions") -> list[str]:
    """Return the tasks that need a day test of a model and have none."""
    from somb_utils.runs.baselines import TRIVIAL
    from somb_utils.tasks.definitions import task_of

    lacking = scores[scores["p"].isna() & ~scores["model"].isin(TRIVIAL)]
    tasks = lacking[["task", "protocol"]].drop_duplicates().itertuples(index=False, name=None)
    return [name for name, protocol in tasks if (task := task_of(name, protocol, own)) and task.label_by_day]


def _ranks(ranking: "Ranking") -> "pd.DataFrame":
    table = ranking.uncertainty.copy()
    table.insert(0, "mean_rank", ranking.ranks)
    return table.reset_index()


def _rounded(frame: "pd.DataFrame") -> "pd.DataFrame":
    floats, flags = (frame.select_dtypes(kind).columns for kind in ("float", "bool"))
    shown = frame.astype(dict.fromkeys((*floats, *flags), object)).fillna({"shuffled": ""})
    shown[floats] = frame[floats].map(lambda v: "" if v != v else f"{v:.3f}")
    shown[flags] = frame[flags].map(lambda v: "*" if v else "")
    return shown


def _write(comparison: "Comparison", differences: "pd.DataFrame", reference: str, out: Path) -> None:
    from somb_utils._escape import spreadsheet
    from somb_utils.plots import compare as plots

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SombError(f"{out} cannot be created: {error.strerror}; name another folder with --out") from None
    source = comparison.source
    tables = {"scores": comparison.scores, "differences": comparison.differences, "calibration": comparison.calibration}
    figures = {"differences": plots.differences(differences, reference, source=source)}
    if comparison.ranks is not None:
        tables["ranks"] = _ranks(comparison.ranks)
        figures["critical_difference"] = plots.critical_difference(comparison.ranks, source=source)
    if comparison.ratings is not None:
        tables["ratings"] = comparison.ratings.reset_index()
    if comparison.composite is not None:
        tables["composite"] = comparison.composite.reset_index()
    for task in comparison.calibration["task"].unique() if len(comparison.calibration) else ():
        figures[f"calibration_{task}"] = plots.reliability(comparison.curves, task, source=source)
    for name, table in tables.items():
        with replacing(out / f"{name}.csv") as temporary:
            spreadsheet(table.assign(source=source)).to_csv(temporary, index=False)
    for name, figure in figures.items():
        with replacing(out / f"{name}.png") as temporary:
            figure.savefig(temporary, dpi=140, format="png")
