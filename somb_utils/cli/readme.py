"""``somb readme``: generated parts of README, CITATION and eval.yaml: tables of the canonical run, the address."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from somb_utils.errors import SombError, UsageError
from somb_utils.paths import replacing


def readme(
    update: Annotated[bool, typer.Option("--update", help="Write them [default: only compare].")] = False,
    store: Annotated[list[Path] | None, typer.Option(help="First store these runs as the canonical run.")] = None,
    folder: Annotated[Path, typer.Option(help="The checkout.")] = Path(),
) -> None:
    """Compare the generated parts of README.md, CITATION.cff and eval.yaml with their sources, or write them.

    They are the tables of the stored canonical run, and the address that Repository in `[project.urls]` of
    pyproject.toml, or `SOMB_REPOSITORY`, gives.

    Examples: `somb readme`, `somb readme --update`,
    `somb readme --store results/open-rigorous --store results/open-aligned --update`
    """
    from somb_utils.reference.canonical import store as store_runs

    if store:
        print(f"stored {len(store_runs(store))} scores as the canonical run")
    for name, contents in parts().items():
        file = folder / name
        if not file.is_file():
            raise UsageError(f"{file} does not exist; run this in the checkout, or name it with --folder")
        before = file.read_text(encoding="utf-8")
        after = filled(name, before, contents)
        if before != after and not update:
            raise SombError(f"{file} is not as generated; write the generated parts with: somb readme --update")
        if before != after:
            with replacing(file) as temporary:
                temporary.write_text(after, encoding="utf-8")
        print(f"{file} is up to date")


def parts() -> dict[str, dict[str, str]]:
    """Return the generated parts of each file, by the names of their markers."""
    from somb_utils.address import declared
    from somb_utils.book import web
    from somb_utils.labels import markdown
    from somb_utils.reference.canonical import tables

    address = declared()
    listing = f"contributors: [{address.split('/')[-2]}]\nsource:\n  repository_url: {address}" if address else ""
    return {
        "README.md": {
            "badges": web.badges(address),
            "clone": web.clone(address),
            **{name: markdown(table) for name, table in tables().items()},
        },
        "CITATION.cff": {"repository": f"repository-code: {address}" if address else ""},
        "eval.yaml": {"repository": listing},
    }


def filled(name: str, text: str, contents: Mapping[str, str]) -> str:
    """Return a file's text with each part between its markers: comments ``somb:PART`` and ``/somb:PART``."""
    start, end, gap = ("<!-- ", " -->", "\n") if Path(name).suffix == ".md" else ("# ", "", "")
    for part, content in contents.items():
        first, last = f"{start}somb:{part}{end}\n", f"{start}/somb:{part}{end}\n"
        if text.count(first) != 1 or text.count(last) != 1:
            raise SombError(f"{name} needs the lines {first.strip()} and {last.strip()}, once each")
        head, rest = text.split(first)
        tail = rest.split(last)[1]
        text = head + first + (f"{gap}{content}\n{gap}" if content else "") + last + tail
    return text
