"""What the evaluation notebook shows: the report of the available evaluation, part by part."""

import contextlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any, Literal

from somb_utils.errors import UsageError
from somb_utils.llm.bank.schema import DIFFICULTIES, MODALITIES
from somb_utils.llm.report import html as interactive
from somb_utils.llm.report.simulated import PLANTED, simulated_evaluation
from somb_utils.llm.report.summary import Summary, summarise
from somb_utils.llm.report.text import lead, method
from somb_utils.llm.run.evaluation import Evaluation
from somb_utils.llm.run.logs import load
from somb_utils.tables.sources import FolderSource, resolve_source

Origin = Literal["logs", "published", "simulated", "none"]
NOTHING = "There is no evaluation to show here."
BADGES = {
    "logs": "Evaluation from logs",
    "published": "Published evaluation",
    "simulated": "SIMULATED EVALUATION",
    "none": "No evaluation available",
}
NOTES = {
    "logs": "Read from the logs that this book or notebook was given.",
    "published": "Answers of the published evaluation to its own 100 questions, with its judge's scores "
    "(CC BY-NC 4.0; shown here, not part of this project). Means are recomputed; intervals are ours.",
    "simulated": "No language model was asked. Models and judges are invented, answers are lines of the contexts, and "
    f"levels are drawn around planted qualities. Planted: {PLANTED}. No number says anything about a real model.",
    "none": "Neither logs nor the published scored files were found. Run <code>somb llm run</code> and "
    "<code>somb llm judge</code>, then give this notebook their folder as <code>logs</code>, or the book as "
    "<code>somb book --logs logs/llm</code>.",
}


@dataclass(frozen=True)
class Report:
    """An evaluation and its tables, shown part by part in a notebook.

    Parameters
    ----------
    origin
        ``logs``, ``published`` (scored files), ``simulated``, or ``none`` if there is nothing to show.
    evaluation
        Answers and judgements; None if there is nothing to show.
    summary
        The report's tables; None if there is nothing to show.
    """

    origin: Origin
    evaluation: Evaluation | None = None
    summary: Summary | None = None

    def show_source(self) -> None:
        """Show where the evaluation comes from, its size, and what to be careful of."""
        from IPython.display import HTML, display

        text = f'<span class="badge {self.origin}">{BADGES[self.origin]}</span>{NOTES[self.origin]}'
        if self.summary is not None and self.evaluation is not None:
            lines = "".join(f"<li>{escape(line)}</li>" for line in lead(self.summary, self.evaluation))
            text += f'<ul>{lines}</ul><p class="soft">{escape(method())}</p>'
        display(HTML(f'{interactive.start_part()}<div class="somb-llm">{text}</div>'))

    def show_ranking(self) -> None:
        """Show the ranking with intervals, pairs of models, and how many answers count."""
        self._show(["ranking"], "ranking", "ranking_by_judge", "pairs", "counts", "unscored", "flags", "usage")

    def show_dimensions(self) -> None:
        """Show scores by dimension of the rubric."""
        self._show(["radar"], "dimension")

    def show_groups(self) -> None:
        """Show scores by modality, difficulty and kind of question."""
        self._show(["heatmap", "difficulty"], "modality", "difficulty", "kind")

    def show_judges(self) -> None:
        """Show how far judges agree, and their biases."""
        biases = ("agreement", "rank_agreement", "leniency", "self_preference", "verbosity_bias")
        self._show(["agreement"], *biases, "modes", "mode_ranks", "findings", "extreme_facts")

    def show_length(self) -> None:
        """Show how answer length and score are related."""
        self._show(["length"], "length", "length_adjusted")

    def explore(self) -> None:
        """Show the question explorer: each answer with its scores and the judges' reasons."""
        from IPython.display import HTML, display

        display(HTML(interactive.explorer_part(self.evaluation) if self.evaluation is not None else NOTHING))

    def _show(self, figures: list[str], *names: str) -> None:
        from IPython.display import HTML, Markdown, display

        if self.summary is None or self.evaluation is None:
            display(Markdown(NOTHING))
            return
        for name in figures:
            figure = interactive.draw(name, self.summary, self.evaluation)
            if figure is None:
                display(Markdown("With one judge alone there is no agreement to measure."))
                continue
            # Notebooks draw the first form that they support; the book uses the second.
            forms = {
                "application/vnd.plotly.v1+json": json.loads(figure.to_json()),
                "text/html": interactive.figure_part(name, figure),
                "text/plain": f"Figure: {interactive.FIGURES[name]}",
            }
            display(forms, raw=True)
        display(HTML(interactive.tables_part(self.summary, names)))


