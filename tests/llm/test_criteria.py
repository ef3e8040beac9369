"""Verdicts by criteria: what a finding needs, the levels that follow, and both modes in one folder."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import fixture_bank
import pandas as pd
import pytest
from loopback import FLAGS, Call, Loopback, schema_of, verdict
from synthetic import FAIR, make

from somb_utils.llm.bank.questions import load_bank
from somb_utils.llm.judge.criteria import Finding, criteria, criteria_levels, problem, quotes
from somb_utils.llm.judge.prompts import judge_prompts
from somb_utils.llm.judge.verdicts import counted
from somb_utils.llm.report.summary import summarise
from somb_utils.llm.run.evaluation import Evaluation
from somb_utils.llm.run.logs import load

ANSWER = """## Result
- **Ferritin** rose to 0.398 µg/L – a small change
- IL‑6 fell by −1.5 units, as “expected”.
2. The *power* is low with N = 4.
"""


@pytest.mark.parametrize(
    ("quotation", "stands"),
    [
        ("Ferritin rose to 0.398 µg/L", True), ("ferritin  ROSE\nto 0.398", True), ('"rose to 0.398 µg/L."', True),
        ("IL-6 fell by -1.5 units, as \"expected\"", True), ("The power is low", True), ("**Ferritin** rose to", True),
        ("a small change\n- IL-6 fell", True), ("a small change IL-6 fell", True), ("with N = 4.", True),
        ("rose to 0.39", False), ("rose to 0", False), ("98 µg/L – a small", False), ("erritin rose to", False),
        ("Ferritin fell to 0.398", False), ("Ferritin ... small change", False), ("power", False), ("", False),
        ("...", False), (" ".join(ANSWER.split() * 2), False),
    ],
)  # fmt: skip
def test_a_quotation_stands_in_the_answer_whatever_its_case_spacing_and_markup(quotation: str, stands: bool) -> None:
    assert quotes(quotation, ANSWER) is stands


def test_an_answer_of_two_words_is_quoted_whole() -> None:
    assert quotes("Ferritin rose.", "Ferritin rose") and not quotes("Ferritin", "Ferritin rose")


def found(**outcomes: str) -> list[dict[str, str]]:
    return [{"criterion": name, "quotation": "", "outcome": outcome} for name, outcome in outcomes.items()]


@pytest.mark.parametrize(
    ("facts", "points", "accuracy", "completeness"),
    [
        ("mmmm", "mmmm", 5, 5), ("mmmu", "mmmm", 4, 4), ("mmmc", "mmmm", 3, 4), ("mmmm", "mmmc", 4, 4),
        ("mmuu", "mmuu", 3, 3), ("mmcc", "mmuu", 1, 3), ("uuuu", "uuuu", 1, 1), ("cccc", "cccc", 1, 1),
        ("mmmmu", "mmmmu", 4, 4), ("muu", "uuuu", 2, 1), ("mm", "uuu", 5, 2), ("mm", "muu", 5, 3),
    ],
)  # fmt: skip
def test_levels_follow_from_findings(facts: str, points: str, accuracy: int, completeness: int) -> None:
    outcomes = {"m": "met", "u": "unmet", "c": "contradicted"}
    named = {f"F{n}": outcomes[o] for n, o in enumerate(facts)} | {f"R{n}": outcomes[o] for n, o in enumerate(points)}
    assert criteria_levels(found(**named)) == {"factual_accuracy": accuracy, "completeness": completeness}


def test_a_contradiction_costs_more_than_silence_whatever_the_number_of_facts() -> None:
    for n in range(2, 6):
        names = [f"F{k}" for k in range(n)]
        levels = [
            criteria_levels(found(**dict.fromkeys(names, "met") | {"F0": outcome}))["factual_accuracy"]
            for outcome in ("met", "unmet", "contradicted")
        ]
        assert levels[0] == 5 and levels == sorted(levels, reverse=True) and levels[2] < levels[1] < levels[0]


def test_levels_are_computed_from_the_findings_whatever_a_log_states() -> None:
    levels = dict.fromkeys(("factual_accuracy", "completeness"), 5)
    levels |= dict.fromkeys(("reasoning_quality", "uncertainty_calibration", "domain_integration"), 3)
    row = counted(levels, dict.fromkeys(FLAGS, False), found(F1="met", F2="contradicted", R1="unmet"))
    assert (row["factual_accuracy"], row["completeness"], row["factual_error"]) == (1, 2, True)
    for wrong in ([], found(R1="met"), found(F1="maybe"), [{"criterion": "F1"}], "met"):
        with pytest.raises(ValueError, match="judge_invalid: findings"):
            counted(levels, dict.fromkeys(FLAGS, False), wrong)


def test_each_criterion_is_found_once_and_quoted() -> None:
    question = load_bank(sample=1)[0]
    names = list(criteria(question))
    good = [Finding(criterion=name, quotation="The power is low", outcome="met") for name in names]
    assert problem(good, question, ANSWER) == ""
    unmet = good[0].model_copy(update={"quotation": "", "outcome": "unmet"})
    assert problem([unmet, *good[1:]], question, ANSWER) == ""
    assert names[0] in problem(good[1:], question, ANSWER)
    assert names[1] in problem([*good, good[1]], question, ANSWER)
    assert "F9" in problem([*good, good[0].model_copy(update={"criterion": "F9"})], question, ANSWER)
    for outcome in ("met", "contradicted"):
        invented = good[0].model_copy(update={"quotation": "the crew grew wings", "outcome": outcome})
        reason = problem([invented, *good[1:]], question, ANSWER)
        assert reason.startswith("judge_misquotes: ") and names[0] in reason and names[1] not in reason


def test_the_judge_is_shown_numbered_criteria_and_the_three_other_dimensions() -> None:
    for question in load_bank(sample=5):
        system, user = judge_prompts(question, ANSWER, "criteria")
        assert all(f"- {name}: {text}" in user for name, text in criteria(question).items())
        assert "## factual_accuracy" not in system and "## reasoning_quality" in system and "# Flags" in system


# Over the wire --------------------------------------------------------------------------------------------------------


def judged(call: Call) -> str:
    """Answer; grade holistically; or find F1 contradicted and all else met, with the quotation of one's name."""
    if not call.judging:
        return f"An answer of the {call.model} model: with N = 4 the power is low."
    if "findings" not in schema_of(call.body)["properties"]:
        return verdict(3)
    quotation = "the crew grew wings" if "wings" in call.model and "first model" in call.text else "the power is low"
    if call.model == "careless" and "does not count" not in call.text:
        quotation = "words that stand nowhere"
    names = re.findall(r"^- ([FR]\d): ", call.text, re.MULTILINE)
    outcomes = {name: "contradicted" if name == "F1" else "met" for name in names}
    rows = [{"criterion": n, "quotation": quotation, "outcome": o} for n, o in outcomes.items()]
    levels = {"reasoning_quality": 4, "uncertainty_calibration": 4, "domain_integration": 4}
    flags = dict.fromkeys(FLAGS, False)
    return json.dumps({"findings": rows, "justification": "Because.", "flags": flags} | levels)


