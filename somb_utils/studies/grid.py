"""Tables of simulation settings: each setting is computed once, stored as soon as it is done, and reused."""

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
    settings: Sequence[Any],
    compute: Callable[[Any], Row],
    file: Path,
    n_jobs: int = 1,
    on_start: Callable[[int, float], None] = lambda settings, cost: None,
    on_done: Callable[[float, str], None] = lambda cost, label: None,
) -> pd.DataFrame:
    """Compute the settings that `file` lacks or has of other library versions, adding each as it is done.

    Settings are frozen dataclasses of numbers and text with a property `cost`; `compute` returns a setting's results.
    The table has the setting's fields, its results, and the library versions; rows of other settings stay in the file.
    `n_jobs` settings are computed at once, -1 for one per core. `on_start` is called with the number and cost of the
    settings to compute, `on_done` with the cost and label of each. Returns one row per setting, in their order.
    """
    count(n_jobs)
    done, now = _stored(file, type(settings[0])), _made_with()
    current = {setting for setting, row in done.items() if row["made_with"] == now}
    todo = sorted((setting for setting in settings if setting not in current), key=lambda setting: -setting.cost)
    on_start(len(todo), sum(setting.cost for setting in todo))
    others = [row for setting, row in done.items() if setting not in set(settings)]
    with joblib.parallel_config(backend="loky", n_jobs=n_jobs, inner_max_num_threads=1):
        parallel = joblib.Parallel(return_as="generator_unordered", batch_size=1)
        for setting, row in parallel(joblib.delayed(_row)(compute, setting) for setting in todo):
            done[setting] = row
            table = pd.DataFrame([*others, *(done[setting] for setting in settings if setting in done)])
            with replacing(file) as temporary:
                table.to_csv(temporary, index=False)
            on_done(setting.cost, " ".join(str(value) for value in asdict(setting).values()))
    return pd.DataFrame([done[setting] for setting in settings])


def settings(file: Path, kind: type[Any]) -> list[Any]:
    """Return the settings that a plan lists, one per row."""
    return [kind(**{str(key): value for key, value in row.items()}) for row in pd.read_csv(file).to_dict("records")]


def _stored(file: Path, kind: type) -> dict[Any, Row]:
    if not file.is_file():
        return {}
    try:
        rows = pd.read_csv(file).astype({"made_with": str}).to_dict("records")
        return {kind(**{field.name: row[field.name] for field in fields(kind)}): row for row in rows}
    except (ValueError, KeyError) as error:
        raise SombError(f"{file} is not a table of measured settings ({error}); remove it or name another") from None


def _made_with() -> str:
    return "; ".join(f"{name} {version(name)}" for name in ("somb-utils", *LIBRARIES))


def _row(compute: Callable[[Any], Row], setting: Any) -> tuple[Any, Row]:
    results = {key: round(value, 6) if isinstance(value, float) else value for key, value in compute(setting).items()}
    return setting, {**asdict(setting), **results, "made_with": _made_with()}


def read(file: Path, command: str) -> pd.DataFrame:
    """Return a stored table; if there is none, the error names the command that measures it."""
    if not file.is_file():
        raise SombError(f"{file} is missing; measure it with: {command}")
    return pd.read_csv(file)
