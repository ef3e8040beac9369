"""Studies of OSDR, from a server on the loopback that answers as its public API does."""

import hashlib
import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from serving import serving

import somb_utils.tables.osdr as osdr
from somb_utils.errors import SombError, UsageError

Command = Callable[..., tuple[int, str, str]]
DGE = "GLDS-379_rna_seq_differential_expression_GLbulkRNAseq.csv"
COUNTS = "GLDS-379_rna_seq_Normalized_Counts_GLbulkRNAseq.csv"
BODY = b"SYMBOL,Log2fc\n" + b"".join(b"SYN%05d,%d\n" % (i, i) for i in range(20_000))


def listed(name: str, size: int | None = len(BODY), **changes: Any) -> dict[str, Any]:
    """Return a file as the API lists it."""
    return {
        "category": "GeneLab Processed RNA-Seq Files", "subcategory": "Differential Expression Analysis Data",
        "date_created": 1601509296.578, "date_updated": "", "file_name": name, "file_size": size,
        "organization": "genelab", "restricted": False, "subdirectory": "", "visible": True,
        "remote_url": f"/geode-py/ws/studies/OSD-379/download?source=datamanager&file={name}", **changes,
    }  # fmt: skip


def answer(*files: dict[str, Any], accession: str = "OSD-379") -> bytes:
    """Return the API's answer for a study."""
    studies = {accession: {"file_count": len(files), "study_files": files}} if files else {}
    head = {"hits": len(studies), "input": "379", "page_number": 0, "page_size": 25, "page_total": 1}
    return json.dumps({**head, "studies": studies, "success": True, "total_hits": 1, "valid_input": ["379"]}).encode()


RAW = listed("GLDS-379_rna_seq_F1_R1_raw.fastq.gz", 14_879_922_202, category="Raw RNA-Seq Data", subcategory="")
STUDY = answer(RAW, listed("GLDS-379_rna_seq_SampleTable_GLbulkRNAseq.csv", 900), listed(COUNTS), listed(DGE))


