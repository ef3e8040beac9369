"""Names and numbers as a reader sees them: metrics in words, scores with their intervals, tables in Markdown."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

METRICS = {
    "macro_f1": "macro F1",
    "micro_f1": "micro F1",
    "weighted_f1": "weighted F1",
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "f1": "F1",
    "mean_auroc": "mean AUROC",
    "hamming_loss": "Hamming loss",
    "direction_concordance": "direction concordance",
}


def metric_name(metric: str) -> str:
    """Return a metric's name in words."""
    return METRICS.get(metric, metric.replace("_at_", " at ").replace("ndcg", "NDCG").replace("_", " "))


def plus_minus(mean: float, sd: float) -> str:
    """Return ``mean ± SD``; empty without a mean."""
    return "" if pd.isna(mean) else f"{mean:.3f} ± {sd:.3f}"


def interval(low: float, high: float) -> str:
    """Return ``[low, high]``; empty without an interval."""
    return "" if pd.isna(low) else f"[{low:.3f}, {high:.3f}]"


def wide(summary: pd.DataFrame, newline: str = "\n") -> pd.DataFrame:
    """Return a summary with one row per task and one column per model, as text; an asterisk marks tied scores."""

    def text(row: Any) -> str:
        counts = {"failed": row.failed, "undefined": row.undefined}
        left_out = ", ".join(f"{n} {what}" for what, n in counts.items() if n)
        score = plus_minus(row.mean, row.sd) + (" *" if row.tied and not pd.isna(row.mean) else "")
        return newline.join(part for part in (score, interval(row.low, row.high), left_out and f"({left_out})") if part)

    scores = summary.assign(text=[text(row) for row in summary.itertuples()])
    table = scores.pivot(index="task", columns="model", values="text").fillna("")
    first = scores.drop_duplicates("task").set_index("task")
    table = table[list(dict.fromkeys(summary["model"]))]
    table.insert(0, "metric", first["metric"])
    table.insert(1, "chance", first["chance"].map("{:.3f}".format))
    return table.reset_index()


def markdown(frame: pd.DataFrame, align: Sequence[str] = ()) -> str:
    """Return a data frame as a GitHub Markdown table; `align` gives the rule below each column's name."""
    lines = [list(map(str, frame.columns)), list(align) or ["---"] * frame.shape[1]]
    lines += [[str(value).replace("|", "\\|") for value in row] for row in frame.itertuples(index=False)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
