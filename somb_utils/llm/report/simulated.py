"""A simulated evaluation with known truth: invented models, judged by a panel whose members may be biased.

It shows the report where there are no logs, and tests whether the report detects the planted biases. No language
model is asked; answers are lines of the questions' contexts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

import numpy as np

from somb_utils.llm.bank.questions import load_bank, load_context
from somb_utils.llm.bank.schema import DIMENSIONS
from somb_utils.llm.judge.verdicts import FLAGS, weighted_score
from somb_utils.llm.run.evaluation import Evaluation, digest, evaluation
from somb_utils.llm.run.providers import SIMULATED, family

TYPICAL_WORDS, FEWEST_WORDS, MOST_WORDS = 200, 10, 4000


@dataclass(frozen=True)
class Judge:
    """A judge and its biases in points: for all answers, for its own family, per doubling of length."""

    name: str
    leniency: float = 0.0
    self_preference: float = 0.0
    verbosity: float = 0.0
    noise: float = 0.6


MODELS = {"alder-large": 3.7, "alder-small": 3.1, "birch-large": 3.6, "cedar-large": 3.3}
PANEL = (
    Judge(f"{SIMULATED}alder-judge", self_preference=0.5),
    Judge(f"{SIMULATED}birch-judge", verbosity=0.35),
    Judge(f"{SIMULATED}cedar-judge", leniency=0.5),
)
PLANTED = (
    "alder-judge adds 0.5 points to models of its own maker, birch-judge 0.35 for each doubling of an answer's "
    "length, cedar-judge 0.5 to every answer"
)
_LOST = {7: "refused", 41: "failed", 66: "truncated"}


def draw(
    models: Mapping[str, float],
    panel: Sequence[Judge],
    questions: Sequence[Mapping[str, Any]],
    seed: int = 0,
    typical_words: int = TYPICAL_WORDS,
    length_of: float = 0.0,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return answer rows and judgement rows of models of known quality (mean level), as `evaluation` takes them.

    A question has ``question_id``, ``question``, ``modality``, ``difficulty``, ``kind`` and ``filler``, the words that
    answers are made of. `typical_words` is the median length of an answer, `length_of` the doublings of length from
    each model to the next.
    """
    rng = np.random.default_rng(seed)
    middle = (len(models) - 1) / 2
    answers, judgements = [], []
    for asked in questions:
        hardness = rng.normal(0, 0.4)
        for i, (model, quality) in enumerate(models.items()):
            doublings = rng.normal(0, 0.8) + length_of * (i - middle)
            words = int(np.clip(typical_words * 2**doublings, FEWEST_WORDS, MOST_WORDS))
            start = [model, asked["question_id"]]
            text = " ".join([*start, *islice(cycle(asked["filler"].split()), words - len(start))])
            about = {"model": model, "epoch": 1}
            about |= {name: asked[name] for name in ("question_id", "modality", "difficulty", "kind")}
            answers.append(about | {
                "question": asked["question"], "status": "ok", "reason": "", "answer": text, "input_tokens": 100,
                "output_tokens": words, "cost": 0.001, "seconds": 2.0, "settings": "", "digests": "",
                "completed_at": "", "source": "simulated",
            })  # fmt: skip
            truth = quality + hardness + rng.normal(0, 0.3)
            for judge in panel:
                score = truth + judge.leniency + judge.self_preference * (family(model) == family(judge.name))
                score += judge.verbosity * np.log2(words / typical_words)
                drawn = np.clip(np.rint(score + rng.normal(0, judge.noise, 5)), 1, 5).astype(int)
                levels = {name: int(level) for name, level in zip(DIMENSIONS, drawn, strict=True)}
                judgements.append(about | levels | dict.fromkeys(FLAGS, False) | {
                    "judge": judge.name, "mode": "combined", "status": "scored", "reason": "",
                    "weighted_score": weighted_score(levels), "justification": "Simulated: drawn, not judged.",
                    "strengths": "", "weaknesses": "", "missed_points": "", "findings": "",
                    "input_tokens": 1, "output_tokens": 1, "cost": 0.001, "seconds": 1.0,
                    "answer_digest": digest(text), "digests": "", "completed_at": "", "source": "simulated",
                    "hallucination": levels["factual_accuracy"] == 1,
                    "exceeds_data_scope": levels["uncertainty_calibration"] == 1,
                })  # fmt: skip
    return answers, judgements


def simulated_evaluation(seed: int = 42) -> Evaluation:
    """Return an evaluation of invented models on the 100 questions, with a few failures of every kind."""
    questions = []
    for q in load_bank():
        filler = load_context(q.contexts[-1]).replace("#", "")
        questions.append({"question_id": q.id, "filler": filler, **q.model_dump()})
    models = {f"{SIMULATED}{name}": quality for name, quality in MODELS.items()}
    answers, judgements = draw(models, PANEL, questions, seed, typical_words=60)
    for place, status in _LOST.items():
        answers[place] |= {"status": status, "reason": "simulated"}
        if status != "truncated":
            answers[place]["answer"] = ""
    lost = {(a["model"], a["question_id"]) for a in answers if not a["answer"]}
    kept = [row for row in judgements if (row["model"], row["question_id"]) not in lost]
    for row in kept[100::301]:
        unscored: dict[str, Any] = dict.fromkeys([*DIMENSIONS, "weighted_score", *FLAGS])
        row |= unscored | {"status": "unscored", "reason": "judge_invalid: completeness"}
    return evaluation(answers, kept)
