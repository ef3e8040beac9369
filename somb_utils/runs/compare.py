"""Comparison of models: scores against chance, paired differences, ranks over tasks, calibration."""

import json
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pandas as pd

from somb_utils import stats
from somb_utils.errors import UsageError
from somb_utils.runs.baselines import TRIVIAL
from somb_utils.runs.folder import joined_provenance, load_run
from somb_utils.runs.results import RunResult, keys_of
from somb_utils.stats.intervals import N_BOOTSTRAP
from somb_utils.stats.paired import of_draws
from somb_utils.stats.permutation import N_PERMUTATIONS
from somb_utils.tasks.definitions import Protocol, task_of

_SCORE = ["task", "fold", "metric"]


@dataclass(frozen=True)
class Comparison:
    """What :func:`somb_utils.compare` computes.

    Parameters
    ----------
    scores
        The summary with interval, ``best`` set, ``p`` against chance and ``q`` over the table.
    differences
        Every pair of models on every task, by paired bootstrap, and their p-values on these crew (``p_these``) and on
        new ones (``p_new``); see :func:`somb_utils.stats.differences`.
    ranks
        Mean ranks with their intervals and tests; None with fewer than three models on two common tasks.
    ratings
        Elo and improvability, where there are ranks; see :func:`somb_utils.stats.ratings`.
    composite
        The composite of each model with its interval; None if its protocol needs the random baseline, which is missing,
        or no task is part of it.
    extensions
        The same over the tasks that extend the published benchmark.
    calibration
        One row per binary task and model whose scores are probabilities: rows, prevalence, Brier score, skill.
    curves
        The reliability curve of each of them, with columns task and model.
    source
        ``simulated``, ``open`` or ``custom``.
    """

    scores: pd.DataFrame
    differences: pd.DataFrame
    ranks: stats.Ranking | None
    ratings: pd.DataFrame | None
    composite: pd.DataFrame | None
    extensions: pd.DataFrame | None
    calibration: pd.DataFrame
    curves: pd.DataFrame
    source: str


def gather(
    folders: Sequence[Path], tasks: Sequence[str] = (), models: Sequence[str] = (), protocol: str | None = None
) -> RunResult:
    """Return several run folders as one run.

    A model that several folders have under one name, made in the same way and with the same scores, is one model. Where
    it differs, its name is prefixed by the end of its folder's path, as much of it as distinguishes the folders; its
    plain name in `models` then means all of them. `tasks`, `models` and `protocol` select what to keep.
    """
    runs = {Path(folder).resolve(): load_run(folder) for folder in folders}
    if protocol is not None:
        runs = {
            folder: run.of([k for k in keys_of(run.provenance) if k[1] == protocol]) for folder, run in runs.items()
        }
    _check_alike(runs)
    names = _names(runs)
    held = [(task, names[folder, model]) for folder, run in runs.items() for task, _, model in keys_of(run.provenance)]
    kept: list[set[str]] = []
    for what, wanted, of_what in (("task", tasks, 0), ("model", models, 1)):
        known = list(dict.fromkeys(key[of_what] for key in held))
        chosen = {name: [name] if name in known else named(known, name) for name in wanted}
        unknown = [name for name, those in chosen.items() if not those]
        if unknown:
            raise UsageError(f"no run holds the {what} {', '.join(unknown)}; they hold {', '.join(sorted(known))}")
        kept.append({name for those in chosen.values() for name in those} or set(known))
    if len(runs) == 1:
        run = next(iter(runs.values()))
        return run.of([key for key in keys_of(run.provenance) if key[0] in kept[0] and key[2] in kept[1]])
    seen: set[tuple[str, str]] = set()
    parts = []
    for folder, run in runs.items():
        new = {key: (key[0], names[folder, key[2]]) for key in keys_of(run.provenance)}
        keys = [
            key for key, (task, name) in new.items() if task in kept[0] and name in kept[1] and new[key] not in seen
        ]
        seen.update(new[key] for key in keys)
        parts.append(_renamed(run.of(keys), {model: names[folder, model] for *_, model in keys}))
    return RunResult(
        pd.concat([part.results for part in parts], ignore_index=True),
        pd.concat([part.predictions for part in parts], ignore_index=True),
        joined_provenance([part.provenance for part in parts]),
    )


