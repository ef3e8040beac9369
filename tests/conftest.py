"""Fixtures every test can use."""

import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from platformdirs import user_cache_dir

from somb_utils import cli
from somb_utils.tables.registry import HUMAN, open_folder, registry

# The same examples on every machine and in every run; `make explore` draws other ones, ten times as many.
# A busy machine makes any example slow; slowness is not what these tests are about.
settings.register_profile("somb", deadline=None, derandomize=True, database=None)
settings.register_profile("nightly", deadline=None, max_examples=1000, print_blob=True)
settings.load_profile("somb")

gc.set_threshold(100_000, 50, 50)  # as the command line does
os.fsync = lambda fd: None  # no test cuts the power; that files are synced has a test of its own

# A shell that starts the tests in the background has SIGINT ignored, which children inherit; Ctrl-C is tested here.
signal.signal(signal.SIGINT, signal.default_int_handler)

Command = Callable[..., tuple[int, str, str]]
ROOT = Path(__file__).parent.parent

# A worker takes a file at a time. The longest come first, so that both workers end together; the audit and the
# leaderboard come after the categories, whose fitted folds they read.
LONGEST = [
    "F_microbiome", "E_spatial", "J_missions", "I_cross_mission", "B_cfrna", "G_multimodal", "A_clinical",
    "C_proteomics", "D_metabolomics", "H_cross_tissue", "test_submission", "test_evaluate", "test_engine",
    "leaderboard", "audit", "test_cluster", "test_cli", "test_day", "test_reuse", "test_published", "test_strong",
    "test_audit_findings", "test_features", "test_workers", "test_controls", "test_power", "test_book", "test_tiers",
    "test_exam", "test_panel", "test_run", "test_raw_fold", "test_own", "test_query",
]  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first."""
    order = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.stem, len(order)))


@pytest.fixture(autouse=True)
def _figures_of_open_tables() -> Iterator[None]:
    """Undo what a notebook's session sets in its process, so that no order of the files matters."""
    yield
    if style := sys.modules.get("somb_utils.plots.style"):
        style.mark_figures("open")


@pytest.fixture(scope="session")
def open_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder whose ``processed`` holds the real tables; skips where there are none.

    It is ``SOMB_OPEN_DATA``, else ``../shared/open-data``, else one that leads to what ``somb data fetch`` has fetched.
    """
    published = Path(os.environ.get("SOMB_OPEN_DATA") or ROOT.parent / "shared" / "open-data")
    if (published / "processed").is_dir():
        return published
    caches = (os.environ.get("SOMB_FETCHED"), os.environ.get("SOMB_CACHE"), user_cache_dir("spaceomicsbench"))
    needed = [table.file for table in registry().values() if table.tasks and table.repository == HUMAN]
    for fetched in (Path(cache) / "open" / open_folder().name for cache in caches if cache):
        if all((fetched / file).is_file() for file in needed):
            folder = tmp_path_factory.mktemp("open-data")
            (folder / "processed").symlink_to(fetched.absolute(), target_is_directory=True)
            return folder
    pytest.skip(f"no real tables: somb data fetch gets them, or SOMB_OPEN_DATA names their folder (not {published})")


@pytest.fixture(scope="session")
def mouse_data() -> Path:
    """Folder of the real tables of mouse missions, as their repository has them; skips where there are none.

    It is ``SOMB_MOUSE_DATA``, else ``../shared/open-data-mouse``.
    """
    published = Path(os.environ.get("SOMB_MOUSE_DATA") or ROOT.parent / "shared" / "open-data-mouse")
    if not (published / "processed" / "pathway_scores").is_dir():
        pytest.skip(f"no real tables of mouse missions: SOMB_MOUSE_DATA names their folder (not {published})")
    return published


@pytest.fixture(scope="session")
def published_files(open_data: Path) -> Path:
    """Folder of all published files, with the definitions, splits and reference scores; skips with the tables alone."""
    if not (open_data / "MANIFEST.csv").is_file():
        pytest.skip("the published definitions, splits and scores are not fetched with the tables: set SOMB_OPEN_DATA")
    return open_data


@pytest.fixture
def no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read Parquet files from elsewhere in this process, for what is about their content and not about the reading."""
    from parquet_here import read_here

    monkeypatch.setattr("somb_utils.predictions.parquet_form._read_apart", read_here)


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """Run ``somb`` in an empty folder; return exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SOMB_DATA", raising=False)
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "helpers"))

    def call(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["somb", *map(str, words)])
        try:
            cli.main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return code, captured.out, captured.err

    return call
