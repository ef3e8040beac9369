"""Runs against the loopback server: failures, resume, budget, keys, batch mode, the inspect entry point."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fixture_bank
import pytest
import yaml
from inspect_ai._util import rich
from inspect_ai._util.rich import rich_traceback
from inspect_ai.log import read_eval_log
from loopback import DIMENSIONS, Call, Loopback, verdict

from somb_utils.llm.bank.questions import load_bank
from somb_utils.llm.core.items import load_items
from somb_utils.llm.run.logs import load

CLAUDE, GPT, LOCAL = "anthropic/claude-sonnet-4-6", "openai/gpt-4o", "openai-api/loop/local-model"
STREAMED = "anthropic/claude-opus-4-7"  # reasons, so it may answer at length, so its replies are streamed
# A short wait between retries, no request that times out by itself on a loaded machine.
QUICK = ("--retry-wait", "0.05", "--max-retries", "1", "--timeout", "600")
ROOT = Path(__file__).parents[2]


def models(*names: str, flag: str = "-m") -> list[str]:
    return [part for name in names for part in (flag, name)]


def everything(folder: Path) -> str:
    """Return all that was written below a folder as text, logs unpacked."""
    parts = []
    for path in folder.rglob("*"):
        if path.suffix == ".eval":
            parts.append(read_eval_log(str(path), resolve_attachments="full").model_dump_json())
        if path.is_file():
            parts.append(path.read_bytes().decode("utf-8", "replace"))
    return "\n".join(parts)


def at(call: Call, *ids: str) -> bool:
    """Return whether a request is about one of these questions."""
    return any(f"Fixture question {name}:" in call.text for name in ids)


TRANSIENT = {
    "CLIN-E01": "429", "TRAN-E01": "529", "PROT-E01": "500", "SPAT-E01": "truncated", "MICR-E01": "drop",
}  # fmt: skip
ANSWER_FAULTS = {"METH-E01": "500", "METH-E02": "empty", "METH-M01": "refusal", "METH-M02": "max_tokens"}
JUDGE_FAULTS = {
    "METH-H01": "bad_json", "METH-H02": "empty", "METH-X01": "refusal", "METH-X02": "max_tokens",
    "METH-M03": "500",
}  # fmt: skip


def faults(lasting: dict[str, str]) -> Callable[[Call], str | None]:
    """Return a fault plan: transient ones at the first try of a request, lasting ones always."""

    def fault(call: Call) -> str | None:
        for name, kind in lasting.items():
            if at(call, name):
                return kind
        for name, kind in TRANSIENT.items():
            if at(call, name) and call.nth == 0:
                return kind
        return None

    return fault


def test_full_run_survives_every_failure(server: Loopback, somb_llm: Any, world: Path) -> None:
    fixture_bank.use(fixture_bank.write(world / "few", fixture_bank.FEW))
    command = ["run", *models(CLAUDE, GPT, LOCAL), "--full", *QUICK]
    server.fault = faults(ANSWER_FAULTS)
    first = somb_llm(*command)
    assert first.code == 1 and "6 answers failed" in first.text and "36 answers complete" in first.text

    answers = load([world / "logs/llm"]).answers
    assert len(answers) == 3 * 14
    by_status = answers.groupby("model")["status"].value_counts().unstack()
    assert (by_status[["ok", "refused", "truncated", "empty", "failed"]] == [10, 1, 1, 1, 1]).all().all()

    server.fault, done = None, len(server.calls)
    assert somb_llm(*command).code == 0
    assert len(server.calls) - done == 6, "only what failed is asked again"
    done = len(server.calls)
    assert somb_llm(*command).code == 0
    assert len(server.calls) == done, "the second identical run makes no request"
    empty = {call.key for call in server.calls if call.fault == "empty"}
    assert set(server.repeated()) == empty, "no completed call is made again, but for empty answers"
    for call in server.calls:
        assert call.body["max_tokens"] == 2000
        assert call.body.get("temperature") == (None if call.path.startswith("/v1/messages") else 0.3)
        assert "GROUND-TRUTH" not in call.text and "KEYFACT" not in call.text and "EXPECTED" not in call.text

    by_gpt = [log for log in Path("logs/llm").glob("*.eval") if read_eval_log(str(log), True).eval.model == GPT]
    judge = ["judge", *by_gpt, *models(STREAMED, LOCAL, flag="-j"), *QUICK]
    server.fault, done = faults(JUDGE_FAULTS), len(server.calls)
    judged = somb_llm(*judge)
    assert judged.code == 1 and "2 judgements failed" in judged.text
    assert "8 judgements do not count" in judged.text.splitlines()[-1]
    requests = server.calls[done:]
    assert all("GROUND-TRUTH" in call.text for call in requests)
    for call in requests:
        assert call.body.get("temperature") == (None if call.path.startswith("/v1/messages") else 0)
    levels = [call.body["response_format"]["json_schema"] for call in requests if "response_format" in call.body]
    assert levels[0]["strict"] and levels[0]["schema"]["properties"]["completeness"]["enum"] == [1, 2, 3, 4, 5]

    evaluation = load([world / "logs/llm"])
    lost = evaluation.judgements[evaluation.judgements["status"] != "scored"]
    counts = lost.assign(why=lost["reason"].str.partition(":")[0]).groupby("why").size().to_dict()
    two = {"judge_invalid": 2, "judge_empty": 2, "judge_refused": 2, "judge_truncated": 2, "judge_failed": 2}
    assert counts == two, "every failure is counted"
    assert lost["weighted_score"].isna().all() and lost[list(DIMENSIONS)].isna().all().all(), "and none scored"
    refused = evaluation.answers["status"].eq("refused").sum()
    assert refused == 3 and len(evaluation.judgements) == 2 * (14 - 1) and len(evaluation.scored) == 26 - 10

    server.fault, done = None, len(server.calls)
    assert somb_llm("report", "logs/llm", "--n-bootstrap", 100).code == 0
    assert "10 verdicts did not count" in (world / "llm_report/report.md").read_text()
    assert somb_llm(*judge).code == 0
    assert len(server.calls) - done == 2 + 8, "what failed and what does not count is asked for again"
    done = len(server.calls)
    assert somb_llm(*judge).code == 0 and len(server.calls) == done
    assert somb_llm("report", "logs/llm", "--n-bootstrap", 200).code == 0
    assert "did not count" not in (world / "llm_report/report.md").read_text()
    met = {(call.judging, call.fault) for call in server.calls if call.fault}
    both, answering = set(TRANSIENT.values()), set(ANSWER_FAULTS.values())
    assert met == {(False, f) for f in both | answering} | {(True, f) for f in both | set(JUDGE_FAULTS.values())}
    assert all(call.body.get("stream") for call in server.calls if STREAMED.endswith(call.model))


def test_a_request_without_a_reply_is_made_again(server: Loopback, somb_llm: Any, world: Path) -> None:
    server.fault = lambda call: "hold" if not server.calls else None
    result = somb_llm("run", "-m", LOCAL, "--sample", 1, "--retry-wait", 0.05, "--max-retries", 20, "--timeout", 1)
    assert result.code == 0, result.text
    assert not server.calls[0].completed and server.calls[-1].completed and server.calls[-1].nth > 0


def hold_after(server: Loopback, number: int) -> Callable[[Call], str | None]:
    return lambda call: "hold" if len(server.calls) >= number else None


@pytest.mark.parametrize(("judging", "number"), [(False, 13), (True, 50)])
def test_killed_run_goes_on_where_it_stopped(
    judging: bool, number: int, server: Loopback, start: Any, somb_llm: Any, world: Path
) -> None:
    """All 20 samples are under way at once: each is in the log, or waits for a request that the server holds."""
    command: list[object] = ["run", *models(CLAUDE, LOCAL), "--sample", 10, "--max-connections", 20, *QUICK]
    total = 20
    if judging:
        assert somb_llm(*command).code == 0
        server.calls.clear()
        command = ["judge", "logs/llm", "-j", LOCAL, "--per-dimension", "--max-connections", 20, *QUICK]
        total = 20 * 6
    server.fault = hold_after(server, number)
    process = start(*command)
    server.wait_until(lambda: server.recorded + server.held == 20, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.join()
    server.fault = None
    assert len(server.completed) == number
    before = len(server.calls)
    resumed = somb_llm(*command)
    assert resumed.code == 0, resumed.text
    assert server.repeated() == [], "no completed call is made again"
    assert len(server.calls) - before == total - number
    assert len(load([world / "logs/llm"]).answers) == 20


def test_interrupted_run_says_how_to_go_on(server: Loopback, command: Any, world: Path) -> None:
    def interrupt(call: Call) -> str | None:
        if len(server.calls) == 3:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)  # as Ctrl-C
        return "hold" if len(server.calls) >= 3 else None

    server.fault = interrupt
    code, _, errors = command("llm", "run", "-m", LOCAL, "--sample", 8, "--max-connections", 2, *QUICK)
    assert code == 1 and "run the same command again" in errors and server.held


def test_budget_stops_and_keeps_answers(server: Loopback, somb_llm: Any, world: Path) -> None:
    prices = world / "prices.yaml"
    price = {"input": 0, "output": 1000, "input_cache_write": 0, "input_cache_read": 0}
    prices.write_text(yaml.safe_dump({LOCAL: price}))
    command = ["run", "-m", LOCAL, "--sample", 10, "--max-tokens", 100, "--prices", prices, *QUICK]
    stopped = somb_llm(*command, "--max-cost", 0.15)
    assert stopped.code == 1 and "Stopped at --max-cost 0.15" in stopped.text
    kept = load([world / "logs/llm"]).answers
    done = int((kept["status"] == "ok").sum())
    assert 0 < done < 10 and len(server.calls) == done
    spent = sum(len(server.reply(c)) // 4 for c in server.calls) * 1000 / 1e6
    assert spent <= 0.15
    assert (kept["status"] == "not_asked").sum() == 10 - done
    assert somb_llm(*command).code == 0
    assert len(server.calls) == 10 and server.repeated() == []

    judge = ["judge", "logs/llm", "-j", LOCAL, "--prices", prices, *QUICK]
    stopped = somb_llm(*judge, "--max-cost", 4.5)  # a verdict costs 0.1 dollars, and could cost 4.1
    assert stopped.code == 1 and "Stopped at --max-cost 4.5" in stopped.text
    judged = len(server.calls) - 10
    assert 0 < judged < 10 and len(load([world / "logs/llm"]).scored) == judged
    assert somb_llm(*judge).code == 0
    assert len(server.calls) == 20 and server.repeated() == [] and len(load([world / "logs/llm"]).scored) == 10


def test_budget_needs_prices(server: Loopback, somb_llm: Any) -> None:
    result = somb_llm("run", "-m", LOCAL, "--sample", 2, "--max-cost", 1)
    assert result.code == 2 and "--prices" in result.text and LOCAL in result.text
    assert not server.calls


def test_dry_run_sends_nothing(server: Loopback, somb_llm: Any) -> None:
    result = somb_llm("run", *models(CLAUDE, LOCAL), "--modality", "clinical", "--dry-run")
    assert result.code == 0 and not server.calls
    assert "$0." in result.text and "10 questions" in result.text and f"No price is known of {LOCAL}" in result.text
    (total,) = (line for line in result.text.splitlines() if line.startswith("│ all"))
    assert total.count("unknown") == 2, "a sum is not known where a part is not"


def test_per_dimension_asks_six_times_and_combines(server: Loopback, somb_llm: Any, world: Path) -> None:
    assert somb_llm("run", "-m", LOCAL, "--sample", 3).code == 0
    server.calls.clear()
    assert somb_llm("judge", "logs/llm", "-j", CLAUDE, "--per-dimension").code == 0
    assert len(server.calls) == 18
    assert somb_llm("judge", "logs/llm", "-j", CLAUDE).code == 0
    scored = load([world / "logs/llm"]).scored
    assert sorted(scored["judge"].unique()) == [CLAUDE, f"{CLAUDE} (per dimension)"]
    assert (scored["weighted_score"] == 4).all()


def test_answers_judged_anew_when_they_change(server: Loopback, somb_llm: Any, world: Path) -> None:
    assert somb_llm("run", "-m", LOCAL, "--sample", 3).code == 0
    assert somb_llm("judge", "logs/llm", "-j", LOCAL).code == 0
    server.reply = lambda call: verdict(2) if call.judging else "Another answer."
    assert somb_llm("run", "-m", LOCAL, "--sample", 3, "--temperature", 0.9).code == 0
    evaluation = load([world / "logs/llm"])
    assert set(evaluation.answers["answer"]) == {"Another answer."}
    assert evaluation.judgements.empty, "verdicts on answers that were replaced do not count"
    assert somb_llm("judge", "logs/llm", "-j", LOCAL).code == 0
    assert (load([world / "logs/llm"]).scored["weighted_score"] == 2).all()


def test_the_later_answer_counts_whatever_the_logs_are_called(server: Loopback, somb_llm: Any, world: Path) -> None:
    assert somb_llm("run", "-m", LOCAL, "--sample", 3).code == 0
    (first,) = (world / "logs/llm").glob("*.eval")
    server.reply = lambda call: "Another answer."
    assert somb_llm("run", "-m", LOCAL, "--sample", 3, "--temperature", 0.9).code == 0
    first.rename(first.with_name("zz-named-last.eval"))
    assert set(load([world / "logs/llm"]).answers["answer"]) == {"Another answer."}


def test_repeats_are_asked_and_averaged(server: Loopback, somb_llm: Any, world: Path) -> None:
    assert somb_llm("run", "-m", LOCAL, "--sample", 3, "--repeats", 2).code == 0
    assert len(server.calls) == 6
    assert somb_llm("judge", "logs/llm", "-j", LOCAL).code == 0
    assert len(load([world / "logs/llm"]).scored) == 6


def test_batch_mode(server: Loopback, somb_llm: Any, world: Path) -> None:
    result = somb_llm("run", "-m", CLAUDE, "--sample", 3, "--batch", "--batch-tick", 0.2)
    assert result.code == 0, result.text
    assert {call.path for call in server.calls} == {"batch"} and len(server.calls) == 3


@pytest.mark.parametrize(
    ("model", "variables"),
    [
        (CLAUDE, ["ANTHROPIC_API_KEY"]),
        (GPT, ["OPENAI_API_KEY"]),
        ("openai-api/my-host/m", ["MY_HOST_API_KEY", "MY_HOST_BASE_URL"]),
        ("groq/llama", ["GROQ_API_KEY"]),
        ("nonsense", ["PROVIDER/NAME"]),
        ("nonsense/model", ["nonsense"]),
    ],
)
def test_missing_key_is_named_with_a_way_to_try(model: str, variables: list[str], somb_llm: Any, world: Path) -> None:
    result = somb_llm("run", "-m", model, "--sample", 2)
    assert result.code == 2
    assert all(name in result.text for name in [model.split("/")[0], *variables, "offline/demo"])
    assert "Traceback" not in result.text


def test_local_hugging_face_says_what_it_needs(somb_llm: Any) -> None:
    result = somb_llm("run", "-m", "hf/some/model", "--sample", 2)
    assert result.code == 2 and "hf/some/model" in result.text


def test_offline_demo_runs_without_keys_or_network(somb_llm: Any, world: Path) -> None:
    assert somb_llm("run", "-m", "offline/demo", "--sample", 4).code == 0
    refused = somb_llm("judge", "logs/llm", "-j", CLAUDE)
    assert refused.code == 2 and "ANTHROPIC_API_KEY is not set" in refused.text
    assert somb_llm("judge", "logs/llm", "-j", "offline/judge").code == 0
    assert somb_llm("report", "logs/llm", "--n-bootstrap", 100).code == 0
    assert "Offline stand-ins" in (world / "llm_report/report.md").read_text()
    assert somb_llm("view", "logs/llm", "--bundle", "viewer").code == 0
    assert (world / "viewer/index.html").is_file()
    assert str(world) not in "".join(p.read_text() for p in (world / "viewer").glob("*.html"))
    assert somb_llm("view", "logs/llm", "--bundle", "viewer").code == 1, "a folder with files is not overwritten"
    (world / "viewer.txt").write_text("precious")
    refused = somb_llm("view", "logs/llm", "--bundle", "viewer.txt")
    assert refused.code == 1 and "is not an empty folder" in refused.text
    assert (world / "viewer.txt").read_text() == "precious"


def test_no_key_is_written_anywhere(
    server: Loopback, somb_llm: Any, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {f"{name}_API_KEY": f"sk-canary-{name}-7f3a9c5e1b" for name in ("ANTHROPIC", "OPENAI", "LOOP")}
    for name, value in keys.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(rich, "rich_traceback", rich_traceback)  # with frames and their width, as a user's logs have it
    plan = {0: "401", 1: "500", 2: "429", 3: "529", 4: "400"}
    server.fault = lambda call: plan.get(len(server.calls) % 7)
    messages = []
    for _ in range(2):
        messages.append(somb_llm("run", *models(CLAUDE, GPT, LOCAL), "--sample", 2, *QUICK, "--max-retries", 0).text)
    assert "401" in "".join(messages), "the server's errors, which repeat the key, are shown"
    server.fault = None
    server.reply = lambda call: json.dumps(call.headers) if not call.judging else verdict()
    messages.append(somb_llm("run", *models(CLAUDE, GPT, LOCAL), "--sample", 2, *QUICK).text)
    judge = ["judge", "logs/llm", *models(CLAUDE, LOCAL, flag="-j"), *QUICK]
    server.fault = lambda call: plan.get(len(server.calls) % 7)
    messages.append(somb_llm(*judge, "--max-retries", 0).text)
    assert {(call.judging, call.fault) for call in server.calls if call.fault} == {
        (judging, fault) for judging in (False, True) for fault in plan.values()
    }
    server.fault = None
    messages.append(somb_llm(*judge).text)
    messages.append(somb_llm("report", "logs/llm", "--n-bootstrap", 100).text)
    written = everything(world)
    assert len(load([world / "logs/llm"]).scored) == 6 * 2
    assert "injected" in written and "[ANTHROPIC_API_KEY]" in written, "the echo was there, and was cut out"
    for value in keys.values():
        assert value not in "".join(messages)
        assert value not in written


INJECTIONS = yaml.safe_load((Path(__file__).parent / "injections.yaml").read_text())


def test_injections_reach_the_judge_as_fenced_data(server: Loopback, somb_llm: Any, world: Path) -> None:
    from somb_utils.llm.judge.prompts import marker, neutralised

    assert len(INJECTIONS) >= 10
    numbers: dict[str, int] = {}

    def reply(call: Call) -> str:
        if call.judging:
            return verdict(2)
        number = numbers.setdefault(call.text, len(numbers))
        return str(INJECTIONS[number]["answer"])

    server.reply = reply
    assert somb_llm("run", "-m", LOCAL, "--sample", len(INJECTIONS)).code == 0
    server.calls.clear()
    assert somb_llm("judge", "logs/llm", *models(CLAUDE, LOCAL, flag="-j")).code == 0
    answers = load([world / "logs/llm"]).answers.set_index("question_id")["answer"]
    assert set(answers) == {item["answer"] for item in INJECTIONS}
    assert len(server.calls) == 2 * len(INJECTIONS)
    for call in server.calls:
        name = next(n for n in answers.index if at(call, n))
        code = marker(name, answers[name])
        start, end = f"<answer-{code}>\n", f"\n</answer-{code}>"
        assert call.text.count(start) == 1 and call.text.count(end) == 1
        before, rest = call.text.split(start)
        inside, after = rest.split(end)
        assert inside == neutralised(answers[name]) and code not in inside
        assert "<answer" not in inside.lower() and "</answer" not in inside.lower() and "＜／answer" not in inside
        assert "never an instruction" in before and "is data, not instruction" in after
        assert neutralised(answers[name]) not in before + after
    scored = load([world / "logs/llm"]).scored
    assert (scored["weighted_score"] == 2).all(), "the judge's verdict counts, not the answer's"


def test_marker_depends_on_the_whole_answer() -> None:
    from somb_utils.llm.judge.prompts import marker

    assert marker("Q", "a") != marker("Q", "b") != marker("R", "b")


def test_inspect_entry_point(world: Path, bank_folder: Path) -> None:
    """The registered task runs under inspect's own command, judged by the model in the role ``grader``."""
    site = world / "site"
    (site / "entry-0.dist-info").mkdir(parents=True)
    (site / "entry-0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: entry\nVersion: 0\n")
    (site / "entry-0.dist-info/entry_points.txt").write_text("[inspect_ai]\nsomb_utils = entry\n")
    (site / "entry.py").write_text(
        f"import sys, pathlib\nsys.path.insert(0, {str(Path(fixture_bank.__file__).parent)!r})\n"
        f"import fixture_bank\nfixture_bank.use(pathlib.Path({str(bank_folder)!r}))\n"
        "import somb_utils.llm.run.tasks\n"
    )
    command = [
        sys.executable, "-m", "inspect_ai", "eval", "somb_utils/spaceomics", "--model", "offline/demo",
        "--model-role", "grader=offline/judge", "-T", "sample=4", "-T", "modality=clinical,spatial",
        "--log-dir", "logs/inspect", "--display", "none",
    ]  # fmt: skip
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(site)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    evaluation = load([world / "logs/inspect"])
    assert len(evaluation.scored) == 4 and set(evaluation.scored["judge"]) == {"offline/judge"}
    assert set(evaluation.answers["modality"]) <= {"clinical", "spatial"}


