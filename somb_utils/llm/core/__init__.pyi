from .items import Item, items_digest, load_items
from .keys import Key, compute_keys
from .marking import Answer, Mark, mark, parse
from .prompts import item_prompt

__all__ = [
    "Answer",
    "Item",
    "Key",
    "Mark",
    "compute_keys",
    "item_prompt",
    "items_digest",
    "load_items",
    "mark",
    "parse",
]
