"""Results of a run: tidy tables, their summary and composite."""

import json
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd

from somb_utils.runs.baselines import TRIVIAL
from somb_utils.runs.record import KEY
from somb_utils.tasks.definitions import Task, read_task

if TYPE_CHECKING:
    from somb_utils.stats.intervals import Drawn

Key = tuple[str, str, str]  # task, protocol and model


@dataclass(frozen=True)
class RunResult:
    """Scores and predictions of models on tasks.

    Parameters
    ----------
    results
        One row per task, model, seed, fold and metric. ``status`` is ``ok``, ``undefined`` (the fold leaves the metric
        undefined) or ``failed: reason``; ``value`` is missing unless ok.
    predictions
        One row per seed, fold and tested id (and label, if multilabel). ``y_score`` is missing for multiclass tasks,
        which have ``y_proba`` instead, the probabilities of the classes in the order of the definition.
    provenance
        Data source and hashes, chance levels, and how each group of rows was made.
    """

    results: pd.DataFrame
    predictions: pd.DataFrame
    provenance: dict[str, Any]

    @property
    def own_tasks(self) -> dict[str, Task]:
        """Definitions of tasks that are not in the catalogue, by ``TASK/PROTOCOL``, for :mod:`somb_utils.stats`."""
        entries = self.provenance["tasks"].items()
        stated = {key: json.dumps(entry["definition"]) for key, entry in entries if "definition" in entry}
        return {key: read_task(text, f"the definition of {key} in provenance") for key, text in stated.items()}

    def summary(self, n_bootstrap: int = 1000, seed: int = 42, n_jobs: int | None = None) -> pd.DataFrame:
        """Summarise each task and model on the primary metric.

        Parameters
        ----------
        n_bootstrap
            Replicates of the 95 % interval; 0 for none.
        seed
            Of the replicates.
        n_jobs
            Tasks at once, in threads; one when omitted, unless :class:`joblib.parallel_config` names threads.

        Returns
        -------
        DataFrame
            One row per task and model: mean over seeds and folds, population SD over the scored folds (means over
            seeds), how many those are, failed and undefined fits, number of ``seeds`` and the sample SD of their scores
            (``seed_sd``), chance level, interval (``low``, ``high``), and whether the model is in the set of
            ``best`` models, which a multiple comparison with the best (Hsu 1981) cannot exclude. Where tasks leave out
            missions or tissues, that interval is for new ones, and ``low_these`` and ``high_these`` are those for new
            animals on these missions or tissues.

        Examples
        --------
        >>> import somb_utils as somb
        >>> somb.run("A1", "majority", source="simulated", n_jobs=1).summary(n_bootstrap=0)["mean"].round(2).tolist()
        [0.5]
        """
        from somb_utils.stats.best import marked

        table = self._scores_of_tasks.copy()
        drawn = self.draws(n_bootstrap, seed, n_jobs) if n_bootstrap else {}
        parts = [
            marked(rows, new, TRIVIAL, seed, self.own_tasks, these)
            for protocol, rows in table.groupby("protocol", sort=False)
            for new, these in [drawn.get(str(protocol), ({}, {}))]
        ]
        return pd.concat(parts).loc[table.index] if parts else marked(table, {}, TRIVIAL)

    def with_p_values(
        self, summary: pd.DataFrame, n_permutations: int = 999, seed: int = 42, n_jobs: int | None = None
    ) -> pd.DataFrame:
        """Add p-values against chance to the summary.

        Parameters
        ----------
        summary
            Of :meth:`summary`.
        n_permutations, seed
            Shuffles behind each p-value, and their seed.
        n_jobs
            As in :meth:`summary`.

        Returns
        -------
        DataFrame
            As :func:`somb_utils.stats.with_p_values` makes it. Trivial baselines are not tested. On phase tasks, `p` is
            that of :func:`somb_utils.day_test`, where it was made: those of the baselines on the open tables come with
            the package, and ``somb day --run`` adds others to a run folder.

        Examples
        --------
        >>> import somb_utils as somb
        >>> run = somb.run(["A1", "I3"], "logreg", source="simulated", n_jobs=1)
        >>> run.with_p_values(run.summary(n_bootstrap=0), 99)[["task", "p", "shuffled"]].values.tolist()
        [['A1', nan, None], ['I3', 0.01, 'labels']]
        """
        from somb_utils.runs.day_tests import p_of_days
        from somb_utils.stats import with_p_values

        p_day = p_of_days(self.provenance)
        return with_p_values(summary, self.predictions, n_permutations, seed, n_jobs, TRIVIAL, p_day, self.own_tasks)

    def with_day_tests(self, tests: Sequence[Mapping[str, Any]]) -> "RunResult":
        """Return the same run with other day tests in its provenance, for :meth:`with_p_values`.

        Parameters
        ----------
        tests
            As :meth:`somb_utils.runs.day.DayTest.row` gives them.

        Returns
        -------
        RunResult
            The run.

        Examples
        --------
        >>> import somb_utils as somb
        >>> run = somb.run("A1", "logreg", source="simulated", n_jobs=1)
        >>> tested = run.with_day_tests([somb.day_test("A1", "logreg", source="simulated", n=19, n_jobs=1).row()])
        >>> tested.with_p_values(tested.summary(n_bootstrap=0))["p"].tolist()
        [0.05]
        """
        other = copy(self)
        other.__dict__["provenance"] = {**self.provenance, "day_tests": list(tests)}
        return other

    def composite(
        self,
        weights: Mapping[str, float] | None = None,
        n_bootstrap: int = 1000,
        seed: int = 42,
        n_jobs: int | None = None,
        extensions: bool = False,
    ) -> pd.DataFrame:
        """Return the composite score of each model: how far above chance it is, as a mean over groups of tasks.

        Parameters
        ----------
        weights
            Weight of each group of tasks in that mean, such as ``{"A": 2, "E": 0.5}``; a group not named has 1.
        n_bootstrap
            Replicates of the 95 % interval; 0 for none. Each task's are drawn by its own design.
        seed
            Of the replicates.
        n_jobs
            Tasks at once, in threads; one when omitted, unless :class:`joblib.parallel_config` names threads.
        extensions
            Whether it is the composite of the extensions, and not that of the published benchmark's tasks.

        Returns
        -------
        DataFrame
            Indexed by model, best first: one column per group, ``composite``, its interval (``low``, ``high``),
            ``p_best`` (the share of replicates in which the model is the best of those that learn) and how many
            ``groups`` there are. Empty if the run has no such task.

        Raises
        ------
        UsageError
            If the results are of several protocols, or a weight names no group of these tasks, is negative, or all
            are 0.

        Examples
        --------
        >>> import somb_utils as somb
        >>> result = somb.run(["A1", "D1"], ["majority", "logreg"], source="simulated", n_jobs=1)
        >>> result.composite(weights={"A": 2}, n_bootstrap=100)["p_best"].to_dict()
        {'logreg': 1.0, 'majority': nan}
        """
        from somb_utils.runs.composite import composite_of

        summary = self._scores_of_tasks
        protocols = list(summary["protocol"].unique())
        drawn = self.draws(n_bootstrap, seed, n_jobs) if n_bootstrap and len(protocols) == 1 else {}
        return composite_of(summary, drawn.get(protocols[0], (None,))[0] if drawn else None, weights, extensions)

    def failures(self) -> pd.DataFrame:
        """List the fold jobs that failed.

        Returns
        -------
        DataFrame
            Columns task, protocol, model, fold and reason.
        """
        failed = self.results[self.results["status"].str.startswith("failed")]
        reasons = failed.assign(reason=failed["status"].str.removeprefix("failed: "))
        return reasons[[*KEY, "fold", "reason"]].drop_duplicates().reset_index(drop=True)

    def of(self, keys: Sequence[Key]) -> "RunResult":
        """Return the results of some tasks and models alone.

        Parameters
        ----------
        keys
            Task, protocol and model of each, in the order that their rows are to have.

        Returns
        -------
        RunResult
            Of a run folder, it reads no predictions of other models.

        Examples
        --------
        >>> import somb_utils as somb
        >>> run = somb.run(["A1", "D1"], ["majority", "random"], source="simulated", n_jobs=1)
        >>> run.of([("D1", "rigorous", "random")]).summary(0)[["task", "model"]].values.tolist()
        [['D1', 'random']]
        """
        wanted = pd.MultiIndex.from_tuples(keys, names=KEY)

        def selected(frame: pd.DataFrame) -> pd.DataFrame:
            place = wanted.get_indexer(pd.MultiIndex.from_frame(frame[KEY]))
            order = place.argsort(kind="stable")
            return frame.iloc[order[place[order] >= 0]].reset_index(drop=True)

        return RunResult(selected(self.results), selected(self.predictions), of_keys(self.provenance, keys))

    def draws(self, n_bootstrap: int = 1000, seed: int = 42, n_jobs: int | None = None) -> "Drawn":
        """Return the bootstrap scores behind the intervals.

        Parameters
        ----------
        n_bootstrap, seed, n_jobs
            As in :meth:`summary`.

        Returns
        -------
        dict
            By protocol, two mappings from (task, model) to replicates, shape (n_bootstrap,). The first is for new crew,
            time points, missions, tissues, genes or metabolites; the second for new animals on these missions or
            tissues, where tasks leave those out.

        Raises
        ------
        UsageError
            If `n_bootstrap` is below 1.

        Examples
        --------
        >>> import somb_utils as somb
        >>> run = somb.run("D1", ["majority", "logreg"], source="simulated", n_jobs=1)
        >>> new, these = run.draws(n_bootstrap=200)["rigorous"]
        >>> new["D1", "logreg"].shape, these
        ((200,), {})
        """
        settings = n_bootstrap, seed
        if settings not in self._made:
            self._made[settings] = self._draw(*settings, n_jobs)
        return self._made[settings]

    def _draw(self, n_bootstrap: int, seed: int, n_jobs: int | None) -> "Drawn":
        from somb_utils.stats.bootstrap import draw_each_protocol

        return draw_each_protocol(self.predictions, n_bootstrap, seed, n_jobs, self.own_tasks)

    @cached_property
    def _scores_of_tasks(self) -> pd.DataFrame:
        return summarise(self.results, self.provenance)

    @cached_property
    def _made(self) -> dict[tuple[int, int], "Drawn"]:
        return {}


