"""Judging: what a judge is told and what it may reply."""
