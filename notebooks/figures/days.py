"""Phase or day: the day tests of a session's tasks, drawn and tabulated, and how well the day itself is recognised."""

from math import factorial, prod
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.linear_model import LogisticRegression

import somb_utils as somb
from somb_utils.labels import metric_name
from somb_utils.notebook import Session, show
from somb_utils.notebook.display import note
from somb_utils.plots.style import PALETTE, QUIET, figure, new
from somb_utils.runs.baselines import TRIVIAL
from somb_utils.runs.day_tests import stored_day_tests
from somb_utils.runs.fit import prepare
from somb_utils.tasks.day import is_phase_task
from somb_utils.tasks.task_data import TaskData

CHEAP = "logreg"  # fitted to every relabelling within seconds, if there are not too many features
MOST_FEATURES = 5_000
FEW = 39  # relabellings of simulated labels, which have no meaning


def tests(session: Session, n: int) -> pd.DataFrame:
    """Return the day tests of a session's phase tasks, one row per task and model, and keep them for its p-values.

    Tests of the baselines on the open tables come with the package. Where there is none, the logistic regression is
    tested here with at most `n` relabellings (`FEW` of simulated tables), unless it has too many features; a note names
    the models without a test.
    """
    stored, rows = stored_day_tests(), []
    models = [name for name in session.parameters.models if name not in (*TRIVIAL, *session.parameters.model_params)]
    for data in filter(is_phase_task, session.tasks.values()):
        known = stored[(stored["data_sha256"] == data.fingerprint) & stored["model"].isin(models)].to_dict("records")
        cheap = CHEAP in models and data.X.shape[1] <= MOST_FEATURES
        if cheap and not any(row["model"] == CHEAP for row in known):
            known.insert(0, _test(session, data, n))
        rows += [{**row, "all": assignments(data), "chance": data.chance} for row in known]
        if lacking := sorted(set(models) - {row["model"] for row in known}):
            command = f"somb day {data.name} --models {','.join(lacking)}"
            note(f"{data.name}: no day test of {', '.join(lacking)} on these tables; {command} makes it.")
    if rows:
        session.result = session.result.with_day_tests(rows)
    return pd.DataFrame(rows)


def _test(session: Session, data: TaskData, n: int) -> dict[str, Any]:
    seed, predictions = session.parameters.seed, session.result.predictions
    n = min(n, FEW) if session.source.kind == "simulated" else n
    test = somb.day_test(data, CHEAP, seed=seed, n=n, n_jobs=1)
    crew, both = somb.day_accuracy(data, CHEAP, seed=seed, n_jobs=1)
    of_task = predictions[(predictions["task"] == data.name) & (predictions["model"] == CHEAP)]
    within = somb.stats.permutation_p(of_task, data.task, seed=seed)
    return {**test.row(), "p_within_person": within, "crew_out": crew, "crew_and_day_out": both}


def assignments(data: TaskData) -> int:
    """Return in how many other ways the phases can be assigned to the days of sampling, alike for all crew."""
    of_day = pd.Series(data.y).groupby(data.days).first()
    return factorial(len(of_day)) // prod(factorial(count) for count in of_day.value_counts()) - 1


def show_tests(tested: pd.DataFrame) -> None:
    """Show the day tests as a figure and a table, and say how small their p-values can be."""
    if tested.empty:
        note("no day test to show: no phase task has its tables, or no model was tested")
        return
    show(against_relabelled(tested))
    counted = tested["relabellings"].astype(str) + " of " + tested["all"].astype(str)
    others = tested["null_mean"].map("{:.3f}".format) + " ± " + tested["null_sd"].map("{:.3f}".format)
    columns = {
        "metric": tested["metric"].map(metric_name), "phase": tested["observed"], "relabelled": others,
        "relabellings": counted, "p_day": tested["p_day"], "smallest p_day": tested["floor"],
        "p, days shuffled within each person": tested["p_within_person"],
    }  # fmt: skip
    show(pd.DataFrame(columns).set_index([tested["task"], tested["model"]]).round(3))


