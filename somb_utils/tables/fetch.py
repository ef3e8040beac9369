"""Download files, the open tables above all: announced, resumable, verified; no partial file has a final name."""

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pooch
import requests
from filelock import FileLock, Timeout
from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from somb_utils.errors import SombError, printable
from somb_utils.tables.registry import BASE_URLS, TableInfo, file_problem, open_folder, table_info

TIMEOUT = (10, 30)  # seconds to connect, seconds between two pieces
CHUNK = 65_536
TRANSIENT = {408, 429, *range(500, 600)}  # HTTP statuses worth another try
PARTIAL = ".partial"  # folder of unfinished transfers
LOCK = ".lock"  # held while a process downloads into the folder; others wait
CERTIFICATES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
MOST_BYTES = 500_000_000  # of a file of unknown size
ELSEWHERE = "or set SOMB_DATA to a folder with the published tables, or use `--data simulated`"


@dataclass(frozen=True)
class Download:
    """A file to download, and how to recognise it."""

    url: str
    file: str  # its name in the folder
    bytes: int | None  # None if unknown
    problem: Callable[[Path], str | None]  # how a file differs from the one that is wanted; None if it does not
    sha256: str = ""  # empty if unknown


class _BrokenTransferError(Exception):
    """A transfer failed in a way that another try may get over."""


def missing(names: Sequence[str], folder: Path) -> list[TableInfo]:
    """Return those of the named tables that are missing from `folder` or differ from the published ones."""
    tables = [table_info(name) for name in dict.fromkeys(names)]
    return [table for table in tables if file_problem(folder / table.file, table)]


def announcement(tables: Sequence[TableInfo], folder: Path, base_url: str | None = None) -> str:
    """Announce a download: how many tables, how large, from where, to where, under which licence."""
    size = decimal(sum(table.bytes or 0 for table in tables))
    if unknown := sum(table.bytes is None for table in tables):
        size += f" and {unknown} of unknown size"
    licences = ", ".join(sorted({table.licence for table in tables}))
    addresses = [base_url] if base_url else list(dict.fromkeys(BASE_URLS[table.repository] for table in tables))
    return (
        f"Downloading {len(tables)} table{'s' * (len(tables) != 1)} ({size}; licence: {licences})\n"
        + "".join(f"  from {address}\n" for address in addresses)
        + f"  to   {folder}"
    )


def fetch(
    names: Sequence[str],
    *,
    folder: Path | None = None,
    base_url: str | None = None,
    retries: int = 3,
    wait: float = 1.0,
    echo: Callable[[str], None] = lambda text: print(text, file=sys.stderr),
    progress: bool = True,
) -> list[Path]:
    """Download the named tables that are missing or differ from the published ones; return the paths of all.

    A transient failure is retried `retries` times, after `wait` seconds, doubled each time. A transfer continues where
    it stopped if the server can; an interrupted one leaves its beginning in ``.partial`` for the next call. Of several
    calls at once, one downloads and the others wait. `base_url` replaces the tables' own addresses, `echo` takes the
    messages.
    """
    folder = folder or open_folder()
    if missing(names, folder):
        with alone(folder, echo):
            if wanted := missing(names, folder):
                echo(announcement(wanted, folder, base_url))
                urls = [f"{base_url}/{table.path}" if base_url else table.url for table in wanted]
                files = [
                    Download(url, t.file, t.bytes, partial(file_problem, info=t), t.sha256)
                    for url, t in zip(urls, wanted, strict=True)
                ]
                download(files, folder, retries=retries, wait=wait, progress=progress)
                echo(f"{len(wanted)} downloaded and verified")
    return [folder / table_info(name).file for name in dict.fromkeys(names)]


@contextmanager
def alone(folder: Path, echo: Callable[[str], None]) -> Iterator[None]:
    """Make a folder and hold its lock, which the system releases when a process ends in any way."""
    lock = FileLock(folder / LOCK)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            echo(f"waiting for another download into {folder}")
            lock.acquire()
        try:
            yield
        finally:
            with suppress(OSError):  # it is not empty: an unfinished transfer stays for the next call
                (folder / PARTIAL).rmdir()
            lock.release()
    except OSError as error:
        advice = "; set SOMB_CACHE to a folder that can be written" if folder == open_folder() else ""
        raise SombError(f"cannot write in {folder}: {error.strerror or error}{advice}") from error


