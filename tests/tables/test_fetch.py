"""Downloads, against a real server on the loopback."""

import hashlib
import re
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from rich.filesize import decimal
from serving import serving

import somb_utils.tables.fetch as fetch_module
from somb_utils.errors import SombError, UsageError
from somb_utils.tables.fetch import announcement, fetch, missing
from somb_utils.tables.registry import HUMAN, TableInfo, file_problem, git_blob_id, registry, verify_file

BODY = b"gene,value\n" + b"".join(b"SYN%05d,%d\n" % (i, i * i) for i in range(30_000))
OTHER = BODY.replace(b"SYN00001", b"SYN99999")


def info(name: str, body: bytes = BODY, *, blob_only: bool = False) -> TableInfo:
    blob = hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()
    table = replace(registry()["clinical_cbc"], name=name, path=f"data/processed/{name}.csv", git_blob=blob)
    if blob_only:
        return replace(table, bytes=None, sha256="")
    return replace(table, bytes=len(body), sha256=hashlib.sha256(body).hexdigest())


@dataclass
class Server:
    """Answers each request with the next behaviour of `script` (the last one stays)."""

    script: list[str] = field(default_factory=lambda: ["ok"])
    ranges: bool = True
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    url: str = ""

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        wanted = request.headers.get("Range")
        self.requests.append((request.path, wanted))
        behaviour = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if behaviour.isdigit():
            request.send_error(int(behaviour))
            return
        if behaviour.startswith("to "):
            request.send_response(302)
            request.send_header("Location", behaviour.removeprefix("to "))
            request.end_headers()
            return
        body = OTHER if behaviour == "wrong" else BODY * 40 if behaviour == "endless" else BODY
        start = int(wanted.split("=")[1].rstrip("-")) if wanted and self.ranges else 0
        if start >= len(body):
            request.send_error(416)
            return
        request.send_response(206 if start else 200)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        request.send_header("Content-Length", str(len(body) - start))
        request.end_headers()
        sent = body[start:]
        if behaviour in ("truncated", "interrupt"):
            sent = sent[: len(sent) // 2]
        request.wfile.write(sent)
        request.wfile.flush()
        request.close_connection = True
        if behaviour == "interrupt":
            threading.Event().wait(0.3)
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            threading.Event().wait(0.3)


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    with serving(state.handle) as state.url:
        yield state


@pytest.fixture
def get(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Fetch invented tables from the server into ``tmp_path / "open"``; returns what was echoed."""
    tables = {table.name: table for table in (info("one"), info("two"), info("blob", blob_only=True))}
    monkeypatch.setattr(fetch_module, "table_info", tables.__getitem__)

    def run(*names: str, base_url: str = server.url, retries: int = 3) -> list[str]:
        lines: list[str] = []
        folder = tmp_path / "open"
        paths = fetch(
            names,
            folder=folder,
            base_url=base_url,
            retries=retries,
            wait=0.01,
            echo=lines.append,
            progress=False,
        )
        assert paths == [folder / f"{name}.csv" for name in names]
        assert all(path.read_bytes() == BODY for path in paths)
        assert {path.name for path in folder.iterdir()} >= {path.name for path in paths}
        return lines

    return run


def left_in(tmp_path: Path) -> list[str]:
    files = (path for path in tmp_path.glob("open/**/*") if path.is_file() and path.name != fetch_module.LOCK)
    return sorted(str(path.relative_to(tmp_path / "open")) for path in files)


def test_tables_arrive_and_are_announced(get: Callable, server: Server, tmp_path: Path) -> None:
    first, last = get("one", "two", "blob")
    assert f"Downloading 3 tables ({decimal(2 * len(BODY))} and 1 of unknown size; licence: CC BY-NC 4.0)" in first
    assert server.url in first and str(tmp_path / "open") in first
    assert last == "3 downloaded and verified"
    assert left_in(tmp_path) == ["blob.csv", "one.csv", "two.csv"]
    assert not (tmp_path / "open" / ".partial").exists()


def test_a_rerun_downloads_nothing(get: Callable, server: Server) -> None:
    get("one", "blob")
    server.requests.clear()
    assert get("one", "blob") == []
    assert server.requests == []


def test_a_changed_table_is_replaced(get: Callable, server: Server, tmp_path: Path) -> None:
    get("one", "two", "blob")
    for name in ("one", "blob"):
        (tmp_path / "open" / f"{name}.csv").write_bytes(OTHER)
    server.requests.clear()
    get("one", "two", "blob")
    assert [path for path, _ in server.requests] == ["/data/processed/one.csv", "/data/processed/blob.csv"]


@pytest.mark.parametrize("status", ["500", "503", "429"])
def test_a_passing_server_error_is_retried(get: Callable, server: Server, status: str) -> None:
    server.script = [status, status, "ok"]
    get("one")
    assert len(server.requests) == 3


def test_a_lasting_server_error_says_so(get: Callable, server: Server, tmp_path: Path) -> None:
    server.script = ["500"]
    with pytest.raises(SombError, match=r"one\.csv answered 500 .*, 3 times; try again later"):
        get("one", retries=2)
    assert len(server.requests) == 3
    assert left_in(tmp_path) == []


def test_not_found_is_final(get: Callable, server: Server) -> None:
    server.script = ["404"]
    with pytest.raises(SombError, match="answered 404 Not Found: the file cannot be had there"):
        get("one")
    assert len(server.requests) == 1


@pytest.mark.parametrize("name", ["one", "blob"])
def test_a_broken_transfer_continues_where_it_stopped(get: Callable, server: Server, name: str) -> None:
    server.script = ["truncated", "ok"]
    get(name)
    (_, first), (_, second) = server.requests
    assert first is None
    assert second is not None and re.fullmatch(r"bytes=[1-9]\d*-", second)


def test_without_ranges_it_starts_again(get: Callable, server: Server) -> None:
    server.ranges = False
    server.script = ["truncated", "ok"]
    get("one")
    assert len(server.requests) == 2


def test_a_transfer_that_always_breaks_keeps_its_beginning_apart(get: Callable, server: Server, tmp_path: Path) -> None:
    server.ranges = False
    server.script = ["truncated"]
    with pytest.raises(SombError, match=r"broke .* try again, it continues where it stopped"):
        get("one", retries=1)
    assert left_in(tmp_path) == [".partial/one.csv.part"]
    server.ranges, server.script = True, ["ok"]
    get("one")
    assert server.requests[-1][1] is not None
    assert left_in(tmp_path) == ["one.csv"]


@pytest.mark.parametrize(("name", "kind"), [("one", "SHA-256"), ("blob", "git blob id")])
def test_wrong_bytes_are_discarded(get: Callable, server: Server, tmp_path: Path, name: str, kind: str) -> None:
    server.script = ["wrong"]
    with pytest.raises(SombError, match=f"sent is not the published table: its {kind} is .*; it was discarded"):
        get(name)
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("beginning", [OTHER[:100_000], BODY + b"too much"])
def test_a_spoilt_beginning_is_given_up(get: Callable, server: Server, tmp_path: Path, beginning: bytes) -> None:
    partial = tmp_path / "open" / ".partial"
    partial.mkdir(parents=True)
    (partial / "one.csv.part").write_bytes(beginning)
    get("one")
    assert [wanted for _, wanted in server.requests] == [f"bytes={len(beginning)}-", None]


def test_another_tables_beginning_is_left_alone(get: Callable, tmp_path: Path) -> None:
    partial = tmp_path / "open" / ".partial"
    partial.mkdir(parents=True)
    (partial / "two.csv.part").write_bytes(BODY[:1000])
    get("one")
    assert left_in(tmp_path) == [".partial/two.csv.part", "one.csv"]


def test_offline_names_the_host_and_the_remedies(get: Callable, tmp_path: Path) -> None:
    with socket.socket() as taken:  # bound but not listening: connections are refused
        taken.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(SombError, match=f"cannot reach {host}: nothing was downloaded") as failure:
            get("one", base_url=f"http://{host}", retries=1)
    assert failure.value.exit_code == 1
    for remedy in ("Try again", "SOMB_DATA", "--data simulated"):
        assert remedy in str(failure.value)
    assert left_in(tmp_path) == []


def test_an_address_that_is_none_is_reported(get: Callable) -> None:
    with pytest.raises(SombError, match="cannot get nowhere/data/processed/one"):
        get("one", base_url="nowhere")


def test_ctrl_c_leaves_nothing_partial_and_a_rerun_continues(get: Callable, server: Server, tmp_path: Path) -> None:
    server.script = ["ok", "interrupt", "ok"]
    with pytest.raises(KeyboardInterrupt):
        get("one", "two", "blob")
    assert left_in(tmp_path) == [".partial/two.csv.part", "one.csv"]
    server.requests.clear()
    get("one", "two", "blob")
    assert [path for path, _ in server.requests] == ["/data/processed/two.csv", "/data/processed/blob.csv"]
    assert server.requests[0][1] is not None
    assert left_in(tmp_path) == ["blob.csv", "one.csv", "two.csv"]


def test_a_folder_that_cannot_be_written_is_reported(get: Callable, tmp_path: Path) -> None:
    (tmp_path / "open").write_text("a file stands in the way")
    with pytest.raises(SombError, match="cannot write in"):
        get("one")


def test_the_progress_bar_shows_on_standard_error(
    get: Callable, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fetch(["one"], folder=tmp_path / "open", base_url=server.url)
    out, err = capsys.readouterr()
    assert out == ""
    assert "Downloading 1 table (" in err and "1/1 one" in err and "1 downloaded and verified" in err


def test_an_unknown_table_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown table 'nonsense'"):
        missing(["nonsense"], tmp_path)


def test_every_real_table_is_announced_with_its_size() -> None:
    tables = [table for table in registry().values() if table.tasks and table.repository == HUMAN]
    text = announcement(tables, Path("there"))
    assert "and 2 of unknown size; licence: CC BY-NC 4.0" in text
    assert "raw.githubusercontent.com/jang1563/SpaceOmicsBench/9720e4ec" in text


def test_a_file_is_verified_by_either_hash(tmp_path: Path) -> None:
    path = tmp_path / "one.csv"
    path.write_bytes(BODY)
    table, blob = info("one"), info("one", blob_only=True)
    assert git_blob_id(BODY) == table.git_blob
    verify_file(path, table)
    verify_file(path, blob)
    path.write_bytes(OTHER)
    assert "SHA-256 is" in (file_problem(path, table) or "")
    assert "git blob id is" in (file_problem(path, blob) or "")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"one\.csv is missing; put https://.*/one\.csv into that folder; or unset .*somb data fetch --tasks A1"),
        (
            BODY[:-4],
            r"one\.csv is truncated: [\d,]+ bytes for the published [\d,]+; put https://",
        ),
        (BODY + b"1", r"one\.csv is too long"),
        (OTHER, r"one\.csv is not the published table: its SHA-256 .* somb data fetch --tasks A1"),
    ],
)
def test_a_wrong_file_is_named_with_the_remedy(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "one.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SombError, match=message):
        verify_file(path, info("one"))


def test_the_published_files_verify_by_both_hashes(open_data: Path) -> None:
    for name in ("clinical_cbc", "gt_cfrna_clusters"):
        path = open_data / "processed" / f"{name}.csv"
        assert git_blob_id(path.read_bytes()) == registry()[name].git_blob
        verify_file(path, registry()[name])


def test_the_address_is_that_of_the_published_commit(published_files: Path) -> None:
    published = (published_files / "COMMIT").read_text().strip()
    assert registry()["clinical_cbc"].url.endswith(f"{published}/data/processed/clinical_cbc.csv")


def test_an_announcement_names_every_address() -> None:
    tables = [registry()["clinical_cbc"], registry()["mouse_eye_RR-1_hallmark"]]
    text = announcement(tables, Path("there"))
    assert "2 tables" in text and "CC BY 4.0, CC BY-NC 4.0" in text
    assert "SpaceOmicsBench/9720e4e" in text and "GeneLab_benchmark/2b472e4" in text


def test_several_fetches_at_once_download_each_table_once(get: Callable, server: Server, tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        for call in [pool.submit(get, "one", "two") for _ in range(4)]:
            call.result()
    assert [path for path, _ in server.requests] == ["/data/processed/one.csv", "/data/processed/two.csv"]
    assert left_in(tmp_path) == ["one.csv", "two.csv"]


@pytest.mark.parametrize("name", ["one", "blob"])
def test_a_download_stops_at_the_registered_size(
    get: Callable, server: Server, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch_module, "MOST_BYTES", len(BODY))
    server.script = ["endless"]
    kept: list[int] = []
    monkeypatch.setattr(fetch_module, "file_problem", lambda path, info: measured(path, info, kept))
    with pytest.raises(SombError, match=r"sent is .*; it was discarded"):
        get(name)
    assert len(BODY) < max(kept) <= len(BODY) + fetch_module.CHUNK
    assert left_in(tmp_path) == []


def measured(path: Path, table: TableInfo, kept: list[int]) -> str | None:
    kept.append(path.stat().st_size if path.is_file() else 0)
    return file_problem(path, table)


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        ("to http://[bad", r"cannot get http://127.*one\.csv: "),
        ("to /data/processed/one.csv", "Exceeded 30 redirects"),
        ("to ftp://127.0.0.1/one.csv", "No connection adapters"),
        ("416", "answered 416"),
    ],
)
def test_an_odd_answer_is_told_as_what_it_is(get: Callable, server: Server, behaviour: str, message: str) -> None:
    server.script = [behaviour]
    with pytest.raises(SombError, match=message):
        get("one", retries=1)


def test_certificates_and_proxies_are_named(get: Callable, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*fetch_module.CERTIFICATES, *fetch_module.PROXIES, "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    secure = server.url.replace("http:", "https:")
    with pytest.raises(SombError, match=r"no secure connection to 127\.0\.0\.1:\d+: .*REQUESTS_CA_BUNDLE"):
        get("one", base_url=secure)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nonexistent.pem")
    with pytest.raises(SombError, match=r"/nonexistent\.pem \(as REQUESTS_CA_BUNDLE set it\)"):
        get("one", base_url=secure)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HTTP_PROXY", f"http://user:secret@127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(SombError, match=r"through the proxy \(as HTTP_PROXY set it\)") as error:
            get("one", retries=0)
    assert "secret" not in str(error.value)
