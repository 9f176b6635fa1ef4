import math

import numpy as np
import pytest
from views import view

from raycal.algorithm.acquisition.ensemble import ensemble_variation_ratio, ensemble_vote_entropy
from raycal.algorithm.acquisition.votes import vote_shares

# The classes that four members (rows) predict for five samples (columns). There are three classes.
VOTES = np.array([[0, 0, 0, 0, 2], [0, 0, 0, 1, 2], [0, 0, 1, 2, 2], [0, 1, 1, 2, 2]])
MEMBERS = [0.1 + 0.7 * np.eye(3)[votes] for votes in VOTES]


def test_shares_of_votes_add_up_to_one() -> None:
    assert vote_shares(VOTES, 3).tolist() == [
        [1, 0, 0], [0.75, 0.25, 0], [0.5, 0.5, 0], [0.25, 0.25, 0.5], [0, 0, 1],
    ]  # fmt: skip
    assert vote_shares(VOTES, 3).dtype == np.float32


def test_vote_entropy_is_in_nats() -> None:
    scores = ensemble_vote_entropy(view(probs=MEMBERS[0], members=MEMBERS), members=4)

    quarter = 0.75 * math.log(4 / 3) + 0.25 * math.log(4)
    assert scores.tolist() == pytest.approx([0, quarter, math.log(2), 1.5 * math.log(2), 0], rel=1e-5)


def test_variation_ratio_is_the_share_of_those_outvoted() -> None:
    scores = ensemble_variation_ratio(view(probs=MEMBERS[0], members=MEMBERS), members=4)

    assert scores.tolist() == pytest.approx([0, 0.25, 0.5, 0.5, 0])
