"""Every page of the built book in a real browser: nothing fails, all is drawn, nothing scrolls sideways."""

import html
import os
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from somb_utils.address import published
from somb_utils.book import build as book
from somb_utils.paths import CHECKOUT

PAGES = [*book.chapters(), "search", "genindex"]
SHOTS = os.environ.get("SOMB_SCREENSHOTS")  # a folder to keep a picture of each page in
LEADERBOARD = "notebooks/leaderboard.html"
LANGUAGE_MODELS = "notebooks/llm_evaluation.html"
LOADED_NARROW = {"notebooks/leaderboard", "notebooks/llm_evaluation"}  # scripts draw these; others only change shape

WIDE_PARTS = """() => {
  const width = document.documentElement.clientWidth;
  return document.documentElement.scrollWidth <= width ? [] : [...document.querySelectorAll('main *')]
    .filter((e) => e.getBoundingClientRect().right > width + 1).slice(0, 5).map((e) => e.outerHTML.slice(0, 120));
}"""
BLANK_IMAGES = "() => [...document.images].filter((i) => !i.complete || !i.naturalWidth).map((i) => i.src)"
EMPTY_TABLES = (
    "() => [...document.querySelectorAll('main table')].filter((t) => !t.rows.length || !t.offsetHeight).length"
)
LUMINANCE = """() => {
  let e = document.querySelector('main'), colour;
  do {
    colour = getComputedStyle(e).backgroundColor;
    e = e.parentElement;
  } while (e && /, 0\\)$|transparent/.test(colour));
  const [r, g, b] = colour.match(/[\\d.]+/g).map(Number);
  return (0.2126 * r + 0.7152 * g + 0.0722 * b) / 255;
}"""


def check(page: Any) -> None:
    assert page.evaluate(WIDE_PARTS) == []
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    page.evaluate("document.querySelectorAll('img').forEach((i) => { i.loading = 'eager'; })")
    page.wait_for_function("[...document.images].every((i) => i.complete)")
    assert page.evaluate(BLANK_IMAGES) == []
    assert page.evaluate(EMPTY_TABLES) == 0
    assert page.locator(".somb-banner").first.is_visible()


def keep(page: Any, name: str, look: str) -> None:
    if SHOTS:
        page.screenshot(path=Path(SHOTS) / f"{name.replace('/', '-')}-{look}.png", full_page=True)


@pytest.mark.parametrize("name", PAGES)
def test_page_is_drawn_at_both_widths_in_both_themes(page: Any, name: str) -> None:
    page.goto(f"{name}.html")
    check(page)
    if name.startswith("notebooks/"):  # no cell of parameters or set-up is open
        shown = [text for text in page.locator(".cell_input").all_inner_texts() if text]
        assert not [text for text in shown if "seed = 42" in text or ".start(" in text]
    assert page.evaluate(LUMINANCE) > 0.8
    keep(page, name, "1400-light")
    page.set_viewport_size({"width": 390, "height": 844})
    page.emulate_media(color_scheme="dark")
    if name in LOADED_NARROW:
        page.reload()
    page.wait_for_function("document.documentElement.dataset.theme === 'dark'")
    check(page)
    assert page.evaluate(LUMINANCE) < 0.2
    keep(page, name, "390-dark")


def test_every_page_of_the_site_is_opened(site: Path) -> None:
    made = {str(file.relative_to(site).with_suffix("")) for file in site.rglob("*.html") if "_static" not in file.parts}
    assert made == {"index", *PAGES}  # the index leads on to the first page


def test_no_page_names_another_host_as_a_source(site: Path) -> None:
    loads = re.compile(
        r"<(?:script|img|iframe|source|video|audio)[^>]+src=[\"'](?:https?:)?//|<link[^>]+href=[\"'](?:https?:)?//"
    )
    styles = re.compile(r"@import\s+[\"'(]*(?:url\()?[\"']?https?:|url\([\"']?https?:")
    allowed = re.compile(r"rel=[\"']canonical")
    for file in site.rglob("*"):
        if file.suffix == ".html":
            found = [m for m in loads.findall(file.read_text(encoding="utf-8")) if not allowed.search(m)]
            assert not found, f"{file}: {found[:3]}"
        if file.suffix == ".css":
            assert not styles.search(file.read_text(encoding="utf-8")), file


