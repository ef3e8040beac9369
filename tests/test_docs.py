"""The examples in docstrings run, and the README's tables follow from the canonical run."""

import doctest
import re
import shutil
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from pkgutil import walk_packages

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import Command

import somb_utils as somb
from somb_utils.address import declared
from somb_utils.cli.readme import filled, parts
from somb_utils.errors import UsageError
from somb_utils.reference import canonical
from somb_utils.tasks.definitions import PROTOCOLS

README = Path(__file__).parent.parent / "README.md"


def test_a_frame_of_30_rows_becomes_a_figure_in_five_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (README.parent / "book" / "your_data.md").read_text(encoding="utf-8")
    code = text.partition("```python\n")[2].partition("```")[0]
    assert len([line for line in code.splitlines() if line]) == 5
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(30, 4)), [f"s{i}" for i in range(30)], ["iron", "zinc", "copper", "lead"])
    frame = frame.assign(condition=["ground", "flight"] * 15, person=np.repeat(list("abcde"), 6))
    frame.rename_axis("sample").to_csv(tmp_path / "mine.csv")
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    assert (tmp_path / "mine.png").read_bytes()[:4] == b"\x89PNG"


def with_examples() -> list[str]:
    names = [module.name for module in walk_packages(somb.__path__, "somb_utils.")]
    return ["somb_utils", *(name for name in names if ">>> " in Path(str(find_spec(name).origin)).read_text("utf-8"))]


@pytest.mark.parametrize("name", with_examples())
def test_docstring_examples_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = doctest.testmod(import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert found.attempted > 0 and found.failed == 0


@pytest.mark.parametrize("name", ["README.md", "CITATION.cff", "eval.yaml"])
def test_generated_parts_follow_from_the_canonical_run_and_the_address(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SOMB_REPOSITORY", raising=False)
    text = (README.parent / name).read_text(encoding="utf-8")
    assert filled(name, text, parts()[name]) == text, "run: somb readme --update"


def test_every_file_names_the_address_once_it_is_set_and_none_before(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in parts():
        shutil.copy(README.parent / name, tmp_path)
    monkeypatch.setenv("SOMB_REPOSITORY", "")
    command("readme", "--update")
    before = {name: (tmp_path / name).read_text(encoding="utf-8") for name in parts()}
    needs_one = re.compile("git clone|mybinder|actions/workflows|repository[-_]|0{40}")
    assert not [name for name, text in before.items() if needs_one.search(text)]
    monkeypatch.setenv("SOMB_REPOSITORY", "https://github.com/someone/bench")
    assert command("readme")[0] == 1
    assert command("readme", "--update")[0] == command("readme")[0] == 0
    after = {name: (tmp_path / name).read_text(encoding="utf-8") for name in parts()}
    assert "git clone https://github.com/someone/bench && cd bench" in after["README.md"]
    assert "https://github.com/someone/bench/actions/workflows/tests.yml/badge.svg" in after["README.md"]
    assert yaml.safe_load(after["CITATION.cff"])["repository-code"] == "https://github.com/someone/bench"
    listing = yaml.safe_load(after["eval.yaml"])
    assert listing["source"] == {"repository_url": "https://github.com/someone/bench"}
    assert listing["contributors"] == ["someone"]


def test_no_file_sends_readers_to_a_clone_of_another_repository() -> None:
    root = README.parent
    files = [*root.glob("*.md"), *root.glob("*.y*ml"), *root.glob("book/*.md"), *root.glob("notebooks/*.md")]
    texts = {file: file.read_text(encoding="utf-8") for file in [*files, *root.glob(".github/**/*.*")]}
    needs_one = re.compile(r"git clone (https\S+)|git\+(https\S+)|mybinder\.org/v2/gh/(\S+)|(\S+/security/advisories)")
    found = {match[0] for text in texts.values() for match in needs_one.finditer(text)}
    own = declared().removeprefix("https://github.com/")
    assert not [command for command in found if not own or own not in command]


def test_command_names_a_folder_that_is_no_checkout(command: Command) -> None:
    code, _, said = command("readme")
    assert code == 2 and "README.md does not exist" in said and "--folder" in said


def test_canonical_scores_are_real_and_complete() -> None:
    scores = canonical.canonical_scores()
    assert set(scores["source"]) == {"open"} and set(scores["protocol"]) == set(PROTOCOLS)
    assert scores["failed"].eq(0).all() and scores["task"].nunique() == 17


def test_canonical_scores_come_out_of_the_tables(open_data: Path) -> None:
    stored = canonical.canonical_scores()
    for protocol in PROTOCOLS:
        result = somb.run("A1,C2,F4,G1,H1", ["majority", "logreg"], protocol=protocol, source=open_data / "processed")
        both = result.summary().merge(stored, on=["task", "protocol", "model"], suffixes=("", "_stored"))
        assert len(both) == 10
        pd.testing.assert_series_equal(both["mean"], both["mean_stored"], atol=1e-6, check_names=False)
        pd.testing.assert_series_equal(both["chance"], both["chance_stored"], atol=1e-6, check_names=False)


def test_simulated_runs_never_become_canonical(tmp_path: Path) -> None:
    somb.run("A1", "majority", source="simulated", out=tmp_path, n_jobs=1)
    with pytest.raises(UsageError, match="only real ones are canonical"):
        canonical.store([tmp_path])
