from .model_card import Card, read_card
from .submission import check, pack

__all__ = [
    "Card",
    "check",
    "pack",
    "read_card",
]
