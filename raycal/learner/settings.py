"""The protocol of the settings that a training needs. With it, the learner does not depend on the configuration."""

from typing import Literal, Protocol


class TrainingSettings(Protocol):
    """The settings of a training. `raycal.config.TrainingConfig` is one class with these attributes.

    Attributes:
        stop: The condition that ends a training: a number of epochs, a number of optimizer steps, or a loss that no
            longer falls.
        epochs: The number of epochs, if `stop` is `epochs`.
        steps: The largest number of optimizer steps. None means that there is no limit.
        patience: The number of epochs without an improvement after which a training has converged.
        min_delta: The smallest improvement that counts, as a share of the lowest loss so far.
        validation_fraction: The share of the annotated samples that is held out to tell whether a training converged.
        monitor: Whether a training has converged when the loss on the held-out samples no longer falls, or when the
            accuracy on them no longer rises.
        restore_best: Whether the weights of the best epoch are kept, and not those of the last epoch.
        batch_size: The number of samples of an optimizer step, over all workers.
        schedule: Whether the learning rate stays the same or falls to zero along half a cosine.
        warmup: The number of steps at the beginning during which the learning rate rises, or a share below 1 of all
            steps.
        image_size: Height and width, in pixels, of the images that the network sees.
        horizontal_flip: Whether each image is mirrored with probability 1/2 in every epoch.
        dtype: The number format of convolutions and matrix products; `auto` depends on the device.
    """

    @property
    def stop(self) -> Literal["epochs", "steps", "converged"]: ...
    @property
    def epochs(self) -> int: ...
    @property
    def steps(self) -> int | None: ...
    @property
    def patience(self) -> int: ...
    @property
    def min_delta(self) -> float: ...
    @property
    def validation_fraction(self) -> float: ...
    @property
    def monitor(self) -> Literal["loss", "accuracy"]: ...
    @property
    def restore_best(self) -> bool: ...
    @property
    def batch_size(self) -> int: ...
    @property
    def learning_rate(self) -> float: ...
    @property
    def momentum(self) -> float: ...
    @property
    def weight_decay(self) -> float: ...
    @property
    def schedule(self) -> Literal["constant", "cosine"]: ...
    @property
    def warmup(self) -> float: ...
    @property
    def image_size(self) -> int: ...
    @property
    def horizontal_flip(self) -> bool: ...
    @property
    def dtype(self) -> Literal["auto", "float32", "bfloat16"]: ...
