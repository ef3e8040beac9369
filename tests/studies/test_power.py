"""Power and coverage: false alarms, growth with crew and effect, reuse of stored cells, and the stored tables."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from figures import power as plots
from matplotlib.figure import Figure
from scipy.stats import binomtest

from somb_utils.book import extension as pages
from somb_utils.errors import SombError
from somb_utils.stats import wilson_interval
from somb_utils.studies import coverage, power
from somb_utils.studies.power import Cell
from somb_utils.tasks.definitions import get_task

SMALL = Cell(features=5, missions=3)


@pytest.fixture(scope="module")
def found() -> dict[tuple[int, float], float]:
    cells = [Cell(crew=crew, effect=effect, missions=10) for crew, effect in ((4, 0.0), (4, 0.25), (4, 1.0), (8, 0.5))]
    return {(cell.crew, cell.effect): power.cell_power(cell)["power"] for cell in cells}


def test_power_is_the_false_alarm_rate_without_effect_and_grows_with_effect_and_crew(
    found: dict[tuple[int, float], float],
) -> None:
    assert found[4, 0.0] <= 0.25
    assert found[4, 0.0] <= found[4, 0.25] <= found[4, 1.0] and found[4, 1.0] > 0.7
    assert found[8, 0.5] > found[4, 0.25]


def test_cells_repeat_with_their_seed() -> None:
    assert power.cell_power(SMALL) == power.cell_power(SMALL)
    assert power.cell_power(SMALL) != power.cell_power(replace(SMALL, seed=7))


def test_missions_are_of_the_size_asked_for() -> None:
    made = power.mission(Cell(crew=3, timepoints=5, features=6, missions=1), 0)
    assert (made["rows"], made["columns"]) == (15, 12)
    assert power.mission(Cell("D1", features=120, missions=1), 0)["rows"] == 120


def test_stored_cells_are_reused_and_others_stay(tmp_path: Path) -> None:
    file, started = tmp_path / "power.csv", []
    first, second = SMALL, replace(SMALL, effect=0.0)
    power.power([first], file)
    stored = pd.read_csv(file)
    stored.assign(score=0.123).to_csv(file, index=False)
    both = power.power([second, first], file, on_start=lambda cells, cost: started.append(cells))
    assert started == [1] and both["score"].tolist()[1] == 0.123 and both["effect"].tolist() == [0.0, 1.0]
    power.power([second], file)
    assert len(pd.read_csv(file)) == 2


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n"])
def test_a_file_that_is_no_such_table_is_refused_and_kept(tmp_path: Path, text: str) -> None:
    file = tmp_path / "own.csv"
    file.write_text(text)
    with pytest.raises(SombError, match=r"own\.csv"):
        power.power([SMALL], file)
    assert file.read_text() == text


def test_command_measures_prints_and_continues(
    command: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(power, "grid", lambda: [SMALL])
    monkeypatch.setattr(coverage, "grid", lambda: [coverage.Cell("A1", groups=4)])
    code, out, err = command("power", "--missions", "2", "--out", "p.csv", "--format", "csv")  # type: ignore[operator]
    assert code == 0 and "1 cells done" in err and pd.read_csv(tmp_path / "p.csv")["missions"].item() == 2
    code, out, err = command("power", "--missions", "2", "--out", "p.csv")  # type: ignore[operator]
    assert code == 0 and "done" not in err and "macro" not in out and "power" in out
    other = pd.read_csv(tmp_path / "p.csv").assign(made_with="somb-utils 0.0.1; numpy 1.0", power=9.0)
    other.to_csv(tmp_path / "p.csv", index=False)
    code, out, err = command("power", "--missions", "2", "--out", "p.csv")  # type: ignore[operator]
    assert code == 0 and "1 cells done" in err and pd.read_csv(tmp_path / "p.csv")["power"].item() <= 1
    code, out, err = command("coverage", "--missions", "5", "--out", "c.csv", "--format", "csv")  # type: ignore[operator]
    assert code == 0 and "macro_f1" in out


@pytest.mark.parametrize("task", sorted({cell.task for cell in coverage.grid()}))
def test_simulated_predictions_suit_their_task(task: str) -> None:
    cell = next(cell for cell in coverage.grid() if cell.task == task)
    made = coverage.cell_coverage(replace(cell, missions=3))
    assert made["metric"] == get_task(task).metrics.primary
    assert 0 < made["truth"] < 1 and 0 < made["width"] <= 1


@pytest.mark.parametrize("module", [power, coverage])
def test_stored_tables_are_complete(module: object) -> None:
    table = module.stored()  # type: ignore[attr-defined]
    cells = module.grid()  # type: ignore[attr-defined]
    fields = list(asdict(cells[0]))
    assert set(table[fields].itertuples(index=False, name=None)) == {tuple(asdict(cell).values()) for cell in cells}
    assert table.notna().all(axis=None) and table["made_with"].str.contains("scikit-learn").all()


def test_stored_false_alarms_are_five_in_a_hundred() -> None:
    none = power.stored().query("effect == 0")
    alarms, missions = int(none["found"].sum()), int(none["missions"].sum())
    assert binomtest(alarms, missions, 0.05).pvalue > 0.01


@pytest.mark.parametrize("groups", [4, 16])
def test_stored_coverage_is_found_again(groups: int) -> None:
    cell = next(cell for cell in coverage.grid() if cell.groups == groups)
    known = {"task": cell.task, "groups": groups, "level": cell.level, "group_sd": cell.group_sd}
    stored = coverage.stored().set_index(list(known)).loc[[tuple(known.values())]].iloc[0]
    again = coverage.cell_coverage(replace(cell, missions=80, seed=5))
    assert again["truth"] == pytest.approx(stored["truth"], abs=0.03)
    assert binomtest(again["held"], 80, stored["coverage"]).pvalue > 0.01
    assert again["width"] == pytest.approx(stored["width"], rel=0.12)


def test_with_many_crew_or_positives_intervals_hold_the_truth_95_times_in_100() -> None:
    table = coverage.stored()
    enough = table[(table["groups"] >= 16) | (table["positives"] >= 100)]
    assert len(enough) > 10 and enough["high"].ge(0.93).all() and enough["low"].le(0.97).all()


def test_wilson_interval_is_that_of_the_formula() -> None:
    z, n, p = 1.959964, 20, 3 / 20
    half = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    assert wilson_interval(3, 20) == pytest.approx((centre - half, centre + half), abs=1e-6)


def test_words_of_the_power_page() -> None:
    table = pd.DataFrame([
        {**asdict(Cell(crew=crew, effect=effect)), "power": share, "found": round(100 * share), "low": 0.1, "high": 0.9}
        for crew, effect, share in ((4, 0.5, 0.6), (8, 0.5, 0.85), (16, 0.5, 0.99), (4, 0.0, 0.05))
    ])  # fmt: skip
    assert power.needed(table, 0.5) == "8 crew"
    assert power.needed(table, 0.25) == "more crew than were simulated"
    assert power.false_alarms(table).startswith("5 of 100 (5.0 %; 95 % interval 2.")
    assert len(power.varied(table, "effect")) == 2


def test_generated_table_has_a_line_for_each_metric_and_design() -> None:
    text = pages.coverage_table()
    assert all(f"| {name} |" in text for name in ("macro F1", "AUROC", "AUPRC", "micro F1"))
    assert text.count("| 4 crew, swabs |") == 1


def test_figures_say_what_they_show() -> None:
    table = power.stored()
    crew = plots.by_crew(power.varied(table, "crew"), source="simulated")
    size = plots.by_size([("rows", power.varied(table, "features", task="D1"))], source="simulated")
    measured = coverage.stored()
    forest = plots.coverage(measured.assign(design=coverage.lines(measured)), source="simulated")
    for made, title in ((crew, "Power (120 to 8 missions"), (size, "D1: metabolites"), (forest, "Coverage of 95 %")):
        assert isinstance(made, Figure) and made.get_suptitle() == "SIMULATED DATA"
        assert title in " ".join(axes.get_title(loc="left") for axes in made.axes)