def test_both_modes_in_one_folder(server: Loopback, somb_llm: Any, world: Path) -> None:
    two = dict.fromkeys(fixture_bank.COUNTS, (0,) * 4) | {"methods": (2, 0, 0, 0)}
    fixture_bank.use(fixture_bank.write(world / "bank", two))
    server.reply = judged
    models = [f"openai-api/loop/{name}" for name in ("first", "second")]
    careless, wings = (f"openai-api/loop/{name}" for name in ("careless", "wings"))
    assert somb_llm("run", "-m", models[0], "-m", models[1], "--full").code == 0
    assert somb_llm("judge", "logs/llm", "-j", careless, "--mode", "criteria", "--per-dimension").code == 2
    planned = somb_llm("judge", "logs/llm", "-j", careless, "--mode", "both", "--dry-run").text
    assert f"{careless} (criteria)" in planned and planned.count("4 │") >= 2 and len(server.calls) == 4

    judge = ("judge", "logs/llm", "-j", careless, "-j", wings, "--mode", "both")
    ended = somb_llm(*judge)
    assert ended.code == 1 and "14 judgements complete" in ended.text and "2 judgements do not count" in ended.text
    evaluation = load([world / "logs/llm"])
    lost = evaluation.judgements[evaluation.judgements["status"] == "unscored"]
    assert set(lost["judge"]) == {f"{wings} (criteria)"} and lost["reason"].str.startswith("judge_misquotes: ").all()
    again = [call for call in server.calls if "does not count" in call.text]
    assert {call.model for call in again} == {"careless", "wings"} and len(again) == 4 + 2

    # Means are over one mode, and the other is shown beside it.
    assert set(evaluation.scored["mode"]) == {"combined"} and set(evaluation.valid["mode"]) == {"combined", "criteria"}
    by_criteria = evaluation.valid[evaluation.valid["mode"] == "criteria"]
    assert set(by_criteria["factual_accuracy"]) == {1} and set(by_criteria["completeness"]) == {4}
    assert by_criteria["factual_error"].all() and by_criteria["weaknesses"].str.contains("the power is low").all()
    assert somb_llm("report", "logs/llm", "--n-bootstrap", 100, "--mode", "criteria").code == 0
    dimensions = {"criteria": pd.read_csv(world / "llm_report/tables/dimension.csv")}
    tables = summarise(evaluation, n_bootstrap=1).tables
    dimensions |= {"holistic": tables["dimension"]}
    dimensions |= {"mixed": summarise(replace(evaluation, mode="mixed"), n_bootstrap=1).tables["dimension"]}
    means = {mode: set(table.query("dimension == 'factual_accuracy'")["mean"]) for mode, table in dimensions.items()}
    assert means["holistic"] == {3.0} and means["criteria"] == {1.0} and means["mixed"].isdisjoint({1.0, 3.0})
    modes = tables["modes"].set_index(["judge", "dimension"])
    assert modes.loc[(careless, "factual_accuracy"), "shift"] == -2 and modes.loc[(careless, "completeness"), "n"] == 4
    shares = tables["findings"].query(f"judge == '{careless} (criteria)' and kind == 'key facts'")
    assert list(shares["contradicted"]) == [0.5, 0.5] and list(shares["n"]) == [4, 4]
    assert tables["extreme_facts"].groupby("met")["criterion"].agg(set).to_dict() == {0.0: {"F1"}, 1.0: {"F2"}}
    assert somb_llm("report", "logs/llm", "--mixed", "--mode", "criteria").code == 2


def test_a_report_without_verdicts_by_criteria_has_no_table_of_them() -> None:
    example = make(FAIR, n_questions=6)
    assert not {"modes", "findings", "criteria"} & summarise(example, n_bootstrap=1).tables.keys()
    assert Evaluation(example.answers, example.judgements, "criteria").scored.empty
    stated = Evaluation(example.answers, example.judgements.assign(mode="criteria"))
    assert "criteria" not in summarise(stated, n_bootstrap=1).tables and len(stated.scored)
