"""Items that code marks: their sets, their keys on the real tables, and what may not stand in a question."""

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.feature_extraction.text import TfidfVectorizer

from somb_utils.errors import SombError, UsageError
from somb_utils.llm.bank import questions as bank
from somb_utils.llm.bank.schema import MODALITIES
from somb_utils.llm.core import items as core
from somb_utils.llm.core.items import UNDETERMINED, Item, load_items
from somb_utils.llm.core.keys import Key, compute_keys, places, tables_of
from somb_utils.llm.core.marking import mark
from somb_utils.llm.core.private import generate, write
from somb_utils.llm.core.probes import perturbed
from somb_utils.llm.core.prompts import item_prompt
from somb_utils.llm.core.units import UNITS
from somb_utils.tables.sources import FolderSource, SimulatedSource

ITEMS = load_items()
BY_ID = {item.id: item for item in ITEMS}
TOO_SIMILAR = 0.8  # cosine of TF-IDF vectors; items on one table share its name, twins most of their words
ITEM = {
    "id": "CLIN-C001", "question": "How many blood counts are there?", "kind": "numeric", "modality": "clinical",
    "contexts": ["clinical"], "answer": {"op": "count", "table": "clinical_cbc"}, "tolerance": {"decimals": 0},
    "unit": "samples",
}  # fmt: skip


@pytest.fixture(scope="module")
def source(open_data: Path) -> FolderSource:
    source = FolderSource(open_data / "processed")
    if lacking := [name for item in ITEMS for name in tables_of(item) if not source.has(name)]:
        pytest.skip(f"not all tables of the items are there: {lacking[0]}")
    return source


@pytest.fixture(scope="module")
def keys(source: FolderSource) -> dict[str, Key]:
    return compute_keys(ITEMS, source)


def test_the_sets_are_whole() -> None:
    core_set = load_items("core")
    kinds, modalities = Counter(i.kind for i in core_set), Counter(i.modality for i in core_set)
    assert len(core_set) >= 150 and min(modalities[name] for name in MODALITIES) >= 15
    assert kinds["numeric"] <= 0.6 * len(core_set)
    assert min(kinds[kind] for kind in ("sign", "set", "choice", "undetermined")) >= 15
    for group in ("abstain", "premise"):
        part = load_items(group)
        asked = [i for i in part if i.kind == "undetermined"]
        assert len(asked) >= 30 and {i.twin for i in asked} == {i.id for i in part} - {i.id for i in asked}


def test_the_book_states_their_sizes() -> None:
    text = (Path(__file__).parents[2] / "book" / "llm.md").read_text(encoding="utf-8")
    unknown = {group: sum(i.kind == "undetermined" for i in load_items(group)) for group in ("abstain", "premise")}
    assert f"{len(load_items('core'))} core items" in text
    assert f"{unknown['abstain']} questions that the data do not answer and {unknown['premise']} that assume" in text


def test_items_and_their_twins_ask_for_the_same_form() -> None:
    for item in ITEMS:
        if item.twin:
            tails = [item_prompt(i, "recall").rpartition("Form of the answer")[2] for i in (item, BY_ID[item.twin])]
            assert tails[0] == tails[1], item.id


