"""From tables to features, labels and groups: one small function for each kind of table.

Each recipe takes the task, a loader of tables and the protocol. ``aligned`` joins every part by identifier;
``published`` pairs by position where the published numbers were computed so.
"""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from somb_utils.errors import SombError, printable
from somb_utils.paths import DATA
from somb_utils.tables.derive import membership
from somb_utils.tables.sources import first_not_text, numbers
from somb_utils.tasks import definitions as t

Load = Callable[[str], pd.DataFrame]

SAMPLE_COLUMNS = [
    "sample_id",
    "crew",
    "tissue",
    "month_tp",
    "timepoint",
    "timepoint_days",
    "phase",
    "mission",
]


@dataclass(frozen=True)
class Features:
    """Features, labels and split groups of one task, all indexed by row identifier.

    Attributes
    ----------
    X : rows × features, float64.
    y : labels; a Series, or a DataFrame of 0/1 columns for multilabel tasks.
    groups : crew (LOCO) or time point (LOTO) a row; None for feature tasks.
    stratify : labels in the row order that the split was stratified on.
    annotations : facts a row that a metric needs beside the prediction, such as ``concordant``.
    """

    X: pd.DataFrame
    y: pd.Series | pd.DataFrame
    groups: pd.Series | None = None
    stratify: np.ndarray | None = None
    annotations: pd.DataFrame = field(default_factory=pd.DataFrame)


def build(task: t.Task, load: Load, protocol: t.Protocol) -> Features:
    """Return the features of `task`.

    Raises
    ------
    SombError
        If a table lacks a column, holds text where numbers are due, an unknown class, or repeated ids.
    """
    features = _RECIPES[task.features.recipe](task, load, protocol)
    features = replace(features, X=features.X.astype(np.float64).set_axis(features.X.columns.astype(str), axis=1))
    _check(features, task)
    if protocol == "aligned":
        features = _canonical(features, task)
    if features.stratify is None and features.groups is None:
        features = replace(features, stratify=_stratum(features.y, task))
    return features


def _samples(task: t.Task, load: Load, protocol: t.Protocol) -> Features:
    spec: t.Samples = task.features  # type: ignore[assignment]
    first, X = _sample_tables(spec.tables, load, task)
    if spec.missing_is_zero:
        X = X.fillna(0.0)
    return Features(X, _column(first, spec.label, task), _column(first, "crew", task))


def _sample_columns(task: t.Task, load: Load, protocol: t.Protocol) -> Features:
    spec: t.SampleColumns = task.features  # type: ignore[assignment]
    metadata = _indexed(load(spec.metadata), "sample_id", task)
    samples = metadata[_column(metadata, "source", task) == "human"]
    table = _sample_matrix(spec.table, load, spec.id, task)
    pair = _by_position if protocol == "published" else _by_sample
    X = pair(table, samples.index, task)
    return Features(X, _column(samples, spec.label, task), _column(samples, "crew", task))


def _shared_taxa(task: t.Task, load: Load, protocol: t.Protocol) -> Features:
    spec: t.SharedTaxa = task.features  # type: ignore[assignment]
    human = _sample_matrix(spec.human, load, spec.id, task)
    environmental = _sample_matrix(spec.environmental, load, spec.id, task)
    # The capsule's columns read I4_Capsule_LM92_6 where the metadata says capsule_L-92_6.
    environmental.index = environmental.index.str.replace(r"^I4_Capsule_", "capsule_", regex=True).str.replace(
        r"_LM(?=\d)", "_L-", regex=True
    )
    shared = human.columns.intersection(environmental.columns, sort=False)
    X = pd.concat([human[shared], environmental[shared]])
    metadata = _indexed(load(spec.metadata), "sample_id", task)
    source = _column(metadata, spec.label, task)
    samples = pd.concat([metadata[source == "human"], metadata[source == "environmental"]])
    pair = _by_position if protocol == "published" else _by_sample
    return Features(pair(X, samples.index, task), samples[spec.label], _column(samples, "timepoint", task))


