"""Evaluations with known truth: models of three real makers, short questions in a few groups."""

import pandas as pd

from somb_utils.llm.report.simulated import Judge, draw
from somb_utils.llm.run.evaluation import ANSWERS, JUDGEMENTS, Evaluation, evaluation

MODELS = {"anthropic/claude-a": 3.3, "anthropic/claude-b": 2.9, "openai/gpt-a": 3.2, "openai/gpt-b": 2.7}
MODELS |= {"google/gemini-a": 3.0}
GROUPS = {
    "modality": ["clinical", "spatial", "methods"], "difficulty": ["easy", "medium", "hard", "expert"],
    "kind": ["factual", "reasoning"],
}  # fmt: skip
FAIR = [Judge("anthropic/claude-judge"), Judge("openai/gpt-judge"), Judge("mistral/large")]


def make(panel: list[Judge], n_questions: int = 80, seed: int = 0, length_of: float = 0.0) -> Evaluation:
    """Return an evaluation by the panel; `length_of` makes the models' answers differ in length."""
    questions = [
        {"question_id": f"Q{q:03d}", "question": f"Question {q}?", "filler": "word"}
        | {name: values[q % len(values)] for name, values in GROUPS.items()}
        for q in range(n_questions)
    ]
    answers, judgements = draw(MODELS, panel, questions, seed, length_of=length_of)
    assert set(answers[0]) == set(ANSWERS) and set(judgements[0]) == set(JUDGEMENTS) - {"judge_weighted_score"}
    return evaluation(answers, judgements)


def words_of(example: Evaluation) -> pd.Series:
    """Return the lengths of the answers as the statistics take them."""
    from somb_utils.llm.report.scores import words

    return words(example.answers["answer"]).set_axis(
        pd.MultiIndex.from_frame(example.answers[["question_id", "model"]])
    )
