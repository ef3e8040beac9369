"""RO-Crate of a run folder: what its files are, with their hashes, for archives such as Zenodo and WorkflowHub."""

from pathlib import Path

from somb_utils._extras import missing_extra
from somb_utils.paths import sha256_of
from somb_utils.runs.folder import load_run

try:
    from rocrate.rocrate import ROCrate
except ImportError as error:
    raise missing_extra("`somb export ro-crate`", "export", error) from None

_RESULTS = "Scores by task, model, seed, fold and metric"
_PREDICTIONS = "Predictions by task, model, seed, fold and row"
_PROVENANCE = "Tables, hashes, models, versions and commands"


def write(folder: Path) -> Path:
    """Write ``ro-crate-metadata.json`` into a run folder; return its path."""
    run = load_run(folder)
    provenance = run.provenance
    kind = "SIMULATED tables" if provenance["source"] == "simulated" else f"{provenance['source']} tables"
    crate = ROCrate()
    crate.name = f"Run of SpaceOmicsBench on {kind}"
    tasks = ", ".join(provenance["tasks"])
    models = ", ".join(dict.fromkeys(entry["model"] for entry in provenance["models"]))
    crate.description = f"Tasks: {tasks}. Models: {models}."
    texts = {name: _RESULTS if name == "results.parquet" else _PREDICTIONS for name in run.files}
    for name, text in {**texts, "provenance.json": _PROVENANCE}.items():
        file = folder / name
        form = "application/json" if name.endswith(".json") else "application/vnd.apache.parquet"
        facts = {"contentSize": str(file.stat().st_size), "sha256": sha256_of(file)}
        crate.add_file(file, name, properties={"name": text, "encodingFormat": form, **facts})
    crate.metadata.write(folder)
    return folder / "ro-crate-metadata.json"