def keys_of(provenance: Mapping[str, Any]) -> list[Key]:
    """Return task, protocol and model of each record."""
    return [(entry["task"], entry["protocol"], entry["model"]) for entry in provenance["models"]]


def of_keys(provenance: Mapping[str, Any], keys: Sequence[Key]) -> dict[str, Any]:
    """Return the provenance of some tasks and models alone."""
    entries = dict(zip(keys_of(provenance), provenance["models"], strict=True))
    kept = [entries[key] for key in keys if key in entries]
    tasks, runs = ({f"{e['task']}/{e['protocol']}" for e in kept}, {e["run"] for e in kept})
    return {
        **provenance,
        "models": kept,
        "tasks": {key: entry for key, entry in provenance["tasks"].items() if key in tasks},
        "runs": {run: entry for run, entry in provenance["runs"].items() if run in runs},
    }


def summarise(results: pd.DataFrame, provenance: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row per task and model on the primary metric.

    Columns: task, protocol, model, source, metric, mean and sd (population) over the scored folds, folds (how many
    those are), failed and undefined (how many fits are left out), seeds and the sample SD of their scores, chance. A
    fold's score is the mean over its seeds.
    """
    metric = {key.split("/")[0]: entry["metric"] for key, entry in provenance["tasks"].items()}
    primary = results[results["metric"] == results["task"].map(metric)]
    key = [*KEY, "source", "metric"]
    folds = primary.groupby([*key, "fold"], sort=False)["value"].mean().groupby(key, sort=False)
    of_seeds = primary.groupby([*key, "seed"], sort=False)["value"].mean().groupby(key, sort=False)
    lost = primary.assign(
        failed=primary["status"].str.startswith("failed").astype(int),
        undefined=(primary["status"] == "undefined").astype(int),
    ).groupby(key, sort=False)
    table = pd.DataFrame({
        "mean": folds.mean(),
        "sd": folds.std(ddof=0),
        "folds": folds.count(),
        "failed": lost["failed"].sum(),
        "undefined": lost["undefined"].sum(),
        "seeds": of_seeds.count(),
        "seed_sd": of_seeds.std(),
    }).reset_index()  # fmt: skip
    keys = table["task"] + "/" + table["protocol"]
    return table.assign(chance=[provenance["tasks"][key]["chance"] for key in keys])
