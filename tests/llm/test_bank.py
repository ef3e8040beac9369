"""The question bank: its distribution, its executable key facts, and what may not stand in it."""

import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from somb_utils.errors import SombError, UsageError
from somb_utils.llm.bank import questions as bank
from somb_utils.llm.bank.checks import Check
from somb_utils.llm.bank.conditions import rows
from somb_utils.llm.bank.operations import Loader, NotEvaluable, agrees, evaluate, failures, folder_loader

ROOT = Path(__file__).parents[2]
OPEN = Path(os.environ.get("SOMB_OPEN_DATA") or ROOT.parent / "shared" / "open-data")
needs_tables = pytest.mark.skipif(not (OPEN / "processed").is_dir(), reason=f"no open tables in {OPEN}")

DISTRIBUTION = {  # easy, medium, hard, expert
    "clinical": (3, 3, 3, 1), "transcriptomics": (2, 3, 3, 2), "proteomics": (2, 3, 3, 2),
    "metabolomics": (2, 3, 3, 2), "spatial": (1, 4, 3, 2), "microbiome": (2, 4, 3, 1),
    "cross_mission": (2, 5, 6, 5), "multi_omics": (1, 3, 5, 3), "methods": (2, 4, 2, 2),
}  # fmt: skip
# Cosine of TF-IDF vectors. The published set's own rephrasings lie at 0.53 to 0.82.
TOO_SIMILAR, TOO_CLOSE_TO_PUBLISHED = 0.45, 0.35

QUESTIONS = bank.load_bank()
BY_ID = {q.id: q for q in QUESTIONS}
each_question = pytest.mark.parametrize("question", QUESTIONS, ids=BY_ID)


def frame_loader(**tables: pd.DataFrame):
    return tables.__getitem__


@pytest.mark.parametrize("modality", DISTRIBUTION)
def test_each_modality_has_the_published_difficulties(modality: str) -> None:
    found = Counter(q.difficulty for q in QUESTIONS if q.modality == modality)
    assert tuple(found[d] for d in bank.DIFFICULTIES) == DISTRIBUTION[modality]


def test_the_bank_is_whole() -> None:
    assert len(QUESTIONS) == 100
    assert len(BY_ID) == 100
    assert {q.kind for q in QUESTIONS} == set(bank.KINDS)
    checks = [k.check for q in QUESTIONS for k in q.key_facts if k.check]
    assert len(checks) >= 150


def test_each_question_stands_in_the_file_of_its_modality() -> None:
    for path in (bank.LLM / "questions").glob("*.yaml"):
        assert {q.modality for q in bank.read_entries(path, bank.Question)} == {path.stem}


@each_question
def test_key_facts_hold_on_the_open_tables(question: bank.Question, load_open: Loader) -> None:
    checks = [(f"{question.id}: {k.text}", k.check) for k in question.key_facts if k.check]
    assert failures(checks, load_open) == []


def _slips(value: float) -> Iterator[float]:
    """A number with each digit replaced by each other digit, with the other sign, and in other units."""
    for at, digit in enumerate(text := repr(value)):
        if digit.isdigit():
            yield from (type(value)(text[:at] + other + text[at + 1 :]) for other in "0123456789" if other != digit)
    if value:
        yield from (-value, *(value * 10.0**power for power in (-3, -2, -1, 1, 2, 3)))


@each_question
def test_no_slip_in_a_value_passes_its_check(question: bank.Question, load_open: Loader) -> None:
    grounds = (check for figure in question.figures for check in (figure.check, *figure.of.values()))
    for check in filter(None, (*(k.check for k in question.key_facts), *grounds)):
        computed, value = evaluate(check, load_open), check.value
        if isinstance(value, str):
            slips = [value[:-1], value + "x"]
        elif isinstance(value, list):
            slips = [value[1:], [*value, "x"]]
        else:
            slips = list(_slips(value))
        passed = [slip for slip in slips if agrees(computed, check.model_copy(update={"value": slip}))]
        assert not passed, f"{check.op} gives {computed}; so would be accepted for {value}: {passed}"


COUNTED = (
    "no one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
)
WORDS = {word: number for number, word in enumerate(COUNTED.split())} | {
    "none": 0, "twenty-eight": 28, "thirty-six": 36, "fifty-seven": 57, "seventy-eight": 78,
}  # fmt: skip
FIGURE = re.compile(r"(?<![\w.+/-])[-+]?\d[\d,]*(?:\.\d+)?(?![\w(:]|-\d|\.\d)")  # not R+1, log2, LysoPC(15:0)


