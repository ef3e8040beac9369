"""The published scored files (``scored_eval_*.json``) as rows of the same tables that logs give."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from somb_utils.errors import SombError
from somb_utils.llm.bank.schema import DIMENSIONS
from somb_utils.llm.judge.verdicts import FLAGS, counted
from somb_utils.llm.run.evaluation import digest, evaluation
from somb_utils.llm.run.providers import ANSWER_TOKENS, full_name, judge_name

LARGEST_FILE = 64 * 2**20
KINDS = {"cross_mission_comparison": "cross_mission"}


def is_scored_file(path: Path) -> bool:
    """Return whether the file is a published scored file, by its extension."""
    return path.suffix == ".json"


def read_scored_document(path: Path) -> dict[str, Any]:
    """Return the JSON of a scored file: ``metadata``, ``summary`` and ``results``; refuse another form."""
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise ValueError(f"it is larger than {LARGEST_FILE // 2**20} MB")
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise SombError(f"{path} cannot be read as a scored file: {error}") from error
    kinds = {"metadata": dict, "results": list, "summary": dict}
    parts: dict[str, Any] = {"summary": {}} | document if isinstance(document, dict) else {}
    if not all(isinstance(parts.get(name), kind) for name, kind in kinds.items()):
        raise SombError(f"{path} is not a scored file: it needs `metadata` (an object) and `results` (a list)")
    return parts


def _model(metadata: dict[str, Any]) -> str:
    return full_name(str(metadata["model"]).removeprefix("models/"))


def _status(result: dict[str, Any]) -> tuple[str, str]:
    """Return how an answer ended; files do not state that the token limit cut it, but its length does."""
    if not result.get("success") or not str(result.get("response") or "").strip():
        return "failed", "no answer in the file"
    if result.get("output_tokens") == ANSWER_TOKENS:
        return "truncated", f"it ends at exactly {ANSWER_TOKENS:,} tokens, the limit of the published evaluation"
    return "ok", ""


def _judgement(about: dict[str, Any], judge: str, scores: dict[str, Any], source: str) -> dict[str, Any]:
    tokens = scores.get("judge_tokens") or {}
    row = about | {
        "judge": judge, "status": "unscored", "reason": "judge_failed",
        "input_tokens": tokens.get("input", 0), "output_tokens": tokens.get("output", 0),
        "cost": math.nan, "seconds": math.nan, "source": source,
    }  # fmt: skip
    if not scores.get("success"):
        return row
    flags = scores.get("flags") or {}
    try:
        verdict = counted(scores, dict.fromkeys(FLAGS, False) | flags)
    except ValueError as error:
        return row | {"reason": str(error)}
    stated = {"judge_weighted_score": scores.get("weighted_score"), "justification": scores.get("justification", "")}
    lists = {name: "\n".join(scores.get(name) or []) for name in ("strengths", "weaknesses", "missed_points")}
    return row | {"status": "scored", "reason": ""} | verdict | stated | lists


def differing_scores(judgements: pd.DataFrame, tolerance: float = 0.005) -> pd.DataFrame:
    """Return the judgements whose stated weighted score differs from the computed one by more than rounding."""
    stated = judgements["judge_weighted_score"]
    differing = judgements[stated.notna() & ((stated - judgements["weighted_score"]).abs() > tolerance + 1e-9)]
    columns = ["source", "model", "judge", "question_id", "weighted_score", "judge_weighted_score"]
    return differing[columns].reset_index(drop=True)


def _rounded_mean(values: pd.Series) -> float:
    """Return the mean to three digits, summed in the file's order, on which a tie at the fourth digit depends.

    Not by `sum`, which compensates for rounding from Python 3.12 on; the stated averages were made without that.
    """
    return round(float(np.cumsum(values.to_numpy())[-1]) / len(values), 3) if len(values) else math.nan


def compare_with_stated(path: Path) -> pd.DataFrame:
    """Return each average and count that a scored file states, with the one computed from its answers' scores.

    Computed averages are rounded to three digits, as the stated ones are.
    """
    stated = read_scored_document(path)["summary"]
    scored = evaluation(*read_scored_file(path)).scored
    computed: dict[str, float] = {"n_scored": len(scored)}
    for name in (*DIMENSIONS, "weighted_score"):
        computed[f"avg_{name}"] = _rounded_mean(scored[name])
    for group in ("difficulty", "modality"):
        for level, values in scored.groupby(group)["weighted_score"]:
            computed[f"avg_{level}"] = _rounded_mean(values)
    computed |= {f"flag_{name}": int(scored[name].sum()) for name in FLAGS}
    rows = [{"name": name, "stated": value, "computed": computed.get(name)} for name, value in stated.items()]
    return pd.DataFrame(rows, columns=["name", "stated", "computed"])


def read_scored_file(path: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the answer rows and judgement rows of a scored file, weighted scores recomputed from the levels."""
    document = read_scored_document(path)
    metadata = document["metadata"]
    answers, judgements = [], []
    try:
        mode = str(metadata.get("scoring_mode", "combined"))
        judge = judge_name(full_name(str(metadata.get("judge_model", ""))), mode)
        for result in document["results"]:
            about = {
                "model": _model(metadata), "question_id": result["question_id"], "epoch": 1,
                "modality": result["modality"], "difficulty": result["difficulty"],
                "kind": KINDS.get(result["category"], result["category"]),
            }  # fmt: skip
            text = result.get("response") or ""
            status, reason = _status(result)
            answers.append(
                about
                | {"question": result["question"], "answer": text, "source": path.name, "cost": math.nan}
                | {"status": status, "reason": reason}
                | {
                    "input_tokens": result.get("input_tokens", 0),
                    "output_tokens": result.get("output_tokens", 0),
                }
                | {"seconds": result.get("response_time_sec")}
            )
            scores = result.get("scores")
            if scores and status != "failed":
                row = _judgement(about, judge, scores, path.name)
                judgements.append(row | {"mode": mode, "answer_digest": digest(text)})
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise SombError(f"{path} is not a scored file of the known form: {error!r}") from error
    return answers, judgements