@dataclass
class ResumingDownloader:
    """A pooch downloader that continues a partial file and hands over only verified ones."""

    wanted: Download
    part: Path  # the partial file
    session: requests.Session
    report: Callable[[int], None]  # called with the number of bytes received

    def __call__(self, url: str, output_file: str, pooch: object) -> None:
        """Download the file; called by pooch."""
        start = self.part.stat().st_size if self.part.is_file() else 0
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
        with self._open(url, headers) as response:
            if start and response.status_code == requests.codes.requested_range_not_satisfiable:
                self.part.unlink()
                raise _BrokenTransferError(f"cannot continue at byte {start}")
            response.raise_for_status()
            if not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
                start = 0  # the server sends the whole file
            with self.part.open("ab" if start else "wb") as stream:
                for piece in response.iter_content(CHUNK):
                    stream.write(piece)
                    self.report(stream.tell())
                    if stream.tell() > (self.wanted.bytes or MOST_BYTES):
                        break
        if problem := self.wanted.problem(self.part):
            self.part.unlink()
            if start:
                raise _BrokenTransferError(problem)
            raise SombError(f"what {url} sent {problem}; it was discarded. A proxy or login page may answer for it")
        self.part.replace(output_file)

    def _open(self, url: str, headers: dict[str, str]) -> requests.Response:
        try:
            return self.session.get(url, headers=headers, stream=True, timeout=TIMEOUT)
        except requests.RequestException:
            raise
        except (OSError, ValueError) as error:  # a missing certificate file, a redirect to no address
            raise SombError(f"cannot get {url}: {printable(error)}{_set_by(str(error))}") from error


def download(
    files: Sequence[Download],
    folder: Path,
    *,
    retries: int = 3,
    wait: float = 1.0,
    progress: bool = True,
    elsewhere: str = ELSEWHERE,
) -> None:
    """Download files into a folder, replacing those of the same names; `elsewhere` tells who is offline what to do."""
    pooch.get_logger().setLevel("ERROR")
    (folder / PARTIAL).mkdir(parents=True, exist_ok=True)
    known = sum(file.bytes or 0 for file in files)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    bar = Progress(*columns, console=Console(stderr=True), disable=not progress)
    with requests.Session() as session, bar:
        task = bar.add_task("", total=known or None)
        before = 0
        for number, file in enumerate(files):
            bar.update(task, description=f"{number + 1}/{len(files)} {file.file}")

            def report(arrived: int, before: int = before) -> None:
                bar.update(task, completed=before + arrived)

            downloader = ResumingDownloader(file, folder / PARTIAL / f"{file.file}.part", session, report)
            try:
                _download(downloader, folder, retries, wait)
            except (requests.ConnectionError, requests.Timeout) as error:
                kept = (
                    f"{number} of {len(files)} files were downloaded and stay" if number else "nothing was downloaded"
                )
                raise SombError(_unreachable(error, file.url, kept, elsewhere)) from error
            before += (folder / file.file).stat().st_size


def _download(downloader: ResumingDownloader, folder: Path, retries: int, wait: float) -> None:
    """Download one file, retrying after transient failures."""
    file, url = downloader.wanted, downloader.wanted.url
    known_hash = f"sha256:{file.sha256}" if file.sha256 else None
    for failures in range(retries + 1):
        if failures:
            time.sleep(wait * 2 ** (failures - 1))
        (folder / file.file).unlink(missing_ok=True)  # it differs from the one that is wanted
        try:
            pooch.retrieve(url, known_hash, file.file, folder, downloader=downloader)
            return
        except requests.exceptions.SSLError:
            raise  # another try meets the same certificate
        except (requests.ConnectionError, requests.Timeout) as error:
            failure: Exception = error
        except (_BrokenTransferError, requests.exceptions.ChunkedEncodingError) as error:
            failure = SombError(f"the transfer of {url} broke ({error}); try again, it continues where it stopped")
        except requests.HTTPError as error:
            answer = f"{url} answered {error.response.status_code} {printable(error.response.reason)}"
            if error.response.status_code not in TRANSIENT:
                raise SombError(f"{answer}: the file cannot be had there") from error
            failure = SombError(f"{answer}, {retries + 1} times; try again later")
        except requests.RequestException as error:
            raise SombError(f"cannot get {url}: {printable(error)}") from error
    raise failure


def _unreachable(error: requests.RequestException, url: str, kept: str, elsewhere: str) -> str:
    """Say why the server cannot be reached: a certificate, a proxy, or the connection itself."""
    host, why = urlsplit(url).netloc, printable(error, most=400)
    if isinstance(error, requests.exceptions.SSLError):
        advice = "If a proxy or an organisation replaces certificates, name the new one in REQUESTS_CA_BUNDLE"
        return f"no secure connection to {host}: {why}. {advice}{_set_by('', *CERTIFICATES)}"
    if isinstance(error, requests.exceptions.ProxyError):
        return f"cannot reach {host} through the proxy{_set_by('', *PROXIES)}: {why}"
    return f"cannot reach {host}: {kept}. Are you online? Try again (it continues where it stopped), {elsewhere}"


def _set_by(text: str, *names: str) -> str:
    """Name the environment variables that are set, of `names` or with a value that occurs in `text`."""
    values = {name: os.environ.get(name) for name in (*CERTIFICATES, *PROXIES)}
    causes = [name for name, value in values.items() if value and (name in names or value in text)]
    return f" (as {' and '.join(causes)} set it)" if causes else ""
