"""Models that users bring: their seeds, names, parameters and groups, and the harm that they can do."""

import os
import random
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sklearn
from lightgbm import LGBMClassifier
from sklearn.ensemble import AdaBoostClassifier, RandomForestClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from xgboost import XGBClassifier

import somb_utils as somb
from somb_utils._seeds import MAX_SEED
from somb_utils.errors import UsageError
from somb_utils.runs.models import resolve_models

Command = Callable[..., tuple[int, str, str]]

RUN = ("run", "--data", "simulated", "--jobs", 1, "--format", "csv")


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "helpers"))


def sim(tasks, models, **options):  # type: ignore[no-untyped-def]
    return somb.run(tasks, models, source="simulated", **{"n_jobs": 1, **options})


def scores(result: somb.RunResult) -> pd.DataFrame:
    return result.results.drop(columns="model")


# Seeds


@pytest.mark.parametrize(
    "model",
    [
        "own_trouble:forest",
        "own_trouble:Draws",
        make_pipeline(StandardScaler(), RandomForestClassifier(3)),
        OneVsRestClassifier(make_pipeline(RandomForestClassifier(3))),
    ],
    ids=str,
)
def test_an_own_model_scores_alike_under_one_seed_and_otherwise_under_another(model: object) -> None:
    task = "F3" if model == "own_trouble:Draws" else "A1"
    first, again, other = (sim(task, {"m": model}, seed=seed).results for seed in (7, 7, 8))
    pd.testing.assert_frame_equal(first, again, check_exact=True)
    assert not first.equals(other)


def test_own_seeds_are_kept_and_what_is_set_is_told() -> None:
    a1 = somb.get_task("A1")
    pd.testing.assert_frame_equal(
        sim("A1", "own_trouble:kept", seed=7).results, sim("A1", "own_trouble:kept", seed=8).results
    )
    vote = VotingClassifier([("a", RandomForestClassifier()), ("b", RandomForestClassifier(random_state=3))])
    models = {"forest": "own_trouble:forest", "vote": vote, "logreg": "logreg", "kept": "own_trouble:kept"}
    forest, voted, logreg, kept = (model.check(a1, 7)[1] for model in resolve_models(models))
    assert forest == {"random_state": 7} and list(voted) == ["a__random_state"] and logreg == {} == kept
    params = resolve_models({"vote": vote})[0].make(a1, 0, 7).get_params()
    assert params["a__random_state"] == voted["a__random_state"] and params["b__random_state"] == 3
    assert vote.get_params()["a__random_state"] is None


@pytest.mark.parametrize("seed", [-1, MAX_SEED + 1, 1.5, None])
def test_a_seed_that_cannot_be_is_refused_by_every_function(seed: object, tmp_path: Path) -> None:
    from somb_utils import stats
    from somb_utils.tables.simulate import simulate_table

    result = sim("A1", "random,logreg", out=tmp_path)
    calls = [
        lambda: sim("A1", "logreg", seed=seed),
        lambda: result.summary(10, seed),
        lambda: stats.permutation_p(result.predictions.query("model == 'logreg'"), "A1", 9, seed),
        lambda: stats.differences(result.results, result.predictions, 10, seed),
        lambda: simulate_table("clinical_cbc", seed=seed),
    ]
    for call in calls:
        with pytest.raises(UsageError, match=f"give a whole number from 0 to {MAX_SEED}"):
            call()


def test_a_seed_that_cannot_be_ends_every_command_before_anything_runs(command: Command, tmp_path: Path) -> None:
    assert command(*RUN, "-t", "A1", "--models", "random,majority", "--out", "two")[0] == 0
    before = set(tmp_path.rglob("*"))
    for words in (
        (*RUN, "-t", "A1", "--models", "random", "--out", "one"),
        ("ablate", "B1", "--data", "simulated", "--models", "logreg", "--out", "one"),
        ("compare", "two"),
        ("data", "simulate", "tables"),
    ):
        code, _, err = command(*words, "--seed", -1)
        assert code == 2 and "seed -1: give a whole number from 0 to" in err
    assert set(tmp_path.rglob("*")) == before
    assert sim("A1", "random", seed=MAX_SEED).failures().empty


# Parameters


