"""The tables of a task, read for its recipe: errors name task, table, row and column."""

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd

from somb_utils.errors import SombError, printable
from somb_utils.tables.checks import first_not_text, numbers

SAMPLE_COLUMNS = ["sample_id", "crew", "tissue", "month_tp", "timepoint", "timepoint_days", "phase", "mission"]
RANKS = ["domain", "phylum", "class", "order", "family", "genus", "species"]


class Reader:
    """The tables of one task."""

    def __init__(self, task: str, names: Iterable[str], load: Callable[[str], pd.DataFrame]) -> None:
        self.task, self.names, self.load = task, tuple(names), load

    def error(self, message: str) -> SombError:
        """Return an error that names the task."""
        return SombError(f"{self.task}: {message}")

    def columns(self, table: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame:
        """Return columns of a table."""
        names = list(names)
        for name in names:
            if name not in table.columns:
                raise self.error(f"column '{name}' is missing from its table ({', '.join(self.names)})")
        return table[names]

    def column(self, table: pd.DataFrame, name: str) -> pd.Series:
        """Return one column of a table."""
        return self.columns(table, [name])[name]

    def texts(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return a table whose cells are text or blank."""
        for column in table:
            wrong = first_not_text(table[column])
            if wrong is not None:
                raise self.error(f"column '{column}' contains {printable(repr(wrong))}, which is not text")
        return table

    def ids(self, table: pd.DataFrame, column: str) -> pd.Series:
        """Return a column of identifiers, none of them blank."""
        ids = self.texts(self.columns(table, [column]))[column]
        if ids.isna().any():
            raise self.error(f"column '{column}' lacks an identifier in row {int(ids.isna().to_numpy().argmax())}")
        return ids

    def indexed(self, table: pd.DataFrame | str, column: str) -> pd.DataFrame:
        """Return a table, or the one of this name, indexed by a column of unique identifiers."""
        table = self.load(table) if isinstance(table, str) else table
        ids = self.ids(table, column)
        if ids.duplicated().any():
            first = printable(ids[ids.duplicated()].iloc[0])
            raise self.error(f"column '{column}' repeats the identifier '{first}'")
        return table.set_index(column)

    def numbers(self, table: pd.DataFrame, name: str) -> pd.DataFrame:
        """Return columns of the table `name` as float64, blank cells as NaN; text and infinite values are refused."""
        values, not_numbers = numbers(table)
        self._refuse(not_numbers, "is not a number (missing values are blank)", table, name)
        values = values.astype(np.float64)
        self._refuse(values.isin([np.inf, -np.inf]).to_numpy(), "is infinite", values, name)
        return values

    def _refuse(self, wrong: np.ndarray, why: str, table: pd.DataFrame, name: str) -> None:
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            raise self.error(
                f"{name}.csv, row {row + 2} ('{printable(table.index[row])}'), column "
                f"'{printable(table.columns[column])}': '{printable(table.iat[row, column])}' {why}"
            )

    def samples(self, names: tuple[str, ...]) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return the first table, for its sample metadata, and the features of all tables, joined by sample."""
        tables = {name: self.indexed(name, "sample_id") for name in names}
        first = tables[names[0]]
        for table in tables.values():
            if set(table.index) != set(first.index):
                odd = printable(first.index.symmetric_difference(table.index)[0])
                raise self.error(f"sample '{odd}' is not in all of its tables")
        features = [
            self.numbers(table.drop(columns=SAMPLE_COLUMNS, errors="ignore"), name).loc[first.index]
            for name, table in tables.items()
        ]
        return first, pd.concat(features, axis=1)

    def sample_matrix(self, name: str, column: str) -> pd.DataFrame:
        """Return samples × features of a table whose columns are samples; taxonomic ranks are left out."""
        return self.numbers(self.indexed(name, column).drop(columns=RANKS, errors="ignore"), name).T

    def paired(self, features: pd.DataFrame, ids: pd.Index, by_position: bool = False) -> pd.DataFrame:
        """Return the features of rows, paired by identifier or, as published, by position."""
        if by_position:
            if len(features) < len(ids):
                raise self.error(f"{len(ids)} labelled samples, but the feature table has only {len(features)}")
            return features.iloc[: len(ids)].set_axis(ids)
        if len(absent := ids.difference(features.index)):
            first = printable(absent[0])
            raise self.error(f"{len(absent)} rows have labels but no features, the first is '{first}'")
        return features.loc[ids]

    def binary(self, y: pd.Series, classes: tuple[str, ...]) -> pd.Series:
        """Return the names of the classes of labels 0 and 1."""
        if not y.isin([0, 1]).all():
            raise self.error("the label column has a value that is neither 0 nor 1")
        negative, positive = classes
        return y.astype(bool).map({False: negative, True: positive})
