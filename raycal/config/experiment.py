"""The configuration of one experiment: all settings that can change its result, and no others."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from annotated_types import Ge, Lt
from pydantic import (
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    ValidationInfo,
    model_serializer,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from raycal.algorithm.expert import experts
from raycal.algorithm.scenario import SCENARIOS, Scenario
from raycal.config.component import (
    DEFAULT_NETWORK,
    Always,
    ClusteringConfig,
    ComponentConfig,
    FeaturesConfig,
    ForAcquisition,
    ForBudgets,
    ForClusters,
    ForLaterPredictions,
    ForPredictions,
    ModelConfig,
    NetworkConfig,
    by_default,
    component,
)
from raycal.config.fit import misfits_of_features, misfits_of_kinds, with_model
from raycal.config.identity import RECIPE_VERSION, digest_of, relevant_fields, without_younger
from raycal.config.people import misfits_with_people
from raycal.config.scenario import OwnScenario, known_scenario
from raycal.config.strict import Count, Strict
from raycal.config.training import (
    ALL_SETTINGS,
    CONVERGENCE,
    DEFAULT_OPTIMIZER,
    MIN_BATCH_PER_WORKER,
    TrainingConfig,
)
from raycal.networks import IMAGENET, PRETRAINED, USUAL_SIZE, networks
from raycal.plugins import digests_of
from raycal.registry import Registry

DEFAULT_ACQUISITION = "entropy"
FEATURES = "features"
WORKERS = "workers"  # in a sweep file, this setting is `resources.workers_per_trial`
PLUGINS = "plugins"  # users cannot set this, because it follows from the extensions that are used
_PURITY_THRESHOLD = "purity_threshold"


class ExperimentConfig(Strict):
    """The configuration of one experiment. Two configurations with the same `experiment_id` give the same result.

    `workers` is the world size, which a sweep file sets with `resources.workers_per_trial`. `plugins` holds the digest
    of the source of each plug-in that the experiment uses, by the name of the plug-in.
    """

    dataset: Always[Annotated[ComponentConfig, component("dataset", None)]]
    model: Always[Annotated[ModelConfig, component("model", DEFAULT_NETWORK, ModelConfig)]] = ModelConfig()
    scenario: Always[Annotated[str | OwnScenario, BeforeValidator(known_scenario)]]
    iterations: ForBudgets[Count] = 15
    interactions_per_iteration: ForBudgets[Count] = 1000
    acquisition: ForAcquisition[Annotated[ComponentConfig, component("acquisition", DEFAULT_ACQUISITION)]] = by_default(
        DEFAULT_ACQUISITION
    )
    clustering: ForClusters[Annotated[ClusteringConfig, component("clustering", "kmeans", ClusteringConfig)]] = (
        by_default("kmeans")
    )
    expert: Always[Annotated[ComponentConfig, component("expert", "oracle")]] = by_default("oracle")
    training: Always[TrainingConfig] = TrainingConfig()
    seed: Always[Annotated[int, Ge(0), Lt(2**32)]] = 0
    ask_with: ForPredictions[Literal["previous", "initial"]] = "previous"
    retrain_between: ForLaterPredictions[bool] = False
    keep_cluster_labels: ForClusters[bool] = False
    features: ForPredictions[Annotated[FeaturesConfig | None, component("model", None, FeaturesConfig)]] = None
    workers: Always[Count] = 1
    plugins: Always[dict[str, str]] = Field(default_factory=dict)

    @model_serializer(mode="wrap")
    def _without_empty_plugins(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Omit `plugins` and `features` if they are empty, as in files from before these settings existed."""
        settings: dict[str, Any] = serialize(self)
        for key, is_given in ((PLUGINS, bool(self.plugins)), (FEATURES, self.features is not None)):
            if not is_given:
                settings.pop(key, None)
        return settings

    @model_validator(mode="before")
    @classmethod
    def _with_model(cls, settings: Any, info: ValidationInfo) -> Any:
        return with_model(settings, info.context or {})

    @model_validator(mode="after")
    def _fit_together(self, info: ValidationInfo) -> Self:
        if info.context is not None:
            self._take_sizes_of_networks()
        misfits = [*self._misfits(), *([] if info.context is None else self._misfits_of_components(info.context))]
        details = [
            InitErrorDetails(type=PydanticCustomError("unfit", "{words}", {"words": words}), loc=loc, input=value)
            for loc, value, words in misfits
        ]
        if details:
            raise ValidationError.from_exception_data(type(self).__name__, details)
        if info.context is not None:  # without a context, a stored configuration is read back unchanged
            self.__dict__[PLUGINS] = digests_of(self._extensions())
        return self

    def _misfits(self) -> Iterator[tuple[tuple[str, ...], Any, str]]:
        """The settings that conflict with other settings: key, value and reason."""
        batch, least = self.training.batch_size, MIN_BATCH_PER_WORKER * self.workers
        if batch < least:
            words = (
                f"should be at least {least}, {MIN_BATCH_PER_WORKER} for each of {self.workers} workers, not {batch}"
            )
            yield ("training", "batch_size"), batch, words
        yield from misfits_with_people(self)
        yield from self._misfits_of_augmentation()
        yield from self._misfits_of_stop()
        yield from self._misfits_of_optimizer()

    def _misfits_of_components(
        self, registries: Mapping[str, Registry[Any]]
    ) -> Iterator[tuple[tuple[str, ...], Any, str]]:
        """The settings that the dataset and the network do not allow.

        A stored configuration is not checked again, because that may import the package of a network family.
        """
        of_kinds = list(misfits_of_kinds(self, registries))
        yield from of_kinds or self._misfits_of_network("model", self.model, ("training", self.training.image_size))
        if self.features is not None:
            wrong = list(misfits_of_features(self, self.features, registries))
            size = (FEATURES, self.features.image_size or USUAL_SIZE)
            yield from wrong or self._misfits_of_network(FEATURES, self.features, size)

    def _misfits_of_network(
        self, key: str, config: NetworkConfig, image_size: tuple[str, int]
    ) -> Iterator[tuple[tuple[str, ...], Any, str]]:
        """The settings that a network does not allow. Empty if the network is not registered in this process.

        Args:
            key: The key of the network.
            config: The network.
            image_size: The key of the group with the size of the network's images, and the size.
        """
        if config.name not in networks:
            return
        name, facts, (group, size) = config.name, networks.facts(config.name), image_size
        if facts.image_size is not None and size != facts.image_size:
            words = f"should be {facts.image_size}, not {size}, as {name} accepts no other size"
            yield (group, "image_size"), size, words
        elif facts.misfit is not None and (reason := facts.misfit(size)) is not None:
            yield (group, "image_size"), size, reason
        published = {IMAGENET: facts.imagenet, PRETRAINED: facts.pretrained}
        if (weights := config.weights) in published and published[weights] is None:
            known = [word for word, one in published.items() if one is not None]
            why = f"those of {name} are {known[0]!r}" if known else f"no weights are published for {name}"
            words = f"should be {', '.join([*known, 'none'])} or a file, not {weights!r}, because {why}"
            yield (key, "weights"), weights, words

    def _take_sizes_of_networks(self) -> None:
        """Let the images have the size with which a network was pretrained, if the sweep file gives no size."""
        key, name, features = "image_size", self.model.name, self.features
        if key not in self.training.model_fields_set and name in networks:
            size = networks.facts(name).usual_size
            if size != self.training.image_size:
                self.__dict__["training"] = self.training.model_copy(update={key: size})
        if features is not None and features.image_size is None and features.name in networks:
            size = networks.facts(features.name).usual_size
            self.__dict__[FEATURES] = features.model_copy(update={key: size})

    @property
    def largest_image_size(self) -> int:
        """The side of the largest images that a network of this experiment sees, in pixels."""
        other = None if self.feature_model is None else self.feature_model.image_size
        return max(self.training.image_size, other or 0)

    @property
    def networks(self) -> tuple[NetworkConfig, ...]:
        """The network that is trained, and the separate feature model if there is one."""
        return (self.model,) if self.feature_model is None else (self.model, self.feature_model)

    @property
    def feature_model(self) -> FeaturesConfig | None:
        """The separate feature model. None if there is none, or if no annotation step uses a model."""
        return self.features if self.resolved_scenario.asks_model else None

    def _misfits_of_augmentation(self) -> Iterator[tuple[tuple[str, str], Any, str]]:
        """The settings of augmentations that have no effect, or repeat the effect of another setting."""
        training = self.training
        names = [each.name for each in training.augmentation]
        if self.model.trains_head_alone and training.horizontal_flip:
            words = "should be false with model.frozen, which looks at every image once"
            yield ("training", "horizontal_flip"), True, words
        if self.model.trains_head_alone and names:
            words = "should be empty with model.frozen, which looks at every image once"
            yield ("training", "augmentation"), names, words
        if training.horizontal_flip and "flip" in names:
            words = "should be false with the augmentation flip, which mirrors images, too"
            yield ("training", "horizontal_flip"), True, words
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield ("training", "augmentation"), names, f"{name} should be listed once"

    def _misfits_of_stop(self) -> Iterator[tuple[tuple[str, str], Any, str]]:
        """The settings of the training's length that are missing or have no effect."""
        training, stop = self.training, self.training.stop
        if stop != "epochs" and training.steps is None:
            most = "" if stop == "steps" else ", as the upper limit of a training"
            yield ("training", "steps"), None, f"should be given with training.stop: {stop}{most}"
        if stop == "converged" and not training.validation_fraction:
            needs = "needs a hold-out: give training.validation_fraction a value above 0"
            if training.monitor != "loss":
                yield ("training", "monitor"), training.monitor, needs
            if training.restore_best:
                yield ("training", "restore_best"), True, needs
        for key in training.without_effect_on_length:
            value, default = getattr(training, key), TrainingConfig.model_fields[key].default
            if value != default:
                usable = "converged" if key in CONVERGENCE else "epochs" if key == "epochs" else "steps or converged"
                words = f"has no effect with training.stop: {stop}; leave it out, or set training.stop to {usable}"
                yield ("training", key), value, words

    def _misfits_of_optimizer(self) -> Iterator[tuple[tuple[str, str], Any, str]]:
        """The settings of the optimizer and of the learning rate that do not fit the other settings."""
        training, default = self.training, TrainingConfig.model_fields["momentum"].default
        if "momentum" in training.without_effect and training.momentum != default:
            name = training.optimizer.name
            words = (
                f"has no effect with training.optimizer: {name}; leave it out, or set training.optimizer to "
                f"{DEFAULT_OPTIMIZER}"
            )
            yield ("training", "momentum"), training.momentum, words
        if training.steps is not None and training.warmup >= training.steps:
            words = f"should be less than training.steps, {training.steps}, not {training.warmup}"
            yield ("training", "warmup"), training.warmup, words

    @property
    def resolved_scenario(self) -> Scenario:
        """The scenario as a record of `raycal.algorithm`."""
        return SCENARIOS[self.scenario] if isinstance(self.scenario, str) else self.scenario.scenario

    @property
    def experiment_id(self) -> str:
        """The id `<dataset>-<scenario>-s<seed>-<first 8 hexadecimal digits of the digest>`."""
        return f"{self.dataset.name}-{self.resolved_scenario.name}-s{self.seed}-{digest_of(self.identity())}"

    def _extensions(self) -> Iterator[tuple[str, str]]:
        """The kind and the name of each extension that can change the results."""
        settings, by = self.relevant(), self.resolved_scenario.pseudo_labels
        for kind in ("dataset", "model", "acquisition", "clustering"):
            if kind in settings:
                yield kind, settings[kind]["name"]
        if settings.get(FEATURES):
            yield "model", settings[FEATURES]["name"]
        for _, expert in experts.chain(settings["expert"]):
            yield "expert", expert["name"]
        yield "loss", self.training.loss.name
        yield "optimizer", self.training.optimizer.name
        for augmentation in self.training.augmentation:
            yield "augmentation", augmentation.name
        if by is not None:
            yield "pseudo_labels", by.name

    def identity(self) -> dict[str, Any]:
        """The settings whose digest is in the id."""
        return without_younger(self.relevant())

    def relevant(self) -> dict[str, Any]:
        """The settings that can change the result of this scenario. For `random`, they do not include the clustering.

        A setting is omitted if it declares with `Affects` that it matters only for uses that the scenario lacks.
        """
        scenario = self.resolved_scenario
        settings = relevant_fields(type(self), self._all_settings(), scenario.uses)
        settings["expert"] = experts.relevant(settings["expert"], scenario.uses)
        settings["recipe_version"] = RECIPE_VERSION
        if self.workers == 1:  # the first ids were made before this setting existed
            del settings[WORKERS]
        settings["scenario"] = {
            "steps": [[step.ask.value, str(step.share)] for step in scenario.steps],
            "whole_pool": scenario.whole_pool,
        }
        if scenario.pseudo_labels is not None:
            by = scenario.pseudo_labels
            settings["scenario"]["pseudo_labels"] = {"name": by.name, **by.options}
        for key in self.training.without_effect:  # these depend on other settings of the training, not on the scenario
            del settings["training"][key]
        return settings

    @property
    def purity_threshold_key(self) -> str | None:
        """The dotted key of the purity threshold for clusters; None if the expert has no such threshold.

        If experts wrap each other, the threshold of the innermost expert that has a threshold counts.
        """
        keys = [path for path, expert in experts.chain(self.expert.model_dump()) if _PURITY_THRESHOLD in expert]
        return ".".join(("expert", *keys[-1], _PURITY_THRESHOLD)) if keys else None

    @property
    def purity_threshold(self) -> float | None:
        """The purity at which the expert accepts a cluster; None if the expert has no such threshold."""
        key = self.purity_threshold_key
        return None if key is None else self.flat()[key]

    def flat(self) -> dict[str, Any]:
        """The settings by dotted key, as in MLflow parameters and on command lines."""
        return _flat(self._all_settings()) | {"training.augmentation": self.training.augmentation_words}

    def _all_settings(self) -> dict[str, Any]:
        """All settings, including those that files omit because they change nothing."""
        return self.model_dump(mode="json", context=ALL_SETTINGS)


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
