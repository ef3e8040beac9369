"""Checks find what is planted and nothing else; each figure of the audit comes out of the real tables."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

import somb_utils as somb
from somb_utils.audit import evidence, figures, leaks, pairing, stability
from somb_utils.audit.show import NEEDS_REAL, on_real
from somb_utils.book import audit_parts as page
from somb_utils.book import extension as pages
from somb_utils.errors import SombError, UsageError
from somb_utils.notebook import Session, check
from somb_utils.reference.canonical import canonical_scores
from somb_utils.runs.results import RunResult
from somb_utils.tasks.definitions import catalogue
from somb_utils.tasks.task_data import TaskData, load_task

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def clean() -> TaskData:
    return load_task("H1", source="simulated")


def with_features(data: TaskData, **columns: object) -> TaskData:
    return replace(data, X=data.X.assign(**columns))


# Rows and features ---------------------------------------------------------------------------------------------------


def test_clean_rows_and_features_raise_nothing(clean: TaskData) -> None:
    rows, columns = leaks.row_census(clean), leaks.feature_census(clean)
    assert [rows[k] for k in ("equal_rows", "beside_twin", "empty_rows", "folds_lacking_class")] == [0, 0, 0, 0]
    assert (columns["constant"], columns["repeated"]) == (0, 0)


def test_repeated_rows_are_found_with_their_labels_and_folds(clean: TaskData) -> None:
    X = clean.X.copy()
    fold = clean.folds[0]
    tested, trained = fold.test[0], fold.train[0]
    X.iloc[tested] = X.iloc[trained]
    data = replace(clean, X=X)
    table = leaks.repeated_rows(data)
    assert set(table.index) == {X.index[tested], X.index[trained]}
    assert table["set"].nunique() == 1
    assert table["label"].to_dict() == clean.y[table.index].to_dict()
    apart = [sum(i in f.test and j in f.train for f in clean.folds) for i, j in [(tested, trained), (trained, tested)]]
    assert table.loc[X.index[[tested, trained]], "tested_beside_twin"].tolist() == apart
    assert leaks.row_census(data)["beside_twin"] == sum(apart) >= 1


def test_equal_rows_with_different_labels_are_counted(clean: TaskData) -> None:
    X = clean.X.copy()
    X.iloc[np.flatnonzero(clean.codes == 1)[0]] = X.iloc[np.flatnonzero(clean.codes == 0)[0]]
    assert leaks.row_census(replace(clean, X=X))["equal_label_differs"] == 1


def test_empty_rows_and_folds_without_a_class_are_counted(clean: TaskData) -> None:
    X = clean.X.copy()
    X.iloc[3], X.iloc[4] = 0.0, np.nan
    y = clean.y.copy()
    y.iloc[clean.folds[0].test] = clean.task.classes[0]
    census = leaks.row_census(replace(clean, X=X, y=y))
    assert (census["empty_rows"], census["folds_lacking_class"]) == (2, 1)


def test_telling_and_empty_features_are_counted(clean: TaskData) -> None:
    planted = with_features(clean, constant=1.0, copy=clean.X.iloc[:, 0], name=np.arange(len(clean.X), dtype=float))
    before, after = leaks.feature_census(clean), leaks.feature_census(planted)
    # A copy of a column without ties is one more of these.
    own = int(clean.X.iloc[:, 0].is_unique)
    assert [after[k] - before[k] for k in ("constant", "repeated", "unique")] == [1, 1, 1 + own]


def test_missing_values_by_class() -> None:
    data = load_task("A1", source="simulated")
    X = data.X.copy() + 1.0
    X = X.fillna(1.0)
    X.loc[data.y == "recovery", X.columns[:13]] = np.nan
    X.loc[data.y == "post_flight", X.columns[13:26]] = 0.0
    shares = leaks.missing_by_class(replace(data, X=X))
    assert shares.to_dict() == pytest.approx({"post_flight": 1 / 3, "pre_flight": 0, "recovery": 1 / 3})
    with pytest.raises(UsageError, match="multilabel"):
        leaks.missing_by_class(load_task("B2", source="simulated"))


def test_auroc_of_columns_is_that_of_scikit_learn(clean: TaskData) -> None:
    X = clean.X.copy()
    X.iloc[::7, 0] = np.nan
    X.iloc[:, 1] = X.iloc[:, 1].round(1)
    expected = [roc_auc_score(clean.codes, X[c].fillna(X[c].mean())) for c in X]
    assert leaks.column_auroc(X, clean.codes == 1) == pytest.approx(expected, abs=1e-12)
    assert np.isnan(leaks.column_auroc(X, np.zeros(len(X), dtype=bool))).all()


def test_a_feature_that_is_the_label_is_found(clean: TaskData) -> None:
    noise = np.random.default_rng(0).normal(0, 0.01, len(clean.X))
    leaky = with_features(clean, leak=-clean.codes + noise)
    first = leaks.every_feature(leaky).iloc[0]
    assert (first["feature"], first["auroc"], first["positive_end"]) == ("leak", 1.0, "low")
    scores = leaks.one_feature_scores({"clean": clean}, 50, 42), leaks.one_feature_scores({"leaky": leaky}, 50, 42)
    assert scores[1].loc["H1", "one_feature"] == pytest.approx(1.0)
    assert scores[0].loc["H1", "one_feature"] < 0.6
    assert leaks.every_feature(clean)["auroc"].max() < 0.95
    with pytest.raises(UsageError, match="needs a binary task"):
        leaks.every_feature(load_task("A1", source="simulated"))


def test_a_class_in_the_middle_of_a_single_feature_is_found() -> None:
    data = load_task("A1", source="simulated")
    rng = np.random.default_rng(1)
    day = data.y.map({"pre_flight": -1.0, "post_flight": 0.0, "recovery": 1.0}) + rng.normal(0, 0.1, len(data.y))
    planted = replace(data, X=pd.DataFrame({"day": day, "noise": rng.normal(size=len(day))}))
    assert leaks.one_feature_scores({"A1": planted}, 20, 42).loc["A1", "one_feature"] > 0.9


def test_a_feature_that_is_another_tasks_label_is_found(clean: TaskData) -> None:
    other = load_task("I3", source="simulated")
    shared = other.X.index.intersection(clean.X.index)
    positive = np.random.default_rng(2).random(len(shared)) < 0.3
    y = clean.y.copy()
    y[shared] = np.where(positive, *clean.task.classes[::-1])
    one = replace(clean, y=y)
    assert leaks.labels_in_features({"H1": one, "I3": other})["auroc"].max() < 0.75
    told = pd.Series(0.0, other.X.index)
    told[shared] = positive.astype(float)
    table = leaks.labels_in_features({"H1": one, "I3": with_features(other, told=told)})
    assert table.iloc[0][["features_of", "label_of", "feature", "auroc"]].tolist() == ["I3", "H1", "told", 1.0]
    assert table.iloc[0]["shared"] == len(shared)


def test_labels_that_two_tasks_share_come_first() -> None:
    tasks = {name: load_task(name, source="simulated") for name in ("E1", "E2", "A1")}
    label = tasks["E1"].y.map(dict(zip(tasks["E1"].task.classes, tasks["E2"].task.classes, strict=True)))
    same = {**tasks, "E2": replace(tasks["E2"], y=label)}
    row = leaks.shared_labels(same).iloc[0]
    assert (row["both"], row["positives_one"]) == (35, 35)
    assert leaks.shared_labels(tasks).iloc[0]["both"] < 10


# Evidence on tables --------------------------------------------------------------------------------------------------


def test_equal_columns_are_found_whatever_the_order_of_rows() -> None:
    rng = np.random.default_rng(0)
    one = pd.DataFrame({"gene": [f"g{i}" for i in range(50)], "a": rng.normal(size=50), "b": rng.normal(size=50)})
    two = one.sample(frac=1, random_state=0).assign(a=lambda t: t["a"] + 1e-9, b=lambda t: t["b"] + 0.01)
    assert evidence.equal_columns({"one": one, "two": two})[
        ["rows", "columns", "equal", "names"]
    ].to_numpy().tolist() == [[50, 2, 1, "a"]]
    assert evidence.equal_columns({"one": one, "two": two.assign(a=two["b"])}).empty


def test_origin_of_fold_changes_is_told_from_another() -> None:
    rng = np.random.default_rng(0)
    means = pd.DataFrame(rng.uniform(1, 100, (300, 3)), [f"g{i}" for i in range(300)], ["pre", "flight", "other"])
    ratio = means["flight"] / means["pre"]
    changes = pd.DataFrame({"fc": ratio.where(ratio >= 1, -1 / ratio)}).iloc[::-1]
    own = evidence.fold_change_origin(changes, means, {"fc": ("pre", "flight")})
    shuffled = means.assign(flight=means["other"].to_numpy())
    other = evidence.fold_change_origin(changes, shuffled, {"fc": ("pre", "other")})
    assert own.loc["fc"].tolist() == [300, pytest.approx(1.0)]
    assert abs(other.loc["fc", "correlation"]) < 0.8


def test_a_contrast_with_the_opposite_sign_is_told() -> None:
    rng = np.random.default_rng(0)
    days = pd.Series({"s1": "L-3", "s2": "L-3", "s3": "R+1", "s4": "R+1"})
    matrix = pd.DataFrame(rng.normal(size=(40, 4)), [f"m{i}" for i in range(40)], days.index)
    change = matrix[["s3", "s4"]].mean(axis=1) - matrix[["s1", "s2"]].mean(axis=1)
    right, wrong = (
        pd.DataFrame({"metabolite": change.index, "logFC": sign * change.to_numpy(), "contrast": name}).assign(
            comparison="(R+1) vs (L-3)"
        )
        for name, sign in (("right", 1), ("wrong", -1))
    )
    table = evidence.contrast_signs(pd.concat([right, wrong]), matrix, days).set_index("contrast")["rank_correlation"]
    assert table.to_dict() == pytest.approx({"right": 1.0, "wrong": -1.0})
    with pytest.raises(SombError, match="does not name time points"):
        evidence.contrast_signs(right.assign(comparison="after vs before"), matrix, days)


def test_features_that_tell_what_was_tested_are_told() -> None:
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"mean": np.arange(1000.0), "change": rng.normal(size=1000)})
    adjusted = pd.Series(rng.random(1000)).where(X["mean"] >= 900)
    adjusted[rng.choice(np.arange(900, 1000), 20, replace=False)] = 0.01
    table = evidence.tested_rows(X, adjusted)
    assert table.loc["mean", ["rows", "tested"]].tolist() == [1000, 100]
    assert table.loc["mean", "auroc_tested"] == 1.0
    assert table.loc["mean", "auroc_all"] > 0.9 > 0.7 > table.loc["mean", "auroc_if_tested"]
    assert table["auroc_if_tested"].to_list() == pytest.approx(
        [roc_auc_score(adjusted[900:] < 0.05, X.loc[900:, c]) for c in X]
    )


def test_scoring_again_on_all_rows_gives_the_score(clean: TaskData) -> None:
    result = somb.run([clean], ["logreg"], n_jobs=1)
    again = evidence.rescored(result.predictions, clean.task.classes[1], clean.X.index).loc["logreg"]
    assert again["auprc"] == pytest.approx(result.summary()["mean"].iloc[0], abs=1e-12)
    assert again["chance_auprc"] == pytest.approx(clean.chance, abs=1e-12)
    half = evidence.rescored(result.predictions, clean.task.classes[1], clean.X.index[::2])
    assert half.loc["logreg", "rows"] < again["rows"]


# Stability -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def over_seeds() -> pd.DataFrame:
    loaded = [load_task("A1", source="simulated")]
    return stability.seed_scores(loaded, ["random", "logreg"], stability.seeds_from(42, 4))


def test_scores_move_over_seeds_only_where_a_model_is_random(over_seeds: pd.DataFrame) -> None:
    table = stability.spread(over_seeds).set_index("model")
    assert table.loc["random", "sd"] > 0 == table.loc["logreg", "sd"]
    assert table.loc["logreg", ["seeds", "rank"]].tolist() == [4, 0.5]
    first = somb.run("A1", "random", source="simulated", n_jobs=1).summary()["mean"].iloc[0]
    assert table.loc["random", "first"] == first


def test_spread_on_a_made_up_table() -> None:
    keys = {"task": "A1", "protocol": "aligned", "model": "m", "metric": "macro_f1", "chance": 0.3}
    table = stability.spread(pd.DataFrame([{**keys, "seed": i, "score": s} for i, s in enumerate([3, 1, 2, 3, 6])]))
    assert table[["mean", "lowest", "highest", "first", "rank"]].iloc[0].tolist() == [3, 1, 6, 3, 0.625]


def test_seed_scores_refuse_what_they_cannot_keep(over_seeds: pd.DataFrame) -> None:
    loaded = [load_task("A1", source="simulated")]
    with pytest.raises(UsageError, match="at least 2"):
        stability.seed_scores(loaded, "random", [42])
    with pytest.raises(UsageError, match="only scores on real tables are kept"):
        stability.store(over_seeds, loaded)


def crew_result(*values: float) -> RunResult:
    rows = [
        {"task": "A1", "protocol": "aligned", "source": "open", "model": "m", "metric": "macro_f1", "status": "ok"}
        | {"fold": f"C00{i + 1}", "value": value}
        for i, value in enumerate(values)
    ]
    tasks = {"A1/aligned": {"metric": "macro_f1", "chance": 0.3}}
    return RunResult(pd.DataFrame(rows), pd.DataFrame(), {"source": "open", "tasks": tasks})


def test_a_score_that_one_crew_member_carries_is_told() -> None:
    carried = stability.without_one_group(crew_result(0.2, 0.3, 0.9, 0.2)).iloc[0]
    assert (carried["without"], carried["carried"]) == ("C003", True)
    assert carried["lowest"] == pytest.approx(0.7 / 3)
    assert not stability.without_one_group(crew_result(0.6, 0.5, 0.6, 0.7)).iloc[0]["carried"]
    assert not stability.without_one_group(crew_result(0.2, 0.1, 0.3, 0.1)).iloc[0]["carried"]


def test_tasks_without_groups_have_no_crew_to_leave_out(clean: TaskData) -> None:
    assert stability.without_one_group(somb.run([clean], "majority", n_jobs=1)).empty


def test_stored_seed_scores_are_twenty_a_model_and_start_with_the_canonical_run() -> None:
    scores = stability.stored()
    table = stability.spread(scores)
    assert table.loc[table["model"].isin(["random", "rf", "mlp"]), "seeds"].eq(20).all()
    assert table.loc[table["model"].isin(["xgboost", "lightgbm"]), "sd"].eq(0).all()
    key = ["task", "protocol", "model"]
    both = table.set_index(key).join(canonical_scores().set_index(key)["mean"].rename("canonical"), how="inner")
    assert len(both) == len(table)
    assert (both["first"] - both["canonical"]).abs().max() <= 1e-6


# Findings on the real tables -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def found(open_data: Path) -> dict[str, float]:
    return figures.compute(open_data / "processed")


def test_stored_figures_are_those_of_the_tables(found: dict[str, float]) -> None:
    assert figures.stored() == pytest.approx(found, abs=2e-6)


@pytest.mark.parametrize(
    ("finding", "expected", "digits"),
    [
        ("1: F4's rows", {"f4_own": 3, "f4_rows": 275}, 0),
        ("2: G1's orders", {"g1_clinical_own": 21, "g1_proteomics_own": 7, "g1_metabolomics_own": 3}, 0),
        ("3: C2's folds", {"c2_published_min": 25, "c2_published_max": 38, "c2_all": 34, "c2_aligned_max": 34}, 0),
        ("4: D1's atoms", {"d1_n_c": 2, "d1_n_n": 0, "d1_n_s": 0}, 0),
        ("4: D1's order", {"d1_mlp_published": 0.557, "d1_mlp_reordered": 0.557, "d1_mlp_aligned": 0.648}, 3),
        ("5: F3's draw", {"f3_draw": 0.402, "a1_draw": 0.214, "a1_chance": 0.307}, 3),
        ("6: C1", {"c1_pre_flight": 11, "c1_post_flight": 4, "c1_recovery": 6, "c1_proteins": 2838}, 0),
        ("7: I1", {"i1_genes": 466, "i1_lowest": 0.9979, "i1_highest": 0.9994}, 4),
        ("7: I3", {"i3_responsive": 391, "i3_responsive_positive": 391}, 0),
        ("H1's rows", {"h1_genes": 710, "h1_equal": 33, "h1_beside_twin": 34}, 0),
        ("H1's score", {"h1_rf": 0.300, "h1_rf_without": 0.203}, 3),
        ("E3's genes", {"e3_tested": 934, "e3_limit": 17.75, "e3_mean_expression": 0.98}, 2),
        ("E3's score", {"e3_logreg": 0.963, "e3_logreg_if_tested": 0.694}, 3),
        ("I2's pathways", {"i2_never": 251, "i2_collection": 0.910, "i2_lightgbm": 0.723}, 3),
        ("skin tables", {"skin_rows": 18677, "skin_equal": 6, "e1_in_e4": 7, "e2_in_e4": 8}, 0),
        ("signs", {"sign_fp1": 0.928, "sign_fp2": -0.404, "sign_lp3": 0.882, "sign_rp3": -0.924}, 3),
        ("C1's missing", {"c1_missing_pre_flight": 34, "c1_missing_post_flight": 29, "c1_missing_recovery": 18}, 0),
        ("G1's crew", {"g1_logreg_mean": 0.417, "g1_logreg_lowest": 0.282, "g1_logreg_chance": 0.291}, 3),
        ("sites", {"cutibacterium_tzo": 78.0, "cutibacterium_web": 6.9}, 1),
        ("folds", {"b2_folds_lacking": 4, "f3_folds_lacking": 3, "f4_empty": 2}, 0),
    ],
)
def test_finding_comes_out_of_the_real_tables(
    finding: str, expected: dict[str, float], digits: int, found: dict[str, float]
) -> None:
    assert {key: round(found[key], digits) for key in expected} == expected, finding


def test_counts_of_the_published_descriptions_differ_for_c1_alone(published_files: Path) -> None:
    def counts(output: dict[str, Any]) -> list[int]:
        stated = output.get("class_distribution") or {k: v for k, v in output.items() if k.endswith("_count")}
        return sorted(stated.values())

    differing = set()
    for task in catalogue().values():
        stated = json.loads((published_files / "tasks" / f"{task.id}.json").read_text(encoding="utf-8"))
        assert stated.get("n_samples") in (None, task.n_rows)
        if (given := counts(stated["output_spec"])) and given != sorted(task.class_counts.values()):
            differing.add(task.id)
    assert differing == {"C1"}


def test_pairing_costs_f4_its_signal(open_data: Path) -> None:
    given = {"tasks": ["F4"], "models": ["logreg"], "data_source": str(open_data / "processed"), "n_bootstrap": 50}
    scores = pairing.both(check("", given)).set_index("protocol")
    assert scores["mean"].round(3).to_dict() == {"aligned": 0.399, "published": 0.163}
    assert scores.loc["published", "high"] < scores.loc["aligned", "low"]
    row = pairing.side_by_side(scores.reset_index()).iloc[0]
    assert row["published"].startswith("0.163 [") and row["aligned"].startswith("0.399 [")
    assert (row["stated"], round(row["gain"], 3)) == (0.1632, 0.236)


def test_only_the_order_of_columns_moves_a1(open_data: Path) -> None:
    given = {"tasks": ["A1", "C2"], "models": ["majority"], "data_source": str(open_data / "processed")}
    table = pairing.same_rows(Session("", check("", given)), canonical_scores())
    assert set(table["task"]) == {"A1"}
    assert table.iloc[0][["model", "published", "aligned"]].tolist() == ["mlp", 0.310119, 0.1375]


def test_random_draws_scatter_about_the_exact_level(open_data: Path) -> None:
    tasks = {name: load_task(name, source=open_data / "processed") for name in ("A1", "H1", "I2")}
    table = pairing.draws_for_chance(tasks, stability.stored())
    assert table.loc["F3", ["published_draw", "exact_chance"]].tolist() == [0.4018, 0.5]
    near = table.loc[list(tasks)]
    assert ((near["lowest"] < near["exact_chance"]) & (near["exact_chance"] < near["highest"])).all()


def test_b2s_models_have_names_of_their_own() -> None:
    table = pairing.models_by_task(["B1", "B2"])
    both = table[(table["B1"] == "scored") & (table["B2"] == "scored")]
    assert list(both.index) == ["majority", "random"]


# What notebook, page and command say ---------------------------------------------------------------------------------


def test_simulated_tables_show_no_real_finding(open_data: Path) -> None:
    def session(data: str) -> Session:
        return Session("", check("", {"tasks": ["A1"], "models": ["majority"], "data_source": data}))

    assert on_real(session("simulated"), len, "clinical_cbc") == NEEDS_REAL
    real = session(str(open_data / "processed"))
    assert on_real(real, len, "clinical_cbc") == 28
    assert "is not among the tasks of this run" in on_real(real, len, "A2")


def test_every_figure_of_the_page_is_filled_in() -> None:
    text = pages.fill((ROOT / "book" / "protocols.md").read_text(encoding="utf-8"))
    assert "<!-- somb:" not in text
    assert "25 % to 38 % positives" in text
    assert "| A1 | macro F1 | mlp | 0.307 |" in text
    with pytest.raises(UsageError, match="no figure 'f9_own'; there are f4_own"):
        page.fill_figures("<!-- somb:figure f9_own .0f -->")


def test_command_counts_rows_and_features(command: Callable[..., tuple[int, str, str]]) -> None:
    code, out, _ = command("audit", "tasks", "--tasks", "A1,H1", "--data", "simulated", "--format", "csv")
    assert code == 0
    assert [line.split(",")[:2] for line in out.splitlines()[1:]] == [["A1", "28"], ["H1", "731"]]


def test_command_spreads_scores_over_seeds(command: Callable[..., tuple[int, str, str]]) -> None:
    words = ["audit", "seeds", "--tasks", "A1", "--models", "random", "--data", "simulated", "--format", "csv"]
    code, out, _ = command(*words, "--seeds", "3")
    assert code == 0 and out.splitlines()[1].startswith("A1,aligned,random,macro_f1,")
    code, _, err = command(*words, "--seeds", "1")
    assert code == 2 and "at least 2" in err


def test_command_refuses_figures_of_simulated_tables(command: Callable[..., tuple[int, str, str]]) -> None:
    code, _, err = command("audit", "figures", "--data", "simulated")
    assert code == 2
    assert "these are simulated; get them: somb data fetch" in err


def test_no_check_names_a_task_of_its_own() -> None:
    for name in ("leaks", "stability", "evidence", "pairing"):
        text = (ROOT / "somb_utils" / "audit" / f"{name}.py").read_text(encoding="utf-8")
        assert not [task for task in catalogue() if f'== "{task}"' in text]
