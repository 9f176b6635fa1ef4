"""Random streams addressed by seed, iteration and purpose, so that a resumed experiment draws the same numbers."""

import hashlib

import numpy as np


def stream(seed: int, iteration: int, purpose: str) -> np.random.Generator:
    """The random generator for one purpose in one iteration of the experiment with this seed."""
    purpose_id = int.from_bytes(hashlib.sha256(purpose.encode()).digest()[:8], "big")
    return np.random.default_rng([seed, iteration, purpose_id])
