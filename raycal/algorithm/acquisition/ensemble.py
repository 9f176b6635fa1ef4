"""Deep ensembles (Lakshminarayanan, Pritzel, Blundell 2017; for active learning: Beluch et al. 2018).

The members are the query model and further networks that are trained, one after another, on the same labels. Each
further member costs a training and a pass over D^U in every iteration. `PhaseSeconds.predict` includes the time of the
trainings and passes.
"""

from typing import Annotated

from annotated_types import Ge

from raycal.algorithm.acquisition.query_context import QueryContext
from raycal.algorithm.acquisition.selection import by_score
from raycal.algorithm.acquisition.uncertainty import entropies
from raycal.algorithm.acquisition.votes import variation_ratios, vote_shares
from raycal.algorithm.records import Floats

Members = Annotated[int, Ge(2)]


@by_score("ensemble_vote_entropy")
def ensemble_vote_entropy(view: QueryContext, *, members: Members = 5) -> Floats:
    """Entropy of the members' votes in nats (Dagan, Engelson 1995; Beluch et al. 2018).

    Ties between samples are broken at random.
    """
    return entropies(_vote_shares(view, members))


@by_score("ensemble_variation_ratio")
def ensemble_variation_ratio(view: QueryContext, *, members: Members = 5) -> Floats:
    """Share of the members that do not vote for the sample's modal class (Beluch et al. 2018).

    Ties between samples are broken at random.
    """
    return variation_ratios(_vote_shares(view, members))


def _vote_shares(view: QueryContext, members: int) -> Floats:
    probs = view.members(members)
    return vote_shares(probs.argmax(axis=2), probs.shape[2])
