"""Task definitions: the question, the tables, and how rows, labels, folds and scores are made."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

from pydantic import Field, ValidationError, model_validator

from somb_utils.errors import SombError, UsageError
from somb_utils.paths import DATA
from somb_utils.tasks._files import is_file, text_of, without_comments
from somb_utils.tasks.recipes import RECIPES, Protocol, Recipe, Spec, Split, TaskType
from somb_utils.tasks.task_metrics import LEADS, Metrics

_ID = r"^[A-Za-z][A-Za-z0-9_-]*$"
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
    supplementary, extension, composite_group
        Whether it is reported and left out of composites; whether it was added to the published 21, since extensions
        have a composite of their own; its group in a composite.
    type
        ``binary``, ``multiclass`` or ``multilabel``.
    features
        The recipe: how features are computed from tables; see ``somb_utils/tasks/recipes``.
    order
        Row order of the published label table.
    classes, class_counts, n_rows, n_features
        Names of the classes (labels, if multilabel), and how many rows have each, and the shape of the features; those
        of the tables when omitted.
    split
        ``loco``, ``loto``, ``lomo``, ``lotissue``, ``skf5``, ``sss5``, ``cv5x5`` or ``own``; see the page on protocols.
    label_by_day
        Whether all groups were sampled on the same days and the label is a function of the day, as flight phase is. The
        p-value of such a task is that of :func:`somb_utils.day_test`.
    pca
        Principal components per block of columns that share a prefix.
    columns, ablations
        Substrings of the names of the columns that are its features (all if empty), and of those of feature subsets; a
        leading ``!`` drops them.
    metrics, rigorous
        The metric that ranks models, and those reported beside it; what differs under ``rigorous``, see :meth:`under`.
    notes
        Facts that a reader should know.
    """

    id: str = Field(pattern=_ID, max_length=64)
    name: str = ""
    question: str = ""
    category: str = "Own"
    modality: str = ""
    missions: tuple[str, ...] = ()
    tier: Tier = "standard"
    supplementary: bool = False
    extension: bool = Field(False, description="added to the published 21; extensions have a composite of their own")
    composite_group: str | None = Field(None, description="group of the composite score; null when left out")
    type: TaskType
    features: FeatureSpec
    order: Literal["id", "id_casefold", "crew_site_day", "stored"] = Field(
        "id",
        description="row order of the published label table: by identifier (case matters or not), "
        "by crew, site and day, or as data/row_order.json",
    )
    classes: tuple[str, ...] = ()
    class_counts: dict[str, int] = Field({})
    n_rows: int = Field(0, ge=0)
    n_features: int = Field(0, ge=0)
    split: Split
    label_by_day: bool = Field(False, description="whether the label is a function of the day, alike for all groups")
    pca: dict[str, int] = Field({}, description="components per block of columns; the key is the column prefix")
    columns: tuple[str, ...] = Field(
        (), description="substrings of the names of its features, where the ablations have others; empty for all"
    )
    ablations: dict[str, tuple[str, ...]] = Field(
        {}, description="feature subsets: substrings of the column names kept; a leading ! drops them"
    )
    metrics: Metrics
    rigorous: dict[str, Any] = Field({}, description="what differs under rigorous; fields of features are merged")
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _coherent(self) -> "Task":
        if faults := list(self._faults()):
            raise ValueError("; ".join(faults))
        if self.rigorous:
            _rigorous(self)
        return self

    def _faults(self) -> Iterator[str]:
        recipe = self.features
        yield from (f"features.{name} names nothing" for name, value in recipe if value == ())
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
                yield f"{what} names {repeated[0]!r} more than once"
        if set(self.classes) != set(self.class_counts) and self.class_counts:
            yield "class_counts must count each of the classes"
        if self.classes and (len(self.classes) < 2 or (self.type == "binary" and len(self.classes) > 2)):
            yield f"a {self.type} task cannot have {len(self.classes)} classes"
        if misfit := recipe.misfit(self.type, self.split):
            yield misfit
        yield from self.metrics.faults(self.type)
        if min((*self.class_counts.values(), *self.pca.values()), default=1) < 1:
            yield "class_counts and pca must be positive"

    def under(self, protocol: Protocol) -> "Task":
        """Return the definition under a protocol.

        Parameters
        ----------
        protocol
            ``rigorous`` changes the fields that the task names, leaves out PCA, splits features tasks by complete
            5 × 5 cross-validation, and lets the metrics of probabilities lead, unless its recipe is ``table``. The
            others change nothing.

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
    def leaves_groups_out(self) -> bool:
        """Whether every fold leaves out groups (crew members, time points, missions), which are what was sampled."""
        return self.features.groups_left_out(self.split)

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
    leads = () if task.features.keeps_metric else LEADS.get(task.type, ())
    fields["metrics"] = task.metrics.led_by(leads).model_dump(mode="json")
    fields |= {**changes, "features": fields["features"] | changes.get("features", {})}
    return Task.model_validate_json(json.dumps(fields))


Definitions = Mapping[str, Task]  # of a user's tasks, by ``TASK/PROTOCOL``


def read_task(text: str, where: str) -> Task:
    """Parse one task definition.

    Parameters
    ----------
    text
        JSON, of the form of ``data/tasks/schema.json``. Lines that begin with ``//`` are comments.
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
        return Task.model_validate_json(without_comments(text))
    except ValidationError as error:
        said = [(".".join(map(str, e["loc"])), e["msg"].removeprefix("Value error, ")) for e in error.errors()]
        problems = "; ".join(": ".join(filter(None, part)) for part in said)
        raise SombError(f"{where} is not a valid task definition: {problems}") from None