def says(figure: str, value: float, plain: bool = False) -> bool:
    """Return whether a figure of a sentence is the value, rounded as it is; unless `plain`, percent or millions too."""
    number = abs(float(figure.replace(",", "")))
    digits = len(figure.partition(".")[2])
    zeros = len(figure.replace(",", "")) - len(figure.replace(",", "").rstrip("0")) if number and not digits else 0
    half = 0.5 * 10.0 ** (zeros - digits) if number >= 1000 else 0.5 * 10.0**-digits
    values = (value,) if plain else (value, 100 * value, value / 1e6)
    return any(abs(abs(v) - number) <= half * (1 + 1e-9) for v in values)


@each_question
def test_a_key_fact_says_what_its_check_computes_and_no_other_figure(question: bank.Question) -> None:
    for fact in (k for k in question.key_facts if k.check):
        check, value = fact.check, fact.check.value
        if isinstance(value, str | list):
            assert all(item in fact.text for item in ([value] if isinstance(value, str) else value)), fact.text
            continue
        figures = [found.rstrip(",") for found in FIGURE.findall(fact.text)]
        words = [WORDS[word] for word in re.findall(r"[a-z]+(?:-[a-z]+)?", fact.text.lower()) if word in WORDS]
        assert value in words or any(says(figure, value) for figure in figures), f"{value} is not in {fact.text!r}"
        stated = [check.where, check.other_where, check.given, check.column]
        conditions = {number for text in stated if text for number in re.findall(r"[\d.]+", text)}
        other = [f for f in figures if not says(f, value) and f.replace(",", "").lstrip("+-") not in conditions]
        assert not other, f"{other} of {fact.text!r} is not computed"


@each_question
def test_a_question_is_short(question: bank.Question) -> None:
    assert len(question.question.split()) <= 65


@needs_tables
def test_at_least_150_checks_have_their_tables_here() -> None:
    checks = [k.check for q in QUESTIONS for k in q.key_facts if k.check]
    present = {path.stem for path in (OPEN / "processed").glob("*.csv")}
    assert sum(set(check.tables) <= present for check in checks) >= 150


@each_question
def test_contexts_exist(question: bank.Question) -> None:
    for name in question.contexts:
        assert bank.load_context(name)


@each_question
def test_experts_join_two_contexts_beside_the_overview(question: bank.Question) -> None:
    if question.difficulty == "expert":
        assert len(set(question.contexts) - {"overview"}) >= 2


def test_citations_are_in_the_references() -> None:
    known = set(re.findall(r"^@\w+\{([^,\s]+),", (ROOT / "book" / "references.bib").read_text(), re.MULTILINE))
    cited = {k.cite for q in QUESTIONS for k in q.key_facts if k.cite}
    assert cited <= known, cited - known


def _spellings(value: object) -> list[str]:
    if isinstance(value, bool | str):
        return [str(value)]
    if isinstance(value, int):
        return [str(value), f"{value:,}"]
    if isinstance(value, float) and value not in (0, 1):
        return [f"{value:.{digits}f}" for digits in (2, 3, 4)]
    return []


@each_question
def test_no_answer_is_printed_in_its_question(question: bank.Question) -> None:
    for check in (k.check for k in question.key_facts if k.check):
        if isinstance(check.value, list):
            assert not all(item in question.question for item in check.value), check.value
        for text in _spellings(check.value):
            found = re.search(rf"(?<![\w.+-]){re.escape(text)}(?![\w.])(?!,\d)", question.question)
            assert not found, f"{text!r} answers {question.id}"


def _published() -> list[str]:
    path = next((OPEN / "reference" / "llm_scored").glob("*.json"))
    return [r["question"] for r in json.loads(path.read_text())["results"]]


def _similarity(left: list[str], right: list[str]) -> np.ndarray:
    vectors = TfidfVectorizer(stop_words="english", sublinear_tf=True).fit([*left, *right])
    return (vectors.transform(left) @ vectors.transform(right).T).toarray()


def test_no_two_questions_are_alike() -> None:
    texts = [q.question for q in QUESTIONS]
    found = np.triu(_similarity(texts, texts), 1)
    alike = [(QUESTIONS[i].id, QUESTIONS[j].id) for i, j in np.argwhere(found > TOO_SIMILAR)]
    assert not alike


