"""The report of items that code marks: shares, intervals, chance, comparisons, cost, abstention, and its files."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from marked import marks
from scipy import stats

from somb_utils.errors import UsageError
from somb_utils.llm.report import core
from somb_utils.llm.report.core_files import write_core_report
from somb_utils.stats.reliability import wilson_interval

summarised = partial(core.summarise_marks, n_bootstrap=100)
TWENTY = {"openai/good": "+" * 15 + "-" * 5, "meta/poor": "+" * 6 + "----------diif"}


def test_accuracy_is_over_common_items_and_counts_what_was_not_right() -> None:
    summary = summarised(marks(TWENTY))
    tables = summary.tables
    good, poor = tables["accuracy"].set_index("model").loc[["openai/good", "meta/poor"]].to_dict("records")
    assert (good["n"], poor["n"]) == (19, 19), "an item that failed for one model is in neither share"
    assert (good["accuracy"], poor["accuracy"]) == (15 / 19, 6 / 19)
    assert (good["low"], good["high"]) == wilson_interval(15, 19)
    assert (good["rank"], poor["rank"]) == (1, 2)
    counts = tables["counts"].set_index("model").loc["meta/poor"]
    assert counts[["correct", "answered", "declined", "invalid", "limit", "failed"]].tolist() == [6, 15, 2, 2, 0, 1]
    shown = {name: frame for name, _, frame in core.sections(summary)}["counts"]
    assert shown.set_index("model").loc["meta/poor", "declined"] == "2", "a count, not a share"


def test_repeats_are_averaged_before_items() -> None:
    once, again = marks({"m/a": "+-------"}), marks({"m/a": "--------"}, epoch=2)
    row = summarised(pd.concat([once, again])).tables["accuracy"].iloc[0]
    assert (row["accuracy"], row["n"]) == (0.5 / 8, 8)


def test_chance_and_constant_answers() -> None:
    row = summarised(marks({"m/a": "+" * 16})).tables["accuracy"].iloc[0]
    assert row["chance"] == (4 * 0.5 + 4 * 0.25) / 16
    assert row["constant"] == (4 + 1 + 1) / 16, "always 'increase', always one letter, always one number"


def test_fewer_than_five_items_have_no_interval_and_fewer_than_five_models_no_discrimination() -> None:
    summary = summarised(marks({"m/a": "+-+-", "m/b": "--+-"}))
    assert summary.tables["accuracy"][["low", "high", "rank_low"]].isna().all(axis=None)
    assert summary.tables["items"]["discrimination"].isna().all()
    assert any("Fewer than 5 models" in note for note in summary.notes)
    _, _, shown = next(core.sections(summary))
    assert set(shown["accuracy"]) == {"50 %", "25 %"}


def test_discrimination_is_the_correlation_with_the_rest() -> None:
    rows = ("+++++-", "++++--", "+++---", "++----", "+-----", "-++---")
    right = {f"m/{number}": row for number, row in enumerate(rows)}
    items = summarised(marks(right)).tables["items"].set_index("item_id")
    table = np.array([[letter == "+" for letter in row] for row in right.values()], dtype=float)
    for k in range(5):
        rest = np.delete(table, k, axis=1).mean(axis=1)
        assert items.loc[f"CLIN-C{k:03d}", "discrimination"] == pytest.approx(
            stats.pearsonr(table[:, k], rest).statistic
        )
    assert np.isnan(items.loc["CLIN-C005", "discrimination"]), "no model got it: nothing to correlate"
    assert items["difficulty"].iloc[0] == 0, "hardest first"


def test_a_model_gains_from_reading_over_the_same_items() -> None:
    both = pd.concat([marks({"m/a": "++------f"}), marks({"m/a": "-+++++--+"}, condition="reading")])
    gain = summarised(both).tables["gains"].iloc[0]
    assert (gain["condition"], gain["against"], gain["n"]) == ("reading", "recall", 8)
    assert (gain["wins"], gain["ties"], gain["losses"], gain["difference"]) == (4, 3, 1, 3 / 8)
    assert gain["low"] < 3 / 8 < gain["high"]


def test_pareto_set_leaves_unknown_prices_unknown() -> None:
    parts = [("m/cheap", 0.001, "+-------"), ("m/dear", 0.1, "+++++---"), ("m/worse", 0.2, "++++----")]
    table = pd.concat(
        [marks({name: right}, cost=cost) for name, cost, right in [*parts, ("m/own", np.nan, "++++++++")]]
    )
    summary = summarised(table)
    found = summary.tables["costs"].set_index("model")["pareto"]
    assert found["m/cheap"] and found["m/dear"] and not found["m/worse"] and found["m/own"] is pd.NA
    shown = {name: frame for name, _, frame in core.sections(summary)}["costs"].set_index("model")
    assert shown.loc["m/own", ["cost", "pareto"]].tolist() == ["unknown", "unknown"]
    assert shown.loc["m/dear", "cost"] == "$0.8000"


def test_abstention_counts_refusals_of_answerable_twins() -> None:
    asked = marks({"m/a": "+-d+d--d++-+---+-+-i"}, set="abstain")
    unknown = asked["kind"] == "undetermined"
    asked.loc[unknown, "twin"] = "CLIN-A001"
    row = summarised(asked).tables["abstention"].iloc[0]
    assert row["declined"] == 4 / 5 and row["over_refusal"] == 2 / 15
    assert row["coverage"] == 13 / 20 and row["accuracy"] == asked["correct"].mean()


def test_simulated_answers_are_marked_and_never_ranked_with_real_ones(tmp_path: Path) -> None:
    real = marks({"m/a": "++++----", "m/b": "++------"})
    keys = marks({"m/a": "++++++++"}, simulated=True, tables="simulated")
    mixed = pd.concat([real, keys, marks({"offline/demo": "++++++++"})], ignore_index=True)
    write_core_report(mixed, tmp_path / "out", n_bootstrap=100)
    table = pd.read_csv(tmp_path / "out/tables/core_accuracy.csv").set_index("model")
    assert list(table.index) == ["m/a", "m/b", "m/a (simulated)", "offline/demo (simulated)"]
    assert table["rank"].tolist()[:2] == [1, 2] and table["rank"][2:].isna().all()
    text = (tmp_path / "out/core.md").read_text()
    assert "SIMULATED: 16 of 32 answers" in text and "SIMULATED" in (tmp_path / "out/core.html").read_text()


def test_without_a_common_item_nothing_is_ranked() -> None:
    apart = pd.concat([marks({"m/a": "+++fff"}), marks({"m/b": "fff---"})])
    summary = summarised(apart)
    assert summary.tables["accuracy"]["rank"].isna().all()
    assert any("not ranked" in note for note in summary.notes)


def test_only_failures_are_reported_and_not_scored(tmp_path: Path) -> None:
    lost = marks({"m/a": "ffff"}, reason="Traceback\nError code: 400 - too long")
    write_core_report(lost, tmp_path / "out", n_bootstrap=100)
    text = (tmp_path / "out/core.md").read_text()
    assert "4 of core (recall). Most frequent reasons: 4 x Error code: 400 - too long" in text
    assert "## Accuracy by condition" not in text


def test_the_lead_names_digests_settings_and_days_and_the_published_are_a_reference() -> None:
    table = marks(TWENTY)
    lines = "\n".join(core.lead(summarised(table), table))
    for expected in ("No judge", "items 12345678", "temperature 0", "2026-11-26", "the published tables"):
        assert expected in lines
    nine = core.published_nine()
    assert len(nine) == 9 and nine["model"].nunique() == 8
    assert nine.loc[nine["note"] != "", "note"].unique().tolist() == [
        "one model on 2 hosts: 0.00 apart, which is run-to-run noise"
    ]


def test_differing_versions_are_named() -> None:
    other = marks({"m/b": "+---"}, digests="items 00000000", source="b.eval")
    notes = summarised(pd.concat([marks({"m/a": "++--"}), other])).notes
    assert any("items 12345678" in note and "items 00000000 (b.eval)" in note for note in notes)


def test_texts_of_models_are_escaped(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script> | `x` [a](javascript:alert(3))"
    table = marks({f"m/{evil}": "+++-f"}, reason=evil, settings=evil)
    write_core_report(table, tmp_path / "out", n_bootstrap=100)
    page, text = (tmp_path / "out/core.html").read_text(), (tmp_path / "out/core.md").read_text()
    assert "<script>alert" not in page and "<script>" not in text and " [a](" not in text


def test_one_command_reports_items_and_questions_and_clears_what_is_no_more(somb_llm: Any, world: Path) -> None:
    draws = ("L-92", "L-44", "L-3", "R+1", "R+45", "R+82")
    entries = [
        {
            "id": f"CLIN-S{number:03d}", "question": f"Mean hemoglobin of the draw {draw}?", "kind": "numeric",
            "modality": "clinical", "contexts": ["clinical"], "group": "private", "unit": "g/dL",
            "tolerance": {"decimals": 1}, "answer": {"op": "mean", "table": "clinical_cbc", "column": "cbc_hemoglobin",
                                                     "where": f"timepoint == '{draw}'"},
        } for number, draw in enumerate(draws)
    ]  # fmt: skip
    (world / "mine.yaml").write_text(yaml.safe_dump(entries))
    asked = ("run", "-m", "offline/demo", "--log-dir")
    assert somb_llm(*asked, "items", "--set", "mine.yaml", "--condition", "reading", "--full").code == 0
    assert somb_llm(*asked, "open", "--sample", 2).code == 0
    result = somb_llm("report", "items", "open", "--out", "out", "--n-bootstrap", 100)
    assert result.code == 0 and (world / "out/report.html").exists()
    text = (world / "out/core.md").read_text()
    assert "private (reading)" in text and "SIMULATED tables" in text and "offline/demo (simulated)" in text
    assert somb_llm("report", "open", "--out", "out", "--n-bootstrap", 100).code == 0
    assert not (world / "out/core.md").exists() and not (world / "out/marks.csv").exists()
    assert not list((world / "out/tables").glob("core_*"))


def test_bounds() -> None:
    with pytest.raises(UsageError, match="at least 1"):
        core.summarise_marks(marks(TWENTY), n_bootstrap=0)
