"""Monte Carlo dropout (Gal, Islam, Ghahramani 2017): random dropout turns one network into a sample of networks.

Only dimensions of the embeddings are dropped, and only for predictions: the network is trained without dropout. A pass
drops the same dimensions for every sample (as in Kirsch, van Amersfoort, Gal 2019), so all passes are one matrix
product.
"""

from collections.abc import Iterator
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Lt

from raycal.algorithm.acquisition.distances import blocks
from raycal.algorithm.acquisition.query_context import QueryContext
from raycal.algorithm.acquisition.selection import by_score
from raycal.algorithm.acquisition.uncertainty import entropies
from raycal.algorithm.acquisition.votes import variation_ratios, vote_shares
from raycal.algorithm.records import Floats

Passes = Annotated[int, Ge(1)]
Dropout = Annotated[float, Gt(0), Lt(1)]


@by_score("bald")
def bald(view: QueryContext, *, passes: Passes = 20, dropout: Dropout = 0.5) -> Floats:
    """BALD (Houlsby et al. 2011; Gal et al. 2017): entropy of the mean of all passes, minus the mean of the passes'
    entropies, in nats.

    The score is the mutual information between the label and the network. It is high where each pass is certain and
    the passes disagree.
    """

    def score(probs: Floats) -> Floats:
        _, num_samples, num_classes = probs.shape
        each = entropies(probs.reshape(-1, num_classes)).reshape(-1, num_samples)
        # Rounding may make the difference slightly negative.
        scores: Floats = np.maximum(entropies(probs.mean(axis=0)) - each.mean(axis=0), 0)
        return scores

    return np.concatenate([score(probs) for probs in _passes(view, passes, dropout)])


@by_score("dropout_entropy")
def dropout_entropy(view: QueryContext, *, passes: Passes = 20, dropout: Dropout = 0.5) -> Floats:
    """Entropy of the mean prediction of the passes, in nats (Gal et al. 2017, "max entropy")."""
    return np.concatenate([entropies(probs.mean(axis=0)) for probs in _passes(view, passes, dropout)])


@by_score("dropout_variation_ratio")
def dropout_variation_ratio(view: QueryContext, *, passes: Passes = 20, dropout: Dropout = 0.5) -> Floats:
    """Share of the passes that do not vote for the sample's modal class (Freeman 1965; Gal et al. 2017).

    Ties between samples are broken at random.
    """
    parts = _passes(view, passes, dropout)
    return np.concatenate([variation_ratios(vote_shares(probs.argmax(axis=2), probs.shape[2])) for probs in parts])


def _passes(view: QueryContext, passes: int, dropout: float) -> Iterator[Floats]:
    """Class probabilities (passes, n, K) float32 for D^U, one block of samples at a time."""
    head, embeddings = view.head(), view.predictions.embeddings
    num_classes, width = head.weights.shape
    # As in torch's dropout, dimensions that are not dropped are scaled up. The masks are applied to the weights of the
    # head, so that the embeddings are multiplied only once.
    masks = (view.rng.random((passes, 1, width)) >= dropout).astype(np.float32) / np.float32(1 - dropout)
    weights = (masks * head.weights).reshape(passes * num_classes, width)
    for rows in blocks(len(embeddings), len(weights)):
        logits = (embeddings[rows] @ weights.T).reshape(-1, passes, num_classes) + head.bias
        logits = logits.transpose(1, 0, 2)
        odds = np.exp(logits - logits.max(axis=2, keepdims=True))
        yield odds / odds.sum(axis=2, keepdims=True)
