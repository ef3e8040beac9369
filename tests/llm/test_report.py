"""The report's files, the import of published scores, and the escape of whatever a model or judge wrote."""

import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from synthetic import FAIR, make

from somb_utils.errors import SombError, UsageError
from somb_utils.llm.judge.prompts import neutralised
from somb_utils.llm.judge.verdicts import FLAGS, read_reply, weighted_score
from somb_utils.llm.report import figures
from somb_utils.llm.report import files as report
from somb_utils.llm.report import html as interactive
from somb_utils.llm.report import notebook as pages
from somb_utils.llm.report import text as reading
from somb_utils.llm.report.simulated import Judge
from somb_utils.llm.report.summary import summarise
from somb_utils.llm.run import imports
from somb_utils.llm.run.evaluation import Evaluation
from somb_utils.llm.run.logs import load

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)> </script> | `x` [a](javascript:alert(3)) \u2028"


@pytest.fixture(scope="module")
def example() -> Evaluation:
    return make([*FAIR[:2], Judge("qwen/qwen-judge", leniency=0.6)], n_questions=24)


@pytest.fixture(scope="module")
def published(open_data: Path) -> list[Path]:
    files = sorted((open_data / "reference/llm_scored").glob("scored_eval_*.json"))
    if not files:
        pytest.skip(f"no published scored files in {open_data / 'reference/llm_scored'}")
    return files


def test_published_averages_to_the_printed_digit(published: list[Path]) -> None:
    assert len(published) == 5
    for path in published:
        stated = imports.compare_with_stated(path)
        assert len(stated) == 25 and stated["computed"].notna().all()
        wrong = stated[stated["stated"] != stated["computed"]]
        assert wrong.empty, f"{path.name}: {wrong.to_dict('records')}"
        scored = load([path]).scored
        assert (scored["weighted_score"] - scored["judge_weighted_score"]).abs().max() <= 0.005 + 1e-9


def test_published_files_give_the_published_table(published: list[Path]) -> None:
    ranking = summarise(load(published), n_bootstrap=200).tables["ranking"].set_index("model")["mean"]
    reference = {
        "anthropic/claude-sonnet-4-6": 4.62, "anthropic/claude-haiku-4-5-20251001": 4.41,
        "openai-api/deepseek/deepseek-chat": 4.34, "google/gemini-2.5-flash": 4.00, "openai/gpt-4o": 3.30,
    }  # fmt: skip
    shown = {model: float(reading.shown(mean, 2)) for model, mean in ranking.items()}
    assert shown == reference and list(shown) == list(reference)


def test_report_tables_give_the_published_averages_of_each_group(published: list[Path]) -> None:
    tables = summarise(load(published), n_bootstrap=100).tables
    for path in published:
        document = json.loads(path.read_text())
        stated, model = document["summary"], load([path]).answers["model"].iloc[0]
        for group, levels in (("dimension", 5), ("difficulty", 4), ("modality", 9)):
            means = tables[group][tables[group]["model"] == model].set_index(group)["mean"]
            assert len(means) == levels
            for name, mean in means.items():
                assert abs(mean - stated[f"avg_{name}"]) <= 0.0005 + 1e-9, (model, name)


def test_import_command(published: list[Path], somb_llm: Any, world: Path) -> None:
    result = somb_llm("import", *published, "--out", "imported")
    assert result.code == 0 and result.text.count("25 of 25 stated averages agree") == 5
    assert "0 weighted scores differ" in result.text
    assert len(pd.read_parquet(world / "imported/answers.parquet")) == 500
    assert len(pd.read_parquet(world / "imported/judgements.parquet")) == 500


def test_published_answers_that_end_at_the_token_limit_are_truncated(published: list[Path]) -> None:
    answers = load(published).answers
    cut = answers[answers["status"] == "truncated"]
    assert cut.groupby("model").size().to_dict() == {
        "anthropic/claude-haiku-4-5-20251001": 19, "anthropic/claude-sonnet-4-6": 10,
    }  # fmt: skip
    assert cut["output_tokens"].eq(2000).all() and cut["reason"].str.contains("2,000 tokens").all()
    counts = summarise(load(published), n_bootstrap=100).tables["counts"]
    assert counts["truncated"].sum() == 29 and counts["scored"].sum() == 500, "and they are scored as they stand"


