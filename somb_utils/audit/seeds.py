"""How much a score depends on the random seed: the same folds, fitted with several seeds."""

import json
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import pandas as pd

from somb_utils.errors import SombError, UsageError
from somb_utils.paths import DATA, replacing
from somb_utils.runs.code import LIBRARIES
from somb_utils.runs.record import KEY
from somb_utils.runs.runner import run
from somb_utils.tasks.task_data import TaskData

STORED = DATA / "reference" / "seed_scores.csv"
PROVENANCE = DATA / "reference" / "seed_scores_provenance.json"


def seed_scores(loaded: Sequence[TaskData], models: Any, seeds: Sequence[int], n_jobs: int = 1) -> pd.DataFrame:
    """Fit each model once per seed and return its primary scores.

    Parameters
    ----------
    loaded
        Tasks; their folds stay the same.
    models
        Names of baselines or estimators, as :func:`somb_utils.run` takes them.
    seeds
        At least two.
    n_jobs
        Folds fitted at once.

    Returns
    -------
    DataFrame
        ``task``, ``protocol``, ``model``, ``metric``, ``chance``, ``seed``, ``score`` (mean over folds), ``folds`` and
        ``failed`` (counts).

    Raises
    ------
    UsageError
        If fewer than two seeds are given.
    """
    if len(seeds) < 2:
        raise UsageError(f"a spread over seeds needs at least 2 of them, not {len(seeds)}")
    runs = [
        run(list(loaded), models, seed=seed, n_seeds=1, n_jobs=n_jobs).summary().assign(seed=seed) for seed in seeds
    ]
    scores = pd.concat(runs, ignore_index=True).rename(columns={"mean": "score"})
    return scores[[*KEY, "metric", "chance", "seed", "score", "folds", "failed"]]


def spread(scores: pd.DataFrame) -> pd.DataFrame:
    """Return how far each score moves over seeds.

    Parameters
    ----------
    scores
        As :func:`seed_scores` returns them.

    Returns
    -------
    DataFrame
        One row per task, protocol and model: ``task``, ``protocol``, ``model``, ``metric``, ``chance``, ``seeds``
        (count), ``mean``, ``sd`` (sample), ``lowest``, ``highest``, ``first`` (the score at the first seed) and
        ``rank`` (the share of the other seeds that score lower than the first; ties count half).
    """
    groups = scores.groupby([*KEY, "metric", "chance"], sort=False)["score"]
    table = groups.agg(seeds="count", mean="mean", sd="std", lowest="min", highest="max", first="first", rank=_rank)
    return table.reset_index()


def _rank(values: pd.Series) -> float:
    others = values.iloc[1:]
    return float((others < values.iloc[0]).mean() + (others == values.iloc[0]).mean() / 2)


def store(scores: pd.DataFrame, loaded: Sequence[TaskData]) -> None:
    """Store scores over seeds under ``data/reference``, in place of those of the same tasks, protocol and models."""
    if (kind := loaded[0].provenance["source"]) != "open":
        raise UsageError(f"only scores on real tables are kept, these are {kind}; get them with: somb data fetch")
    if n_failed := scores["failed"].sum():
        raise UsageError(f"{n_failed} fold jobs failed; scores that are kept have none")
    fingerprints = {f"{data.name}/{data.protocol}": data.fingerprint for data in loaded}
    if STORED.is_file():
        before = stored()
        kept = before[~before.set_index(KEY).index.isin(scores.set_index(KEY).index)]
        scores = pd.concat([kept, scores], ignore_index=True)
        fingerprints = {**json.loads(PROVENANCE.read_text(encoding="utf-8"))["tasks"], **fingerprints}
    scores = scores.sort_values(["protocol", "task", "model", "seed"], kind="stable")
    versions = {name: version(name) for name in ("somb-utils", *LIBRARIES)}
    provenance = json.dumps({"source": "open", "tasks": fingerprints, "versions": versions}, indent=1, sort_keys=True)
    with replacing(STORED) as temporary:
        scores.round({"score": 6, "chance": 6}).to_csv(temporary, index=False)
    with replacing(PROVENANCE) as temporary:
        temporary.write_text(provenance + "\n", encoding="utf-8")


def stored() -> pd.DataFrame:
    """Return the stored scores over seeds, in the columns of `seed_scores`."""
    if not STORED.is_file():
        raise SombError(f"{STORED} is missing; measure it with: somb audit seeds --tasks '*' --store")
    return pd.read_csv(STORED)
