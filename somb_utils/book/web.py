"""What pages offer the outside: commands and buttons that need the public address, descriptions, a sitemap."""

import html
from collections.abc import Callable, Iterable
from typing import Any

from somb_utils.address import published

BRANCH = "main"


def clone(address: str) -> str:
    """Return the commands that fetch the project or, without an address, where the ones after it are run."""
    commands = f"```sh\ngit clone {address} && cd {address.rpartition('/')[2]}\n```"
    return commands if address else "In the folder of this project:"


def launch(address: str) -> str:
    """Return how to try a notebook without installing anything, which needs a public repository."""
    said = f"""To try a notebook without installing anything, click the rocket icon above it. Binder has the pinned
versions; in Colab, a first cell must install the package:

```sh
!pip install "somb-utils[book] @ git+{address}"
```

Then restart the session (*Runtime → Restart session*) before the next cell: Colab has already loaded other versions."""
    return said if address else ""


MARKERS: dict[str, Callable[[], str]] = {"clone": lambda: clone(published()), "launch": lambda: launch(published())}


def badges(address: str) -> str:
    """Return the README's row of badges; those of workflows and pages need the repository."""
    row, shield = [], "https://img.shields.io/badge"
    if address:
        tests, name = f"{address}/actions/workflows/tests.yml", address.removeprefix("https://github.com/")
        row.append(("Tests", f"{tests}/badge.svg?branch={BRANCH}", tests))
        row.append(("Book", f"{shield}/book-online-D55E00", site(address)))
        row.append(("Binder", "https://mybinder.org/badge_logo.svg", f"https://mybinder.org/v2/gh/{name}/{BRANCH}"))
    row.append(("Python 3.11 or newer", f"{shield}/python-3.11%2B-0072B2", "pyproject.toml"))
    row.append(("Code: MIT", f"{shield}/code-MIT-009E73", "LICENSE"))
    row.append(("Tables: CC BY-NC 4.0 and CC BY 4.0", f"{shield}/tables-CC_BY--NC_4.0-E69F00", "#licence"))
    return "\n".join(f"[![{name}]({picture})]({link})" for name, picture, link in row)


def site(address: str) -> str:
    """Return the address of the book that the repository's workflow publishes on GitHub Pages."""
    owner, name = address.split("/")[-2:]
    return f"https://{owner.lower()}.github.io/{name}/"


def buttons(address: str) -> dict[str, Any]:
    """Return the options of the theme that draw buttons to the public repository, Binder and Colab."""
    launchers = {"binderhub_url": "https://mybinder.org", "colab_url": "https://colab.research.google.com"}
    return {
        "repository_url": address,
        "repository_branch": BRANCH,
        "use_repository_button": True,
        "use_issues_button": True,
        "launch_buttons": {"notebook_interface": "jupyterlab", **launchers},
    }


def meta_tags(page: str, title: str, doctree: Any, site: str) -> str:
    """Return what a search engine or a message shows of a page: title, first paragraph and, with a site, the card."""
    paragraphs = (node.astext() for node in doctree.findall(lambda node: node.tagname == "paragraph"))
    words = " ".join(next(paragraphs, "").split()).removeprefix("Question. ")
    text = words if len(words) <= 200 else words[:200].rsplit(" ", 1)[0] + " …"
    tags = {"og:type": "website", "og:site_name": "SpaceOmicsBench", "og:title": title, "og:description": text}
    if site:
        tags |= {"og:url": f"{site}{page}.html", "og:image": f"{site}_static/card.png"}
    lines = [f'<meta property="{key}" content="{html.escape(value)}">' for key, value in tags.items()]
    return "\n".join([f'<meta name="description" content="{html.escape(text)}">', *lines])


def sitemap(pages: Iterable[str], site: str) -> str:
    """Return the list of pages that search engines read."""
    places = (f"<url><loc>{html.escape(site + page)}.html</loc></url>\n" for page in sorted(pages))
    return f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n{"".join(places)}</urlset>\n'
