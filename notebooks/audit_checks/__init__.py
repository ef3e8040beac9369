"""The checks of the audit notebook: plain functions of tasks, tables and scores, each of which returns a table.

`leaks` looks for features and labels that give something away, `evidence` compares tables with one another and with
their descriptions, `pairing` sets the two protocols side by side, and `compute` computes the figures that the audit's
pages state.
"""
