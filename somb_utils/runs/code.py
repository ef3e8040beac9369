"""The code of a model: the files that it was imported from, checked against what is in memory."""

import ast
import hashlib
import importlib.util
import marshal
import os
import pickle
import platform
import struct
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.metadata import packages_distributions, version
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from somb_utils.errors import SombError, UsageError

LIBRARIES = ("numpy", "pandas", "scikit-learn", "scipy", "xgboost", "lightgbm")
PACKAGE = __name__.partition(".")[0]


@dataclass(frozen=True)
class Code:
    """The code behind a model."""

    modules: Mapping[str, str]  # SHA-256 of the file of every module of the user's
    distributions: Mapping[str, str]  # version of every installed distribution that the model or these modules import


class _NoFileError(Exception):
    """Part of the code is in no file: it was typed into a notebook or made by ``exec``."""


def code_of(*parts: Any) -> Code | None:
    """Return the code of estimators, factories and parameters.

    Every class and function in `parts` counts, all loaded modules of its top-level package, and what these import. None
    if part of the code is in no file that could identify it, or `parts` cannot be pickled.
    """
    references = _References()
    try:
        references.dump(parts)
    except Exception:  # lambdas, locks, open files: pickle raises what it likes
        return None
    try:
        return _code(references.items)
    except _NoFileError:
        return None


def verify(code: Code) -> None:
    """Check, after a fit and wherever it was done, that the code was the same."""
    for name, expected in code.modules.items():
        if name == "__main__" or name not in sys.modules:
            continue
        try:
            same = _Source(sys.modules[name]).checked() == expected
        except (_NoFileError, UsageError):
            same = False
        if not same:
            raise SombError(
                f"module {name} is not what it was when the run was started: its file was edited during the run, or a "
                "worker on another machine has another version of it"
            )


def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that scores depend on."""
    return {name: version(name) for name in LIBRARIES}


@cache
def fingerprint_of(name: str) -> str:
    """Hash of a module of this package, of those that it imports, and of the libraries' and Python's versions."""
    digest = hashlib.sha256(platform.python_version().encode())
    for module, file in sorted(_closure([name], lambda module: module.startswith(f"{PACKAGE}."))):
        digest.update(f"{module} {_sha256(file.read_bytes())}".encode())
    digest.update(str(library_versions()).encode())
    return digest.hexdigest()


class _References(pickle.Pickler):
    """Collects every class and function that a pickle refers to, and keeps none of its bytes."""

    def __init__(self) -> None:
        super().__init__(self)
        self.items: list[Any] = []

    def write(self, data: bytes) -> int:
        return len(data)

    def reducer_override(self, item: Any) -> Any:
        if isinstance(item, type | FunctionType):
            self.items.append(item)
        return NotImplemented


def _code(objects: Iterable[Any]) -> Code:
    modules: dict[str, str] = {}
    distributions: dict[str, str] = {}
    for item in objects:
        _add(str(item.__module__), modules, distributions)
        if item.__module__ in modules:
            _Source(sys.modules[item.__module__]).check([item])
    return Code(dict(sorted(modules.items())), dict(sorted(distributions.items())))


def _add(name: str, modules: dict[str, str], distributions: dict[str, str]) -> None:
    """Add a module, with all of its top-level package that is loaded, if it is the user's own."""
    top = name.partition(".")[0]
    if _is_own(top):
        package = [module for module in list(sys.modules) if module == top or module.startswith(f"{top}.")]
        for module, file in _closure([name, *package], lambda module: _is_own(module.partition(".")[0])):
            if module not in modules:
                loaded = sys.modules.get(module)
                modules[module] = _Source(loaded).checked() if loaded is not None else _sha256(file.read_bytes())
                _add_distributions(_imports(file, module), distributions)
    else:
        _add_distributions([name], distributions)


def _add_distributions(names: Iterable[str], distributions: dict[str, str]) -> None:
    for top in {name.partition(".")[0] for name in names} - sys.stdlib_module_names - {PACKAGE}:
        if not _is_own(top):
            distributions |= {name: version(name) for name in _distributions().get(top, ())}


_distributions = cache(packages_distributions)


def _is_own(top: str) -> bool:
    """Tell whether a top-level module is neither Python's, nor this package, nor installed as a distribution."""
    if top in sys.stdlib_module_names or top == PACKAGE:
        return False
    if top == "__main__":
        return True
    module = sys.modules.get(top)
    try:
        spec = module.__spec__ if module is not None else importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return False
    places = [spec.origin, *(spec.submodule_search_locations or ())] if spec is not None else []
    files = [Path(place) for place in places if place]
    return bool(files) and not any({"site-packages", "dist-packages"} & set(file.parts) for file in files)


def _closure(names: Iterable[str], wanted: Callable[[str], bool]) -> Iterator[tuple[str, Path]]:
    """Yield modules and their files, and those that they import anywhere in their text, as far as `wanted`."""
    waiting, seen = [name for name in names if wanted(name)], set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        file = _file(name)
        if file is None:
            continue
        yield name, file
        waiting += [module for module in _imports(file, name) if wanted(module)]


