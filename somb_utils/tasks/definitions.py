"""Task definitions: what a task asks, which tables it reads, how rows, labels, folds and scores are made."""

import json
from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import cache
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from somb_utils.errors import SombError, UsageError
from somb_utils.paths import DATA

Protocol = Literal["aligned", "published"]
PROTOCOLS: tuple[Protocol, ...] = ("aligned", "published")
Tier = Literal["calibration", "standard", "advanced", "frontier"]
TaskType = Literal["binary", "multiclass", "multilabel"]

# Metrics whose chance level is known, and so may be primary; and those a fold of the type is scored with beside them.
PRIMARY: dict[TaskType, tuple[str, ...]] = {
    "binary": ("auroc", "auprc"),
    "multiclass": ("macro_f1",),
    "multilabel": ("micro_f1",),
}
SECONDARY: dict[TaskType, tuple[str, ...]] = {
    "binary": ("f1", "precision_at_50", "precision_at_100", "ndcg_at_50", "ndcg_at_100", "direction_concordance"),
    "multiclass": ("accuracy", "weighted_f1"),
    "multilabel": ("macro_f1", "hamming_loss", "mean_auroc"),
}


class _Spec(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Samples(_Spec):
    """Rows are samples; every column that is not sample metadata is a feature."""

    recipe: Literal["samples"]
    tables: tuple[str, ...]
    label: str
    missing_is_zero: bool = Field(False, description="missing cells become 0")

    @property
    def reads(self) -> tuple[str, ...]:
        return self.tables


class SampleColumns(_Spec):
    """Columns of the table are samples; labels and crew come from a metadata table."""

    recipe: Literal["sample_columns"]
    table: str
    id: str
    metadata: str
    label: str

    @property
    def reads(self) -> tuple[str, ...]:
        return (self.table, self.metadata)


class SharedTaxa(_Spec):
    """Human and environmental samples on the taxids that both tables hold."""

    recipe: Literal["shared_taxa"]
    human: str
    environmental: str
    id: str
    metadata: str
    label: str

    @property
    def reads(self) -> tuple[str, ...]:
        return (self.human, self.environmental, self.metadata)


class Multimodal(_Spec):
    """Clinical, proteomic and metabolomic blocks of the crew days that all three hold."""

    recipe: Literal["multimodal"]
    clinical: tuple[str, ...]
    proteomics: str
    metabolomics: str
    metabolomics_metadata: str
    label: str

    @property
    def reads(self) -> tuple[str, ...]:
        return (*self.clinical, self.proteomics, self.metabolomics, self.metabolomics_metadata)


class Rows(_Spec):
    """Rows are genes or pathways with named feature columns; the label is a column or a membership."""

    recipe: Literal["rows"]
    table: str
    id: str
    columns: tuple[str, ...]
    label: str | None = None
    member_of: str | None = Field(None, description="table whose genes are the positives")

    @model_validator(mode="after")
    def _one_label(self) -> "Rows":
        if (self.label is None) == (self.member_of is None):
            raise ValueError("name either label or member_of")
        return self

    @property
    def reads(self) -> tuple[str, ...]:
        return (self.table, self.member_of) if self.member_of else (self.table,)


class DifferentialTransfer(_Spec):
    """Statistics of one contrast predict adjusted p < alpha in another, on the ids both tables hold."""

    recipe: Literal["differential_transfer"]
    table: str
    target: str
    id: str
    columns: tuple[str, ...]
    alpha: float

    @property
    def reads(self) -> tuple[str, ...]:
        return (self.table, self.target)


class Correlation(_Spec):
    """A square correlation matrix predicts one 0/1 column for each cluster."""

    recipe: Literal["correlation"]
    table: str
    labels: str
    id: str

    @property
    def reads(self) -> tuple[str, ...]:
        return (self.table, self.labels)


class Metabolites(_Spec):
    """Chemical annotations: mass, retention time, confidence, pathways one-hot, atom counts."""

    recipe: Literal["metabolites"]
    table: str
    id: str
    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    formula: str
    label: str

    @property
    def reads(self) -> tuple[str, ...]:
        return (self.table,)


FeatureSpec = Annotated[
    Samples | SampleColumns | SharedTaxa | Multimodal | Rows | DifferentialTransfer | Correlation | Metabolites,
    Field(discriminator="recipe"),
]


class Metrics(_Spec):
    """The metric that ranks models, and those reported beside it."""

    primary: str
    secondary: tuple[str, ...]


class Task(_Spec):
    """A task: one of the 21 that ``data/tasks/<id>.json`` define, or one of the user's own."""

    id: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$", max_length=64)
    name: str
    question: str
    category: str
    modality: str
    missions: tuple[str, ...]
    tier: Tier
    supplementary: bool = False
    composite_group: str | None = Field(description="group of the composite score; null when left out")
    type: TaskType
    features: FeatureSpec
    order: Literal["id", "id_casefold", "crew_site_day", "stored"] = Field(
        description="row order of the published label table: by identifier (case matters or not), "
        "by crew, site and day, or as data/row_order.json"
    )
    classes: tuple[str, ...]
    class_counts: dict[str, int]
    n_rows: int
    n_features: int
    split: Literal["loco", "loto", "skf5", "sss5"]
    pca: dict[str, int] = Field({}, description="components a block; the key is the column prefix")
    ablations: dict[str, tuple[str, ...]] = Field(
        {}, description="feature subsets: substrings of the column names kept; a leading ! drops them"
    )
    metrics: Metrics
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _coherent(self) -> "Task":
        known = PRIMARY[self.type] + SECONDARY[self.type]
        unknown = [name for name in self.metrics.secondary if name not in known]
        by_crew = self.features.recipe in ("samples", "sample_columns", "multimodal")
        splits = ("loco",) if by_crew else ("loto",) if self.features.recipe == "shared_taxa" else ("skf5", "sss5")
        types = ("binary", "multiclass") if splits[0] in ("loco", "loto") else ("binary",)
        types = ("multilabel",) if self.features.recipe == "correlation" else types
        empty = [name for name, value in self.features if value == ()]
        if empty:
            raise ValueError(f"features.{empty[0]} names nothing")
        for what, names in self._named().items():
            if len(set(names)) < len(names):
                raise ValueError(f"{what} names {next(n for n in names if names.count(n) > 1)!r} more than once")
        if set(self.classes) != set(self.class_counts):
            raise ValueError("class_counts must count each of the classes")
        if len(self.classes) < 2 or (self.type == "binary" and len(self.classes) > 2):
            raise ValueError(f"a {self.type} task cannot have {len(self.classes)} classes")
        if self.type not in types or self.split not in splits:
            raise ValueError(
                f"the recipe {self.features.recipe} makes {' or '.join(types)} tasks, split by {' or '.join(splits)}"
            )
        if self.metrics.primary not in PRIMARY[self.type]:
            raise ValueError(f"the primary metric of a {self.type} task is {' or '.join(PRIMARY[self.type])}")
        if unknown:
            raise ValueError(f"unknown metric {unknown[0]!r}; a {self.type} task has {', '.join(known)}")
        if min(self.n_rows, self.n_features, *self.class_counts.values(), *self.pca.values()) < 1:
            raise ValueError("n_rows, n_features, class_counts and pca must be positive")
        return self

    def _named(self) -> dict[str, tuple[str, ...]]:
        """Return the lists of names in which none may be repeated."""
        roles = ("id", "label", "formula", "columns", "numeric", "categorical")
        values = [value for name, value in self.features if name in roles and value is not None]
        columns = [name for value in values for name in ((value,) if isinstance(value, str) else value)]
        return {
            "features": tuple(columns),
            "the list of tables": self.tables,
            "missions": self.missions,
            "classes": self.classes,
            "metrics": (self.metrics.primary, *self.metrics.secondary),
            **{f"ablations.{name}": parts for name, parts in self.ablations.items()},
        }

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables the task reads."""
        return self.features.reads

    def sampling_unit(self, row: str) -> str:
        """Return the id of what was sampled as one with a row: the crew member's day for swabs, else the row itself."""
        day = row.rpartition("_")[0] if self.features.recipe == "sample_columns" else ""
        return day or row

    def ablation_columns(self, name: str, columns: Iterable[str]) -> list[str]:
        """Return the columns that the ablation `name` keeps.

        Raises
        ------
        UsageError
            If the task defines no such ablation.
        """
        if name not in self.ablations:
            known = ", ".join(self.ablations) or "none"
            raise UsageError(f"{self.id} has no ablation '{name}'; it has: {known}")
        parts = self.ablations[name]
        dropped = [p[1:] for p in parts if p.startswith("!")]
        kept = [p for p in parts if not p.startswith("!")]
        return [c for c in columns if not any(p in c for p in dropped) and (not kept or any(p in c for p in kept))]


def read_task(text: str, where: str) -> Task:
    """Parse one task definition.

    Raises
    ------
    SombError
        If `text` is not JSON or does not fit the schema; the message names `where` and every field.
    """
    try:
        return Task.model_validate_json(text)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors())
        raise SombError(f"{where} is not a valid task definition: {problems}") from None