def test_a_judge_is_called_the_same_in_logs_and_in_published_files(published: list[Path], tmp_path: Path) -> None:
    assert set(load(published).judgements["judge"]) == {"anthropic/claude-sonnet-4-6"}
    path = scored_file(tmp_path / "a.json")
    document = json.loads(path.read_text())
    document["metadata"] |= {
        "model": "models/gemini-2.5-flash",
        "judge_model": "gpt-4o",
        "scoring_mode": "per_dimension",
    }
    path.write_text(json.dumps(document))
    (row,) = load([path]).judgements.to_dict("records")
    assert (row["model"], row["judge"]) == ("google/gemini-2.5-flash", "openai/gpt-4o (per dimension)")


def scored_file(path: Path, **changes: Any) -> Path:
    levels = {"factual_accuracy": 5, "reasoning_quality": 4, "completeness": 3, "uncertainty_calibration": 2,
              "domain_integration": 1}  # fmt: skip
    scores = levels | {
        "weighted_score": 3.3, "flags": dict.fromkeys(FLAGS, False), "success": True, "justification": "J",
    } | changes  # fmt: skip
    result = {
        "question_id": "Q01", "modality": "clinical", "difficulty": "easy", "category": "factual",
        "question": "Q?", "success": True, "response": "An answer.", "scores": scores,
    }  # fmt: skip
    document = {"metadata": {"model": "m", "judge_model": "j"}, "summary": {}, "results": [result]}
    path.write_text(json.dumps(document))
    return path


def test_larger_differences_are_listed(tmp_path: Path) -> None:
    assert weighted_score({**dict.fromkeys(["factual_accuracy", "reasoning_quality", "completeness"], 5),
                     "uncertainty_calibration": 1, "domain_integration": 1}) == 3.8  # fmt: skip
    good = load([scored_file(tmp_path / "a.json")])
    assert good.scored["weighted_score"].iloc[0] == 3.3 and imports.differing_scores(good.judgements).empty
    bad = load([scored_file(tmp_path / "b.json", weighted_score=4.9)])
    assert len(imports.differing_scores(bad.judgements)) == 1
    text = report.markdown(summarise(bad, n_bootstrap=100), bad)
    assert "1 differ" in text and "4.90" in text


def test_answers_to_foreign_questions_are_not_judged(tmp_path: Path, somb_llm: Any) -> None:
    result = somb_llm("judge", scored_file(tmp_path / "a.json"), "-j", "offline/judge")
    assert result.code == 2 and "Q01" in result.text


@pytest.mark.parametrize("changes", [{"success": False}, {"completeness": 6}, {"completeness": None}])
def test_scores_that_do_not_fit_are_not_scored(changes: dict[str, Any], tmp_path: Path) -> None:
    evaluation = load([scored_file(tmp_path / "a.json", **changes)])
    assert evaluation.scored.empty and len(evaluation.judgements) == 1
    summary = summarise(evaluation)
    assert summary.tables["counts"]["unscored"].iloc[0] == 1


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"metadata": {}}', '{"metadata": {}, "results": [{}]}', '{"metadata": 1, "results": 2}']
)
def test_broken_scored_file_is_named(text: str, tmp_path: Path) -> None:
    path = tmp_path / "scored.json"
    path.write_text(text)
    with pytest.raises(SombError, match=r"scored\.json"):
        load([path])


def test_missing_and_empty_paths_are_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(UsageError, match=str(path)):
            load([path])


def test_every_file_is_written(example: Evaluation, tmp_path: Path) -> None:
    written = report.write_report(example, tmp_path, compare=True, n_bootstrap=200)
    names = {str(path.relative_to(tmp_path)) for path in written}
    assert {"report.md", "report.html", "answers.csv", "answers.parquet", "judgements.parquet"} <= names
    assert {f"tables/{name}.csv" for name in ("ranking", "pairs", "agreement", "length_adjusted")} <= names
    for path in written:
        assert path.stat().st_size > 0
    frame = pd.read_parquet(tmp_path / "judgements.parquet")
    assert len(frame) == 24 * 5 * 3 == len(pd.read_csv(tmp_path / "judgements.csv"))
    text = (tmp_path / "report.md").read_text()
    assert "Judge qwen/qwen-judge is lenient" in text and "## Pairs of models" in text
    assert [*tmp_path.glob(".*.tmp")] == []


