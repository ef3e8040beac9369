from .display import show
from .session import Session, start

__all__ = ["Session", "show", "start"]
