"""Runs: models fitted on the folds of tasks, scored, stored and compared."""
