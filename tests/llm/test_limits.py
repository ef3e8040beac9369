"""What a command of the language models refuses, what a log may hold, what is redacted, what is never removed."""

import json
import math
import shutil
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile
from zlib import crc32

import pytest
from loopback import Loopback
from test_engine import GPT, LOCAL, everything
from test_report import scored_file

from somb_utils.errors import SombError, UsageError
from somb_utils.llm.bank.checks import Check
from somb_utils.llm.run import cost, engine, logs
from somb_utils.llm.run.models import Settings
from somb_utils.llm.run.progress import heartbeat_line
from somb_utils.llm.run.providers import family
from somb_utils.llm.run.redaction import redact

RUN, JUDGE = ("run", "-m", "offline/demo", "--sample", 1), ("judge", "logs/llm", "-j", "offline/judge")
WRONG = [
    (RUN, "--max-connections", 0), (RUN, "--timeout", 0), (RUN, "--max-cost", -1), (RUN, "--temperature", -3),
    (RUN, "--temperature", 9), (RUN, "--sample", 0), (RUN, "--repeats", 0), (RUN, "--max-tokens", 0),
    (RUN, "--max-retries", -1), (RUN, "--retry-wait", "nan"), (RUN, "--batch-tick", 0), (RUN, "--max-cost", "nan"),
    (JUDGE, "--max-connections", 0), (JUDGE, "--timeout", 0), (JUDGE, "--max-cost", -1), (JUDGE, "--batch-tick", -1),
    (("report", "logs/llm"), "--n-bootstrap", 0), (("report", "logs/llm"), "--seed", -1), (RUN, "--full", "--batch"),
]  # fmt: skip


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where logs of judged answers are kept once they are made."""
    return tmp_path_factory.mktemp("kept") / "llm"


@pytest.fixture
def answered(kept: Path, somb_llm: Any, world: Path) -> Path:
    """A folder with the log of three judged answers."""
    if not kept.exists():
        assert somb_llm("run", "-m", "offline/demo", "--sample", 3, "--log-dir", kept).code == 0
        assert somb_llm("judge", kept, "-j", "offline/judge").code == 0
    return Path(shutil.copytree(kept, world / "logs/llm"))


def test_values_with_which_no_call_ends_are_refused(answered: Path, somb_llm: Any) -> None:
    for command, option, value in WRONG:
        result = somb_llm(*command, option, value)
        assert result.code == 2 and option in result.text, (option, value, result.text)
        assert "Traceback" not in result.text


@pytest.mark.parametrize(
    "values", [{"max_connections": 0}, {"attempt_timeout": 0}, {"temperature": math.nan}, {"max_tokens": 0}]
)
def test_settings_refuse_them_too(values: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="give"):
        Settings(**values)


def test_functions_refuse_amounts_that_cannot_be(world: Path) -> None:
    for values in ({"max_cost": -1.0}, {"max_cost": math.nan}, {"repeats": 0}):
        with pytest.raises(UsageError, match="give"):
            engine.run_answers(["offline/demo"], {"sample": 1}, world / "l", Settings(), **values)


def test_a_price_is_of_one_model(world: Path) -> None:
    prices = cost.load_prices()
    assert cost.price_of("openai/gpt-5", prices) == cost.price_of("openai/gpt-5-2025-08-07", prices)
    for name in ("openai/gpt-5-pro", "anthropic/claude-opus-4-5-large", "openai/gpt-4.1-nano"):
        assert cost.price_of(name, prices) is None
        with pytest.raises(UsageError, match="--prices"):
            engine.run_answers([name], {"sample": 1}, world / "l", Settings(), max_cost=1.0)


def rewritten(log: Path, out: Path, **changes: Any) -> Path:
    """Write a copy of a log whose verdicts' values are changed."""
    with ZipFile(log) as old, ZipFile(out, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name.startswith("samples/"):
                sample = json.loads(data)
                sample["scores"]["rubric"]["value"] |= changes
                data = json.dumps(sample).encode()
            new.writestr(name, data)
    return out


def test_scores_are_computed_here_whatever_a_log_says(answered: Path, tmp_path: Path) -> None:
    (log,) = (answered / "judged").glob("*.eval")
    honest = logs.load([log]).scored
    for name, value in (("weighted_score", 99.0), ("judge", "openai/other"), ("model", "x"), ("status", "scored")):
        read = logs.load([rewritten(log, tmp_path / f"{name}.eval", **{name: value})]).scored
        columns = ["model", "judge", "weighted_score", "status"]
        assert read[columns].equals(honest[columns]), name
    for level in (50, 0, 4.5, True, "5", None):
        read = logs.load([rewritten(log, tmp_path / "level.eval", completeness=level)])
        assert read.scored.empty and set(read.judgements["reason"]) == {"judge_invalid: completeness"}, level


def test_an_import_is_read_as_strictly(tmp_path: Path) -> None:
    read = logs.load([scored_file(tmp_path / "a.json", weighted_score=99.0, judge="x", model="y")])
    assert list(read.scored["weighted_score"]) == [3.3] and list(read.scored["judge"]) == ["j"]
    for changes in ({"completeness": 50}, {"completeness": True}, {"flags": {"hallucination": "no"}}):
        assert logs.load([scored_file(tmp_path / "b.json", **changes)]).scored.empty
    for changes in (
        {"weighted_score": "many"},
        {"justification": 3},
        {"strengths": [1]},
        {"judge_tokens": {"input": "x"}},
    ):
        with pytest.raises(SombError, match=r"c\.json"):
            logs.load([scored_file(tmp_path / "c.json", **changes)])


@pytest.mark.parametrize(
    "text", ["[" * 200_000, '{"metadata": {}, "results": ' + "[" * 100_000, '{"metadata": {}, "resu']
)
def test_deep_or_partial_json_is_named(text: str, tmp_path: Path) -> None:
    path = tmp_path / "deep.json"
    path.write_text(text)
    with pytest.raises(SombError, match=r"deep\.json"):
        logs.load([path])


def test_a_log_that_unpacks_to_too_much_is_refused_unread(answered: Path, tmp_path: Path) -> None:
    (log,) = answered.glob("*.eval")
    bomb = tmp_path / "bomb.eval"
    with ZipFile(log) as old, ZipFile(bomb, "w", ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
        with new.open("samples/big_epoch_1.json", "w") as member:
            for _ in range(65):
                member.write(b" " * 2**20)
    crowd = tmp_path / "crowd.eval"
    with ZipFile(crowd, "w") as new:
        for number in range(1000):
            new.writestr(f"samples/{number}.json", b"")
    lie = tmp_path / "lie.eval"  # says that its members are small
    data = bytearray(bomb.read_bytes())
    entry = data.rindex(b"PK\x01\x02")
    data[entry + 24 : entry + 28] = (1000).to_bytes(4, "little")
    data[entry + 16 : entry + 20] = crc32(b" " * 1000).to_bytes(4, "little")
    lie.write_bytes(data)
    cut = tmp_path / "cut.eval"
    cut.write_bytes(log.read_bytes()[:-50])
    for path in (bomb, crowd, lie, cut):
        with pytest.MonkeyPatch.context() as patch, pytest.raises(SombError, match=path.name):
            patch.setattr(logs, "MOST_MEMBERS", 900)
            logs.load([path])


@pytest.mark.parametrize("names", [("A_TOKEN", "B_TOKEN"), ("MY_SECRET", "APIKEY"), ("db_password", "CREDENTIALS")])
def test_a_secret_that_begins_with_another_is_cut_whole(names: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in zip(names, ("abcd-1234", "abcd-1234-5678"), strict=True):
        monkeypatch.setenv(name, value)
    assert redact("x abcd-1234-5678 abcd-1234 y") == f"x [{names[1]}] [{names[0]}] y"


def test_short_keys_and_addresses_are_redacted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOP_API_KEY", "k-12")
    monkeypatch.setenv("SOME_URL", "http://jan:p%40ssw0rd@host/v1?api_key=q-98765&x=plain-text")
    text = redact("k-12 ask-12x p%40ssw0rd p@ssw0rd q-98765 amFuOnBAc3N3MHJk plain-text")
    assert text == "[LOOP_API_KEY] ask-12x [SOME_URL] [SOME_URL] [SOME_URL] [SOME_URL] plain-text"
    monkeypatch.setenv("LOOP_API_KEY", "none")
    assert redact("none of these") == "none of these"


@pytest.mark.parametrize("form", ["http://jan:hunter42@{}/v1", "http://{}/v1?api_key=hunter42"])
def test_a_password_in_an_address_is_nowhere(
    form: str, server: Loopback, somb_llm: Any, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOP_BASE_URL", form.format(server.url.removeprefix("http://")))
    result = somb_llm("run", "-m", LOCAL, "--sample", 1)
    assert result.code == 2 and "LOOP_BASE_URL" in result.text and "API key" in result.text
    assert not server.calls and "hunter42" not in result.text + everything(world)


def test_a_secret_that_json_writes_otherwise_is_in_no_log(
    server: Loopback, somb_llm: Any, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_SECRET", 'quo"ted\\back')
    server.reply = lambda call: 'the word is quo"ted\\back'
    assert somb_llm("run", "-m", LOCAL, "--sample", 1).code == 0
    written = everything(world)
    assert "the word is [MY_SECRET]" in written and "ted\\" not in written


def test_fewer_repeats_keep_what_was_answered(server: Loopback, somb_llm: Any, world: Path) -> None:
    command = ("run", "-m", LOCAL, "--sample", 2)
    for repeats in (3, 1, 3, 2, 3):
        assert somb_llm(*command, "--repeats", repeats).code == 0
        answers = logs.load([world / "logs/llm"]).answers
        assert sorted(answers["epoch"]) == [1, 1, 2, 2, 3, 3] and (answers["status"] == "ok").all()
        assert len(server.calls) == 6, "and nothing is asked again"


def test_more_repeats_ask_only_for_those_that_are_missing(server: Loopback, somb_llm: Any, world: Path) -> None:
    for repeats in (1, 2, 4):
        assert somb_llm("run", "-m", LOCAL, "--sample", 2, "--repeats", repeats).code == 0
        assert len(server.calls) == 2 * repeats == len(logs.load([world / "logs/llm"]).answers)


def test_a_report_writes_only_into_its_own_folder(answered: Path, somb_llm: Any, world: Path) -> None:
    mine = world / "out/tables/mine.csv"
    mine.parent.mkdir(parents=True)
    mine.write_text("precious")
    report = ("report", answered, "--n-bootstrap", 100, "--out")
    refused = somb_llm(*report, "out")
    assert refused.code == 2 and "is not empty and not the folder of a report" in refused.text
    assert [path for path in (world / "out").rglob("*") if path.is_file()] == [mine] and mine.read_text() == "precious"
    refused = somb_llm(*report, mine)
    assert refused.code == 2 and "is not a folder" in refused.text and mine.read_text() == "precious"


def test_a_report_replaces_and_removes_only_what_a_report_wrote(answered: Path, somb_llm: Any, world: Path) -> None:
    report = ("report", answered, "--out", "out", "--n-bootstrap", 100)
    pairs, mine = world / "out/tables/pairs.csv", world / "out/tables/mine.csv"
    assert somb_llm(*report, "--compare").code == 0 and pairs.is_file()
    mine.write_text("precious")
    assert somb_llm(*report).code == 0 and not pairs.exists(), "the table of the earlier report is gone"
    pairs.write_text("precious")
    refused = somb_llm(*report, "--compare")
    assert refused.code == 2 and "pairs.csv was not written by a report" in refused.text
    assert somb_llm(*report).code == 0
    assert pairs.read_text() == mine.read_text() == "precious"


def test_brackets_in_names_are_shown(somb_llm: Any) -> None:
    result = somb_llm("run", "-m", "offline/demo[bold]", "-m", "offline/x\x1b[31m", "--sample", 1, "--dry-run")
    assert result.code == 0 and "offline/demo[bold]" in result.text and "\x1b" not in result.text


@pytest.mark.parametrize(("model", "folder"), [("offline/lr[/x]", "logs"), ("offline/m", "logs[/x]")])
def test_brackets_that_end_inspects_display_are_refused_beforehand(somb_llm: Any, model: str, folder: str) -> None:
    refused = somb_llm("run", "-m", model, "--sample", 1, "--log-dir", folder)
    assert refused.code == 2 and "cannot be used: Inspect reads its brackets as markup" in refused.text


def test_a_missing_extra_comes_with_advice_that_works(somb_llm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = somb_llm("report", "logs")
    assert result.code == 2 and "pip install -e '.[llm]'" in result.text and "git+" not in result.text
    monkeypatch.setenv("SOMB_REPOSITORY", "https://github.com/someone/bench")
    assert "pip install 'somb-utils[llm] @ git+https://github.com/someone/bench'" in somb_llm("report", "logs").text


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(a|a)*$", ".*.*.*x", r"(a)\1", "a{2}{3}", "(", "x" * 200, "((((a?)?)?)?)*"]
)
def test_slow_patterns_are_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="Pattern"):
        Check(op="columns", table="t", match=pattern, value=1)


@pytest.mark.parametrize(
    ("model", "maker"),
    [
        ("together/AIDC-AI/Marco-o1", "marco-o1"), ("EleutherAI/gpt-neox-20b", "eleutherai"), ("gpt-4o", "openai"),
        ("openai/o1-mini", "openai"), ("openai/ft-x (per dimension)", "openai"), ("ollama/llama3.1:8b", "meta"),
        ("bedrock/us.anthropic.claude-3-5", "anthropic"), ("mistral/large", "mistral"), ("qwen2.5-7b", "qwen"),
        ("openai-api/local/my-o3-clone", "my-o3-clone"), ("local/not-claude", "not-claude"),
    ],
)  # fmt: skip
def test_the_maker_is_the_first_word_or_the_service(model: str, maker: str) -> None:
    assert family(model) == maker


def test_folders_that_cannot_be_written_are_named(somb_llm: Any, world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("INSPECT_CACHE_DIR")
    (world / "file").write_text("")
    monkeypatch.setenv("SOMB_CACHE", str(world / "file"))
    result = somb_llm("run", "-m", "offline/demo", "--sample", 1)
    assert result.code == 0, result.text
    result = somb_llm("run", "-m", "offline/demo", "--sample", 1, "--log-dir", "file/logs")
    assert result.code == 2 and "file/logs" in result.text and "--log-dir" in result.text


def test_spending_is_only_stated_where_it_is_known() -> None:
    budget = cost.Budget(prices=cost.load_prices())
    assert heartbeat_line(budget) == "0 calls, $0.00 spent"
    budget.calls, budget.unpriced = 3, 3
    assert heartbeat_line(budget) == "3 calls, cost unknown"
    budget.calls, budget.spent = 5, 0.256
    assert heartbeat_line(budget) == "5 calls, $0.26 spent, cost of 3 calls unknown"


def test_a_run_of_unknown_price_says_so(server: Loopback, somb_llm: Any) -> None:
    assert "2 answers complete, cost unknown." in somb_llm("run", "-m", LOCAL, "--sample", 2).text
    assert "2 answers complete, $0.0" in somb_llm("run", "-m", GPT, "--sample", 2).text
