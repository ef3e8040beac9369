"""The environment, the lock and the wheel agree with pyproject.toml."""

import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parent.parent


def pinned_lines() -> list[str]:
    """Return the lock's requirements without their hashes."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8").replace("\\\n", "")
    lines = text.splitlines()
    assert lines and all(re.search(r" --hash=sha256:[0-9a-f]{64}( |$)", line) for line in lines)
    return [line.partition(" --hash=")[0].strip() for line in lines]


def locked() -> dict[str, list[Requirement]]:
    pins: dict[str, list[Requirement]] = {}
    for line in pinned_lines():
        pin = Requirement(line)
        pins.setdefault(re.sub(r"[-_.]+", "-", pin.name).lower(), []).append(pin)
    return pins


def test_the_lock_pins_every_requirement_within_its_bounds() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = dict(project["optional-dependencies"])
    listed = re.search(r"^LOCKED := .*foreach extra,([^,]+),", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert listed and {*listed[1].split(), "local-llm"} == extras.keys(), "make lock leaves an extra out"
    del extras["local-llm"]  # what serves a model on this machine is needed by no other command
    groups = [project["dependencies"], *extras.values()]
    pins = locked()
    for requirement in (Requirement(text) for group in groups for text in group):
        found = pins.get(re.sub(r"[-_.]+", "-", requirement.name).lower())
        assert found, f"{requirement.name} is not in requirements.lock; run make lock"
        for pin in found:
            (version,) = pin.specifier
            assert version.operator == "==" and requirement.specifier.contains(version.version), str(pin)


def test_environment_yml_holds_the_lock_and_the_package() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    *conda, pip = environment["dependencies"]
    assert conda == ["python=3.11", "pip"]
    assert pip["pip"] == [*pinned_lines(), "--editable ."], "run make environment.yml"


def test_the_lock_holds_no_setuptools_with_known_faults() -> None:
    (setuptools,) = locked()["setuptools"]
    assert SpecifierSet(">=78.1.1").contains(next(iter(setuptools.specifier)).version)


@pytest.mark.parametrize("file", sorted((ROOT / ".github" / "workflows").glob("*.yml")), ids=lambda file: file.name)
def test_workflows_use_actions_by_commit_and_keep_no_credentials(file: Path) -> None:
    workflow = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    used = [step for job in workflow["jobs"].values() for step in job["steps"] if "uses" in step]
    for step in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step["uses"]), step["uses"]
        if step["uses"].startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False
    assert used


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that holds the content of the wheel that the sdist gives, and nothing of the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(folder / "site")
    return folder / "site"


def test_an_installed_wheel_runs_outside_the_checkout(installed: Path, tmp_path: Path) -> None:
    program = (
        f"import sys; sys.path.insert(0, {str(installed)!r}); sys.argv = ['somb', *sys.argv[1:]]; "
        "import somb_utils; print(somb_utils.__file__); from somb_utils.cli import main; main()"
    )
    words = ["run", "--tasks", "A1", "--models", "majority", "--data", "simulated", "--jobs", "1", "--format", "csv"]
    done = subprocess.run(
        [sys.executable, "-c", program, *words], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(str(installed)) and "A1,rigorous,majority,simulated,macro_auroc" in done.stdout


def test_the_wheel_holds_every_file_of_the_package_and_its_data(installed: Path) -> None:
    def files(folder: Path) -> set[str]:
        found = (file for file in folder.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
        return {file.relative_to(folder).as_posix() for file in found}

    package = files(ROOT / "somb_utils") | {f"data/{name}" for name in files(ROOT / "data")}
    assert files(installed / "somb_utils") == package and {"py.typed", "data/tables.csv"} <= package


def test_the_sdist_holds_what_make_test_needs(installed: Path) -> None:
    with tarfile.open(next(installed.parent.glob("*.tar.gz"))) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    roots = {"Makefile", "requirements.lock", "environment.yml", "_toc.yml", "_config.yml", "CITATION.cff", "eval.yaml"}
    pages = {"book/index.md", "book/_static/chance.svg", "notebooks/leaderboard.ipynb", "examples/README.md"}
    assert roots | pages | {"tests/conftest.py", "leaderboard/README.md"} <= names


def test_repo2docker_accepts_the_repository() -> None:
    if (program := shutil.which("repo2docker")) is None:
        pytest.skip("repo2docker is not installed: pip install jupyter-repo2docker")
    command = [program, "--no-build", "--debug", str(ROOT)]
    made = subprocess.run(command, capture_output=True, text=True, check=True)
    assert '--file "environment.yml"' in made.stdout + made.stderr


def test_extras_are_named_by_what_they_are_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    libraries = {Requirement(text).name.lower() for group in extras.values() for text in group}
    assert extras and not libraries & set(extras)


def test_the_release_publishes_what_was_built_without_a_password() -> None:
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
    workflow = yaml.safe_load(text)
    build, publish = workflow["jobs"]["build"], workflow["jobs"]["publish"]
    assert "permissions" not in build and publish["permissions"]["id-token"] == "write"
    used = [step["uses"].partition("@")[0] for step in publish["steps"]]
    assert used == ["actions/download-artifact", "actions/attest-build-provenance", "pypa/gh-action-pypi-publish"]
    assert "secrets." not in text and "password" not in yaml.safe_dump(workflow["jobs"]["publish"]["steps"][-1])


def test_importing_the_package_loads_no_heavy_library() -> None:
    heavy = "numpy pandas sklearn xgboost lightgbm matplotlib inspect_ai"
    program = f"import sys, somb_utils, somb_utils.cli; print(*[m for m in {heavy.split()!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
