"""The question bank: questions, executable key facts, and contexts."""
