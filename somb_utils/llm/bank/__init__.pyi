from .checks import Check
from .questions import load_bank, load_context, load_rubric
from .schema import Question, Rubric

__all__ = ["Check", "Question", "Rubric", "load_bank", "load_context", "load_rubric"]
