"""RO-Crate of a run folder: what its files are, with their hashes, for archives such as Zenodo and WorkflowHub."""

from pathlib import Path

from somb_utils._extras import missing_extra
from somb_utils.paths import sha256_of
from somb_utils.runs.folder import load_run

try:
    from rocrate.rocrate import ROCrate
except ImportError as error:
    raise missing_extra("`somb export ro-crate`", "export", error) from None

_FILES = {
    "results.parquet": ("Scores by task, model, seed, fold and metric", "application/vnd.apache.parquet"),
    "predictions.parquet": ("Predictions by task, model, seed, fold and row", "application/vnd.apache.parquet"),
    "provenance.json": ("Tables, hashes, models, versions and commands", "application/json"),
}


def write(folder: Path) -> Path:
    """Write ``ro-crate-metadata.json`` into a run folder; return its path."""
    provenance = load_run(folder).provenance
    kind = "SIMULATED tables" if provenance["source"] == "simulated" else f"{provenance['source']} tables"
    crate = ROCrate()
    crate.name = f"Run of SpaceOmicsBench on {kind}"
    tasks = ", ".join(provenance["tasks"])
    models = ", ".join(dict.fromkeys(entry["model"] for entry in provenance["models"]))
    crate.description = f"Tasks: {tasks}. Models: {models}."
    for name, (text, form) in _FILES.items():
        file = folder / name
        facts = {"contentSize": str(file.stat().st_size), "sha256": sha256_of(file)}
        crate.add_file(file, name, properties={"name": text, "encodingFormat": form, **facts})
    crate.metadata.write(folder)
    return folder / "ro-crate-metadata.json"
