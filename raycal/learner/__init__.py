"""The model that is reset, trained, evaluated and asked. Imports torch; knows nothing of Ray or of the run folder."""

from raycal.learner.device import Placement, free_memory, same_threads_afterwards
from raycal.learner.learner import NetworkLearner
from raycal.learner.team import Team, join
from raycal.learner.weights import load_weights, weights_digest

__all__ = [
    "NetworkLearner",
    "Placement",
    "Team",
    "free_memory",
    "join",
    "load_weights",
    "same_threads_afterwards",
    "weights_digest",
]
