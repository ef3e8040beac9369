"""The canonical run: the project's own scores on the real tables, kept as small text under ``data/reference``."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from somb_utils.errors import SombError, UsageError
from somb_utils.labels import interval, plus_minus, wide
from somb_utils.paths import DATA, replacing
from somb_utils.reference.published import published_primary
from somb_utils.runs.baselines import TRIVIAL
from somb_utils.runs.folder import joined_provenance, load_run
from somb_utils.runs.results import composite_of
from somb_utils.stats import with_p_values
from somb_utils.tasks.definitions import Task, catalogue

SCORES = DATA / "reference" / "canonical_scores.csv"
PROVENANCE = DATA / "reference" / "canonical_provenance.json"


def canonical_scores() -> pd.DataFrame:
    """Return the stored summary of the canonical run, under both protocols.

    Returns
    -------
    DataFrame
        The columns of :meth:`somb_utils.RunResult.summary`, and ``p`` and ``q``.

    Raises
    ------
    SombError
        If no canonical run is stored.
    """
    if not SCORES.is_file():
        raise SombError(f"{SCORES} is missing; store a run with: somb readme --store RUN")
    return pd.read_csv(SCORES)


def store(folders: list[Path]) -> pd.DataFrame:
    """Store the summaries and provenance of run folders as the canonical run."""
    runs = [load_run(folder) for folder in folders]
    for folder, run in zip(folders, runs, strict=True):
        if run.provenance["source"] != "open":
            raise UsageError(
                f"{folder} holds results of {run.provenance['source']} tables; only real ones are canonical"
            )
        if len(run.failures()):
            raise UsageError(f"{folder} holds {len(run.failures())} failed fold jobs; a canonical run has none")
    table = pd.concat(
        [with_p_values(run.summary(n_jobs=-1), run.predictions, n_jobs=-1, untested=TRIVIAL) for run in runs],
        ignore_index=True,
    )
    table = table.sort_values(["protocol", "task"], kind="stable").round(6)
    told = joined_provenance([run.provenance for run in runs])
    kept = {**told, "runs": {run: {"versions": entry["versions"]} for run, entry in told["runs"].items()}}
    del kept["described"]
    with replacing(SCORES) as temporary:
        table.to_csv(temporary, index=False)
    with replacing(PROVENANCE) as temporary:
        temporary.write_text(_one_record_a_line(kept), encoding="utf-8")
    return table


def _one_record_a_line(parts: Mapping[str, Any]) -> str:
    """Return JSON in which a change of one record is a change of one line."""
    texts = []
    for key, part in sorted(parts.items()):
        if isinstance(part, list):
            lines = [json.dumps(record, sort_keys=True) for record in part]
            texts.append(f'"{key}": [\n' + ",\n".join(lines) + "\n]")
        else:
            texts.append(f'"{key}": {json.dumps(part, indent=1, sort_keys=True)}')
    return "{\n" + ",\n".join(texts) + "\n}\n"


def tables() -> dict[str, pd.DataFrame]:
    """Return the README's tables by name, all as text: scores, composite, ablation, tiers."""
    scores = canonical_scores()
    aligned = scores[scores["protocol"] == "aligned"]
    composite = composite_of(aligned).map("{:.3f}".format).assign(groups=lambda t: t["groups"].str.split(".").str[0])

    published = published_primary()
    ablated = {name for task in catalogue().values() if task.ablations for name in (task.id, *task.ablation_names)}
    scored = published[published["task"].isin(ablated)].assign(score=lambda t: _plus_minus(t))
    ablation = scored.pivot(index="model", columns="task", values="score").loc[list(dict.fromkeys(scored["model"]))]

    best = aligned.loc[aligned.groupby("task")["mean"].idxmax()].set_index("task")
    tiers = pd.DataFrame([_tier_row(task, best) for task in catalogue().values()])
    return {
        "scores": wide(aligned, "<br>"),
        "composite": composite.reset_index(),
        "ablation": ablation.reset_index(),
        "tiers": tiers,
    }


def _tier_row(task: Task, best: pd.DataFrame) -> dict[str, str]:
    row = {
        "task": task.id,
        "name": task.name,
        "tier": task.tier + (" (supplementary)" if task.supplementary else ""),
        "metric": task.metrics.primary,
    }
    if task.id not in best.index:
        return {**row, "chance": "", "best": "table not available"}
    score = best.loc[[task.id]].iloc[0]
    return {**row, "chance": f"{score['chance']:.3f}", "best": _best(score)}


def _best(score: pd.Series) -> str:
    return f"{score['mean']:.3f} {interval(score['low'], score['high'])} ({score['model']})"


def _plus_minus(table: pd.DataFrame) -> list[str]:
    return [plus_minus(mean, sd) for mean, sd in zip(table["mean"], table["sd"], strict=True)]