def start(
    logs: Any = (), judges: Any = (), compare: bool = True, sample: int | None = None, modality: Any = None,
    difficulty: Any = None, source: str = "auto",
) -> Report:  # fmt: skip
    """Check the notebook's parameters, find an evaluation and summarise it.

    Parameters
    ----------
    logs
        Folders or files. Without any, the published scored files where these are beside the real tables
        (``../reference/llm_scored``), and with simulated tables a simulated evaluation.
    judges
        Only these judges; all if empty.
    compare
        Whether to compare every pair of models.
    sample
        Number of questions, the first by identifier; all if None.
    modality, difficulty
        Only these; all if None.
    source
        Source of the tables: ``auto``, ``open``, ``simulated`` or a folder.

    Returns
    -------
    Report
        What there is to show.

    Raises
    ------
    UsageError
        If a value is not valid, a path has no log, or no scored answer is left.
    """
    paths, wanted = _names(logs, "logs"), _names(judges, "judges")
    kinds = {
        "modality": _known("modality", modality, MODALITIES),
        "difficulty": _known("difficulty", difficulty, DIFFICULTIES),
    }
    if sample is not None and (not isinstance(sample, int) or isinstance(sample, bool) or sample < 1):
        raise UsageError(f"parameter sample: a number of questions, at least 1, not {sample!r}")
    if not isinstance(compare, bool):
        raise UsageError(f"parameter compare: true or false, not {compare!r}")
    origin, evaluation = _find([Path(path).expanduser() for path in paths], source)
    if evaluation is None:
        return Report(origin)
    for name, values in kinds.items():
        if values:
            evaluation = _where(evaluation, name, values)
    if sample is not None:
        questions = sorted({*evaluation.answers["question_id"], *evaluation.judgements["question_id"]})
        evaluation = _where(evaluation, "question_id", questions[:sample])
    if wanted:
        known = sorted(set(evaluation.judgements["judge"]))
        if unknown := [judge for judge in wanted if judge not in known]:
            raise UsageError(
                f"parameter judges: no verdict of {unknown[0]} in these logs; there are {', '.join(known)}"
            )
        evaluation = replace(evaluation, judgements=evaluation.judgements[evaluation.judgements["judge"].isin(wanted)])
    if not len(evaluation.scored):
        raise UsageError("there is no scored answer to these questions in the logs")
    return Report(origin, evaluation, summarise(evaluation, compare))


def _find(paths: list[Path], source: str) -> tuple[Origin, Evaluation | None]:
    """Return the available evaluation and where it is from; simulated and real data are never mixed."""
    if paths:
        evaluation = load(paths)
        evaluation.need_one_version()
        return "logs", evaluation
    with contextlib.redirect_stderr(io.StringIO()):  # the badge shows it
        tables = resolve_source(source)
    if tables.kind == "simulated":
        return "simulated", simulated_evaluation()
    folders = tables.folders if isinstance(tables, FolderSource) else ()
    scored = (folder.resolve().parent / "reference" / "llm_scored" for folder in folders)
    files = sorted(file for folder in scored for file in folder.glob("scored_eval_*.json"))
    return ("published", load(files)) if files else ("none", None)


def _names(value: Any, what: str) -> list[str]:
    if isinstance(value, str):
        value = json.loads(value) if value.lstrip()[:1] == "[" else [p.strip() for p in value.split(",") if p.strip()]
    if value is None:
        return []
    if not isinstance(value, Sequence) or not all(isinstance(entry, str) for entry in value):
        raise UsageError(f"parameter {what}: a list of texts, not {value!r}")
    return list(value)


def _known(name: str, value: Any, known: Sequence[str]) -> list[str]:
    values = _names(value, name)
    if unknown := [entry for entry in values if entry not in known]:
        raise UsageError(f"parameter {name}: '{unknown[0]}' is not one of {', '.join(known)}")
    return values


def _where(evaluation: Evaluation, column: str, values: Sequence[str]) -> Evaluation:
    answers, judgements = evaluation.answers, evaluation.judgements
    return Evaluation(answers[answers[column].isin(values)], judgements[judgements[column].isin(values)])
