"""F6 and F7, species by MetaPhlAn: what the rows are, and the scores that were measured on plain percentages."""

from dataclasses import replace
from pathlib import Path

import pytest

import somb_utils as somb
from somb_utils.tables.sources import load_table


@pytest.mark.parametrize("task", ["F6", "F7"])
def test_features_are_species_in_percent(task: str, open_data: Path) -> None:
    data = somb.load_task(task, source=open_data / "processed")
    table = load_table("microbiome_human_metaphlan", open_data / "processed").set_index("clade")
    classified = 100 - table.loc["UNCLASSIFIED", data.X.index].to_numpy(dtype=float)
    assert data.X.shape == (275, 953) and data.X.columns.str.contains(r"\|s__").all()
    assert data.X.sum(axis=1).to_numpy() == pytest.approx(classified, abs=1e-3)
    failed = table.columns[(table.loc["UNCLASSIFIED"] == 100).to_numpy()]
    note = next(note for note in data.task.notes if "unclassified to 100" in note)
    assert note.startswith(" and ".join(failed)) and not set(failed) & set(data.X.index)


@pytest.mark.parametrize(("task", "logreg", "rf"), [("F6", 0.341, 0.448), ("F7", 0.288, 0.492)])
def test_scores_with_the_species_in_the_order_of_the_file(task: str, logreg: float, rf: float, open_data: Path) -> None:
    data = somb.load_task(task, "aligned", open_data / "processed")
    clades = load_table("microbiome_human_metaphlan", open_data / "processed")["clade"]
    data = replace(data, X=data.X[clades[clades.isin(data.X.columns)].tolist()])  # a forest depends on their order
    means = somb.run(data, ["logreg", "rf"], n_jobs=1).summary(n_bootstrap=0).set_index("model")["mean"]
    assert means["logreg"] == pytest.approx(logreg, abs=0.002) and means["rf"] == pytest.approx(rf, abs=0.02)
