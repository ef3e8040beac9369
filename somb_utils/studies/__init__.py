"""Simulation studies of the statistics: power of the tests, coverage of the intervals."""
