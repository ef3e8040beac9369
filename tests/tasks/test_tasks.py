"""Task definitions: valid, current, and in agreement with the published ones."""

import json
from pathlib import Path

import pytest

from somb_utils.errors import SombError, UsageError
from somb_utils.paths import DATA
from somb_utils.tables.registry import registry
from somb_utils.tasks.definitions import catalogue, get_task, read_task, schema_text, select_tasks

EXTENSIONS = ["F6", "F7", *(f"J{n}" for n in range(1, 8))]


def test_there_are_21_published_tasks_and_the_known_extensions_with_registered_tables() -> None:
    assert len(select_tasks()) == 21
    assert [task.id for task in catalogue().values() if task.extension] == EXTENSIONS
    for task in catalogue().values():
        for name in task.tables:
            assert task.id in registry()[name].tasks, f"data/tables.csv does not say that {task.id} reads {name}"


def test_stored_schema_is_current() -> None:
    assert (DATA / "tasks" / "schema.json").read_text(encoding="utf-8") == schema_text()


@pytest.mark.parametrize("task_id", [task.id for task in select_tasks()])
def test_definition_agrees_with_the_published_one(task_id: str, published_files: Path) -> None:
    published = json.loads((published_files / "tasks" / f"{task_id}.json").read_text(encoding="utf-8"))
    task = get_task(task_id)
    assert task.tier == published["difficulty_tier"]
    assert task.supplementary == published.get("supplementary", False)
    assert task.metrics.primary == published["evaluation"]["primary_metric"]
    assert task.n_rows == published["n_samples"]
    classes = published["output_spec"].get("class_distribution")
    if classes and task_id != "C1":  # the published C1 states counts that its table does not have
        assert sorted(task.class_counts.values()) == sorted(classes.values())


def test_wildcards_select_in_catalogue_order() -> None:
    assert [task.id for task in select_tasks("f*, a1")] == ["A1", "F1", "F2", "F3", "F4", "F5", "F6", "F7"]


@pytest.mark.parametrize("patterns", ["Z9", "", "A1,Q*", "../A1"])
def test_unknown_task_names_the_known_ones(patterns: str) -> None:
    with pytest.raises(UsageError, match=r"unknown task.*A1, A2, .*B1"):
        select_tasks(patterns)


def test_bad_definition_names_file_and_field() -> None:
    text = json.dumps({**get_task("A1").model_dump(), "tier": "easy", "colour": "red"})
    with pytest.raises(SombError, match=r"mine\.json.*tier.*colour"):
        read_task(text, "mine.json")
    with pytest.raises(SombError, match=r"mine\.json is not a valid task definition"):
        read_task("{", "mine.json")


def test_ablations_split_b1s_columns_in_two() -> None:
    task = get_task("B1")
    columns = task.features.columns  # type: ignore[union-attr]
    effect = task.ablation_columns("effect_only", columns)
    rest = task.ablation_columns("no_effect", columns)
    assert sorted(effect + rest) == sorted(columns)
    assert "edge_pre_vs_flight_fc" in effect and "pre_norm_mean" in rest
    with pytest.raises(UsageError, match="effect_only, no_effect"):
        task.ablation_columns("other", columns)
