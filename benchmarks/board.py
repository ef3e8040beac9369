"""How the leaderboard page opens and filters with many models: their scores are simulated, the page is the real one."""

import tempfile
import time
from datetime import date
from pathlib import Path
from shutil import which

import numpy as np

from somb_utils.leaderboard.entries import Entry, Score
from somb_utils.leaderboard.html import document, html
from somb_utils.leaderboard.model_card import Card
from somb_utils.leaderboard.sources import canonical_sources
from somb_utils.tasks.definitions import PROTOCOLS, catalogue

N_MODELS = 1000
FILTERED = """async (words) => {
  const field = document.querySelector('.somb-lb [name=q]'), start = performance.now();
  field.value = words;
  field.dispatchEvent(new Event('input', { bubbles: true }));
  await new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)));
  return performance.now() - start;
}"""


def page(n_models: int = N_MODELS) -> str:
    """Return the leaderboard of the canonical run and of many simulated submissions, all tasks and folds of each."""
    rng = np.random.default_rng(42)
    listed = [_entry(number, rng) for number in range(n_models)]
    return html(document(list(canonical_sources(listed, PROTOCOLS[:1])), listed))


def _entry(number: int, rng: np.random.Generator) -> Entry:
    name = f"simulated-{number}"
    card = Card.model_construct(
        name=name, authors=("nobody",), licence="none", description="SIMULATED", training_data="none", tuning="none",
        features="none", code=None, url=None,
    )  # fmt: skip
    scores = []
    for task in (task.under(PROTOCOLS[0]) for task in catalogue().values()):
        n_folds = 25 if task.split == "cv5x5" else 5
        for metric in (task.metrics.primary, *task.metrics.secondary):
            values = rng.random(n_folds).round(5).tolist()
            mean = float(np.mean(values))
            scores.append(Score(
                task=task.id, protocol=PROTOCOLS[0], model=name, metric=metric, primary=metric == task.metrics.primary,
                mean=mean, sd=0.1, low=mean - 0.1, high=mean + 0.1, chance=0.5, own_features=False,
                values={str(fold): value for fold, value in enumerate(values)},
            ))  # fmt: skip
    return Entry.model_construct(card=card, sha256="0" * 64, added=date(2026, 1, 1), versions={}, scores=tuple(scores))


def seconds(content: str) -> tuple[float, float]:
    """Return the seconds until a browser has drawn the page, and the longest that a search for tasks takes to draw."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        file = Path(folder, "leaderboard.html")
        file.write_text(f"<!doctype html><meta charset=utf-8><main>{content}</main>", encoding="utf-8")
        own = which("chromium") or which("chromium-browser")
        tab = playwright.chromium.launch(executable_path=own, args=["--no-sandbox", "--disable-gpu"]).new_page()
        started = time.perf_counter()
        tab.goto(file.as_uri())
        tab.locator(".somb-lb [data-page]").first.wait_for()
        opened = time.perf_counter() - started
        return opened, max(tab.evaluate(FILTERED, words) for words in ("c2", "mission", "")) / 1000


def section() -> str:
    """Return the measurements as Markdown."""
    content = page()
    opened, filtered = seconds(content)
    return f"""## The leaderboard with {N_MODELS:,} models

Simulated submissions of all {len(catalogue())} tasks beside the canonical run, {len(content) / 2**20:.0f} MB of HTML,
in headless Chromium: drawn after {opened:.1f} s (aim: below 3 s); a search for tasks is drawn after {filtered:.2f} s at
most.
"""


if __name__ == "__main__":
    print(section())
