"""Models ``scripted/NAME`` that work on items by calling tools as their name says, and answer from the result."""

import re

from inspect_ai.model import ChatMessage, GenerateConfig, ModelAPI, ModelOutput, ModelUsage, modelapi
from inspect_ai.tool import ToolChoice, ToolInfo
from item_code import code

from somb_utils.llm.core.items import load_items

SEEK = """
import os, pathlib
print(sorted(os.environ))
for path in pathlib.Path(".").rglob("*"):
    print(path)
"""
# What each runs, by name: the tool and its code.
SCRIPTS = {
    "slow": ("bash", "sleep 60; echo ANSWER: 1"),
    "hungry": ("python", "blocks = [bytes(2**26) for _ in range(100)]; print(1)"),
    "writer": ("bash", "rm -f tables/clinical_cbc.csv; echo changed > tables/clinical_cbc.csv"),
    "seeker": ("python", SEEK),
}


def _call(name: str, prompt: str) -> tuple[str, str]:
    if name in SCRIPTS:
        return SCRIPTS[name]
    (item,) = [item for item in load_items() if f"# Question\n{item.question}" in prompt]
    return "python", code(item)


def _wrong(answer: str) -> str:
    """Return another answer of the same form."""
    other = {"increase": "decrease", "decrease": "increase", "A": "B"}
    if re.fullmatch(r"-?[\d.e-]+", answer):
        return str(float(answer) * 1.5 + 7)
    return other.get(answer, "A" if len(answer) == 1 else "C009")


@modelapi(name="scripted")
def scripted() -> type[ModelAPI]:
    class Scripted(ModelAPI):
        async def generate(
            self, input: list[ChatMessage], tools: list[ToolInfo], tool_choice: ToolChoice, config: GenerateConfig
        ) -> ModelOutput:
            name, last = self.model_name, input[-1]
            if last.role == "user" and len(input) > 2:
                output = ModelOutput.from_content(name, "I give up.\nANSWER: not known")
            elif last.role == "tool" and name != "talkative":
                said = last.text.strip()
                answer = _wrong(said) if name == "wrong" else said
                output = ModelOutput.from_content(name, f"From the tables:\nANSWER: {answer}" if answer else "")
            else:
                tool, program = _call(name, input[1].text)
                argument = "code" if tool == "python" else "command"
                output = ModelOutput.for_tool_call(name, tool, {argument: program})
            output.usage = ModelUsage(input_tokens=1000, output_tokens=1000, total_tokens=2000)
            return output

    return Scripted
