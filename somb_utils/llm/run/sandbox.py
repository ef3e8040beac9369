"""Where a model's code runs: beside copies of the tables, in a container or, only if asked for, on this machine."""

import atexit
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import anyio
import yaml
from inspect_ai.util import SandboxEnvironment, SandboxEnvironmentSpec, sandbox, sandboxenv
from inspect_ai.util._sandbox.local import LocalSandboxEnvironment
from pydantic import BaseModel, ConfigDict
from typing_extensions import override

from somb_utils.errors import SombError, UsageError
from somb_utils.paths import DATA, sha256_of
from somb_utils.tables.registry import registry, table_info, verify_file
from somb_utils.tables.sources import FolderSource, Source

FOLDER = "tables"  # in the folder that a model's code starts in
LAUNCHER = Path(__file__).with_name("launcher.py")
WARNING = (
    "WARNING: --sandbox local runs the model's code on this machine as this user. It can read and change whatever this "
    "user can, keys and this project included, and has the network. Use it only with models that you trust"
)


class Staged(BaseModel):
    """A folder of tables that samples get, and name and SHA-256 of each of its files."""

    model_config = ConfigDict(frozen=True)

    folder: Path
    hashes: tuple[tuple[str, str], ...]

    def changed(self, folder: Path) -> list[str]:
        """Return the names of files in a copy of the folder that are missing, added or not as they were."""
        hashes = dict(self.hashes)
        present = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
        return sorted(
            name
            for name in present | hashes.keys()
            if not (folder / name).is_file() or sha256_of(folder / name) != hashes.get(name)
        )


class LocalSettings(BaseModel):
    """What a local sandbox is made of: the tables, and most bytes of memory of one process."""

    model_config = ConfigDict(frozen=True)

    staged: Staged
    memory: int


def _readme(names: list[str]) -> str:
    rows = [f"| {name}.csv | {(t := table_info(name)).id} | {t.study} | {t.accession} |" for name in names]
    return "\n".join(["| file | column that identifies rows | study | accession |", "|---|---|---|---|", *rows, ""])


