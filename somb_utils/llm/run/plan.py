"""What a run is expected to use, estimated from lengths before anything is sent."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from somb_utils.llm.bank.questions import load_bank
from somb_utils.llm.bank.schema import Question
from somb_utils.llm.judge.prompts import judge_prompts
from somb_utils.llm.judge.verdicts import PARTS
from somb_utils.llm.run import cost
from somb_utils.llm.run.missing import answers_in, missing, verdicts_in, wanted_answers, wanted_verdicts
from somb_utils.llm.run.models import Settings
from somb_utils.llm.run.prompts import SYSTEM, question_prompt
from somb_utils.llm.run.providers import ANSWER_TOKENS, JUDGE_TOKENS, judge_name, token_limit

TYPICAL_ANSWER, TYPICAL_VERDICT, TYPICAL_FINDINGS = 900, 650, 900


@dataclass(frozen=True)
class Estimate:
    """What one model is expected to use: tokens, and dollars if its price is known."""

    model: str
    calls: int
    input_tokens: int
    output_tokens: int
    most_output_tokens: int
    dollars: float | None
    most_dollars: float | None


def estimate(
    model: str,
    prompts: Sequence[str],
    prices: dict[str, Any],
    settings: Settings,
    usual: int = ANSWER_TOKENS,
    typical: int = TYPICAL_ANSWER,
) -> Estimate:
    """Return what sending these prompts to a model will use, from lengths alone."""
    limit = settings.max_tokens or token_limit(model, usual)
    tokens_in = sum(cost.tokens(prompt) for prompt in prompts)
    tokens_out = len(prompts) * min(limit, typical)
    most_out = len(prompts) * limit
    price = cost.price_of(model, cost.discounted(prices, model) if settings.batch else prices)
    dollars = (tokens_in * price.input + tokens_out * price.output) / 1e6 if price else None
    highest = (tokens_in * price.input + most_out * price.output) / 1e6 if price else None
    return Estimate(model, len(prompts), tokens_in, tokens_out, most_out, dollars, highest)


def plan_answers(
    models: Sequence[str],
    questions: Sequence[Question],
    repeats: int,
    log_dir: Path,
    prices: dict[str, Any],
    settings: Settings,
) -> list[Estimate]:
    """Return an estimate for each model of the answers that the folder lacks."""
    ended, estimates = answers_in(log_dir), []
    for model in models:
        asked = missing(wanted_answers(model, questions, repeats, settings), ended)
        texts = [SYSTEM + question_prompt(question) for question, _ in asked]
        estimates.append(estimate(model, texts, prices, settings))
    return estimates


def plan_judging(
    judges: Sequence[str],
    answers: Sequence[dict[str, Any]],
    modes: Sequence[str],
    log_dir: Path,
    prices: dict[str, Any],
    settings: Settings,
) -> list[Estimate]:
    """Return an estimate for each judge and mode of the verdicts that the folder lacks."""
    bank = {question.id: question for question in load_bank()}
    ended, estimates = verdicts_in(log_dir), []
    for judge, mode in product(judges, modes):
        asked, parts = missing(wanted_verdicts(judge, answers, mode), ended), PARTS[mode]
        texts = ["".join(judge_prompts(bank[a["question_id"]], a["answer"], part)) for a in asked for part in parts]
        typical = TYPICAL_FINDINGS if mode == "criteria" else TYPICAL_VERDICT
        found = estimate(judge, texts, prices, settings, JUDGE_TOKENS, typical)
        estimates.append(replace(found, model=judge_name(judge, mode)))
    return estimates
