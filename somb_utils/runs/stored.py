"""A run that a folder holds: scores in one table, predictions in a file a model, read when they are asked for."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from somb_utils._seeds import SEED
from somb_utils.errors import SombError
from somb_utils.paths import replacing
from somb_utils.runs.code import fingerprint_of
from somb_utils.runs.record import KEY, PREDICTION_SCHEMA, RESULT_COLUMNS, RESULT_SCHEMA
from somb_utils.runs.results import Key, RunResult, keys_of, of_keys
from somb_utils.stats.intervals import Drawn
from somb_utils.tasks.definitions import task_of

PREDICTIONS = "predictions"
_DRAWS = "draws"
_AT_ONCE = 20  # files whose predictions are drawn from together
ONE_TABLE = "predictions.parquet"  # of all models, in the folders of earlier versions


def write_predictions(table: pa.Table, model: str, folder: Path) -> dict[str, str]:
    """Write one model's predictions under a name of their own, and return their file's SHA-256 by its name."""
    content = pa.BufferOutputStream()
    pq.write_table(table, content, compression="zstd")
    sha256 = hashlib.sha256(content.getvalue()).hexdigest()
    name = f"{PREDICTIONS}/{_stem(model)}-{sha256[:16]}.parquet"
    with replacing(folder / name) as temporary:
        temporary.write_bytes(content.getvalue())
    return {name: sha256}


def file_of(files: Iterable[str], model: str) -> str:
    """Return the file that holds a model's predictions."""
    start = f"{PREDICTIONS}/{_stem(model)}-"
    return next((name for name in files if name.startswith(start)), ONE_TABLE)


def forget(folder: Path, name: str) -> None:
    """Remove a file of predictions that no record names any more, and the bootstrap scores made of it."""
    (folder / name).unlink(missing_ok=True)
    for file in (folder / _DRAWS).glob(f"{Path(name).stem}-*.npz"):
        file.unlink(missing_ok=True)


def read_verified(folder: Path, name: str, sha256: str | None) -> pa.BufferReader:
    """Return a file's content; refuse one that was changed after the run."""
    content = (folder / name).read_bytes()
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError(f"{name} was changed after the run wrote it")
    return pa.BufferReader(content)


def unreadable(folder: Path, reason: object) -> SombError:
    """Return the error of a run folder that cannot be read."""
    return SombError(
        f"{folder} is not a readable run folder: {reason}. Finished folds are kept in {folder / 'jobs'}: move "
        f"results.parquet, {PREDICTIONS} and provenance.json away, and the commands that made them fit nothing anew"
    )


