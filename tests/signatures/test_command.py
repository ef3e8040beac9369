"""``somb signature`` on the real tables, and where something is missing."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from somb_utils.signatures import query

Command = Callable[..., tuple[int, str, str]]
MOUSE = Path(__file__).parents[3] / "shared" / "open-data-mouse"
THYMUS = MOUSE / "processed" / "J2_dge_comparison" / "thymus" / "RR-9_deseq2_dge.csv"


def test_the_answer_is_printed_and_written(
    open_data: Path, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not THYMUS.is_file():
        pytest.skip(f"no real tables of mice in {MOUSE}")
    monkeypatch.setattr(query, "N_PERMUTATIONS", 10)
    names = "mouse_thymus_RR-6,mouse_liver_RR-8"
    where = f"{open_data / 'processed'}:{MOUSE}"
    code, out, _ = command("signature", THYMUS, "--against", names, "--data", where, "--out", "answer")
    assert code == 0
    assert "12,531 genes, 1,397 significant" in out and "genes: mouse Ensembl ids" in out
    assert "432 of 597 (69-76 %)" in out and "Like no reference" in out
    assert "genes as exchangeable" in out and "of 1 to 6 people" in out
    table = pd.read_csv(tmp_path / "answer" / "references.csv")
    assert table["reference"].tolist() == names.split(",") and table["caveat"].notna().all()
    genes = pd.read_csv(tmp_path / "answer" / "genes.csv")
    assert genes[genes["reference"] == "mouse_thymus_RR-6"]["same_direction"].sum() == 432
    assert (tmp_path / "answer" / "signature.png").read_bytes().startswith(b"\x89PNG")
    made = json.loads((tmp_path / "answer" / "provenance.json").read_text())
    assert made["signature"]["sha256"] == hashlib.sha256(THYMUS.read_bytes()).hexdigest()
    assert list(made["references"]) == names.split(",") and (made["permutations"], made["seed"]) == (10, query.SEED)
    assert {"versions", "command", "written"} <= made.keys()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["mine.csv"], 1, "get them with: somb data fetch"),
        (["mine.csv", "--data", "simulated"], 1, "references are real tables"),
        (["mine.csv", "--data", "nowhere"], 2, "'nowhere' is neither"),
        (["mine.csv", "--against", "liver"], 2, "no reference is named liver; there are cfrna_flight"),
        (["none.csv"], 1, "none.csv"),
    ],
)
def test_what_is_missing_is_named(
    words: list[str], code: int, said: str, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOMB_CACHE", str(tmp_path / "cache"))
    table = pd.DataFrame({"gene": [f"GENE{i}" for i in range(30)], "logFC": 1.5, "padj": 0.5})
    table.assign(logFC=table.index - 14.5).to_csv(tmp_path / "mine.csv", index=False)
    exit_code, _, err = command("signature", *words)
    assert (exit_code, said in err) == (code, True), err
