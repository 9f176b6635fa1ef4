"""Disagreement of several predictions for a sample, each counted as a vote for its most probable class."""

import numpy as np
import numpy.typing as npt

from raycal.algorithm.records import Floats


def vote_shares(votes: npt.NDArray[np.int64], num_classes: int) -> Floats:
    """For each sample, the share (n, K) float32 of its votes that each class gets. `votes` (V, n) holds V votes for
    each of n samples."""
    num_votes, num_samples = votes.shape
    cells = votes + num_classes * np.arange(num_samples)
    counts = np.bincount(cells.ravel(), minlength=num_samples * num_classes)
    shares: Floats = (counts.reshape(num_samples, num_classes) / num_votes).astype(np.float32)
    return shares


def variation_ratios(shares: Floats) -> Floats:
    """The share (n,) of votes that are not for the sample's modal class (Freeman 1965), in [0, 1 - 1/K]."""
    ratios: Floats = 1 - shares.max(axis=1)
    return ratios
