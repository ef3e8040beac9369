"""Every table of the report, computed from an evaluation."""

from dataclasses import dataclass

import pandas as pd

from somb_utils.errors import UsageError
from somb_utils.llm.bank.schema import DIFFICULTIES, DIMENSIONS, KINDS, MODALITIES
from somb_utils.llm.judge.verdicts import FLAGS
from somb_utils.llm.report import agreement, biases, criteria, scores
from somb_utils.llm.report.panel import Panel, panel
from somb_utils.llm.run.evaluation import KEY, Evaluation
from somb_utils.llm.run.imports import differing_scores
from somb_utils.llm.run.providers import family
from somb_utils.paths import DATA

PUBLISHED = DATA / "llm" / "published_scores.csv"
STATUSES = ["ok", "truncated", "refused", "empty", "failed", "not_asked"]
ORDERS = {"difficulty": DIFFICULTIES, "modality": MODALITIES, "kind": KINDS}


@dataclass(frozen=True)
class Summary:
    """The tables of a report and what a reader should know with them.

    Parameters
    ----------
    tables
        Tidy tables by name.
    notes
        Sentences on what cannot be compared or does not count.
    findings
        Biases of judges: judge, bias, and its size in words.
    """

    tables: dict[str, pd.DataFrame]
    notes: list[str]
    findings: list[tuple[str, str, str]]


def answer_scores(evaluation: Evaluation) -> pd.DataFrame:
    """Return one row an answer: its score, the judges' leniency removed, and its words."""
    mean = panel(evaluation.scored).answers.rename("score").reset_index()
    answers = evaluation.answers.assign(words=scores.words(evaluation.answers["answer"]))
    return mean.merge(answers[[*KEY, "modality", "difficulty", "kind", "words"]], on=KEY)


def counts(evaluation: Evaluation) -> pd.DataFrame:
    """Return for each model how its answers ended, and how many judgements count and do not."""
    ended = pd.crosstab(evaluation.answers["model"], evaluation.answers["status"])
    judged = pd.crosstab(evaluation.judgements["model"], evaluation.judgements["status"])
    table = ended.reindex(columns=STATUSES, fill_value=0).join(
        judged.reindex(columns=["scored", "unscored"], fill_value=0), how="outer"
    )
    table.columns.name = None
    return table.fillna(0).astype(int).rename_axis("model").reset_index()


def unscored(evaluation: Evaluation) -> pd.DataFrame:
    """Return how many verdicts of each judge do not count, by model and reason."""
    rows = evaluation.judgements[evaluation.judgements["status"] != "scored"]
    reason = rows["reason"].map(lambda text: str(text).partition(":")[0])
    return rows.groupby(["judge", "model", reason]).size().rename("n").reset_index()


def flags(scored: pd.DataFrame) -> pd.DataFrame:
    """Return for each judge and model how many answers carry each flag."""
    table = scored.groupby(["judge", "model"])[list(FLAGS)].sum().astype(int)
    return table.join(scored.groupby(["judge", "model"]).size().rename("n")).reset_index()


def usage(evaluation: Evaluation) -> pd.DataFrame:
    """Return tokens, cost and latency of each model's answers and of each judge's verdicts."""
    parts = []
    for role, frame, name in (
        ("answers", evaluation.answers, "model"),
        ("judges", evaluation.judgements, "judge"),
    ):
        grouped = frame.groupby(name)
        part = grouped[["input_tokens", "output_tokens"]].sum()
        part["cost"] = grouped["cost"].agg(lambda c: c.sum(skipna=False))
        part["seconds_median"] = grouped["seconds"].median()
        part["seconds_p95"] = grouped["seconds"].quantile(0.95)
        parts.append(part.rename_axis("name").reset_index().assign(role=role, n=grouped.size().to_numpy()))
    columns = [
        "role", "name", "n", "input_tokens", "output_tokens", "cost", "seconds_median", "seconds_p95",
    ]  # fmt: skip
    return pd.concat(parts)[columns].reset_index(drop=True)


def lengths(evaluation: Evaluation) -> pd.DataFrame:
    """Return for each judge how score and answer length are related."""
    answers = evaluation.answers.assign(words=scores.words(evaluation.answers["answer"]))[[*KEY, "words"]]
    rows = []
    for judge, part in evaluation.scored.groupby("judge"):
        frame = part.rename(columns={"weighted_score": "score"}).merge(answers, on=KEY)
        if len(frame) > 2:
            rows.append({"judge": judge, "n": len(frame), **scores.length_effect(frame)})
    return pd.DataFrame(rows, columns=["judge", "n", "spearman", "within", "slope"])


