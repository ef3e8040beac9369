"""The LLM evaluation: a bank of questions with checkable key facts, their contexts, and the judging of answers."""
