"""The report's statistics on scores with known truth, and against published and library values."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score
from synthetic import FAIR, MODELS, make, words_of

from somb_utils.llm.report import agreement, biases, scores
from somb_utils.llm.report.panel import Panel, panel
from somb_utils.llm.report.simulated import Judge
from somb_utils.llm.run.providers import family


def panel_of(table: pd.DataFrame) -> Panel:
    """Return the panel of one judge that gave these scores (questions x models)."""
    scored = table.rename_axis(index="question_id", columns="model").stack().rename("weighted_score").reset_index()
    return panel(scored.assign(judge="j", epoch=1))


def detected(panel: list[Judge], seed: int = 0, length_of: float = 0.0) -> set[tuple[str, str]]:
    example = make(panel, seed=seed, length_of=length_of)
    return {(judge, bias) for judge, bias, _ in biases.findings(example.scored, words_of(example), 400)}


@pytest.mark.parametrize("seed", range(5))
def test_fair_panel_shows_no_bias(seed: int) -> None:
    assert detected(FAIR, seed) == set()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("biased", "bias"),
    [
        (Judge("qwen/qwen-judge", leniency=0.5), "lenient"),
        (Judge("openai/gpt-judge", self_preference=0.5), "self-preferring"),
        (Judge("qwen/qwen-judge", verbosity=0.3), "verbosity-biased"),
    ],
)
def test_biased_judge_is_detected_and_no_other(biased: Judge, bias: str, seed: int) -> None:
    panel = [judge for judge in FAIR if judge.name != biased.name] + [biased]
    assert detected(panel, seed) == {(biased.name, bias)}


def test_three_biased_judges_are_distinguished() -> None:
    panel = [
        Judge("qwen/qwen-judge", leniency=0.6), Judge("openai/gpt-judge", self_preference=0.6),
        Judge("anthropic/claude-judge", verbosity=0.35), Judge("mistral/large"),
    ]  # fmt: skip
    assert detected(panel) == {
        ("qwen/qwen-judge", "lenient"),
        ("openai/gpt-judge", "self-preferring"),
        ("anthropic/claude-judge", "verbosity-biased"),
    }


def test_length_is_not_mistaken_for_family() -> None:
    """A judge with verbosity bias, whose family writes the longest answers, does not prefer itself."""
    panel = [*FAIR[:2], Judge("google/gemini-judge", verbosity=0.3)]
    assert detected(panel, length_of=0.6) == {("google/gemini-judge", "verbosity-biased")}


def test_family_is_not_mistaken_for_length() -> None:
    panel = [*FAIR[:2], Judge("google/gemini-judge", self_preference=0.6)]
    assert detected(panel, length_of=0.6) == {("google/gemini-judge", "self-preferring")}


def test_two_judges_and_two_families_give_one_common_preference() -> None:
    example = make(
        [Judge("anthropic/claude-judge", self_preference=0.4), Judge("openai/gpt-judge", self_preference=0.4)]
    )
    scored = example.scored[~example.scored["model"].str.startswith("google")]
    table = biases.self_preference(scored)
    assert list(table["judge"]) == ["all"] and table["low"].iloc[0] > 0.2


def test_preference_is_estimated_to_its_size() -> None:
    panel = [*FAIR[::2], Judge("openai/gpt-judge", self_preference=0.5, noise=0.4)]
    estimates = [
        biases.self_preference(make(panel, seed=s).scored, None, 100).set_index("judge")["preference"] for s in range(5)
    ]
    mean = pd.concat(estimates, axis=1).mean(axis=1)
    assert mean["openai/gpt-judge"] == pytest.approx(0.5, abs=0.06)
    assert mean["anthropic/claude-judge"] == pytest.approx(0, abs=0.06)


def test_krippendorff_matches_the_published_example() -> None:
    """Krippendorff 2011, the reliability data of four observers: ordinal alpha 0.815."""
    n = np.nan
    ratings = np.array(
        [
            [1, 2, 3, 3, 2, 1, 4, 1, 2, n, n, n], [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, n, 3],
            [n, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, n], [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, n],
        ]
    ).T  # fmt: skip
    assert agreement.krippendorff_alpha(ratings) == pytest.approx(0.815, abs=5e-4)
    assert agreement.krippendorff_alpha(np.array([[1, 1], [3, 3], [5, 5]], float)) == 1
    for undefined in ([[2, 2], [2, 2]], [[1, n], [n, 2]], [[1, n], [2, 2], [2, 2]]):
        assert np.isnan(agreement.krippendorff_alpha(np.array(undefined, float)))


def test_kappa_is_sklearns_and_by_hand() -> None:
    a, b = np.array([1, 2, 3, 4, 5, 3]), np.array([2, 2, 3, 5, 5, 1])
    assert agreement.weighted_kappa(a, b) == cohen_kappa_score(a, b, weights="quadratic", labels=[1, 2, 3, 4, 5])
    observed = ((a - b) ** 2).mean()
    expected = ((a[:, None] - b[None, :]) ** 2).mean()
    assert agreement.weighted_kappa(a, b) == pytest.approx(1 - observed / expected)
    assert np.isnan(agreement.weighted_kappa(np.array([3, 3]), np.array([3, 3])))


def test_repeats_are_averaged_before_questions() -> None:
    scored = pd.DataFrame(
        {
            "question_id": ["a", "a", "a", "b"], "model": "m", "judge": "j", "epoch": [1, 2, 3, 1],
            "weighted_score": [1.0, 1.0, 1.0, 5.0],
        }
    )  # fmt: skip
    assert scores.ranking(panel(scored), 100)["mean"].iloc[0] == 3.0


def test_paired_interval_is_narrower_than_the_scores_vary() -> None:
    """Models that differ by a constant differ for sure, however much questions vary."""
    base = np.random.default_rng(1).normal(3, 1, 60)
    table = pd.DataFrame({"a": base + 0.1, "b": base})
    row = scores.pairs(panel_of(table), 500).iloc[0]
    assert row["model"] == "a" and row["low"] == pytest.approx(0.1) == row["high"]
    assert (row["wins"], row["ties"], row["losses"]) == (60, 0, 0)
    ranking = scores.ranking(panel_of(table), 500)
    assert ranking.loc["a", "low"] < ranking.loc["b", "mean"], "though their own intervals overlap"
    assert ranking.loc["a", "rank_high"] == 1


def test_interval_covers_as_it_says() -> None:
    rng = np.random.default_rng(3)
    covered = 0
    for trial in range(100):
        row = scores.ranking(panel_of(pd.DataFrame({"m": rng.normal(3, 1, 50)})), 400, trial).iloc[0]
        covered += row["low"] <= 3 <= row["high"]
    assert 0.88 <= covered / 100 <= 0.99


def test_wins_ties_losses_use_common_questions() -> None:
    table = pd.DataFrame({"a": [5.0, 3.0, 1.0, np.nan], "b": [4.0, 3.0, 2.0, 5.0]})
    row = scores.pairs(panel_of(table), 100).iloc[0]
    assert {row["model"], row["against"]} == {"a", "b"}
    assert (row["wins"], row["ties"], row["losses"], row["n"]) == (1, 1, 1, 3)


def test_length_effect_and_adjusted_ranking() -> None:
    """A model that gains its lead by length alone loses it once length is held equal."""
    rng = np.random.default_rng(0)
    rows = []
    for model, words, quality in (("long", 800, 3.0), ("short", 100, 3.3)):
        for q in range(80):
            n = words * 2 ** rng.normal(0, 0.7)
            score = quality + 0.3 * np.log2(n / 100) + rng.normal(0, 0.2)
            rows.append({"model": model, "question_id": f"Q{q}", "score": score, "words": n})
    frame = pd.DataFrame(rows)
    effect = scores.length_effect(frame)
    assert effect["slope"] == pytest.approx(0.3, abs=0.05) and effect["spearman"] > 0.5 < effect["within"]
    adjusted = scores.length_adjusted(frame)
    assert adjusted.loc["long", "rank"] == 1 and adjusted.loc["short", "adjusted_rank"] == 1
    frame["score"] = rng.normal(3, 1, len(frame))
    assert abs(scores.length_effect(frame)["within"]) < 0.2


def test_ranking_recovers_the_planted_order_and_judges_agree() -> None:
    example = make(FAIR, n_questions=120)
    ranking = scores.ranking(panel(example.scored), 200)
    assert list(ranking.index) == sorted(MODELS, key=MODELS.__getitem__, reverse=True)
    assert (agreement.rank_agreement(example.scored)["tau"] > 0.7).all()
    table = agreement.agreement(example.scored)
    assert len(table) == 5 * 3 and table["kappa"].between(0.2, 0.8).all()


@pytest.mark.parametrize(
    ("name", "maker"),
    [
        ("openai/gpt-4o", "openai"), ("gpt-4o-mini", "openai"), ("openai/o3-mini", "openai"),
        ("anthropic/claude-sonnet-4-6", "anthropic"), ("claude-haiku-4-5-20251001", "anthropic"),
        ("google/gemini-2.5-flash", "google"), ("groq/llama-3.3-70b-versatile", "meta"),
        ("together/meta-llama/Llama-3.3-70B-Instruct-Turbo", "meta"), ("deepseek-chat", "deepseek"),
        ("openai-api/loop/my-model", "my-model"), ("openai/gpt-4o (per dimension)", "openai"),
    ],
)  # fmt: skip
def test_family(name: str, maker: str) -> None:
    assert family(name) == maker


def test_nothing_breaks_with_one_model_one_judge_one_question() -> None:
    example = make(FAIR[:1], n_questions=1)
    scored = example.scored[example.scored["model"] == "openai/gpt-a"]
    assert biases.findings(scored, words_of(example), 100) == []
    assert len(scores.ranking(panel(scored), 100)) == 1
    assert agreement.agreement(scored).empty and agreement.rank_agreement(scored).empty
    assert scores.pairs(panel(scored), 100).empty
