"""An augmentation that changes colors."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge, Le

from raycal.learner.augmentations.protocol import Draws, augmentations

if TYPE_CHECKING:
    from torch import Tensor

Strength = Annotated[float, Ge(0), Le(1)]


@augmentations("color_jitter")
@dataclass(frozen=True, kw_only=True)
class ColorJitter:
    """Changes brightness, contrast and saturation, like torchvision's `ColorJitter`, always in this order.

    Each of the three is multiplied by a random factor, which differs from 1 by at most the value of the option.
    """

    brightness: Strength = 0.4
    contrast: Strength = 0.4
    saturation: Strength = 0.4
    draws: ClassVar[int] = 3

    def __call__(self, images: "Tensor", draws: Draws) -> "Tensor":
        from raycal.learner import image_operations as operations

        changes = {
            operations.brightened: self.brightness,
            operations.contrasted: self.contrast,
            operations.saturated: self.saturation,
        }
        for column, (change, strength) in enumerate(changes.items()):
            images = change(images, 1 + strength * (2 * draws[:, column] - 1))
        return images
