"""What later commands ask again and what never, and what logs must have in common to be reported together."""

import shlex
from itertools import pairwise
from pathlib import Path
from typing import Any

import fixture_bank
import pytest
import yaml
from inspect_ai.log import read_eval_log, write_eval_log
from loopback import Loopback, verdict
from test_engine import CLAUDE, GPT, LOCAL

from somb_utils.llm.bank import questions as bank
from somb_utils.llm.bank.questions import load_bank
from somb_utils.llm.judge.prompts import judge_prompts
from somb_utils.llm.judge.verdicts import read_reply, reply_model
from somb_utils.llm.run.cost import load_prices
from somb_utils.llm.run.logs import load

OTHER = "openai-api/loop/other-judge"


def run(*options: object) -> tuple[object, ...]:
    return ("run", "-m", LOCAL, *options)


JUDGE = ("judge", "logs/llm", "-j", LOCAL)


@pytest.fixture
def own_bank(world: Path) -> Path:
    """A bank that the test may change."""
    folder = fixture_bank.write(world / "own", fixture_bank.TEN)
    fixture_bank.use(folder)
    return folder


def test_a_larger_sample_holds_every_smaller_one(world: Path) -> None:
    for filters in ({}, {"modality": ["methods", "cross_mission"]}):
        everything = len(load_bank(**filters))
        samples = [{q.id for q in load_bank(**filters, sample=n)} for n in range(1, everything + 1)]
        assert all(small < large for small, large in pairwise(samples))


def test_samples_keep_the_shares_of_modality_and_difficulty(world: Path) -> None:
    everything = load_bank()
    for size in (10, 25, 50):
        drawn = load_bank(sample=size)
        for name in ("modality", "difficulty"):
            for level in {getattr(q, name) for q in everything}:
                counts = [sum(getattr(q, name) == level for q in questions) for questions in (everything, drawn)]
                assert abs(counts[1] - counts[0] * size / 100) < 1.6, (size, level)


def test_what_was_answered_is_not_asked_again_by_another_selection(
    own_bank: Path, server: Loopback, somb_llm: Any, world: Path
) -> None:
    for options, total in (
        (("--sample", 3), 3), (("--sample", 6), 6), (("--sample", 4), 6), (("--sample", 6, "--repeats", 2), 12),
        (("--full",), 16), (("--modality", "clinical"), 16),
    ):  # fmt: skip
        assert somb_llm(*run(*options)).code == 0
        assert len(server.calls) == total, options
    assert len(load([world / "logs/llm"]).answers) == 16
    assert somb_llm("run", "-m", LOCAL, "-m", GPT, "--sample", 2).code == 0
    assert len(server.calls) == 18, "a further model is asked what was asked for, not what the other has answered"


def test_a_dry_run_plans_what_is_missing(server: Loopback, somb_llm: Any, world: Path) -> None:
    def calls(*command: object) -> int:
        (row,) = (line for line in somb_llm(*command, "--dry-run").text.splitlines() if line.startswith("│ all"))
        return int(row.split("│")[2])

    assert calls(*run("--sample", 5)) == 5
    assert somb_llm(*run("--sample", 5)).code == 0
    assert calls(*run("--sample", 5)) == 0 and calls(*run("--sample", 8, "--repeats", 2)) == 3 + 8
    assert calls(*run("--sample", 5, "--temperature", 0.9)) == 5
    assert calls(*JUDGE) == 5 and somb_llm(*JUDGE).code == 0
    assert calls(*JUDGE) == 0 and calls(*JUDGE, "--per-dimension") == 30


def test_answers_that_change_are_judged_again_alone(server: Loopback, somb_llm: Any, world: Path) -> None:
    assert somb_llm(*run("--sample", 5)).code == 0 and somb_llm(*JUDGE).code == 0
    server.reply = lambda call: verdict(2) if call.judging else "Another answer."
    assert somb_llm(*run("--sample", 2, "--temperature", 0.9)).code == 0
    done = len(server.calls)
    assert somb_llm(*JUDGE).code == 0 and len(server.calls) == done + 2
    assert sorted(load([world / "logs/llm"]).scored["weighted_score"]) == [2, 2, 4, 4, 4]


# Verdicts that do not count -------------------------------------------------------------------------------------------


def test_prose_before_the_one_object_is_no_fault() -> None:
    for text in ("Let me see {as asked}.\n", "Reasoning: p < 0.05.\n```json\n", "", "```\n"):
        fence = "\n```\n" if "```" in text else " \n"
        reply, why = read_reply(f"{text}{verdict(3)}{fence}")
        assert reply is not None and why == "" and reply.model_dump()["completeness"] == 3, text


