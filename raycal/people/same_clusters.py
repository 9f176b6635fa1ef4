"""Recognizes clusters that people see again in a later round, or that a second person sees, although they have hardly
changed.

Two answers about the same images are two looks at one thing. They say little more than one answer about which images
belong together, so they must not count as independent evidence about each image.
"""

import numpy as np

from raycal.algorithm.records import Indices

# Two clusters count as the same one if they share at least this part of all their images.
SAME_SHARE = 0.5


def same_clusters(image: Indices, cluster: Indices, num_clusters: int) -> Indices:
    """Which clusters are the same ones.

    A cluster is the same as the earlier cluster with which it shares the largest part of all their images, if this part
    is at least `SAME_SHARE` (the index of Jaccard), and the same as everything that this earlier one is the same as.

    Args:
        image: (n,) The image of each membership, ascending.
        cluster: (n,) The cluster of each membership, ascending within an image. Each pair of image and cluster occurs
            once.
        num_clusters: The number of clusters. Later clusters have higher numbers.

    Returns:
        (num_clusters,) A number from 0 for each cluster, which the same ones share.
    """
    sizes = np.bincount(cluster, minlength=num_clusters)
    best_share, best = np.full(num_clusters, -1.0), np.arange(num_clusters)
    both, shared = _pairs(image, cluster, num_clusters)
    earlier, later = both // num_clusters, both % num_clusters
    share = shared / (sizes[earlier] + sizes[later] - shared)
    # The best earlier cluster comes last, so its entry stays.
    order = np.lexsort((earlier, share))
    order = order[share[order] >= SAME_SHARE]
    best[later[order]], best_share[later[order]] = earlier[order], share[order]
    first = np.arange(num_clusters)
    for number in np.flatnonzero(best_share >= 0).tolist():  # an earlier cluster has its final entry already
        first[number] = first[best[number]]
    found: Indices = np.unique(first, return_inverse=True)[1].astype(np.int64)
    return found


def _pairs(image: Indices, cluster: Indices, num_clusters: int) -> tuple[Indices, Indices]:
    """All pairs of clusters that share images, each as `earlier * num_clusters + later`, and how many they share."""
    found, counts = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    distance = 1
    while True:
        is_pair = image[distance:] == image[:-distance]
        if not is_pair.any():
            break
        # An image in the clusters 3, 5 and 9 gives the pairs (3, 5) and (5, 9) at the distance 1, and (3, 9) at 2.
        keys, number = np.unique(
            cluster[:-distance][is_pair] * num_clusters + cluster[distance:][is_pair], return_counts=True
        )
        found.append(keys)
        counts.append(number)
        distance += 1
    keys, place = np.unique(np.concatenate(found), return_inverse=True)
    return keys, np.bincount(place, np.concatenate(counts), len(keys)).astype(np.int64)
