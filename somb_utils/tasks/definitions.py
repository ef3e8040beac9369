"""Task definitions: the question, the tables, and how rows, labels, folds and scores are made."""

import json
from collections import Counter
from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

from pydantic import Field, ValidationError, model_validator

from somb_utils.errors import SombError, UsageError
from somb_utils.paths import DATA
from somb_utils.tasks._metrics import LEADS, PRIMARY, SECONDARY, Metrics
from somb_utils.tasks.recipes import RECIPES, Protocol, Recipe, Spec, Split, TaskType

PROTOCOLS: tuple[Protocol, ...] = ("rigorous", "aligned", "published")
Tier = Literal["calibration", "standard", "advanced", "frontier"]

if TYPE_CHECKING:
    FeatureSpec = Recipe
else:
    FeatureSpec = Annotated[Union[RECIPES], Field(discriminator="recipe")]  # noqa: UP007


class Task(Spec):
    """A task that ``data/tasks/<id>.json`` defines, one of the published 21 or an extension, or a user's.

    Parameters
    ----------
    id
        Letters, digits, ``_`` and ``-``, beginning with a letter.
    name, question
        For readers.
    category, modality, missions
        What the task is about; a category has one notebook.
    tier
        Stated difficulty: calibration, standard, advanced or frontier.
    supplementary
        Whether it is reported and left out of composites.
    extension
        Whether it was added to the 21 tasks of the published benchmark: extensions have a composite of their own.
    composite_group
        Group of the composite score; None when left out.
    type
        ``binary``, ``multiclass`` or ``multilabel``.
    features
        The recipe: how features are computed from tables; see ``somb_utils/tasks/recipes``.
    order
        Row order of the published label table.
    classes, class_counts
        Names of the classes (labels, if multilabel), and how many rows have each.
    n_rows, n_features
        Shape of the features.
    split
        ``loco``, ``loto``, ``lomo``, ``lotissue``, ``skf5``, ``sss5`` or ``cv5x5``; see the book's page on protocols.
    label_by_day
        Whether all groups were sampled on the same days and the label is a function of the day, as flight phase is. The
        p-value of such a task is that of :func:`somb_utils.day_test`.
    pca
        Principal components per block of columns that share a prefix.
    columns
        Substrings of the names of the columns that are its features, where the ablations have others; all if empty.
    ablations
        Feature subsets: substrings of the column names kept; a leading ``!`` drops them.
    metrics
        The metric that ranks models, and those reported beside it.
    rigorous
        Fields of the definition that differ under the protocol ``rigorous``; see :meth:`under`.
    notes
        Facts that a reader should know.
    """

    id: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$", max_length=64)
    name: str
    question: str
    category: str
    modality: str
    missions: tuple[str, ...]
    tier: Tier
    supplementary: bool = False
    extension: bool = Field(
        False, description="whether it was added to the published benchmark; extensions have a composite of their own"
    )
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
    split: Split
    label_by_day: bool = Field(
        False, description="whether the label is a function of the day of sampling, the same for all groups"
    )
    pca: dict[str, int] = Field({}, description="components per block of columns; the key is the column prefix")
    columns: tuple[str, ...] = Field(
        (), description="substrings of the names of its features, where the ablations have others; empty for all"
    )
    ablations: dict[str, tuple[str, ...]] = Field(
        {}, description="feature subsets: substrings of the column names kept; a leading ! drops them"
    )
    metrics: Metrics
    rigorous: dict[str, Any] = Field(
        {}, description="fields that differ under the protocol rigorous; those of features are merged"
    )
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _coherent(self) -> "Task":
        recipe, known = self.features, PRIMARY[self.type] + SECONDARY[self.type]
        for name, value in recipe:
            if value == ():
                raise ValueError(f"features.{name} names nothing")
        lists = {
            "features": recipe.columns_named,
            "the list of tables": self.tables,
            "missions": self.missions,
            "classes": self.classes,
            "metrics": (self.metrics.primary, *self.metrics.secondary),
            **{f"ablations.{name}": parts for name, parts in self.ablations.items()},
        }
        for what, names in lists.items():
            if repeated := [name for name, count in Counter(names).items() if count > 1]:
                raise ValueError(f"{what} names {repeated[0]!r} more than once")
        if set(self.classes) != set(self.class_counts):
            raise ValueError("class_counts must count each of the classes")
        if len(self.classes) < 2 or (self.type == "binary" and len(self.classes) > 2):
            raise ValueError(f"a {self.type} task cannot have {len(self.classes)} classes")
        if self.type not in recipe.types or self.split not in recipe.splits:
            types, splits = (" or ".join(names) for names in (recipe.types, recipe.splits))
            raise ValueError(f"the recipe {recipe.recipe} makes {types} tasks, split by {splits}")
        if self.metrics.primary not in PRIMARY[self.type]:
            raise ValueError(f"the primary metric of a {self.type} task is {' or '.join(PRIMARY[self.type])}")
        if unknown := [name for name in self.metrics.secondary if name not in known]:
            raise ValueError(f"unknown metric {unknown[0]!r}; a {self.type} task has {', '.join(known)}")
        if min(self.n_rows, self.n_features, *self.class_counts.values(), *self.pca.values()) < 1:
            raise ValueError("n_rows, n_features, class_counts and pca must be positive")
        if self.rigorous:
            _rigorous(self)
        return self

    def under(self, protocol: Protocol) -> "Task":
        """Return the definition under a protocol.

        Parameters
        ----------
        protocol
            ``rigorous`` changes the fields that the task names, leaves out PCA, splits features tasks by complete
            5 × 5 cross-validation, and lets the metrics of probabilities lead. The others change nothing.

        Returns
        -------
        Task
            For :func:`somb_utils.load_task`.
        """
        return _rigorous(self) if protocol == "rigorous" else self

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables the task reads."""
        return self.features.reads

    @property
    def ablation_names(self) -> tuple[str, ...]:
        """Names of the ablations in results, ``<id>_<ablation>``."""
        return tuple(f"{self.id}_{name}" for name in self.ablations)

    def ablation_columns(self, name: str | None, columns: Iterable[str]) -> list[str]:
        """Return the columns that are the features of the task, or of one of its ablations.

        Parameters
        ----------
        name
            Of the ablation; None for the task itself.
        columns
            All that the recipe made.

        Returns
        -------
        list of str
            In their order.

        Raises
        ------
        UsageError
            If the task defines no such ablation.
        """
        if name is not None and name not in self.ablations:
            raise UsageError(f"{self.id} has no ablation '{name}'; it has: {', '.join(self.ablations) or 'none'}")
        parts = self.columns if name is None else self.ablations[name]
        dropped = [p[1:] for p in parts if p.startswith("!")]
        kept = [p for p in parts if not p.startswith("!")]
        return [c for c in columns if not any(p in c for p in dropped) and (not kept or any(p in c for p in kept))]


def _rigorous(task: Task) -> Task:
    fields = task.model_dump(mode="json")
    changes = fields.pop("rigorous")
    if not isinstance(changes.get("features", {}), dict):
        raise ValueError("rigorous.features must be an object")
    fields |= {"pca": {}, "split": "cv5x5" if task.split in ("skf5", "sss5") else task.split}
    fields["metrics"] = task.metrics.led_by(LEADS.get(task.type, ())).model_dump(mode="json")
    fields |= {**changes, "features": fields["features"] | changes.get("features", {})}
    return Task.model_validate_json(json.dumps(fields))


def read_task(text: str, where: str) -> Task:
    """Parse one task definition.

    Parameters
    ----------
    text
        JSON, of the form of ``data/tasks/schema.json``.
    where
        Named in errors, such as the file.

    Returns
    -------
    Task
        For :func:`somb_utils.load_task` and :func:`somb_utils.run`.

    Raises
    ------
    SombError
        If `text` is not JSON or does not fit the schema; the message names `where` and every wrong field.
    """
    try:
        return Task.model_validate_json(text)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors())
        raise SombError(f"{where} is not a valid task definition: {problems}") from None


@cache
def catalogue() -> dict[str, Task]:
    """Return all task definitions by id, sorted: the published benchmark's and the extensions'."""
    files = sorted(file for file in (DATA / "tasks").glob("*.json") if file.stem != "schema")
    tasks = [read_task(file.read_text(encoding="utf-8"), str(file)) for file in files]
    return {task.id: task for task in tasks}


@cache
def benchmark_version() -> str:
    """Return the version that is raised when a task, metric or question changes, and so scores."""
    return (DATA / "benchmark_version.txt").read_text(encoding="utf-8").strip()


@cache
def task_of(name: str, protocol: Protocol) -> Task | None:
    """Return the definition, under a protocol, of a task or an ablation named in results; None if it is a user's."""
    task = catalogue().get(name) or next((t for t in catalogue().values() if name in t.ablation_names), None)
    return task.under(protocol) if task else None


def get_task(task_id: str) -> Task:
    """Return one definition.

    Parameters
    ----------
    task_id
        Such as ``"A1"``.

    Returns
    -------
    Task
        From ``data/tasks``.

    Raises
    ------
    UsageError
        If there is no such task.

    Examples
    --------
    >>> get_task("A1").metrics.primary
    'macro_f1'
    """
    return select_tasks([task_id])[0]


def select_tasks(patterns: str | Iterable[str] | None = None) -> list[Task]:
    """Return the tasks that match ids or wildcards, in catalogue order, each once.

    Parameters
    ----------
    patterns
        ``"A1,F*"`` or ``["A1", "F*"]``; the 21 tasks of the published benchmark when omitted.

    Returns
    -------
    list of Task
        At least one.

    Raises
    ------
    UsageError
        If a pattern matches no task.

    Examples
    --------
    >>> [task.id for task in select_tasks("H*,A1")]
    ['A1', 'H1']
    >>> len(select_tasks())
    21
    """
    if patterns is None:
        return [task for task in catalogue().values() if not task.extension]
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
