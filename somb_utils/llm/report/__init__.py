"""The report of an evaluation: its statistics, tables, figures and pages."""
