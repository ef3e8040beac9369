"""The house keeps its order: sizes of modules, and facts on tasks and models where they belong."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import somb_utils as somb
from somb_utils.runs.models import NAMED
from somb_utils.tasks.definitions import catalogue

PACKAGE = Path(somb.__path__[0])
MODULES = sorted(PACKAGE.rglob("*.py"))
# What data pass on their way from a table to a score, beside the recipe of their task.
PATH = [
    *("tables/registry", "tables/sources", "tables/checks"),
    *(
        "tasks/definitions",
        "tasks/task_metrics",
        "tasks/features",
        "tasks/splits",
        "tasks/_problems",
        "tasks/task_data",
    ),
    *("runs/fit", "runs/runner", "runs/record", "runs/results", "metrics"),
]
GROWING = {"recipes", "simulate"}  # with each contributed task or table; 2,100 lines now, of the path 1,000
# Of models, of the libraries they come from, and of metrics, one of which has the name of a task.
DEFINITIONS = ("runs/baselines.py", "runs/strong.py", "runs/boosting.py", "runs/code.py", "labels.py")


def lines(file: Path) -> int:
    return len(file.read_text(encoding="utf-8").splitlines())


def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def docstrings(tree: ast.Module) -> list[Any]:
    """Return the docstrings of a module, as nodes of its syntax tree."""
    documented = [n for n in ast.walk(tree) if isinstance(n, ast.Module | ast.ClassDef | ast.FunctionDef) and n.body]
    return [n.body[0].value for n in documented if isinstance(n.body[0], ast.Expr)]


def code(file: Path) -> int:
    """Return the lines of a module that are no docstrings."""
    return lines(file) - sum(node.end_lineno - node.lineno + 1 for node in docstrings(parsed(file)))


def literals(file: Path) -> Iterator[str]:
    """Yield the text constants of a module that are no docstrings."""
    tree = parsed(file)
    docs = {id(node) for node in docstrings(tree)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.value


def test_modules_fit_on_a_few_screens() -> None:
    assert max((lines(file), file.name) for file in MODULES) <= (350, "~")


def test_package_stays_thin() -> None:
    apart = {"llm", *GROWING}
    assert sum(code(file) for file in MODULES if not apart & set(file.relative_to(PACKAGE).parts)) < 15_500
    assert sum(code(PACKAGE / f"{name}.py") for name in PATH) < 2_100


@pytest.mark.parametrize("file", MODULES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_no_task_model_or_category_is_special(file: Path) -> None:
    names = {*NAMED, *catalogue(), *(name for task in catalogue().values() for name in task.ablation_names)}
    if str(file.relative_to(PACKAGE)) in DEFINITIONS:
        return
    special = [text for text in literals(file) if text in names or re.search(r"\[A-[B-Y]\]", text)]
    assert not special


# A statistician, an scverse developer and a space biologist find their own terms, not a private dialect.
DIALECT = re.compile(
    r"at hand\b|told at once|told apart|love of length|holds the truth|false alarm|stands twice|drawn in pairs|"
    r"\bmend(s|ed)?\b|\bguess(es|ing)\b",
    re.I,
)


def test_the_project_speaks_the_terms_of_its_field() -> None:
    root = PACKAGE.parent
    texts = [file for folder in ("book", "examples", "notebooks", ".github") for file in (root / folder).rglob("*.*")]
    texts += [*PACKAGE.rglob("*.*"), *root.glob("*.md")]
    read = {file: file.read_text("utf-8") for file in texts if file.suffix in {".py", ".md", ".js", ".html", ".yml"}}
    assert len(read) > 200
    assert not {
        f"{file.relative_to(root)}: {said[0]}" for file, text in read.items() for said in DIALECT.finditer(text)
    }