def named(models: Sequence[str], name: str) -> list[str]:
    """Return those of `models` that were called `name` before :func:`gather` put their folders in front."""
    return [model for model in models if model.endswith(f":{name}")]


def _check_alike(runs: Mapping[Path, RunResult]) -> None:
    _check_one_protocol({protocol for run in runs.values() for _, protocol, _ in keys_of(run.provenance)})
    sources = {str(run.provenance["source"]) for run in runs.values()}
    if len(sources) > 1:
        raise UsageError(f"runs of one data source compare; these are of {', '.join(sorted(sources))}")
    entries: dict[str, str] = {}
    for folder, run in runs.items():
        for key, entry in run.provenance["tasks"].items():
            if entries.setdefault(key, entry["data_sha256"]) != entry["data_sha256"]:
                raise UsageError(f"{folder}: {key} was run on other data or folds than in the folders before it")


def _check_one_protocol(protocols: Collection[str]) -> None:
    if len(protocols) > 1:
        raise UsageError(
            f"runs of one protocol compare; these are of {', '.join(sorted(protocols))}. Choose one with --protocol"
        )


def _names(runs: Mapping[Path, RunResult]) -> dict[tuple[Path, str], str]:
    """Return the name of each folder's models in the joined run."""
    groups: dict[str, list[list[Path]]] = {}
    for folder, run in runs.items():
        for model in dict.fromkeys(model for *_, model in keys_of(run.provenance)):
            known = groups.setdefault(model, [])
            same = next((g for g in known if all(_equal(runs[other], run, model) for other in g)), None)
            known.append([folder]) if same is None else same.append(folder)
    names: dict[tuple[Path, str], str] = {}
    taken = {model for model, known in groups.items() if len(known) == 1}
    tail = _tails(list(runs))
    for model, known in groups.items():
        for group in known:
            name = model if len(known) == 1 else f"{tail[group[0]]}:{model}"
            while len(known) > 1 and name in taken:  # a user's model may have any name
                name += "'"
            taken.add(name)
            names.update({(folder, model): name for folder in group})
    return names


def _tails(folders: Sequence[Path]) -> dict[Path, str]:
    """Return the end of each folder's path, of as many parts as no two folders share."""
    for n in range(1, max(len(folder.parts) for folder in folders)):
        tails = {folder: Path(*folder.parts[-n:]).as_posix() for folder in folders}
        if len(set(tails.values())) == len(tails):
            return tails
    return {folder: folder.as_posix() for folder in folders}


def _equal(run: RunResult, other: RunResult, model: str) -> bool:
    """Return whether two runs made a model in the same way and, on the tasks of both, gave it the same scores."""
    both = [r.of([key for key in keys_of(r.provenance) if key[2] == model]) for r in (run, other)]
    tables = [part.results.set_index(_SCORE)["value"].sort_index() for part in both]
    tasks = [table.index.get_level_values("task") for table in tables]
    first, second = tables[0][tasks[0].isin(tasks[1])], tables[1][tasks[1].isin(tasks[0])]
    return first.equals(second) and _records(run, model) == _records(other, model)


def _records(run: RunResult, model: str) -> set[str]:
    parts = ("target", "params", "seed", "code")
    entries = [entry for entry in run.provenance["models"] if entry["model"] == model]
    return {json.dumps([entry.get(part) for part in parts], sort_keys=True, default=str) for entry in entries}