def test_report_is_the_same_twice(example: Evaluation) -> None:
    first, second = (report.markdown(summarise(example, True, 200), example) for _ in range(2))
    assert first == second


def poisoned(example: Evaluation) -> Evaluation:
    answers, judgements = example.answers.copy(), example.judgements.copy()
    answers["answer"] = answers["question"] = EVIL
    for frame in (answers, judgements):
        frame["model"] = frame["model"] + EVIL
    for name in ("justification", "strengths", "reason"):
        judgements[name] = EVIL
    judgements["judge"] = judgements["judge"] + EVIL
    return Evaluation(answers, judgements)


def test_what_models_and_judges_wrote_is_never_markup(example: Evaluation) -> None:
    evaluation = poisoned(example)
    summary = summarise(evaluation, compare=True, n_bootstrap=100)
    page = interactive.html(summary, evaluation)
    body = page.replace(re.search(r"<script>/\*\*.*?</script>", page, re.S).group(0), "")  # type: ignore[union-attr]
    assert "alert(1)" in body
    assert "<script>alert" not in body and "<img src=x" not in body
    embedded = re.findall(r'<script type="application/json">(.*?)</script>', body, re.S)
    assert len(embedded) == len(interactive.FIGURES) + 1 and "\u2028" not in "".join(embedded)
    *figures, explored = map(json.loads, embedded)
    assert explored["answers"][0]["answer"] == EVIL
    assert explored["answers"][0]["verdicts"][0]["justification"] == EVIL
    for figure in map(json.dumps, figures):
        assert "<script" not in figure and "<img" not in figure and "<a " not in figure
    text = report.markdown(summary, evaluation)
    assert "<script" not in text and "<img" not in text and not re.search(r"(?<!\\)\[[^\]]*\]\(", text)


def test_labels_of_figures_are_literal_and_of_one_model() -> None:
    models = ["a/<b>x", "together/llama", "groq/llama", 'p/"<a href=y>z"']
    names = ["&lt;b&gt;x", "together/llama", "groq/llama", '"&lt;a href=y&gt;z"']
    means = pd.DataFrame({"modality": "clinical", "model": models, "mean": [1.0, 2.0, 3.0, 4.0]})
    [heat] = figures.heatmap(means, models).data
    assert list(heat.x) == names and heat.z.tolist() == [[1.0, 2.0, 3.0, 4.0]]
    answers = pd.DataFrame({"model": models, "question_id": "<i>q</i>", "words": 3.0, "score": 2.0})
    points = figures.length(answers, models).data
    assert [p.name for p in points] == names and all(list(p.customdata) == ["&lt;i&gt;q&lt;/i&gt;"] for p in points)


def test_page_needs_no_other_host(example: Evaluation) -> None:
    page = interactive.html(summarise(example, n_bootstrap=100), example)
    assert not re.search(r"<(?:script|img|iframe|link|source)[^>]*\s(?:src|href)=", page)
    assert "@import" not in page.split("</style>")[0] and "url(" not in page.split("</style>")[0]
    assert "default-src 'none'" in page and 'name="viewport"' in page and "prefers-color-scheme" in page
    for name in interactive.FIGURES:
        assert f'data-figure="{name}"' in page


# The notebook's parts -------------------------------------------------------------------------------------------------