def stage(source: Source) -> Staged:
    """Return a folder with every registered table that the source has; it is removed when this process ends.

    Raises
    ------
    SombError
        If a table is not the published one, or nothing can be written.
    """
    names = sorted(name for name in registry() if source.has(name))
    try:
        folder = Path(tempfile.mkdtemp(prefix="spaceomics-tables-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        for name in names:
            target = folder / f"{name}.csv"
            if isinstance(source, FolderSource):
                shutil.copyfile(source.path(name), target)
                verify_file(target, table_info(name))
            else:
                source.load(name).to_csv(target, index=False)
        (folder / "README.md").write_text(_readme(names), encoding="utf-8")
    except OSError as error:
        raise SombError(f"The tables cannot be copied to {tempfile.gettempdir()}: {error}") from error
    folder.chmod(0o755)  # the user of a container is another one
    for path in folder.iterdir():
        path.chmod(0o444)
    return Staged(folder=folder, hashes=tuple((path.name, sha256_of(path)) for path in sorted(folder.iterdir())))


@sandboxenv(name="spaceomics_local")
class LocalSandbox(LocalSandboxEnvironment):
    """A folder with copies of the tables, in which commands run on this machine with an environment of their own."""

    config: LocalSettings

    @override
    @classmethod
    async def sample_init(cls, task_name: str, config: Any, metadata: dict[str, str]) -> dict[str, SandboxEnvironment]:
        environment = cls()
        environment.config = config
        await anyio.to_thread.run_sync(environment._prepare)
        return {"default": environment}

    @override
    @classmethod
    def config_deserialize(cls, config: dict[str, Any]) -> BaseModel:
        return LocalSettings(**config)

    @property
    def tables(self) -> Path:
        """The sample's own copies of the tables."""
        return Path(self.directory.name) / FOLDER

    def _prepare(self) -> None:
        shutil.copytree(self.config.staged.folder, self.tables)
        if changed := self.config.staged.changed(self.tables):
            raise SombError(f"Tables changed before the sample started: {', '.join(changed)}. Start the run again")
        # A login shell, which Inspect's tools start, sets a path of its own.
        (Path(self.directory.name) / ".bash_profile").write_text(f'export PATH="{self._path}"\n', encoding="utf-8")
        self.tables.chmod(0o555)

    @property
    def _path(self) -> str:
        return f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"

    @override
    async def exec(self, cmd: list[str], *args: Any, env: dict[str, str] | None = None, **kwargs: Any) -> Any:
        home = self.directory.name
        own = {"PATH": self._path, "HOME": home, "TMPDIR": home, "LANG": "C.UTF-8", "OMP_NUM_THREADS": "1"}
        own |= {"OPENBLAS_NUM_THREADS": "1"} | (env or {})
        launch = [sys.executable, "-I", "-S", str(LAUNCHER), str(self.config.memory)]
        return await super().exec(["env", "-i", *(f"{k}={v}" for k, v in own.items()), *launch, *cmd], *args, **kwargs)


async def need_unchanged(staged: Staged) -> None:
    """Raise `SombError` if the tables of the running sample are not as they were when it started."""
    try:
        folder = sandbox().as_type(LocalSandbox).tables
    except TypeError:  # a container, which sees the staged folder itself
        folder = staged.folder
    if changed := await anyio.to_thread.run_sync(staged.changed, folder):
        raise SombError(f"The model's code changed tables: {', '.join(changed)}")


def _compose(staged: Staged, memory: int, cpus: float) -> str:
    """Return a Docker Compose file: no network, no privileges, the tables mounted read-only."""
    mount = {"type": "bind", "source": str(staged.folder), "target": f"/home/analyst/{FOLDER}", "read_only": True}
    service = {
        "build": {"context": str(DATA / "llm" / "sandbox")},
        "image": "spaceomics-analysis",
        "x-local": True,
        "command": "tail -f /dev/null",
        "init": True,
        "network_mode": "none",
        "mem_limit": memory + 2**28,
        "ulimits": {"data": memory},  # so that Python says what happened, before the container's limit kills it
        "cpus": cpus,
        "pids_limit": 256,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "volumes": [mount],
    }
    return yaml.safe_dump({"services": {"default": service}}, sort_keys=False)


def _docker_answers() -> bool:
    try:
        commands = (["docker", "info"], ["docker", "compose", "version"])
        return all(subprocess.run(c, capture_output=True, timeout=30).returncode == 0 for c in commands)
    except (OSError, subprocess.TimeoutExpired):
        return False


def sandbox_spec(where: str, staged: Staged, memory: int) -> SandboxEnvironmentSpec:
    """Return Inspect's specification of a sandbox.

    Parameters
    ----------
    where
        ``docker`` or ``local``.
    staged
        The tables.
    memory
        Most bytes of one process.

    Raises
    ------
    UsageError
        If `where` is neither, Docker does not answer, or the platform cannot run the local one.
    """
    if where == "local":
        if sys.platform == "win32":
            raise UsageError("--sandbox local needs Linux or macOS; use --sandbox docker")
        return SandboxEnvironmentSpec("spaceomics_local", LocalSettings(staged=staged, memory=memory))
    if where != "docker":
        raise UsageError(f"--sandbox: give docker or local, not {where!r}")
    if not _docker_answers():
        raise UsageError(
            "--sandbox docker, the default, needs Docker with Compose, which does not answer here (docker info, docker "
            "compose version). Start it; or, for a model that you trust, run its code on this machine: --sandbox local"
        )
    file = Path(tempfile.mkdtemp(prefix="spaceomics-compose-")) / "compose.yaml"
    atexit.register(shutil.rmtree, file.parent, ignore_errors=True)
    file.write_text(_compose(staged, memory, 1.0), encoding="utf-8")
    return SandboxEnvironmentSpec("docker", str(file))
