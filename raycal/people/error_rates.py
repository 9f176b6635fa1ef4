"""The error rates of people and of clusters, with the priors that few answers cannot overrule.

Each rate is a share with a Beta prior. A person's rate is drawn towards the rate of the other people together, and that
rate towards the mean of the prior. So a person with few answers has nearly the rate of the others, no rate is ever 0 or
1, and without any evidence the means of the priors hold.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from raycal.algorithm.records import Indices
from raycal.people.cluster_labels import STRATUM_SIZES

Rates = npt.NDArray[np.float64]
NUM_STRATA = len(STRATUM_SIZES) + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """A Beta distribution of a rate.

    Attributes:
        mean: Its mean.
        strength: The number of observations that count as much as the prior.
    """

    mean: float
    strength: float

    def updated(self, hits: float, trials: float) -> float:
        """The mean of the rate after some trials."""
        return (self.strength * self.mean + hits) / (self.strength + trials)

    def of(self, shares: Rates) -> float:
        """The mean of the rate after some trials, each of which is a hit with a probability of its own."""
        return self.updated(float(shares.sum()), len(shares))

    def by_group(self, hits: Rates, trials: Rates, *, like: tuple[Rates, Rates] | None = None) -> Rates:
        """The rate of each group, drawn towards the rate of the other groups together.

        Args:
            hits: The hits of each group.
            trials: The trials of each group.
            like: The hits and trials of each group in something similar, which count like those of other groups.
        """
        more_hits, more_trials = like or (np.zeros(len(hits)), np.zeros(len(hits)))
        of_others = (self.strength * self.mean + hits.sum() - hits + more_hits) / (
            self.strength + trials.sum() - trials + more_trials
        )
        rates: Rates = (self.strength * of_others + hits) / (self.strength + trials)
        return rates


# If a label of a single image contradicts those of clusters, the answers alone often cannot tell which one is wrong. A
# person who looks at an image alone is wrong less often than a model, whose embeddings decide which images are in a
# cluster. So the prior of `SINGLE` is lower than that of `LOOKS_OTHER`.
SINGLE = Prior(mean=0.01, strength=20)
# A person who mistakes many single images probably gives many clusters a wrong label. After so many clusters, what they
# say about the person counts as much as what single images say.
CLUSTER_STRENGTH = 20
# A cluster that a person labels has few odd images left, and more of them if it is large.
ODD = Prior(mean=0.05, strength=20)
# The number of images after which a cluster's own odd share counts as much as that of clusters of its size.
ODD_OF_CLUSTER = 20
LOOKS_OTHER = Prior(mean=0.04, strength=20)
# Single images are asked because a model is unsure about them, so they look like another class more often.
CHOSEN_LOOKS_OTHER = Prior(mean=0.2, strength=20)
# People overlook rare things (see `purity`), and seldom mark an image that belongs to the cluster.
MISSED = Prior(mean=0.2, strength=10)
FALSE_MARK = Prior(mean=0.002, strength=500)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRates:
    """How often people and clusters are wrong.

    Attributes:
        single: (A,) The share of single images to which a person gives a wrong label.
        cluster: (A,) The share of clusters to which a person gives another label than that of their main class.
        missed: (A,) The share of odd images that a person sees without marking them.
        false_mark: (A,) The share of images of the main class that a person marks as odd.
        odd: (C,) The share of odd images in each cluster, marked or not.
        odd_by_stratum: (S,) The same for all clusters of similar size.
        looks_other: The share of images that look like another class than their own, in every round.
        chosen_looks_other: The same among images that were chosen to be labeled alone.
    """

    single: Rates
    cluster: Rates
    missed: Rates
    false_mark: Rates
    odd: Rates
    odd_by_stratum: Rates
    looks_other: float
    chosen_looks_other: float

    @classmethod
    def a_priori(cls, num_people: int, num_clusters: int) -> "ErrorRates":
        """The means of the priors."""
        return cls(
            single=np.full(num_people, SINGLE.mean),
            cluster=np.full(num_people, SINGLE.mean),
            missed=np.full(num_people, MISSED.mean),
            false_mark=np.full(num_people, FALSE_MARK.mean),
            odd=np.full(num_clusters, ODD.mean),
            odd_by_stratum=np.full(NUM_STRATA, ODD.mean),
            looks_other=LOOKS_OTHER.mean,
            chosen_looks_other=CHOSEN_LOOKS_OTHER.mean,
        )

    def largest_change(self, other: "ErrorRates") -> float:
        """The largest difference between two estimates of the same rate, without the odd shares of single clusters, of
        which some always change."""
        pairs = [
            (self.single, other.single),
            (self.cluster, other.cluster),
            (self.missed, other.missed),
            (self.false_mark, other.false_mark),
            (self.odd_by_stratum, other.odd_by_stratum),
        ]
        changes = [float(np.abs(one - two).max()) for one, two in pairs if len(one)]
        looks = [abs(self.looks_other - other.looks_other), abs(self.chosen_looks_other - other.chosen_looks_other)]
        return max(*changes, *looks)


def summed(owner: Indices, values: Rates, number: int) -> Rates:
    """(number,) The sum of the values of each owner."""
    return np.bincount(owner, values, number).astype(np.float64, copy=False)


def odd_shares(strata: Indices, hits: Rates, trials: Rates) -> tuple[Rates, Rates]:
    """The odd share of each cluster, and that of the clusters of each stratum.

    Args:
        strata: (C,) The stratum of each cluster.
        hits: (C,) The number of odd images among those that say something.
        trials: (C,) The number of these images.
    """
    by_stratum = ODD.by_group(summed(strata, hits, NUM_STRATA), summed(strata, trials, NUM_STRATA))
    own: Rates = (ODD_OF_CLUSTER * by_stratum[strata] + hits) / (ODD_OF_CLUSTER + trials)
    return own, by_stratum
