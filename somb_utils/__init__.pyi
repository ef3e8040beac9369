from . import plots, stats
from .errors import SombError, UsageError
from .predictions.canonical import canonical_run
from .predictions.evaluate import evaluate
from .runs.compare import Comparison, compare
from .runs.controls import controls
from .runs.day import DayTest, day_accuracy, day_test
from .runs.folder import load_run
from .runs.raw import raw
from .runs.results import RunResult
from .runs.runner import run
from .signatures.query import SignatureAnswer, signature
from .tables.sources import load_table
from .tasks.day import loco_day
from .tasks.definitions import Task, get_task, read_task, select_tasks
from .tasks.own import task_from_frames
from .tasks.splits import Fold
from .tasks.task_data import TaskData, load_task

__all__ = [
    "Comparison",
    "DayTest",
    "Fold",
    "RunResult",
    "SignatureAnswer",
    "SombError",
    "Task",
    "TaskData",
    "UsageError",
    "canonical_run",
    "compare",
    "controls",
    "day_accuracy",
    "day_test",
    "evaluate",
    "get_task",
    "load_run",
    "load_table",
    "load_task",
    "loco_day",
    "plots",
    "raw",
    "read_task",
    "run",
    "select_tasks",
    "signature",
    "stats",
    "task_from_frames",
]
