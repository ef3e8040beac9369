"""Tables of simulated cells: each is computed once with the same versions, stored as soon as it is done, and reused."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

import joblib
import pandas as pd

from somb_utils.errors import SombError
from somb_utils.paths import replacing
from somb_utils.runs.workers import count

LIBRARIES = ("numpy", "scipy", "scikit-learn")
Row = dict[Any, Any]


def measure(
    cells: Sequence[Any],
    do: Callable[[Any], Row],
    file: Path,
    n_jobs: int = 1,
    on_start: Callable[[int, float], None] = lambda cells, cost: None,
    on_done: Callable[[float, str], None] = lambda cost, label: None,
) -> pd.DataFrame:
    """Compute the cells that `file` does not hold yet, or holds of other versions, adding each to it as it is done.

    Parameters
    ----------
    cells : frozen dataclasses of numbers and text, with a property `cost`
    do : returns a cell's results; the table has the cell's fields, then these, then the versions they were made with
    file : CSV; rows of other cells stay in it
    n_jobs : cells at once; -1 for one a core
    on_start, on_done : called with the number and cost of the cells to do, and after each

    Returns
    -------
    DataFrame
        One row a cell, in the order of `cells`.

    Raises
    ------
    SombError
        If `file` is no such table or cannot be written.
    """
    count(n_jobs)
    done, now = _stored(file, type(cells[0])), _made_with()
    current = {cell for cell, row in done.items() if row["made_with"] == now}
    todo = sorted((cell for cell in cells if cell not in current), key=lambda cell: -cell.cost)
    on_start(len(todo), sum(cell.cost for cell in todo))
    others = [row for cell, row in done.items() if cell not in set(cells)]
    with joblib.parallel_config(backend="loky", n_jobs=n_jobs, inner_max_num_threads=1):
        parallel = joblib.Parallel(return_as="generator_unordered", batch_size=1)
        for cell, row in parallel(joblib.delayed(_row)(do, cell) for cell in todo):
            done[cell] = row
            table = pd.DataFrame([*others, *(done[cell] for cell in cells if cell in done)])
            with replacing(file) as temporary:
                table.to_csv(temporary, index=False)
            on_done(cell.cost, " ".join(str(value) for value in asdict(cell).values()))
    return pd.DataFrame([done[cell] for cell in cells])


def _stored(file: Path, kind: type) -> dict[Any, Row]:
    if not file.is_file():
        return {}
    try:
        rows = pd.read_csv(file).astype({"made_with": str}).to_dict("records")
        return {kind(**{field.name: row[field.name] for field in fields(kind)}): row for row in rows}
    except (ValueError, KeyError) as error:
        raise SombError(f"{file} is not a table of measured cells ({error}); remove it or name another") from None


def _made_with() -> str:
    return "; ".join(f"{name} {version(name)}" for name in ("somb-utils", *LIBRARIES))


def _row(do: Callable[[Any], Row], cell: Any) -> tuple[Any, Row]:
    found = {key: round(value, 6) if isinstance(value, float) else value for key, value in do(cell).items()}
    return cell, {**asdict(cell), **found, "made_with": _made_with()}


def read(file: Path, command: str) -> pd.DataFrame:
    """Return a stored table.

    Raises
    ------
    SombError
        If there is none.
    """
    if not file.is_file():
        raise SombError(f"{file} is missing; measure it with: {command}")
    return pd.read_csv(file)
