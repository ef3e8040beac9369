"""A user's table is read as written, corrected with a note, or refused in a sentence that names the row."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from somb_utils.errors import SombError, UsageError
from somb_utils.signatures.genes import Ids
from somb_utils.signatures.read import read_signature


def deseq2(n: int = 200, genes: str = "Gene{}") -> pd.DataFrame:
    """Return a table as DESeq2 writes it, of mouse symbols."""
    rng = np.random.default_rng(1)
    p = np.linspace(1e-6, 1, n)
    effect = rng.normal(size=n)
    return pd.DataFrame(
        {
            "gene": [genes.format(i) for i in range(n)],
            "log2FoldChange": effect.round(6),
            "stat": (np.sign(effect) * np.linspace(6, 0.1, n)).round(6),
            "pvalue": p.round(9),
            "padj": np.minimum(1, 2 * p).round(9),
        }
    )


BASE = deseq2()
TEXT = BASE.to_csv(index=False)


def with_cell(column: str, value: object, row: int = 3) -> str:
    table = BASE.astype(object)
    table.loc[row, column] = value
    return table.to_csv(index=False)


def with_genes(*genes: str) -> str:
    """Return the table with its last genes replaced."""
    kept = list(BASE["gene"][: len(BASE) - len(genes)])
    return BASE.assign(gene=[*kept, *genes]).to_csv(index=False)


def write(folder: Path, content: str | bytes, name: str = "mine.csv") -> Path:
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


CORRECTED = {
    "tabs": (TEXT.replace(",", "\t"), "separated by tabs"),
    "semicolons": (TEXT.replace(",", ";"), "separated by semicolons"),
    "blanks and row names, as R's write.table": (
        BASE.set_index("gene").to_csv(sep=" ").removeprefix("gene "),
        "gene: row names",
    ),
    "blanks in names of columns": (TEXT.replace("log2FoldChange", "log2 Fold Change"), "effect: 'log2 Fold Change'"),
    "decimal commas": (BASE.to_csv(sep=";", decimal=",", index=False), "decimal commas in 'pvalue'"),
    "decimal commas in quotes": (
        BASE.map(lambda cell: f"{cell:f}".replace(".", ",") if isinstance(cell, float) else cell).to_csv(index=False),
        "decimal commas",
    ),
    "gzip under another name": (gzip.compress(TEXT.encode()), "compressed by gzip"),
    "UTF-16": (TEXT.encode("utf-16"), "UTF-16"),
    "Latin-1": (TEXT.replace("Gene199", "Gène199").encode("latin-1"), "Latin-1"),
    "a gene twice": (with_genes("Gene1"), "1 genes that occur several times were left out"),
    "fold changes missing": (with_cell("log2FoldChange", ""), "1 genes without a fold change or p-value"),
    "no adjusted p": (BASE.drop(columns="padj").to_csv(index=False), "adjusted p-values were computed"),
    "significant genes only": (BASE[BASE["padj"] < 0.05].to_csv(index=False), "overlap has no test"),
    "some Ensembl ids": (with_genes(*[f"ENSMUSG{i:011d}" for i in range(9)]), "9 mouse Ensembl ids among the mouse"),
    "ratios": (BASE.assign(log2FoldChange=2 ** BASE["log2FoldChange"]).to_csv(index=False), "if they are ratios"),
    "a statistic without a sign": (BASE.assign(stat=BASE["stat"].abs()).to_csv(index=False), "'stat' has no sign"),
    "versions of Ensembl ids": (deseq2(genes="ENSG{:011d}.7").to_csv(index=False), "human Ensembl ids"),
}


@pytest.mark.parametrize("case", CORRECTED)
def test_a_correction_is_stated(case: str, tmp_path: Path) -> None:
    content, said = CORRECTED[case]
    signature = read_signature(write(tmp_path, content))
    assert said in "; ".join(signature.notes)
    expected = read_signature(BASE).genes
    common = signature.genes.index.intersection(expected.index)
    if len(common) and case != "ratios":
        np.testing.assert_allclose(signature.genes["effect"][common], expected["effect"][common])
        assert (signature.genes["significant"][common] == expected["significant"][common]).all() or "adjusted" in said


EXCEL = "a day that a spreadsheet made"
REFUSED = {
    "empty": ("", "is empty"),
    "header alone": ("gene,logFC,padj\n", "no rows"),
    "no header": (TEXT.partition("\n")[2], "no header"),
    "genes alone": ("\n".join(BASE["gene"]), "one column"),
    "no fold change": (BASE.drop(columns="log2FoldChange").to_csv(index=False), "no column of log2 fold changes"),
    "no p-value": (BASE[["gene", "log2FoldChange"]].to_csv(index=False), "no column of p-values"),
    "no gene": (BASE.rename(columns={"gene": "what"}).to_csv(index=False), "no column of genes"),
    "a column twice": (TEXT.replace("stat", "padj", 1), "'padj' occurs twice"),
    "decimal commas in a comma-separated table": (TEXT.replace("0.", "0,"), "line 2 has"),
    "a line cut off": (TEXT.rstrip().rpartition(",")[0], "line 201 has 4 columns and the header 5"),
    "a word among numbers": (with_cell("pvalue", "low"), "row 5, column 'pvalue': 'low' is not a number"),
    "an error of Excel": (with_cell("padj", "#NUM!"), "row 5, column 'padj': '#NUM!'"),
    "a p above 1": (with_cell("pvalue", 6.2), "row 5, column 'pvalue': 6.2 is no p-value"),
    "a p below 0": (with_cell("padj", -0.1), "row 5, column 'padj': -0.1 is no p-value"),
    "no fold change at all": (BASE.assign(log2FoldChange="NA").to_csv(index=False), "no gene has all of log2Fold"),
    "1-Mar": (with_cell("gene", "1-Mar"), f"row 5: the gene '1-Mar' is {EXCEL}"),
    "Mar-01": (with_cell("gene", "Mar-01"), EXCEL),
    "2-Sept": (with_cell("gene", "2-Sept"), EXCEL),
    "1. Mrz": (with_cell("gene", "1. Mrz"), EXCEL),
    "2021-03-01": (with_cell("gene", "2021-03-01"), EXCEL),
    "44256": (with_cell("gene", "44256"), EXCEL),
    "stacked contrasts": (pd.concat([BASE, BASE.assign(padj=0.5)]).to_csv(index=False), "200 genes occur several"),
    "human and mouse symbols": (
        with_genes(*[f"GENE{i}" for i in range(100)]), "50% of the symbols are written like human ones",
    ),
    "symbols and Ensembl ids": (with_genes(*[f"ENSMUSG{i:011d}" for i in range(80)]), "identifiers of different kinds"),
    "human and mouse Ensembl ids": (
        deseq2(genes="ENSG{:011d}").replace({"gene": r"ENSG(.*[02468])$"}, {"gene": r"ENSMUSG\1"}, regex=True)
        .to_csv(index=False), "identifiers of different kinds",
    ),
    "one value for all": (BASE.assign(log2FoldChange=1, stat=2).to_csv(index=False), "cannot be ranked"),
    "Entrez ids": (deseq2(genes="10{}").to_csv(index=False), "numbers, such as Entrez ids"),
    "rat": (deseq2(genes="ENSRNOG{:011d}").to_csv(index=False), "another species than human and mouse"),
    "transcripts": (deseq2(genes="ENSMUST{:011d}").to_csv(index=False), "are transcripts"),
    "zebrafish": (deseq2(genes="gene{}").to_csv(index=False), "give one species, or name it"),
    "an Excel workbook": (b"PK\x03\x04" + bytes(100), "is an Excel workbook"),
    "UTF-16 without its mark": (TEXT.encode("utf-16-le"), "zero bytes"),
    "damaged gzip": (gzip.compress(TEXT.encode())[:-9], "damaged gzip"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_is_refused_in_a_sentence(case: str, tmp_path: Path) -> None:
    content, said = REFUSED[case]
    with pytest.raises(SombError) as refusal:
        read_signature(write(tmp_path, content))
    message = str(refusal.value)
    assert said in message and message.startswith(str(tmp_path / "mine.csv")) and "\n" not in message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SombError, match=r"nothing\.csv"):
        read_signature(tmp_path / "nothing.csv")


AS_WRITTEN: dict[str, Callable[[], pd.DataFrame]] = {
    "edgeR": lambda: BASE.rename(columns={"log2FoldChange": "logFC", "pvalue": "PValue", "padj": "FDR"}).assign(
        LR=BASE["stat"] ** 2
    ).drop(columns="stat"),
    "limma": lambda: BASE.rename(
        columns={"log2FoldChange": "logFC", "stat": "t", "pvalue": "P.Value", "padj": "adj.P.Val"}
    ).set_index("gene"),
    "scanpy": lambda: BASE.rename(
        columns={"gene": "names", "log2FoldChange": "logfoldchanges", "stat": "scores", "pvalue": "pvals",
                 "padj": "pvals_adj"}
    ),
    "GeneLab": lambda: BASE.rename(
        columns={"gene": "SYMBOL", "log2FoldChange": "Log2fc_(Space Flight)v(Ground Control)",
                 "stat": "Stat_(Space Flight)v(Ground Control)", "pvalue": "P.value_(Space Flight)v(Ground Control)",
                 "padj": "Adj.p.value_(Space Flight)v(Ground Control)"}
    ).assign(**{"Log2fc_(Ground Control)v(Space Flight)": -BASE["log2FoldChange"],
                "P.value_(Ground Control)v(Space Flight)": BASE["pvalue"]}),
}  # fmt: skip


@pytest.mark.parametrize("program", AS_WRITTEN)
def test_tables_of_each_program_are_recognised(program: str) -> None:
    signature, expected = read_signature(AS_WRITTEN[program]()), read_signature(BASE)
    assert signature.ids == Ids("mouse", "symbol") and signature.complete
    pd.testing.assert_frame_equal(signature.genes[["effect", "significant"]], expected.genes[["effect", "significant"]])
    assert signature.genes["strength"].rank().corr(expected.genes["strength"].rank()) > 0.999


def test_one_of_several_contrasts_is_named() -> None:
    table = AS_WRITTEN["GeneLab"]()
    reverse = read_signature(table, contrast="(Ground Control)v(Space Flight)")
    assert (reverse.genes["effect"] == -read_signature(table).genes["effect"]).all()
    columns = {name: name.replace("Space Flight", "FLT_1G") for name in table if "Ground Control)v(" not in name}
    several = table.join(table.rename(columns=columns).iloc[:, 1:5])
    with pytest.raises(UsageError, match=r"3 contrasts in one table; name one with --contrast"):
        read_signature(several)
    with pytest.raises(UsageError, match="no contrast 'flight'"):
        read_signature(table, contrast="flight")
    with pytest.raises(UsageError, match="is for GeneLab tables"):
        read_signature(BASE, contrast="flight")


def test_the_species_can_be_named() -> None:
    capitals = BASE.assign(gene=BASE["gene"].str.upper())
    assert read_signature(capitals).ids.organism == "human"
    assert read_signature(capitals, organism="mouse").ids.organism == "mouse"
    with pytest.raises(SombError, match="but the species given is human"):
        read_signature(deseq2(genes="ENSMUSG{:011d}"), organism="human")