@dataclass
class Api:
    """Answers with the list, and downloads with the next behaviour of `script` (the last one stays)."""

    listing: bytes = STUDY
    status: int = 200
    body: bytes = BODY
    script: list[str] = field(default_factory=lambda: ["ok"])
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    url: str = ""

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        wanted = request.headers.get("Range")
        self.requests.append((request.path, wanted))
        if request.path.startswith("/osdr/data/osd/files/"):
            if self.status != 200:
                request.send_error(self.status)
                return
            self.send(request, self.listing, 0, len(self.listing))
            return
        behaviour = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if behaviour == "redirect":
            request.send_response(302)
            request.send_header("Location", f"{self.url}/bucket/signed?X-Signature=1")
            request.end_headers()
            return
        start = int(wanted.split("=")[1].rstrip("-")) if wanted else 0
        self.send(request, self.body, start, len(self.body) // 2 if behaviour == "truncated" else len(self.body))

    def send(self, request: BaseHTTPRequestHandler, body: bytes, start: int, end: int) -> None:
        request.send_response(206 if start else 200)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        request.send_header("Content-Length", str(len(body) - start))
        request.end_headers()
        request.wfile.write(body[start:end])
        request.close_connection = True


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    state = Api()

    with serving(state.handle) as state.url:
        monkeypatch.setattr(osdr, "read_study", partial(osdr.read_study, base_url=state.url, wait=0.01))
        monkeypatch.setattr(osdr, "fetch_tables", partial(osdr.fetch_tables, wait=0.01, progress=False))
        yield state


def test_tables_are_listed_by_kind_and_the_rest_is_counted(api: Api, command: Command) -> None:
    code, out, err = command("osdr", "OSD-379", "--format", "json")
    rows = json.loads(out)
    assert code == 0 and api.requests == [("/osdr/data/osd/files/379", None)]
    assert [row["kind"] for row in rows] == ["differential expression", "counts", "table"]
    assert [row["file"] for row in rows[:2]] == [DGE, COUNTS] and rows[0]["size"] == len(BODY)
    assert "not shown: 1 files of Raw RNA-Seq Data (14.9 GB)" in err
    code, out, _ = command("osdr", "OSD-379", "--all", "--format", "json")
    assert [row["kind"] for row in json.loads(out)][-1] == "other"


@pytest.mark.parametrize(("given", "said"), [("379", "379 is read as OSD-379"), (" osd-379 ", "is read as OSD-379")])
def test_a_corrected_accession_is_stated(api: Api, command: Command, given: str, said: str) -> None:
    code, _, err = command("osdr", given)
    assert code == 0 and said in err


@pytest.mark.parametrize("given", ["", "liver", "OSD-", "OSD-0", "OSD-379.2", "OSD-379,380", "OSD-379/../1", "E-379"])
def test_an_odd_accession_is_refused_in_one_sentence(command: Command, given: str) -> None:
    code, out, err = command("osdr", given)
    assert code == 2 and out == "" and "is not an accession of OSDR; give one such as OSD-379" in err


def test_a_former_accession_is_taken_where_the_study_has_its_files(api: Api, command: Command) -> None:
    code, _, err = command("osdr", "GLDS-379")
    assert code == 0 and "GLDS-379 is read as OSD-379" in err
    api.listing = answer(listed("GLDS-561_rna_seq_Normalized_Counts.csv"))
    code, out, err = command("osdr", "GLDS-379")
    assert code == 2 and out == "" and "OSD-379 is not the study of GLDS-379" in err


def test_a_table_is_downloaded_with_its_provenance_and_kept(api: Api, command: Command, tmp_path: Path) -> None:
    code, out, err = command("osdr", "OSD-379", "--fetch", "differential_expression")
    path = tmp_path / "OSD-379" / DGE
    assert code == 0 and out.split() == [f"OSD-379/{DGE}"] and path.read_bytes() == BODY
    record = json.loads(path.with_name(f"{DGE}.provenance.json").read_text())
    address = f"{api.url}/geode-py/ws/studies/OSD-379/download?source=datamanager&file={DGE}"
    assert record["accession"] == "OSD-379" and record["listed"]["url"] == address and address in err
    assert record["sha256"] == hashlib.sha256(BODY).hexdigest() and record["bytes"] == len(BODY)
    assert not (tmp_path / "OSD-379" / ".partial").exists()
    api.requests.clear()
    code, _, err = command("osdr", "379", "--fetch", "*Differential*")
    assert code == 0 and "is there, as it was downloaded" in err and len(api.requests) == 1
    api.listing, api.body = answer(listed(DGE, 10, date_updated=1700000000.0)), BODY[:10]
    assert command("osdr", "OSD-379", "--fetch", DGE)[0] == 0 and path.read_bytes() == BODY[:10]


def test_another_programs_file_is_never_replaced(api: Api, command: Command, tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    mine = tmp_path / "tables" / DGE
    mine.write_bytes(BODY)
    code, _, err = command("osdr", "OSD-379", "--fetch", "differential", "--out", "tables")
    assert code == 1 and "was not downloaded by this command, or was changed since; move it away" in err
    mine.unlink()
    assert command("osdr", "OSD-379", "--fetch", "differential", "--out", "tables")[0] == 0
    mine.write_bytes(b"edited")
    assert command("osdr", "OSD-379", "--fetch", "differential", "--out", "tables")[0] == 1
    assert mine.read_bytes() == b"edited"


def test_a_broken_transfer_continues_behind_a_redirect(api: Api, command: Command, tmp_path: Path) -> None:
    api.script = ["redirect", "truncated", "redirect", "ok"]
    assert command("osdr", "OSD-379", "--fetch", "counts")[0] == 0
    assert (tmp_path / "OSD-379" / COUNTS).read_bytes() == BODY
    path, wanted = api.requests[-1]
    assert path.startswith("/bucket/") and wanted is not None and int(wanted[6:-1]) > 0


def test_a_file_of_another_size_than_listed_is_discarded(api: Api, command: Command, tmp_path: Path) -> None:
    api.listing = answer(listed(DGE, len(BODY) + 1))
    code, _, err = command("osdr", "OSD-379", "--fetch", DGE)
    assert code == 1 and f"has {len(BODY):,} bytes, the study's list says {len(BODY) + 1:,}" in err
    assert not (tmp_path / "OSD-379" / DGE).exists()


@pytest.mark.parametrize("status", [404, 200])
def test_a_study_that_is_not_there(api: Api, command: Command, status: int) -> None:
    api.listing, api.status = answer(), status
    code, _, err = command("osdr", "OSD-99999")
    assert code == 1 and "OSDR lists no file of OSD-99999" in err


@pytest.mark.parametrize(
    "body",
    [
        b'{"studies": {"OSD-379": ',
        b"<html>Log in</html>",
        b"[]",
        b'{"studies": {"OSD-379": {"study_files": [{"file_name": "a.csv"}]}}}',
        answer(listed(DGE, -1)),
        b"\xff" * 9,
        b"[" * 100_000,
    ],
)
def test_what_is_no_list_of_files_is_told(api: Api, command: Command, body: bytes) -> None:
    api.listing = body
    code, out, err = command("osdr", "OSD-379")
    assert code == 1 and out == "" and "is not a list of files as OSDR documents it" in err


def test_a_server_error_is_told(api: Api) -> None:
    api.status = 503
    with pytest.raises(SombError, match=r"answered 503 .*try again later"):
        osdr.read_study("OSD-379")


def test_offline_says_so() -> None:
    with socket.socket() as taken:  # bound but not listening: connections are refused
        taken.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(SombError, match=rf"cannot reach {host}: nothing was downloaded\. Are you online.*browser"):
            osdr.read_study("OSD-379", base_url=f"http://{host}", retries=1, wait=0.01)


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (listed("../counts.csv"), "not the name of a file in a folder"),
        (listed("/etc/counts.csv"), "not the name of a file in a folder"),
        (listed(".counts.csv"), "not the name of a file in a folder"),
        (listed("a\\counts.csv"), "not the name of a file in a folder"),
        (listed("C:counts.csv"), "not the name of a file in a folder"),
        (listed("counts\x1b[2J.csv"), "not the name of a file in a folder"),
        (listed(COUNTS, remote_url="https://example.org/counts.csv"), "another server than OSDR's"),
        (listed(COUNTS, remote_url="file:///etc/passwd"), "another server than OSDR's"),
        (listed(COUNTS, remote_url="//example.org/x"), "another server than OSDR's"),
        (listed(COUNTS, remote_url="http://[bad/x"), "another server than OSDR's"),
        (listed(COUNTS, restricted=True), "is restricted: ask OSDR for access"),
    ],
)
def test_no_name_or_address_is_trusted(api: Api, command: Command, file: dict[str, Any], said: str) -> None:
    api.listing = answer(file)
    code, _, err = command("osdr", "OSD-379", "--fetch", "counts")
    assert code == 1 and said in err and "\x1b" not in err
    assert len(api.requests) == 1


def test_a_name_that_is_listed_twice_is_refused(api: Api) -> None:
    api.listing = answer(listed(COUNTS), listed(COUNTS, remote_url="/other"))
    study = osdr.read_study("OSD-379")
    with pytest.raises(SombError, match="more than once"):
        osdr.fetch_tables(study, osdr.select(study, "counts"), Path("tables"))


@pytest.mark.parametrize(("pattern", "said"), [("proteome", "matches no file"), ("fastq", "none of which is a table")])
def test_a_pattern_that_matches_no_table_is_refused(api: Api, pattern: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        osdr.select(osdr.read_study("OSD-379"), pattern)
