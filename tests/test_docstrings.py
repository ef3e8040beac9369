"""What is public is documented: the docstring of each name that a room lists is valid numpydoc."""

import inspect
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest
from numpydoc.validate import validate

import somb_utils as somb

# Types stand in the annotations; a summary and an example are enough where there is nothing more to say.
LEFT_OUT = {"ES01", "EX01", "SA01", "PR04"}
ROOMS = [".".join(stub.relative_to(Path(somb.__path__[0]).parent).parent.parts) for stub in
         sorted(Path(somb.__path__[0]).rglob("__init__.pyi"))]  # fmt: skip


def public() -> Iterator[str]:
    seen: set[Any] = set()
    for room in ROOMS:
        module = import_module(room)
        for name in module.__all__:
            thing = getattr(module, name)
            if not (inspect.isclass(thing) or inspect.isfunction(thing)) or thing in seen:
                continue
            seen.add(thing)
            yield f"{thing.__module__}.{thing.__name__}"
            members = vars(thing).items() if inspect.isclass(thing) else ()
            for member, value in members:
                overrides = getattr(value, "__override__", False)
                if not (member.startswith("_") or overrides) and isinstance(value, property | FunctionType):
                    yield f"{thing.__module__}.{thing.__name__}.{member}"


def test_rooms_list_what_is_public() -> None:
    assert "somb_utils" in ROOMS and len(ROOMS) > 3
    assert {"somb_utils.runs.runner.run", "somb_utils.tasks.task_data.TaskData.check"} <= set(public())


@pytest.mark.parametrize("name", list(public()))
def test_docstring_is_valid_numpydoc(name: str) -> None:
    problems = {code: text for code, text in validate(name)["errors"] if code not in LEFT_OUT}
    assert not problems
