"""The book's generated pages, the leaderboard's content, and how a build fails."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

import somb_utils as somb
from somb_utils.book import build as book
from somb_utils.book import extension as pages
from somb_utils.cli.book import book as book_command
from somb_utils.errors import SombError, UsageError
from somb_utils.leaderboard import board as leaderboard
from somb_utils.notebook.parameters import check
from somb_utils.runs.results import RunResult
from somb_utils.runs.runner import run
from somb_utils.tables.registry import registry
from somb_utils.tasks.definitions import catalogue

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def simulated() -> RunResult:
    return run("A1,A2", ["random", "majority", "logreg"], source="simulated", n_jobs=1)


def board(result: RunResult) -> leaderboard.Board:
    return leaderboard.Board(result, n_bootstrap=20)


def relabelled(result: RunResult, kind: str) -> RunResult:
    return RunResult(result.results.assign(source=kind), result.predictions, {**result.provenance, "source": kind})


def test_every_page_and_notebook_is_in_the_table_of_contents() -> None:
    have = {f"book/{file.stem}" for file in (ROOT / "book").glob("*.md")}
    have |= {f"notebooks/{file.stem}" for file in (ROOT / "notebooks").glob("*.md")}
    assert have == set(book.chapters())


def test_catalogue_page_describes_every_task_once() -> None:
    text = pages.task_pages()
    for task in catalogue().values():
        assert text.count(f"(task-{task.id.lower()})=") == 1
        assert task.question in text
        for table in task.tables:
            assert f"#table-{table.lower().replace('_', '-')}" in text


def test_provenance_page_has_every_table_with_paper_and_licence() -> None:
    text = pages.table_pages()
    references = (ROOT / "book" / "references.bib").read_text(encoding="utf-8")
    for table in registry().values():
        row = next(line for line in text.splitlines() if f"`{table.name}`" in line)
        assert table.licence in row and f"`{table.paper}`" in row
        assert f"{{{table.paper}," in references
        assert all(f"[{task}](#task-{task.lower()})" in row for task in table.tasks)


@pytest.mark.parametrize("name", ["tasks", "data"])
def test_markers_of_the_pages_are_all_filled(name: str) -> None:
    text = (ROOT / "book" / f"{name}.md").read_text(encoding="utf-8")
    assert "<!-- somb:" in text
    assert "<!-- somb:" not in pages.fill(text)


def test_every_citation_is_in_the_bibliography() -> None:
    known = set(re.findall(r"@\w+\{([^,]+),", (ROOT / "book" / "references.bib").read_text(encoding="utf-8")))
    for file in (ROOT / "book").glob("*.md"):
        for keys in re.findall(r"\{cite:\w\}`([^`]+)`", file.read_text(encoding="utf-8")):
            assert set(keys.split(",")) <= known, file


def test_banner_says_which_data_the_book_shows() -> None:
    assert "SIMULATED DATA" in pages.banner("simulated")
    assert "SIMULATED" not in pages.banner("open").upper()


def test_api_reference_lists_every_public_name() -> None:
    rooms = {"somb_utils": somb, "somb_utils.stats": somb.stats, "somb_utils.plots": somb.plots}
    text = (ROOT / "book" / "api.md").read_text(encoding="utf-8")
    entry = re.compile(r"currentmodule:: (\S+)|auto(?:class|data|exception|function):: (\S+)")
    listed, module = set(), ""
    for found in entry.finditer(text):
        module = found[1] or module
        if found[2]:
            listed.add(f"{module}.{found[2]}")
    assert {f"{room}.{name}" for room, content in rooms.items() for name in content.__all__} <= (listed | set(rooms))


def test_commands_in_the_pages_exist() -> None:
    from typer.testing import CliRunner

    from somb_utils.cli import app

    found = set()
    for file in (ROOT / "book").glob("*.md"):
        found |= set(
            re.findall(
                r"^(?:\.venv/bin/)?somb ((?:data |llm |task |export |submit )?[a-z-]+)",
                file.read_text("utf-8"),
                re.MULTILINE,
            )
        )
    assert len(found) > 5
    for command in found:
        assert CliRunner().invoke(app, [*command.split(), "--help"]).exit_code == 0, command


def test_simulated_leaderboard_holds_no_real_score(simulated: RunResult) -> None:
    data = board(simulated).document()
    assert [source["id"] for source in data["sources"]] == ["run"]
    assert data["sources"][0]["badge"] == "SIMULATED DATA"


def test_real_leaderboard_offers_published_scores_as_a_labelled_second_source(simulated: RunResult) -> None:
    data = board(relabelled(simulated, "open")).document()
    published = next(source for source in data["sources"] if source["id"] == "published")
    assert "published" in published["label"].lower() and published["kind"] == "published"
    assert {"A1", "I3"} <= {row["task"] for row in published["rows"]}
    assert published["composite"] == []  # against one random draw: does not compare


def test_leaderboard_rows_agree_with_the_summary(simulated: RunResult) -> None:
    made = board(simulated)
    rows = pd.DataFrame(made.document()["sources"][0]["rows"]).set_index(["task", "model", "metric"])
    for row in made.summary.itertuples():
        shown = rows.loc[(row.task, row.model, row.metric)]
        assert shown["mean"] == pytest.approx(row.mean, abs=1e-5)
        assert shown["sd"] == pytest.approx(row.sd, abs=1e-5)
        assert shown["chance"] == pytest.approx(row.chance, abs=1e-5)
        assert shown["low"] <= shown["high"]
    assert not rows.index.get_level_values("metric").str.contains("[", regex=False).any()


def test_leaderboard_page_is_one_piece_that_needs_no_other_host(simulated: RunResult) -> None:
    data = board(simulated).document()
    data["tasks"]["rigorous"]["A1"]["name"] = "</script><b>A & B</b>"
    text = leaderboard.html(data)
    assert not re.search(r"(src|href)=[\"']?(https?:)?//|@import|fetch\(", text)
    embedded = re.search(r'<script type="application/json">(.*?)</script>', text, re.DOTALL)
    assert embedded and json.loads(embedded[1])["tasks"]["rigorous"]["A1"]["name"] == "</script><b>A & B</b>"


def test_failed_folds_are_counted_and_scores_stay_missing(simulated: RunResult) -> None:
    broken = simulated.results.assign(
        value=simulated.results["value"].mask(simulated.results["model"] == "logreg"),
        status=simulated.results["status"].mask(simulated.results["model"] == "logreg", "failed: no reason"),
    )
    made = board(RunResult(broken, simulated.predictions, simulated.provenance))
    rows = [row for row in made.document()["sources"][0]["rows"] if row["model"] == "logreg"]
    assert all(row["mean"] is None and row["failed"] == 4 for row in rows)


def test_own_models_of_a_run_folder_are_shown(simulated: RunResult) -> None:
    checked = check({"tasks": ["A1"], "models": ["logreg"]})
    mine = leaderboard.select(simulated, checked, any_model=True)
    assert list(dict.fromkeys(mine.results["model"])) == ["logreg", "random", "majority"]
    assert set(mine.results["task"]) == {"A1"}
    with pytest.raises(UsageError, match="no rigorous result of B2"):
        leaderboard.select(simulated, check({"tasks": ["B2"], "models": ["logreg"]}), any_model=True)


def test_run_folder_of_other_data_is_refused(simulated: RunResult, tmp_path: Path) -> None:
    from somb_utils.runs.folder import save

    save(relabelled(simulated, "open"), tmp_path)
    with pytest.raises(UsageError, match="never shown together"):
        leaderboard.collect(check({"tasks": ["A1"], "models": ["logreg"], "source": "simulated", "out": str(tmp_path)}))


# Building ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with two pages and one notebook."""
    import jupytext
    import nbformat

    (tmp_path / "book" / "_static").mkdir(parents=True)
    (tmp_path / "notebooks").mkdir()
    for name in ("somb.css", "logo.svg", "favicon.svg"):
        (tmp_path / "book" / "_static" / name).write_text((ROOT / "book" / "_static" / name).read_text())
    (tmp_path / "book" / "references.bib").write_text((ROOT / "book" / "references.bib").read_text(encoding="utf-8"))
    (tmp_path / "_config.yml").write_text((ROOT / "_config.yml").read_text(encoding="utf-8"))
    (tmp_path / "_toc.yml").write_text(
        "format: jb-book\nroot: book/index\nparts:\n- chapters:\n  - file: book/data\n  - file: book/tasks\n"
        "  - file: book/protocols\n  - file: book/bibliography\n  - file: notebooks/A_small\n"
    )
    (tmp_path / "book" / "index.md").write_text("# Start\n\nWords.\n")
    (tmp_path / "book" / "protocols.md").write_text("# Protocols\n\nWords.\n")
    for name in ("data.md", "tasks.md", "bibliography.md"):
        (tmp_path / "book" / name).write_text((ROOT / "book" / name).read_text(encoding="utf-8"), encoding="utf-8")
    cells = (
        "# %% [markdown]\n# # Small\n# %% tags=['parameters']\nn_jobs = 2\nout = None\n"
        "# %%\nassert n_jobs != 3, 'three'\nprint('jobs:', n_jobs)\n"
    )
    nb = jupytext.reads(cells, "py:percent")
    nb.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    nbformat.write(nb, tmp_path / "notebooks" / "A_small.ipynb")
    monkeypatch.setattr(book, "CHECKOUT", tmp_path)
    monkeypatch.setattr("somb_utils.notebook.files.FOLDER", tmp_path / "notebooks")
    return tmp_path


