"""Each figure of the audit comes out of the real tables."""

import ast
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jupytext
import pytest
from audit_checks import compute, evidence, pairing
from audit_checks.show import NEEDS_REAL, on_real
from hypothesis import settings

from somb_utils import notebook
from somb_utils.audit import figures, seeds
from somb_utils.notebook import Session
from somb_utils.notebook.parameters import check
from somb_utils.reference.canonical import canonical_scores
from somb_utils.tasks.definitions import select_tasks
from somb_utils.tasks.task_data import load_task

ROOT = Path(__file__).parents[2]
NIGHT = settings.default.max_examples > 100
# Random forests on folds that keep relatives together take longer than all other figures; test_audit_checks.py tests
# in every run what they measure.
AT_NIGHT = {
    "d1_rf_all", "d1_rf_formulas", "d1_rf_subpathways", "h1_rf_all", "h1_rf_genes", "i2_rf_all", "i2_rf_families",
}  # fmt: skip
# As expected: a test checks them, no page states them.
UNSTATED = {f"d1_n_{element}" for element in "hnops"} | {
    "c2_aligned_max", "c2_all", "f5_own", "g1_clinical_own", "a2_days", "f5_days",
}  # fmt: skip


@pytest.fixture(scope="module")
def found(open_data: Path) -> dict[str, float]:
    with pytest.MonkeyPatch.context() as patch:
        if not NIGHT:
            patch.setattr(evidence, "relatives", lambda tables: {})
        return compute.figures(open_data / "processed")


def test_stored_figures_are_those_of_the_tables(found: dict[str, float]) -> None:
    stored = figures.stored()
    assert set(stored) - set(found) == (set() if NIGHT else AT_NIGHT)
    assert {name: stored[name] for name in found} == pytest.approx(found, abs=2e-6)