class Grouped:
    """A table whose rows are found by task, protocol and model."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table
        columns = [table[name].combine_chunks() for name in KEY]
        columns = [c if pa.types.is_dictionary(c.type) else c.dictionary_encode() for c in columns]
        codes = np.stack([column.indices.to_numpy(zero_copy_only=False) for column in columns])
        names = [column.dictionary.to_pylist() for column in columns]
        starts = np.flatnonzero(np.r_[np.ones(min(1, len(table)), bool), (codes[:, 1:] != codes[:, :-1]).any(axis=0)])
        self.rows: dict[Key, list[range]] = {}
        for start, stop in zip(starts.tolist(), [*starts.tolist()[1:], len(table)], strict=False):
            task, protocol, model = (each[code] for each, code in zip(names, codes[:, start], strict=True))
            self.rows.setdefault((task, protocol, model), []).append(range(start, stop))

    def of(self, keys: Iterable[Key]) -> pa.Table:
        """Return the rows of these, one after the other."""
        rows = [np.arange(part.start, part.stop) for key in keys for part in self.rows.get(key, ())]
        return self.table.take(np.concatenate(rows) if rows else np.arange(0))


class StoredRun(RunResult):
    """Results of some tasks and models of a run folder."""

    files: Mapping[str, str]  # SHA-256 of each file, by name
    _folder: Path
    _scores: Grouped
    _fitted: Callable[[str], pa.Table] | None  # gives the predictions of a model that was fitted in this process

    def __init__(
        self,
        folder: Path,
        files: Mapping[str, str],
        scores: Grouped,
        provenance: dict[str, Any],
        fitted: Callable[[str], pa.Table] | None = None,
    ) -> None:
        self.__dict__.update(_folder=folder, files=files, _scores=scores, provenance=provenance, _fitted=fitted)

    @property
    def scores(self) -> pa.Table:
        """The results as an Arrow table."""
        return self._scores.of(keys_of(self.provenance)).select(RESULT_COLUMNS).cast(RESULT_SCHEMA)

    @cached_property
    def results(self) -> pd.DataFrame:
        """The scores."""
        return self.scores.to_pandas()

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """The predictions, each file of them read once."""
        return self.predicted(keys_of(self.provenance)).to_pandas()

    def predicted(self, keys: Sequence[Key]) -> pa.Table:
        """Return the predictions of tasks and models, in their order."""
        names = dict.fromkeys(model for *_, model in keys)
        if self._fitted is not None:
            return _joined(map(self._fitted, names), keys)
        models: dict[str, list[str]] = {}
        try:
            self._follow()
            for model in names:
                models.setdefault(file_of(self.files, model), []).append(model)
            parts = [self._read(name, those) for name, those in models.items()]
        except (OSError, ValueError, KeyError) as error:
            raise unreadable(self._folder, error) from None
        return _joined(parts, keys)

    def _follow(self) -> None:
        """Take the files of now if a later run has added other tasks to a model's; refuse one that replaced these."""
        entries = self.provenance["models"]
        if all((self._folder / file_of(self.files, name)).is_file() for name in {entry["model"] for entry in entries}):
            return
        now = json.loads((self._folder / "provenance.json").read_text(encoding="utf-8"))
        runs = {key: entry["run"] for key, entry in zip(keys_of(now), now["models"], strict=True)}
        for key, entry in zip(keys_of(self.provenance), entries, strict=True):
            if runs.get(key) != entry["run"]:
                raise SombError(f"{self._folder}: a later run has replaced {key[2]} on {key[0]}; load the folder again")
        self.__dict__["files"] = now["files"]

    def _read(self, name: str, models: list[str]) -> pa.Table:
        content = read_verified(self._folder, name, self.files.get(name))
        table = pq.read_table(content, filters=[("model", "in", models)] if name == ONE_TABLE else None)
        if "seed" not in table.column_names:  # version 1 had one seed for each model, and no probabilities
            table = with_seeds(table, self.provenance).append_column("y_proba", pa.nulls(len(table)))
        return table.select(PREDICTION_SCHEMA.names).cast(PREDICTION_SCHEMA)

    def of(self, keys: Sequence[Key]) -> "StoredRun":
        """Return the results of these tasks and models alone, in their order."""
        return StoredRun(self._folder, self.files, self._scores, of_keys(self.provenance, keys), self._fitted)

    def _draw(self, n_bootstrap: int, seed: int, n_jobs: int | None) -> Drawn:
        """Return bootstrap scores, kept beside the predictions, by the file's hash and whatever else they depend on."""
        if self._fitted is None:
            with suppress(OSError, ValueError, KeyError):  # told when predictions are read
                self._follow()
        held = keys_of(self.provenance)
        place = {model: file_of(self.files, model) for model in {model for *_, model in held}}
        files: dict[str, list[Key]] = {}
        for key in held:
            files.setdefault(place[key[2]], []).append(key)
        kept = {name: self._kept(name, keys, n_bootstrap, seed) for name, keys in files.items()}
        drawn: Drawn = {protocol: ({}, {}) for _, protocol, _ in held}
        lacking = [name for name, file in kept.items() if not self._read_draws(name, file, files[name], drawn)]
        for start in range(0, len(lacking), _AT_ONCE):
            from somb_utils.stats.bootstrap import draw_each_protocol  # compiles

            some = lacking[start : start + _AT_ONCE]
            predictions = self.predicted([key for name in some for key in files[name]]).to_pandas()
            for protocol, kinds in draw_each_protocol(predictions, n_bootstrap, seed, n_jobs, self.own_tasks).items():
                for all_of, these in zip(drawn[protocol], kinds, strict=True):
                    all_of.update(these)
            for name in some:
                if (self._folder / name).is_file():  # else another run has replaced it since
                    _write_draws(kept[name], files[name], drawn)
        return drawn

    def _kept(self, name: str, keys: list[Key], n_bootstrap: int, seed: int) -> Path:
        """Return the file that keeps the bootstrap scores of a file of predictions."""
        own = self.own_tasks
        tasks = [task_of(task, protocol, own) for task, protocol, _ in keys]  # type: ignore[arg-type]
        definitions = [task and task.model_dump_json() for task in tasks]
        code = fingerprint_of("somb_utils.stats.bootstrap")
        made = [self.files.get(name), keys, definitions, n_bootstrap, seed, code]
        digest = hashlib.sha256(json.dumps(made).encode()).hexdigest()
        return self._folder / _DRAWS / f"{Path(name).stem}-{digest[:32]}.npz"

    def _read_draws(self, name: str, file: Path, keys: list[Key], drawn: Drawn) -> bool:
        """Add the bootstrap scores that a file keeps, if there is one and the predictions are as they were."""
        try:
            read_verified(self._folder, name, self.files.get(name))
            with np.load(file, allow_pickle=False) as stored:
                arrays = {tuple(map(int, part.split())): stored[part] for part in stored.files}
            for (position, kind), scores in arrays.items():
                task, protocol, model = keys[position]
                drawn[protocol][kind][task, model] = scores
            return True
        except FileNotFoundError:
            return False
        except Exception:  # whatever a damaged file makes NumPy raise: they are drawn again
            file.unlink(missing_ok=True)
            return False


def _write_draws(file: Path, keys: list[Key], drawn: Drawn) -> None:
    arrays = {
        f"{i} {kind}": drawn[protocol][kind][task, model]
        for i, (task, protocol, model) in enumerate(keys)
        for kind in (0, 1)
        if (task, model) in drawn[protocol][kind]
    }
    with suppress(SombError), replacing(file) as temporary, temporary.open("wb") as stream:  # or it is read-only
        np.savez(stream, **arrays)  # type: ignore[arg-type]


def _joined(parts: Iterable[pa.Table], keys: Sequence[Key]) -> pa.Table:
    return Grouped(pa.concat_tables([PREDICTION_SCHEMA.empty_table(), *parts])).of(keys)


def with_seeds(table: pa.Table, provenance: Mapping[str, Any]) -> pa.Table:
    """Return the rows of a run of version 1, which had one seed for each model, with the column that they lack."""
    seeds = {key: entry["seed"] for key, entry in zip(keys_of(provenance), provenance["models"], strict=True)}
    keys = zip(*(table[name].to_pylist() for name in KEY), strict=True)
    of_rows = [SEED if seeds[key] is None else seeds[key] for key in keys]
    return table.append_column("seed", pa.array(of_rows, pa.int64()))


def _stem(model: str) -> str:
    return hashlib.sha256(model.encode("utf-8", "surrogatepass")).hexdigest()[:16]
