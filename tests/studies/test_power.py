"""Power: type I errors, growth with crew and effect, reuse of stored settings, and the stored tables."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from figures import power as plots
from matplotlib.figure import Figure
from scipy.stats import binomtest

from somb_utils.errors import SombError
from somb_utils.stats.permutation import adjusted
from somb_utils.stats.reliability import wilson_interval
from somb_utils.studies import coverage, experiments, power
from somb_utils.studies.power import Setting
from somb_utils.tasks.task_data import load_task

SMALL = Setting("A1", "logreg", features=5, missions=2)


@pytest.fixture(scope="module")
def shares() -> dict[tuple[int, float], float]:
    sizes = ((4, 0.0), (4, 0.5), (4, 1.0), (8, 0.5))
    settings = [replace(SMALL, features=20, crew=crew, effect=effect, missions=6) for crew, effect in sizes]
    return {(setting.crew, setting.effect): power.power_of(setting)["power"] for setting in settings}


def test_power_is_the_type_i_error_without_effect_and_grows_with_effect_and_crew(
    shares: dict[tuple[int, float], float],
) -> None:
    assert shares[4, 0.0] <= 0.25
    assert shares[4, 0.0] <= shares[4, 0.5] <= shares[4, 1.0] and shares[4, 1.0] > 0.7
    assert shares[8, 0.5] > shares[4, 0.5]


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
    monkeypatch.setattr(coverage, "plan", lambda: [experiments.Setting("A1", groups=4)])
    code, out, err = command("power", "--missions", "2", "--out", "p.csv", "--format", "csv")  # type: ignore[operator]
    assert code == 0 and "1 settings done" in err and pd.read_csv(tmp_path / "p.csv")["missions"].item() == 2
    code, out, err = command("power", "--missions", "2", "--out", "p.csv")  # type: ignore[operator]
    assert code == 0 and "done" not in err and "macro" not in out and "power" in out
    other = pd.read_csv(tmp_path / "p.csv").assign(made_with="somb-utils 0.0.1; numpy 1.0", power=9.0)
    other.to_csv(tmp_path / "p.csv", index=False)
    code, out, err = command("power", "--missions", "2", "--out", "p.csv")  # type: ignore[operator]
    assert code == 0 and "1 settings done" in err and pd.read_csv(tmp_path / "p.csv")["power"].item() <= 1
    code, out, err = command("coverage", "--missions", "5", "--out", "c.csv", "--format", "csv")  # type: ignore[operator]
    assert code == 0 and "macro_auroc" in out


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


def test_a_day_test_has_the_power_of_its_days() -> None:
    days = replace(SMALL, features=20, crew=3, missions=1, test="days")
    strong, none = (power.power_of(replace(days, effect=effect)) for effect in (2.0, 0.0))
    assert strong["power"] == 1.0 > none["power"]
    assert power.mission(replace(days, effect=2.0), 1)["p"] == 1 / (1 + power.N_RELABELLINGS)


def test_assignments_of_phases_to_days() -> None:
    table = plots.assignments([load_task("A1", source="simulated"), load_task("C1", source="simulated")])
    assert table["assignments"].to_dict() == {"A1": 140, "C1": 60}
    assert table["floor"].tolist() == [round(1 / 140, 4), round(1 / 60, 4)]


def test_tests_that_must_be_clear_for_one_to_count() -> None:
    assert plots.tests_needed(1, 0.04) == 1
    needed = plots.tests_needed(85, 1 / 140)
    assert needed is not None and adjusted(np.r_[np.full(needed, 1 / 140), np.ones(85 - needed)])[0] < 0.05
    assert adjusted(np.r_[np.full(needed - 1, 1 / 140), np.ones(86 - needed)])[0] >= 0.05
    assert plots.tests_needed(85, 1 / 60) is None


def test_separated_pairs_are_counted_by_what_is_sampled() -> None:
    row = {"task": "A1", "protocol": "rigorous", "a": "rf", "b": "mlp", "test": "sign flip"}
    pairs = pd.DataFrame([
        {**row, "low": 0.1, "high": 0.2, "p_these": 0.01, "p_new": 0.125},
        {**row, "low": -0.1, "high": 0.2, "p_these": 0.5, "p_new": 1.0},
        {**row, "task": "D1", "test": "Nadeau-Bengio", "low": -0.2, "high": -0.1, "p_these": np.nan, "p_new": 0.01},
    ])  # fmt: skip
    counts = plots.separated(pairs).loc["rigorous"]
    assert counts.loc["people"].to_dict() == {"separated": 1, "p_these": 1, "p_new": 0, "pairs": 2}
    assert counts.loc["genes, proteins, metabolites, pathways", "separated"] == 1
    assert "1 of 2 pairs on samples of people" in plots.separated_text(pairs)
    assert "No pairs under `rigorous`" in plots.separated_text(pairs.assign(protocol="aligned"))


def test_figures_say_what_they_show() -> None:
    table = power.stored()
    crew = plots.by_crew(plots.varied(table, "crew"), source="simulated")
    size = plots.by_size([("rows", plots.varied(table, "features", task="D1"))], source="simulated")
    measured = coverage.stored()
    forest = plots.coverage(measured.assign(design=plots.lines(measured)), source="simulated")
    for made, title in ((crew, "Power (120 to 8 missions"), (size, "D1: metabolites"), (forest, "Coverage of 95 %")):
        assert isinstance(made, Figure) and made.get_suptitle() == "SIMULATED DATA"
        assert title in " ".join(axes.get_title(loc="left") for axes in made.axes)
