"""Read a user's differential-expression table, and name everything that was recognised and corrected."""

import csv
import gzip
import io
import re
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control

from somb_utils.errors import SombError, UsageError, printable
from somb_utils.paths import read_file
from somb_utils.signatures.genes import ALPHA, Ids, Organism, Signature, measured, recognise, spreadsheet_days

MAX_BYTES = 200 * 2**20
# Column names, in small letters and without signs, as DESeq2, edgeR, limma, scanpy and Seurat write them, best first.
_NAMES = {
    "Ensembl": "ensembl ensemblid ensemblgeneid ensgene",
    "gene": "symbol genesymbol hgncsymbol mgisymbol externalgenename genename gene genes names feature geneid id "
    "humangene unnamed0 rownames x 1",
    "effect": "log2foldchange log2fc logfc avglog2fc avglogfc logfoldchanges logfoldchange lfc",
    "statistic": "stat t statistic tstat scores score z zscore",
    "p": "pvalue pval pvals p",
    "adjusted p": "padj adjpvalue adjpval pvalsadj pvaladj fdr qvalue qval adjp",
}
_CONTRAST = re.compile(r"(Log2fc|Stat|P\.value|Adj\.p\.value)_(\(.+\)v\(.+\))")  # of GeneLab
_CONTRAST_COLUMNS = {"Log2fc": "effect", "Stat": "statistic", "P.value": "p", "Adj.p.value": "adjusted p"}
_MISSING = ["", "na", "nan", "n/a", "null", "none", "."]
_MOST_REPEATED = 0.05  # share of the rows; more are several contrasts in one table


def read_signature(
    source: Path | pd.DataFrame, contrast: str | None = None, organism: Organism | None = None
) -> Signature:
    """Return the signature in a file or a data frame; problems are `SombError`s that name file and row."""
    name = "the data frame" if isinstance(source, pd.DataFrame) else str(source)
    notes: list[str] = []
    try:
        table = _as_text(source) if isinstance(source, pd.DataFrame) else _read_text(_decoded(source, notes), notes)
        return _signature(name, table, contrast, organism, notes)
    except SombError as error:
        raise type(error)(f"{name}: {error}") from None


