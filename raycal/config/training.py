"""The settings of the training."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BeforeValidator, Field, SerializationInfo, SerializerFunctionWrapHandler, model_serializer
from pydantic_core import PydanticCustomError

from raycal.algorithm.pool import ClusterWeight
from raycal.config.component import Always, ComponentConfig, ForClusters, ImageSize, by_default, component
from raycal.config.strict import MAX_COUNT, Count, Strict
from raycal.networks import USUAL_SIZE

DEFAULT_LOSS, DEFAULT_OPTIMIZER = "cross_entropy", "sgd"
MIN_BATCH_PER_WORKER = 2  # batch normalization cannot compute the variance of a single image
# Settings that define when a training has converged.
CONVERGENCE = ("patience", "min_delta", "validation_fraction", "monitor", "restore_best")
# Settings that are written into files only if they have other values than these, at which they change nothing. So an
# experiment that does not use them has the same files as in versions of raycal without these settings.
WRITTEN_IF_SET: Mapping[str, Any] = {
    "optimizer": {"name": DEFAULT_OPTIMIZER},
    "schedule": "constant",
    "warmup": 0,
    "augmentation": [],
    "monitor": "loss",
    "restore_best": False,
}
# The context in which `model_dump` writes all settings.
ALL_SETTINGS = "all settings"


def _cluster_weight(value: Any) -> Any:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if value in ("purity", "posterior") or (is_number and 0 < value <= 1):
        return value
    raise PydanticCustomError("cluster_weight", "should be above 0 and at most 1, purity or posterior")


def _option_words(options: Mapping[str, Any]) -> Iterator[str]:
    for key, value in options.items():
        yield f"{key} {' to '.join(map(str, value)) if isinstance(value, list | tuple) else value}"


def _warmup(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        if value == 0:
            return 0
        if 0 < value < 1 or (isinstance(value, int) and 1 <= value <= MAX_COUNT):
            return value
    raise PydanticCustomError("warmup", "should be a whole number of steps, or a share of the steps below 1")


_Augmentation = Annotated[ComponentConfig, component("augmentation", None, fills_in=False)]
NO_AUGMENTATION = "none"


def _listed(value: Any) -> Any:
    """A list of augmentations, made from a single augmentation, or from names that are joined by `+`."""
    if isinstance(value, str):
        return [] if value == NO_AUGMENTATION else value.split("+")
    return [value] if isinstance(value, Mapping) else value


class TrainingConfig(Strict):
    """How the network is trained on the annotated samples. The defaults are the paper's values for CIFAR-10; the paper
    does not give a batch size. `image_size` is 224, unless the network was pretrained with images of another size.

    `stop` determines when a training ends:

    - `epochs`: after `epochs` passes over the samples, so that more samples mean more optimizer steps.
    - `steps`: after exactly `steps` optimizer steps, whatever the number of samples. The samples are shuffled again for
      every pass, and the last pass is cut short.
    - `converged`: when `patience` passes in a row have not brought the loss below its lowest value so far by at least
      the share `min_delta` of that value, and after `steps` optimizer steps at the latest. The loss is the mean
      training loss of a whole pass. With a `validation_fraction` above 0, the loss is the mean cross-entropy on that
      share of the annotated samples, measured after every pass. This share is drawn with the seed and kept out of the
      training. With `monitor: accuracy`, the share of wrong predictions on these samples takes the place of the loss.
      With `restore_best`, the weights at the end are those of the pass with the lowest value; if several passes have
      the lowest value, the first of them counts.

    Each image of each pass is changed at random by the methods that `augmentation` lists, one after another.
    `horizontal_flip` mirrors half of the images; it is older than `augmentation`, and is kept for experiments with it.

    Only the optimizer `sgd` uses the `momentum`. The learning rate rises over the `warmup`, a number of optimizer steps
    or, below 1, a share of all steps of the training. Afterwards it stays the same or, with the schedule `cosine`,
    falls to zero at the end of the training. A training that stops when it has `converged` follows the learning rates
    of a training that takes all of its `steps`.
    """

    stop: Always[Literal["epochs", "steps", "converged"]] = "epochs"
    epochs: Always[Count] = 5
    steps: Always[Count | None] = None
    patience: Always[Count] = 3
    min_delta: Always[Annotated[float, Ge(0), Lt(1)]] = 0.01
    validation_fraction: Always[Annotated[float, Ge(0), Le(0.5)]] = 0.0
    monitor: Always[Literal["loss", "accuracy"]] = "loss"
    restore_best: Always[bool] = False
    batch_size: Always[Annotated[int, Ge(MIN_BATCH_PER_WORKER), Le(MAX_COUNT)]] = 64
    optimizer: Always[Annotated[ComponentConfig, component("optimizer", DEFAULT_OPTIMIZER)]] = by_default(
        DEFAULT_OPTIMIZER
    )
    learning_rate: Always[Annotated[float, Gt(0)]] = 1e-3
    schedule: Always[Literal["constant", "cosine"]] = "constant"
    warmup: Always[Annotated[int | float, BeforeValidator(_warmup)]] = 0
    momentum: Always[Annotated[float, Ge(0), Lt(1)]] = 0.9
    weight_decay: Always[Annotated[float, Ge(0)]] = 5e-4
    image_size: Always[ImageSize] = USUAL_SIZE
    horizontal_flip: Always[bool] = False
    augmentation: Always[Annotated[list[_Augmentation], BeforeValidator(_listed)]] = Field(default_factory=list)
    dtype: Always[Literal["auto", "float32", "bfloat16"]] = "auto"
    loss: Always[Annotated[ComponentConfig, component("loss", DEFAULT_LOSS)]] = by_default(DEFAULT_LOSS)
    cluster_weight: ForClusters[Annotated[ClusterWeight, BeforeValidator(_cluster_weight)]] = 1.0

    @model_serializer(mode="wrap")
    def _without_unset(self, serialize: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        """Omit the settings in `WRITTEN_IF_SET` that change nothing, unless the context asks for all settings."""
        settings: dict[str, Any] = serialize(self)
        if info.context == ALL_SETTINGS:
            return settings
        return {
            key: value for key, value in settings.items() if key not in WRITTEN_IF_SET or value != WRITTEN_IF_SET[key]
        }

    @property
    def augmentation_words(self) -> str:
        """The names of the augmentations with the options that are not the default, such as `flip+crop padding 0.25`.

        If no augmentation has such options, a sweep file accepts these words as the value of `augmentation`.
        """
        words = (" ".join([each.name, *_option_words(each.options)]) for each in self.augmentation)
        return "+".join(words) or NO_AUGMENTATION

    @property
    def without_effect(self) -> tuple[str, ...]:
        """The settings that have no effect with this optimizer and this value of `stop`."""
        of_optimizer = () if self.optimizer.name == DEFAULT_OPTIMIZER else ("momentum",)
        return (*self.without_effect_on_length, *of_optimizer)

    @property
    def without_effect_on_length(self) -> tuple[str, ...]:
        """The settings of the training's length that have no effect with this value of `stop`."""
        uses = {"epochs": ("epochs",), "steps": ("steps",), "converged": ("steps", *CONVERGENCE)}[self.stop]
        return tuple(key for key in ("epochs", "steps", *CONVERGENCE) if key not in uses)

    def most_steps(self, num_samples: int) -> int:
        """The largest number of optimizer steps that a training on `num_samples` samples may take, not counting
        incomplete batches."""
        return self.steps if self.steps is not None else self.epochs * num_samples // self.batch_size

    def images(self, num_samples: int) -> tuple[int, int]:
        """The smallest and the largest number of images that all steps of a training on `num_samples` samples process
        together."""
        if self.steps is None:
            return (self.epochs * num_samples,) * 2
        most = self.steps * min(self.batch_size, num_samples)
        if self.stop == "steps":
            return most, most
        return min(most, (self.patience + 1) * num_samples), most
