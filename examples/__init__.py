"""Models to copy from; ``examples/README.md`` tells how each is run."""
