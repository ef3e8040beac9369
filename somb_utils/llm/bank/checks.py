"""Operations on open tables, and the checks of key facts: an operation and the value it must give.

A check is written in YAML: ``{op: count, table: clinical_cbc, where: "phase == 'recovery'", value: 8}``. The
operations are in `somb_utils.llm.bank.operations`; conditions hold column names, constants, comparisons, arithmetic
and boolean operators, and nothing else.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, model_validator

from somb_utils.errors import SombError
from somb_utils.llm.bank.conditions import check_pattern, condition_columns

Value = int | float | str | list[str]
Op = Literal[
    "count", "columns", "nunique", "values", "value", "fraction", "missing",
    "mean", "median", "sum", "min", "max", "std",
    "ratio", "difference", "higher", "corr", "agreement", "overlap", "shared", "auroc", "top", "bottom",
]  # fmt: skip

NEEDS: dict[str, tuple[str, ...]] = {
    "count": ("table",),
    "columns": ("table", "match"),
    "nunique": ("table", "column"),
    "values": ("table", "column"),
    "value": ("table", "column", "where"),
    "fraction": ("table", "where"),
    "missing": ("table",),
    **dict.fromkeys(("mean", "median", "sum", "min", "max", "std"), ("table",)),
    "ratio": ("table", "column", "where", "other_where"),
    "difference": ("table", "column", "where", "other_where"),
    "higher": ("table", "match", "where", "other_where"),
    "corr": ("table", "column"),
    "agreement": ("table", "column", "on"),
    "overlap": ("table", "other", "on"),
    "shared": ("table", "other", "on"),
    "auroc": ("table", "column", "where"),
    "top": ("table", "column", "id"),
    "bottom": ("table", "column", "id"),
}


class Operation(BaseModel):
    """An operation on open tables.

    Parameters
    ----------
    op
        Name of the operation.
    table, other
        Table stems, such as ``clinical_cbc``; `other` only for operations on two tables (default: `table`).
    where, other_where
        Row conditions. For `fraction` the rows counted, for `auroc` the positives; for `ratio`, `difference` and
        `higher` the two groups compared.
    given
        Row condition applied first (`fraction`, `ratio`, `difference`, `higher`, `auroc`): the rows it is about.
    column, other_column
        Columns read; `other_column`, the one of the second table or group, defaults to `column`.
    match
        Regular expression choosing several columns (searched), in place of `column`.
    on, other_on
        Column, or list of columns, that identifies rows when two tables are joined.
    id
        Column that `top` and `bottom` return.
    method
        ``pearson`` or ``spearman`` for `corr`; ``mean`` or ``median`` for `ratio`, `difference` and `higher`, and for
        `top` and `bottom` where they compare groups of rows of one `id` each.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    op: Op
    table: str = ""
    other: str | None = None
    where: str | None = None
    other_where: str | None = None
    given: str | None = None
    column: str | None = None
    other_column: str | None = None
    match: str | None = None
    on: str | tuple[str, ...] | None = None
    other_on: str | tuple[str, ...] | None = None
    id: str | None = None
    method: Literal["pearson", "spearman", "mean", "median"] | None = None

    @model_validator(mode="before")
    @classmethod
    def _plain_on(cls, data: Any) -> Any:
        """Accept an unquoted ``on``, which YAML 1.1 reads as true."""
        return {"on" if k is True else k: v for k, v in data.items()} if isinstance(data, dict) else data

    @model_validator(mode="after")
    def _complete(self) -> "Operation":
        try:
            for condition in filter(None, (self.where, self.other_where, self.given)):
                condition_columns(condition)
            check_pattern(self.match or "")
        except SombError as error:
            raise ValueError(str(error)) from None
        missing = [name for name in NEEDS[self.op] if not getattr(self, name)]
        if missing:
            raise ValueError(f"the operation {self.op} needs {', '.join(missing)}")
        return self

    @property
    def tables(self) -> tuple[str, ...]:
        """Return the stems of the tables read."""
        return tuple(dict.fromkeys(name for name in (self.table, self.other) if name))


class Check(Operation):
    """An operation and the value it must give.

    Parameters
    ----------
    op, table, other, where, other_where, given, column, other_column, match, on, other_on, id, method
        As in `Operation`.
    value
        What the operation must give: exactly, or rounded to four significant digits if it is a decimal number.
    """

    value: Value
