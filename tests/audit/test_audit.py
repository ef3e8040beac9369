"""Counts of rows and features, scores over seeds, and what the page and the command say."""

import ast
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import somb_utils as somb
from somb_utils.audit import feature_census, figures, repeated_rows, row_census, seeds
from somb_utils.book import extension as pages
from somb_utils.cli import audit as audit_command
from somb_utils.errors import UsageError
from somb_utils.reference.canonical import canonical_scores
from somb_utils.tasks.definitions import catalogue
from somb_utils.tasks.task_data import TaskData, load_task

ROOT = Path(__file__).parents[2]
DOCUMENTED = (ast.Module, ast.FunctionDef, ast.ClassDef)


@pytest.fixture(scope="module")
def clean() -> TaskData:
    return load_task("H1", source="simulated")


def with_features(data: TaskData, **columns: object) -> TaskData:
    return replace(data, X=data.X.assign(**columns))


def test_clean_rows_and_features_raise_nothing(clean: TaskData) -> None:
    rows, columns = row_census(clean), feature_census(clean)
    assert [rows[k] for k in ("equal_rows", "beside_twin", "empty_rows", "folds_lacking_class")] == [0, 0, 0, 0]
    assert (columns["constant"], columns["repeated"]) == (0, 0)


def test_repeated_rows_are_found_with_their_labels_and_folds(clean: TaskData) -> None:
    X = clean.X.copy()
    fold = clean.folds[0]
    tested, trained = fold.test[0], fold.train[0]
    X.iloc[tested] = X.iloc[trained]
    data = replace(clean, X=X)
    table = repeated_rows(data)
    assert set(table.index) == {X.index[tested], X.index[trained]}
    assert table["set"].nunique() == 1
    assert table["label"].to_dict() == clean.y[table.index].to_dict()
    apart = [sum(i in f.test and j in f.train for f in clean.folds) for i, j in [(tested, trained), (trained, tested)]]
    assert table.loc[X.index[[tested, trained]], "tested_beside_twin"].tolist() == apart
    assert row_census(data)["beside_twin"] == sum(apart) >= 1


def test_equal_rows_with_different_labels_are_counted(clean: TaskData) -> None:
    X = clean.X.copy()
    X.iloc[np.flatnonzero(clean.codes == 1)[0]] = X.iloc[np.flatnonzero(clean.codes == 0)[0]]
    assert row_census(replace(clean, X=X))["equal_label_differs"] == 1


def test_empty_rows_and_folds_without_a_class_are_counted(clean: TaskData) -> None:
    X = clean.X.copy()
    X.iloc[3], X.iloc[4] = 0.0, np.nan
    y = clean.y.copy()
    y.iloc[clean.folds[0].test] = clean.task.classes[0]
    census = row_census(replace(clean, X=X, y=y))
    assert (census["empty_rows"], census["folds_lacking_class"]) == (2, 1)


def test_telling_and_empty_features_are_counted(clean: TaskData) -> None:
    planted = with_features(clean, constant=1.0, copy=clean.X.iloc[:, 0], name=np.arange(len(clean.X), dtype=float))
    before, after = feature_census(clean), feature_census(planted)
    # A copy of a column without ties is one more of these.
    also_unique = int(clean.X.iloc[:, 0].is_unique)
    assert [after[k] - before[k] for k in ("constant", "repeated", "unique")] == [1, 1, 1 + also_unique]


@pytest.fixture(scope="module")
def over_seeds() -> pd.DataFrame:
    loaded = [load_task("A1", source="simulated")]
    return seeds.seed_scores(loaded, ["random", "logreg"], seeds.seeds_from(42, 4))


def test_scores_move_over_seeds_only_where_a_model_is_random(over_seeds: pd.DataFrame) -> None:
    table = seeds.spread(over_seeds).set_index("model")
    assert table.loc["random", "sd"] > 0 == table.loc["logreg", "sd"]
    assert table.loc["logreg", ["seeds", "rank"]].tolist() == [4, 0.5]
    first = somb.run("A1", "random", source="simulated", n_jobs=1).summary()["mean"].iloc[0]
    assert table.loc["random", "first"] == first


def test_spread_on_a_made_up_table() -> None:
    keys = {"task": "A1", "protocol": "aligned", "model": "m", "metric": "macro_f1", "chance": 0.3}
    table = seeds.spread(pd.DataFrame([{**keys, "seed": i, "score": s} for i, s in enumerate([3, 1, 2, 3, 6])]))
    assert table[["mean", "lowest", "highest", "first", "rank"]].iloc[0].tolist() == [3, 1, 6, 3, 0.625]


def test_seed_scores_refuse_what_they_cannot_keep(over_seeds: pd.DataFrame) -> None:
    loaded = [load_task("A1", source="simulated")]
    with pytest.raises(UsageError, match="at least 2"):
        seeds.seed_scores(loaded, "random", [42])
    with pytest.raises(UsageError, match="only scores on real tables are kept"):
        seeds.store(over_seeds, loaded)


def test_stored_seed_scores_are_twenty_a_model_and_start_with_the_canonical_run() -> None:
    scores = seeds.stored()
    table = seeds.spread(scores)
    assert table.loc[table["model"].isin(["random", "rf", "mlp"]), "seeds"].eq(20).all()
    assert table.loc[table["model"].isin(["xgboost", "lightgbm"]), "sd"].eq(0).all()
    key = ["task", "protocol", "model"]
    both = table.set_index(key).join(canonical_scores().set_index(key)["mean"].rename("canonical"), how="inner")
    assert len(both) == len(table)
    assert (both["first"] - both["canonical"]).abs().max() <= 1e-6


def test_every_figure_of_the_page_is_filled_in() -> None:
    text = pages.fill((ROOT / "book" / "protocols.md").read_text(encoding="utf-8"))
    assert "<!-- somb:" not in text
    assert "25 % to 38 % positives" in text
    assert "| A1 | macro F1 | mlp | 0.307 |" in text
    with pytest.raises(UsageError, match="no figure 'f9_own'; there are tasks, "):
        figures.fill("<!-- somb:figure f9_own .0f -->")


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


def test_no_code_of_the_package_names_a_task() -> None:
    parts = ["cli/audit.py", "book/audit_parts.py", *(f"audit/{name}.py" for name in ("census", "figures", "seeds"))]
    for part in parts:
        tree = ast.parse((ROOT / "somb_utils" / part).read_text(encoding="utf-8"))
        docstrings = {ast.get_docstring(node, clean=False) for node in ast.walk(tree) if isinstance(node, DOCUMENTED)}
        constants = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
        texts = {text for text in constants - docstrings if isinstance(text, str)}
        assert not [text for text in texts if set(re.findall(r"\w+", text)) & set(catalogue())], part


def test_command_computes_figures_only_in_a_checkout(
    command: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(audit_command, "CHECKOUT", tmp_path)
    code, _, err = command("audit", "figures", "--data", "simulated")
    assert code == 2
    assert "computed in a checkout of the repository" in err
