from .registry import TableInfo, table_info
from .sources import FolderSource, FrameSource, SimulatedSource, Source, load_table, resolve_source

__all__ = [
    "FolderSource",
    "FrameSource",
    "SimulatedSource",
    "Source",
    "TableInfo",
    "load_table",
    "resolve_source",
    "table_info",
]
