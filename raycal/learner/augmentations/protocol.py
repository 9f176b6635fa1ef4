"""The interface of an augmentation, and the registry of augmentations."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from raycal.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

Draws = npt.NDArray[np.float64]


class Augmentation(Protocol):
    """Changes each image of a batch at random.

    The caller provides the random numbers, so that they can come from the seed of the experiment. What happens to an
    image must depend on its own numbers alone. Then the result is the same for every batch and every worker that the
    image may be in.

    Attributes:
        draws: The number of random numbers that an image needs.
    """

    @property
    def draws(self) -> int: ...

    def __call__(self, images: "Tensor", draws: Draws, /) -> "Tensor":
        """The changed images, with the same shape and type.

        Args:
            images: (B, 3, H, W) uint8 on the device; they may be stored with the channels last. The images must not be
                written to.
            draws: (B, self.draws) random numbers from 0 to 1, excluding 1, on the host.
        """
        ...


augmentations: Registry[Callable[..., Augmentation]] = Registry("augmentation")
