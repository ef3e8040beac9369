"""Phase or day: what the notebooks show of the day test."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from figures import days

from somb_utils import notebook
from somb_utils.runs.day import relabellings


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    out = str(tmp_path_factory.mktemp("run"))
    session = notebook.start(
        tasks=["A1"], models=["majority", "logreg", "rf"], source="simulated", out=out, n_bootstrap=0
    )
    session.run()
    return session


@pytest.fixture(scope="module")
def tested(session):
    return days.tests(session, n=9)


def test_day_test_of_the_logistic_regression_becomes_the_p_value_of_its_score(session, tested):
    (row,) = tested.to_dict("records")
    assert (row["model"], row["relabellings"], row["floor"]) == ("logreg", 9, 0.1)
    scores = session.scores.set_index("model")
    assert scores.at["logreg", "p"] == row["p_day"] and scores.at["logreg", "shuffled"] == "days"
    assert np.isnan(scores.at["rf", "p"])


def test_stored_tests_of_the_same_tables_are_read_and_others_are_not(session, tested, monkeypatch):
    forest = tested.drop(columns=["all", "chance"]).assign(model="rf", p_day=0.4)
    stored = pd.concat([forest, forest.assign(data_sha256="of other tables", p_day=0.01)])
    monkeypatch.setattr(days, "stored_day_tests", lambda: stored)
    read = days.tests(session, n=1).set_index("model")
    assert read["p_day"].to_dict() == {"logreg": 0.5, "rf": 0.4}


def test_every_other_assignment_of_phases_is_counted(session):
    data = session.tasks["A1"]
    of_day = data.y.groupby(data.days).first().astype("category").cat.codes.to_numpy()
    assert days.assignments(data) == len(relabellings(of_day, 999, 42)) - 1 == 139


def test_day_that_marks_every_sample_is_recognised_and_noise_is_not(session):
    data = session.tasks["A1"]
    marks = pd.get_dummies(data.days).astype(float).set_axis(data.X.index)
    assert days.recognised(replace(data, X=marks)) == 1
    assert days.recognised(replace(data, X=marks * 0)) == pytest.approx(1 / 7)


def test_limits_name_the_floor_of_four_crew_and_the_class_of_one_day(session, monkeypatch):
    shown = []
    monkeypatch.setattr(days, "show", shown.append)
    days.limits(session)
    (text,) = shown
    assert "2 / 2^4 = 0.125" in text and "1 / 140" in text and "post_flight" in text
