from .cost import load_prices
from .engine import Outcome, judged_answers, run_answers, run_judges
from .evaluation import Evaluation
from .logs import load
from .models import Settings

__all__ = [
    "Evaluation",
    "Outcome",
    "Settings",
    "judged_answers",
    "load",
    "load_prices",
    "run_answers",
    "run_judges",
]
