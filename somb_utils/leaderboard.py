"""The leaderboard: scores of a run with intervals and chance levels, and an interactive page made of them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
import pandas as pd

from somb_utils.canonical import SCORES, canonical_scores
from somb_utils.errors import SombError, UsageError
from somb_utils.notebook import Parameters, Session, check, show
from somb_utils.pages import metric_name
from somb_utils.published import published_scores
from somb_utils.results import RunResult, composite_of, load_run
from somb_utils.stats import bootstrap_interval
from somb_utils.tasks import catalogue

TEMPLATES = Path(__file__).parent / "templates"
KEY = ["task", "protocol", "model"]


@dataclass(frozen=True)
class Board:
    """Scores of one run of one protocol on one data source.

    Attributes
    ----------
    result : the run, of a single protocol and of the 21 tasks alone (ablations left out).
    n_bootstrap, seed : replicates and seed of the intervals.
    """

    result: RunResult
    n_bootstrap: int = 200
    seed: int = 42

    @property
    def source(self) -> str:
        """``simulated``, ``open`` or ``custom``."""
        return str(self.result.provenance["source"])

    @cached_property
    def summary(self) -> pd.DataFrame:
        """The run's summary on the primary metric, with the ends of the interval (`low`, `high`)."""
        table = self.result.summary()
        rows = self.result.predictions.groupby(["task", "model"])
        ends = [
            bootstrap_interval(rows.get_group(key), key[0], self.n_bootstrap, self.seed)
            if key in rows.groups
            else (np.nan, np.nan)
            for key in zip(table["task"], table["model"], strict=True)
        ]
        table[["low", "high"]] = pd.DataFrame(ends, index=table.index, dtype=float)
        return table

    def table(self) -> pd.DataFrame:
        """Return one row a task and one column a model: mean ± SD of the primary metric, as text."""
        from somb_utils.cli.runs import wide

        return wide(self.summary).set_index("task")

    def above_chance(self) -> pd.DataFrame:
        """Return tasks × models: the share of the way from chance to perfect; below 0 under chance."""
        share = (self.summary["mean"] - self.summary["chance"]) / (1 - self.summary["chance"])
        table = self.summary.assign(share=share).pivot(index="task", columns="model", values="share")
        return table[list(dict.fromkeys(self.summary["model"]))]

    def composite(self) -> pd.DataFrame:
        """Return the composite and its groups, best model first."""
        return composite_of(self.summary)

    def missing(self) -> list[str]:
        """Return the tasks without a score."""
        return [task for task in catalogue() if task not in set(self.summary["task"])]

    def show(self) -> None:
        """Show the interactive leaderboard."""
        from IPython.display import HTML, display

        display(HTML(html(payload(self))))

    def show_heatmap(self) -> None:
        """Show where models stand between chance and perfect, as a figure."""
        from somb_utils import plots

        unit = "share of the way from chance (0) to perfect (1)"
        show(plots.heatmap(self.above_chance(), unit, limit=1.0, what="tasks and models", source=self.source))

    def recap(self) -> None:
        """Say how many tasks have a model whose interval lies above chance, and which tasks have no score."""
        from IPython.display import Markdown, display

        fitted = self.summary[~self.summary["model"].isin(["random", "majority"])]
        clear = fitted[fitted["low"] > fitted["chance"]].groupby("task")["model"].agg(", ".join)
        tasks = list(dict.fromkeys(fitted["task"]))
        unclear = [task for task in tasks if task not in clear.index]
        lines = [f"On **{len(clear)} of {len(tasks)}** tasks at least one model's interval lies wholly above chance."]
        if unclear:
            lines.append(f"On {', '.join(unclear)} none does.")
        if absent := self.missing():
            lines.append(f"Without a score here: {', '.join(absent)}.")
        if self.source == "simulated":
            lines.append("*These tables are simulated: the scores show the method, not biology.*")
        display(Markdown(" ".join(lines)))


def start(**parameters: Any) -> Parameters:
    """Check a notebook's parameters, show where the data come from, and return the parameters.

    Raises
    ------
    UsageError
        If a parameter is unknown or its value cannot be.
    """
    from IPython.display import display

    checked = check("", parameters)
    session = Session("", checked.model_copy(update={"tasks": checked.tasks[:1]}))
    session.missing.clear()  # the leaderboard itself says what is missing
    display(session.banner())
    return checked


