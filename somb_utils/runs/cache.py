"""A fold job: one model on one fold of one task, the key that identifies it, and its stored outcome."""

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from somb_utils._seeds import SEED
from somb_utils.paths import replacing
from somb_utils.runs.code import Code, fingerprint_of
from somb_utils.runs.fit import Outcome
from somb_utils.runs.models import NAMED, Model
from somb_utils.tasks.task_data import TaskData


@dataclass(frozen=True)
class ModelVersion:
    """All of a model that a fit of one type of task depends on."""

    model: Model  # its name, target and parameters
    seed: int  # seed of the run
    states: Mapping[str, int]  # what is set from the seed, by parameter name
    code: Code | None  # of a model that is not a baseline; None if it is in no file
    raw: bool  # whether it takes the raw fold
    digest: str | None  # hash of the above and of the estimator; None without code, so that no finished fold is kept

    @property
    def stochastic(self) -> bool:
        """Whether the fit depends on the seed."""
        return NAMED[self.model.target].stochastic if self.model.is_baseline else bool(self.states)


@dataclass(frozen=True)
class Job:
    """One model, with one seed, on one fold of one task."""

    data: TaskData
    model: Model
    number: int
    version: ModelVersion | None = None

    @property
    def seed(self) -> int:
        """The seed of the fit; the default one of predictions that come without a fit."""
        return self.version.seed if self.version else SEED

    @property
    def cost(self) -> float:
        """Expected fit time, in arbitrary units."""
        rows, columns = self.data.X.shape
        if self.data.task.pca:
            columns = sum(self.data.task.pca.values()) + 40
        n_outputs = 1 if self.data.task.type == "binary" else len(self.data.task.classes)
        cost = NAMED[self.model.target].cost if self.model.is_baseline else 8.0
        return cost * (2000 + rows * columns**0.5 * n_outputs)

    @property
    def key(self) -> str | None:
        """Hash of all that the outcome depends on; None if part of it cannot be identified."""
        if self.version is None or self.version.digest is None:
            return None
        text = f"{self.data.fingerprint} {self.number} {self.version.digest} {code_fingerprint()}"
        return hashlib.sha256(text.encode()).hexdigest()


def code_fingerprint() -> str:
    """Hash of what prepares, fits and scores here."""
    return fingerprint_of("somb_utils.runs.fit")


def _job_file(folder: Path, key: str) -> Path:
    return folder / "jobs" / f"{key[:32]}.npz"


def store(outcome: Outcome, folder: Path, key: str) -> None:
    """Keep an outcome with its key and a checksum."""
    arrays = {
        "y_pred": outcome.y_pred,
        "y_score": outcome.y_score,
        "metrics": np.array(list(outcome.scores)),
        "values": np.array(list(outcome.scores.values())),
        "seconds": np.array(outcome.seconds),
    }
    content = io.BytesIO()
    np.savez(content, **arrays, checksum=np.array(_checksum(key, arrays)))  # type: ignore[arg-type]
    with replacing(_job_file(folder, key)) as temporary:
        temporary.write_bytes(content.getvalue())


def restore(folder: Path, key: str) -> Outcome | None:
    """Return the stored outcome of a job; None if it is missing or damaged, or belongs to another key."""
    try:
        with np.load(_job_file(folder, key), allow_pickle=False) as saved:
            arrays = {name: saved[name] for name in saved.files}
        if str(arrays.pop("checksum")) != _checksum(key, arrays):
            return None
        scores = dict(zip(arrays["metrics"].tolist(), arrays["values"].tolist(), strict=True))
        return Outcome(arrays["y_pred"], arrays["y_score"], scores, float(arrays["seconds"]))
    except Exception:  # whatever a damaged file makes NumPy raise: the job is done again
        return None


def _checksum(key: str, arrays: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256(key.encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