def test_every_command_and_button_that_needs_the_repository_names_the_public_one(site: Path) -> None:
    named = re.compile(
        r"git clone (\S+)|git\+(https://[^\s\"']+)|mybinder\.org/v2/gh/([\w-]+/[\w.-]+)/|"
        r"colab\.research\.google\.com/github/([\w-]+/[\w.-]+)/|github\.com/([\w-]+/[\w.-]+)/(?:issues|blob|tree|edit)/"
    )
    own = published().removeprefix("https://github.com/")
    for file in site.rglob("*.html"):
        text = file.read_text(encoding="utf-8")
        text += html.unescape(re.sub("<[^>]+>", "", text))  # code is cut up by its highlighting
        found = {"".join(groups).removeprefix("https://github.com/") for groups in named.findall(text)}
        assert found <= ({own} if own else set()), file
        assert not own or "_sources" in file.parts or f"github.com/{own}" in text, file
    assert (site / "sitemap.xml").is_file() == bool(own)


def test_leaderboard_page_begins_with_the_board(page: Any) -> None:
    page.goto(LEADERBOARD)
    first = page.locator("article .cell").first
    assert first.locator(".somb-lb").count() == 1 and first.bounding_box()["y"] < 400


def test_index_leads_to_the_start_page(page: Any) -> None:
    page.goto("index.html")
    page.wait_for_url("**/book/index.html")
    assert page.locator("h1").first.inner_text().startswith("Start here")


def test_search_finds_a_word_of_the_glossary(page: Any) -> None:
    page.goto("search.html?q=hemoglobin")
    page.wait_for_selector("#search-results ul.search li")
    assert page.locator("#search-results ul.search li a").count() > 0


def test_search_field_opens_from_the_keyboard(page: Any) -> None:
    page.goto("book/tasks.html")
    page.keyboard.press("Control+k")
    page.keyboard.type("prevalence")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html?q=prevalence*")
    page.wait_for_selector("#search-results ul.search li")


@pytest.mark.parametrize("task", ["a1", "i3"])
def test_task_anchor_exists(page: Any, task: str) -> None:
    page.goto(f"book/tasks.html#task-{task}")
    assert page.locator(f"#task-{task}").count() == 1


def scores(page: Any) -> list[float]:
    cells = page.locator(".somb-lb [data-part=tbody] td:nth-child(6)").all_inner_texts()
    return [float(text.rstrip(" *‡")) for text in cells if text != "–"]  # without the marks


ROUNDING = 0.0006  # scores are shown to three places, and to more where all of a task are small


def test_leaderboard_sorts_by_mouse_and_by_keyboard(page: Any) -> None:
    page.goto(LEADERBOARD)
    button = page.locator(".somb-lb th button[data-sort=mean]")
    button.click()
    heading = page.locator(".somb-lb th:has(button[data-sort=mean])")
    assert heading.get_attribute("aria-sort") == "descending"
    assert all(first > second - ROUNDING for first, second in pairwise(scores(page)))
    page.keyboard.press("Enter")  # the focus stays on the heading
    assert heading.get_attribute("aria-sort") == "ascending"
    assert all(first < second + ROUNDING for first, second in pairwise(scores(page)))
    assert "sort=mean%3Aasc" in page.url


def test_leaderboard_filters_and_keeps_them_in_its_address(page: Any) -> None:
    page.goto(LEADERBOARD)
    everything = page.locator(".somb-lb [data-part=tbody] tr").count()
    page.select_option(".somb-lb select[name=tier]", "frontier")
    tiers = set(page.locator(".somb-lb [data-part=tbody] td:nth-child(2)").all_inner_texts())
    assert tiers == {"frontier"}
    page.select_option(".somb-lb select[name=metric]", "auroc")
    assert set(page.locator(".somb-lb [data-part=tbody] td:nth-child(4)").all_inner_texts()) == {"AUROC"}
    kept = page.locator(".somb-lb [data-part=tbody] tr").count()
    page.goto("about:blank")
    page.go_back()
    assert "tier=frontier" in page.url and "metric=auroc" in page.url
    assert page.locator(".somb-lb [data-part=tbody] tr").count() == kept < everything
    page.get_by_role("button", name="Reset").click()
    page.wait_for_function("() => !location.hash")
    assert page.locator(".somb-lb [data-part=tbody] tr").count() == everything
    page.fill(".somb-lb input[name=q]", "no such task")
    assert page.locator(".somb-lb [data-part=tbody] tr").count() == 0
    assert "0 scores" in page.locator(".somb-lb [data-part=count]").inner_text()