BY_HAND = {
    "CLIN-C001": lambda t: t("clinical_cbc").groupby("timepoint").cbc_hemoglobin.mean()["L-92"],
    "CLIN-C003": lambda t: (
        t("clinical_cbc").query("timepoint == 'R+194'").cbc_platelet_count.mean()
        / t("clinical_cbc").query("timepoint_days < 0").cbc_platelet_count.mean()
    ),
    "CLIN-C005": lambda t: t("clinical_cbc").pivot_table("cbc_hemoglobin", "crew").cbc_hemoglobin.idxmax(),
    "CLIN-C008": lambda t: t("clinical_cmp").pivot_table("cmp_potassium", "timepoint").cmp_potassium.idxmax(),
    "CLIN-C012": lambda t: sum(
        t("clinical_cytokines_eve").query("timepoint_days == 1")[c].mean()
        > t("clinical_cytokines_eve").query("timepoint_days < 0")[c].mean()
        for c in t("clinical_cytokines_eve").columns[7:]
    ),
    "CLIN-C015": lambda t: (
        t("clinical_cytokines_eve")
        .merge(t("clinical_cytokines_alamar_serum"), on="sample_id")[["eve_immune_mcp_1", "alamar_serum_ccl2"]]
        .corr("spearman")
        .iloc[0, 1]
    ),
    "CLIN-C017": lambda t: np.mean(
        [
            (a > b) + 0.5 * (a == b)
            for a in t("clinical_cardiovascular_eve").query("timepoint_days > 1").eve_cardio_crp
            for b in t("clinical_cardiovascular_eve").query("timepoint_days <= 1").eve_cardio_crp
        ]
    ),
    "TRAN-C002": lambda t: 100 * (t("cfrna_466drr").flight_norm_mean > t("cfrna_466drr").pre_norm_mean).mean(),
    "TRAN-C010": lambda t: int(t("gt_hemoglobin_i4_expression").eval("`R+1` > Preflight").sum()),
    "TRAN-C013": lambda t: (
        t("gt_cfrna_tissue_enrichment").query("FDR < 0.05").set_index("Term")["Fold Enrichment"].idxmax()
    ),
    "PROT-C005": lambda t: len(
        set(t("proteomics_plasma_de_clean").query("adj_pval < 0.05").gene)
        & set(t("proteomics_evp_de_clean").query("adj_pval < 0.05").gene)
    ),
    "PROT-C012": lambda t: t("proteomics_plasma_matrix").groupby("phase").PF4.mean().diff().loc["pre_flight"] * -1,
    "METB-C001": lambda t: len(
        t("metabolomics_de").query("contrast == 'I4-FP1' and adj_pval < 0.05 and logFC > 0").index
    ),
    "METB-C009": lambda t: t("metabolomics_spaceflight_response").groupby("is_spaceflight_de").Mass.mean().diff()[True],
    "SPAT-C004": lambda t: tuple(
        sorted(
            set(t("gt_spatial_de_epidermis").query("adj_pval < 0.05").gene)
            & set(t("gt_spatial_de_inner_epidermis").query("adj_pval < 0.05").gene)
        )
    ),
    "SPAT-C013": lambda t: np.corrcoef(
        *(
            t(f"gt_spatial_de_{name}").set_index("gene").log2FoldChange.sort_index().to_numpy()
            for name in ("outer_epidermis", "inner_epidermis")
        )
    )[0, 1],
    "MICR-C001": lambda t: 100 * t("microbiome_metadata").phase.value_counts(normalize=True)["in_flight"],
    "MICR-C015": lambda t: (
        t("microbiome_gut_taxonomy_cpm")
        .groupby("genus")["C004_L-44"]
        .sum()[["Prevotella", "Faecalibacterium", "Bacteroides", "Roseburia", "Blautia"]]
        .idxmax()
    ),
    "XMIS-C001": lambda t: (
        t("cross_mission_pathway_features").pathway.isin(t("gt_conserved_pathways_GeneLab").pathway).sum()
    ),
    "XMIS-C012": lambda t: (
        t("cross_mission_gene_de")
        .groupby("label")
        .max_abs_log2fc.median()
        .pipe(lambda medians: medians[1] / medians[0])
    ),
    "MULT-C001": lambda t: len(t("clinical_cbc").merge(t("proteomics_plasma_matrix"), on=["crew", "timepoint"])),
    "METH-C001": lambda t: 100 * t("clinical_cbc").phase.value_counts(normalize=True)["recovery"],
    "METH-C003": lambda t: (
        pd.crosstab(t("proteomics_plasma_matrix").crew != "C004", "n").shape[0]
        and len(t("proteomics_plasma_matrix").query("crew != 'C004' and timepoint_days > 1"))
    ),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_keys_are_what_pandas_gives_by_hand(name: str, keys: dict[str, Key], source: FolderSource) -> None:
    expected, key = BY_HAND[name](source.load), keys[name].value
    assert key == (pytest.approx(float(expected)) if isinstance(key, float) else expected)


def _slips(item: Item, key: Key) -> list[str]:
    """Return the stated key with each digit changed, with the other sign and in another unit."""
    number = key.text.removesuffix(f" {item.unit}")
    slips = [
        number[:at] + str((int(digit) + 1) % 10) + number[at + 1 :]
        for at, digit in enumerate(number)
        if digit.isdigit()
    ]
    trailing = len(number) - len(number.rstrip("0")) if item.tolerance and item.tolerance.significant else 0
    slips = slips[: len(slips) - trailing] if "." not in number else slips  # zeros beyond the digits asked for
    other = {"mg/dL": "g/L", "g/dL": "mg/dL", "thousand per µL": "million per µL"}
    units = other.get(item.unit or "", "U/L" if item.unit in UNITS else "%")
    return [*slips, f"-{number}" if float(number) > 0 else number.lstrip("-"), f"{number} {units}"]


def test_keys_are_right_and_no_slip_in_them_is(keys: dict[str, Key]) -> None:
    for item in ITEMS:
        key = keys[item.id]
        stated = key.text
        if item.kind == "choice":
            stated = chr(ord("A") + item.options.index(key.text))
        assert mark(item, key, f"So it is.\nANSWER: {stated}").correct, item.id
        declined = mark(item, key, f"ANSWER: {UNDETERMINED}")
        assert declined.correct == (item.kind == "undetermined") and not declined.answered
        if item.kind == "numeric":
            for slip in _slips(item, key):
                assert not mark(item, key, f"ANSWER: {slip}").correct, (item.id, key, slip)


def test_rounding_is_that_of_the_key(keys: dict[str, Key]) -> None:
    for item in ITEMS:
        value = keys[item.id].value
        if isinstance(value, float) and item.tolerance:
            unit = 10.0 ** -places(value, item.tolerance)
            assert abs(value / unit % 1 - 0.5) > 1e-6 or value == 0.875, f"{item.id}: {value} lies between two answers"


def test_sets_and_choices_tell_something(keys: dict[str, Key]) -> None:
    letters, signs = Counter(), Counter()
    for item in load_items("core"):
        key = keys[item.id].value
        if item.kind == "set":
            assert isinstance(key, tuple) and 0 < len(key) < (len(item.choices) or 99), item.id
            assert not any(set(name) & set(",;") or " and " in name for name in key)
        if item.kind == "choice":
            letters[item.options.index(str(key))] += 1
        signs[key] += item.kind == "sign"
    assert max(letters.values()) <= 0.4 * letters.total()
    assert min(signs["increase"], signs["decrease"]) >= 5


def test_no_two_questions_are_nearly_the_same() -> None:
    asked = [item for item in ITEMS if item.kind != "undetermined" or not item.twin]
    texts = [f"{item.question} {' '.join(item.choices)}" for item in asked]
    vectors = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"[\w+-]+").fit_transform(texts)
    similar = np.triu((vectors @ vectors.T).toarray(), 1)
    pairs = [(asked[i].id, asked[j].id) for i, j in zip(*np.where(similar > TOO_SIMILAR), strict=True)]
    assert pairs == []
    assert len({(item.answer, str(item.choices)) for item in asked}) == len(asked)