@pytest.mark.parametrize(
    "text", ["The answer says {0}. I grade: {1}", "{0}\n{1}", "It asks for {0}, which earns nothing."]
)
def test_an_object_that_may_be_quoted_from_the_answer_does_not_count(text: str) -> None:
    reply, why = read_reply(text.replace("{0}", verdict(5)).replace("{1}", verdict(2)))
    assert reply is None and why.startswith("judge_invalid")


def test_a_judge_whose_reply_is_not_valid_is_asked_once_more(server: Loopback, somb_llm: Any, world: Path) -> None:
    assert somb_llm(*run("--sample", 4)).code == 0
    server.calls.clear()
    server.reply = lambda call: verdict(3) if "does not count (judge_invalid" in call.text else verdict(9)
    assert somb_llm(*JUDGE).code == 0
    assert len(server.calls) == 8 and (load([world / "logs/llm"]).scored["weighted_score"] == 3).all()
    assert [message["role"] for message in server.calls[-1].body["messages"]] == ["system", "user", "assistant", "user"]


@pytest.mark.parametrize("per_dimension", [False, True])
def test_verdicts_that_do_not_count_are_told_and_asked_again(
    per_dimension: bool, server: Loopback, somb_llm: Any, world: Path
) -> None:
    assert somb_llm(*run("--sample", 4)).code == 0
    default, (first, *_) = server.reply, [q.id for q in load_bank(sample=4)]
    server.reply = lambda call: "no JSON" if first in call.text and call.judging else default(call)
    command = (*JUDGE, "--per-dimension") if per_dimension else JUDGE
    for _ in range(2):
        judged = somb_llm(*command)
        assert judged.code == 1 and "3 judgements complete" in judged.text
        assert judged.text.splitlines()[-1].startswith("1 judgements do not count (1 x judge_invalid")
    assert len(load([world / "logs/llm"]).scored) == 3
    server.reply, done = default, len(server.calls)
    assert somb_llm(*command).code == 0 and len(load([world / "logs/llm"]).scored) == 4
    assert len(server.calls) - done == (6 if per_dimension else 1)


def test_the_next_command_reads_all_that_is_needed(server: Loopback, somb_llm: Any, world: Path) -> None:
    assert somb_llm(*run("--sample", 2)).code == 0
    for log_dir, needed in (("logs/llm/more", ["logs/llm"]), ("else where", ["logs/llm", "else where"])):
        judged = somb_llm(*JUDGE, "--log-dir", log_dir)
        command = shlex.split(judged.text.splitlines()[-1].removeprefix("Next: "))
        assert command == ["somb", "llm", "report", *needed]
    assert somb_llm(*command[2:], "--n-bootstrap", 100).code == 0
    assert "verdicts that count: 2." in (world / "llm_report/report.md").read_text()


# What logs have in common ---------------------------------------------------------------------------------------------


def test_two_rubrics_are_not_reported_together(own_bank: Path, server: Loopback, somb_llm: Any, world: Path) -> None:
    assert somb_llm(*run("--sample", 3)).code == 0 and somb_llm(*JUDGE).code == 0
    rubric = own_bank / "rubric.yaml"
    rubric.write_text(rubric.read_text().replace("Mostly wrong", "Altogether wrong"))
    fixture_bank.use(own_bank)
    assert somb_llm("judge", "logs/llm", "-j", OTHER).code == 0
    report = ("report", "logs/llm", "--n-bootstrap", 100)
    refused = somb_llm(*report)
    assert refused.code == 2 and "differ in rubric: " in refused.text and "--mixed" in refused.text
    assert somb_llm(*report, "--mixed").code == 0
    lead = (world / "llm_report/report.md").read_text()
    assert "differ in rubric" in lead and "temperature 0.3, at most 2000 tokens" in lead
    done = len(server.calls)
    assert somb_llm(*JUDGE).code == 0 and len(server.calls) == done + 3, "the first judge grades by the new rubric"
    assert somb_llm(*report).code == 0


@pytest.mark.parametrize("part", ["bank", "contexts"])
def test_answers_to_another_bank_are_asked_anew(
    part: str, own_bank: Path, server: Loopback, somb_llm: Any, world: Path
) -> None:
    assert somb_llm(*run("--sample", 3)).code == 0
    file = own_bank / {"bank": "questions/methods.yaml", "contexts": "contexts/overview.md"}[part]
    file.write_text(file.read_text().replace("four crew", "five crew").replace("4 crew", "5 crew"))
    bank._bank.cache_clear()
    fixture_bank.use(own_bank)
    assert somb_llm(*run("--sample", 2)).code == 0 and len(server.calls) == 5
    refused = somb_llm(*JUDGE)
    assert refused.code == 2 and "1 answers, as in " in refused.text and len(server.calls) == 5
    refused = somb_llm("report", "logs/llm")
    assert refused.code == 2 and f"differ in {part}: " in refused.text and ".eval" in refused.text
    assert somb_llm(*run("--sample", 3)).code == 0 and len(server.calls) == 6
    assert somb_llm("report", "logs/llm").code == 0