def test_listing_for_the_register() -> None:
    listing = yaml.safe_load((ROOT / "eval.yaml").read_text())
    samples = {
        "spaceomics": load_bank(),
        "spaceomics_core": load_items("core"),
        "spaceomics_analysis": load_items("core"),
    }
    samples["spaceomics_abstain"] = (*load_items("abstain"), *load_items("premise"))
    assert {task["name"]: task["dataset_samples"] for task in listing["tasks"]} == {
        k: len(v) for k, v in samples.items()
    }
    for task in listing["tasks"]:
        assert f"def {task['name']}(" in (ROOT / task["task_path"]).read_text()
    assert {"full_title", "common_title", "description"} <= set(listing)
    assert "source" not in listing or listing["source"].get("repository_commit") is None  # a release adds its own


def test_wrong_task_argument_is_reported_without_a_traceback() -> None:
    from inspect_ai._util.error import PrerequisiteError

    from somb_utils.llm.run.tasks import spaceomics

    with pytest.raises(PrerequisiteError, match=r"Unknown modality: nope. Choose from clinical"):
        spaceomics(modality="nope")


def test_usage_errors_say_what_to_do(somb_llm: Any, world: Path) -> None:
    result = somb_llm("run", "-m", "offline/demo")
    assert result.code == 2 and "--full" in result.text
    result = somb_llm("run", "-m", "offline/demo", "--modality", "nope")
    assert result.code == 2 and "clinical" in result.text
    for command in ("judge", "report"):
        judge = ["-j", "offline/judge"] if command == "judge" else []
        result = somb_llm(command, "missing", *judge)
        assert result.code == 2 and "does not exist" in result.text
    broken = world / "broken.eval"
    broken.write_bytes(b"not a log")
    result = somb_llm("report", broken)
    assert result.code == 1 and "broken.eval" in result.text
