"""What a notebook's session sets in its process is undone."""

from collections.abc import Iterator

import pytest

from somb_utils.plots import style


@pytest.fixture(autouse=True)
def _figures_of_open_tables() -> Iterator[None]:
    yield
    style.mark_figures("open")