def _multimodal(task: t.Task, load: Load, protocol: t.Protocol) -> Features:
    spec: t.Multimodal = task.features  # type: ignore[assignment]
    clinical, analytes = _sample_tables(spec.clinical, load, task)
    proteomics, proteins = _sample_tables((spec.proteomics,), load, task)
    matrix = _indexed(load(spec.metabolomics), "metabolite_name", task)
    metadata = _indexed(load(spec.metabolomics_metadata), "sample_id", task)
    samples = [column for column in matrix.columns if column in metadata.index]
    metabolites = _numbers(matrix[samples], spec.metabolomics, task).T

    drawn = {
        spec.clinical[0]: clinical,
        spec.proteomics: proteomics,
        spec.metabolomics_metadata: metadata.loc[metabolites.index],
    }
    keys = [_crew_day(frame, name, task) for name, frame in drawn.items()]
    if any(key.has_duplicates for key in keys):
        raise SombError(f"{task.id}: a crew member has two samples of one day in a table; it joins by crew and day")
    in_all = [key.isin(keys[0]) & key.isin(keys[1]) & key.isin(keys[2]) for key in keys]
    draws = clinical[in_all[0]]
    blocks = {
        "clinical:": analytes[in_all[0]],
        "proteomics:": proteins.fillna(0.0),
        "metabolomics:": metabolites.fillna(0.0),
    }
    if protocol == "published":
        blocks["proteomics:"] = blocks["proteomics:"][in_all[1]]
        blocks["metabolomics:"] = blocks["metabolomics:"].iloc[: len(draws)]
    else:
        for block, key in zip(("proteomics:", "metabolomics:"), keys[1:], strict=True):
            blocks[block] = blocks[block].set_axis(key).reindex(keys[0][in_all[0]])
    X = pd.concat([block.set_axis(draws.index).add_prefix(prefix) for prefix, block in blocks.items()], axis=1)
    return Features(X, _column(draws, spec.label, task), _column(draws, "crew", task))


def _rows(task: t.Task, load: Load, protocol: t.Protocol) -> Features:
    spec: t.Rows = task.features  # type: ignore[assignment]
    table = load(spec.table)
    table = table.set_axis(_unique(_ids(table, spec.id, task)))
    if spec.member_of:
        table = table.assign(label=membership(table[spec.id], load(spec.member_of)))
    y = _column(table, spec.label or "label", task)
    return Features(_numbers(_columns(table, spec.columns, task), spec.table, task), _binary(y, task))


def _differential_transfer(task: t.Task, load: Load, protocol: t.Protocol) -> Features:
    spec: t.DifferentialTransfer = task.features  # type: ignore[assignment]
    table, target = (_indexed(load(name), spec.id, task) for name in (spec.table, spec.target))
    shared = target.index.intersection(table.index, sort=False)
    changed = _numbers(_columns(target, ("adj_pval",), task), spec.target, task)["adj_pval"].fillna(1.0) < spec.alpha
    annotations = pd.DataFrame()
    stratify = None
    if "direction_concordance" in task.metrics.secondary:
        one, two = (
            np.sign(_numbers(_columns(frame, ("logFC",), task), name, task).loc[shared, "logFC"])
            for name, frame in ((spec.table, table), (spec.target, target))
        )
        annotations = pd.DataFrame({"concordant": one == two})
        in_source_order = changed[table.index.intersection(target.index, sort=False)]
        stratify = in_source_order.to_numpy() if protocol == "published" else None
        shared = shared.sort_values()
    return Features(
        _numbers(_columns(table, spec.columns, task), spec.table, task).loc[shared],
        _binary(changed[shared], task),
        stratify=stratify,
        annotations=annotations.reindex(shared),
    )


def _correlation(task: t.Task, load: Load, protocol: t.Protocol) -> Features:
    spec: t.Correlation = task.features  # type: ignore[assignment]
    labels = _indexed(load(spec.labels), spec.id, task)
    y = _columns(labels, task.classes, task)
    if not y.isin([0, 1]).all(axis=None):
        raise SombError(f"{task.id}: {spec.labels} holds a label that is neither 0 nor 1")
    X = _numbers(_indexed(load(spec.table), spec.id, task), spec.table, task)
    return Features(_by_sample(X, labels.index, task), y.astype(int))


def _metabolites(task: t.Task, load: Load, protocol: t.Protocol) -> Features:
    spec: t.Metabolites = task.features  # type: ignore[assignment]
    table = _indexed(load(spec.table), spec.id, task)
    numeric = _numbers(_columns(table, spec.numeric, task), spec.table, task).fillna(0.0)
    categories = _texts(_columns(table, spec.categorical, task), task)
    one_hot = pd.get_dummies(categories, columns=list(spec.categorical), dtype=float)
    count = _published_atoms if protocol == "published" else _atoms
    formulas = _texts(_columns(table, (spec.formula,), task), task)[spec.formula].fillna("")
    atoms = pd.DataFrame([count(formula) for formula in formulas], index=table.index)
    return Features(pd.concat([numeric, one_hot, atoms], axis=1), _binary(_column(table, spec.label, task), task))


_RECIPES: dict[str, Callable[[Any, Load, t.Protocol], Features]] = {
    "samples": _samples,
    "sample_columns": _sample_columns,
    "shared_taxa": _shared_taxa,
    "multimodal": _multimodal,
    "rows": _rows,
    "differential_transfer": _differential_transfer,
    "correlation": _correlation,
    "metabolites": _metabolites,
}

