"""The LLM evaluation: a question bank with checkable key facts, its contexts, and judges of the answers."""
