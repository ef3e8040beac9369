"""Download the open tables: announced, resumable, verified; no partial file has the name of a table."""

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
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
MOST_BYTES = 500_000_000  # of a table of unknown size


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
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with _alone(folder, echo):
                if wanted := missing(names, folder):
                    echo(announcement(wanted, folder, base_url))
                    _download_all(wanted, folder, base_url, retries, wait, progress)
                    echo(f"{len(wanted)} downloaded and verified")
        except OSError as error:
            advice = "; set SOMB_CACHE to a folder that can be written" if folder == open_folder() else ""
            raise SombError(f"cannot write in {folder}: {error.strerror or error}{advice}") from error
    return [folder / table_info(name).file for name in dict.fromkeys(names)]


@contextmanager
def _alone(folder: Path, echo: Callable[[str], None]) -> Iterator[None]:
    """Hold the folder's lock, which the system releases when a process ends in any way."""
    lock = FileLock(folder / LOCK)
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


@dataclass
class ResumingDownloader:
    """A pooch downloader that continues a partial file and hands over only verified ones."""

    table: TableInfo
    part: Path  # the partial file
    session: requests.Session
    report: Callable[[int], None]  # called with the number of bytes received

    def __call__(self, url: str, output_file: str, pooch: object) -> None:
        """Download the table; called by pooch."""
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
                    if stream.tell() > (self.table.bytes or MOST_BYTES):
                        break
        if problem := file_problem(self.part, self.table):
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


def _download_all(
    tables: Sequence[TableInfo], folder: Path, base_url: str | None, retries: int, wait: float, progress: bool
) -> None:
    pooch.get_logger().setLevel("ERROR")
    (folder / PARTIAL).mkdir(parents=True, exist_ok=True)
    known = sum(table.bytes or 0 for table in tables)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    bar = Progress(*columns, console=Console(stderr=True), disable=not progress)
    with requests.Session() as session, bar:
        task = bar.add_task("", total=known or None)
        before = 0
        for number, table in enumerate(tables):
            bar.update(task, description=f"{number + 1}/{len(tables)} {table.name}")

            def report(arrived: int, before: int = before) -> None:
                bar.update(task, completed=before + arrived)

            url = f"{base_url}/{table.path}" if base_url else table.url
            downloader = ResumingDownloader(table, folder / PARTIAL / f"{table.file}.part", session, report)
            try:
                _download(downloader, url, folder, retries, wait)
            except (requests.ConnectionError, requests.Timeout) as error:
                raise SombError(_unreachable(error, url, number, len(tables))) from error
            before += (folder / table.file).stat().st_size


def _download(downloader: ResumingDownloader, url: str, folder: Path, retries: int, wait: float) -> None:
    """Download one table, retrying after transient failures."""
    table = downloader.table
    known_hash = f"sha256:{table.sha256}" if table.sha256 else None
    for failures in range(retries + 1):
        if failures:
            time.sleep(wait * 2 ** (failures - 1))
        (folder / table.file).unlink(missing_ok=True)  # it differs from the published one
        try:
            pooch.retrieve(url, known_hash, table.file, folder, downloader=downloader)
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
                raise SombError(f"{answer}: the table cannot be had there") from error
            failure = SombError(f"{answer}, {retries + 1} times; try again later")
        except requests.RequestException as error:
            raise SombError(f"cannot get {url}: {printable(error)}") from error
    raise failure


def _unreachable(error: requests.RequestException, url: str, done: int, total: int) -> str:
    """Say why the server cannot be reached: a certificate, a proxy, or the connection itself."""
    host, why = urlsplit(url).netloc, printable(error, most=400)
    if isinstance(error, requests.exceptions.SSLError):
        advice = "If a proxy or an organisation replaces certificates, name the new one in REQUESTS_CA_BUNDLE"
        return f"no secure connection to {host}: {why}. {advice}{_set_by('', *CERTIFICATES)}"
    if isinstance(error, requests.exceptions.ProxyError):
        return f"cannot reach {host} through the proxy{_set_by('', *PROXIES)}: {why}"
    kept = f"{done} of {total} tables were downloaded and stay" if done else "nothing was downloaded"
    return (
        f"cannot reach {host}: {kept}. Are you online? Try again (it continues where it stopped), "
        "or set SOMB_DATA to a folder with the published tables, or use `--data simulated`"
    )


def _set_by(text: str, *names: str) -> str:
    """Name the environment variables that are set, of `names` or with a value that occurs in `text`."""
    values = {name: os.environ.get(name) for name in (*CERTIFICATES, *PROXIES)}
    causes = [name for name, value in values.items() if value and (name in names or value in text)]
    return f" (as {' and '.join(causes)} set it)" if causes else ""
