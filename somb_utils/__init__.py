"""SpaceOmicsBench: 21 machine-learning tasks on spaceflight multi-omics, with honest statistics."""
