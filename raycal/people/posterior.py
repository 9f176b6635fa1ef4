"""The probability of each label, from all evidence that people gave about an image.

The model is that of Dawid and Skene (1979, Maximum likelihood estimation of observer error-rates using the EM
algorithm), with one error rate per person (the one-coin model, as in Zhang et al. 2016, Spectral methods meet EM), with
Beta priors, and with two layers, because one answer about a cluster labels many images:

- *Answers about single images.* A person names the true class of an image with the probability 1 - e, and each other
  class with the same share of e.
- *Answers about clusters.* A cluster has a main class. A person names it with the probability 1 - w, whatever the
  number of images. So all images of a cluster are right or wrong together if the label was ill chosen. Labels of single
  images in the cluster say whether it was.
- *Images of clusters.* A model puts images into the same cluster because they look alike to it. An image looks like the
  main class of its cluster unless it is odd, which it is with a probability that each cluster has of its own.
- *Looks.* An image looks like another class than its own with the probability h, and then it gets into clusters of that
  class in every round. So however many clusters agree, the error of their label is not below h. Most single images are
  asked because a model is unsure about them, and these look like another class more often than the rest of their
  clusters. So they have a probability h of their own, and only images that were drawn at random (audits), or were seen
  in a cluster, say how often the others do.
- *Marks.* People see some images of a cluster, and judge these themselves: they mark an image of another class than the
  main one with the probability 1 - m, and an image of the main class with the probability f. An image that was marked
  and got another class alone is no reason to doubt the label of its cluster.

Repeated evidence is not independent, and does not count as if it were. Clusters that have hardly changed count as one
cluster (see `same_clusters`): the membership of an image counts once, and so do the answers of one person, because who
looks at the same images again makes the same mistake again. The answers of one person about one image count once, too.
Otherwise the age of an answer does not matter.

If the label of a single image contradicts its clusters, and nobody else has looked at the image alone, the answers
cannot tell whether the person was wrong or the image looks like another class. Then the priors decide, by which a
person is as reliable alone as with clusters. Shared questions and audits replace this assumption.

The rates are estimated by EM, from those images and clusters about which there is other evidence. What is left out: the
label of one cluster changes the belief in another cluster only image by image, through the images that they share. This
keeps the answers of two clusters from confirming each other many times over, once for each shared image.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from raycal.algorithm.records import Indices, Labels
from raycal.people.error_rates import ErrorRates
from raycal.people.evidence import Evidence
from raycal.people.evidence_layout import EvidenceLayout, Floats64
from raycal.people.evidence_model import EvidenceModel
from raycal.people.probe_results import MissRate

MAX_PASSES = 100
# EM has converged if no rate changes by more than this in a pass.
TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LabelPosterior:
    """The probability of each class that somebody named for an image. The rest belongs to classes that nobody named.

    Attributes:
        group: (S,) int64, the content id of the image, ascending.
        label: (S,) int64, the class, ascending for each image.
        probability: (S,) float64.
        rates: The error rates by which the probabilities were computed.
        people: The pseudonyms to which the rates of people belong.
        num_passes: The number of passes through the evidence until the rates had converged.
    """

    group: Indices
    label: Labels
    probability: Floats64
    rates: ErrorRates
    people: tuple[str, ...]
    num_passes: int


def posterior(
    evidence: Evidence,
    content: Indices,
    num_classes: int,
    *,
    probes: Mapping[str, MissRate] | None = None,
    rates: ErrorRates | None = None,
) -> LabelPosterior:
    """The probability of each label. The order of the rows has no effect.

    Args:
        evidence: All evidence about the images of a pool.
        content: (P,) int64, ids from 0; images with the same content have the same id.
        num_classes: The number of classes.
        probes: How many probes each person missed.
        rates: Known error rates. None means that they are estimated.
    """
    layout = EvidenceLayout.of(evidence, content)
    model = EvidenceModel(layout, num_classes, [(probes or {}).get(who, MissRate()) for who in evidence.people])
    passes, estimate = 0, rates or ErrorRates.a_priori(len(evidence.people), layout.num_clusters)
    beliefs = model.beliefs(estimate)
    while rates is None and passes < MAX_PASSES:
        new = model.rates(beliefs, estimate)
        change, estimate, passes = new.largest_change(estimate), new, passes + 1
        beliefs = model.beliefs(estimate)
        if change < TOLERANCE:
            break
    return LabelPosterior(
        group=layout.group[layout.slot_group],
        label=layout.slot_label,
        probability=beliefs.truth,
        rates=estimate,
        people=evidence.people,
        num_passes=passes,
    )