def _panel_notes(evaluation: Evaluation, of: Panel) -> list[str]:
    """Return what a reader should know of questions and judges that some models lack."""
    scored, notes = evaluation.scored, []
    graded = scored.groupby(["judge", "model"]).size().unstack(fill_value=0).stack()
    answers = scored.drop_duplicates(KEY).groupby("model").size()
    gaps = [
        f"{judge} graded {n} of {answers[model]} answers by {model}"
        for judge, model, n in graded.reset_index().itertuples(index=False)
        if n < answers[model]
    ]
    if gaps:
        more = f"; and {len(gaps) - 6} more" if len(gaps) > 6 else ""
        notes.append(
            f"The panel of judges is incomplete: {'; '.join(gaps[:6])}{more}. Means are adjusted for the judges' "
            "leniency, as if every judge had graded every answer."
        )
    if not of.common.any():
        notes.append(
            "The models are not ranked: they have no question in common. Each model's mean is over its own questions."
        )
    elif of.common.sum() < len(of.common):
        fewest, number = min(of.scores.notna().sum().items(), key=lambda item: item[1])
        notes.append(
            f"Means are over the {of.common.sum()} questions that all were graded on, of {len(of.common)}: {fewest} "
            f"was graded on {number}."
        )
    if not of.linked:
        notes.append("The models are not ranked: judges of different models graded no answer in common.")
    return notes


def _notes(evaluation: Evaluation, of: Panel) -> list[str]:
    scored, notes = evaluation.scored, _panel_notes(evaluation, of)
    if different := [name for name, digests in evaluation.versions.items() if len(digests) > 1]:
        notes.append(f"The logs differ in {', '.join(different)}: what they say is not of one evaluation.")
    missing = int((evaluation.judgements["status"] != "scored").sum())
    if missing:
        notes.append(f"{missing} verdicts did not count and are in no mean; the counts are below.")
    stand_ins = sorted({m for m in evaluation.answers["model"] if str(m).startswith("offline/")})
    stand_ins += sorted({j for j in scored["judge"] if str(j).startswith("offline/")} - set(stand_ins))
    if stand_ins:
        notes.append(f"Offline stand-ins, whose scores mean nothing: {', '.join(stand_ins)}.")
    if scored["judge"].nunique() == 1:
        judge = str(scored["judge"].iloc[0])
        related = sorted({str(m) for m in scored["model"] if family(str(m)) == family(judge)})
        relation = f" It shares a maker with {', '.join(related)}." if related else ""
        notes.append(f"One judge alone: its leniency and preferences cannot be estimated.{relation}")
    return notes


def summarise(evaluation: Evaluation, compare: bool = False, n_bootstrap: int = 2000, seed: int = 42) -> Summary:
    """Compute every table of the report.

    Parameters
    ----------
    evaluation
        Answers and judgements, as `load` gives them.
    compare
        Whether to compare every pair of models.
    n_bootstrap
        Resamples of the questions, for the 95 % intervals; at most 1,000 are used for breakdowns and judges.
    seed
        Seed of the bootstrap.

    Returns
    -------
    Summary
        Tables, notes and findings; without a verdict that counts, only counts and usage.

    Raises
    ------
    UsageError
        If `n_bootstrap` or `seed` is out of bounds.
    """
    scored = evaluation.scored
    if n_bootstrap < 1 or seed < 0:
        raise UsageError(f"n_bootstrap is at least 1 and seed at least 0, not {n_bootstrap} and {seed}")
    few = min(n_bootstrap, 1000)
    tables: dict[str, pd.DataFrame] = {"counts": counts(evaluation), "unscored": unscored(evaluation)}
    tables["usage"] = usage(evaluation)
    if scored.empty:
        return Summary(tables, ["No verdict counts yet: run `somb llm judge`."], [])
    of = panel(scored)
    tables["ranking"] = scores.ranking(of, n_bootstrap, seed).rename_axis("model").reset_index()
    tables["ranking_by_judge"] = scores.by_judge(scored, n_bootstrap, seed)
    tables["dimension"] = scores.by_dimension(scored, DIMENSIONS, few, seed)
    for group, order in ORDERS.items():
        tables[group] = scores.by_group(scored, group, order, few, seed)
    if compare:
        tables["pairs"] = scores.pairs(of, n_bootstrap, seed)
    tables["flags"] = flags(scored)
    per_answer = answer_scores(evaluation)
    words = per_answer.set_index(["question_id", "model"])["words"]
    tables["length"] = lengths(evaluation)
    common = per_answer[per_answer["question_id"].isin(of.scores.index[of.common])]
    if len(common) and of.linked:
        tables["length_adjusted"] = scores.length_adjusted(common).reset_index()
    tables["agreement"] = agreement.agreement(scored)
    tables["rank_agreement"] = agreement.rank_agreement(scored)
    tables["leniency"] = biases.leniency(scored, few, seed)
    tables["self_preference"] = biases.self_preference(scored, words, few, seed)
    tables["verbosity_bias"] = biases.verbosity_bias(scored, words, few, seed)
    tables["judge_weighted_differs"] = differing_scores(scored)
    tables["published"] = pd.read_csv(PUBLISHED, keep_default_na=False)
    findings = biases.findings(scored, words, few, seed) if len(words) else []
    by_criteria, notes = criteria.tables(evaluation)
    return Summary(tables | by_criteria, _notes(evaluation, of) + notes, findings)
