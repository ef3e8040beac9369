"""A stand-in model, ``offline/demo``, that answers and judges without network: a rehearsal only."""

import hashlib
import json
import re
from typing import Any

from inspect_ai.model import (
    ChatMessage,
    GenerateConfig,
    ModelAPI,
    ModelOutput,
    ModelUsage,
    modelapi,
)
from inspect_ai.tool import ToolChoice, ToolInfo

from somb_utils.llm.bank.schema import DIMENSIONS
from somb_utils.llm.core.items import UNDETERMINED
from somb_utils.llm.judge.verdicts import FLAGS, asked_dimensions
from somb_utils.llm.run.cost import tokens


def _level(text: str, salt: str, centre: float) -> int:
    """Return a level from 1 to 5 that depends on the text alone."""
    share = int(hashlib.sha256(f"{salt}{text}".encode()).hexdigest()[:8], 16) / 2**32
    return min(5, max(1, round(centre + 2.2 * (share - 0.5))))


def _answer(model: str, prompt: str) -> str:
    """Return lines of the contexts in the prompt, how many depending on the model's name; for an item, an answer."""
    if asked := re.search(r"Classes: ([^\n]+)\n.*\nReply with (\d+) lines", prompt, re.DOTALL):  # a fold to predict
        n = len(asked[1].split(", "))
        return "\n".join(f"{row}: {', '.join([str(1 / n)] * n)}" for row in range(1, int(asked[2]) + 1))
    lines = [line for line in prompt.splitlines() if re.search(r"\d", line)][: 4 + len(model) % 5]
    said = f"Offline demonstration by {model}, not a real answer. From the contexts:\n" + "\n".join(lines)
    drawn = ("A", "increase", UNDETERMINED, "2", "C002")[_level(prompt, model, 3) - 1]
    return f"{said}\nANSWER: {drawn}" if "Form of the answer:" in prompt else said


def _judgement(model: str, prompt: str, schema: dict[str, Any]) -> str:
    """Return a verdict that fits the schema, its levels drawn from the prompt's hash."""
    fields = schema["properties"]
    flags = {"hallucination", "factual_error"}
    reason = "Offline demonstration: these levels are drawn from a hash, nothing was judged."
    if "score" in fields:
        return json.dumps({"score": _level(prompt, model, 3.4), "justification": reason})
    if "findings" in fields:
        return json.dumps(_by_criteria(model, prompt, reason))
    if "flags" not in fields:
        return json.dumps({name: name in flags and _level(prompt, name, 3) == 5 for name in fields})
    drawn: dict[str, Any] = {name: _level(prompt, model + name, 3.4) for name in DIMENSIONS}
    drawn["flags"] = {name: name in flags and _level(prompt, name, 3) == 5 for name in fields["flags"]["properties"]}
    return json.dumps(drawn | {"strengths": [], "weaknesses": [], "missed_points": [], "justification": reason})


def _by_criteria(model: str, prompt: str, reason: str) -> dict[str, Any]:
    """Return a verdict by criteria in which each finding quotes the beginning of the answer."""
    start = " ".join(prompt.rpartition("<answer-")[2].split("\n", 1)[1].split()[:8])
    findings = []
    for name in re.findall(r"^- ([FR]\d+): ", prompt.partition("# Key facts")[2], re.MULTILINE):
        outcome = ("contradicted", "unmet", "met", "met", "met")[_level(prompt, model + name, 3.4) - 1]
        findings.append({"criterion": name, "quotation": start * (outcome != "unmet"), "outcome": outcome})
    levels = {name: _level(prompt, model + name, 3.4) for name in asked_dimensions("criteria")}
    return {"findings": findings, "justification": reason, "flags": dict.fromkeys(FLAGS, False)} | levels


@modelapi(name="offline")
def offline() -> type[ModelAPI]:
    """Return the provider of ``offline/NAME``: each name gives a different stand-in."""

    class Offline(ModelAPI):
        async def generate(
            self,
            input: list[ChatMessage],
            tools: list[ToolInfo],
            tool_choice: ToolChoice,
            config: GenerateConfig,
        ) -> ModelOutput:
            prompt = "\n".join(message.text for message in input)
            if config.response_schema is None:
                text = _answer(self.model_name, prompt)
            else:
                schema = config.response_schema.json_schema.model_dump(exclude_none=True)
                text = _judgement(self.model_name, prompt, schema)
            output = ModelOutput.from_content(model=self.model_name, content=text)
            sent, received = tokens(prompt), tokens(text)
            output.usage = ModelUsage(input_tokens=sent, output_tokens=received, total_tokens=sent + received)
            return output

    return Offline
