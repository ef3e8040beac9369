"""Fixtures every test can use."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine makes any example slow; slowness is not what these tests are about.
settings.register_profile("somb", deadline=None)
settings.load_profile("somb")

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def open_data() -> Path:
    """Published files (``SOMB_OPEN_DATA``, or ``../shared/open-data``); skips where absent."""
    folder = Path(os.environ.get("SOMB_OPEN_DATA") or ROOT.parent / "shared" / "open-data")
    if not (folder / "MANIFEST.csv").is_file():
        pytest.skip(f"the open data are not in {folder}: set SOMB_OPEN_DATA to their folder")
    return folder