_ELEMENTS = ("C", "H", "N", "O", "S", "P")


def _atoms(formula: str) -> dict[str, int]:
    counts = dict.fromkeys(_ELEMENTS, 0)
    for element, number in re.findall(r"([A-Z][a-z]?)(\d*)", formula):
        if element in counts:
            counts[element] += int(number or 1)
    return {f"n_{element}": counts[element] for element in _ELEMENTS}


def _published_atoms(formula: str) -> dict[str, int]:
    return {f"n_{element}": sum(int(n or 1) for n in re.findall(rf"{element}(\d*)", formula)) for element in _ELEMENTS}


def _sample_tables(names: tuple[str, ...], load: Load, task: t.Task) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the first table, for its sample metadata, and the features of all, joined by sample."""
    frames = [_indexed(load(name), "sample_id", task) for name in names]
    measured = [frame.drop(columns=SAMPLE_COLUMNS, errors="ignore") for frame in frames]
    return frames[0], _concat([_numbers(frame, name, task) for name, frame in zip(names, measured, strict=True)], task)


def _sample_matrix(name: str, load: Load, ident: str, task: t.Task) -> pd.DataFrame:
    ranks = ["domain", "phylum", "class", "order", "family", "genus", "species"]
    return _numbers(_indexed(load(name), ident, task).drop(columns=ranks, errors="ignore"), name, task).T


def _crew_day(frame: pd.DataFrame, name: str, task: t.Task) -> pd.MultiIndex:
    day = _numbers(_columns(frame, ("timepoint_days",), task), name, task)
    return pd.MultiIndex.from_frame(_columns(frame, ("crew",), task).join(day))


def _by_sample(table: pd.DataFrame, ids: pd.Index, task: t.Task) -> pd.DataFrame:
    absent = ids.difference(table.index)
    if len(absent):
        raise SombError(
            f"{task.id}: {len(absent)} rows have labels but no features, the first is '{printable(absent[0])}'"
        )
    return table.loc[ids]


def _by_position(table: pd.DataFrame, ids: pd.Index, task: t.Task) -> pd.DataFrame:
    if len(table) < len(ids):
        raise SombError(f"{task.id}: {len(ids)} labelled samples, but the feature table has only {len(table)}")
    return table.iloc[: len(ids)].set_axis(ids)


def _concat(frames: list[pd.DataFrame], task: t.Task) -> pd.DataFrame:
    ids = frames[0].index
    for frame in frames[1:]:
        if set(frame.index) != set(ids):
            odd = ids.symmetric_difference(frame.index)[0]
            raise SombError(f"{task.id}: sample '{printable(odd)}' is not in all of its tables")
    return pd.concat([frame.loc[ids] for frame in frames], axis=1)


def _column(table: pd.DataFrame, name: str, task: t.Task) -> pd.Series:
    return _columns(table, (name,), task)[name]


def _columns(table: pd.DataFrame, names: tuple[str, ...], task: t.Task) -> pd.DataFrame:
    absent = [name for name in names if name not in table.columns]
    if absent:
        raise SombError(f"{task.id}: column '{absent[0]}' is missing from its table ({', '.join(task.tables)})")
    return table[list(names)]


def _indexed(table: pd.DataFrame, ident: str, task: t.Task) -> pd.DataFrame:
    ids = _ids(table, ident, task)
    if ids.duplicated().any():
        raise SombError(
            f"{task.id}: column '{ident}' repeats the identifier '{printable(ids[ids.duplicated()].iloc[0])}'"
        )
    return table.set_index(ident)


def _ids(table: pd.DataFrame, ident: str, task: t.Task) -> pd.Series:
    ids = _texts(_columns(table, (ident,), task), task)[ident]
    if ids.isna().any():
        raise SombError(f"{task.id}: column '{ident}' lacks an identifier in row {int(ids.isna().to_numpy().argmax())}")
    return ids


def _texts(table: pd.DataFrame, task: t.Task) -> pd.DataFrame:
    for column in table:
        wrong = first_not_text(table[column])
        if wrong is not None:
            raise SombError(f"{task.id}: column '{column}' holds {printable(repr(wrong))}, which is not text")
    return table


def _binary(y: pd.Series, task: t.Task) -> pd.Series:
    if not y.isin([0, 1]).all():
        raise SombError(f"{task.id}: the label column holds a value that is neither 0 nor 1")
    negative, positive = task.classes
    return y.astype(bool).map({False: negative, True: positive})


def _unique(ids: pd.Series) -> pd.Index:
    nth = ids.groupby(ids).cumcount() + 1
    return pd.Index(ids.where(nth == 1, ids + "#" + nth.astype(str)), name=ids.name)


def _numbers(table: pd.DataFrame, name: str, task: t.Task) -> pd.DataFrame:
    """Return columns of the table `name` as float64, a blank cell as NaN; refuse text, wherever it is."""
    found, wrong = numbers(table)
    _refuse(wrong, "is not a number (missing values are blank)", table, name, task)
    found = found.astype(np.float64)
    _refuse(found.isin([np.inf, -np.inf]).to_numpy(), "is infinite", found, name, task)
    return found


def _refuse(wrong: np.ndarray, why: str, table: pd.DataFrame, name: str, task: t.Task) -> None:
    """Raise an error that names the first cell that is `wrong`, if there is one."""
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise SombError(
            f"{task.id}: {name}.csv, row {row + 2} ('{printable(table.index[row])}'), column "
            f"'{printable(table.columns[column])}': '{printable(table.iat[row, column])}' {why}"
        )


def _check(features: Features, task: t.Task) -> None:
    for part in (features.X, features.y, features.groups):
        if part is not None and not part.index.equals(features.X.index):
            raise SombError(f"{task.id}: features, labels and groups do not stand on the same rows")
    if not features.X.size:
        raise SombError(f"{task.id}: its tables leave {len(features.X)} rows and {features.X.shape[1]} features")
    if features.groups is not None:
        lost = [row for row, group in features.groups.items() if not isinstance(group, str)]
        if lost:
            raise SombError(
                f"{task.id}: row '{printable(lost[0])}' belongs to no {features.groups.name}: it must be text"
            )
    repeated = features.X.columns[features.X.columns.duplicated()]
    if len(repeated):
        raise SombError(f"{task.id}: feature '{printable(repeated[0])}' is duplicated in its tables")
    for prefix in task.pca:
        if not features.X.columns.str.startswith(prefix).any():
            raise SombError(f"{task.id}: no feature starts with '{prefix}', which its definition reduces by PCA")
    twice = features.X.index.duplicated()
    if twice.any():
        raise SombError(f"{task.id}: row identifier '{printable(features.X.index[twice][0])}' is duplicated")
    if task.type != "multilabel":
        unknown = sorted(set(features.y.drop_duplicates().dropna()) - set(task.classes))
        if unknown or features.y.isna().any():
            label = printable(repr(unknown[0])) if unknown else "missing"
            raise SombError(f"{task.id}: label {label} is not one of {', '.join(task.classes)}")


def _stratum(y: pd.Series | pd.DataFrame, task: t.Task) -> np.ndarray:
    # Codes, not names: a shuffle split draws class by class, in sorted order.
    return (y.sum(axis=1) > 0).to_numpy() if isinstance(y, pd.DataFrame) else y.map(task.classes.index).to_numpy()


@cache
def _stored_order() -> dict[str, Any]:
    return json.loads((DATA / "row_order.json").read_text(encoding="utf-8"))


def _canonical(features: Features, task: t.Task) -> Features:
    """Put rows in the published label order and free columns by name, whatever the tables' order was."""
    ids = features.X.index
    if task.order == "crew_site_day":
        order = _crew_site_day(ids, task)
    elif task.order == "id_casefold":
        order = sorted(ids, key=lambda i: (i.casefold(), i))
    else:
        order = sorted(ids)
        if task.order == "stored":
            stored = _stored_order().get(task.id)
            if stored and hashlib.sha256("\n".join(order).encode()).hexdigest() == stored["ids_sha256"]:
                order = [order[rank] for rank in stored["ranks"]]
    columns = list(features.X.columns)
    if not hasattr(task.features, "columns"):
        columns = sorted(columns)
    return replace(
        features,
        X=features.X.loc[order, columns],
        y=features.y.loc[order],
        groups=None if features.groups is None else features.groups.loc[order],
        annotations=features.annotations.reindex(order) if len(features.annotations) else features.annotations,
    )


def _crew_site_day(ids: pd.Index, task: t.Task) -> list[str]:
    """Sort swabs such as C001_R+1_ARM and capsule_L-92_6: people first, then crew, site and day of mission."""

    def key(sample: str) -> tuple[bool, str, str, int]:
        parts = re.fullmatch(r"([^_]+)_(?:FD(\d+)|L(-\d+)|R\+(\d+))_([^_]+)", sample)
        if not parts:
            raise SombError(
                f"{task.id}: sample '{printable(sample)}' is not named <crew>_<day>_<site>, such as C001_R+1_ARM"
            )
        crew, *days, site = parts.groups()
        return crew == "capsule", crew, site, int(next(day for day in days if day))

    return sorted(ids, key=key)
