"""Pages of a project with a public address: buttons, commands, descriptions, card and sitemap.

That pages without one have none of these is tested on the whole book, in ``tests/browser``.
"""

import html
import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import pytest
import yaml

from somb_utils.book import build as book

OWN = "https://github.com/Someone/space-bench"


def built(tree: Path) -> tuple[str, str, Path]:
    """Build a book of a page and a notebook with the settings of the real one; return both pages and the site."""
    book.copy_pages(tree, "simulated")
    (tree / "_toc.yml").write_text(
        yaml.safe_dump({"format": "jb-book", "root": "page", "chapters": [{"file": "cells"}]})
    )
    page = "# A page\n\nIt says *what* <it> measures.\n\n<!-- somb:clone -->\n\n<!-- somb:launch -->\n"
    (tree / "page.md").write_text(page)
    cells = [nbformat.v4.new_markdown_cell("# Cells"), nbformat.v4.new_code_cell("1")]
    spec = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=spec), tree / "cells.ipynb")
    shutil.rmtree(tree / "notebooks")
    site = book.sphinx(tree)
    return *((site / name).read_text(encoding="utf-8") for name in ("page.html", "cells.html")), site


def test_with_an_address_every_place_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOMB_REPOSITORY", OWN)
    page, cells, site = built(tmp_path / "book")
    text = html.unescape(re.sub("<[^>]+>", "", page))
    assert f"git clone {OWN} && cd space-bench" in text and f'"somb-utils[book] @ git+{OWN}"' in text
    assert '<meta name="description" content="It says what &lt;it&gt; measures.">' in page
    assert "https://mybinder.org/v2/gh/Someone/space-bench/main?urlpath=lab/tree/cells.ipynb" in cells
    assert "https://colab.research.google.com/github/Someone/space-bench/blob/main/cells.ipynb" in cells
    assert f'href="{OWN}"' in page and f'href="{OWN}/issues/new' in page
    public = "https://someone.github.io/space-bench/"
    assert f'<meta property="og:image" content="{public}_static/card.png">' in page
    assert (site / "_static" / "card.png").is_file()
    listed = {place.text for place in ElementTree.parse(site / "sitemap.xml").iter() if place.tag.endswith("loc")}
    assert listed == {f"{public}page.html", f"{public}cells.html"}