def shown_by(report: pages.Report, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return all that the notebook shows of a report, as HTML."""
    outputs: list[str] = []

    def display(thing: Any, raw: bool = False) -> None:
        outputs.append(thing["text/html"] if raw else thing.data)

    monkeypatch.setattr("IPython.display.display", display)
    for name in ("source", "ranking", "dimensions", "groups", "judges", "length"):
        getattr(report, f"show_{name}")()
    report.explore()
    return "\n".join(outputs)


def test_without_anything_the_notebook_shows_a_simulated_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    simulated = pages.start(source="simulated")
    assert simulated.origin == "simulated" and simulated.summary is not None
    detected = {(judge.rpartition("/")[2], bias) for judge, bias, _ in simulated.summary.findings}
    planted = {("alder-judge", "self-preferring"), ("birch-judge", "verbosity-biased"), ("cedar-judge", "lenient")}
    assert detected == planted, "the report detects what was planted, and nothing else"
    page = shown_by(simulated, monkeypatch)
    assert "SIMULATED EVALUATION" in page and page.count('"text":"SIMULATED"') == len(interactive.FIGURES)
    assert all(f'data-figure="{name}"' in page for name in interactive.FIGURES)
    assert simulated.evaluation is not None and len(simulated.evaluation.answers) == 400
    counts = simulated.summary.tables["counts"]
    assert counts[["refused", "failed", "truncated"]].sum().tolist() == [1, 1, 1] and counts["unscored"].sum() == 4


def test_real_tables_bring_the_published_files_that_lie_beside_them(
    published: list[Path], open_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = pages.start(source=str(open_data / "processed"), sample=10)
    assert shown.origin == "published" and shown.evaluation is not None
    assert shown.evaluation.answers["model"].nunique() == len(published)
    page = shown_by(shown, monkeypatch)
    assert "CC BY-NC" in page and "SIMULATED" not in page and "One judge alone" in page


def test_real_tables_alone_show_no_simulated_evaluation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = pages.start(source=str(tmp_path))
    assert shown.origin == "none" and shown.evaluation is None
    page = shown_by(shown, monkeypatch)
    assert "somb llm run" in page and "SIMULATED" not in page and 'data-figure="' not in page


def test_logs_come_before_all_else(tmp_path: Path) -> None:
    shown = pages.start([str(scored_file(tmp_path / "a.json"))], source="simulated")
    assert shown.origin == "logs" and shown.evaluation is not None and len(shown.evaluation.answers) == 1


def test_the_book_refuses_logs_that_are_not_there(tmp_path: Path) -> None:
    from somb_utils.cli.book import book

    with pytest.raises(UsageError, match=r"--logs .*nowhere does not exist"):
        book(logs=[tmp_path / "nowhere"])


def test_parts_of_a_page_escape_and_need_no_other_host(example: Evaluation, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluation = poisoned(example)
    page = shown_by(pages.Report("logs", evaluation, summarise(evaluation, True, 100)), monkeypatch)
    assert "alert(1)" in page
    assert "<script>alert" not in page and "<img src=x" not in page
    assert not re.search(r"https?://(?!www\.w3\.org)", page)


def test_answers_alone_give_a_report_that_says_what_is_missing(example: Evaluation, tmp_path: Path) -> None:
    evaluation = Evaluation(example.answers, example.judgements.iloc[:0])
    report.write_report(evaluation, tmp_path)
    assert "somb llm judge" in (tmp_path / "report.md").read_text()


def test_a_single_judge_is_noted(example: Evaluation) -> None:
    one = Evaluation(example.answers, example.judgements[example.judgements["judge"] == "openai/gpt-judge"])
    notes = " ".join(summarise(one, n_bootstrap=100).notes)
    assert "One judge alone" in notes and "openai/gpt-a" in notes and "claude" not in notes


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "judge_empty"), ("5", "judge_invalid"), ("{}", "judge_invalid"),
        ('{"score": 6, "justification": ""}', "judge_invalid: score"),
        ('{"score": "5", "justification": ""}', "judge_invalid: score"),
        ('{"score": 4.5, "justification": ""}', "judge_invalid: score"),
        ('{"score": 4.0, "justification": ""}', "judge_invalid: score"),
        ('{"score": true, "justification": ""}', "judge_invalid: score"),
        ('{"score": 5, "justification": "", "weighted_score": 5}', "judge_invalid: weighted_score"),
        ('{"score": 5, "justification": ""', "judge_invalid"),
    ],
)  # fmt: skip
def test_invalid_verdicts_have_a_reason_and_no_score(text: str, reason: str) -> None:
    reply, why = read_reply(text, "completeness")
    assert reply is None and why.startswith(reason)


def test_valid_verdict_may_stand_in_a_code_fence() -> None:
    reply, why = read_reply('```json\n{"score": 3, "justification": "so"}\n```', "completeness")
    assert reply is not None and why == "" and reply.model_dump()["score"] == 3


@pytest.mark.parametrize("text", ["p < 0.05 and q <answers>", "x < 3, answer: 4", "a<b"])
def test_ordinary_text_is_hardly_changed(text: str) -> None:
    assert neutralised(text).replace("‹", "<") == text