def _file(name: str) -> Path | None:
    """Return a module's file; None for a namespace package and for a name that is no module."""
    module = sys.modules.get(name)
    if module is not None:
        file = getattr(module, "__file__", None)
        if file is None and not hasattr(module, "__path__"):
            raise _NoFileError
        return Path(file) if file else None
    spec = _spec(name)
    return Path(spec.origin) if spec is not None and spec.has_location and spec.origin else None


def _spec(name: str) -> ModuleSpec | None:
    """Find a module, loaded or not, without importing its package."""
    parent = name.rpartition(".")[0]
    try:
        if not parent or hasattr(sys.modules.get(parent), "__path__"):
            return importlib.util.find_spec(name)
        above = _spec(parent)
        places = above.submodule_search_locations if above is not None else None
        return PathFinder.find_spec(name, places) if places else None
    except (ImportError, ValueError):
        return None


def _imports(file: Path, name: str) -> list[str]:
    """Return the names of modules, and of what is taken from them, in the import statements of a file."""
    if file.suffix != ".py":
        return []
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return []
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    names = []
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            try:
                base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            except ImportError:
                continue
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return names


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield all statements in the text of a node; expressions, the most of a tree, hold none."""
    for name in ("body", "handlers", "orelse", "finalbody", "cases"):
        children = getattr(node, name, ())
        for child in children if isinstance(children, list) else ():
            yield child
            yield from _statements(child)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class _Source:
    """A loaded module beside its file."""

    _seen: dict[str, tuple[Any, str]] = {}  # noqa: RUF012  the spec changes when a module is reloaded

    def __init__(self, module: ModuleType) -> None:
        self.module = module
        self.file = Path(getattr(module, "__file__", None) or "")
        if not self.file.is_file():
            raise _NoFileError
        self.content = self.file.read_bytes()

    def checked(self) -> str:
        """Return the SHA-256 of the file if it is what was imported."""
        name, spec, sha256 = self.module.__name__, self.module.__spec__, _sha256(self.content)
        seen = self._seen.get(name)
        known = seen is not None and seen[0] is spec
        if seen is not None and known and seen[1] != sha256:
            raise self._edited()
        if self.file.suffix == ".py":
            if type(getattr(self.module, "__loader__", None)) is not SourceFileLoader:
                raise _NoFileError  # a loader that rewrites what it reads, such as pytest's
            if not known:
                self._compare_bytecode()
            self.check(v for v in list(vars(self.module).values()) if getattr(v, "__module__", None) == name)
        self._seen[name] = spec, sha256
        return sha256

    @cached_property
    def compiled(self) -> CodeType:
        try:
            return compile(self.content, str(self.file), "exec", dont_inherit=True)
        except (SyntaxError, ValueError):
            raise self._edited() from None

    def check(self, objects: Iterable[Any]) -> None:
        """Check that the functions and classes of this module in memory are those of its file."""
        if self.file.suffix != ".py":
            return
        known = set(_nested(self.compiled))
        for code in {code for item in objects for code in _codes(item)}:
            if Path(code.co_filename) == self.file or code.co_filename == str(self.module.__file__):
                if code not in known:
                    raise self._edited()
            elif not (code.co_filename == "<string>" or Path(code.co_filename).is_file()):
                raise _NoFileError  # a method that was replaced from a notebook; "<string>" are generated ones

    def _compare_bytecode(self) -> None:
        """Compare with the bytecode that the import has left, which holds constants as well."""
        cached = getattr(self.module.__spec__, "cached", None)
        if cached is None or sys.dont_write_bytecode or not os.access(Path(cached).parent, os.W_OK):
            return
        try:
            content = Path(cached).read_bytes()
            imported = marshal.loads(content[16:])
        except (OSError, EOFError, ValueError, TypeError):
            return
        if imported == self.compiled:
            return
        stat = self.file.stat()
        if content[8:16] == struct.pack("<LL", int(stat.st_mtime) & 0xFFFFFFFF, stat.st_size & 0xFFFFFFFF):
            raise UsageError(
                f"{self.file} was edited in the second in which Python compiled it, and Python keeps to the earlier "
                "text; save the file again"
            )
        raise self._edited()

    def _edited(self) -> UsageError:
        return UsageError(
            f"{self.file} was edited after it was imported, so that what would be fitted is not what the file says; "
            "restart Python (in a notebook: the kernel), or reload the module with importlib.reload"
        )


def _nested(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _nested(constant)


def _codes(item: Any) -> Iterator[CodeType]:
    """Yield the code of a function, also under decorators, or of all functions in the body of a class."""
    if isinstance(item, type):
        for value in list(vars(item).values()):
            if not isinstance(value, type) or value.__qualname__.startswith(f"{item.__qualname__}."):
                yield from _codes(value)
        return
    for name in ("__func__", "__wrapped__", "fget", "fset", "fdel", "func", "py_func"):
        inner = getattr(item, name, None)
        if inner is not None and inner is not item and isinstance(inner, FunctionType | type):
            yield from _codes(inner)
    if isinstance(item, FunctionType):
        yield item.__code__
