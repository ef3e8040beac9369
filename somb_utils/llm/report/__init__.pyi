from .files import write_report
from .notebook import Report, start
from .summary import Summary, summarise

__all__ = ["Report", "Summary", "start", "summarise", "write_report"]
