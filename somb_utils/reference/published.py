"""The published scores, and how closely a run of the published protocol reproduces them."""

import numpy as np
import pandas as pd

from somb_utils.errors import UsageError
from somb_utils.paths import DATA
from somb_utils.runs.results import MULTILABEL
from somb_utils.tasks.definitions import task_of

TOLERANCE = 0.0005  # of a score that ``data/reference/published_tolerance.csv`` does not list


def published_scores() -> pd.DataFrame:
    """Return the scores of the published benchmark.

    Returns
    -------
    DataFrame
        Columns task, model, metric, mean and sd (population, over folds).
    """
    return pd.read_csv(DATA / "reference" / "published_scores.csv")


def published_primary() -> pd.DataFrame:
    """Return the published primary scores, models of multilabel tasks under the names that all tasks share."""
    scores = shared_names(published_scores())
    metrics = {name: task.metrics.primary for name in scores["task"].unique() if (task := task_of(name))}
    return scores[scores["metric"] == scores["task"].map(metrics)].reset_index(drop=True)


def shared_names(scores: pd.DataFrame) -> pd.DataFrame:
    """Return scores with the models of multilabel tasks under the names that all tasks share."""
    return scores.assign(model=scores["model"].str.removeprefix(MULTILABEL))


def compare(summary: pd.DataFrame) -> pd.DataFrame:
    """Set a summary of the published protocol beside the published scores.

    Columns: task, model, metric, published, here, difference, tolerance, verdict (``ok`` or ``DIFFERS``).
    """
    if set(summary["protocol"]) != {"published"}:
        raise UsageError("only results of the published protocol compare with the published scores")
    key = ["task", "model", "metric"]
    reference = published_primary().rename(columns={"mean": "published"})[[*key, "published"]]
    both = summary.rename(columns={"mean": "here"}).merge(reference, on=key)
    if both.empty:
        raise UsageError("none of these tasks and models has a published score")
    difference = both["here"] - both["published"]
    listed = pd.read_csv(DATA / "reference" / "published_tolerance.csv", keep_default_na=False)
    known = listed.set_index(["task", "model"])["tolerance"].astype(float).to_dict()
    pairs = zip(both["task"], both["model"], strict=True)  # a tolerance without a task is of all its model's scores
    tolerance = [known.get((task, model), known.get(("", model), TOLERANCE)) for task, model in pairs]
    verdict = np.where(difference.abs() <= tolerance, "ok", "DIFFERS")  # a missing score differs
    return both[[*key, "published", "here"]].assign(difference=difference, tolerance=tolerance, verdict=verdict)
