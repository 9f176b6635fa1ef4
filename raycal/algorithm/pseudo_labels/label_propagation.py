"""Pseudo-labels from the labels of near samples. Faiss and SciPy are imported only when this method runs."""

from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Gt, Le, Lt

from raycal.algorithm.acquisition import QueryContext
from raycal.algorithm.acquisition.distances import normalized
from raycal.algorithm.pseudo_labels.given import PseudoLabels, pseudo_labels
from raycal.algorithm.records import Floats, Labels

if TYPE_CHECKING:
    from scipy.sparse import csr_array

QUERIES = 4096  # The neighbors of this many points are searched at once, which bounds the memory.
# The tolerance of the conjugate gradients. Shares or certainties that differ by less than this count as equal.
TOLERANCE = 1e-6


@pseudo_labels("label_propagation")
def label_propagation(
    view: QueryContext,
    iteration: int,
    /,
    *,
    neighbors: Annotated[int, Ge(1), Le(10**4)] = 50,
    alpha: Annotated[float, Gt(0), Lt(1)] = 0.99,
    gamma: Annotated[float, Gt(0)] = 3.0,
    min_certainty: Annotated[float, Ge(0), Le(1)] = 0.0,
) -> PseudoLabels:
    """Label spreading (Zhou et al. 2004) over a nearest-neighbor graph of features, as in Iscen et al. 2019.

    The labels of D^L and D^CL spread along the edges between neighbors. The weight of an edge is the cosine of the two
    embeddings to the power `gamma`. With S the graph normalized by its degrees and Y (n, K) the labels,
    Z = (I - alpha S)^-1 Y is solved by conjugate gradients. The column of each class is then scaled to the same sum
    over D^U (class mass normalization, Zhu, Ghahramani, Lafferty 2003). Otherwise the class with the most labels would
    flood a small, dense pool. Iscen et al. do not scale the columns. Each sample that any label reaches gets the class
    with the largest value; a tie goes to the smaller id. Differences below the tolerance of the solver count as ties.
    The method keeps the embeddings and `neighbors` entries for each sample in memory. The neighbor search is exact, so
    its time grows with the square of the pool size.

    Args:
        neighbors: Number of neighbors of each sample in the graph.
        alpha: How far labels spread; a larger value spreads them farther.
        gamma: Exponent of the cosine in the weight of an edge.
        min_certainty: Smallest certainty 1 - H(z) / log K of a sample that gets a label, where z is the sample's row of
            Z, scaled so that it sums to one. The paper uses this certainty as the weight of a sample.
    """
    annotated, predictions = view.annotated(), view.predictions
    num_classes = predictions.probs.shape[1]
    points = normalized(np.concatenate([predictions.features, annotated.features]))
    flowed = _spread(_graph(points, neighbors, gamma), annotated.labels, num_classes, alpha)[: len(predictions.indices)]
    mass = flowed.sum(axis=0)
    flowed /= np.where(mass > 0, mass, 1)
    total = flowed.sum(axis=1)
    chosen = np.flatnonzero(total > 0)
    shares = flowed[chosen] / total[chosen, None]
    certain = _certainty(shares) >= min_certainty - TOLERANCE
    return PseudoLabels(predictions.indices[chosen[certain]], _largest(shares[certain]))


def _graph(points: Floats, neighbors: int, gamma: float) -> "csr_array":
    """S (n, n), the symmetric affinities between each point and its nearest neighbors, normalized by the degrees of
    both points."""
    from scipy.sparse import csr_array, diags_array

    near, cosines = _nearest_others(points, min(neighbors, len(points) - 1))
    rows = np.repeat(np.arange(len(points)), near.shape[1])
    affinity = np.maximum(cosines.astype(np.float64).ravel(), 0) ** gamma
    one_way = csr_array((affinity, (rows, near.ravel())), shape=(len(points), len(points)))
    both_ways = one_way + one_way.T
    degrees = both_ways.sum(axis=1)
    scale = diags_array(1 / np.sqrt(np.where(degrees > 0, degrees, 1)))
    return scale @ both_ways @ scale


def _nearest_others(points: Floats, count: int) -> tuple[npt.NDArray[np.int64], Floats]:
    """For each point, the `count` other points with the largest inner products, and these products. Both arrays are (n,
    count)."""
    import faiss

    near = np.empty((len(points), count), np.int64)
    products = np.empty((len(points), count), np.float32)
    for begin in range(0, len(points), QUERIES):
        queries = np.arange(begin, min(begin + QUERIES, len(points)))
        similarities, ids = faiss.knn(points[queries], points, count + 1, metric=faiss.METRIC_INNER_PRODUCT)
        # The search usually returns a point as one of its own neighbors, and this entry is dropped. If other points at
        # the same place displace it, the last neighbor is dropped instead.
        is_self = ids == queries[:, None]
        is_self[~is_self.any(axis=1), -1] = True
        near[queries] = ids[~is_self].reshape(len(queries), count)
        products[queries] = similarities[~is_self].reshape(len(queries), count)
    return near, products


def _spread(graph: "csr_array", labels: Labels, num_classes: int, alpha: float) -> npt.NDArray[np.float64]:
    """Z (n, K), with negative values replaced by 0; `labels` belong to the last points."""
    from scipy.sparse import eye_array
    from scipy.sparse.linalg import cg

    num_points = graph.shape[0]
    system: Any = eye_array(num_points, format="csr") - alpha * graph
    flowed = np.zeros((num_points, num_classes))
    for label in np.unique(labels):
        is_label = np.zeros(num_points)
        is_label[num_points - len(labels) :] = labels == label
        solution, _ = cg(system, is_label, rtol=TOLERANCE)
        flowed[:, label] = np.maximum(solution, 0)
    return flowed


def _certainty(shares: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The certainty 1 - H / log K (n,) of distributions (n, K), from 0 to 1; it is 1 for a single class."""
    num_classes = shares.shape[1]
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    entropy: npt.NDArray[np.float64] = -np.einsum("uk,uk->u", shares, logs)
    if num_classes == 1:
        return np.ones(len(shares))
    # The entropy of an even split can come out a little above log K.
    certainty: npt.NDArray[np.float64] = np.clip(1 - entropy / np.log(num_classes), 0, 1)
    return certainty


def _largest(shares: npt.NDArray[np.float64]) -> Labels:
    """The class (n,) with the largest of the shares (n, K); a tie goes to the smallest id."""
    largest = shares.max(axis=1, keepdims=True)
    labels: Labels = (shares >= largest - TOLERANCE).argmax(axis=1).astype(np.int64)
    return labels
