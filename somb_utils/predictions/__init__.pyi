from .evaluate import score, template, validate

__all__ = [
    "score",
    "template",
    "validate",
]
