"""Runs of language models: questions answered, answers judged, logs read."""
