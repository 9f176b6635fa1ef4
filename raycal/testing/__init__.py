"""Checks that an extension keeps the contract of its kind. raycal's own tests and the tests of a plug-in use them.

Each check takes the name of a registered extension and its options. It raises an AssertionError that says which rule of
raycal the extension breaks:

    import strategies  # registers `smallest_norm`
    from raycal.testing import check_acquisition

    def test_smallest_norm() -> None:
        check_acquisition("smallest_norm", power=3.0)

The checks do not need pytest. Only the checks of networks, losses and optimizers import
torch.
"""

from raycal.testing.clusterings import check_clustering
from raycal.testing.common import check_options
from raycal.testing.datasets import check_dataset
from raycal.testing.examples import example_view, read_only
from raycal.testing.experts import check_expert
from raycal.testing.networks import check_loss, check_network
from raycal.testing.queries import check_acquisition, check_pseudo_labels
from raycal.testing.training import check_augmentation, check_optimizer

__all__ = [
    "check_acquisition",
    "check_augmentation",
    "check_clustering",
    "check_dataset",
    "check_expert",
    "check_loss",
    "check_network",
    "check_optimizer",
    "check_options",
    "check_pseudo_labels",
    "example_view",
    "read_only",
]