def test_build_marks_every_page_and_asks_no_other_host(small: Path) -> None:
    said: list[str] = []
    index = book.build("simulated", small / "site", jobs=1, say=said.append)
    assert index == small / "site" / "index.html" and index.is_file()
    assert any("notebook 1 of 1: A_small" in line for line in said)
    for file in ("book/index.html", "book/data.html", "book/tasks.html", "notebooks/A_small.html"):
        text = (small / "site" / file).read_text(encoding="utf-8")
        assert "SIMULATED DATA" in text
        assert not re.search(r"<(script|img|link|iframe)[^>]+(src|href)=\"(https?:)?//", text)
        assert "unpkg" not in text and "mathjax" not in text.lower()
    text = (small / "site" / "notebooks" / "A_small.html").read_text(encoding="utf-8")
    assert "jobs: 1" in text and "out" in text
    for file in (small / "site").rglob("A_small.*"):  # the page and the notebook to download
        assert str(small) not in file.read_text(encoding="utf-8")


def test_failing_notebook_is_named_its_report_kept_and_the_old_site_stays(small: Path) -> None:
    old = small / "site"
    old.mkdir()
    (old / "objects.inv").write_text("")
    (old / "index.html").write_text("old")
    with pytest.raises(SombError, match=r"A_small.*three"):
        book.build("simulated", old, jobs=3, say=lambda line: None)
    assert (old / "index.html").read_text() == "old"
    assert "AssertionError" in (small / "_build" / "reports" / "A_small.ipynb").read_text()


