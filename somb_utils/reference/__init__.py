"""Reference scores: the published ones, the project's own canonical run, and the tiers they show."""
