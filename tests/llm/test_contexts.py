"""The contexts: what the tables give, drift noticed, the ground truth kept from the answering model."""

import re
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from somb_utils.errors import SombError, UsageError
from somb_utils.llm.bank import contexts
from somb_utils.llm.bank import questions as bank
from somb_utils.llm.bank.operations import Loader
from somb_utils.llm.commands import app

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A single context of two figures, rendered from a table of three rows."""
    monkeypatch.setattr(contexts, "NAMES", ("tiny",))
    templates = tmp_path / "templates"
    templates.mkdir()
    (templates / "tiny.md").write_text(
        "# Tiny\n{{op: count, table: t}} rows, mean {{op: mean, table: t, column: x | .1f}}.\nProse.\n"
    )
    (tmp_path / "tiny.md").write_text(contexts.render(tables(1.0, 2.0, 6.0), templates)["tiny"])
    return tmp_path, templates


def tables(*values: float) -> Loader:
    return {"t": pd.DataFrame({"x": values})}.__getitem__


def test_a_figure_is_computed_and_formatted(folders: tuple[Path, Path]) -> None:
    assert (folders[0] / "tiny.md").read_text() == "# Tiny\n3 rows, mean 3.0.\nProse.\n"
    assert contexts.figure("op: count, table: t", tables(*range(1200))) == "1,200"
    assert contexts.figure("op: values, table: t, column: x", tables(2.0, 1.0)) == "1.0, 2.0"


def test_no_drift_is_found_where_there_is_none(folders: tuple[Path, Path]) -> None:
    assert contexts.check(tables(1.0, 2.0, 6.0), *folders) == []


def test_a_changed_table_is_caught(folders: tuple[Path, Path]) -> None:
    (drift,) = contexts.check(tables(1.0, 2.0, 9.0), *folders)
    assert (drift.place, drift.committed, drift.computed) == ("tiny.md:2", "3.0", "4.0")
    assert "mean" in drift.figure


def test_a_changed_number_is_caught(folders: tuple[Path, Path]) -> None:
    path = folders[0] / "tiny.md"
    path.write_text(path.read_text().replace("3 rows", "30 rows"))
    (drift,) = contexts.check(tables(1.0, 2.0, 6.0), *folders)
    assert (drift.committed, drift.computed) == ("30", "3")


@pytest.mark.parametrize(
    "edit", [("Prose", "Verse"), ("rows", "lines"), ("Prose.\n", "Prose.\nMore.\n"), ("# Tiny\n", "")]
)
def test_changed_prose_is_caught(folders: tuple[Path, Path], edit: tuple[str, str]) -> None:
    path = folders[0] / "tiny.md"
    path.write_text(path.read_text().replace(*edit))
    assert contexts.check(tables(1.0, 2.0, 6.0), *folders)


def test_a_missing_text_is_caught(folders: tuple[Path, Path]) -> None:
    (folders[0] / "tiny.md").unlink()
    assert contexts.check(tables(1.0, 2.0, 6.0), *folders)


@pytest.mark.parametrize(
    "text", ["op: count", "op: sing, table: t", "count", "op: mean, table: t, column: x | zz", "[:"]
)
def test_a_bad_figure_is_named(text: str) -> None:
    with pytest.raises(SombError, match=re.escape(text)):
        contexts.figure(text, tables(1.0))


def test_the_committed_contexts_hold_on_the_open_tables(load_open: Loader) -> None:
    drifts = contexts.check(load_open)
    assert not drifts, "\n".join(map(str, drifts))


def test_a_changed_open_table_is_caught(load_open: Loader) -> None:
    @cache
    def load(name: str) -> pd.DataFrame:
        frame = load_open(name)
        return pd.concat([frame, frame.iloc[:2]]) if name == "microbiome_metadata" else frame

    assert {d.place.split(":")[0] for d in contexts.check(load)} >= {"overview.md", "microbiome.md", "ground_truth.md"}


def test_the_command_renders_and_checks(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contexts, "FOLDER", folders[0])
    monkeypatch.setattr(contexts, "TEMPLATES", folders[1])
    monkeypatch.setattr(contexts, "open_loader", lambda data: tables(1.0, 2.0, 9.0))
    failed = CliRunner().invoke(app, ["contexts", "--check"])
    assert isinstance(failed.exception, SombError)
    assert failed.exception.exit_code == 1
    assert "tiny.md:2" in failed.output
    assert CliRunner().invoke(app, ["contexts"]).exit_code == 0
    assert "mean 4.0" in (folders[0] / "tiny.md").read_text()
    assert CliRunner().invoke(app, ["contexts", "--check"]).exit_code == 0


def test_without_real_tables_the_command_says_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOMB_DATA", raising=False)
    monkeypatch.setenv("SOMB_CACHE", str(tmp_path))
    with pytest.raises(UsageError, match="somb data fetch"):
        contexts.open_loader()
    with pytest.raises(UsageError, match="Simulated"):
        contexts.open_loader("simulated")


@pytest.mark.parametrize("name", contexts.NAMES)
def test_each_context_is_short_and_free_of_template_marks(name: str) -> None:
    text = (contexts.FOLDER / f"{name}.md").read_text(encoding="utf-8")
    assert len(text.split()) < (2500 if name == bank.GROUND_TRUTH else 900)
    assert "{{" not in text and "nan" not in text.split()


@pytest.mark.parametrize("name", contexts.NAMES)
def test_each_citation_is_in_the_bibliography(name: str) -> None:
    keys = set(re.findall(r"@\w+\{([^,\s]+)", (ROOT / "book" / "references.bib").read_text(encoding="utf-8")))
    assert set(re.findall(r"\[@([^\]]+)\]", contexts.template(name))) <= keys


def test_the_ground_truth_is_never_shown_with_a_question() -> None:
    assert bank.GROUND_TRUTH not in bank.CONTEXTS
    assert all(bank.GROUND_TRUTH not in q.contexts for q in bank.load_bank())
