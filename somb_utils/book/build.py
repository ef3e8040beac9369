"""Build the book on a data source: execute the notebooks beside copies of the pages, then run jupyter-book."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from somb_utils.errors import SombError, UsageError
from somb_utils.notebook import files
from somb_utils.paths import CHECKOUT, try_writing
from somb_utils.tables.sources import SourceLike, resolve_source

Say = Callable[[str], None]


def build(
    data: SourceLike, out: Path, *, jobs: int = -1, parameters: dict[str, Any] | None = None, say: Say = print
) -> Path:
    """Execute every notebook of the book on `data` and build the site.

    Folds that `somb run` has finished in ``results/<source>-aligned`` are not fitted again. An earlier site at `out` is
    replaced only when all of the new one was built.
    """
    files.need("jupyter_book")
    if not (CHECKOUT / "_toc.yml").is_file():
        raise UsageError("the book is built from a checkout of the repository; the installed package has no pages")
    target = out.resolve()
    _check_target(target)
    source = resolve_source(data)
    tree = CHECKOUT / "_build" / f"source-{source.kind}"
    values = {
        "source": str(getattr(source, "folder", source.kind)),
        "out": str(CHECKOUT / "results" / f"{source.kind}-aligned"),
        "n_jobs": jobs,
        **(parameters or {}),
    }
    say(f"data: {source.describe()}")
    try:
        copy_pages(tree, source.kind)
        if failed := list(_execute_all(tree, values, say)):
            raise SombError("the book was not built: " + "; ".join(failed))
        say("building the pages")
        site = sphinx(tree)
        shutil.rmtree(target, ignore_errors=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(site, target)
    except OSError as error:
        raise SombError(f"cannot write {error.filename or target}: {error.strerror or error}") from None
    return target / "index.html"


def _check_target(target: Path) -> None:
    existing = next(path for path in (target, *target.parents) if path.exists())
    if not existing.is_dir():
        raise UsageError(f"{existing} is not a folder; name another one with --out")
    try:
        try_writing(existing)
        names = {path.name for path in target.iterdir()} if existing == target else set()
    except OSError as error:
        raise SombError(f"cannot write {target}: {error.strerror}; name another folder with --out") from None
    if names and "objects.inv" not in names:
        raise UsageError(f"{target} contains something other than a built book; name another folder with --out")


def chapters() -> list[str]:
    """Return the pages and notebooks of ``_toc.yml`` in their order, as paths without suffix."""
    toc = yaml.safe_load((CHECKOUT / "_toc.yml").read_text(encoding="utf-8"))
    return [toc["root"], *(chapter["file"] for part in toc["parts"] for chapter in part["chapters"])]


def notebooks() -> list[str]:
    """Return the names of the book's notebooks in the order of ``_toc.yml``."""
    return [Path(file).name for file in chapters() if file.startswith("notebooks/")]


def copy_pages(tree: Path, kind: str) -> None:
    """Copy the pages and settings into `tree` and mark the copy with the kind of its data source."""
    shutil.rmtree(tree, ignore_errors=True)
    (tree / "notebooks").mkdir(parents=True)
    shutil.copytree(CHECKOUT / "book", tree / "book")
    shutil.copy(CHECKOUT / "_toc.yml", tree)
    config = yaml.safe_load((CHECKOUT / "_config.yml").read_text(encoding="utf-8"))
    config["sphinx"]["config"]["somb_source"] = kind
    (tree / "_config.yml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")


def _execute_all(tree: Path, values: dict[str, Any], say: Say) -> Iterator[str]:
    """Execute the notebooks into `tree`, each with the parameters that it has, and yield every failure."""
    names = notebooks()
    for number, name in enumerate(names, 1):
        say(f"notebook {number} of {len(names)}: {name}")
        path = files.FOLDER / f"{name}.ipynb"
        if not path.is_file():
            yield f"{path} is missing; make it with: somb notebook --refresh {name}"
            continue
        report = CHECKOUT / "_build" / "reports" / path.name
        try:
            taken = {key: values[key] for key in files.default_parameters(path) if key in values}
            files.execute(str(path), taken, report, progress=False)
        except SombError as error:
            say(f"  failed: {error}")
            yield f"{name}: {error}"
        else:
            _drop_parameters(Path(shutil.move(report, tree / "notebooks" / path.name)))


def _drop_parameters(path: Path) -> None:
    """Remove what papermill injected: it names folders of this machine, which are nobody else's business."""
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    notebook.cells = [cell for cell in notebook.cells if "injected-parameters" not in cell.metadata.get("tags", [])]
    for part in (notebook, *notebook.cells):
        part.metadata.pop("papermill", None)
    nbformat.write(notebook, path)


def sphinx(tree: Path) -> Path:
    """Run jupyter-book on `tree`, every warning an error, and return the folder of the site."""
    shutil.rmtree(tree / "_build", ignore_errors=True)
    run = "from jupyter_book.cli.main import main; main()"
    command = [sys.executable, "-c", run, "build", str(tree), "-n", "-W", "--keep-going", "-q"]
    process = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"})
    if process.returncode:
        output = process.stdout + process.stderr
        log = tree / "build.log"
        log.write_text(output, encoding="utf-8")
        problems = [line for line in output.splitlines() if "WARNING" in line or "ERROR" in line]
        raise SombError(f"jupyter-book reported problems ({log}):\n" + "\n".join(problems[:20] or ["see the log"]))
    return tree / "_build" / "html"


def describe(site: Path) -> str:
    """Return the number of pages and the size of a built site."""
    files = [file for file in site.rglob("*") if file.is_file()]
    pages = sum(file.suffix == ".html" for file in files)
    return f"{pages} pages, {sum(file.stat().st_size for file in files) / 1e6:.1f} MB"
