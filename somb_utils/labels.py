"""Names and numbers for readers: metrics in words, scores with their intervals, tables in Markdown."""

from typing import Any

import pandas as pd

_WORDS = {"f1": "F1", "auroc": "AUROC", "auprc": "AUPRC", "ndcg": "NDCG", "hamming": "Hamming", "ap": "AP"}


def metric_name(metric: str) -> str:
    """Return a metric's name in words."""
    return " ".join(_WORDS.get(word, word) for word in metric.split("_"))


def plus_minus(mean: float, sd: float) -> str:
    """Return ``mean ± SD``; empty without a mean."""
    return "" if pd.isna(mean) else f"{mean:.3f} ± {sd:.3f}"


def interval(low: float, high: float) -> str:
    """Return ``[low, high]``; empty without an interval."""
    return "" if pd.isna(low) else f"[{low:.3f}, {high:.3f}]"


def intervals(score: Any) -> tuple[str, ...]:
    """Return a row's interval as text; or its two, named, where missions or tissues are left out."""
    new, these = interval(score.low, score.high), getattr(score, "low_these", None)
    return (new,) if pd.isna(these) else (f"new {new}", f"these {interval(these, score.high_these)}")


BEST_MARK, CHANCE_MARK = "*", "‡"
BEST_NOTE = f"{BEST_MARK} in the best set: a multiple comparison with the best cannot exclude it"
THESE_NOTE = (
    "Where missions or tissues are left out, there are two intervals: new (low, high), for new missions or tissues; "
    "these (low_these, high_these), for new animals on these missions or tissues"
)
CHANCE_NOTE = f"{CHANCE_MARK} not above chance (permutation test, q ≥ 0.05 over the table)"


def wide(summary: pd.DataFrame, newline: str = "\n", above: pd.Series | None = None) -> pd.DataFrame:
    """Return a summary as text, one row per task and one column per model, with the marks of the notes above.

    `above` tells which scores are above chance; those that are not get a mark, those that were not tested none.
    """
    marks = pd.DataFrame({BEST_MARK: summary["best"], CHANCE_MARK: False if above is None else above.eq(other=False)})

    def text(row: Any, marked: Any) -> str:
        counts = {"failed": row.failed, "undefined": row.undefined}
        left_out = ", ".join(f"{n} {what}" for what, n in counts.items() if n)
        score = plus_minus(row.mean, row.sd) + "".join(f" {mark}" for mark, on in marked.items() if on)
        return newline.join(part for part in (score, *intervals(row), left_out and f"({left_out})") if part)

    scores = summary.assign(
        text=[text(*row) for row in zip(summary.itertuples(), marks.to_dict("records"), strict=True)]
    )
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