def test_the_similarity_test_would_notice_a_rephrasing() -> None:
    first = QUESTIONS[0].question
    rephrased = f"Tell me please: {first.lower().replace('.', ';')} Explain."
    assert _similarity([first], [rephrased, *(q.question for q in QUESTIONS[1:])])[0, 0] > TOO_SIMILAR


@pytest.mark.skipif(not (OPEN / "reference" / "llm_scored").is_dir(), reason=f"no published questions in {OPEN}")
def test_no_question_is_a_published_one() -> None:
    published = _published()
    found = _similarity([q.question for q in QUESTIONS], published)
    close = [(QUESTIONS[i].id, published[j]) for i, j in np.argwhere(found > TOO_CLOSE_TO_PUBLISHED)]
    assert not close


def test_the_schema_file_is_current() -> None:
    assert bank.SCHEMA.read_text() == bank.schema(), "run python -m somb_utils.llm.bank.questions --schema"


def test_the_rubric_has_the_published_weights_and_the_rules_on_small_n() -> None:
    rubric = bank.load_rubric()
    assert {name: d.weight for name, d in rubric.dimensions.items()} == {
        "factual_accuracy": 0.25, "reasoning_quality": 0.25, "completeness": 0.20,
        "uncertainty_calibration": 0.15, "domain_integration": 0.15,
    }  # fmt: skip
    above_three, four = rubric.dimensions["uncertainty_calibration"].rules
    assert "small N" in above_three
    assert "power" in four
    assert set(rubric.flags) == {
        "hallucination", "factual_error", "harmful_recommendation", "exceeds_data_scope", "novel_insight"
    }  # fmt: skip


# Loading -------------------------------------------------------------------------------------------------


def test_filters_and_samples_are_stable() -> None:
    hard = bank.load_bank(modality=["clinical", "spatial"], difficulty=["hard"])
    assert [q.id for q in hard] == ["CLIN-H01", "CLIN-H02", "CLIN-H03", "SPAT-H01", "SPAT-H02", "SPAT-H03"]
    assert {q.kind for q in bank.load_bank(kind=["counterfactual"])} == {"counterfactual"}
    sample = bank.load_bank(sample=20)
    assert sample == bank.load_bank(sample=20)
    assert sample != bank.load_bank(sample=20, seed=1)
    assert [q.id for q in sample] == sorted(q.id for q in sample)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("size", [10, 25, 50])
def test_samples_keep_the_shares(size: int, seed: int) -> None:
    sample = bank.load_bank(sample=size, seed=seed)
    assert len({q.id for q in sample}) == size
    for field in ("modality", "difficulty"):
        whole = Counter(getattr(q, field) for q in QUESTIONS)
        drawn = Counter(getattr(q, field) for q in sample)
        for value, count in whole.items():
            assert abs(drawn[value] - count * size / len(QUESTIONS)) < 1.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"modality": ["genomics"]}, "Unknown modality: genomics. Choose from clinical"),
        ({"difficulty": ["brutal"]}, "easy, medium, hard, expert"),
        ({"kind": ["riddle"]}, "Unknown kind: riddle"),
        ({"sample": 101}, "A sample of 101"),
        ({"sample": 0}, "A sample of 0"),
        ({"modality": ["spatial"], "difficulty": ["easy"], "kind": ["counterfactual"]}, "No question meets"),
    ],
)
def test_impossible_requests_are_usage_errors(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        bank.load_bank(**arguments)


def test_an_unknown_context_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="hemoglobin"):
        bank.load_context("genomics")


GOOD = """
- id: CLIN-E01
  modality: clinical
  difficulty: easy
  kind: factual
  question: How many?
  contexts: [clinical]
  expected_reasoning: [a, b, c]
  key_facts:
    - {text: one, method: true}
    - {text: two, check: {op: overlap, table: x, other: y, on: gene, value: 3}}
  rubric: {factual_accuracy: a, reasoning_quality: b, completeness: c, uncertainty_calibration: d, domain_integration: e}
"""  # noqa: E501


