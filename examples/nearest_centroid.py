"""Nearest shrunken centroids, and ratios of blood values that a clinician would read.

An estimator gets arrays: imputed, scaled and without names. Features that need names are made before, in the
``TaskData``: load the task, change its `X`, run it. Imputation and scaling then still happen inside each fold.
Each ratio here is made from one row alone, so no fold learns anything from another's rows.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer
from sklearn.neighbors import NearestCentroid

import somb_utils as somb
from somb_utils.errors import UsageError

Values = Callable[[str], pd.Series]

RATIOS: dict[str, Callable[[Values], pd.Series]] = {
    # Stress and inflammation shift the white cells against one another.
    "neutrophils_to_lymphocytes": lambda v: v("cbc_absolute_neutrophils") / v("cbc_absolute_lymphocytes"),
    "platelets_to_lymphocytes": lambda v: v("cbc_platelet_count") / v("cbc_absolute_lymphocytes"),
    "lymphocytes_to_monocytes": lambda v: v("cbc_absolute_lymphocytes") / v("cbc_absolute_monocytes"),
    # Liver.
    "ast_to_alt": lambda v: v("cmp_ast") / v("cmp_alt"),
    # In weightlessness fluid moves to the head, and plasma volume falls.
    "osmolality": lambda v: 2 * v("cmp_sodium") + v("cmp_glucose") / 18 + v("cmp_urea_nitrogen_bun") / 2.8,
    "anion_gap": lambda v: v("cmp_sodium") - v("cmp_chloride") - v("cmp_carbon_dioxide"),
    # Bone gives off calcium, a part of which albumin binds.
    "corrected_calcium": lambda v: v("cmp_calcium") + 0.8 * (4 - v("cmp_albumin")),
}


def make() -> NearestCentroid:
    """Return an unfitted classifier; features whose class means hardly differ drop out (Tibshirani 2002)."""
    return NearestCentroid(shrink_threshold=0.5)


def with_ratios(data: somb.TaskData) -> somb.TaskData:
    """Return the task with the ratios beside its own features; ratios of two positive values as logarithms.

    Raises
    ------
    UsageError
        If the task lacks the blood panel.
    """

    def values(name: str) -> pd.Series:
        if name not in data.X:
            raise UsageError(f"{data.name} has no feature '{name}'; the ratios are made for A1")
        return data.X[name]

    made = {name: ratio(values) for name, ratio in RATIOS.items()}
    made = {name: np.log(made[name]) if "_to_" in name else made[name] for name in made}
    return replace(data, X=data.X.assign(**made))


def main(
    data: Annotated[str, typer.Option(help="auto, open, simulated, or a folder of the published CSV files.")] = "auto",
    out: Annotated[Path | None, typer.Option(help="Run folder of the model with ratios.")] = None,
) -> None:
    """Score the classifier on A1 without and with the ratios."""
    task = somb.load_task("A1", source=data)
    plain = somb.run([task], {"centroid": make()}, n_jobs=1)
    own = somb.run([with_ratios(task)], {"centroid_ratios": make()}, n_jobs=1, out=out)
    print(pd.concat([plain.summary(), own.summary()]).to_string(index=False))


if __name__ == "__main__":
    typer.run(main)