@cache
def catalogue() -> dict[str, Task]:
    """Return all task definitions by id, sorted: the published benchmark's and the extensions'."""
    files = sorted(file for file in (DATA / "tasks").glob("*.json") if file.stem != "schema")
    tasks = [read_task(file.read_text(encoding="utf-8"), str(file)) for file in files]
    return {task.id: task for task in tasks}


def task_of(name: str, protocol: Protocol, own: Definitions | None = None) -> Task | None:
    """Return the definition, under a protocol, of a task or an ablation named in results.

    `own` are those of a user's tasks. None if it is neither among them nor in the catalogue.
    """
    return (own or {}).get(f"{name}/{protocol}") or _catalogued(name, protocol)


@cache
def _catalogued(name: str, protocol: Protocol) -> Task | None:
    task = catalogue().get(name) or next((t for t in catalogue().values() if name in t.ablation_names), None)
    return task.under(protocol) if task else None


def get_task(task_id: str) -> Task:
    """Return one definition.

    Parameters
    ----------
    task_id
        Such as ``"A1"``, or the path of a definition of your own.

    Returns
    -------
    Task
        From ``data/tasks``, or the file.

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
    """Return the tasks that match ids or wildcards, in catalogue order, each once; then those of the user's files.

    Parameters
    ----------
    patterns
        ``"A1,F*"`` or ``["A1", "F*"]``; the 21 tasks of the published benchmark when omitted. A path that ends in
        ``.json`` is the file of a task of your own.

    Returns
    -------
    list of Task
        At least one.

    Raises
    ------
    UsageError
        If a pattern matches no task, or your own task has the id of another.
    SombError
        If a file cannot be read or is no valid definition.

    Examples
    --------
    >>> [task.id for task in select_tasks("H*,A1")]
    ['A1', 'H1']
    >>> len(select_tasks())
    21
    """
    if patterns is None:
        return [task for task in catalogue().values() if not task.extension]
    words = [p.strip() for p in (patterns.split(",") if isinstance(patterns, str) else patterns) if p.strip()]
    own = [read_task(text_of(word), word) for word in dict.fromkeys(words) if is_file(word)]
    for task in own:
        check_own_id(task.id, "your own task")
    wanted = [word.upper() for word in words if not is_file(word)]
    unknown = [p for p in wanted if not any(fnmatchcase(t, p) for t in catalogue())]
    if unknown or not words:
        raise UsageError(
            f"unknown task {', '.join(map(repr, unknown)) or '(none named)'}; the tasks are "
            f"{', '.join(catalogue())} (wildcards such as F* work; `somb tasks` describes them)"
        )
    if repeated := [name for name, count in Counter(task.id for task in own).items() if count > 1]:
        raise UsageError(f"several of these files define a task '{repeated[0]}'; give each its own id")
    return [*(task for task in catalogue().values() if any(fnmatchcase(task.id, p) for p in wanted)), *own]


def check_own_id(name: str, where: str) -> None:
    """Refuse an id of a user's task that is no name, or that results of the benchmark's tasks have (in any case)."""
    if not re.match(_ID, name) or len(name) > 64:
        raise UsageError(f"{where}: '{name}' is no id: letters, digits, _ and -, at most 64, beginning with a letter")
    taken = {known.upper() for task in catalogue().values() for known in (task.id, *task.ablation_names)}
    if name.upper() in taken:
        raise UsageError(f"{where}: '{name}' is a task of the benchmark; give yours another id")


def task_tables(tasks: Iterable[Task]) -> list[str]:
    """Return the names of the tables that tasks read, each once."""
    return list(dict.fromkeys(name for task in tasks for name in task.tables))


def schema_text() -> str:
    """Return the JSON Schema of a task definition, as stored in ``data/tasks/schema.json``."""
    return json.dumps(Task.model_json_schema(), indent=2, ensure_ascii=False) + "\n"
