"""Figures: each is a figure, names N, has labels that fit, and says when its data are simulated."""

from dataclasses import replace
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from figures import cfrna, clinical
from figures.clinical import consistent_changes, relative_change
from matplotlib.figure import Figure

from somb_utils import plots
from somb_utils.plots.style import COLOURS, colours_of
from somb_utils.runs.coefficients import coefficients
from somb_utils.tables.sources import load_table
from somb_utils.tasks.task_data import load_task


@pytest.fixture(scope="module")
def a1():
    return load_task("A1", source="simulated")


@pytest.fixture(scope="module")
def c2():
    return load_task("C2", source="simulated")


@pytest.fixture(scope="module")
def draws():
    return load_table("clinical_cbc", "simulated").set_index("sample_id")


def _score_table():
    base = {"metric": "auroc", "low": 0.4, "high": 0.7, "chance": 0.5, "rows": 380, "folds": 5}
    rows = [
        {"task": t, "model": m, "mean": 0.6, "published": np.nan, **base} for t in ("C2", "D1") for m in ("rf", "own")
    ]
    return pd.DataFrame(rows)


def _folds_of(table):
    return table[["task", "model"]].merge(pd.DataFrame({"value": [0.5, 0.7]}), how="cross")


DRAWINGS = {
    "timeline": lambda a1, c2, draws: (plots.timeline, draws.reset_index()),
    "missing": lambda a1, c2, draws: (plots.missing, a1.X),
    "pca": lambda a1, c2, draws: (plots.pca, a1.X, draws),
    "trajectories": lambda a1, c2, draws: (clinical.trajectories, draws.filter(like="cbc_"), draws),
    "folds of samples": lambda a1, c2, draws: (plots.folds, a1),
    "folds of features": lambda a1, c2, draws: (plots.folds, c2),
    "volcano": lambda a1, c2, draws: (plots.volcano, {"Plasma": load_table("proteomics_plasma_de_clean", "simulated")}),
    "scatter": lambda a1, c2, draws: (plots.scatter, c2.X, "logFC", "t"),
    "distribution": lambda a1, c2, draws: (cfrna.distribution, {"all": c2.X["logFC"]}, "log2 fold change"),
    "counts": lambda a1, c2, draws: (plots.counts, c2.y.value_counts().to_frame("n"), "proteins"),
    "heatmap": lambda a1, c2, draws: (plots.heatmap, c2.X.corr(), "correlation"),
    "coefficients": lambda a1, c2, draws: (plots.coefficients, c2, coefficients(c2)),
    "scores": lambda a1, c2, draws: (plots.scores, _score_table(), _folds_of(_score_table())),
}


def _texts(figure):
    axes = [axis for axis in figure.axes if axis.get_visible()]
    labels = [axis.get_title(loc="left") + axis.get_xlabel() + axis.get_ylabel() for axis in axes]
    return " ".join([*labels, figure.get_supxlabel(), figure.get_supylabel()])


@pytest.mark.parametrize("name", DRAWINGS)
@pytest.mark.parametrize("source", ["simulated", "open"])
def test_figure_names_n_and_marks_simulated_data(name, source, a1, c2, draws):
    draw, *inputs = DRAWINGS[name](a1, c2, draws)
    figure = draw(*inputs, source=source)
    assert isinstance(figure, Figure)
    assert "N = " in _texts(figure)
    assert (figure.get_suptitle() == "SIMULATED DATA") == (source == "simulated")


@pytest.mark.parametrize("name", DRAWINGS)
@pytest.mark.parametrize("source", ["simulated", "open"])
def test_no_legend_label_or_mark_is_clipped(name, source, a1, c2, draws):
    draw, *inputs = DRAWINGS[name](a1, c2, draws)
    figure = draw(*inputs, source=source)
    figure.canvas.draw()
    box = figure.get_tightbbox(figure.canvas.get_renderer())
    assert box.x0 > -0.1
    assert box.y0 > -0.1
    assert box.x1 < figure.get_figwidth() + 0.1
    assert box.y1 < figure.get_figheight() + 0.1


@pytest.mark.parametrize(("mean", "said"), [(0.6, "N = 380 rows)"), (0.03, "N = 380 rows; axis ends at 0.05)")])
def test_axis_of_scores_ends_early_only_where_all_are_small_and_says_so(mean, said):
    table = _score_table().assign(mean=mean, low=mean - 0.01, high=mean + 0.01, chance=0.01)
    axes = plots.scores(table, table[["task", "model"]].assign(value=mean)).axes[0]
    assert axes.get_title(loc="left").endswith(said)
    assert axes.get_xlim()[1] > mean + 0.01


def test_small_matrix_carries_its_numbers(c2):
    axes = plots.heatmap(c2.X.corr(), "correlation").axes[0]
    assert [text.get_text() for text in axes.texts][:2] == ["1.00", f"{c2.X.corr().iloc[0, 1]:.2f}"]


def test_phases_crew_and_baselines_keep_their_colour():
    assert colours_of(["recovery", "own", "rf"]) == {
        "recovery": COLOURS["recovery"],
        "own": "#0072B2",
        "rf": COLOURS["rf"],
    }


def test_more_names_than_colours_still_get_one():
    assert len(colours_of(map(str, range(25)))) == 25


def test_change_is_against_the_same_persons_own_baseline():
    samples = pd.DataFrame({"crew": ["a", "a", "b", "b"], "phase": ["pre_flight", "post_flight"] * 2})
    change = relative_change(pd.DataFrame({"x": [10.0, 15.0, 100.0, 150.0]}), samples)
    assert change["x"].tolist() == [0, 50, 0, 50]


def test_consistent_changes_put_shared_moves_first():
    samples = pd.DataFrame({"crew": list("ab") * 2, "phase": ["pre_flight"] * 2 + ["post_flight"] * 2})
    change = pd.DataFrame({"mixed": [0.0, 0, 40, -40], "shared": [0.0, 0, 20, 21]})
    assert consistent_changes(change, samples).index[0] == "shared"


def test_coefficients_name_features_of_every_fold_and_class(a1):
    table = coefficients(replace(a1, protocol="aligned"))
    assert set(table["feature"]) == set(a1.X.columns)
    assert table.groupby(["fold", "output"]).ngroups == 4 * 3


def test_coefficients_find_the_feature_that_decides(c2):
    X = c2.X.assign(t=c2.codes + 0.0)
    table = coefficients(replace(c2, X=X))
    assert table.groupby("feature")["coefficient"].mean().idxmax() == "t"


def test_coefficients_leave_out_what_the_baselines_leave_out(c2):
    X = c2.X.assign(rare=np.where(np.arange(len(c2.X)) % 2, np.nan, 1.0))
    fitted = {protocol: coefficients(replace(c2, X=X, protocol=protocol)) for protocol in ("rigorous", "aligned")}
    assert {name: "rare" in set(table["feature"]) for name, table in fitted.items()} == {
        "rigorous": False,
        "aligned": True,
    }


def test_names_with_dollar_signs_are_no_formulas() -> None:
    name = r"Net $\oops$ $"
    table = pd.DataFrame({name: [0.5, 0.2], "logreg": [0.1, 0.4]}, index=["A1", "C2"])
    shown = plots.heatmap(table, "share", limit=1.0, what=name)
    shown.savefig(BytesIO())