def collect(checked: Parameters) -> Board:
    """Return the scores that a notebook's parameters ask for.

    With `results_dir`, scores are read from that run folder. Without, every category's models are fitted in the
    folders that the category notebooks keep, so that what these have fitted is not fitted again.

    Raises
    ------
    UsageError
        If the run folder holds none of what is asked for, or was made of other data than `data_source`.
    SombError
        If the run folder cannot be read, or no task has its tables.
    """
    stored = checked.results_dir is not None and (Path(checked.results_dir) / "provenance.json").is_file()
    result = load_run(str(checked.results_dir)) if stored else fit(checked)
    kind = Session("", checked.model_copy(update={"tasks": checked.tasks[:1]})).source.kind
    if result.provenance["source"] != kind:
        raise UsageError(
            f"{checked.results_dir} holds results of {result.provenance['source']} tables, but data_source is "
            f"{kind}; real and simulated results are never shown together"
        )
    return Board(select(result, checked, any_model=stored), checked.n_bootstrap, checked.seed)


def select(result: RunResult, checked: Parameters, any_model: bool) -> RunResult:
    """Keep a run's rows of the tasks and protocol asked for (and models, unless any will do), in their order.

    Raises
    ------
    UsageError
        If nothing is left.
    """
    baselines = list(checked.models)
    others = [name for name in dict.fromkeys(result.results["model"]) if name not in baselines]
    order = {name: place for place, name in enumerate(baselines + (others if any_model else []))}

    def kept(frame: pd.DataFrame) -> pd.DataFrame:
        mine = frame["task"].isin(checked.tasks) & frame["model"].isin(order) & (frame["protocol"] == checked.protocol)
        frame = frame[mine]
        frame = frame.assign(_order=frame["model"].map(order))
        return frame.sort_values(["task", "_order"], kind="stable").drop(columns="_order").reset_index(drop=True)

    chosen = RunResult(kept(result.results), kept(result.predictions), result.provenance)
    if chosen.results.empty:
        raise UsageError(f"the run holds no {checked.protocol} result of {', '.join(checked.tasks)}")
    return chosen


def fit(checked: Parameters) -> RunResult:
    """Fit the models in each category's own folder of finished folds (or in `results_dir`) and return all results.

    Raises
    ------
    SombError
        If no task has its tables.
    """
    letters = dict.fromkeys(task[0] for task in checked.tasks)
    runs = []
    for letter in letters:
        own = checked.model_copy(update={"tasks": [task for task in checked.tasks if task[0] == letter]})
        session = Session(letter, own)
        if session.tasks and (result := session.run()) is not None:
            runs.append(result)
    if not runs:
        raise SombError("no task has its tables, so there is no score to show; get them with: somb data fetch")
    tasks = {key: entry for run in runs for key, entry in run.provenance["tasks"].items()}
    return RunResult(
        pd.concat([run.results for run in runs], ignore_index=True),
        pd.concat([run.predictions for run in runs], ignore_index=True),
        {**runs[-1].provenance, "tasks": tasks},
    )


def payload(board: Board) -> dict[str, Any]:
    """Return what the interactive page shows, as plain data.

    A board of real tables also offers the canonical run and the published scores, each labelled; a simulated one
    holds nothing but itself.
    """
    sources = [_run_source(board)]
    if board.source == "open":
        if SCORES.is_file():
            sources.append(_canonical_source())
        sources.append(_published_source())
    used = {row["metric"] for source in sources for row in source["rows"]}
    models = dict.fromkeys(row["model"] for source in sources for row in source["rows"])
    return {
        "sources": sources,
        "models": list(models),
        "metrics": {metric: metric_name(metric) for metric in _metric_order() if metric in used},
        "tasks": {
            task.id: {
                "name": task.name,
                "question": task.question,
                "category": task.category,
                "modality": task.modality,
                "missions": task.missions,
                "tier": task.tier,
                "supplementary": task.supplementary,
                "rows": task.n_rows,
                "features": task.n_features,
                "classes": task.class_counts if len(task.classes) <= 4 else {"classes": len(task.classes)},
                "split": task.split,
                "metric": task.metrics.primary,
                "metrics": [task.metrics.primary, *task.metrics.secondary],
                "notes": task.notes,
            }
            for task in catalogue().values()
        },
    }


