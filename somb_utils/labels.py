"""Names and numbers for readers: metrics in words, scores with their intervals, tables in Markdown."""

from typing import Any

import pandas as pd

_WORDS = {"f1": "F1", "auroc": "AUROC", "auprc": "AUPRC", "ndcg": "NDCG", "hamming": "Hamming"}


def metric_name(metric: str) -> str:
    """Return a metric's name in words."""
    return " ".join(_WORDS.get(word, word) for word in metric.split("_"))


def plus_minus(mean: float, sd: float) -> str:
    """Return ``mean ± SD``; empty without a mean."""
    return "" if pd.isna(mean) else f"{mean:.3f} ± {sd:.3f}"


def interval(low: float, high: float) -> str:
    """Return ``[low, high]``; empty without an interval."""
    return "" if pd.isna(low) else f"[{low:.3f}, {high:.3f}]"


def wide(summary: pd.DataFrame, newline: str = "\n") -> pd.DataFrame:
    """Return a summary as text, one row per task and one column per model; an asterisk marks tied scores."""

    def text(row: Any) -> str:
        counts = {"failed": row.failed, "undefined": row.undefined}
        left_out = ", ".join(f"{n} {what}" for what, n in counts.items() if n)
        score = plus_minus(row.mean, row.sd) + (" *" if row.tied and not pd.isna(row.mean) else "")
        return newline.join(part for part in (score, interval(row.low, row.high), left_out and f"({left_out})") if part)

    scores = summary.assign(text=[text(row) for row in summary.itertuples()])
    table = scores.pivot(index="task", columns="model", values="text").fillna("")[summary["model"].unique()]
    first = scores.drop_duplicates("task").set_index("task")
    table.insert(0, "metric", first["metric"])
    table.insert(1, "chance", first["chance"].map("{:.3f}".format))
    return table.reset_index()


def markdown(frame: pd.DataFrame) -> str:
    """Return a data frame as a GitHub Markdown table."""
    lines = [[str(column) for column in frame], ["---"] * frame.shape[1]]
    lines += [[str(value).replace("|", "\\|") for value in row] for row in frame.itertuples(index=False)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
