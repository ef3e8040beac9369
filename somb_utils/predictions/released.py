"""Files of the canonical run's predictions, without labels: written, listed with their hashes, fetched.

A file has one row group per task and protocol, and states the licence of the tables whose rows it names. That of all
predictions is an asset of a release; a small one, of the tasks with the fewest rows, comes with the package.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from somb_utils.errors import SombError, UsageError
from somb_utils.paths import DATA, cache_dir, replacing, sha256_of
from somb_utils.reference.canonical import canonical_provenance, canonical_runs
from somb_utils.runs.record import KEY, PREDICTION_SCHEMA
from somb_utils.tables.fetch import Download, alone, download
from somb_utils.tables.registry import table_info
from somb_utils.tasks.definitions import PROTOCOLS, catalogue, task_tables

FOLDER = DATA / "predictions"
SMALL = FOLDER / "canonical_predictions_small.parquet"
FILES = FOLDER / "files.json"
SMALL_BYTES = 900_000
SCHEMA = PREDICTION_SCHEMA.remove(PREDICTION_SCHEMA.get_field_index("y_true"))
Parts = Mapping[tuple[str, str], pa.Table]  # by protocol and task


@dataclass(frozen=True)
class PredictionFile:
    """A file of canonical predictions, as it was stored."""

    file: str
    bytes: int
    sha256: str
    rows: int
    tasks: tuple[str, ...]
    url: str = ""  # empty before the release, and where it comes with the package

    def problem(self, path: Path) -> str | None:
        """Describe how a file differs from the stored one; None if it does not."""
        if not path.is_file():
            return "is missing"
        same = path.stat().st_size == self.bytes and sha256_of(path) == self.sha256
        return None if same else f"is not the stored file, of {self.bytes:,} bytes and SHA-256 {self.sha256[:12]}…"


@cache
def listed() -> dict[str, PredictionFile]:
    """Return both files: ``all`` and ``small``."""
    stored = json.loads(FILES.read_text(encoding="utf-8"))
    return {name: PredictionFile(**{**entry, "tasks": tuple(entry["tasks"])}) for name, entry in stored.items()}


def fetched() -> Path:
    """Return the place of the file of all predictions in the user cache."""
    return cache_dir() / "predictions" / listed()["all"].file


def fetch(copy: Path | None = None) -> Path:
    """Put the file of all predictions into the user cache, verified: from `copy` if given, else from its address."""
    wanted, path = listed()["all"], fetched()
    if copy is not None:
        if problem := wanted.problem(copy):
            raise SombError(f"{copy} {problem}")
        with replacing(path) as temporary:
            temporary.write_bytes(copy.read_bytes())
    elif wanted.problem(path):
        if not wanted.url:
            raise SombError(f"{wanted.file} has no public address yet; name a copy of it with --from FILE")
        with alone(path.parent, print):
            files = [Download(wanted.url, wanted.file, wanted.bytes, wanted.problem, wanted.sha256)]
            download(files, path.parent, elsewhere="or name a copy of it with --from FILE")
    return path


def write(folders: Sequence[Path], out: Path, url: str = "") -> dict[str, PredictionFile]:
    """Write the predictions of the canonical run to `out`, store the small file, and list both with their hashes.

    `folders` are those of the stored canonical run. The same predictions give the same bytes with the same version of
    PyArrow. `url` is where `out` will be released.
    """
    parts = _parts(folders)
    listing = {"all": _write(parts, out, url)}
    groups = [pq.read_metadata(out).row_group(number) for number in range(len(parts))]
    sizes = [sum(group.column(n).total_compressed_size for n in range(group.num_columns)) for group in groups]
    ranked = {key: size for key, size in zip(parts, sizes, strict=True) if key[0] == PROTOCOLS[0]}
    small, room = set(), SMALL_BYTES
    for key in sorted(ranked, key=lambda key: parts[key].num_rows):
        if (room := room - ranked[key]) < 0:
            break
        small.add(key)
    listing["small"] = _write({key: part for key, part in parts.items() if key in small}, SMALL)
    with replacing(FILES) as temporary:
        text = json.dumps({name: asdict(entry) for name, entry in listing.items()}, indent=1)
        temporary.write_text(text + "\n", encoding="utf-8")
    listed.cache_clear()
    return listing


def _parts(folders: Sequence[Path]) -> Parts:
    """Return the predictions by protocol and task, in order, if they are those of the stored canonical run."""
    wanted = {tuple(entry[key] for key in (*KEY, "run")) for entry in canonical_provenance()["models"]}
    parts: dict[tuple[str, str], pa.Table] = {}
    found = set()
    for folder, run in zip(folders, canonical_runs(folders), strict=True):
        found |= {tuple(entry[key] for key in (*KEY, "run")) for entry in run.provenance["models"]}
        if not found <= wanted:
            raise UsageError(
                f"{folder} is not of the stored canonical run; store it with: somb readme --store {folder}"
            )
        for (protocol, task), rows in run.predictions.groupby(["protocol", "task"], sort=False):
            rows = rows.sort_values(["model", "seed", "fold"], kind="stable")
            parts[str(protocol), str(task)] = pa.Table.from_pandas(rows[SCHEMA.names], SCHEMA, preserve_index=False)
    if lacking := wanted - found:
        task, protocol, model, _ = min(lacking)
        raise UsageError(
            f"the stored canonical run has {len(lacking)} more results, such as {task} of {model} under {protocol}; "
            "name all of its folders"
        )
    return dict(sorted(parts.items(), key=lambda part: (PROTOCOLS.index(part[0][0]), part[0][1])))


def _write(parts: Parts, path: Path, url: str = "") -> PredictionFile:
    tasks = tuple(dict.fromkeys(task for _, task in parts))
    with replacing(path) as temporary:
        with pq.ParquetWriter(temporary, SCHEMA.with_metadata(statement(tasks)), compression="zstd") as writer:
            for part in parts.values():
                writer.write_table(part, row_group_size=max(len(part), 1))
        size, sha256 = temporary.stat().st_size, sha256_of(temporary)
    return PredictionFile(path.name, size, sha256, sum(map(len, parts.values())), tasks, url)


def statement(tasks: Iterable[str]) -> dict[str, str]:
    """Return what a file says of itself: that it has no labels, and licence and papers of the tables it draws on."""
    infos = [table_info(name) for name in task_tables(catalogue()[task] for task in tasks)]
    return {
        "contents": "predictions of the canonical run of SpaceOmicsBench, with identifiers of rows, without labels",
        "licence": ", ".join(sorted({info.licence for info in infos})),
        "attribution": "; ".join(sorted({paper for info in infos for paper in info.paper.split(";")})),
    }
