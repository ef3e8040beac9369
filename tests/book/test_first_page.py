"""The committed pictures of README and first page: whose scores they are of, and that the real tables give them."""

import hashlib
from pathlib import Path

import pytest
from figures import first_page

from somb_utils.reference.canonical import SCORES
from somb_utils.tables.sources import resolve_source


@pytest.mark.parametrize("name", ["measured.svg", "chance.svg", "card.png"])
def test_committed_pictures_are_small_and_of_the_stored_scores(name: str) -> None:
    content = (first_page.FOLDER / name).read_bytes()
    assert hashlib.sha256(SCORES.read_bytes()).hexdigest().encode() in content, "run: make pictures"
    assert len(content) < 100_000 and b"SIMULATED" not in content


def test_picture_against_chance_shows_each_task_and_which_scores_are_above() -> None:
    scores = first_page.against_chance()
    axes = first_page.chance(scores).axes[0]
    assert len(axes.get_yticklabels()) == scores["task"].nunique() == 17
    assert scores.loc[scores["above"].fillna(False), "mean"].min() > 0
    shown = (first_page.FOLDER / "chance.svg").read_text(encoding="utf-8")
    assert f">{axes.get_title(loc='left')}<" in shown


def test_samples_of_the_first_page_come_from_the_real_tables(open_data: Path) -> None:
    samples = first_page.samples_of(resolve_source(open_data / "processed"))
    counts = samples[samples["crew"] != "capsule"].groupby("measured").size()
    assert counts["blood count, metabolic panel"] == 28 and counts["microbes of skin, mouth, nose, gut"] == 275
    assert samples.loc[samples["crew"] != "capsule", "crew"].nunique() == 4
    assert set(samples.loc[samples["crew"] == "capsule", "measured"]) == {"microbes of the capsule"}
