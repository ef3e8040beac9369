"""Scores of models by a panel of judges, of whom not every one graded every answer.

What an answer is given is taken as its quality plus the judge's leniency, the same for all answers (a two-way additive
model, least squares). Without the leniency, means of models that different judges graded compare; with a complete panel
they are the plain means. Everything is resampled by question, leniency included.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from somb_utils._seeds import checked_seed

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
FEWEST = 5  # questions that an interval needs


def rated(scored: pd.DataFrame, value: str) -> pd.DataFrame:
    """Return answers x judges: one row per model, question and repeat."""
    return scored.pivot_table(index=["question_id", "model", "epoch"], columns="judge", values=value)


def resample_weights(n_questions: int, n_bootstrap: int, seed: int) -> Floats:
    """Return how often each question is drawn in each bootstrap resample (resamples x questions)."""
    rng = np.random.default_rng(checked_seed(seed))
    shares = np.full(n_questions, 1 / n_questions)
    return rng.multinomial(n_questions, shares, size=n_bootstrap).astype(float)


def interval(draws: Floats, n_questions: int | Floats = FEWEST) -> Floats:
    """Return the 2.5 and 97.5 percentiles along the first axis (percentile bootstrap, Efron 1979).

    NaN where they would rest on fewer than five questions.
    """
    with np.errstate(all="ignore"):
        bounds = np.nanpercentile(draws, [2.5, 97.5], axis=0)
    return np.where(np.asarray(n_questions) < FEWEST, np.nan, bounds)


@dataclass(frozen=True)
class Panel:
    """One score of the judgements, by question, model and judge.

    Parameters
    ----------
    answers
        Score of each answer, by question, model and repeat, the judges' leniency removed.
    scores
        Questions x models: the same, averaged over repeats.
    raw, shares
        The scores before the leniency is removed, and the share of each judge in them (last axis).
    normal, moments
        Each question's part of the normal equations of leniency, answers' effects removed.
    """

    answers: pd.Series
    scores: pd.DataFrame
    raw: Floats
    shares: Floats
    normal: Floats
    moments: Floats

    @property
    def present(self) -> Bools:
        """Questions x models: whether there is a score."""
        return np.isfinite(self.raw)

    @property
    def common(self) -> Bools:
        """Questions that every model has a score on."""
        return np.asarray(self.present.all(axis=1))

    @property
    def questions(self) -> Bools:
        """The questions that means are over: the common ones, or all if there is none."""
        return self.common if self.common.any() else np.ones(len(self.raw), dtype=bool)

    def of(self, models: list[str]) -> "Panel":
        """Return the same panel's scores of these models alone."""
        at = [list(self.scores.columns).index(model) for model in models]
        return replace(self, scores=self.scores[models], raw=self.raw[:, at], shares=self.shares[:, at])

    def means(self, use: Bools, weights: Floats) -> Floats:
        """Return weights x models: mean over the questions in `use` (questions x models), leniency removed."""
        n_questions, n_models, n_judges = self.shares.shape
        top = weights @ np.where(use, self.raw, 0.0)
        shares = weights @ np.where(use[..., None], self.shares, 0.0).reshape(n_questions, -1)
        shift = np.einsum("bmj,bj->bm", shares.reshape(-1, n_models, n_judges), self.leniency(weights))
        with np.errstate(invalid="ignore"):
            return (top - shift) / (weights @ use)

    def leniency(self, weights: Floats) -> Floats:
        """Return weights x judges: the leniency of each judge, all together zero."""
        return _solved(self.normal, self.moments, weights)

    @property
    def linked(self) -> bool:
        """Whether the judges' leniencies, as far as they affect the models' order, can be estimated.

        Judges are linked by answers that both graded. Between judges that are not linked, even through others, the
        difference in leniency is unknown; it matters unless the models owe each linked group the same share.
        """
        _, group = connected_components(np.abs(self.normal.sum(axis=0)) > 1e-9, directed=False)
        shares = np.nanmean(self.shares[self.questions], axis=0) @ np.eye(group.max() + 1)[group]
        return bool(np.ptp(shares, axis=0).max() < 1e-9)

    @property
    def rankable(self) -> bool:
        """Whether the models can be ranked: on common questions, by judges that are linked."""
        return bool(self.common.any()) and self.linked


def _solved(normal: Floats, moments: Floats, weights: Floats) -> Floats:
    total = np.einsum("bq,qij->bij", weights, normal)
    return np.einsum("bij,bj->bi", np.linalg.pinv(total, rcond=1e-9, hermitian=True), weights @ moments)


def panel(scored: pd.DataFrame, value: str = "weighted_score") -> Panel:
    """Return the panel of judgements (at least one), their scores in the column `value`."""
    table = rated(scored, value)
    given = table.to_numpy(dtype=float)
    present = np.isfinite(given)
    shares = present / present.sum(axis=1, keepdims=True)
    raw = np.nansum(given, axis=1) / present.sum(axis=1)
    normal = present[:, :, None] * np.eye(present.shape[1]) - present[:, :, None] * shares[:, None, :]
    moments = np.where(present, given - raw[:, None], 0.0)
    question, names = pd.factorize(table.index.get_level_values("question_id"))
    by_question = np.equal.outer(np.arange(len(names)), question).astype(float)
    normal, moments = np.einsum("qa,aij->qij", by_question, normal), by_question @ moments
    leniency = _solved(normal, moments, np.ones((1, len(names))))[0]
    answers = pd.Series(raw - shares @ leniency, index=table.index)
    frame = pd.DataFrame(np.column_stack([raw, shares]), index=table.index)
    by_answer = frame.groupby(["question_id", "model"]).mean().unstack("model")
    return Panel(
        answers,
        answers.groupby(["question_id", "model"]).mean().unstack("model"),
        by_answer[0].to_numpy(),
        np.stack([by_answer[1 + k].to_numpy() for k in range(shares.shape[1])], axis=-1),
        normal,
        moments,
    )
