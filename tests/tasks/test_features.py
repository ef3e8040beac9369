"""Features: shapes, alignment by identifier, and what `published` pairs by position."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from full_size import FULL, full_table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from somb_utils.errors import SombError
from somb_utils.tables.sources import FolderSource, SimulatedSource, Source
from somb_utils.tasks import splits
from somb_utils.tasks.definitions import PROTOCOLS, Protocol, Task, catalogue, get_task
from somb_utils.tasks.recipes.metabolites import _atoms
from somb_utils.tasks.task_data import TaskData, load_task

ABSENT = {"B1", "F1", "F2", "F3"}
HUMAN = sorted(name for name, task in catalogue().items() if task.features.recipe != "mission_scores")
FEW_MICE = [*HUMAN, "J2", "J7"]  # the others differ from them in size alone
# Each example reorders everything, so one tells; make explore tries more.
EXAMPLES = 1 if settings.default.max_examples <= 100 else 10
POSITIONAL = ("C2", "F1", "F2", "F3", "F4", "F5", "G1")


@pytest.fixture(scope="module", autouse=True)
def _two_repetitions() -> Iterator[None]:
    """Split features twice and not five times: rows and columns in another order give the same folds in each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(splits, "REPETITIONS", 2)
        yield


@cache
def real(folder: Path) -> FolderSource:
    return FolderSource(folder / "processed")


@cache
def simulated() -> SimulatedSource:
    return SimulatedSource()


@cache
def loaded(task_id: str, protocol: str, source_key: Path | None) -> TaskData:
    return load_task(task_id, protocol, real(source_key) if source_key else simulated())  # type: ignore[arg-type]


def shuffled_tables(task: Task, source: Source, seed: int) -> dict[str, pd.DataFrame]:
    rng = np.random.default_rng(seed)
    tables = {}
    for name in task.tables:
        table = source.load(name)
        # The first column stays first only by chance: recipes must find every column by its name.
        table = table.iloc[rng.permutation(len(table)), rng.permutation(table.shape[1])]
        tables[name] = table.reset_index(drop=True)
    return tables


def assert_same(one: TaskData, other: TaskData) -> None:
    for part in ("X", "y", "annotations", "groups"):
        here, there = getattr(one, part), getattr(other, part)
        same = here is there is None or here.equals(there)
        assert same, f"{part} differs"  # pytest would print whole tables
    assert [fold.label for fold in one.folds] == [fold.label for fold in other.folds]
    for a, b in zip(one.folds, other.folds, strict=True):
        assert np.array_equal(a.train, b.train) and np.array_equal(a.test, b.test)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("task_id", sorted(set(HUMAN) - ABSENT))
def test_real_tables_have_the_stated_shape_and_classes(task_id: str, protocol: str, open_data: Path) -> None:
    data = loaded(task_id, protocol, open_data)
    assert data.X.shape == (data.task.n_rows, data.task.n_features)
    counts = data.y.sum() if isinstance(data.y, pd.DataFrame) else data.y.value_counts()
    assert counts.to_dict() == data.task.class_counts


@pytest.mark.parametrize("task_id", sorted(catalogue()))
def test_simulated_tables_have_the_stated_shape_and_classes(task_id: str) -> None:
    task = get_task(task_id)
    if set(task.tables) & set(FULL):  # by default fewer genes or taxa are simulated
        data = load_task(task, "aligned", {name: full_table(name) for name in task.tables})
    else:
        data = loaded(task_id, "aligned", None)
    assert data.X.shape == (data.task.n_rows, data.task.n_features)
    counts = data.y.sum() if isinstance(data.y, pd.DataFrame) else data.y.value_counts()
    assert counts.to_dict() == data.task.class_counts
    assert loaded(task_id, "aligned", None).provenance["source"] == "simulated"


@pytest.mark.parametrize("protocol", ["rigorous", "aligned"])
@pytest.mark.parametrize("task_id", sorted(set(HUMAN) - ABSENT))
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1))
def test_order_of_real_rows_and_columns_is_ignored(
    task_id: str, protocol: Protocol, open_data: Path, seed: int
) -> None:
    tables = shuffled_tables(get_task(task_id).under(protocol), real(open_data), seed)
    assert_same(loaded(task_id, protocol, open_data), load_task(task_id, protocol, tables))