@pytest.mark.parametrize(
    ("models", "pair", "message"),
    [
        (
            "xgboost",
            "n_estimator=1",
            "model 'xgboost' does not take these parameters: n_estimator (did you mean n_",
        ),
        ("lightgbm", "num_leave=2", "model 'lightgbm' does not take these parameters: num_leave (did you mean num_lea"),
        ("logreg", "c=1", "model 'logreg' does not take these parameters: c (did you mean C?)"),
        ("logreg", "C=[1", "--model-params 'C=[1': the value is not YAML"),
        ("own_trouble:typo", "max_depth=2", "model 'own_trouble:typo' does not take these parameters: n_estimator"),
        ("xgboost", "eta=steep", "model 'xgboost' cannot be made: XGBoostError: "),
    ],
)
def test_a_mistyped_parameter_is_refused(command: Command, models: str, pair: str, message: str) -> None:
    code, _, err = command(*RUN, "-t", "A1", "--models", models, "--model-params", pair)
    assert code == 2 and message in " ".join(err.split())


@pytest.mark.parametrize("booster", [XGBClassifier, LGBMClassifier])
def test_a_mistyped_parameter_of_a_step_is_refused(booster: type) -> None:
    name = booster.__name__.lower()
    with pytest.raises(UsageError, match=r"max_dept \(did you mean max_depth\?\)"):
        sim("A1", make_pipeline(booster()), model_params={"Pipeline": {f"{name}__max_dept": 3}})


def test_what_boosting_libraries_know_by_another_name_is_taken() -> None:
    params = {
        "xgboost": {"n_estimators": 2, "eta": 0.1, "booster": "dart", "rate_drop": 0.5},
        "lightgbm": {"num_iterations": 2, "min_data_in_leaf": 3, "bagging_fraction": 0.5, "bagging_freq": 1},
    }
    assert sim("A1", "xgboost,lightgbm", model_params=params).failures().empty


def test_a_device_that_is_not_there_is_told() -> None:
    result = sim("A1", "xgboost", model_params={"xgboost": {"device": "cuda", "n_estimators": 2}})
    if not result.failures().empty:  # a machine with a GPU fits
        assert result.failures()["reason"].str.contains("xgboost finds no device 'cuda' on this machine").all()
    else:
        pytest.skip("this machine has a GPU")


def test_parameters_are_spelt_as_in_yaml(command: Command) -> None:
    from somb_utils.cli.options import parse_params

    values = {
        **{"None": None, "null": None, "~": None, "false": False, "True": True, "no": "no", "l2": "l2", "'3'": "3"},
        **{"1e2": 100.0, "-1.5E-3": -0.0015, "3": 3, "007": "007", "[1, None]": [1, None], "{a: 1e1}": {"a": 10.0}},
    }
    read = [parse_params([f"rf.x={text}"], ["rf"])["rf"]["x"] for text in values]
    assert list(map(repr, read)) == list(map(repr, values.values()))
    words = ("--model-params", "rf.max_depth=None", "--model-params", "rf.bootstrap=False", "--model-params")
    words = (*words, "rf.n_estimators=2")
    code, out, _ = command(*RUN, "-t", "A1", "--models", "rf", *words)
    assert code == 0 and "rf(max_depth=None, bootstrap=False, n_estimators=2)" in out
    assert "null or None, [1, 2], {a: b}" in " ".join(command("run", "--help")[1].replace("│", " ").split())


def test_a_factory_gets_the_parameters_that_it_has_and_the_estimator_the_others() -> None:
    name = "own_trouble:neighbours"
    (model,) = resolve_models(name, {name: {"n_neighbors": 3, "weights": "distance"}})
    estimator = model.make(somb.get_task("A1"), 0)
    assert estimator.n_neighbors == 6 and estimator.weights == "distance"
    expected = sim("A1", {"m": "own_trouble:neighbours"}, model_params={"m": {"n_neighbors": 2}})
    plain = sim("A1", name, model_params={name: {"n_neighbors": 2}})
    pd.testing.assert_frame_equal(scores(plain), scores(expected))


# Names


