from .census import feature_census, repeated_rows, row_census
from .seeds import seed_scores, spread

__all__ = [
    "feature_census",
    "repeated_rows",
    "row_census",
    "seed_scores",
    "spread",
]