def _renamed(run: RunResult, names: Mapping[str, str]) -> RunResult:
    results, predictions = (f.assign(model=f["model"].replace(dict(names))) for f in (run.results, run.predictions))
    entries = [{**entry, "model": names[entry["model"]]} for entry in run.provenance["models"]]
    return RunResult(results, predictions, {**run.provenance, "models": entries})


def compare(
    run: RunResult,
    n_bootstrap: int = N_BOOTSTRAP,
    n_permutations: int = N_PERMUTATIONS,
    seed: int = 42,
    n_jobs: int | None = None,
) -> Comparison:
    """Compare the models of a run.

    Parameters
    ----------
    run
        Of one protocol.
    n_bootstrap, n_permutations, seed
        Of the intervals and p-values.
    n_jobs
        Tasks at once, in threads; one when omitted, unless :class:`joblib.parallel_config` names threads.

    Returns
    -------
    Comparison
        Tables of scores, differences, ranks, composite and calibration.

    Raises
    ------
    UsageError
        If the run is of several protocols.

    Examples
    --------
    >>> import somb_utils as somb
    >>> result = somb.run("D1", ["majority", "logreg"], source="simulated", n_jobs=1)
    >>> compare(result, n_bootstrap=50, n_permutations=50).differences[["a", "b", "folds"]].values.tolist()
    [['majority', 'logreg', 5]]
    """
    _check_one_protocol(run.results["protocol"].unique())
    drawn = n_bootstrap, seed, n_jobs
    draws, _ = next(iter(run.draws(*drawn).values()), ({}, {}))  # of the one protocol
    scores = run.with_p_values(run.summary(*drawn), n_permutations, seed, n_jobs)
    differences = of_draws(run.results, run.predictions, draws, n_permutations, seed, run.own_tasks)
    ranks = ratings = composite = extensions = None
    with suppress(UsageError):
        ranks = stats.ranking(scores[~scores["model"].isin(TRIVIAL)], draws)
        ratings = stats.ratings(ranks.scores)
    with suppress(UsageError):
        composite, extensions = (run.composite(None, *drawn, extensions=added) for added in (False, True))
        composite, extensions = (table if len(table) else None for table in (composite, extensions))
    table, curves = _calibrations(run)
    source = str(run.provenance["source"])
    return Comparison(scores, differences, ranks, ratings, composite, extensions, table, curves, source)


def _calibrations(run: RunResult) -> tuple[pd.DataFrame, pd.DataFrame]:
    rows, curves, own = [], [], run.own_tasks
    for (name, protocol, model), part in run.predictions.groupby(["task", "protocol", "model"], sort=False):
        task = task_of(str(name), cast("Protocol", protocol), own)
        if task is None or task.type != "binary" or model in TRIVIAL or not part["y_score"].between(0, 1).all():
            continue
        calibration = stats.calibration(part, task)
        key = {"task": str(name), "model": str(model)}
        share = (part["y_true"] == task.classes[1]).mean()
        rows.append(
            {**key, "rows": len(part), "prevalence": share, "brier": calibration.brier, "skill": calibration.skill}
        )
        curves.append(calibration.curve.assign(**key))
    return pd.DataFrame(rows), pd.concat(curves, ignore_index=True) if curves else pd.DataFrame()


def against(table: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Return the differences of every other model to a reference, each turned to be model less reference."""
    turned = table.rename(columns={"a": "b", "b": "a", "low": "high", "high": "low"})
    turned[["difference", "low", "high"]] = 0 - turned[["difference", "low", "high"]]
    turned["wins"] = 1 - turned["wins"]
    both = pd.concat([table, turned], ignore_index=True)
    rows = both[both["b"] == reference]
    if rows.empty:
        known = ", ".join(dict.fromkeys(both["b"])) or "none"
        raise UsageError(f"no model was compared with {reference}; those compared: {known}")
    return rows.drop(columns="b").rename(columns={"a": "model"}).sort_values("task", kind="stable", ignore_index=True)
