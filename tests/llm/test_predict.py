"""Language models as predictors: what they are shown, what counts as a reply, files that ``somb evaluate`` scores."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from inspect_ai.model import ModelAPI, ModelOutput, ModelUsage, modelapi

from somb_utils.errors import UsageError
from somb_utils.llm.run.rows_as_text import SHOWN_OF_MANY, fold_text, need_small, read_probabilities
from somb_utils.predictions.evaluate import evaluate
from somb_utils.tasks.task_data import TaskData, load_task

SMALL = ["A1", "G1", "J2"]
calls: list[str] = []


@modelapi(name="pupil")
def pupil() -> type[ModelAPI]:
    """Models ``pupil/NAME`` of three classes: ``even`` replies well, ``late`` at the second asking, ``never`` not."""

    class Pupil(ModelAPI):
        async def generate(self, input: Any, tools: Any, tool_choice: Any, config: Any) -> ModelOutput:
            calls.append(self.model_name)
            good = self.model_name == "even" or (self.model_name == "late" and len(input) > 2)
            n_rows = int(input[1].text.rpartition("Reply with ")[2].split()[0])
            lines = [f"{row}: 0.2, 0.3, 0.5" for row in range(1, n_rows + 1)]
            output = ModelOutput.from_content(self.model_name, "\n".join(lines) if good else "I would rather not.")
            output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
            return output

    return Pupil


@pytest.fixture(scope="module")
def small() -> list[TaskData]:
    return [load_task(task, source="simulated") for task in SMALL]


def relabelled(data: TaskData, rows: np.ndarray) -> TaskData:
    """Return the task with another class in these rows."""
    y = data.y.copy()
    y.iloc[rows] = [data.task.classes[code - 1] for code in data.codes[rows]]
    return replace(data, y=y)


def test_a_prompt_does_not_depend_on_the_labels_of_test_rows(small: list[TaskData]) -> None:
    for data in small:
        need_small(data)
        text = fold_text(data, 0)
        assert fold_text(relabelled(data, data.folds[0].test), 0) == text
        assert fold_text(relabelled(data, data.folds[0].train), 0) != text


def test_neither_identifiers_nor_their_order_stand_in_a_prompt(small: list[TaskData]) -> None:
    for data in small:
        text = fold_text(data, 0)
        named = {str(name) for name in data.X.index if not str(name).isdigit()}
        named |= set() if data.groups is None else {str(group) for group in data.groups}
        values = text.prompt.partition("Training rows")[2].split("\t")
        assert not named & set(values)
        assert sorted(text.rows) == sorted(data.folds[0].test) and list(text.rows) != sorted(text.rows)


def test_of_many_features_those_that_differ_in_training_are_shown_by_name(small: list[TaskData]) -> None:
    data = small[SMALL.index("G1")]
    header = next(line for line in fold_text(data, 0).prompt.splitlines() if line.startswith("class\t"))
    shown = header.split("\t")[1:]
    assert len(shown) == SHOWN_OF_MANY and set(shown) <= set(data.X.columns)


@pytest.mark.parametrize("task", ["B2", "J1"])
def test_large_tasks_and_those_of_several_labels_are_refused(task: str) -> None:
    with pytest.raises(UsageError, match=task):
        need_small(load_task(task, source="simulated"))


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        ("1: 0.5, 0.5\n2: 0.1, 0.9", ""),
        ("Here:\n| 2 | 10% | 90% |\n**1: 1, 0**", ""),
        ("1: 0.5, 0.5", "1 of 2 rows"),
        ("1: 0.5, 0.5\n1: 0.4, 0.6\n2: 0, 1", "two lines"),
        ("1: 0.5, 0.5\n3: 0, 1", "no row 3"),
        ("1: 0.5\n2: 0, 1", "1 probabilities"),
        ("1: 0.5, 0.6\n2: 0, 1", "add up"),
        ("1: nan, 1\n2: -1, 2", "2 of 2 rows"),
    ],
)
def test_what_counts_as_a_reply(reply: str, why: str) -> None:
    table, reason = read_probabilities(reply, 2, 2)
    assert (why in reason and bool(why) == bool(reason)) and (table is None) == bool(why)
    if table is not None:
        assert np.allclose(table.sum(axis=1), 1)


def test_predictions_are_scored_as_any_other(somb_llm: Any, world: Path) -> None:
    result = somb_llm("predict", "-t", "A1", "-m", "offline/demo", "--out", "mine/A1.csv", "--data", "simulated")
    assert result.code == 0 and "somb evaluate mine --tasks A1" in result.text
    run = evaluate(world / "mine", source="simulated")
    scores = run.results[run.results["metric"] == "macro_auroc"]
    assert len(scores) == 4 and np.allclose(scores["value"].dropna(), 0.5)  # the same of every row ranks none


@pytest.mark.parametrize("form", ["json", "parquet"])
def test_a_reply_that_is_not_valid_is_asked_for_once_more(somb_llm: Any, world: Path, form: str) -> None:
    calls.clear()
    command = ("predict", "-t", "A1", "-m", "pupil/late", "--out", f"mine/A1.{form}", "--data", "simulated")
    assert somb_llm(*command).code == 0 and len(calls) == 8
    assert somb_llm(*command).code == 0 and len(calls) == 8  # all is there
    assert evaluate(world / "mine", source="simulated").predictions["y_pred"].eq("recovery").all()


def test_folds_without_valid_replies_are_failed_and_no_file_hides_them(somb_llm: Any, world: Path) -> None:
    result = somb_llm("predict", "-t", "A1", "-m", "pupil/never", "--out", "mine/A1.csv", "--data", "simulated")
    assert result.code == 1 and "4 folds failed" in result.text and "7 of 7 rows" in result.text
    assert not (world / "mine").exists()


def test_a_dry_run_counts_folds_and_sends_nothing(somb_llm: Any, world: Path) -> None:
    command = ("predict", "-t", "A2", "-m", "openai/gpt-4o", "--out", "A2.csv", "--data", "simulated", "--dry-run")
    result = somb_llm(*command)
    assert result.code == 0 and "4 folds of A2" in result.text and "$0." in result.text
    assert not (world / "logs").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("-t", "A1", "--out", "other.csv"), "name the file A1.json"),
        (("-t", "A1", "--out", "A1.xlsx"), "name the file"),
        (("-t", "H1", "--out", "H1.csv"), "do not fit"),
        (("-t", "A1", "--out", "A1.csv", "--protocol", "loose"), "unknown protocol"),
    ],
)
def test_what_cannot_be_is_refused(somb_llm: Any, words: tuple[str, ...], message: str) -> None:
    result = somb_llm("predict", *words, "-m", "offline/demo", "--data", "simulated")
    assert result.code == 2 and message in result.text
