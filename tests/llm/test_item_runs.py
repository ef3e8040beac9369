"""Runs of items against the loopback server: marks, resume, failures, twins, what logs say."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from inspect_ai.log import read_eval_log
from loopback import Call, Loopback

from somb_utils.llm.core.items import Item
from somb_utils.llm.core.keys import compute_keys
from somb_utils.llm.run.items import select
from somb_utils.llm.run.marked_logs import load_marks
from somb_utils.tables.sources import SimulatedSource

LOCAL = "openai-api/loop/local-model"
QUICK = ("--retry-wait", "0.05", "--max-retries", "0", "--timeout", "600")
DRAWS = ["L-92", "L-44", "L-3", "R+1", "R+45", "R+82", "R+194"]


def entry(number: int, draw: str) -> dict[str, Any]:
    return {
        "id": f"CLIN-S{number:03d}", "question": f"Mean hemoglobin of the draw {draw}?", "kind": "numeric",
        "modality": "clinical", "contexts": ["clinical"], "group": "private", "unit": "g/dL",
        "answer": {"op": "mean", "table": "clinical_cbc", "column": "cbc_hemoglobin",
                   "where": f"timepoint == '{draw}'"},
        "tolerance": {"decimals": 1},
    }  # fmt: skip


@pytest.fixture
def items(world: Path) -> dict[str, Item]:
    """A file of seven items on simulated tables, by the draw asked for."""
    entries = [entry(number, draw) for number, draw in enumerate(DRAWS, start=1)]
    (world / "mine.yaml").write_text(yaml.safe_dump(entries))
    return {draw: Item.model_validate(e) for draw, e in zip(DRAWS, entries, strict=True)}


@pytest.fixture
def replies(items: dict[str, Item]) -> Any:
    """The replies of a model that knows five of seven: one is wrong, one declines."""
    keys = compute_keys(items.values(), SimulatedSource())

    def reply(call: Call) -> str:
        draw = next(d for d in DRAWS if f"draw {d}?" in call.text)
        said = {"L-44": "ANSWER: 99.9", "L-3": "ANSWER: cannot be determined"}
        return said.get(draw, f"So.\nANSWER: {keys[items[draw].id].text}")

    return reply


def test_items_are_marked_and_what_failed_is_asked_again(
    server: Loopback, somb_llm: Any, world: Path, replies: Any
) -> None:
    server.reply = replies
    server.fault = lambda call: "500" if "draw R+194?" in call.text else None
    command = ["run", "-m", LOCAL, "--set", "mine.yaml", "--full", *QUICK]
    first = somb_llm(*command, "--condition", "recall")
    assert first.code == 1 and "SIMULATED" in first.text and "1 answers failed" in first.text
    marks = load_marks([world / "logs/llm"]).set_index("item_id")
    assert marks["status"].value_counts().to_dict() == {"answered": 5, "declined": 1, "failed": 1}
    assert marks["correct"].sum() == 4 and marks.loc["CLIN-S002", "given"] == "99.9"
    assert marks["simulated"].all() and set(marks["tables"]) == {"simulated"} and set(marks["set"]) == {"private"}
    assert marks["digests"].str.fullmatch(r"items \w{8}, prompt \w{8}, tables \w{8}").all()

    server.fault = None
    again = somb_llm(*command, "--condition", "recall")
    assert again.code == 0 and "7 answers complete" in again.text and server.repeated() == []
    asked = len(server.calls)
    assert len(server.completed) == 7 and not any("# Context" in call.text for call in server.calls)
    reading = somb_llm(*command, "--condition", "reading")
    assert reading.code == 0 and all("# Context: clinical" in call.text for call in server.calls[asked:])
    marks = load_marks([world / "logs/llm"])
    assert marks.groupby("condition")["correct"].sum().to_dict() == {"reading": 5, "recall": 5}
    assert "contexts" in marks.set_index("condition").loc["reading", "digests"].iloc[0]


def test_a_larger_sample_asks_for_the_rest_alone_and_a_dry_run_for_nothing(
    server: Loopback, somb_llm: Any, items: dict[str, Item], replies: Any
) -> None:
    server.reply = replies
    command = ["run", "-m", LOCAL, "--set", "mine.yaml", "--condition", "recall", *QUICK]
    assert somb_llm(*command, "--sample", 3).code == 0
    planned = somb_llm(*command, "--sample", 5, "--dry-run")
    assert "│     2 │" in planned.text and len(server.calls) == 3
    assert somb_llm(*command, "--sample", 5).code == 0 and len(server.calls) == 5
    changed = [entry(1, "L-92") | {"question": "Mean hemoglobin at the draw L-92?"}]
    Path("mine.yaml").write_text(yaml.safe_dump(changed))
    assert somb_llm(*command, "--full").code == 0 and len(server.calls) == 6


def test_a_reply_without_an_answer_is_invalid_and_not_asked_again(
    server: Loopback, somb_llm: Any, items: dict[str, Item], world: Path
) -> None:
    server.reply = lambda call: "It is about 14."
    command = ["run", "-m", LOCAL, "--set", "mine.yaml", "--condition", "recall", "--full", *QUICK]
    assert somb_llm(*command).code == 0 and somb_llm(*command).code == 0 and len(server.calls) == 7
    marks = load_marks([world / "logs/llm"])
    assert set(marks["status"]) == {"invalid"} and not marks["correct"].any()
    [log] = (world / "logs/llm").glob("*.eval")
    assert read_eval_log(str(log)).eval.metadata["condition"] == "recall"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--set", "core", "--full"], "--set core needs --condition recall, reading or analysis"),
        (["--set", "core", "--full", "--condition", "memory"], "recall, reading or analysis, not memory"),
        (["--set", "perturbed", "--full", "--condition", "recall"], "needs --condition reading, not recall"),
        (
            ["--set", "none.yaml", "--full", "--condition", "recall"],
            "neither open, core, abstain, perturbed nor a file",
        ),
        (["--full", "--condition", "recall"], "--condition is of the items that code marks"),
        (["--set", "mine.yaml", "--condition", "recall", "--kind", "factual"], "are of the open questions"),
        (
            ["--set", "mine.yaml", "--condition", "recall", "--sample", "8"],
            "A sample of 8 cannot be drawn from 7 items",
        ),
        (["--set", "mine.yaml", "--condition", "recall", "--modality", "spatial"], "No item meets these filters"),
        (["--set", "mine.yaml", "--condition", "recall", "--full", "--max-cost", "1"], "--max-cost needs a price"),
    ],
)
def test_wrong_commands_are_refused(
    arguments: list[str], said: str, server: Loopback, somb_llm: Any, items: dict[str, Item]
) -> None:
    result = somb_llm("run", "-m", LOCAL, *arguments)
    assert result.code == 2 and said in result.text and server.calls == []


def test_a_sample_of_the_abstention_set_brings_the_twins(open_data: Path) -> None:
    selection = select("abstain", "recall", sample=4, data=open_data / "processed")
    asked = {a.item.id: a for a in selection.asked}
    unknown = [a.item for a in asked.values() if a.item.kind == "undetermined"]
    assert len(unknown) == 4 and len(asked) == 8 and all(item.twin in asked for item in unknown)
    assert {a.set for a in asked.values()} <= {"abstain", "premise"} and selection.remarks == []
