"""Estimates which share of the labels of clusters is wrong from a random sample that was labeled once more, alone.

The sample is drawn in strata of clusters of similar size. Each stratum counts with its share of all labels, so the
estimate is right even if more was checked in one stratum than in another.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from raycal.algorithm.records import Indices
from raycal.people.results import wilson_interval


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelErrorEstimate:
    """The share of labels that are wrong.

    Attributes:
        share: The estimate.
        low, high: Its 95 % interval.
        number: The number of labels that were checked.
        num_wrong: How many of these labels differ from the label that a person gave to the sample alone.
    """

    share: float
    low: float
    high: float
    number: int
    num_wrong: int


def estimate_label_error(
    strata: Indices, checked_strata: Indices, is_wrong: npt.NDArray[np.bool_]
) -> LabelErrorEstimate | None:
    """The stratified estimate with Wilson's interval for the effective number of checks (Kish).

    A stratum without a check is merged with the next one that has a check, or else with the last one that has.

    Args:
        strata: (n,) The stratum of each label.
        checked_strata: (c,) The stratum of each label that was checked.
        is_wrong: (c,) Whether the label is wrong.

    Returns:
        None if nothing was checked.
    """
    if not len(is_wrong) or not len(strata):
        return None
    known = np.unique(checked_strata)
    merged = np.minimum(np.searchsorted(known, strata), len(known) - 1)
    weight = np.bincount(merged, minlength=len(known)) / len(strata)
    place = np.searchsorted(known, checked_strata)
    number = np.bincount(place, minlength=len(known))
    share = min(1.0, float(weight @ (np.bincount(place, is_wrong, len(known)) / number)))
    effective = 1 / float((weight**2 / number).sum())
    low, high = wilson_interval(share, effective) or (0.0, 1.0)
    return LabelErrorEstimate(share=share, low=low, high=high, number=len(is_wrong), num_wrong=int(is_wrong.sum()))