def _decoded(path: Path, notes: list[str]) -> str:
    content = read_file(path, MAX_BYTES)
    if content.startswith(b"\x1f\x8b"):
        try:
            with gzip.open(io.BytesIO(content)) as stream:
                content = stream.read(MAX_BYTES + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise SombError(f"is a damaged gzip file ({error}); compress it again") from None
        if len(content) > MAX_BYTES:
            raise SombError(f"is larger than {MAX_BYTES // 2**20} MB when decompressed")
        notes += [] if path.suffix == ".gz" else ["the file is compressed by gzip, though its name does not say so"]
    if content.startswith((b"PK", b"\xd0\xcf\x11\xe0")):
        raise SombError("is an Excel workbook or a zip file; save the sheet as CSV UTF-8")
    encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    if encoding == "utf-16":
        notes.append("the text is UTF-16")
    elif b"\0" in content[:1000]:
        raise SombError("has zero bytes: it is binary, or UTF-16 without its mark; save it as CSV UTF-8")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        if encoding == "utf-16":
            raise SombError("is damaged UTF-16 text; save it as CSV UTF-8") from None
        notes.append("the text is not UTF-8 and was read as Latin-1")
        return content.decode("latin-1")


def _read_text(text: str, notes: list[str]) -> pd.DataFrame:
    """Return the cells as text; the index is the line of the file."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    if not first:
        raise SombError("is empty")
    separators = {",": "commas", "\t": "tabs", ";": "semicolons", " ": "blanks"}
    separator = max(",", "\t", ";", key=first.count)
    separator = separator if separator in first else " "  # names of columns may have blanks in them
    if separator != ",":
        notes.append(f"columns are separated by {separators[separator]}")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(map(str.strip, row))]
    except csv.Error as error:
        raise SombError(f"line {reader.line_num} cannot be read as CSV: {error}") from None
    header, body = rows[0][1], rows[1:]
    if not body:
        raise SombError("has a header and no rows")
    if separator != "," and len(body[0][1]) == len(header) + 1:  # R's write.table leaves out the name of row names
        header = ["", *header]
    if len(header) == 1:
        raise SombError("has one column; a table of genes with fold changes and p-values is needed")
    for line, row in body:
        if len(row) != len(header):
            raise SombError(
                f"line {line} has {len(row)} columns and the header {len(header)}: another separator, a decimal comma "
                "without quotes, or a line cut off"
            )
    if sum(_is_number(cell) for cell in header) > 0:
        raise SombError(f"has no header: its first line is '{printable(first, 80)}'; add the names of the columns")
    return pd.DataFrame([row for _, row in body], columns=header, index=[line for line, _ in body], dtype=str)


def _as_text(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a data frame's cells as text, with the index as a column where it names rows; rows are counted from 1."""
    if frame.empty:
        raise SombError("is empty")
    if not isinstance(frame.index, pd.RangeIndex):
        frame = frame.rename_axis(index=str(frame.index.name or "")).reset_index(allow_duplicates=True)
    text = frame.astype(object).where(frame.notna(), "").map(str).map(str.strip)
    return text.set_axis([str(column) for column in text], axis=1).set_axis(range(1, len(text) + 1))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _signature(
    name: str, table: pd.DataFrame, contrast: str | None, organism: Organism | None, notes: list[str]
) -> Signature:
    columns = _columns(table, contrast, notes)
    ids, names = _genes(table, columns, organism, notes)
    values = pd.DataFrame({role: _numbers(table.loc[names.index, column], notes) for role, column in columns.items()
                           if role not in ("Ensembl", "gene")})  # fmt: skip
    values = _complete(values.assign(gene=names), columns, notes)
    values = _once(values, notes).set_index("gene")
    p, q, statistic = (values.get(role) for role in ("p", "adjusted p", "statistic"))
    if q is None:
        q = pd.Series(false_discovery_control(values["p"]), values.index)
        notes.append("adjusted p-values were computed (Benjamini-Hochberg)")
    if statistic is not None and (np.sign(statistic) * np.sign(values["effect"])).mean() < 0.5:
        notes.append(f"'{columns['statistic']}' has no sign, so genes are ranked by p-value and fold change")
        statistic = None
    if (values["effect"] >= 0).all():
        notes.append("no fold change is below 0: if they are ratios and not logarithms, the answer is wrong")
    genes = measured(values["effect"], statistic, p, q)
    if genes["strength"].nunique() == 1:
        raise SombError("all genes have the same fold change and p-value, so they cannot be ranked")
    complete = bool((q.fillna(1) >= ALPHA).any())
    if not complete:
        notes.append(
            "every gene is significant: overlap has no test without the genes that were tested and did not change; "
            "give all genes"
        )
    return Signature(name, genes, ids, tuple(notes), complete)


def _columns(table: pd.DataFrame, contrast: str | None, notes: list[str]) -> dict[str, str]:
    """Return the table's column of each role, and note which these are."""
    header = [str(column) for column in table]
    if repeated := [column for column in header if column and header.count(column) > 1]:
        raise SombError(f"column '{printable(repeated[0])}' occurs twice")
    plain = {re.sub(r"[^a-z0-9]+", "", column.lower()) or "unnamed0": column for column in reversed(header)}
    roles = {
        role: plain[known]
        for role, names in _NAMES.items()
        if (known := next((n for n in names.split() if n in plain), ""))
    }
    contrasts: dict[str, dict[str, str]] = {}
    for column in header:
        if parts := _CONTRAST.fullmatch(column):
            contrasts.setdefault(parts[2], {})[_CONTRAST_COLUMNS[parts[1]]] = column
    if contrasts:
        chosen = _chosen(contrasts, contrast)
        roles |= contrasts[chosen]
        notes.append(f"contrast {chosen}: its first group is compared with its second")
    elif contrast:
        raise UsageError("--contrast is for GeneLab tables, which hold several (Log2fc_(A)v(B)); this one does not")
    if "Ensembl" in roles and "gene" in roles:
        mouse = table[roles["Ensembl"]].str.startswith("ENSMUS").mean() > 0.5  # as the mouse references have them
        del roles["gene" if mouse else "Ensembl"]
    needed = {
        "genes": not {"gene", "Ensembl"} & set(roles),
        "log2 fold changes": "effect" not in roles,
        "p-values": not {"p", "adjusted p"} & set(roles),
    }
    if lacking := [what for what, is_lacking in needed.items() if is_lacking]:
        raise SombError(
            f"no column of {', of '.join(lacking)} among {printable(', '.join(header))}; names that are known: "
            "gene, SYMBOL, ENSEMBL; log2FoldChange, logFC; pvalue, padj, FDR"
        )
    notes.insert(
        0, "; ".join(f"{role}: '{column}'" if column else f"{role}: row names" for role, column in roles.items())
    )
    return roles


def _chosen(contrasts: dict[str, dict[str, str]], contrast: str | None) -> str:
    """Return the contrast that is asked for, else the only one of flight against ground."""
    if contrast is None:
        flight = re.compile(r"\(.*(flight|flt).*\)v\((?!.*(flight|flt)).*\)", re.I)
        found = [name for name in contrasts if flight.fullmatch(name)] or list(contrasts)
    else:
        found = [
            name for name in contrasts if contrast.casefold() in (name.casefold(), name.casefold().replace(" ", ""))
        ]
    if len(found) == 1:
        return found[0]
    listed = "\n  ".join(contrasts)
    problem = f"no contrast '{contrast}'" if contrast else f"{len(contrasts)} contrasts in one table"
    raise UsageError(f"{problem}; name one with --contrast:\n  {listed}")


def _genes(
    table: pd.DataFrame, columns: dict[str, str], organism: Organism | None, notes: list[str]
) -> tuple[Ids, pd.Series]:
    """Return the kind of identifiers and, in capital letters, the genes that have one."""
    column = table[columns.get("Ensembl", columns.get("gene", ""))]
    genes = column.where(~column.str.lower().isin(["na", "nan", "none"]), "")
    if (days := spreadsheet_days(genes)).any():
        line, name = days.index[days][0], printable(genes[days].iloc[0])
        raise SombError(
            f"row {line}: the gene '{name}' is a day that a spreadsheet made of a name such as MARCH1 or SEPT2 "
            f"({days.sum()} of them); take the names from a file that was never opened in one, or import that "
            "column as text"
        )
    if (genes == "").all():
        raise SombError(f"column '{column.name}' has no gene")
    ids, rows, others = recognise(genes, organism)
    notes += others
    if blank := (genes == "").sum():
        notes.append(f"{blank:,} rows without a gene were left out")
    notes.append(f"genes: {ids}")
    kept = genes[rows].str.upper()
    return ids, kept.str.replace(r"\.\d+$", "", regex=True) if ids.kind == "ensembl" else kept


def _numbers(cells: pd.Series, notes: list[str]) -> pd.Series:
    text = cells.where(~cells.str.lower().isin(_MISSING), "nan")
    values = pd.to_numeric(text, errors="coerce")
    odd = values.isna() & (text != "nan")
    if odd.any() and text[odd].str.fullmatch(r"[+-]?\d*,\d+(e[+-]?\d+)?", case=False).all():
        notes.append(f"decimal commas in '{cells.name}' were read as points")
        values = pd.to_numeric(text.str.replace(",", "."), errors="coerce")
        odd = values.isna() & (text != "nan")
    if odd.any():
        first = printable(cells[odd].iloc[0], 40)
        raise SombError(f"row {odd.index[odd][0]}, column '{cells.name}': '{first}' is not a number")
    return values.astype(float)


def _complete(values: pd.DataFrame, columns: dict[str, str], notes: list[str]) -> pd.DataFrame:
    """Return the rows that were tested; refuse p-values that are none."""
    for role in {"p", "adjusted p"} & set(values):
        outside = (values[role] < 0) | (values[role] > 1)
        if outside.any():
            first = values[role][outside].iloc[0]
            raise SombError(
                f"row {outside.index[outside][0]}, column '{columns[role]}': {first:g} is no p-value, which "
                "lies from 0 to 1 (is it a logarithm?)"
            )
    needed = [role for role in ("effect", "p", "statistic") if role in values]
    needed += ["adjusted p"] if "p" not in values else []
    missing = values[needed].isna().any(axis=1)
    if missing.all():
        raise SombError(f"no gene has all of {', '.join(columns[role] for role in needed)}")
    if missing.any():
        notes.append(f"{missing.sum():,} genes without a fold change or p-value were left out, as not tested")
    return values[~missing]


def _once(values: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """Return one row per gene."""
    values = values.drop_duplicates()
    repeated = values["gene"].duplicated(keep=False)
    genes = values["gene"][repeated]
    if repeated.mean() > _MOST_REPEATED:
        rows = ", ".join(map(str, genes.index[genes == genes.iloc[0]][:3]))
        raise SombError(
            f"{genes.nunique():,} genes occur several times ({genes.iloc[0]} in rows {rows}): these may be several "
            "contrasts, cell types or groups in one table; give one"
        )
    if repeated.any():
        notes.append(f"{genes.nunique():,} genes that occur several times were left out, since their rows differ")
    return values[~repeated]
