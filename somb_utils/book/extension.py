"""The book's generated parts, as a Sphinx extension: task catalogue, table of tables, data-source banner.

A marker in a page, such as ``<!-- somb:tasks -->``, is replaced while Sphinx reads the page, so nothing generated is
stored and plain ``jupyter-book build .`` gives the same pages as ``somb book``.
"""

from collections import Counter
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from somb_utils.address import published
from somb_utils.book import web
from somb_utils.labels import markdown, metric_name
from somb_utils.tables.registry import COMMITS, TableInfo, registry
from somb_utils.tasks.definitions import PROTOCOLS, Task, catalogue
from somb_utils.tasks.splits import IN_WORDS

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.config import Config

BANNERS = {
    "simulated": "<strong>SIMULATED DATA.</strong> Notebooks and scores of this book were computed on invented "
    "tables. No number says anything about a real person.",
    "open": "<strong>Open data.</strong> Computed on the published tables, each checked against its hash.",
    "custom": "<strong>Custom data.</strong> Computed on a user's own tables, not on the published ones.",
}


def task_pages() -> str:
    """Return the task catalogue: an overview table, then one section per task with the anchor ``task-a1``."""
    tasks = [task.under(PROTOCOLS[0]) for task in catalogue().values()]
    rows = [
        f"| [{t.id}](#task-{t.id.lower()}) | {t.name} | {t.modality} | {_tier(t)} | {_shape(t)} | "
        f"{metric_name(t.metrics.primary)} | {t.split.upper()} |"
        for t in tasks
    ]
    head = ["| task | name | modality | tier | rows × features | metric | split |", "|---|---|---|---|--:|---|---|"]
    parts = ["\n".join(head + rows)]
    for category, members in groupby(tasks, key=lambda task: task.category):
        parts += [f"## {category}", *map(_task_section, members)]
    return "\n\n".join(parts)


def _task_section(task: Task) -> str:
    counts = ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in task.class_counts.items())
    facts = {
        "Tier": _tier(task) + ("; supplementary: reported, left out of composites" if task.supplementary else ""),
        "Extension": "not in the published benchmark; counted in the composite of the extensions" * task.extension,
        "Missions": ", ".join(task.missions),
        "Rows × features": _shape(task),
        "Labels" if task.type == "multilabel" else "Classes": counts,
        "Split": f"{IN_WORDS[task.split]} ({task.split.upper()})",
        "Primary metric": metric_name(task.metrics.primary),
        "Also reported": ", ".join(map(metric_name, task.metrics.secondary)),
        "Ablations": ", ".join(f"`{name}`" for name in task.ablations),
        "Tables": ", ".join(f"[{name}](#table-{name.lower().replace('_', '-')})" for name in task.tables),
    }
    published = catalogue()[task.id]
    before = [metric_name(published.metrics.primary), published.split.upper()]
    before += [f"{n} principal components of {block or 'all features'}" for block, n in published.pca.items()]
    facts["Aligned and published"] = ", ".join(before)
    title = f"(task-{task.id.lower()})=\n### {task.id} · {task.name}"
    lines = [f":{key}: {value}" for key, value in facts.items() if value]
    notes = [f"- {note}" for note in task.notes]
    return "\n".join([title, "", task.question, "", *lines, "", *notes])


def _tier(task: Task) -> str:
    return task.tier + "\\*" * task.supplementary + "†" * task.extension


def _shape(task: Task) -> str:
    return f"{task.n_rows:,} × {task.n_features:,}"


def table_pages() -> str:
    """Return the open tables, one section per study: file, shape, accession, paper, licence, tasks."""
    tables = sorted(registry().values(), key=lambda table: (table.study.split(";")[0], table.name))
    head = ["| table | rows × columns | accession | paper | licence | tasks |", "|---|--:|---|---|---|---|"]
    counts = Counter(table.repository for table in tables)
    commits = [f"{n} from `{name}` (commit `{COMMITS[name][:7]}`)" for name, n in counts.items()]
    parts = [f"{len(tables)} tables: {', '.join(commits)}."]
    for study, members in groupby(tables, key=lambda table: table.study.split(";")[0]):
        parts += [f"## {study}", "\n".join([*head, *map(_table_row, members)])]
    return "\n\n".join(parts)


