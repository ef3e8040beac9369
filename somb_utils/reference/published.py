"""The published scores, and how near a run of the published protocol comes to them."""

import pandas as pd

from somb_utils.errors import UsageError
from somb_utils.paths import DATA
from somb_utils.tasks.definitions import catalogue

TOLERANCE = 0.0005
# scikit-learn's forest and LightGBM's small-data splits changed after the scores were published.
WIDER = {"rf": 0.17, "I2 lightgbm": 0.012}


def published_scores() -> pd.DataFrame:
    """Return the published scores: task, model, metric, mean, sd (population, over folds)."""
    return pd.read_csv(DATA / "reference" / "published_scores.csv")


def published_primary() -> pd.DataFrame:
    """Return the published primary scores, with B2's models under the names that all tasks share."""
    scores = published_scores()
    primary = {task.id: task.metrics.primary for task in catalogue().values()}
    metric = scores["task"].str.split("_").str[0].map(primary)
    scores = scores[scores["metric"] == metric]
    return scores.assign(model=scores["model"].str.removeprefix("multilabel_")).reset_index(drop=True)


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
    tolerance = [
        WIDER.get(model, WIDER.get(f"{task} {model}", TOLERANCE))
        for task, model in zip(both["task"], both["model"], strict=True)
    ]
    # A missing score compares as false, and so differs.
    verdict = (difference.abs() <= tolerance).map({True: "ok", False: "DIFFERS"})
    columns = ["task", "model", "metric", "published", "here"]
    return both[columns].assign(difference=difference, tolerance=tolerance, verdict=verdict)
