"""Figures of notebooks E to I: what they compute before they draw, and that simulated data are marked."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import somb_utils as somb
from somb_utils.tables.sources import resolve_source

pytest.importorskip("matplotlib")
from figures import cross_mission, cross_tissue, microbiome, multimodal, spatial
from matplotlib.figure import Figure

from somb_utils.plots.samples import mission_order

SOURCE = resolve_source("simulated")
LAYERS = {name: SOURCE.load(f"gt_spatial_de_{name}") for name in ("outer_dermis", "epidermis")}


def titles(made: Figure) -> str:
    return " ".join(axes.get_title(loc="left") for axes in made.axes)


def swabs() -> pd.DataFrame:
    return SOURCE.load("microbiome_metadata").query("source == 'human'")


def h1(copies: int = 0) -> somb.TaskData:
    data = somb.load_task("H1", source=SOURCE)
    X = data.X.copy()
    X.iloc[1 : 1 + copies] = X.iloc[0].to_numpy()
    return replace(data, X=X)


FIGURES: dict[str, Callable[[str], Figure]] = {
    "layers": lambda s: spatial.layers(SOURCE.load("gt_spatial_de_all_skin"), LAYERS, source=s),
    "tested": lambda s: spatial.tested(LAYERS, source=s),
    "swab_calendar": lambda s: microbiome.swab_calendar(swabs(), source=s),
    "cells": lambda s: cross_tissue.cells(h1().X, h1().y == "changed", source=s),
    "strip": lambda s: cross_tissue.strip(h1().X.mean(axis=1), h1().y, "mean", source=s),
    "shares": lambda s: cross_mission.shares({"H1": h1().y}, {"changed"}, source=s),
}


@pytest.mark.parametrize("name", FIGURES)
def test_figures_of_simulated_tables_alone_are_marked(name: str) -> None:
    for source in ("simulated", "open"):
        made = FIGURES[name](source)
        assert (made.get_suptitle() == "SIMULATED DATA") == (source == "simulated")
        assert len(made.axes) > 0 and any(axes.has_data() for axes in made.axes)


def test_titles_count_what_was_tested() -> None:
    table = LAYERS["outer_dermis"]
    said = titles(spatial.tested({"outer dermis": table}))
    assert f"{table['adj_pval'].notna().sum():,} of {len(table):,} tested, {(table['adj_pval'] < 0.05).sum()}" in said


def test_days_in_flight_stand_before_the_return() -> None:
    assert mission_order(swabs()) == ["L-92", "L-44", "FD2", "FD3", "R+1", "R+45", "R+82"]


def test_confusion_counts_every_prediction() -> None:
    rows = pd.DataFrame({"y_true": ["a", "a", "b"], "y_pred": ["a", "b", "b"]})
    made = microbiome.confusion(rows, ["a", "b", "c"], "toy")
    shown = made.axes[0].images[0].get_array()
    assert shown is not None
    assert np.asarray(shown).tolist() == [[50, 50, 0], [0, 100, 0], [0, 0, 0]] and "N = 3" in titles(made)


def test_confusion_shows_phases_in_the_order_of_the_mission() -> None:
    rows = pd.DataFrame({"y_true": ["in_flight", "pre_flight"], "y_pred": ["in_flight", "recovery"]})
    made = microbiome.confusion(rows, ["in_flight", "pre_flight", "recovery"], "toy")
    assert [label.get_text() for label in made.axes[0].get_xticklabels()] == ["pre flight", "in flight", "recovery"]


def test_pairing_finds_the_row_whose_block_was_used() -> None:
    right = somb.load_task("G1", "aligned", SOURCE).X
    used = right.copy()
    proteins = right.filter(regex="^proteomics:").columns
    used[proteins] = right[proteins].iloc[::-1].to_numpy()
    assert multimodal.block_rows(right, used, "proteomics") == list(range(len(right)))[::-1]
    assert multimodal.block_rows(right, used, "metabolomics") == list(range(len(right)))


def test_published_stack_misplaces_blocks() -> None:
    right = somb.load_task("G1", "aligned", SOURCE).X
    used = somb.load_task("G1", "published", SOURCE).X.loc[right.index, right.columns]
    for block, own in (("clinical", True), ("proteomics", False), ("metabolomics", False)):
        assert (multimodal.block_rows(right, used, block) == list(range(len(right)))) is own


@pytest.mark.parametrize(("copies", "genes"), [(0, 0), (3, 1)])
def test_repeats_counts_identical_rows(copies: int, genes: int) -> None:
    assert titles(cross_tissue.repeats(h1(copies))).startswith(f"{genes} genes")
