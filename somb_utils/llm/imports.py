"""The published scored files (``scored_eval_*.json``) as rows of the same tables that logs give."""

import json
import math
from pathlib import Path
from typing import Any

from somb_utils.errors import SombError
from somb_utils.llm.bank import DIMENSIONS
from somb_utils.llm.judge import FLAGS, weighted

KINDS = {"cross_mission_comparison": "cross_mission"}


def is_scored_file(path: Path) -> bool:
    """Return whether the file is a published scored file, by its extension."""
    return path.suffix == ".json"


def read_scored_document(path: Path) -> dict[str, Any]:
    """Return the JSON of a scored file: ``metadata``, ``summary`` and ``results``.

    Raises
    ------
    SombError
        If the file cannot be read or is not of that form.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SombError(f"{path} cannot be read as a scored file: {error}") from error
    if not isinstance(document, dict) or not {"metadata", "results"} <= set(document):
        raise SombError(f"{path} is not a scored file: it needs `metadata` and `results`")
    return document


def _levels(scores: dict[str, Any]) -> dict[str, int] | None:
    """Return the five levels if each is a whole number from 1 to 5."""
    levels = {name: scores.get(name) for name in DIMENSIONS}
    good = all(type(level) is int and 1 <= level <= 5 for level in levels.values())
    return levels if good else None  # type: ignore[return-value]


def _model(metadata: dict[str, Any]) -> str:
    return str(metadata["model"]).removeprefix("models/")


def _judgement(about: dict[str, Any], judge: str, scores: dict[str, Any], source: str) -> dict[str, Any]:
    tokens = scores.get("judge_tokens") or {}
    row = about | {
        "judge": judge, "status": "unscored", "reason": "judge_failed",
        "input_tokens": tokens.get("input", 0), "output_tokens": tokens.get("output", 0),
        "cost": math.nan, "seconds": math.nan, "source": source,
    }  # fmt: skip
    levels = _levels(scores)
    if not scores.get("success") or levels is None:
        return row
    lists = ("strengths", "weaknesses", "missed_points")
    return (
        row
        | {"status": "scored", "reason": "", **levels, "weighted_score": weighted(levels)}
        | {
            "judge_weighted_score": scores.get("weighted_score"),
            "justification": scores.get("justification", ""),
        }
        | {name: bool((scores.get("flags") or {}).get(name)) for name in FLAGS}
        | {name: "\n".join(scores.get(name) or []) for name in lists}
    )


def read_scored_file(path: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the answer rows and judgement rows of a scored file.

    The weighted score is recomputed from the dimensions; the judge's own stands beside it.
    """
    from somb_utils.llm.logs import digest

    document = read_scored_document(path)
    metadata = document["metadata"]
    answers, judgements = [], []
    try:
        for result in document["results"]:
            about = {
                "model": _model(metadata), "question_id": result["question_id"], "epoch": 1,
                "modality": result["modality"], "difficulty": result["difficulty"],
                "kind": KINDS.get(result["category"], result["category"]),
            }  # fmt: skip
            text = result.get("response") or ""
            ok = bool(result.get("success")) and bool(text.strip())
            answers.append(
                about
                | {"question": result["question"], "answer": text, "source": path.name, "cost": math.nan}
                | {"status": "ok" if ok else "failed", "reason": "" if ok else "no answer in the file"}
                | {
                    "input_tokens": result.get("input_tokens", 0),
                    "output_tokens": result.get("output_tokens", 0),
                }
                | {"seconds": result.get("response_time_sec")}
            )
            scores = result.get("scores")
            if scores:
                row = _judgement(about, str(metadata["judge_model"]), scores, path.name)
                judgements.append(
                    row | {"mode": metadata.get("scoring_mode", ""), "answer_digest": digest(text)}
                )
    except (KeyError, TypeError, AttributeError) as error:
        raise SombError(f"{path} is not a scored file of the known form: {error!r}") from error
    return answers, judgements