@pytest.mark.parametrize("protocol", ["rigorous", "aligned"])
@pytest.mark.parametrize("task_id", FEW_MICE)
@settings(max_examples=EXAMPLES, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_order_of_simulated_rows_and_columns_is_ignored(task_id: str, protocol: Protocol, seed: int) -> None:
    task = get_task(task_id).under(protocol)
    once, again = (load_task(task_id, protocol, shuffled_tables(task, simulated(), s)) for s in (seed, seed + 1))
    assert_same(once, again)
    same = again.X.equals(loaded(task_id, protocol, None).X)
    assert same


@pytest.mark.parametrize("task_id", POSITIONAL)
def test_published_depends_on_the_order_where_the_spec_says_so(task_id: str) -> None:
    tables = shuffled_tables(get_task(task_id), simulated(), seed=0)
    again = load_task(task_id, "published", tables)
    before = loaded(task_id, "published", None)
    # C2 pairs its folds by position, the others their features.
    if task_id == "C2":
        assert [f.test.tolist() for f in again.folds] != [f.test.tolist() for f in before.folds]
    else:
        columns = before.X.columns
        assert not again.X[columns].loc[before.X.index].equals(before.X)


def test_only_3_of_275_rows_meet_their_own_label_in_published_f4(open_data: Path) -> None:
    published, aligned = loaded("F4", "published", open_data), loaded("F4", "aligned", open_data)
    own = (published.X[aligned.X.columns] == aligned.X.loc[published.X.index]).all(axis=1)
    assert own.sum() == 3


def test_direction_concordance_of_c2_is_64_2_percent(open_data: Path) -> None:
    assert loaded("C2", "aligned", open_data).annotations["concordant"].mean() == pytest.approx(0.642, abs=5e-4)


def test_h1_repeated_genes_get_identifiers_of_their_own(open_data: Path) -> None:
    ids = loaded("H1", "aligned", open_data).X.index
    assert ids.is_unique and {"MNDA", "MNDA#2", "MNDA#3"} <= set(ids)


@pytest.mark.parametrize(
    ("formula", "counts"),
    [("C6H12O6", (6, 12, 0, 6, 0, 0)), ("C2H5ClNa", (2, 5, 0, 0, 0, 0)), ("CSe", (1, 0, 0, 0, 0, 0)), ("", (0,) * 6)],
)
def test_atoms_are_elements_not_letters(formula: str, counts: tuple[int, ...]) -> None:
    assert tuple(_atoms(formula).values()) == counts


def tables_of(task_id: str) -> dict[str, pd.DataFrame]:
    return {name: simulated().load(name).copy() for name in get_task(task_id).tables}


def test_a_sample_missing_from_one_table_is_named() -> None:
    tables = tables_of("A1")
    tables["clinical_cmp"] = tables["clinical_cmp"].iloc[1:]
    with pytest.raises(SombError, match=r"A1: sample 'C001_L-3' is not in all of its tables"):
        load_task("A1", source=tables)


def test_a_label_without_features_is_named() -> None:
    tables = tables_of("F4")
    tables["microbiome_human_pathways_cpm"] = tables["microbiome_human_pathways_cpm"].drop(columns="C001_FD2_ARM")
    with pytest.raises(SombError, match="F4: 1 rows have labels but no features, the first is 'C001_FD2_ARM'"):
        load_task("F4", source=tables)


def test_a_class_that_does_not_exist_is_named() -> None:
    tables = tables_of("A2")
    tables["clinical_cytokines_eve"].loc[3, "phase"] = "en_route"
    with pytest.raises(SombError, match="A2: label 'en_route' is not one of post_flight, pre_flight, recovery"):
        load_task("A2", source=tables)


def test_text_and_infinity_among_features_are_named() -> None:
    tables = tables_of("I2")
    tables["cross_mission_pathway_features"]["mean_ES"] = tables["cross_mission_pathway_features"]["mean_ES"].astype(
        object
    )
    tables["cross_mission_pathway_features"].loc[5, "mean_ES"] = "high"
    with pytest.raises(
        SombError, match=r"I2: cross_mission.*\.csv, row 7 .*, column 'mean_ES': 'high' is not a number"
    ):
        load_task("I2", "aligned", tables)
    tables["cross_mission_pathway_features"].loc[5, "mean_ES"] = np.inf
    with pytest.raises(SombError, match=r"row 7 .*, column 'mean_ES': 'inf' is infinite"):
        load_task("I2", "aligned", tables)


def test_a_missing_column_is_named() -> None:
    tables = tables_of("I3")
    tables["cross_mission_gene_de"] = tables["cross_mission_gene_de"].drop(columns="mean_lfcSE")
    with pytest.raises(SombError, match="I3: column 'mean_lfcSE' is missing"):
        load_task("I3", source=tables)
