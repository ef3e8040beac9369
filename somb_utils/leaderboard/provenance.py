"""The provenance of a submission, with a bound on every list in it."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, model_validator

from somb_utils.leaderboard.model_card import Line
from somb_utils.tasks.definitions import PROTOCOLS, catalogue

MAX_MODELS = 10
MAX_TASKS = len(PROTOCOLS) * len(catalogue())


class _Task(BaseModel):
    tables: dict[str, str]
    data_sha256: str


class _Model(BaseModel):
    task: str
    protocol: str
    model: str
    target: str
    params: dict[str, Any]
    seed: int | None
    code: dict[str, dict[str, str]] | None = None
    run: str


class _Run(BaseModel):
    versions: Annotated[dict[Line, Line], Field(max_length=100)]


class Provenance(BaseModel):
    """How a submission's rows were made, as a run's provenance of format 2 states it."""

    format: Literal[2]
    source: Line
    tasks: Annotated[dict[str, _Task], Field(max_length=MAX_TASKS)]
    models: Annotated[tuple[_Model, ...], Field(max_length=MAX_TASKS * MAX_MODELS)]
    runs: Annotated[dict[Line, _Run], Field(max_length=MAX_TASKS * MAX_MODELS)]

    @model_validator(mode="after")
    def _of_known_runs(self) -> "Provenance":
        if unknown := sorted({record.run for record in self.models} - self.runs.keys()):
            raise ValueError(f"a model is of the run {unknown[0][:60]!r}, which is not described")
        return self