def test_leaderboard_opens_the_task_of_a_deep_link(page: Any) -> None:
    page.goto(f"{LEADERBOARD}#task=A1&modality=clinical")
    assert page.locator(".somb-lb .card.chosen").get_attribute("data-card") == "A1"
    assert page.locator(".somb-lb .card").count() == 2
    assert page.evaluate("document.activeElement.dataset.task") == "A1"
    page.keyboard.press("Enter")
    assert page.locator(".somb-lb .card.chosen").count() == 0


def test_leaderboard_controls_are_reached_by_tab_and_show_their_focus(page: Any) -> None:
    page.goto(LEADERBOARD)
    page.locator(".somb-lb select[name=tier]").focus()
    names = []
    for _ in range(4):
        page.keyboard.press("Tab")
        names.append(page.evaluate("document.activeElement.name"))
    assert names == ["modality", "metric", "model", "q"]
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_leaderboard_never_mixes_real_and_simulated_scores(page: Any) -> None:
    page.goto(LEADERBOARD)
    banner = page.locator(".somb-banner").first.get_attribute("class")
    sources = page.locator(".somb-lb select[name=source] option").all_inner_texts()
    badge = page.locator(".somb-lb .lb-source").inner_text()
    if "somb-simulated" in banner:
        assert len(sources) == 1 and badge == "SIMULATED DATA"
    else:
        assert any("published" in text for text in sources) and "SIMULATED" not in badge


def test_leaderboard_of_many_models_draws_a_part_at_a_time(
    browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(CHECKOUT / "benchmarks"))
    import board

    (tmp_path / "board.html").write_text(f"<!doctype html><meta charset=utf-8>{board.page(40)}", encoding="utf-8")
    page = browser.new_page()
    page.goto((tmp_path / "board.html").as_uri())
    rows = page.locator("[data-part=tbody] tr")
    pages = page.locator("[data-part=pages]")
    first = rows.first.inner_text()
    total = int(page.locator("[data-part=count]").inner_text().split()[0])
    assert rows.count() == 100 and total > 40 * 29 and f"1 to 100 of {total:,}" in pages.inner_text()
    seen = 0
    while True:
        seen += rows.count()
        following = pages.get_by_role("button", name="Next")
        if following.is_disabled():
            break
        following.click()
    assert seen == total and rows.first.inner_text() != first
    columns = page.locator("[data-part=heatmap] thead th")
    assert columns.count() == 3 + 30
    page.locator("[name=model]").select_option("† simulated-7")
    assert columns.count() == 3 + 1 and pages.inner_text() == ""
    assert rows.count() == 30 and all("simulated-7" in text for text in rows.all_inner_texts())
    page.close()


def test_figures_of_language_models_follow_the_theme(page: Any) -> None:
    page.goto(LANGUAGE_MODELS)
    plots = page.locator(".somb-llm .plot")
    page.wait_for_function("document.querySelectorAll('.somb-llm .plot .main-svg').length >= 15")
    assert plots.count() >= 5 and all(plot.bounding_box()["height"] > 100 for plot in plots.all())
    colour = "getComputedStyle(document.querySelector('.somb-llm .plot .xtick text, .somb-llm .plot text')).fill"
    light = page.evaluate(colour)
    while page.locator("html").get_attribute("data-theme") != "dark":
        page.locator("button.theme-switch-button:visible").first.click()
    page.wait_for_function(f"{colour} !== '{light}'")


def test_question_explorer_filters_and_opens_from_the_keyboard(page: Any) -> None:
    page.goto(LANGUAGE_MODELS)
    explorer = page.locator("[data-explorer]")
    everything = explorer.locator("[data-part=count]").inner_text()
    explorer.locator("select[data-key=difficulty]").focus()
    page.keyboard.type("exp")
    page.wait_for_function(
        "before => document.querySelector('[data-explorer] [data-part=count]').innerText !== before", arg=everything
    )
    assert all("expert" in tag for tag in explorer.locator(".item .tag:not(.bad)").all_inner_texts())
    explorer.locator(".item summary").first.focus()
    page.keyboard.press("Enter")
    opened = explorer.locator(".item[open]")
    opened.locator(".answer").wait_for()  # filled by an event that comes after the opening
    assert "Question" in opened.inner_text() and "Judge " in opened.inner_text()
    explorer.locator("[data-part=find]").fill("no such words in any answer")
    assert explorer.locator(".item").count() == 0


def test_site_is_small(site: Path) -> None:
    size = sum(file.stat().st_size for file in site.rglob("*") if file.is_file())
    assert size < 40e6