def test_no_column_name_stands_in_a_question(source: FolderSource) -> None:
    for item in ITEMS:
        words = set(re.findall(r"[\w.]+", item.question + " ".join(item.choices)))
        for table in tables_of(item):
            columns = {
                str(c) for c in source.load(table).columns if "_" in str(c) or str(c) in ("padj", "logFC", "NES")
            }
            assert not words & (columns - {"NES"}), item.id


def test_every_file_holds_the_canary() -> None:
    folders = [bank.LLM / name for name in ("questions", "core", "contexts")]
    files = [path for folder in folders for path in folder.rglob("*.*")]
    assert len(files) > 40
    assert [path.name for path in files if bank.CANARY not in path.read_text(encoding="utf-8")] == []
    assert bank.CANARY not in bank.load_context("clinical")


def test_items_are_refused_with_file_item_and_reason(tmp_path: Path) -> None:
    broken = {
        "twin": ITEM | {"twin": "CLIN-C002"},
        "tolerance and unit": {k: v for k, v in ITEM.items() if k != "unit"},
        "starts with CLIN-C": ITEM | {"id": "PROT-C001"},
        "three or more": ITEM | {"kind": "choice", "choices": ["a", "b"], "tolerance": None, "unit": None},
        "asks": ITEM | {"kind": "undetermined"},
    }
    for number, (reason, entry) in enumerate(broken.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "mine.yaml").write_text(yaml.safe_dump([entry]))
        with pytest.raises(SombError, match=rf"mine.yaml, item \w+-C001: .*{reason}"):
            load_items(folder=folder)


