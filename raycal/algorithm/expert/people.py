"""The expert that stands for people: it holds no labels, because people give them while the experiment runs."""

from typing import NoReturn

import numpy as np

from raycal.algorithm.expert.answers import Cluster, experts
from raycal.algorithm.records import Indices, Labels

PEOPLE = "people"


@experts(PEOPLE)
class People:
    """People, who answer the questions in a browser (`raycal.annotate`). Nothing is known about the errors that people
    make.

    The loop asks people through `raycal.algorithm.questions.Annotators`, so the methods that answer are never called.

    Args:
        true_labels: Not used, and not kept.
    """

    def __init__(self, true_labels: Labels) -> None:
        pass

    def label_samples(self, indices: Indices, rng: np.random.Generator) -> NoReturn:
        """This method must not be called, because people answer in a browser.

        Raises:
            TypeError: Always.
        """
        raise TypeError("people answer in a browser: see raycal.annotate")

    def label_cluster(self, cluster: Cluster, rng: np.random.Generator) -> NoReturn:
        """This method must not be called, because people answer in a browser.

        Raises:
            TypeError: Always.
        """
        raise TypeError("people answer in a browser: see raycal.annotate")

    def truth(self, indices: Indices) -> Labels | None:
        """None, because no true labels are known."""
        return None