def test_a_good_question_is_read(tmp_path: Path) -> None:
    (tmp_path / "clinical.yaml").write_text(GOOD)
    [question] = bank.read_entries(tmp_path / "clinical.yaml", bank.Question)
    assert question.key_facts[1].check
    assert question.key_facts[1].check.on == "gene"  # YAML reads the bare word as true


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("difficulty: easy", "difficulty: mild", "difficulty"),
        ("difficulty: easy", "difficulty: hard", "starts with CLIN-H"),
        ("contexts: [clinical]", "contexts: [ground_truth]", "contexts"),
        ("[a, b, c]", "[a, b]", "expected_reasoning"),
        ("method: true", "method: true, cite: x", "exactly one"),
        ("{text: one, method: true}", "{text: one}", "exactly one"),
        ("op: overlap", "op: exec", "op"),
        ("on: gene, ", "", "needs on"),
        ("completeness: c, ", "", "lacks completeness"),
        ("kind: factual", "kind: factual\n  answer: 4", "answer"),
        ("[a, b, c]", "[a, b, c", "not valid YAML"),
    ],
)
def test_a_bad_question_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    path = tmp_path / "clinical.yaml"
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(SombError, match=r"clinical\.yaml.*question CLIN-E01") as caught:
        bank.read_entries(path, bank.Question)
    assert message in str(caught.value)


def test_a_file_that_is_no_list_is_named(tmp_path: Path) -> None:
    (tmp_path / "clinical.yaml").write_text("id: CLIN-E01")
    with pytest.raises(SombError, match=r"clinical\.yaml must hold a list"):
        bank.read_entries(tmp_path / "clinical.yaml", bank.Question)


# Checks --------------------------------------------------------------------------------------------------

LEFT = pd.DataFrame(
    {"gene": ["A", "B", "C", "C"], "fc": [1.0, -2.0, 3.0, 9.0], "p": [0.01, 0.2, None, 0.5], "a b": [1, 2, 3, 4]}
).assign(day=[1, 1, 1, 2])
RIGHT = pd.DataFrame({"symbol": ["B", "A", "C"], "fc": [-4.0, -1.0, 2.0], "day": [2, 1, 2]})
LOAD = frame_loader(left=LEFT, right=RIGHT)


@pytest.mark.parametrize(
    ("fields", "value"),
    [
        ({"op": "count"}, 4),
        ({"op": "count", "where": "fc > 0 and not gene == 'A'"}, 2),
        ({"op": "count", "where": "`a b` >= 3"}, 2),
        ({"op": "columns", "match": "^(fc|p)$"}, 2),
        ({"op": "nunique", "column": "gene"}, 3),
        ({"op": "values", "column": "gene"}, ["A", "B", "C"]),
        ({"op": "value", "column": "fc", "where": "gene == 'B'"}, -2.0),
        ({"op": "fraction", "where": "fc > 2", "given": "gene == 'C'"}, 1.0),
        ({"op": "missing", "column": "p"}, 0.25),
        ({"op": "mean", "match": "^(fc|a b)$"}, 2.625),
        ({"op": "median", "column": "fc"}, 2.0),
        ({"op": "sum", "column": "p"}, 0.71),
        ({"op": "ratio", "column": "fc", "where": "gene == 'C'", "other_where": "gene == 'A'"}, 6.0),
        ({"op": "difference", "column": "fc", "where": "gene == 'C'", "other_where": "gene == 'A'"}, 5.0),
        ({"op": "overlap", "other": "right", "on": "gene", "other_on": "symbol", "other_where": "fc < 0"}, 2),
        ({"op": "agreement", "other": "right", "on": "gene", "other_on": "symbol", "column": "fc"}, 0.5),
        ({"op": "corr", "other": "right", "on": "gene", "other_on": "symbol", "column": "fc"}, 1.0),
        ({"op": "corr", "column": "fc", "other_column": "a b", "method": "spearman"}, 0.8),
        ({"op": "corr", "other": "right", "on": ["gene", "day"], "other_on": ["symbol", "day"], "column": "fc"}, 1.0),
        ({"op": "overlap", "other": "right", "on": ["gene", "day"], "other_on": ["symbol", "day"]}, 2),
        ({"op": "ratio", "column": "fc", "other_column": "a b", "where": "p < 0.1", "other_where": "gene == 'B'"}, 0.5),
        ({"op": "auroc", "column": "fc", "where": "gene == 'A'"}, 1 / 3),
        ({"op": "auroc", "column": "fc", "where": "gene == 'A'", "given": "fc < 2"}, 1.0),
        ({"op": "top", "column": "fc", "id": "gene", "where": "fc < 9"}, "C"),
        ({"op": "bottom", "column": "p", "id": "gene"}, "A"),
    ],
)
def test_operations(fields: dict[str, str], value: object) -> None:
    check = Check(table="left", value=value, **fields)
    assert agrees(evaluate(check, LOAD), check), evaluate(check, LOAD)


