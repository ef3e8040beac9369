"""Power and coverage: type I errors, growth with crew and effect, reuse of stored settings, and the stored tables."""

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
from somb_utils.stats.reliability import wilson_interval
from somb_utils.studies import coverage, power
from somb_utils.studies.power import Setting
from somb_utils.tasks.definitions import get_task

SMALL = Setting("A1", "logreg", features=5, missions=3)


@pytest.fixture(scope="module")
def shares() -> dict[tuple[int, float], float]:
    sizes = ((4, 0.0), (4, 0.25), (4, 1.0), (8, 0.5))
    settings = [replace(SMALL, features=20, crew=crew, effect=effect, missions=10) for crew, effect in sizes]
    return {(setting.crew, setting.effect): power.power_of(setting)["power"] for setting in settings}


def test_power_is_the_type_i_error_without_effect_and_grows_with_effect_and_crew(
    shares: dict[tuple[int, float], float],
) -> None:
    assert shares[4, 0.0] <= 0.25
    assert shares[4, 0.0] <= shares[4, 0.25] <= shares[4, 1.0] and shares[4, 1.0] > 0.7
    assert shares[8, 0.5] > shares[4, 0.25]


def test_settings_repeat_with_their_seed() -> None:
    assert power.power_of(SMALL) == power.power_of(SMALL)
    assert power.power_of(SMALL) != power.power_of(replace(SMALL, seed=7))


def test_missions_are_of_the_size_asked_for() -> None:
    made = power.mission(replace(SMALL, crew=3, timepoints=5, features=6), 0)
    assert (made["rows"], made["columns"]) == (15, 12)
    assert power.mission(replace(SMALL, task="D1", features=120), 0)["rows"] == 120


def test_stored_settings_are_reused_and_others_stay(tmp_path: Path) -> None:
    file, started = tmp_path / "power.csv", []
    first, second = SMALL, replace(SMALL, effect=0.0)
    power.power([first], file)
    stored = pd.read_csv(file)
    stored.assign(score=0.123).to_csv(file, index=False)
    both = power.power([second, first], file, on_start=lambda settings, cost: started.append(settings))
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
    monkeypatch.setattr(power, "plan", lambda: [SMALL])
    monkeypatch.setattr(coverage, "plan", lambda: [coverage.Setting("A1", groups=4)])
    code, out, err = command("power", "--missions", "2", "--out", "p.csv", "--format", "csv")  # type: ignore[operator]
    assert code == 0 and "1 settings done" in err and pd.read_csv(tmp_path / "p.csv")["missions"].item() == 2
    code, out, err = command("power", "--missions", "2", "--out", "p.csv")  # type: ignore[operator]
    assert code == 0 and "done" not in err and "macro" not in out and "power" in out
    other = pd.read_csv(tmp_path / "p.csv").assign(made_with="somb-utils 0.0.1; numpy 1.0", power=9.0)
    other.to_csv(tmp_path / "p.csv", index=False)
    code, out, err = command("power", "--missions", "2", "--out", "p.csv")  # type: ignore[operator]
    assert code == 0 and "1 settings done" in err and pd.read_csv(tmp_path / "p.csv")["power"].item() <= 1
    code, out, err = command("coverage", "--missions", "5", "--out", "c.csv", "--format", "csv")  # type: ignore[operator]
    assert code == 0 and "macro_f1" in out


@pytest.mark.parametrize("task", sorted({setting.task for setting in coverage.plan()}))
def test_simulated_predictions_suit_their_task(task: str) -> None:
    setting = next(setting for setting in coverage.plan() if setting.task == task)
    made = coverage.coverage_of(replace(setting, missions=3))
    assert made["metric"] == get_task(task).metrics.primary
    assert 0 < made["truth"] < 1 and 0 < made["width"] <= 1


@pytest.mark.parametrize("module", [power, coverage])
def test_stored_tables_are_complete(module: object) -> None:
    table = module.stored()  # type: ignore[attr-defined]
    settings = module.plan()  # type: ignore[attr-defined]
    fields = list(asdict(settings[0]))
    planned = {tuple(asdict(setting).values()) for setting in settings}
    assert set(table[fields].itertuples(index=False, name=None)) == planned
    assert table.notna().all(axis=None) and table["made_with"].str.contains("scikit-learn").all()


def test_stored_type_i_error_is_five_in_a_hundred() -> None:
    none = power.stored().query("effect == 0")
    errors, missions = int(none["significant"].sum()), int(none["missions"].sum())
    assert binomtest(errors, missions, 0.05).pvalue > 0.01


@pytest.mark.parametrize("groups", [4, 16])
def test_stored_coverage_is_reproduced(groups: int) -> None:
    setting = next(setting for setting in coverage.plan() if setting.groups == groups)
    known = {"task": setting.task, "groups": groups, "level": setting.level, "group_sd": setting.group_sd}
    stored = coverage.stored().set_index(list(known)).loc[[tuple(known.values())]].iloc[0]
    again = coverage.coverage_of(replace(setting, missions=80, seed=5))
    assert again["truth"] == pytest.approx(stored["truth"], abs=0.03)
    assert binomtest(again["covered"], 80, stored["coverage"]).pvalue > 0.01
    assert again["width"] == pytest.approx(stored["width"], rel=0.12)


def test_with_many_crew_or_positives_intervals_cover_95_times_in_100() -> None:
    table = coverage.stored()
    enough = table[(table["groups"] >= 16) | (table["positives"] >= 100)]
    assert len(enough) > 10 and enough["high"].ge(0.93).all() and enough["low"].le(0.97).all()


def test_wilson_interval_is_that_of_the_formula() -> None:
    z, n, p = 1.959964, 20, 3 / 20
    half = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    assert wilson_interval(3, 20) == pytest.approx((centre - half, centre + half), abs=1e-6)


def test_words_of_the_power_page() -> None:
    usual = asdict(replace(SMALL, features=20))
    table = pd.DataFrame([
        {**usual, "crew": crew, "effect": effect, "power": share, "significant": round(100 * share)}
        for crew, effect, share in ((4, 0.5, 0.6), (8, 0.5, 0.85), (16, 0.5, 0.99), (4, 0.0, 0.05))
    ])  # fmt: skip
    assert plots.needed(table, 0.5) == "8 crew"
    assert plots.needed(table, 0.25) == "more crew than were simulated"
    assert len(plots.varied(table, "effect")) == 2


def test_generated_table_has_a_line_for_each_metric_and_design() -> None:
    text = pages.coverage_table()
    assert all(f"| {name} |" in text for name in ("macro F1", "AUROC", "AUPRC", "micro F1"))
    assert text.count("| 4 crew, swabs |") == 1


def test_figures_say_what_they_show() -> None:
    table = power.stored()
    crew = plots.by_crew(plots.varied(table, "crew"), source="simulated")
    size = plots.by_size([("rows", plots.varied(table, "features", task="D1"))], source="simulated")
    measured = coverage.stored()
    forest = plots.coverage(measured.assign(design=plots.lines(measured)), source="simulated")
    for made, title in ((crew, "Power (120 to 8 missions"), (size, "D1: metabolites"), (forest, "Coverage of 95 %")):
        assert isinstance(made, Figure) and made.get_suptitle() == "SIMULATED DATA"
        assert title in " ".join(axes.get_title(loc="left") for axes in made.axes)