def test_a_key_that_cannot_be_is_an_error_that_names_the_item(source: FolderSource) -> None:
    undetermined = ITEM | {"kind": "undetermined", "asks": "numeric"}
    same = ITEM | {"kind": "sign", "answer": {"op": "count", "table": "clinical_cbc", "where": "crew == 'C9'"}}
    for entry, reason in ((undetermined, "gives 28, not 0"), (same | {"unit": None, "tolerance": None}, "no sign")):
        with pytest.raises(SombError, match=f"CLIN-C001: .*{reason}"):
            compute_keys([Item.model_validate(entry)], source)


def test_simulated_tables_give_keys_of_some_items() -> None:
    clinical = [item for item in ITEMS if tables_of(item) == ("clinical_cbc",)]
    wrong = Item.model_validate(
        ITEM | {"id": "CLIN-C999", "answer": {"op": "mean", "table": "clinical_cbc", "match": "x9"}}
    )
    keys = compute_keys([*clinical, wrong], SimulatedSource())
    assert len(keys) > 10 and "CLIN-C999" not in keys


def test_perturbed_figures_move_the_key(keys: dict[str, Key]) -> None:
    probes = perturbed(ITEMS)
    assert len(probes) >= 15
    for probe in probes:
        item, value = probe.item, probe.key.value
        assert not mark(item, keys[item.id], f"ANSWER: {probe.key.text}").correct
        assert not mark(item, probe.key, f"ANSWER: {keys[item.id].text}").correct
        for name, text in probe.contexts.items():
            shown, whole = item_prompt(item, "reading", probe.contexts), bank.load_context(name)
            assert text.strip() in shown and whole.strip() not in shown
            assert sum(a != b for a, b in zip(text.split(), whole.split(), strict=True)) <= 3
        assert isinstance(value, float)


def test_private_items_are_their_seeds_alone(source: FolderSource, tmp_path: Path) -> None:
    first, again, other = generate(7, source), generate(7, source, count=8), generate(8, source, count=8)
    assert first[:8] == again and len(first) == 35 and len(first) >= 0.18 * len(load_items("core"))
    public = {(item.answer, str(item.choices)) for item in ITEMS}
    asked = {(item.answer, str(item.choices)) for item in first}
    assert not asked & public and len(asked) == 35
    assert len(asked & {(item.answer, str(item.choices)) for item in other}) < 4
    for item in first:
        key = compute_keys([item], source)[item.id]
        assert item.group == "private" and "{" not in item.question
        assert item.kind != "numeric" or mark(item, key, f"ANSWER: {key.text}").correct
    path = tmp_path / "private.yaml"
    write(first, path)
    assert tuple(bank.read_entries(path, Item, "item")) == first
    assert "value:" not in path.read_text() and bank.CANARY in path.read_text()
    with pytest.raises(UsageError, match="exists"):
        write(first, path)


def test_the_schema_is_that_of_the_items() -> None:
    assert (bank.LLM / "item.schema.json").read_text(encoding="utf-8") == core.schema()


def test_the_digest_follows_the_items() -> None:
    some = load_items("core")
    assert core.items_digest(some) == core.items_digest(reversed(some)) != core.items_digest(some[1:])