# What a judge is asked ------------------------------------------------------------------------------------------------


def test_a_judge_sees_the_contexts_and_not_how_hard_a_question_is(world: Path) -> None:
    for question in load_bank():
        system, user = judge_prompts(question, "An answer.")
        assert "Context overview: 4 crew, 7 timepoints." in user
        assert question.difficulty not in user.split() and f", {question.kind}" not in user
        assert f"{question.modality}, " not in user and "is not invented" in system


@pytest.mark.parametrize(("part", "level"), [("combined", "factual_accuracy"), ("completeness", "score")])
def test_a_judge_gives_reasons_before_levels(part: str, level: str) -> None:
    names = list(reply_model(part).model_json_schema()["properties"])
    assert names.index("justification") < names.index(level)


# What is paid ---------------------------------------------------------------------------------------------------------


def price_file(world: Path, model: str) -> Path:
    path = world / "prices.yaml"
    price = {"input": 0, "output": 1000, "input_cache_write": 0, "input_cache_read": 0}
    path.write_text(yaml.safe_dump({model: price}))
    return path


def test_batch_mode_costs_what_a_batch_costs(server: Loopback, somb_llm: Any, world: Path) -> None:
    server.reply = lambda call: "x" * 400  # 100 tokens
    prices = price_file(world, CLAUDE)
    batch = ("run", "-m", CLAUDE, "--sample", 3, "--batch", "--batch-tick", 0.2, "--prices", prices)
    assert somb_llm(*batch, "--dry-run", "--max-tokens", 100).text.count("$0.15") == 4, (
        "as expected and at most, in all"
    )
    assert "$0.1500 spent" in somb_llm(*batch).text
    assert "$0.3000 spent" in somb_llm("run", "-m", CLAUDE, "--sample", 3, "--prices", prices, "--log-dir", "b").text
    for folder, cost in (("logs/llm", 0.15), ("b", 0.3)):
        assert load([world / folder], {}).answers["cost"].isna().all()
        assert load([world / folder], load_prices(prices)).answers["cost"].sum() == pytest.approx(cost)


def test_a_report_takes_prices_and_shows_no_amount_without(server: Loopback, somb_llm: Any, world: Path) -> None:
    assert somb_llm(*run("--sample", 2)).code == 0 and somb_llm(*JUDGE).code == 0
    report = ("report", "logs/llm", "--n-bootstrap", 100)
    for options, known in (((), False), (("--prices", price_file(world, LOCAL)), True)):
        assert somb_llm(*report, *options).code == 0
        usage = (world / "llm_report/tables/usage.csv").read_text().splitlines()
        assert all(bool(line.split(",")[5]) == known for line in usage[1:])
    assert "cost unknown" in somb_llm(*run("--sample", 3)).text


def test_logs_without_digests_are_read_and_said_to_have_none(server: Loopback, somb_llm: Any, world: Path) -> None:
    assert somb_llm(*run("--sample", 3)).code == 0 and somb_llm(*JUDGE).code == 0
    for path in (world / "logs").rglob("*.eval"):
        log = read_eval_log(str(path))
        log.eval.metadata = {name: value for name, value in (log.eval.metadata or {}).items() if "digests" not in name}
        write_eval_log(log, str(path))
    assert somb_llm("report", "logs/llm", "--n-bootstrap", 100).code == 0
    lead = (world / "llm_report/report.md").read_text()
    assert "No digests of bank, contexts, rubric and prompts are recorded" in lead and "verdicts that count: 3." in lead
    assert somb_llm("judge", "logs/llm", "-j", OTHER).code == 0
    refused = somb_llm("report", "logs/llm")
    assert refused.code == 2 and "not recorded (" in refused.text


def test_logs_that_state_per_dimension_in_place_of_a_mode_keep_it(server: Loopback, somb_llm: Any, world: Path) -> None:
    assert somb_llm(*run("--sample", 1)).code == 0 and somb_llm(*JUDGE, "--per-dimension").code == 0
    for path in (world / "logs").rglob("*.eval"):
        log = read_eval_log(str(path))
        if log.eval.metadata and log.eval.metadata.pop("mode", None):
            log.eval.metadata["per_dimension"] = True
            write_eval_log(log, str(path))
    (verdict,) = load([world / "logs"]).judgements.to_dict("records")
    assert verdict["mode"] == "per_dimension" and verdict["judge"].endswith(" (per dimension)")


def test_a_file_that_is_no_log_is_named_before_anything_is_asked(server: Loopback, somb_llm: Any, world: Path) -> None:
    (world / "logs/llm").mkdir(parents=True)
    (world / "logs/llm/broken.eval").write_bytes(b"not a log")
    result = somb_llm(*run("--sample", 1))
    assert result.code == 1 and "broken.eval" in result.text and not server.calls
