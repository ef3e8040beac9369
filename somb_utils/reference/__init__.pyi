from .canonical import canonical_scores
from .published import published_scores

__all__ = [
    "canonical_scores",
    "published_scores",
]