@pytest.mark.parametrize(
    "condition",
    [
        "@x > 1", "abs(fc) > 1", "gene.str.len() > 1", "__class__ == 1", "gene[0] == 'A'", "nope > 1", "fc ==",
        "(lambda: 1)", "[x for x in gene]", "`no column` > 1", "fc if p else gene", "f'{fc}' == 1", "fc := 1",
        "gene * 9999999999 == 'A'", "'x' * 9999999999 == gene", "fc ** 99 > 1", "(" * 250 + "fc" + ")" * 250 + " > 0",
        "not " * 140 + "True", "fc > " + "1" * 600, "fc > 1\0", " or ".join(["fc > 1"] * 60),
    ],
)  # fmt: skip
def test_conditions_hold_columns_and_operators_only(condition: str) -> None:
    with pytest.raises(SombError, match="Condition"):
        rows(LEFT, condition)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"op": "value", "column": "fc", "where": "fc > 0"}, "gives 3 rows"),
        ({"op": "mean", "column": "nope"}, "no column 'nope'"),
        ({"op": "mean", "column": "fc", "where": "fc > 99"}, "no number"),
        ({"op": "corr", "other": "right", "on": "gene", "other_on": "fc", "column": "fc"}, "share no"),
    ],
)
def test_a_check_that_does_not_fit_its_table_says_so(fields: dict[str, str], message: str) -> None:
    with pytest.raises(SombError, match=re.escape(message)):
        evaluate(Check(table="left", value=0, **fields), LOAD)


@pytest.mark.parametrize(
    "fields",
    [
        {"op": "mean", "column": "v"}, {"op": "missing", "column": "v"}, {"op": "sum", "match": "^v$"},
        {"op": "difference", "column": "v", "where": "g == 'a'", "other_where": "g == 'a'", "given": "n < 9"},
        {"op": "auroc", "column": "v", "where": "g == 'a'"}, {"op": "top", "column": "v", "id": "g"},
        {"op": "corr", "column": "n", "other_column": "v"},
        {"op": "agreement", "other": "t", "column": "v", "on": "g"},
    ],
)  # fmt: skip
@pytest.mark.parametrize("text", ["1,5", "<0.5", "ND", "1,234"])
def test_text_among_numbers_is_refused_not_taken_for_missing(fields: dict[str, str], text: str) -> None:
    table = pd.DataFrame({"g": ["b", "a", "c"], "v": ["2", text, None], "n": [1, 2, 3]})
    with pytest.raises(SombError, match=re.escape(f"t.csv, row 3, column 'v': '{text}' is not a number")):
        evaluate(Check(table="t", value=0, **fields), frame_loader(t=table))


def test_a_blank_is_no_case_of_an_auroc() -> None:
    table = pd.DataFrame({"g": ["a", "a", "b", "b"], "v": [2.0, None, 1.0, None]})
    assert evaluate(Check(op="auroc", table="t", value=1, column="v", where="g == 'a'"), frame_loader(t=table)) == 1.0


@pytest.mark.parametrize(
    ("computed", "stated", "same"),
    [
        (5, 4, False), (5.0, 5, True), (5.01, 5, False), (0, 0, True), (1e-3, 0, False), (26845, 26840, False),
        (0.39884, 0.3988, True), (0.39884, 0.4, False), (0.39884, 0.399, False), (0.84375, 0.84375, True),
        (12116710.0, 12120000.0, True), (12116710.0, 12110000.0, False), (-0.0085714, -0.008571, True),
        (-0.0085714, 0.008571, False), ("A", "A", True), (["A", "B"], ["A"], False),
    ],
)  # fmt: skip
def test_a_decimal_value_agrees_to_four_digits_and_any_other_exactly(computed, stated, same: bool) -> None:
    assert agrees(computed, Check(op="count", table="t", value=stated)) is same


def test_what_is_not_here_is_not_evaluable(tmp_path: Path) -> None:
    with pytest.raises(NotEvaluable, match="clinical_cbc"):
        evaluate(Check(op="count", table="clinical_cbc", value=1), folder_loader(tmp_path))


def test_failures_name_the_check_and_both_values() -> None:
    wrong = Check(op="count", table="left", value=3)
    assert failures([("X: rows", wrong)], LOAD) == ["X: rows: count gives 4, not 3"]
