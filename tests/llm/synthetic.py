"""Scores with known truth: models of three makers judged by a panel whose members may be biased."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from somb_utils.llm.bank import DIMENSIONS
from somb_utils.llm.judge import FLAGS, weighted
from somb_utils.llm.judges import family
from somb_utils.llm.logs import ANSWERS, JUDGEMENTS, Evaluation, digest, evaluation

MODELS = {"anthropic/claude-a": 3.3, "anthropic/claude-b": 2.9, "openai/gpt-a": 3.2, "openai/gpt-b": 2.7}
MODELS |= {"google/gemini-a": 3.0}
GROUPS = {
    "modality": ["clinical", "spatial", "methods"], "difficulty": ["easy", "medium", "hard", "expert"],
    "kind": ["factual", "reasoning"],
}  # fmt: skip


@dataclass(frozen=True)
class Judge:
    """A judge and its biases, in points: for all, for its own family, for each doubling of length."""

    name: str
    lenient: float = 0.0
    own: float = 0.0
    length: float = 0.0
    noise: float = 0.6


FAIR = [Judge("anthropic/claude-judge"), Judge("openai/gpt-judge"), Judge("mistral/large")]


def make(panel: list[Judge], n_questions: int = 80, seed: int = 0, length_of: float = 0.0) -> Evaluation:
    """Return an evaluation by the panel; `length_of` makes the models' answers differ in length."""
    rng = np.random.default_rng(seed)
    answers, judgements = [], []
    for q in range(n_questions):
        hardness = rng.normal(0, 0.4)
        groups = {name: values[q % len(values)] for name, values in GROUPS.items()}
        for i, (model, quality) in enumerate(MODELS.items()):
            doublings = rng.normal(0, 0.8) + length_of * (i - 2)
            words = int(np.clip(200 * 2**doublings, 10, 4000))
            text = f"{model} {q} " + "word " * (words - 2)
            about = {"model": model, "question_id": f"Q{q:03d}", "epoch": 1, **groups}
            answers.append(about | {"question": f"Question {q}?", "status": "ok", "reason": "", "answer": text,
                                    "input_tokens": 100, "output_tokens": words, "cost": 0.001, "seconds": 2.0,
                                    "completed_at": "",
                                        "source": "synthetic"})  # fmt: skip
            truth = quality + hardness + rng.normal(0, 0.3)
            for judge in panel:
                seen = truth + judge.lenient + judge.own * (family(model) == family(judge.name))
                seen += judge.length * np.log2(words / 200)
                drawn = np.clip(np.rint(seen + rng.normal(0, judge.noise, 5)), 1, 5).astype(int)
                levels = {name: int(level) for name, level in zip(DIMENSIONS, drawn, strict=True)}
                judgements.append(about | levels | {
                    "judge": judge.name, "mode": "combined", "status": "scored", "reason": "",
                    "weighted_score": weighted(levels), **dict.fromkeys(FLAGS, False), "justification": "So.",
                    "strengths": "", "weaknesses": "", "missed_points": "", "input_tokens": 1, "output_tokens": 1,
                    "cost": 0.001, "seconds": 1.0, "answer_digest": digest(text), "completed_at": "",
                        "source": "synthetic",
                })  # fmt: skip
    assert set(answers[0]) == set(ANSWERS) and set(judgements[0]) == set(JUDGEMENTS) - {"judge_weighted_score"}
    return evaluation(answers, judgements)


def words_of(made: Evaluation) -> pd.Series:
    """Return the lengths of the answers as the statistics take them."""
    from somb_utils.llm.scores import words

    return words(made.answers["answer"]).set_axis(pd.MultiIndex.from_frame(made.answers[["question_id", "model"]]))