@cache
def catalogue() -> dict[str, Task]:
    """Return all task definitions by id, sorted.

    Raises
    ------
    SombError
        If a definition is missing or invalid.
    """
    files = sorted(file for file in (DATA / "tasks").glob("*.json") if file.stem != "schema")
    tasks = [read_task(file.read_text(encoding="utf-8"), str(file)) for file in files]
    return {task.id: task for task in tasks}


def get_task(task_id: str) -> Task:
    """Return one definition.

    Raises
    ------
    UsageError
        If there is no such task.
    """
    return select_tasks([task_id])[0]


def select_tasks(patterns: str | Iterable[str] | None = None) -> list[Task]:
    """Return the tasks that match ids or wildcards, in catalogue order, each once.

    Parameters
    ----------
    patterns : str or iterable of str, optional
        ``"A1,F*"`` or ``["A1", "F*"]``; all 21 tasks when omitted.

    Raises
    ------
    UsageError
        If a pattern matches no task.
    """
    if patterns is None:
        return list(catalogue().values())
    if isinstance(patterns, str):
        patterns = patterns.split(",")
    wanted = [p.strip().upper() for p in patterns if p.strip()]
    unknown = [p for p in wanted if not any(fnmatchcase(t, p) for t in catalogue())]
    if unknown or not wanted:
        raise UsageError(
            f"unknown task {', '.join(map(repr, unknown)) or '(none named)'}; the tasks are "
            f"{', '.join(catalogue())} (wildcards such as F* work; `somb tasks` describes them)"
        )
    return [task for task in catalogue().values() if any(fnmatchcase(task.id, p) for p in wanted)]


def task_tables(tasks: Iterable[Task]) -> list[str]:
    """Return the names of the tables that tasks read, each once."""
    return list(dict.fromkeys(name for task in tasks for name in task.tables))


def schema_text() -> str:
    """Return the JSON Schema of a task definition, as stored in ``data/tasks/schema.json``."""
    return json.dumps(Task.model_json_schema(), indent=2, ensure_ascii=False) + "\n"