def _metric_order() -> list[str]:
    return list(
        dict.fromkeys(m for task in catalogue().values() for m in (task.metrics.primary, *task.metrics.secondary))
    )


def _run_source(board: Board) -> dict[str, Any]:
    protocol = str(board.summary["protocol"].iloc[0])
    badge = {"simulated": "SIMULATED DATA", "open": "Open data", "custom": "Custom data"}[board.source]
    said = {"simulated": "No score says anything about real biology."}.get(board.source, "Computed in this book.")
    return {
        "id": "run",
        "kind": board.source,
        "label": f"this run, {protocol} protocol",
        "badge": badge,
        "note": f"{said} {protocol.capitalize()} protocol; intervals from {board.n_bootstrap} bootstrap replicates.",
        "rows": _rows(board),
        "composite": _composite(board.composite()),
    }


def _rows(board: Board) -> list[dict[str, Any]]:
    results = board.result.results
    results = results[~results["metric"].str.contains("[", regex=False)]
    chance = board.summary.drop_duplicates("task").set_index("task")["chance"]
    ends = board.summary.set_index(["task", "model", "metric"])[["low", "high"]].to_dict("index")
    rows = []
    for key, part in results.groupby(["task", "model", "metric"], sort=False):
        task, model, metric = map(str, key)
        values = part["value"].dropna()
        interval = ends.get((task, model, metric), {"low": np.nan, "high": np.nan})
        primary = metric == catalogue()[task].metrics.primary
        rows.append(
            {
                "task": task,
                "model": model,
                "metric": metric,
                "mean": _number(values.mean()),
                "sd": _number(np.std(values) if len(values) else np.nan),
                "low": _number(interval["low"]),
                "high": _number(interval["high"]),
                "chance": _number(chance[task] if primary else 0.5 if metric == "auroc" else np.nan),
                "folds": len(values),
                "failed": int(part["status"].str.startswith("failed").sum()),
                "undefined": int((part["status"] == "undefined").sum()),
                "values": [_number(value) for value in values] if primary else [],
            }
        )
    return rows


def _canonical_source() -> dict[str, Any]:
    table = canonical_scores()
    table = table[table["protocol"] == "aligned"]
    return {
        "id": "canonical",
        "kind": "open",
        "label": "canonical run, aligned protocol",
        "badge": "Canonical run",
        "note": "The project's own run on the published tables, aligned protocol, as stored in data/reference.",
        "rows": [_reference_row(row) for row in table.to_dict("records")],
        "composite": _composite(composite_of(table)),
    }


def _published_source() -> dict[str, Any]:
    table = published_scores()
    table = table[table["task"].isin(list(catalogue()))].assign(
        model=lambda t: t["model"].str.removeprefix("multilabel_")
    )
    return {
        "id": "published",
        "kind": "published",
        "label": "published scores, positional pairing",
        "badge": "Published scores",
        "note": "As published, with rows paired by position: shown for reference, not for comparison with a new model.",
        "rows": [_reference_row(row) for row in table.to_dict("records")],
        "composite": [],
    }


def _reference_row(row: Mapping[Any, Any]) -> dict[str, Any]:
    numbers = {key: _number(row.get(key, np.nan)) for key in ("mean", "sd", "chance")}
    counts = {key: int(row[key]) if key in row else None for key in ("folds", "failed", "undefined")}
    return {
        **{key: row[key] for key in ("task", "model", "metric")}, **numbers, **counts,
        "low": None, "high": None, "values": [],
    }  # fmt: skip


def _composite(table: pd.DataFrame) -> list[dict[str, Any]]:
    groups = [column for column in table if column not in ("composite", "groups")]
    return [
        {
            "model": model,
            "composite": _number(row["composite"]),
            "n": int(row["groups"]),
            "groups": {str(group): _number(row[str(group)]) for group in groups},
        }
        for model, row in table.iterrows()
    ]


def _number(value: Any) -> float | None:
    return None if pd.isna(value) else round(float(value), 5)


def html(data: Mapping[str, Any]) -> str:
    """Return the interactive leaderboard: one piece of HTML that needs no other file and no other host."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/")
    parts = {suffix: (TEMPLATES / f"leaderboard.{suffix}").read_text(encoding="utf-8") for suffix in ("css", "js")}
    page = Template((TEMPLATES / "leaderboard.html").read_text(encoding="utf-8"))
    return page.substitute(data=text, **parts)
