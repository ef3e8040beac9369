"""The notebooks' files: finding them, executing them, and keeping text and outputs a pair."""

import ast
import contextlib
import os
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from somb_utils._extras import missing_extra
from somb_utils.errors import SombError, UsageError
from somb_utils.notebook.parameters import NAMES, check
from somb_utils.paths import CHECKOUT, cache_dir, replacing, try_writing

QUIET = ["--IPKernelApp.log_level=50"]  # a kernel complains of its own transport and shutdown
FOLDER = CHECKOUT / "notebooks"


def need(module: str) -> Any:
    """Return a module that comes with the extra ``book``."""
    try:
        return import_module(module)
    except ImportError as error:
        raise missing_extra("a notebook", "book", error) from None


def notebook_path(name: str) -> Path:
    """Return the notebook that a name, its first part or a path means."""
    if Path(name).suffix == ".ipynb" and Path(name).is_file():
        return Path(name)
    known = sorted(path.stem for path in FOLDER.glob("*.md"))
    matches = [stem for stem in known if name.casefold() in (stem.casefold(), stem.casefold().partition("_")[0])]
    if len(matches) != 1:
        remedy = f"there are {', '.join(known)}" if known else "notebooks come with a checkout, not with the package"
        raise UsageError(f"no notebook '{name}'; {remedy}")
    return FOLDER / f"{matches[0]}.ipynb"


def default_parameters(path: Path) -> dict[str, str]:
    """Return the parameters that a notebook takes, each with the text of its default."""
    papermill = need("papermill")
    try:
        parameters = papermill.inspect_notebook(str(path))
    except (ValueError, KeyError, AttributeError) as error:
        raise SombError(f"{path} is not a readable notebook: {error}") from None
    return {key: entry["default"] for key, entry in parameters.items()}


def execute(
    name: str, parameters: Mapping[str, Any] | None = None, output: str | Path = "out.ipynb", progress: bool = True
) -> Path:
    """Run a notebook with papermill into a new file."""
    papermill = need("papermill")
    path, output, changed = notebook_path(name), Path(output), dict(parameters or {})
    if output.resolve() == path.resolve():
        raise UsageError(f"{output} is the notebook itself; name another file to write to")
    defaults = {key: ast.literal_eval(text) for key, text in default_parameters(path).items()}
    unknown = sorted(set(changed) - set(defaults))
    if unknown:
        raise UsageError(f"unknown parameter '{unknown[0]}'; {path.name} takes {', '.join(defaults)}")
    if set(NAMES) <= set(defaults):
        check({**defaults, **changed}, defaults["tasks"])
    _check_writable(output)
    try:
        papermill.execute_notebook(
            str(path),
            str(output),
            changed,
            kernel_name="python3",
            progress_bar=progress,
            cwd=str(Path.cwd()),
            extra_arguments=QUIET,
        )
    except papermill.exceptions.PapermillExecutionError as error:
        raise SombError(
            f"cell {error.cell_index + 1} of {path.name} failed ({_first_line(error.source)}): "
            f"{error.ename}: {error.evalue}; what ran is in {output}"
        ) from None
    except need("nbclient.exceptions").DeadKernelError:
        raise SombError(
            f"the kernel died in {_last_cell(output)} of {path.name}, as it does when memory runs out or a library "
            f"crashes; what ran is in {output}"
        ) from None
    except (OSError, RuntimeError, need("jupyter_client.kernelspec").NoSuchKernel) as error:
        raise SombError(f"{path.name} cannot be executed: {error}; what ran, if anything did, is in {output}") from None
    return output


def _check_writable(output: Path) -> None:
    try:
        try_writing(output.parent)
    except OSError as error:
        raise SombError(f"cannot write {output}: {error.strerror}; name another file with --out") from None


def _last_cell(output: Path) -> str:
    """Return the number and first line of the last cell that papermill began."""
    cells = need("nbformat").read(output, 4).cells
    begun = [n for n, cell in enumerate(cells) if cell.metadata.get("papermill", {}).get("duration") is not None]
    return f"cell {begun[-1] + 1} ({_first_line(cells[begun[-1]].source)})" if begun else "its first cell"


def _first_line(source: str) -> str:
    return next((line for line in source.splitlines() if line.strip()), "")


def to_text(path: Path) -> str:
    """Return the MyST text that pairs with a notebook, as ``jupytext`` writes it."""
    jupytext = need("jupytext")
    from jupytext.config import load_jupytext_config
    from jupytext.formats import long_form_one_format

    config, form = load_jupytext_config(str(path)), long_form_one_format("md:myst")
    config.set_default_format_options(form)
    return str(jupytext.writes(jupytext.read(path), form, config=config))


def refresh(names: Iterable[str] = ()) -> Iterable[Path]:
    """Execute the text notebooks on simulated tables and store text and outputs as a pair, yielding each."""
    jupytext, nbformat, nbclient = need("jupytext"), need("nbformat"), need("nbclient")
    failures = (need("nbclient.exceptions").CellControlSignal, need("jupyter_client.kernelspec").NoSuchKernel)
    paths = [notebook_path(name) for name in names] or [p.with_suffix(".ipynb") for p in sorted(FOLDER.glob("*.md"))]
    for path in paths:
        notebook = jupytext.read(path.with_suffix(".md"))
        for number, cell in enumerate(notebook.cells):
            cell.id = f"{path.stem.lower().replace('_', '-')}-{number:02d}"
        notebook.metadata.setdefault(
            "kernelspec", {"display_name": "Python 3", "language": "python", "name": "python3"}
        )
        try:
            with _simulated_only():
                nbclient.NotebookClient(
                    notebook,
                    timeout=900,
                    record_timing=False,
                    extra_arguments=QUIET,
                    resources={"metadata": {"path": str(FOLDER)}},
                ).execute()
        except (*failures, RuntimeError, OSError) as error:
            raise SombError(f"{path.with_suffix('.md')}: {error}") from None
        notebook.metadata.pop("language_info", None)
        with replacing(path) as temporary:
            nbformat.write(notebook, temporary, version=nbformat.NO_CONVERT)
        with replacing(path.with_suffix(".md")) as temporary:
            temporary.write_text(to_text(path), encoding="utf-8")
        yield path


@contextlib.contextmanager
def _simulated_only() -> Any:
    """Let ``auto`` find no real table: outputs that are committed must hold none."""
    before = {key: os.environ.get(key) for key in ("SOMB_DATA", "SOMB_CACHE")}
    os.environ.pop("SOMB_DATA", None)
    os.environ["SOMB_CACHE"] = str(cache_dir() / "refresh")
    try:
        yield
    finally:
        for key, value in before.items():
            os.environ.pop(key, None)
            if value is not None:
                os.environ[key] = value
