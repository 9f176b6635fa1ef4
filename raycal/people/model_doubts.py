"""Finds labels of D^L that a model doubts which has not seen them.

The rule follows confident learning (Northcutt, Jiang and Chuang, Confident learning: estimating uncertainty in dataset
labels, JAIR 2021): a model is sure of a class if the class is at least as probable as it is, on average, for the
samples with the label of that class. So no constant is needed: where a model gives low probabilities, the threshold is
low, too. Here the average leaves out samples for which the model finds another class more likely than the label. Most
single samples are asked because a model is unsure, so there are many of these, and with them nearly every disagreement
would count as sure.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from raycal.storage.out_of_fold import OutOfFold


class Doubt(NamedTuple):
    """A label that a model doubts.

    Attributes:
        label: The label.
        predicted: The class that the model is sure of.
        of_label: The probability of the label by the model.
    """

    label: int
    predicted: int
    of_label: float


def model_doubts(predictions: OutOfFold | None) -> Mapping[int, Doubt]:
    """The labels that the model doubts, by the sample. There are none without predictions."""
    if predictions is None or not len(predictions.sample):
        return {}
    agrees = predictions.predicted == predictions.label
    num_classes = int(predictions.predicted.max()) + 1
    counts = np.bincount(predictions.label[agrees], minlength=num_classes)
    sums = np.bincount(predictions.label[agrees], predictions.of_label[agrees], minlength=num_classes)
    # The model is never sure of a class that it finds in no sample with this label.
    thresholds = np.divide(sums, counts, out=np.full(num_classes, np.inf), where=counts > 0)
    is_sure = predictions.of_predicted >= thresholds[predictions.predicted]
    return {
        int(predictions.sample[row]): Doubt(
            label=int(predictions.label[row]),
            predicted=int(predictions.predicted[row]),
            of_label=float(predictions.of_label[row]),
        )
        for row in np.flatnonzero(is_sure & ~agrees)
    }
