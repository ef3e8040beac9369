"""Verdicts by criteria: beside the holistic ones of the same judges, and which criteria answers met."""

import json

import pandas as pd

from somb_utils.llm.bank.questions import load_bank
from somb_utils.llm.judge.criteria import OUTCOMES, criteria
from somb_utils.llm.report import agreement
from somb_utils.llm.run.evaluation import Evaluation
from somb_utils.llm.run.providers import judge_model

KINDS = {"F": "key facts", "R": "reasoning points"}


def modes(valid: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return how far a judge's verdicts by criteria agree with its holistic ones on the same answers.

    By dimension the weighted kappa, the share of same levels and the mean shift (criteria less holistic); and for the
    order of the models Kendall's tau and Spearman's rho. Empty if no judge graded in both modes.
    """
    levels, orders = [], []
    by_criteria = valid["mode"] == "criteria"
    for holistic in sorted(valid.loc[~by_criteria, "judge"].unique()):
        same_judge = by_criteria & (valid["judge"].map(judge_model) == judge_model(holistic))
        if same_judge.any():
            kind = by_criteria.map({True: "criteria", False: "holistic"})
            two = valid.assign(judge=kind)[same_judge | (valid["judge"] == holistic)]
            levels.append(agreement.agreement(two).assign(judge=holistic))
            orders.append(agreement.rank_agreement(two).assign(judge=holistic))
    if not levels:
        return {}
    columns = ["judge", "dimension", "n", "shift", "kappa", "same"]
    return {"modes": pd.concat(levels)[columns], "mode_ranks": pd.concat(orders)[["judge", "models", "tau", "rho"]]}


def findings(valid: pd.DataFrame) -> pd.DataFrame:
    """Return one row per finding: its judge, model and question, criterion and outcome."""
    rows = valid[(valid["mode"] == "criteria") & (valid["findings"] != "")]
    found = rows["findings"].map(json.loads).explode()
    parts = pd.DataFrame(list(found), index=found.index, columns=["criterion", "outcome"])
    return rows[["judge", "model", "question_id"]].join(parts, how="inner").reset_index(drop=True)


def _shares(found: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Return the number of findings in each group, and the share of each outcome."""
    outcomes = pd.crosstab([found[name] for name in by], found["outcome"]).reindex(columns=OUTCOMES, fill_value=0)
    shares = outcomes.div(outcomes.sum(axis=1), axis=0)
    shares.insert(0, "n", outcomes.sum(axis=1))
    return shares.rename_axis(columns=None).reset_index()


def tables(evaluation: Evaluation) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Return the tables on verdicts by criteria, where there are any, and what a reader should know with them."""
    found = findings(evaluation.valid)
    if found.empty:
        return {}, []
    kind = found["criterion"].str[0].map(KINDS)
    by_criterion = _shares(found, ["question_id", "criterion"])
    texts = {(q.id, name): text for q in load_bank() for name, text in criteria(q).items()}
    keys = zip(by_criterion["question_id"], by_criterion["criterion"], strict=True)
    by_criterion["text"] = [texts.get(key, "(not in this version of the bank)") for key in keys]
    facts = by_criterion[by_criterion["criterion"].str.startswith("F")]
    extreme = facts[facts["met"].isin([0, 1])].sort_values("met", kind="stable")
    holistic = (evaluation.scored["mode"] != "criteria").any()
    of = "both modes" if evaluation.mode == "mixed" else "holistic verdicts" if holistic else "verdicts by criteria"
    every, none = (facts["met"] == 1).sum(), (facts["met"] == 0).sum()
    notes = [
        f"Means are over {of}.",
        f"Of {len(facts)} key facts, {every} are met in every verdict by criteria and {none} in none.",
    ]
    shares = _shares(found.assign(kind=kind), ["judge", "model", "kind"])
    by_criteria = {"findings": shares, "criteria": by_criterion, "extreme_facts": extreme}
    return modes(evaluation.valid) | by_criteria, notes