@pytest.mark.parametrize(
    ("finding", "expected", "digits"),
    [
        ("1: F4's rows", {"f4_own": 3, "f4_rows": 275}, 0),
        ("2: G1's orders", {"g1_clinical_own": 21, "g1_proteomics_own": 7, "g1_metabolomics_own": 3}, 0),
        ("3: C2's folds", {"c2_published_min": 25, "c2_published_max": 38, "c2_all": 34, "c2_aligned_max": 34}, 0),
        ("4: D1's atoms", {"d1_n_c": 2, "d1_n_n": 0, "d1_n_s": 0}, 0),
        ("4: D1's order", {"d1_mlp_published": 0.557, "d1_mlp_reordered": 0.557, "d1_mlp_aligned": 0.648}, 3),
        ("5: F3's draw", {"f3_draw": 0.402, "a1_draw": 0.214, "a1_chance": 0.307}, 3),
        ("6: C1", {"c1_pre_flight": 11, "c1_post_flight": 4, "c1_recovery": 6, "c1_proteins": 2838}, 0),
        ("7: I1", {"i1_genes": 466, "i1_lowest": 0.9979, "i1_highest": 0.9994}, 4),
        ("7: I3", {"i3_responsive": 391, "i3_responsive_positive": 391}, 0),
        ("H1's rows", {"h1_genes": 710, "h1_equal": 33, "h1_beside_twin": 34}, 0),
        ("H1's score", {"h1_rf": 0.300, "h1_rf_without": 0.203}, 3),
        ("E3's genes", {"e3_tested": 934, "e3_limit": 17.75, "e3_mean_expression": 0.98}, 2),
        ("E3's score", {"e3_logreg": 0.963, "e3_logreg_if_tested": 0.694}, 3),
        ("I2's pathways", {"i2_never": 251, "i2_collection": 0.910, "i2_lightgbm": 0.723}, 3),
        ("skin tables", {"skin_rows": 18677, "skin_equal": 6, "e1_in_e4": 7, "e2_in_e4": 8}, 0),
        ("signs", {"sign_fp1": 0.928, "sign_fp2": -0.404, "sign_lp3": 0.882, "sign_rp3": -0.924}, 3),
        ("C1's missing", {"c1_missing_pre_flight": 34, "c1_missing_post_flight": 29, "c1_missing_recovery": 18}, 0),
        ("G1's crew", {"g1_logreg_mean": 0.417, "g1_logreg_lowest": 0.282, "g1_logreg_chance": 0.291}, 3),
        ("sites", {"cutibacterium_tzo": 78.0, "cutibacterium_web": 6.9}, 1),
        (
            "days",
            {"c1_day_recognised": 81, "a1_day_recognised": 36, "a2_day_recognised": 18, "f5_day_recognised": 27},
            0,
        ),
        ("days of sampling", {"c1_days": 6, "a1_days": 7, "a2_days": 7, "f5_days": 7}, 0),
        ("C1's zeros", {"c1_zeros": 0.512, "c1_mask_alone": 0.507, "c1_number_alone": 0.542}, 3),
        ("C1's variance", {"c1_variance_missing": 93}, 0),
        ("C1's component", {"c1_mask_correlation": 0.991, "c1_gaps": 0.889, "g1_gaps": 0.889}, 3),
        ("B2's constant", {"b2_constant": 0.166}, 3),
        ("LightGBM", {"lightgbm_least": 20, "lightgbm_most_training": 21, "lightgbm_constant": 4}, 0),
        ("untested", {"e1_never_tested": 11, "e1_positive": 35, "i3_never_tested": 274, "i3_positive": 814}, 0),
        ("H1's folds", {"h1_lightgbm": 0.284, "h1_lightgbm_all_folds": 0.219}, 3),
        ("E's folds", {"e3_logreg_all_folds": 0.119, "e4_logreg": 0.022, "e4_logreg_all_folds": 0.014}, 3),
        pytest.param("H1's relatives", {"h1_rf_all": 0.267, "h1_rf_genes": 0.224}, 3, marks=pytest.mark.slow),
        pytest.param(
            "D1's relatives",
            {"d1_rf_all": 0.662, "d1_rf_formulas": 0.632, "d1_rf_subpathways": 0.340},
            3,
            marks=pytest.mark.slow,
        ),
        pytest.param("I2's relatives", {"i2_rf_all": 0.730, "i2_rf_families": 0.620}, 3, marks=pytest.mark.slow),
        ("E3's ties", {"e3_saturated": 17, "e3_logreg_auprc": 0.172, "e3_auprc_by_decision": 0.185}, 3),
        ("AUPRC", {"e2_replicates": 1.5, "e4_replicates": 1.5}, 1),
        ("vasculature", {"skin_va_genes": 710, "skin_va_equal": 710, "skin_real_correlation": 0.697}, 3),
        ("folds", {"b2_folds_lacking": 4, "f3_folds_lacking": 3, "f4_empty": 2}, 0),
    ],
)
def test_finding_comes_out_of_the_real_tables(
    finding: str, expected: dict[str, float], digits: int, found: dict[str, float]
) -> None:
    assert {key: round(found[key], digits) for key in expected} == expected, finding


def test_counts_of_the_published_descriptions_differ_for_c1_alone(published_files: Path) -> None:
    def counts(output: dict[str, Any]) -> list[int]:
        stated = output.get("class_distribution") or {k: v for k, v in output.items() if k.endswith("_count")}
        return sorted(stated.values())

    differing = set()
    for task in select_tasks():
        stated = json.loads((published_files / "tasks" / f"{task.id}.json").read_text(encoding="utf-8"))
        assert stated.get("n_samples") in (None, task.n_rows)
        if (given := counts(stated["output_spec"])) and given != sorted(task.class_counts.values()):
            differing.add(task.id)
    assert differing == {"C1"}
    c1 = json.loads((published_files / "tasks" / "C1.json").read_text(encoding="utf-8"))["output_spec"]
    assert c1["class_distribution"].items() <= compute.C1_DESCRIBED.items()


def test_pairing_costs_f4_its_signal(open_data: Path) -> None:
    given = {"tasks": ["F4"], "models": ["logreg"], "source": str(open_data / "processed"), "n_bootstrap": 50}
    scores = pairing.both(check(given)).set_index("protocol")
    assert scores["mean"].round(3)[["aligned", "published"]].to_dict() == {"aligned": 0.399, "published": 0.163}
    assert scores.loc["published", "high"] < scores.loc["aligned", "low"]
    row = pairing.side_by_side(scores.reset_index()).iloc[0]
    assert row["published"].startswith("0.163 [") and row["aligned"].startswith("0.399 [")
    assert (row["stated"], round(row["gain"], 3)) == (0.1632, 0.236)


