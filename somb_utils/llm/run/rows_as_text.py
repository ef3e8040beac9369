"""A fold of a small task as text for a language model, and the predictions that its reply states."""

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from somb_utils.errors import UsageError

if TYPE_CHECKING:  # scikit-learn, which they load, takes as long as all else that a run of questions imports
    from somb_utils.tasks.splits import Fold
    from somb_utils.tasks.task_data import TaskData

MOST_FEATURES, MOST_CELLS = 80, 4000
SHOWN_OF_MANY = 40  # where a task has more features than are shown
SUM_TOLERANCE = 0.02
INSTRUCTIONS = """\
You predict the class of samples from measurements. You get a question, training rows with their class, and test rows. \
Use the training rows and what you know of the features."""
_NUMBER = r"(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?%?"
_LINE = re.compile(rf"^[\s|*`-]*(\d+)\s*[:,|]\s*({_NUMBER}(?:\s*[,|;]\s*{_NUMBER})*)[\s|*`]*$")


@dataclass(frozen=True)
class FoldText:
    """What a model is asked of one fold.

    Parameters
    ----------
    prompt
        Training rows with their classes, and test rows, under numbers that say nothing of them.
    rows
        Position in the task of each test row, in the order of their numbers, from 1.
    """

    prompt: str
    rows: tuple[int, ...]

    @property
    def digest(self) -> str:
        """A fingerprint of the prompt."""
        return hashlib.sha256(f"{INSTRUCTIONS}{self.prompt}".encode()).hexdigest()[:12]


def need_small(data: "TaskData") -> None:
    """Raise `UsageError` unless the task's rows fit into a prompt and have one class each."""
    shown = data.X.shape[1] if data.X.shape[1] <= MOST_FEATURES else SHOWN_OF_MANY
    if data.task.type == "multilabel":
        raise UsageError(
            f"{data.name}: its rows have several labels; language models predict binary and multiclass tasks"
        )
    if len(data.X) * shown > MOST_CELLS:
        raise UsageError(
            f"{data.name}: {len(data.X):,} rows of {shown} features do not fit into a prompt of {MOST_CELLS:,} values"
        )


def _features(data: "TaskData", fold: "Fold") -> pd.DataFrame:
    """Return the features shown: all, or of many those that differ most between the classes of the training rows."""
    from sklearn.feature_selection import f_classif  # slow to import

    if data.X.shape[1] <= MOST_FEATURES:
        return data.X
    train = data.X.to_numpy()[fold.train]
    usable = np.flatnonzero(np.isfinite(train).any(axis=0))  # the others have no value to show
    medians = np.nanmedian(train[:, usable], axis=0)
    filled = np.where(np.isnan(train[:, usable]), medians, train[:, usable])
    varies = np.ptp(filled, axis=0) > 0
    strength, _ = f_classif(filled[:, varies], data.codes[fold.train])
    best = np.argsort(-np.nan_to_num(strength, posinf=0.0), kind="stable")[:SHOWN_OF_MANY]
    return data.X.iloc[:, np.sort(usable[varies][best])]


def _cells(row: np.ndarray) -> list[str]:
    return ["" if np.isnan(value) else f"{value:.4g}" for value in row]


def fold_text(data: "TaskData", number: int) -> FoldText:
    """Return a fold as text.

    Parameters
    ----------
    data
        The task; `need_small` has let it pass.
    number
        Of the fold, from 0.

    Returns
    -------
    FoldText
        Rows are shuffled and numbered anew: neither their order nor an identifier tells a class. Of the test rows there
        is nothing but their features.
    """
    fold, classes = data.folds[number], data.task.classes
    X = _features(data, fold)
    values = X.to_numpy()
    random = np.random.default_rng([number, len(data.X)])
    train, test = random.permutation(fold.train), random.permutation(fold.test)
    lines = [
        f"Question: {data.task.question or data.task.name}",
        f"Classes: {', '.join(classes)}",
        "",
        "Training rows, tab-separated (blank: missing):",
        "\t".join(["class", *X.columns]),
        *("\t".join([classes[data.codes[row]], *_cells(values[row])]) for row in train),
        "",
        "Test rows:",
        "\t".join(["row", *X.columns]),
        *("\t".join([str(n), *_cells(values[row])]) for n, row in enumerate(test, 1)),
        "",
        f"Reply with {len(test)} lines and nothing else, one for each test row: its number, a colon, and the "
        f"probabilities of {', '.join(classes)}, in this order, separated by commas. They add up to 1.",
    ]
    return FoldText("\n".join(lines), tuple(int(row) for row in test))


def read_probabilities(reply: str, n_rows: int, n_classes: int) -> tuple[np.ndarray | None, str]:
    """Return the probabilities that a reply states, shape (n_rows, n_classes), or None and what is wrong with it."""
    found: dict[int, list[float]] = {}
    for match in filter(None, map(_LINE.match, reply.splitlines())):
        row = int(match[1])
        values = [float(v.rstrip("% ")) / (100 if "%" in v else 1) for v in re.split(r"\s*[,|;]\s*", match[2])]
        if row in found:
            return None, f"row {row} has two lines"
        if not 1 <= row <= n_rows:
            return None, f"there is no row {row}; rows are 1 to {n_rows}"
        if len(values) != n_classes:
            return None, f"row {row} has {len(values)} probabilities, not {n_classes}"
        if max(values) > 1 or abs(sum(values) - 1) > SUM_TOLERANCE:
            return None, f"the probabilities of row {row} do not add up to 1"
        found[row] = values
    if lost := [str(row) for row in range(1, n_rows + 1) if row not in found]:
        return None, f"{len(lost)} of {n_rows} rows have no line that can be read: {', '.join(lost[:5])}"
    table = np.array([found[row] for row in range(1, n_rows + 1)])
    return table / table.sum(axis=1, keepdims=True), ""
