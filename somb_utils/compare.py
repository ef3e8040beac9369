"""Models set side by side: scores against chance, paired differences, ranks over tasks, calibration."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from somb_utils import stats
from somb_utils.errors import UsageError
from somb_utils.results import RunResult, load_run
from somb_utils.tasks import catalogue

GUESSES = ("random", "majority")


@dataclass(frozen=True)
class Comparison:
    """What :func:`compare` finds.

    Attributes
    ----------
    scores : the summary with interval, ties, `p` and `q` (see :func:`somb_utils.stats.with_p_values`)
    differences : every pair of models on every task (see :func:`somb_utils.stats.differences`)
    ranks : mean ranks and their tests; None with fewer than three models on two common tasks
    calibration : one row a binary task and model whose scores are probabilities: rows, prevalence, brier, skill
    curves : the reliability curve of each of them, with columns task and model
    source : ``simulated``, ``open`` or ``custom``
    """

    scores: pd.DataFrame
    differences: pd.DataFrame
    ranks: stats.Ranking | None
    calibration: pd.DataFrame
    curves: pd.DataFrame
    source: str


def gather(folders: Sequence[Path], tasks: Sequence[str] = (), models: Sequence[str] = ()) -> RunResult:
    """Return several run folders as one run; a model name that several hold gets its folder's name in front.

    Parameters
    ----------
    folders : of runs of one protocol on one data source
    tasks, models : those to keep; all when empty

    Raises
    ------
    UsageError
        If the runs differ in protocol, tables or folds, or a task or model is in none.
    """
    runs = {folder: load_run(folder) for folder in folders}
    for name, values in (("protocol", _protocols(runs)), ("data source", _sources(runs))):
        if len(values) > 1:
            raise UsageError(f"runs of one {name} compare; these are of {', '.join(sorted(values))}")
    entries: dict[str, dict[str, object]] = {}
    for folder, run in runs.items():
        for key, entry in run.provenance["tasks"].items():
            if entries.setdefault(key, entry)["data_sha256"] != entry["data_sha256"]:
                raise UsageError(f"{folder}: {key} was run on other data or folds than in the folders before it")
    owners = pd.Series([m for run in runs.values() for m in run.results["model"].unique()]).value_counts()
    parts = [_renamed(run, folder, set(owners[owners > 1].index)) for folder, run in runs.items()]
    results = pd.concat([part.results for part in parts], ignore_index=True)
    predictions = pd.concat([part.predictions for part in parts], ignore_index=True)
    for column, wanted in (("task", tasks), ("model", models)):
        known = set(results[column])
        unknown = [name for name in wanted if name not in known]
        if unknown:
            raise UsageError(f"no run holds the {column} {', '.join(unknown)}; they hold {', '.join(sorted(known))}")
        if wanted:
            results, predictions = (frame[frame[column].isin(wanted)] for frame in (results, predictions))
    first = next(iter(runs.values()))
    return RunResult(results, predictions, {**first.provenance, "tasks": entries})


def _protocols(runs: dict[Path, RunResult]) -> set[str]:
    return {protocol for run in runs.values() for protocol in run.results["protocol"].unique()}


def _sources(runs: dict[Path, RunResult]) -> set[str]:
    return {str(run.provenance["source"]) for run in runs.values()}


def _renamed(run: RunResult, folder: Path, shared: set[str]) -> RunResult:
    names = {model: f"{folder.name}:{model}" for model in shared}
    results, predictions = (f.assign(model=f["model"].replace(names)) for f in (run.results, run.predictions))
    return RunResult(results, predictions, run.provenance)


def compare(
    run: RunResult, n_bootstrap: int = stats.N_BOOTSTRAP, n_permutations: int = stats.N_PERMUTATIONS, seed: int = 42
) -> Comparison:
    """Compare the models of a run.

    Parameters
    ----------
    run : of one protocol
    n_bootstrap, n_permutations, seed : of the intervals and p-values
    """
    scores = stats.with_p_values(run.summary(n_bootstrap, seed), run.predictions, n_permutations, seed)
    try:
        ranks = stats.ranking(scores[~scores["model"].isin(GUESSES)])
    except UsageError:
        ranks = None
    table, curves = _calibrations(run.predictions)
    return Comparison(
        scores,
        stats.differences(run.results, run.predictions, n_bootstrap, seed),
        ranks,
        table,
        curves,
        str(run.provenance["source"]),
    )


def _calibrations(predictions: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    rows, curves = [], []
    for (name, model), part in predictions.groupby(["task", "model"], sort=False):
        task = catalogue()[str(name).partition("_")[0]]
        if task.type != "binary" or model in GUESSES or not part["y_score"].between(0, 1).all():
            continue
        made = stats.calibration(part, task)
        key = {"task": str(name), "model": str(model)}
        share = (part["y_true"] == task.classes[1]).mean()
        rows.append({**key, "rows": len(part), "prevalence": share, "brier": made.brier, "skill": made.skill})
        curves.append(made.curve.assign(**key))
    return pd.DataFrame(rows), pd.concat(curves, ignore_index=True) if curves else pd.DataFrame()


def against(table: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Return the differences of every other model to one: model, difference, low, high, wins, ... turned its way.

    Raises
    ------
    UsageError
        If no pair holds the reference.
    """
    turned = table.rename(columns={"a": "b", "b": "a", "low": "high", "high": "low"})
    turned = turned.assign(
        difference=0 - turned["difference"], low=0 - turned["low"], high=0 - turned["high"], wins=1 - turned["wins"]
    )
    both = pd.concat([table, turned], ignore_index=True)
    rows = both[both["b"] == reference]
    if rows.empty:
        known = ", ".join(dict.fromkeys(both["b"])) or "none"
        raise UsageError(f"no model was compared with {reference}; those compared: {known}")
    return rows.drop(columns="b").rename(columns={"a": "model"}).sort_values(["task"], kind="stable", ignore_index=True)