def test_only_the_order_of_columns_moves_a1(open_data: Path) -> None:
    given = {"tasks": ["A1", "C2"], "models": ["majority"], "source": str(open_data / "processed")}
    table = pairing.same_rows(pairing.pairs(Session(check(given))), canonical_scores())
    assert set(table["task"]) == {"A1"}
    assert table.iloc[0][["model", "published", "aligned"]].tolist() == ["mlp", 0.310119, 0.1375]


def test_random_draws_scatter_about_the_exact_level(open_data: Path) -> None:
    tasks = {name: load_task(name, "aligned", open_data / "processed") for name in ("A1", "H1", "I2")}
    table = pairing.draws_for_chance(tasks, seeds.stored())
    assert table.loc["F3", ["published_draw", "exact_chance"]].tolist() == [0.4018, 0.5]
    near = table.loc[list(tasks)]
    assert ((near["lowest"] < near["exact_chance"]) & (near["exact_chance"] < near["highest"])).all()


def test_b2s_models_have_names_of_their_own() -> None:
    table = pairing.models_by_task(["B1", "B2"])
    both = table[(table["B1"] == "scored") & (table["B2"] == "scored")]
    assert list(both.index) == ["majority", "random"]


def test_simulated_tables_show_no_real_finding(open_data: Path) -> None:
    def session(data: str) -> Session:
        return Session(check({"tasks": ["A1"], "models": ["majority"], "source": data}))

    assert on_real(session("simulated"), len, "clinical_cbc") == NEEDS_REAL
    real = session(str(open_data / "processed"))
    assert on_real(real, len, "clinical_cbc") == 28
    assert "is not among the tasks of this run" in on_real(real, len, "A2")


# What the notebook says -----------------------------------------------------------------------------------------------

NUMERAL = re.compile(r"(?<![\w+-])\d")  # not within an id such as B2 or a day such as R+1


def prose(source: str) -> Iterator[str]:
    """Yield the notebook's text: Markdown cells, and what Markdown in code cells says besides computed values."""
    for cell in jupytext.reads(source, "md:myst").cells:
        if cell.cell_type == "markdown":
            headings_numbered = re.sub(r"(?m)^#+ [\d, and]+\. ", "", cell.source)
            yield re.sub(r"`[^`]*`", "", headings_numbered)
            continue
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Markdown":
                texts = [part for part in ast.walk(node.args[0]) if isinstance(part, ast.Constant)]
                inside = {c for v in ast.walk(node) if isinstance(v, ast.FormattedValue) for c in ast.walk(v)}
                yield "".join(str(text.value) for text in texts if text not in inside)


def test_no_number_of_the_notebooks_prose_is_a_literal() -> None:
    text = (ROOT / "notebooks" / "audit.md").read_text(encoding="utf-8")
    literals = [part[max(0, at.start() - 40) : at.end() + 20] for part in prose(text) for at in NUMERAL.finditer(part)]
    assert not literals


def test_a_literal_number_is_noticed() -> None:
    def parts(text: str) -> str:
        return "".join(prose(text))

    assert NUMERAL.search(parts("Of 275 rows")) and NUMERAL.search(parts("about 0.5"))
    assert not NUMERAL.search(parts("# 1 and 2. F1 to F5, `x = 3`"))
    cell = '```{code-cell}\nMarkdown(f"B2 has {n:.3f} of {k[2]}%s")\n```\n'
    assert NUMERAL.search(parts(cell % " in 16")) and not NUMERAL.search(parts(cell % " labels"))


def test_checks_can_be_imported_in_whichever_folder_the_notebook_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = str(ROOT / "notebooks")
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path != folder])
    notebook.start(tasks=["A1"], models=["majority"], source="simulated")
    assert sys.path.count(folder) == 1


def test_every_stated_figure_is_stored_and_every_stored_one_is_stated() -> None:
    text = (ROOT / "notebooks" / "audit.md").read_text(encoding="utf-8")
    used = set(re.findall(r"\breal\.(\w+)", text))
    assert used <= set(figures.stored())
    pages = [*(ROOT / "book").glob("*.md"), ROOT / "README.md"]
    marked = {name for page in pages for name in re.findall(r"somb:figure (\w+)", page.read_text(encoding="utf-8"))}
    assert set(figures.stored()) - used - marked == UNSTATED