def _table_row(table: TableInfo) -> str:
    shape = f"{table.rows:,} × {table.columns:,}" if table.rows and table.columns else "not recorded"
    urls = [f"[{a}](https://osdr.nasa.gov/bio/repo/data/studies/{a})" for a in table.accession.split(";") if a]
    tasks = " ".join(f"[{task}](#task-{task.lower()})" for task in table.tasks)
    others = f" (with {', '.join(studies)})" if (studies := table.study.split(";")[1:]) else ""
    name = f"[]{{#table-{table.name.lower().replace('_', '-')}}}`{table.name}`{others}"
    return f"| {name} | {shape} | {'<br>'.join(urls)} | {{cite:t}}`{table.paper}` | {table.licence} | {tasks} |"


def reference_table() -> str:
    """Return the tables that a list of genes is compared with, a row for each contrast."""
    from somb_utils.signatures.references import references

    fields = ("name", "sample", "contrast", "organism", "n", "caveat")
    rows = [{field: getattr(each, field) for field in fields} for each in references().values()]
    return markdown(pd.DataFrame(rows).rename(columns={"name": "reference", "n": "N"}))


def coverage_table() -> str:
    """Return the coverage of intervals, one row per metric and sampling unit."""
    from somb_utils.studies.coverage import stored, summary

    return markdown(summary(stored()))


def coverage_notes() -> str:
    """Return what the study of coverage shows of few crew, of AUPRC and of complete cross-validation."""
    from somb_utils.studies import coverage

    return "\n\n".join([coverage.of_groups(4), coverage.of_folds(), coverage.of_auprc()])


MARKERS: dict[str, Callable[[], str]] = {
    "tasks": task_pages,
    "tables": table_pages,
    "references": reference_table,
    "coverage": coverage_table,
    "coverage_notes": coverage_notes,
}


def fill(text: str) -> str:
    """Return a page's text with each marker replaced."""
    from somb_utils.audit import figures
    from somb_utils.book import audit_parts

    for name, make in (MARKERS | web.MARKERS | audit_parts.MARKERS).items():
        marker = f"<!-- somb:{name} -->"
        if marker in text:
            text = text.replace(marker, make())
    return figures.fill(text)


def banner(source: str) -> str:
    """Return the announcement on every page: which data the book was computed on."""
    return f'<div class="somb-banner somb-{source}">{BANNERS[source]}</div>'


def _on_read(app: "Sphinx", page: str, source: list[str]) -> None:
    if not app.env.doc2path(page).endswith(".ipynb"):
        source[0] = fill(source[0])


def _on_config(app: "Sphinx", config: "Config") -> None:
    # Without this, the theme draws a second search field in an extra bar.
    no_bar: dict[str, list[str]] = {f"navbar_{part}": [] for part in ("start", "center", "end", "persistent")}
    config.html_theme_options = {**config.html_theme_options, **no_bar, "announcement": banner(config.somb_source)}
    if address := published():
        config.html_baseurl = web.site(address)
        config.html_theme_options |= web.buttons(address)


def _on_page(app: "Sphinx", page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    # Live cells (thebe) would be fetched from another host; the book launches Binder instead.
    context["script_files"] = [
        file
        for file in context.get("script_files", [])
        if "thebe" not in f"{getattr(file, 'filename', file)} {getattr(file, 'attributes', {}).get('body', '')}"
    ]
    if doctree:
        context["metatags"] += web.meta_tags(page, context["title"], doctree, app.config.html_baseurl)


def _on_finish(app: "Sphinx", error: Exception | None) -> None:
    """Serve plotly.js, which the interactive figures load, from the site itself; list the pages of a public site."""
    from plotly.offline import get_plotlyjs

    if error is None and app.builder.format == "html":
        (Path(app.outdir) / "_static" / "plotly.min.js").write_text(get_plotlyjs(), encoding="utf-8")
        if site := app.config.html_baseurl:
            (Path(app.outdir) / "sitemap.xml").write_text(web.sitemap(app.env.found_docs, site), encoding="utf-8")


def setup(app: "Sphinx") -> dict[str, Any]:
    """Register with Sphinx; ``somb_source`` is the kind of data that the notebooks of this build were executed on."""
    app.add_config_value("somb_source", "simulated", "env")
    app.connect("config-inited", _on_config)
    app.connect("source-read", _on_read)
    app.connect("html-page-context", _on_page, priority=900)
    app.connect("build-finished", _on_finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
