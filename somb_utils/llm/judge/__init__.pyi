from .prompts import judge_prompts
from .verdicts import Verdict, read_reply, weighted_score

__all__ = ["Verdict", "judge_prompts", "read_reply", "weighted_score"]
