"""Results of a run: tidy tables, their summary and composite."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from somb_utils.errors import UsageError
from somb_utils.runs.baselines import RANDOM, TRIVIAL
from somb_utils.runs.record import KEY
from somb_utils.tasks.definitions import catalogue

MULTILABEL = "multilabel_"  # before the name of a model of a multilabel task in the published scores


@dataclass(frozen=True)
class RunResult:
    """Scores and predictions of models on tasks.

    Parameters
    ----------
    results
        One row per task, model, fold and metric. ``status`` is ``ok``, ``undefined`` (the fold leaves the metric
        undefined) or ``failed: reason``; ``value`` is missing unless ok.
    predictions
        One row per tested id (and label, if multilabel). ``y_score`` is missing for multiclass tasks.
    provenance
        Data source and hashes, chance levels, and how each group of rows was made.
    """

    results: pd.DataFrame
    predictions: pd.DataFrame
    provenance: dict[str, Any]

    def summary(self, n_bootstrap: int = 1000, seed: int = 42, n_jobs: int | None = None) -> pd.DataFrame:
        """Summarise each task and model on the primary metric.

        Parameters
        ----------
        n_bootstrap
            Replicates of the 95 % interval; 0 for none.
        seed
            Of the replicates.
        n_jobs
            Tasks at once, in threads; as :class:`joblib.parallel_config` says when omitted, which is one unless set.

        Returns
        -------
        DataFrame
            One row per task and model: mean and population SD over the scored folds, how many those are, failed and
            undefined folds, chance level, interval (``low``, ``high``), and whether the model is tied with the best
            (``tied``).

        Examples
        --------
        >>> import somb_utils as somb
        >>> somb.run("A1", "majority", source="simulated", n_jobs=1).summary(n_bootstrap=0)["mean"].round(2).tolist()
        [0.2]
        """
        from somb_utils.stats.bootstrap import with_intervals

        return with_intervals(summarise(self.results, self.provenance), self.predictions, n_bootstrap, seed, n_jobs)

    def composite(self) -> pd.DataFrame:
        """Return the composite score of each model: how far above chance it is, as a mean over groups of tasks.

        Returns
        -------
        DataFrame
            Indexed by model, best first.
        """
        return composite_of(summarise(self.results, self.provenance))

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


def summarise(results: pd.DataFrame, provenance: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row per task and model on the primary metric.

    Columns: task, protocol, model, source, metric, mean and sd (population) over the scored folds, folds (how many
    those are), failed and undefined (how many are left out), chance.
    """
    metric = {key.split("/")[0]: entry["metric"] for key, entry in provenance["tasks"].items()}
    primary = results[results["metric"] == results["task"].map(metric)]
    grouped = primary.groupby([*KEY, "source", "metric"], sort=False)
    table = grouped.agg(
        mean=("value", "mean"),
        sd=("value", lambda v: float(np.std(v.dropna())) if v.notna().any() else np.nan),
        folds=("value", "count"),
        failed=("status", lambda s: int(s.str.startswith("failed").sum())),
        undefined=("status", lambda s: int((s == "undefined").sum())),
    ).reset_index()
    keys = table["task"] + "/" + table["protocol"]
    return table.assign(chance=[provenance["tasks"][key]["chance"] for key in keys])


def composite(scores: pd.DataFrame, reference: Mapping[str, float]) -> pd.DataFrame:
    """Return the composite score, best model first: a mean over groups of how far above chance it is.

    Each mean score becomes (score - reference) / (1 - reference), floored at 0, where `reference` is the chance level
    by task. Supplementary tasks stay out. Beside ``composite`` stand one column per group, and how many ``groups``
    there are.
    """
    group = {task.id: task.composite_group for task in catalogue().values()}
    kept = scores[scores["task"].map(group).notna() & scores["mean"].notna()]
    base = kept["task"].map(dict(reference)).astype(float)
    above = ((kept["mean"] - base) / (1 - base)).clip(lower=0)
    table = kept.assign(group=kept["task"].map(group), above=above).pivot_table(
        index="model", columns="group", values="above", aggfunc="mean"
    )
    groups = table.notna().sum(axis=1)
    return table.assign(composite=table.mean(axis=1), groups=groups).sort_values("composite", ascending=False)


def composite_of(summary: pd.DataFrame) -> pd.DataFrame:
    """Return the composite of a run's summary, by the rule of its protocol.

    ``aligned`` measures against the exact chance level. ``published`` measures against the random baseline's own
    score, and counts models of multilabel tasks as other models, as the published benchmark named them.
    """
    protocols = summary["protocol"].unique()
    if len(protocols) != 1:
        raise UsageError(f"a composite needs one protocol, these results mix {', '.join(protocols)}")
    if protocols[0] == "aligned":
        return composite(summary, dict(zip(summary["task"], summary["chance"], strict=True)))
    random = summary[summary["model"] == RANDOM]
    reference = dict(zip(random["task"], random["mean"], strict=True))
    lacking = sorted(set(summary["task"]) - set(reference))
    if lacking:
        raise UsageError(f"the published composite needs the random baseline, which is missing for {lacking[0]}")
    multilabel = [task.id for task in catalogue().values() if task.type == "multilabel"]
    renamed = summary["task"].isin(multilabel) & ~summary["model"].isin(TRIVIAL)
    return composite(summary.assign(model=summary["model"].mask(renamed, MULTILABEL + summary["model"])), reference)