def test_a_model_with_parameters_does_not_take_the_place_of_the_baseline(command: Command, tmp_path: Path) -> None:
    words = (*RUN, "-t", "A1", "--models", "logreg,majority")
    assert command(*words)[0] == 0
    before = somb.load_run(tmp_path / "results/simulated-aligned").results.query("model == 'logreg'")
    assert command(*words, "--model-params", "logreg.C=0.0001", "--model-params", "logreg.tol=1e-3")[0] == 0
    after = somb.load_run(tmp_path / "results/simulated-aligned")
    pd.testing.assert_frame_equal(after.results.query("model == 'logreg'").reset_index(drop=True), before)
    name = "logreg(C=0.0001, tol=0.001)"
    assert set(after.results["model"]) == {"logreg", "majority", name}
    words = ("compare", "results/simulated-aligned", "--n-bootstrap", 20, "--n-permutations", 9, "--format", "csv")
    code, out, _ = command(*words, "--models", f"logreg,{name}")
    assert code == 0 and f'"{name}"' in out and "majority" not in out


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({}, "logreg"),
        ({"C": 0.1}, "logreg(C=0.1)"),
        ({"solver": "saga", "C": 0.1}, "logreg(solver='saga', C=0.1)"),
        ({"class_weight": dict(enumerate(range(100))), "C": 2, "tol": 1}, r"logreg\(3 parameters, [0-9a-f]{8}\)"),
        ({"class_weight": np.arange(2000.0)}, r"logreg\(1 parameter, [0-9a-f]{8}\)"),
    ],
)
def test_names_of_models_with_parameters(params: dict, name: str) -> None:
    import re

    (model,) = resolve_models("logreg", {"logreg": params})
    assert model.name == name or re.fullmatch(name, model.name)
    assert model.plain_name == "logreg"
    assert resolve_models({"mine": "logreg"}, {"mine": params})[0].name == "mine"


def test_parameters_that_cannot_be_hashed_need_a_name() -> None:
    params = {"class_weight": [lambda: 1, "x" * 60]}
    with pytest.raises(UsageError, match=r"model 'logreg': .*; give it a name with a mapping"):
        resolve_models("logreg", {"logreg": params})
    assert resolve_models({"mine": "logreg"}, {"mine": params})[0].name == "mine"


# Modules that cannot be imported


@pytest.mark.parametrize(
    ("model", "code", "message"),
    [
        ("trouble_syntax:make", "def make(:", "trouble_syntax.py, line 1: SyntaxError"),
        ("trouble_zero:make", "import json\n\n1 / 0", "trouble_zero.py, line 3: ZeroDivisionError: division by zero"),
        ("trouble_exit:make", "import sys\nsys.exit(0)", "trouble_exit.py, line 2: SystemExit: 0"),
        ("trouble_json:make", "import json\njson.loads('{')", "trouble_json.py, line 2: JSONDecodeError"),
        ("trouble_missing:make", "import nowhere_at_all", "trouble_missing.py, line 1: ModuleNotFoundError: No module"),
        ("trouble_attribute:make", "import os\nos.nothing", "trouble_attribute.py, line 2: AttributeError"),
        ("trouble_none:make", "", "module trouble_none has no 'make'"),
        ("nowhere_at_all:make", "", "cannot import nowhere_at_all"),
        ("./mine.py:make", "", "is not of the form package.module:object"),
        (":make", "", "is not of the form package.module:object"),
        ("mine:", "", "is not of the form package.module:object"),
        ("own_trouble:exits", "", "model 'own_trouble:exits' cannot be made: SystemExit: 0"),
    ],
)
def test_a_broken_module_is_told_on_one_line(
    command: Command, tmp_path: Path, model: str, code: str, message: str
) -> None:
    if model.startswith("trouble_"):
        (tmp_path / f"{model.partition(':')[0]}.py").write_text(code)
    status, _, err = command(*RUN, "-t", "A1", "--models", model)
    assert status == 2 and message in err
    last = err.strip().splitlines()[-1]
    assert last.startswith(f"Error: model '{model}'") and message in last


