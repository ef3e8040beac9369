"""Biases of judges: leniency, self-preference and verbosity bias, each with its interval."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from somb_utils.llm.report.panel import Floats, interval, rated, resample_weights
from somb_utils.llm.report.scores import spearman
from somb_utils.llm.run.providers import family

MATERIAL = 0.1  # points on the scale of 1 to 5


def _cube(scored: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return the answers that every judge scored as questions/models x judges, repeats averaged."""
    table = rated(scored, "weighted_score").groupby(["question_id", "model"]).mean().dropna()
    return table, [str(judge) for judge in table.columns]


def _families_of(table: pd.DataFrame) -> NDArray[np.object_]:
    """Return the maker of each row's model."""
    return np.array([family(str(m)) for m in table.index.get_level_values("model")], dtype=object)


def _ratio_interval(top: Floats, bottom: Floats, n_bootstrap: int, seed: int) -> tuple[float, float, float]:
    """Return sum(top) / sum(bottom) over questions, with its bootstrap interval."""
    weights = resample_weights(len(top), n_bootstrap, seed)
    with np.errstate(all="ignore"):
        low, high = interval((weights @ top) / (weights @ bottom), len(top))
        return float(top.sum() / bottom.sum()), float(low), float(high)


def leniency(scored: pd.DataFrame, n_bootstrap: int = 1000, seed: int = 42) -> pd.DataFrame:
    """Return each judge's mean shift from the mean of the other judges on the same answers.

    Over answers by models of other makers than the judge's (where there are any), so that self-preference is not
    taken for leniency. It is relative: of two judges, it cannot be said which is lenient and which is strict.
    """
    table, judges = _cube(scored)
    families = _families_of(table)
    rows = []
    for judge in judges if len(judges) > 1 and len(table) else []:
        foreign = families != family(judge)
        part = table[foreign] if foreign.any() else table
        shift = part[judge] - part.drop(columns=judge).mean(axis=1)
        by_question = shift.groupby("question_id").agg(["sum", "count"]).to_numpy(dtype=float)
        value, low, high = _ratio_interval(by_question[:, 0], by_question[:, 1], n_bootstrap, seed)
        rows.append({"judge": judge, "shift": value, "low": low, "high": high})
    return pd.DataFrame(rows, columns=["judge", "shift", "low", "high"])


def _centred(matrix: Floats) -> Floats:
    return (
        matrix - matrix.mean(axis=-1, keepdims=True) - matrix.mean(axis=-2, keepdims=True)
        + matrix.mean(axis=(-2, -1), keepdims=True)
    )  # fmt: skip


def self_preference(
    scored: pd.DataFrame, words: pd.Series | None = None, n_bootstrap: int = 1000, seed: int = 42
) -> pd.DataFrame:
    """Return how many points each judge adds for models of its own family, beyond what all judges see in them.

    The judge family x model family interaction: least squares with an effect for each answer and each judge, a
    verbosity bias per judge if `words` (length by ``question_id`` and ``model``) is passed, and one own-family term
    per judge, estimated jointly, resampled by question. Where the terms are not identifiable (two judges and no model
    of a third family), one common term is estimated for all judges. See Panickssery et al. 2024 (arXiv:2404.13076)
    on judges that favour their own text.
    """
    table, judges = _cube(scored)
    families = _families_of(table)
    related = {j: families == family(j) for j in judges}
    names = [j for j in judges if related[j].any() and not related[j].all()]
    if len(judges) < 2 or not names:
        return pd.DataFrame(columns=["judge", "preference", "low", "high"])
    unit = dict(zip(judges, np.eye(len(judges)), strict=True))
    terms = [np.outer(related[j], unit[j]) for j in names]
    nuisance: list[Floats] = []
    if words is not None:
        log = _log_words(words, table)
        nuisance = [np.outer(log, unit[j]) for j in judges[:-1]] if np.ptp(log) > 1e-9 else []
    normal, moments = _equations(table, terms + nuisance)
    if np.linalg.matrix_rank(normal.sum(axis=0), tol=1e-8) < len(terms) + len(nuisance):
        names = ["all"]
        normal, moments = _equations(table, [np.sum(terms, axis=0), *nuisance])
    weights = resample_weights(len(normal), n_bootstrap, seed)
    draws = np.einsum("bij,bj->bi", np.linalg.pinv(np.einsum("bq,qij->bij", weights, normal)), weights @ moments)
    estimate = np.linalg.lstsq(normal.sum(axis=0), moments.sum(axis=0), rcond=None)[0]
    low, high = interval(draws, len(normal))
    k = len(names)
    return pd.DataFrame({"judge": names, "preference": estimate[:k], "low": low[:k], "high": high[:k]})


