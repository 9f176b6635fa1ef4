"""How many samples of a large cluster people see before they answer. It changes no experiment, and may change at every
start."""

from typing import Annotated

from annotated_types import Gt, Lt

from raycal.config.strict import Strict


class LooksConfig(Strict):
    """How the page shows a large cluster of a project of people.

    Attributes:
        sequential: Whether the page first shows few random samples, and says after each look whether they decide that
            the cluster is pure or mixed. Otherwise it shows 24 random samples at once.
        purity: The share of samples that belong together from which on a cluster is pure.
    """

    sequential: bool = False
    purity: Annotated[float, Gt(0.5), Lt(1)] = 0.8
