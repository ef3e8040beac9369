"""The built book on loopback, and a real browser that can reach nothing else."""

import os
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import which
from typing import Any

import pytest

from somb_utils.book import build as book
from somb_utils.paths import CHECKOUT


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The book in ``SOMB_BOOK``, or one built from the stored notebooks, which are executed on simulated tables."""
    if given := os.environ.get("SOMB_BOOK"):
        return Path(given)
    tree = tmp_path_factory.mktemp("book")
    book.copy_pages(tree, "simulated")
    for name in book.notebooks():
        shutil.copy(CHECKOUT / "notebooks" / f"{name}.ipynb", tree / "notebooks")
    return book.sphinx(tree)


@pytest.fixture(scope="session")
def address(site: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(scope="module")  # it runs an event loop, in which no later test could start its own
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    refuse = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", refuse]
    with api.sync_playwright() as playwright:
        own = which("chromium") or which("chromium-browser")
        if own is None and not Path(playwright.chromium.executable_path).is_file():
            pytest.skip("no Chromium: apt-get install chromium, or playwright install chromium")
        running = playwright.chromium.launch(executable_path=own, args=arguments)
        yield running
        running.close()


class Watch:
    """Everything a page did wrong: console errors, exceptions, failed requests, requests to another host."""

    def __init__(self, page: Any, address: str) -> None:
        self.faults: list[str] = []
        page.on("console", self.said)
        page.on("pageerror", lambda error: self.faults.append(f"exception: {error}"))
        page.on("requestfailed", self.failed)
        page.on("response", lambda r: self.faults.append(f"{r.status}: {r.url}") if r.status >= 400 else None)
        page.on(
            "request",
            lambda r: (
                self.faults.append(f"another host: {r.url}")
                if not r.url.startswith((address, "data:", "blob:"))
                else None
            ),
        )

    def said(self, message: Any) -> None:
        """Note an error on the console, but for the icon that a browser seeks unasked on the bare first page."""
        url = message.location["url"]
        if message.type == "error" and not url.endswith("/favicon.ico"):
            self.faults.append(f"console: {message.text} {url}")

    def failed(self, request: Any) -> None:
        """Note a failed request, unless the test left the page before it was answered."""
        if request.failure != "net::ERR_ABORTED":
            self.faults.append(f"failed: {request.url} {request.failure}")


@pytest.fixture(scope="module")
def tab(browser: Any, address: str) -> Iterator[tuple[Any, Watch]]:
    """One tab for all tests: to open one costs as much as to load a page, and it keeps scripts compiled."""
    context = browser.new_context(base_url=address)
    opened = context.new_page()
    yield opened, Watch(opened, address)
    context.close()


@pytest.fixture
def page(tab: tuple[Any, Watch]) -> Iterator[Any]:
    """The tab as a new one: wide, light, and without what an earlier test chose on a page."""
    opened, watch = tab
    opened.set_viewport_size({"width": 1400, "height": 1000})
    opened.emulate_media(color_scheme="light")
    watch.faults.clear()
    yield opened
    opened.evaluate("localStorage.clear(); sessionStorage.clear()")
    opened.goto("_static/logo.svg")  # so that the next test loads its page, also where it is this one
    assert not watch.faults