def test_an_object_inside_a_class_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "trouble_inside.py").write_text(
        "import sklearn.naive_bayes\n\nclass Zoo:\n    Nb = sklearn.naive_bayes.GaussianNB"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert sim("A1", "trouble_inside:Zoo.Nb").failures().empty


def test_a_missing_openmp_library_is_told_with_its_remedy(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cause = "raise OSError('libgomp.so.1: cannot open shared object file: No such file or directory')"
    (tmp_path / "lightgbm.py").write_text(cause)
    monkeypatch.delitem(sys.modules, "lightgbm")
    monkeypatch.syspath_prepend(str(tmp_path))
    code, _, err = command(*RUN, "-t", "A1", "--models", "lightgbm")
    assert code == 2 and "model 'lightgbm' cannot be made: OSError: libgomp.so.1" in err
    assert "apt-get install libgomp1" in err and "brew install libomp" in err


# Label matrices


@pytest.mark.parametrize(
    ("model", "wrapped"),
    [
        (ClassifierChain(GaussianNB()), False),
        (MultiOutputClassifier(GaussianNB()), False),
        (make_pipeline(StandardScaler(), MLPClassifier()), False),
        (GridSearchCV(MultiOutputClassifier(GaussianNB()), {}), False),
        (RandomForestClassifier(), False),
        (OneVsRestClassifier(GaussianNB()), False),
        (LogisticRegression(), True),
        (make_pipeline(StandardScaler(), LGBMClassifier()), True),
        ("logreg", True),
        ("rf", True),
        ("xgboost", True),
        ("lightgbm", True),
        ("mlp", False),
    ],
    ids=str,
)
def test_an_estimator_that_takes_a_label_matrix_gets_it(model: object, wrapped: bool) -> None:
    estimator = resolve_models({"m": model})[0].make(somb.get_task("B2"), 0)
    kind = type(resolve_models({"m": model})[0].make(somb.get_task("A1"), 0))
    assert isinstance(estimator, OneVsRestClassifier if wrapped else kind)


def test_multilabel_models_of_every_kind_are_scored() -> None:
    models = {
        "chain": ClassifierChain(GaussianNB()),
        "each": MultiOutputClassifier(GaussianNB()),
        "forest": RandomForestClassifier(2, max_depth=2),
        "boosting": XGBClassifier(n_estimators=1, max_depth=1),
        "network": "own_trouble:Network",
        "sparse": "own_trouble:SparseMatrix",
    }
    result = sim("B2", models)
    assert result.failures().empty and result.predictions["y_score"].between(0, 1).all()


# Groups


def test_models_that_ask_for_groups_get_the_crew() -> None:
    grid = GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=GroupKFold(3))
    models = {
        "grid": grid,
        "pipeline": make_pipeline(StandardScaler(), grid),
        "own": "own_trouble:Grouped",
        "unrouted": make_pipeline(StandardScaler(), AdaBoostClassifier(n_estimators=2)),
    }
    assert sim("A1", models).failures().empty
    told = sim("C2", "own_trouble:Grouped").failures()["reason"].unique().tolist()
    assert told == ["ValueError: groups are None"]  # a task of features has none


# Harm


def test_a_model_that_changes_all_that_it_can_reach_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    def state() -> tuple:
        streams = sys.stdout, sys.stderr
        generators = random.getstate(), np.random.get_state()[1].tolist()
        settings = sklearn.get_config(), np.geterr(), np.get_printoptions(), list(warnings.filters)
        return (Path.cwd(), dict(os.environ), *streams, *generators, *settings)

    tasks = ["A1", "B2", "F3"]
    others = {"draws": "own_trouble:Draws", "nb": GaussianNB()}
    alone = sim(tasks, others).results
    before = state()
    result = sim(tasks, {"vandal": "own_trouble:Vandal", **others}, out="here")
    assert state() == before and (tmp_path / "here" / "results.parquet").is_file()
    after = result.results.query("model != 'vandal'").reset_index(drop=True)
    pd.testing.assert_frame_equal(after, alone, check_exact=True)
    assert result.failures().query("task != 'B2'").empty
    assert "on standard output" not in capsys.readouterr().out


def test_a_factory_that_returns_one_object_makes_fresh_estimators() -> None:
    fresh = RandomForestClassifier(1, random_state=np.random.RandomState(0))
    first, again, expected = (sim("A1", {"m": m}).results for m in ("own_trouble:shared", "own_trouble:shared", fresh))
    pd.testing.assert_frame_equal(first, expected, check_exact=True)
    pd.testing.assert_frame_equal(again, expected, check_exact=True)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("SystemExit", "SystemExit: enough"),
        ("GeneratorExit", "GeneratorExit: enough"),
        ("MemoryError", "MemoryError: enough"),
        ("StopIteration", "StopIteration: enough"),
        ("UsageError", "AttributeError: "),
        ("recursion", "RecursionError: maximum recursion depth exceeded"),
        ("UnprintableError", r"UnprintableError: \(its message cannot be printed\)"),
    ],
)
def test_a_model_that_leaves_is_a_failed_fold(kind: str, reason: str) -> None:
    result = sim("A1", ["own_trouble:Leaves", "majority"], model_params={"own_trouble:Leaves": {"kind": kind}})
    failures = result.failures()
    assert len(failures) == 4 and failures["reason"].str.match(reason).all()
    assert result.summary().set_index("model").loc["majority", "folds"] == 4


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("list", ""),
        ("series", ""),
        ("lazy", r"predict returned shape \(\)"),
        ("text", "predict returned <U21, expected numbers"),
        ("masked", "predict returned masked values"),
        ("complex", "predict returned complex128, expected numbers"),
        ("half", "predict returned the class 0.5"),
    ],
)
def test_predictions_in_other_forms_are_read_or_refused(kind: str, reason: str) -> None:
    model = "own_trouble:Returns"
    failures = sim("F3", model, model_params={model: {"kind": kind}}).failures()
    assert failures["reason"].str.contains(reason).all() and failures.empty == (not reason)