def _log_words(words: pd.Series, table: pd.DataFrame) -> Floats:
    """Return the centred log2 length of the table's answers."""
    log = np.log2(words.groupby(["question_id", "model"]).mean().reindex(table.index).clip(lower=1))
    return (log - log.mean()).fillna(0.0).to_numpy()


def _equations(table: pd.DataFrame, terms: list[Floats]) -> tuple[Floats, Floats]:
    """Return each question's normal matrix and moments of the terms, answer and judge effects removed."""
    normal, moments = [], []
    values, x = table.to_numpy(dtype=float), np.stack(terms)
    for rows in table.groupby("question_id").indices.values():
        y = _centred(values[rows]).ravel()
        part = _centred(x[:, rows]).reshape(len(terms), -1)
        normal.append(part @ part.T)
        moments.append(part @ y)
    return np.stack(normal), np.stack(moments)


def verbosity_bias(scored: pd.DataFrame, words: pd.Series, n_bootstrap: int = 1000, seed: int = 42) -> pd.DataFrame:
    """Return how many points more than the other judges a judge gives for each doubling of an answer's length.

    Within each model's answers, so that a preference for a verbose model is not taken for verbosity bias; `words` is
    the length by ``question_id`` and ``model``.
    """
    table, judges = _cube(scored)
    columns = ["judge", "per_doubling", "low", "high", "spearman"]
    if len(judges) < 2 or table.empty:
        return pd.DataFrame(columns=columns)
    models = table.index.get_level_values("model")
    log = pd.Series(_log_words(words, table), index=table.index)
    x = log - log.groupby(models).transform("mean")
    rows = []
    for judge in judges:
        excess = table[judge] - table.drop(columns=judge).mean(axis=1)
        y = excess - excess.groupby(models).transform("mean")
        sums = pd.DataFrame({"xy": x * y, "xx": x * x}).groupby("question_id").sum().to_numpy()
        if sums[:, 1].sum() < 1e-9:
            continue
        slope, low, high = _ratio_interval(sums[:, 0], sums[:, 1], n_bootstrap, seed)
        rho = spearman(x.to_numpy(), y.round(9).to_numpy())
        rows.append({"judge": judge, "per_doubling": slope, "low": low, "high": high, "spearman": rho})
    return pd.DataFrame(rows, columns=columns)


def findings(
    scored: pd.DataFrame, words: pd.Series, n_bootstrap: int = 1000, seed: int = 42
) -> list[tuple[str, str, str]]:
    """Return (judge, bias, size in words) for each bias of at least 0.1 points whose interval lies above zero."""
    biases = []
    for bias, frame, column, text in (
        ("lenient", leniency(scored, n_bootstrap, seed), "shift", "points above the other judges"),
        (
            "self-preferring", self_preference(scored, words, n_bootstrap, seed), "preference",
            "points more for its own family",
        ),
        (
            "verbosity-biased", verbosity_bias(scored, words, n_bootstrap, seed), "per_doubling",
            "points more than the others for each doubling of length",
        ),
    ):  # fmt: skip
        for row in frame.to_dict("records"):
            if row["low"] > 0 and row[column] >= MATERIAL:
                size = f"{row[column]:+.2f} {text} (95 % interval {row['low']:+.2f} to {row['high']:+.2f})"
                biases.append((str(row["judge"]), bias, size))
    return biases
