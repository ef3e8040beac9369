"""Models graded by incomplete panels of judges, or on different questions: ranked rightly, or not at all."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fixture_bank
import numpy as np
import pandas as pd
import pytest
from loopback import DIMENSIONS, Call, Loopback, verdict
from synthetic import FAIR, MODELS, make

from somb_utils.llm.bank.questions import load_bank
from somb_utils.llm.report.html import explorer_data
from somb_utils.llm.report.simulated import Judge
from somb_utils.llm.report.summary import Summary, summarise
from somb_utils.llm.report.text import display_table
from somb_utils.llm.run.evaluation import Evaluation

STRICT, LENIENT = Judge("anthropic/claude-judge"), Judge("mistral/large", leniency=0.8)
BEST, WORST = "anthropic/claude-a", "openai/gpt-b"


def without(example: Evaluation, lost: Callable[[pd.DataFrame], pd.Series]) -> Evaluation:
    return Evaluation(example.answers, example.judgements[~lost(example.judgements)])


def order(summary: Summary) -> list[str]:
    return list(summary.tables["ranking"]["model"])


def number(questions: pd.Series) -> pd.Series:
    return questions.str[1:].astype(int)


def test_a_model_does_not_gain_by_what_its_strict_judge_left_out() -> None:
    """Both judges prefer the other model, each on every question."""
    example = make([STRICT, LENIENT], n_questions=60)
    levels = {(BEST, STRICT.name): 3, (BEST, LENIENT.name): 5, (WORST, STRICT.name): 2, (WORST, LENIENT.name): 4}
    judgements = example.judgements[example.judgements["model"].isin([BEST, WORST])].copy()
    judgements["weighted_score"] = pd.MultiIndex.from_frame(judgements[["model", "judge"]]).map(levels).astype(float)
    example = Evaluation(example.answers[example.answers["model"].isin([BEST, WORST])], judgements)
    part = without(example, lambda j: (j["judge"] == STRICT.name) & (j["model"] == WORST))
    summary = summarise(part, compare=True, n_bootstrap=100)
    ranking = summary.tables["ranking"].set_index("model")
    assert order(summary) == [BEST, WORST]
    assert ranking.loc[BEST, "mean"] == pytest.approx(4.0) and ranking.loc[WORST, "mean"] == pytest.approx(3.0)
    (pair,) = summary.tables["pairs"].to_dict("records")
    assert pair["difference"] == pytest.approx(1.0) and (pair["wins"], pair["n"]) == (60, 60)
    explored = {(row["model"], row["score"]) for row in explorer_data(part)["answers"]}
    assert explored == {(BEST, 4.0), (WORST, 3.0)}, "in the explorer too"
    notes = " ".join(summary.notes)
    assert f"{STRICT.name} graded 0 of 60 answers by {WORST}" in notes and "leniency" in notes


@pytest.mark.parametrize("share", [0.4, 1.0])
def test_missing_verdicts_leave_the_order_and_widen_no_gap(share: float) -> None:
    example = make([STRICT, LENIENT], n_questions=100)
    cut = np.quantile(np.arange(100), share)
    part = without(
        example,
        lambda j: (j["judge"] == STRICT.name) & (j["model"] == WORST) & (number(j["question_id"]) <= cut),
    )
    whole, summary = summarise(example, n_bootstrap=100), summarise(part, n_bootstrap=100)
    assert order(summary) == order(whole) == sorted(MODELS, key=MODELS.__getitem__, reverse=True)
    means = [s.tables["ranking"].set_index("model")["mean"] for s in (whole, summary)]
    assert (means[0] - means[1]).abs().max() < 0.12
    groups = [s.tables["difficulty"].set_index(["model", "difficulty"])["mean"] for s in (whole, summary)]
    assert (groups[0] - groups[1]).abs().max() < 0.35
    adjusted = [s.tables["length_adjusted"].set_index("model")["mean"] for s in (whole, summary)]
    assert (adjusted[0] - adjusted[1]).abs().max() < 0.12


def test_the_interval_knows_that_leniency_is_estimated() -> None:
    """A model that one judge alone graded has a wider interval than one that both graded."""
    example = make([STRICT, LENIENT], n_questions=40)
    few = without(
        example, lambda j: (j["judge"] == STRICT.name) & ((j["model"] == WORST) | (number(j["question_id"]) > 7))
    )
    ranking = summarise(few, n_bootstrap=500).tables["ranking"].set_index("model")
    plain = summarise(without(example, lambda j: j["judge"] == STRICT.name), n_bootstrap=500).tables["ranking"]
    widths = [(t["high"] - t["low"])[WORST] for t in (ranking, plain.set_index("model"))]
    assert widths[0] > widths[1]


def test_a_complete_panel_gives_the_plain_means() -> None:
    example = make(FAIR, n_questions=24)
    ranking = summarise(example, n_bootstrap=100).tables["ranking"].set_index("model")["mean"]
    plain = example.judgements.groupby("model")["weighted_score"].mean()
    pd.testing.assert_series_equal(ranking.sort_index(), plain, check_names=False)


def test_judges_without_a_common_answer_rank_nothing() -> None:
    example = make([STRICT, LENIENT], n_questions=20)
    apart = without(example, lambda j: (j["model"] == WORST) == (j["judge"] == STRICT.name))
    summary = summarise(apart, compare=True, n_bootstrap=100)
    assert summary.tables["ranking"]["rank"].isna().all()
    assert WORST not in set(summary.tables["pairs"]["model"]) | set(summary.tables["pairs"]["against"])
    assert "not ranked: " in " ".join(summary.notes) and "graded no answer in common" in " ".join(summary.notes)


def test_models_are_ranked_on_their_common_questions_alone() -> None:
    """The worst model was only asked questions that everybody finds easy."""
    example = make(FAIR, n_questions=60)
    judgements = example.judgements.copy()
    easy = number(judgements["question_id"]) < 20
    judgements["weighted_score"] = (judgements["weighted_score"] / 2 + easy * 2).clip(1, 5)
    part = without(
        Evaluation(example.answers, judgements), lambda j: (j["model"] == WORST) & (number(j["question_id"]) >= 20)
    )
    summary = summarise(part, n_bootstrap=100)
    assert order(summary)[-1] == WORST and set(summary.tables["ranking"]["n"]) == {20}
    assert f"the 20 questions that all were graded on, of 60: {WORST} was graded on 20" in " ".join(summary.notes)
    assert summary.tables["ranking_by_judge"]["n"].eq(20).all()


def test_models_without_a_common_question_are_not_ranked() -> None:
    example = make(FAIR, n_questions=40)
    apart = without(example, lambda j: (j["model"] == WORST) == (number(j["question_id"]) < 20))
    apart = without(apart, lambda j: ~j["model"].isin([BEST, WORST]))
    summary = summarise(apart, n_bootstrap=100)
    ranking = summary.tables["ranking"]
    assert list(ranking["n"]) == [20, 20] and ranking[["rank", "rank_low", "rank_high"]].isna().all().all()
    assert "no question in common" in " ".join(summary.notes)
    assert list(display_table("ranking", ranking)["rank"]) == ["–", "–"]


def test_fewer_than_five_questions_have_no_interval() -> None:
    example = make([STRICT, LENIENT], n_questions=10)
    summary = summarise(example, compare=True, n_bootstrap=100)
    groups = summary.tables["difficulty"]
    assert set(groups["n"]) == {2, 3} and groups[["low", "high"]].isna().all().all()
    shown = display_table("difficulty", groups)
    assert shown["easy"].str.fullmatch(r"\d\.\d\d").all()
    assert summary.tables["ranking"][["low", "high"]].notna().all().all()
    few = summarise(make([STRICT, LENIENT], n_questions=4), compare=True, n_bootstrap=100).tables
    for name in ("ranking", "pairs", "leniency", "verbosity_bias", "self_preference"):
        assert len(few[name]) and few[name][["low", "high"]].isna().all().all(), name


# Over the wire --------------------------------------------------------------------------------------------------------

ANSWERERS = {"first": 3.4, "second": 2.8, "third": 2.65}
LENIENCIES = {"strict": 0.0, "lenient": 1.6}


def graded(call: Call) -> str:
    """Answer by one's name; grade an answer by whose it is, which question it is to, and the judge's leniency."""
    if not call.judging:
        return f"An answer by the {call.model} model."
    quality = next(value for name, value in ANSWERERS.items() if f"by the {name} model" in call.text)
    question = call.text.partition("Fixture question ")[2].partition(":")[0]
    shares = [hashlib.sha256(f"{question}{name}".encode()).digest()[0] / 256 for name in DIMENSIONS]
    levels = [int(quality + LENIENCIES[call.model] + share) for share in shares]
    return verdict(**{name: min(5, level) for name, level in zip(DIMENSIONS, levels, strict=True)})


@pytest.mark.parametrize("numbers", [fixture_bank.FIVE, pytest.param(fixture_bank.COUNTS, marks=pytest.mark.slow)])
def test_lost_verdicts_do_not_change_the_ranking(
    numbers: dict[str, tuple[int, ...]], server: Loopback, somb_llm: Any, world: Path
) -> None:
    """The strict judge's verdicts on 40 % of the last model's answers are lost, then asked for again."""
    fixture_bank.use(fixture_bank.write(world / "numbers", numbers))
    names = [question.id for question in load_bank()]
    lost = names[: int(0.4 * len(names))]
    server.reply = graded
    assert somb_llm("run", *(p for m in ANSWERERS for p in ("-m", f"openai-api/loop/{m}")), "--full").code == 0
    server.fault = lambda call: (
        "400"
        if call.model == "strict" and "by the third model" in call.text and any(f"{n}:" in call.text for n in lost)
        else None
    )
    judge = ("judge", "logs/llm", *(p for j in LENIENCIES for p in ("-j", f"openai-api/loop/{j}")))
    report = ("report", "logs/llm", "--n-bootstrap", 100)
    assert f"{len(lost)} judgements failed" in somb_llm(*judge).text
    assert somb_llm(*report).code == 0
    part = pd.read_csv(world / "llm_report/tables/ranking.csv")
    plain = pd.read_csv(world / "llm_report/judgements.csv").groupby("model")["weighted_score"].mean()
    assert (
        f"openai-api/loop/strict graded {len(names) - len(lost)} of {len(names)} answers by openai-api/loop/third"
        in (world / "llm_report/report.md").read_text().replace("\\", "")
    )
    server.fault = None
    assert somb_llm(*judge).code == 0 and somb_llm(*report).code == 0
    whole = pd.read_csv(world / "llm_report/tables/ranking.csv")
    assert list(part["model"]) == list(whole["model"]) == [f"openai-api/loop/{name}" for name in ANSWERERS]
    assert list(plain.sort_values(ascending=False).index) != list(whole["model"]), "plain means rank them otherwise"
    assert list(whole["n"]) == [len(names)] * 3 and (part["mean"] - whole["mean"]).abs().max() < 0.05
