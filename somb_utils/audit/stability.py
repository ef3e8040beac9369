"""How much a score owes to the random seed, to the draw that stands for chance, and to single crew members."""

import json
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import pandas as pd

from somb_utils.errors import UsageError
from somb_utils.paths import DATA, replacing
from somb_utils.runs.cache import LIBRARIES
from somb_utils.runs.results import RunResult
from somb_utils.runs.runner import run
from somb_utils.stats.design import GROUPED
from somb_utils.studies import grid as measured
from somb_utils.tasks.definitions import get_task
from somb_utils.tasks.task_data import TaskData

STORED = DATA / "reference" / "seed_scores.csv"
PROVENANCE = DATA / "reference" / "seed_scores_provenance.json"
# The random baseline draws fold k with seed + k: seeds that far apart never share a draw.
STEP = 100
KEY = ["task", "protocol", "model", "metric"]


def seeds_from(first: int, number: int) -> list[int]:
    """Return `number` seeds, the first and others far enough from it that no two share a draw.

    Examples
    --------
    >>> seeds_from(42, 3)
    [42, 142, 242]
    """
    return [first + STEP * i for i in range(number)]


def seed_scores(loaded: Sequence[TaskData], models: Any, seeds: Sequence[int], n_jobs: int = 1) -> pd.DataFrame:
    """Fit each model once a seed and return its primary scores.

    Parameters
    ----------
    loaded : tasks
    models : see :func:`somb_utils.runs.models.resolve_models`
    seeds : seeds of the models; folds stay
    n_jobs : fold jobs at once

    Returns
    -------
    DataFrame
        task, protocol, model, metric, chance, seed, score (mean over folds), folds, failed.

    Raises
    ------
    UsageError
        If fewer than two seeds are given.
    """
    if len(seeds) < 2:
        raise UsageError(f"a spread over seeds needs at least 2 of them, not {len(seeds)}")
    runs = [run(list(loaded), models, seed=seed, n_jobs=n_jobs).summary().assign(seed=seed) for seed in seeds]
    columns = [*KEY, "chance", "seed", "score", "folds", "failed"]
    return pd.concat(runs, ignore_index=True).rename(columns={"mean": "score"})[columns]


def spread(scores: pd.DataFrame) -> pd.DataFrame:
    """Return, for each task and model, how far its score moves over seeds.

    Parameters
    ----------
    scores : as :func:`seed_scores` returns them

    Returns
    -------
    DataFrame
        task, protocol, model, metric, chance, seeds, mean, sd (sample), lowest, highest, first (the score at the first
        seed) and rank (the share of the other seeds that score lower than the first; ties count half).
    """
    groups = scores.groupby([*KEY, "chance"], sort=False)["score"]
    table = groups.agg(seeds="count", mean="mean", sd="std", lowest="min", highest="max", first="first")
    return table.assign(rank=groups.agg(_rank)).reset_index()


def _rank(values: pd.Series) -> float:
    others = values.iloc[1:]
    return float((others < values.iloc[0]).mean() + (others == values.iloc[0]).mean() / 2)


def without_one_group(result: RunResult) -> pd.DataFrame:
    """Return how low each score falls when one group (crew member or time point) is left out of its mean.

    Parameters
    ----------
    result : a run; its tasks that leave one group out are looked at, on their primary metric

    Returns
    -------
    DataFrame
        task, protocol, model, metric, chance, mean, lowest (the mean without the group that adds most), without (that
        group) and carried (whether the mean is above chance with that group, and not without it).
    """
    summary = result.summary(0)
    grouped = summary[[get_task(task).split in GROUPED for task in summary["task"]]]
    folds = result.results.merge(grouped[[*KEY, "chance", "mean"]], on=KEY).dropna(subset="value")
    others = folds.groupby(KEY, sort=False)["value"]
    folds["lowest"] = (others.transform("sum") - folds["value"]) / (others.transform("count") - 1)
    table = folds.dropna(subset="lowest").sort_values("lowest", kind="stable").drop_duplicates(KEY)
    table = table.assign(carried=(table["mean"] > table["chance"]) & (table["lowest"] <= table["chance"]))
    table = table.rename(columns={"fold": "without"})[[*KEY, "chance", "mean", "lowest", "without", "carried"]]
    return table.set_index(KEY).loc[grouped.set_index(KEY).index.intersection(table.set_index(KEY).index)].reset_index()


def store(scores: pd.DataFrame, loaded: Sequence[TaskData]) -> None:
    """Keep scores over seeds under ``data/reference``, in place of those of the same tasks, protocol and models.

    Parameters
    ----------
    scores : as :func:`seed_scores` returns them
    loaded : the tasks they are of

    Raises
    ------
    UsageError
        If the tables are not the published ones, or a fit failed.
    """
    if (kind := loaded[0].provenance["source"]) != "open":
        raise UsageError(f"only scores on real tables are kept, these are {kind}; get them with: somb data fetch")
    if scores["failed"].any():
        raise UsageError(f"{scores['failed'].sum()} fold jobs failed; scores that are kept have none")
    made = {f"{data.name}/{data.protocol}": data.fingerprint for data in loaded}
    if STORED.is_file():
        before, key = stored(), ["task", "protocol", "model"]
        kept = before[~before.set_index(key).index.isin(scores.set_index(key).index)]
        scores = pd.concat([kept, scores], ignore_index=True)
        made = {**json.loads(PROVENANCE.read_text(encoding="utf-8"))["tasks"], **made}
    scores = scores.sort_values(["protocol", "task", "model", "seed"], kind="stable")
    libraries = {name: version(name) for name in ("somb-utils", *LIBRARIES)}
    with replacing(STORED) as temporary:
        scores.round({"score": 6, "chance": 6}).to_csv(temporary, index=False)
    with replacing(PROVENANCE) as temporary:
        entry = {"source": "open", "tasks": made, "versions": libraries}
        temporary.write_text(json.dumps(entry, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def stored() -> pd.DataFrame:
    """Return the stored scores over seeds, in the columns of :func:`seed_scores`.

    Raises
    ------
    SombError
        If none are stored.
    """
    return measured.read(STORED, "somb audit seeds --tasks '*' --store")