def test_kernel_that_dies_does_not_stop_the_other_notebooks(small: Path) -> None:
    import nbformat

    own = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("import os\nos.kill(os.getpid(), 9)")])
    nbformat.write(own, small / "notebooks" / "A_dies.ipynb")
    toc = (
        (small / "_toc.yml")
        .read_text()
        .replace("  - file: notebooks/", "  - file: notebooks/A_dies\n  - file: notebooks/")
    )
    (small / "_toc.yml").write_text(toc)
    said: list[str] = []
    with pytest.raises(SombError, match=r"A_dies: the kernel died in cell 1 \(import os\)") as failure:
        book.build("simulated", small / "site", jobs=1, say=said.append)
    assert str(small / "_build" / "reports" / "A_dies.ipynb") in str(failure.value)
    assert any("notebook 2 of 2: A_small" in line for line in said) and "A_small" not in str(failure.value)


@pytest.mark.parametrize("place", ["file", "file/site", "/proc/site"])
def test_site_that_cannot_be_written_is_told_before_anything_runs(small: Path, place: str) -> None:
    (small / "file").write_text("")
    said: list[str] = []
    with pytest.raises(SombError, match=r"is not a folder|cannot write"):
        book.build("simulated", small / place, jobs=1, say=said.append)
    assert not said and (small / "file").read_text() == ""


def test_warning_of_the_build_fails_it_and_is_shown(small: Path) -> None:
    toc = "format: jb-book\nroot: book/index\nparts:\n- chapters:\n  - file: book/protocols\n"
    (small / "_toc.yml").write_text(toc)
    (small / "book" / "index.md").write_text("# Start\n\n[](nowhere.md)\n")
    with pytest.raises(SombError, match=r"nowhere\.md"):
        book.build("simulated", small / "site", jobs=1, say=lambda line: None)
    assert not (small / "site").exists()


def test_folder_that_is_no_site_is_not_replaced(small: Path) -> None:
    (small / "precious").mkdir()
    (small / "precious" / "thesis.txt").write_text("words")
    with pytest.raises(UsageError, match="something other than a built book"):
        book.build("simulated", small / "precious")


def test_impossible_number_of_jobs_is_refused() -> None:
    with pytest.raises(UsageError, match="0 jobs"):
        book_command(jobs=0)


# Evaluation of language models ---------------------------------------------------------------------------------------


def test_published_reference_figures_of_the_judges() -> None:
    from somb_utils.llm.report.reference import cross_judge

    table = cross_judge()
    assert table.loc["GPT-4o", "Claude Sonnet 4"] == 3.64
    assert table.loc["Claude Sonnet 4", "GPT-4o"] == 4.76


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"sample": 0}, "at least 1"),
        ({"modality": "astrology"}, "astrology"),
        ({"difficulty": ["easy", "hardest"]}, "hardest"),
        ({"compare": "yes"}, "true or false"),
        ({"judges": 3}, "list of texts"),
    ],
)
def test_impossible_parameters_of_the_evaluation_notebook_are_refused(given: dict[str, object], said: str) -> None:
    from somb_utils.llm.report.notebook import start

    with pytest.raises(UsageError, match=said):
        start([], **given)


def test_published_scored_files_make_a_report(published_files: Path) -> None:
    from somb_utils.llm.report.notebook import start

    files = sorted(str(file) for file in (published_files / "reference" / "llm_scored").glob("*.json"))
    report = start(json.dumps(files), modality="clinical", sample=5)
    assert report.summary is not None and len(report.summary.tables["ranking"])
