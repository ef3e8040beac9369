"""The parameters that every notebook takes, checked."""

import json
from collections.abc import Collection, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from somb_utils._seeds import MAX_SEED
from somb_utils.errors import UsageError
from somb_utils.runs.models import resolve_models
from somb_utils.runs.names import split_names
from somb_utils.tasks._files import is_file
from somb_utils.tasks.definitions import Protocol, catalogue, select_tasks


class Parameters(BaseModel):
    """The parameters that every notebook takes. Text that is JSON is read as such, as ``papermill -p`` gives it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    tasks: list[str]
    models: list[str]
    model_params: dict[str, dict[str, Any]] = Field(default_factory=dict)
    protocol: Protocol = "rigorous"
    source: str = "auto"
    n_bootstrap: int = Field(1000, ge=0, le=100_000)
    seed: int = Field(42, ge=0, le=MAX_SEED)
    out: str | None = None
    n_jobs: int = Field(1, ge=-1)

    @field_validator("tasks", "models", "model_params", mode="before")
    @classmethod
    def _read(cls, value: Any, info: Any) -> Any:
        if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
            value = json.loads(value)
        if isinstance(value, str) and info.field_name != "model_params":
            value = split_names(value)
        return {} if value is None and info.field_name == "model_params" else value

    @field_validator("n_jobs")
    @classmethod
    def _some_jobs(cls, value: int) -> int:
        if value == 0:
            raise ValueError("give a number of jobs, or -1 for one per core")
        return value


NAMES = tuple(Parameters.model_fields)


def check(parameters: Mapping[str, Any], tasks: Collection[str] = ()) -> Parameters:
    """Return a notebook's parameters, checked; `tasks` are those that the notebook is about, any when empty.

    A user's own tasks, named by the paths of their definitions, are of any notebook.
    """
    try:
        checked = Parameters.model_validate(dict(parameters))
    except ValidationError as error:
        raise UsageError("; ".join(_problem(problem) for problem in error.errors())) from None
    own = [name for name in checked.tasks if is_file(name)]
    chosen = [task.id for task in select_tasks(checked.tasks) if task.id in catalogue()]
    others = set(chosen).difference(task.id for task in select_tasks(tasks or "*"))
    if others:
        wrong, right = ", ".join(sorted(others)), ", ".join(tasks)
        raise UsageError(f"tasks: {wrong} is not of this notebook, which is about {right}")
    resolve_models(checked.models, checked.model_params)
    return checked.model_copy(update={"tasks": [*chosen, *own]})


def _problem(problem: Any) -> str:
    name = ".".join(map(str, problem["loc"]))
    if problem["type"] == "extra_forbidden":
        return f"unknown parameter '{name}'; the parameters are {', '.join(NAMES)}"
    return f"parameter {name}: {problem['msg']}, not {problem['input']!r}"
