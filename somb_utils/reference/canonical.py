"""The canonical run: the project's own scores on the real tables, kept as small text under ``data/reference``."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from somb_utils.errors import SombError, UsageError
from somb_utils.labels import interval, plus_minus, wide
from somb_utils.paths import DATA, replacing
from somb_utils.reference.published import published_primary
from somb_utils.runs.compare import compare
from somb_utils.runs.day_tests import DAY_TESTS, stored_day_tests
from somb_utils.runs.folder import joined_provenance, load_run
from somb_utils.runs.results import RunResult
from somb_utils.stats import above_chance
from somb_utils.tasks.definitions import PROTOCOLS, Task, select_tasks

SCORES = DATA / "reference" / "canonical_scores.csv"
COMPOSITE = DATA / "reference" / "canonical_composite.csv"
PAIRS = DATA / "reference" / "canonical_pairs.csv"
PROVENANCE = DATA / "reference" / "canonical_provenance.json"


def canonical_scores() -> pd.DataFrame:
    """Return the stored summary of the canonical run, under every protocol.

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


def canonical_composite() -> pd.DataFrame:
    """Return the stored composite of the canonical run's default protocol, with its intervals, indexed by model."""
    if not COMPOSITE.is_file():
        raise SombError(f"{COMPOSITE} is missing; store a run with: somb readme --store RUN")
    return pd.read_csv(COMPOSITE, index_col="model")


def canonical_pairs() -> pd.DataFrame:
    """Return the stored paired differences of the canonical run, as :attr:`somb_utils.Comparison.differences`."""
    return pd.read_csv(PAIRS)


def canonical_provenance() -> dict[str, Any]:
    """Return the provenance of the canonical run, under every protocol."""
    stored: dict[str, Any] = json.loads(PROVENANCE.read_text(encoding="utf-8"))
    return stored


def canonical_runs(folders: Sequence[Path]) -> list[RunResult]:
    """Read run folders, and refuse those that cannot be canonical."""
    runs = [load_run(folder) for folder in folders]
    for folder, run in zip(folders, runs, strict=True):
        if (kind := run.provenance["source"]) != "open":
            raise UsageError(f"{folder} has results of {kind} tables; only real ones are canonical")
        if run.own_tasks:
            raise UsageError(
                f"{folder} has results of tasks of your own, {', '.join(run.own_tasks)}; none is canonical"
            )
        if n_failed := len(run.failures()):
            raise UsageError(f"{folder} has {n_failed} failed fold jobs; a canonical run has none")
    return runs


def store(folders: Sequence[Path]) -> pd.DataFrame:
    """Store the comparisons and provenance of run folders, one protocol each, as the canonical run."""
    runs = canonical_runs(folders)
    compared = [compare(run, n_jobs=-1) for run in runs]
    scores, pairs = (
        pd.concat(tables, ignore_index=True).sort_values(["protocol", "task"], kind="stable").round(6)
        for tables in zip(*[(each.scores, each.differences) for each in compared], strict=True)
    )
    provenance = joined_provenance([run.provenance for run in runs])
    del provenance["described"]
    day_tests = pd.DataFrame(provenance.pop("day_tests"), columns=stored_day_tests().columns).round(6)
    day_tests = day_tests[day_tests["data_sha256"].isin([task["data_sha256"] for task in provenance["tasks"].values()])]
    with replacing(DAY_TESTS) as temporary:
        day_tests.sort_values(["protocol", "task"], kind="stable").to_csv(temporary, index=False)
    provenance["runs"] = {run: {"versions": entry["versions"]} for run, entry in provenance["runs"].items()}
    for file, table in ((SCORES, scores), (PAIRS, pairs)):
        with replacing(file) as temporary:
            table.to_csv(temporary, index=False)
    for each in compared:
        if set(each.scores["protocol"]) == {PROTOCOLS[0]} and each.composite is not None:
            with replacing(COMPOSITE) as temporary:
                each.composite.round(6).to_csv(temporary)
    with replacing(PROVENANCE) as temporary:
        temporary.write_text(_one_record_per_line(provenance), encoding="utf-8")
    return scores


def _one_record_per_line(parts: Mapping[str, Any]) -> str:
    """Return JSON in which a change of one record is a change of one line."""
    texts = []
    for key, part in sorted(parts.items()):
        text = json.dumps(part, indent=1, sort_keys=True)
        if isinstance(part, list):
            text = "[\n" + ",\n".join(json.dumps(record, sort_keys=True) for record in part) + "\n]"
        texts.append(f'"{key}": {text}')
    return "{\n" + ",\n".join(texts) + "\n}\n"


def tables() -> dict[str, pd.DataFrame]:
    """Return the README's tables by name, all as text: scores, composite, ablation, tiers."""
    scores = canonical_scores()
    ranking = scores[scores["protocol"] == PROTOCOLS[0]]
    composite = canonical_composite().astype({"groups": str})
    numbers = composite.select_dtypes("float").columns
    composite[numbers] = composite[numbers].map(lambda value: "" if pd.isna(value) else f"{value:.3f}")

    published = published_primary()
    ablated = {name for task in select_tasks() if task.ablations for name in (task.id, *task.ablation_names)}
    scored = published[published["task"].isin(ablated)]
    scored = scored.assign(score=[plus_minus(mean, sd) for mean, sd in scored[["mean", "sd"]].to_numpy()])
    ablation = scored.pivot(index="model", columns="task", values="score").loc[scored["model"].unique()]

    best = ranking.loc[ranking.groupby("task")["mean"].idxmax()].set_index("task")
    tiers = pd.DataFrame([_tier_row(task, best) for task in select_tasks()])
    return {
        "scores": wide(ranking, "<br>", above_chance(ranking)),
        "composite": composite.reset_index(),
        "ablation": ablation.reset_index(),
        "tiers": tiers,
    }


def _tier_row(task: Task, best: pd.DataFrame) -> dict[str, str]:
    row = {
        "task": task.id,
        "name": task.name,
        "tier": task.tier + (" (supplementary)" if task.supplementary else ""),
        "metric": task.under(PROTOCOLS[0]).metrics.primary,
    }
    if task.id not in best.index:
        return {**row, "chance": "", "best": "table not available"}
    score = best.loc[[task.id]].iloc[0]
    text = f"{score['mean']:.3f} {interval(score['low'], score['high'])} ({score['model']})"
    return {**row, "chance": f"{score['chance']:.3f}", "best": text}
