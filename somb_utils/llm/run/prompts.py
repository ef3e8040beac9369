"""What an answering model is asked, and digests of what models and judges were asked, by which logs are compared."""

import json

from somb_utils.llm.bank.questions import load_bank, load_context, load_rubric
from somb_utils.llm.bank.schema import CONTEXTS, GROUND_TRUTH, Question
from somb_utils.llm.judge.prompts import contexts_text, form
from somb_utils.llm.run.evaluation import digest

SYSTEM = """\
You are an expert in space biology, omics and statistics. Answer the question from the context given and \
your own knowledge. Give figures where they matter, say where they come from, explain your reasoning, and \
state how sure you can be given the data."""


def question_prompt(question: Question) -> str:
    """Return what an answering model is asked: the contexts and the question, never the key facts."""
    return f"{contexts_text(question)}\n\n# Question\n{question.question}"


def _material() -> dict[str, str]:
    bank = json.dumps([q.model_dump(mode="json", exclude={"figures"}) for q in load_bank()], sort_keys=True)
    contexts = "\0".join(load_context(name) for name in (*CONTEXTS, GROUND_TRUTH))
    return {"bank": digest(bank), "contexts": digest(contexts)}


def answer_digests() -> dict[str, str]:
    """Return digests of what answers depend on: bank, contexts, prompt."""
    return _material() | {"prompt": digest(SYSTEM)}


def judge_digests(mode: str) -> dict[str, str]:
    """Return digests of what verdicts of a mode depend on: bank, contexts, rubric, prompt."""
    return _material() | {"rubric": digest(load_rubric().model_dump_json()), "prompt": digest(form(mode))}


def in_words(digests: dict[str, str]) -> str:
    """Return digests as the text that stands in the tables of an evaluation."""
    return ", ".join(f"{name} {value}" for name, value in digests.items())
