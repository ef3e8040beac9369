"""An ensemble of predictions that a run has stored: mean scores and probabilities, or votes. Nothing is fitted again.

It writes one prediction file a task, which ``somb evaluate`` checks and scores. Choose the models before you look at
their scores: an ensemble of those that did best on the test folds is fitted to the test folds.
"""

from pathlib import Path
from typing import Annotated, cast

import numpy as np
import pandas as pd
import typer

import somb_utils as somb
from somb_utils.errors import SombError, UsageError
from somb_utils.paths import replacing
from somb_utils.predictions.codec import encode
from somb_utils.runs.names import split_names
from somb_utils.tasks.definitions import Protocol


def combine(predictions: pd.DataFrame, data: somb.TaskData) -> pd.DataFrame:
    """Return one prediction a tested row, from those of several models.

    Scores and class probabilities are averaged, and a label is positive from 0.5 on. Classes without probabilities are
    voted for; a tie goes to the class that the task names first.

    Raises
    ------
    SombError
        If a model has no prediction for a row, as when it failed on a fold.
    """
    keys = ["fold", "id", "label"]
    grouped = predictions.groupby(keys, sort=False, dropna=False)
    short = grouped["model"].nunique() < predictions["model"].nunique()
    if short.any():
        raise SombError(f"{data.name}: a model has no prediction for {short.idxmax()}; did it fail on that fold?")
    if data.task.type == "multiclass" and predictions["y_proba"].notna().all():
        combined = grouped["y_proba"].agg(lambda rows: np.mean(rows.tolist(), axis=0)).reset_index()
        called = [data.task.classes[int(np.argmax(row))] for row in combined["y_proba"]]
        return combined.assign(y_pred=called, y_score=None)
    if data.task.type == "multiclass":
        votes = predictions.groupby([*keys, "y_pred"], dropna=False).size().rename("votes").reset_index()
        votes["place"] = votes["y_pred"].map(data.task.classes.index)
        return votes.sort_values(["votes", "place"], ascending=[False, True]).drop_duplicates(keys).assign(y_score=None)
    combined = grouped["y_score"].mean().reset_index()
    names = data.task.classes if data.task.type == "binary" else ("0", "1")
    return combined.assign(y_pred=[names[score >= 0.5] for score in combined["y_score"]])


def main(
    run: Annotated[Path, typer.Argument(help="Run folder with the predictions of several models.")],
    out: Annotated[Path, typer.Argument(help="Folder for the prediction files.")],
    models: Annotated[str | None, typer.Option(help="Models to combine. All but random and majority: omit.")] = None,
    protocol: Annotated[str, typer.Option(help="rigorous, aligned or published.")] = "rigorous",
    data: Annotated[str, typer.Option(help="The tables that the run used.")] = "auto",
) -> None:
    """Combine the predictions of a run's models and write them for somb evaluate."""
    stored = somb.load_run(run).predictions
    chosen = split_names(models) if models else sorted(set(stored["model"]) - {"random", "majority"})
    stored = stored[stored["model"].isin(chosen) & (stored["protocol"] == protocol)]
    missing = sorted(set(chosen) - set(stored["model"]))
    if missing or not chosen:
        raise UsageError(f"{run} has no {protocol} predictions of {', '.join(missing) or 'a model to combine'}")
    for task, predictions in stored.groupby("task"):
        loaded = somb.load_task(str(task), cast(Protocol, protocol), data)
        rows = combine(predictions, loaded).assign(protocol=protocol)
        with replacing(out / f"{task}.parquet") as temporary:
            temporary.write_bytes(encode(rows, loaded, "parquet"))
    print(f"{', '.join(chosen)} are combined in {out}; score them with: somb evaluate {out} --protocol {protocol}")


if __name__ == "__main__":
    typer.run(main)