def show_accuracy(session: Session, tested: pd.DataFrame) -> None:
    """Show balanced accuracy with the person, and with person and day left out, and how often the day is recognised."""
    rows = []
    for row in tested.to_dict("records"):
        data = session.tasks[row["task"]]
        classes, days = somb.loco_day(data).y.nunique(), data.days.nunique()
        share = recognised(data) if row["model"] == CHEAP else float("nan")
        accuracy = row["crew_out"], row["crew_and_day_out"], 1 / classes
        rows.append([row["task"], row["model"], *accuracy, share, 1 / days])
    names = ["task", "model", "person left out", "person and day left out", "chance", "day recognised", "chance (day)"]
    if rows:
        show(pd.DataFrame(rows, columns=names).set_index(["task", "model"]).round(3).astype(object).fillna(""))


def recognised(data: TaskData) -> float:
    """Return how often a logistic regression that is fitted to the day of sampling recognises it on a new person."""
    days, right = data.days.to_numpy(), []
    for number, fold in enumerate(data.folds):
        rows = prepare(data, number)
        model = LogisticRegression(C=1.0, max_iter=1000, class_weight="balanced").fit(rows.X_train, days[fold.train])
        right += list(model.predict(rows.X_test) == days[fold.test])
    return sum(right) / len(right)


def limits(session: Session) -> None:
    """Say what so few crew and days can show at most, once for the phase tasks that share them."""
    alike: dict[tuple[int, int, int, str], list[str]] = {}
    for data in filter(is_phase_task, session.tasks.values()):
        per_class = data.days.groupby(data.y).nunique()
        once = ", ".join(per_class[per_class == 1].index)
        key = data.groups.nunique(), data.days.nunique(), assignments(data), once
        alike.setdefault(key, []).append(data.name)
    for (crew, days, others, once), names in alike.items():
        single = f" Of {once} there is a single day, and no analysis can tell that class from its day." if once else ""
        show(
            f"{' and '.join(names)}: {crew} crew are {crew} independent units. On new crew, a paired test of two "
            f"models (sign flip) gives no p-value below 2 / 2^{crew} = {2 / 2**crew:g}, however much they differ. "
            f"{days} days allow {others} other assignments of the phases, so no p_day is below 1 / {1 + others} = "
            f"{1 / (1 + others):.2g}.{single} What drifts over the mission cannot be distinguished from phase at all."
        )


@figure
def against_relabelled(tested: pd.DataFrame) -> Figure:
    """Draw each score on phase beside the scores with the phases assigned to the days in other ways."""
    fig, ax = new(8.5, 1.7 + 0.36 * len(tested))
    places = np.arange(len(tested))
    low, high = (tested["null_mean"] + side * tested["null_sd"] for side in (-2, 2))
    ax.hlines(places, low.clip(lower=0), high.clip(upper=1), lw=13, color=QUIET, label="mean ± 2 SD of relabellings")
    ax.scatter(tested["null_mean"], places, marker="|", s=130, color="black", zorder=3, label="mean of relabellings")
    ax.vlines(tested["chance"], places - 0.45, places + 0.45, color="black", ls=":", lw=1.5, label="chance level")
    ax.scatter(tested["observed"], places, marker="D", s=45, color=PALETTE[1], zorder=3, label="true phases")
    for place, p in zip(places, tested["p_day"], strict=True):
        ax.text(1.02, place, f"p_day {p:.3f}", va="center", fontsize=9, transform=ax.get_yaxis_transform())
    ax.set_yticks(places, tested["task"] + ", " + tested["model"])
    ax.set(xlabel=", ".join(dict.fromkeys(tested["metric"].map(metric_name))), ylim=(len(tested) - 0.5, -0.5))
    ax.set_xlim(-0.03, 1.03)
    ax.set_title("Phase, and other assignments of phases to days")
    ax.grid(False, axis="y")
    fig.legend(loc="outside lower center", ncols=4)
    return fig
