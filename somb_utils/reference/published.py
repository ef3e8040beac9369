"""The published scores, and how near a run of the published protocol comes to them."""

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

    Returns
    -------
    DataFrame
        task, model, metric, published, here, difference, tolerance, verdict (``ok`` or ``DIFFERS``).

    Raises
    ------
    UsageError
        If the summary is of another protocol, or shares no task and model with the published scores.
    """
    if set(summary["protocol"]) != {"published"}:
        raise UsageError("only results of the published protocol compare with the published scores")
    reference = published_primary().rename(columns={"mean": "published"})
    both = summary.rename(columns={"mean": "here"}).merge(
        reference[["task", "model", "metric", "published"]], on=["task", "model", "metric"]
    )
    if both.empty:
        raise UsageError("none of these tasks and models has a published score")
    difference = both["here"] - both["published"]
    tolerance = _tolerances(both)
    # A missing score compares as false, and so differs.
    verdict = (difference.abs() <= tolerance).map({True: "ok", False: "DIFFERS"})
    columns = ["task", "model", "metric", "published", "here"]
    return both[columns].assign(difference=difference, tolerance=tolerance, verdict=verdict)


def _tolerances(scores: pd.DataFrame) -> list[float]:
    """Return by how much each score may differ: that of its task and model, else that of its model on every task."""
    listed = pd.read_csv(DATA / "reference" / "published_tolerance.csv", keep_default_na=False)
    known = {(str(row.task), str(row.model)): float(str(row.tolerance)) for row in listed.itertuples()}
    pairs = zip(scores["task"], scores["model"], strict=True)
    return [known.get((task, model), known.get(("", model), TOLERANCE)) for task, model in pairs]
