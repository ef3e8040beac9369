from .definitions import Task, get_task, read_task, select_tasks
from .own import task_from_frames
from .splits import Fold
from .task_data import TaskData, load_task

__all__ = [
    "Fold",
    "Task",
    "TaskData",
    "get_task",
    "load_task",
    "read_task",
    "select_tasks",
    "task_from_frames",
]
