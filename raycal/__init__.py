"""raycal: which annotation strategy reaches a given accuracy for the fewest human interactions."""

__version__ = "0.1.0"
