from .sources import SimulatedSource, load_table, resolve_source

__all__ = [
    "SimulatedSource",
    "load_table",
    "resolve_source",
]
