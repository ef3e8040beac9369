"""What the benchmarks compare is the same thing done twice."""

from pathlib import Path

import pytest

import somb_utils as somb
from somb_utils.tables.sources import SimulatedSource


def test_the_reference_loop_and_the_run_give_the_same_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent.parent / "benchmarks"))
    import speed

    tasks, models = ["A1", "C2"], ("majority", "logreg")
    result = somb.run(tasks, models, protocol="published", source="simulated", n_jobs=1)
    scores = speed.reference(tasks, SimulatedSource(), models)
    assert len(scores) == 18 and speed.largest_difference(scores, result.results) == 0
    scores["A1", "logreg", 0]["accuracy"] += 0.25
    assert speed.largest_difference(scores, result.results) == 0.25
    del scores["A1", "logreg", 0]["accuracy"]
    with pytest.raises(ValueError, match="do not have the same scores"):
        speed.largest_difference(scores, result.results)
