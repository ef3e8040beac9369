"""Logs as static pages: Inspect's viewer, without the names of this machine's folders."""

import json
from pathlib import Path

from somb_utils.errors import SombError
from somb_utils.paths import replacing


def bundle_logs(log_dir: Path, target: Path) -> None:
    """Write a static log viewer to `target`, which works over HTTP; it does not state this machine's folders."""
    from inspect_ai.log import bundle_log_dir

    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise SombError(f"{target} is not an empty folder. Name another with --bundle")
    try:
        bundle_log_dir(log_dir=str(log_dir), output_dir=str(target), overwrite=True)
    except Exception as error:
        raise SombError(f"The viewer cannot be written to {target}: {error}") from error
    absolute = str(log_dir.resolve())
    for path in [*target.glob("*.html"), *target.rglob("*.json")]:
        text = path.read_text(encoding="utf-8")
        if absolute in text or json.dumps(absolute)[1:-1] in text:
            with replacing(path) as temporary:
                temporary.write_text(text.replace(absolute, "logs"), encoding="utf-8")
