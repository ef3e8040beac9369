"""A small bank in the true distribution, for tests that must not depend on the real one."""

from pathlib import Path

import yaml

from somb_utils.llm.bank import questions as bank
from somb_utils.llm.bank import schema

COUNTS = {
    "clinical": (3, 3, 3, 1), "transcriptomics": (2, 3, 3, 2), "proteomics": (2, 3, 3, 2),
    "metabolomics": (2, 3, 3, 2), "spatial": (1, 4, 3, 2), "microbiome": (2, 4, 3, 1),
    "cross_mission": (2, 5, 6, 5), "multi_omics": (1, 3, 5, 3), "methods": (2, 4, 2, 2),
}  # fmt: skip
FIVE = dict.fromkeys(COUNTS, (0, 0, 0, 0)) | dict.fromkeys(
    ("clinical", "transcriptomics", "proteomics", "spatial", "microbiome"), (1, 0, 0, 0)
)
FEW = FIVE | {"methods": (2, 3, 2, 2)}  # 14
TEN = dict.fromkeys(COUNTS, (1, 0, 0, 0)) | {"methods": (2, 0, 0, 0)}
SECRET = "GROUND-TRUTH-FOR-THE-JUDGE-ALONE"


def question(modality: str, difficulty: str, number: int) -> dict[str, object]:
    name = f"{schema.PREFIXES[modality]}-{schema.LETTERS[difficulty]}{number:02d}"
    kind = schema.KINDS[number % len(schema.KINDS)]
    return {
        "id": name, "modality": modality, "difficulty": difficulty, "kind": kind,
        "question": f"Fixture question {name}: how sure can one be with four crew members?",
        "contexts": ["overview"],
        "expected_reasoning": ["EXPECTED one", "EXPECTED two", "EXPECTED three"],
        "key_facts": [{"text": f"KEYFACT {name}", "method": True}, {"text": "KEYFACT other", "method": True}],
        "rubric": {dimension: f"NOTE on {dimension}" for dimension in schema.DIMENSIONS},
    }  # fmt: skip


def write(folder: Path, numbers: dict[str, tuple[int, ...]] = COUNTS) -> Path:
    """Write questions, so many a modality and difficulty, contexts and the real rubric below `folder`; return it."""
    (folder / "questions").mkdir(parents=True)
    (folder / "contexts").mkdir()
    for modality, counts in numbers.items():
        levels = zip(schema.DIFFICULTIES, counts, strict=True)
        questions = [question(modality, d, n + 1) for d, count in levels for n in range(count)]
        (folder / "questions" / f"{modality}.yaml").write_text(yaml.safe_dump(questions))
    for name in schema.CONTEXTS:
        (folder / "contexts" / f"{name}.md").write_text(f"Context {name}: 4 crew, 7 timepoints.\n")
    (folder / "contexts" / "ground_truth.md").write_text(f"{SECRET}: N = 4.\n")
    (folder / "rubric.yaml").write_text((bank.DATA / "llm" / "rubric.yaml").read_text())
    return folder


def use(folder: Path) -> None:
    """Make `folder` the bank of this process."""
    from somb_utils.llm.judge import prompts
    from somb_utils.llm.run import tasks

    bank.LLM = folder
    prompts.system_prompt.cache_clear()
    tasks._questions.cache_clear()


def report_records(address: str) -> None:
    """Let this process tell a loopback server of each sample once it is in the log."""
    from urllib.request import Request, urlopen

    from inspect_ai.hooks import Hooks, SampleEnd, hooks

    @hooks(name="records", description="Tells the tests' server of each sample in the log.")
    class Records(Hooks):
        async def on_sample_end(self, data: SampleEnd) -> None:
            urlopen(Request(f"{address}/recorded", data=b"{}", method="POST")).close()
