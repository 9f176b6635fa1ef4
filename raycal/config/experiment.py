"""The configuration of one experiment: all settings that can change its result, and no others."""

import hashlib
import json
import re
from collections.abc import Collection, Iterator, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Annotated, Any, Literal, Self, TypeVar

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PydanticUserError,
    SerializerFunctionWrapHandler,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    create_model,
    model_serializer,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from raycal.algorithm.expert import experts
from raycal.algorithm.scenario import SCENARIOS, Ask, PseudoLabelsBy, Scenario, Step, Use
from raycal.config.strict import MAX_COUNT, Count, Strict, did_you_mean
from raycal.errors import one_line, shortened
from raycal.networks import IMAGENET, networks
from raycal.plugins import digests_of
from raycal.registry import EVERYTHING, NAME_PATTERN, REQUIRED, Affects, Option, Registry, declared

# Incremented when the same configuration gives other results than before, so that old runs are not mistaken for new.
RECIPE_VERSION = 1
MIN_BATCH_PER_WORKER = 2  # batch normalization cannot compute the variance of a single image
DEFAULT_ACQUISITION = "entropy"
DEFAULT_LOSS = "cross_entropy"
DEFAULT_NETWORK = "resnet18"
WORKERS = "workers"  # in a sweep file, this setting is `resources.workers_per_trial`
PLUGINS = "plugins"  # users cannot set this; it follows from the extensions that are used
_NO_GROUP = ""  # the group of settings that are in no group
# Settings that were added after the first ids, by group, with the values at which they change nothing.
YOUNGER_THAN_IDS: Mapping[str, Mapping[str, Any]] = {
    _NO_GROUP: {"keep_cluster_labels": False, PLUGINS: {}},
    "dataset": {"on_error": "refuse"},
    "expert": {"seconds_per_image_shown": 0.0, "seconds_per_refused_cluster": None},
    "clustering": {"core": 1.0, "order": "size", "on_refusal": "skip"},
    "model": {"frozen": False},
    "training": {
        "loss": {"name": DEFAULT_LOSS},
        "cluster_weight": 1.0,
        "stop": "epochs",
        "steps": None,
        "patience": 3,
        "min_delta": 0.01,
        "validation_fraction": 0.0,
    },
}
# Settings that define when a training has converged.
CONVERGENCE = ("patience", "min_delta", "validation_fraction")
_SHARE = re.compile(r"\d{1,9}(\.\d{1,18})?|\d{1,9}/\d{1,9}")
_PURITY_THRESHOLD = "purity_threshold"

_T = TypeVar("_T")
# Every field below declares which experiments it can change; a test fails for a field without such a declaration.
Always = Annotated[_T, EVERYTHING]
ForBudgets = Annotated[_T, Affects(Use.BUDGET)]
ForAcquisition = Annotated[_T, Affects(Use.ACQUISITION)]
ForClusters = Annotated[_T, Affects(Use.CLUSTERS)]
ForClusterAnswers = Annotated[_T, Affects(Use.CLUSTER_ANSWERS)]
ForPredictions = Annotated[_T, Affects(Use.PREDICTIONS)]
ForLaterPredictions = Annotated[_T, Affects(Use.LATER_PREDICTIONS)]


class ComponentConfig(Strict):
    """An extension by name, with its options as further keys."""

    model_config = ConfigDict(extra="allow")

    name: Always[str]

    @property
    def options(self) -> dict[str, Any]:
        """The given options, by keyword."""
        return dict(self.model_extra or {})


class ClusteringConfig(ComponentConfig):
    """A clustering, and the rules by which its clusters are shown.

    If `num_clusters` is None, the number of clusters is the budget of the annotation step.
    """

    num_clusters: ForClusters[Count | None] = None
    core: ForClusters[Annotated[float, Gt(0), Le(1)]] = 1.0
    order: ForClusters[Literal["size", "value", "random", "oracle"]] = "size"
    on_refusal: ForClusterAnswers[Literal["skip", "split"]] = "skip"


def _component(kind: str, default: str | None, model: type[ComponentConfig] = ComponentConfig) -> BeforeValidator:
    """A validator that accepts a bare name, and checks name and options against the registry in the context."""

    def check(value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, str):
            value = {"name": value}
        if not isinstance(value, Mapping):
            return value
        value = {"name": default, **value} if default else value
        registry: Registry[Any] | None = (info.context or {}).get(kind)
        if registry is None or not isinstance(value.get("name"), str):
            return value
        if value["name"] not in registry:
            if model is ModelConfig:
                return value  # the name is checked with the whole group, so that the error has its place in the file
            hint = did_you_mean(value["name"], registry)
            raise PydanticCustomError("unknown_name", "no such {kind} {hint}", {"kind": kind, "hint": hint})
        return _options_model(registry, value["name"], model).model_validate(value, context=info.context).model_dump()

    return BeforeValidator(check)


def _default(name: str) -> Any:
    """A default component that is checked like a given one, so that its options are filled in."""
    return Field(default=name, validate_default=True)


def _options_model(registry: Registry[Any], name: str, base: type[ComponentConfig]) -> type[ComponentConfig]:
    return _options_model_of(registry, name, registry[name], base)


@lru_cache
def _options_model_of(
    registry: Registry[Any], name: str, entry: Any, base: type[ComponentConfig]
) -> type[ComponentConfig]:
    """The model of a component with its options.

    The cache key has the entry, as another entry registered under the same name may have other options.
    """
    fields: dict[str, Any] = {key: _field(registry, option) for key, option in registry.options(name).items()}
    if taken := sorted(fields.keys() & base.model_fields.keys()):
        kind = registry.kind
        words = f"the {kind} cannot have an option called '{taken[0]}', which is a setting of every {kind}"
        raise PydanticCustomError("taken_option", "{words}", {"words": words})
    try:
        return create_model(f"{registry.kind} {name}", __base__=base, __cls_kwargs__={"extra": "forbid"}, **fields)
    except (PydanticUserError, TypeError, NameError) as error:
        reason = shortened(one_line(error), 200)
        words = f"the {registry.kind} {name!r} has an option that no sweep file can set: {reason}"
        raise PydanticCustomError("unusable_option", "{words}", {"words": words}) from error


def _field(registry: Registry[Any], option: Option) -> tuple[Any, Any]:
    """The type and default of an option, as pydantic needs them."""
    default = ... if option.default is REQUIRED else option.default
    if option.nested is None:
        return option.annotation, default
    checked = Annotated[ComponentConfig, _component(registry.kind, option.nested.default)]
    return checked, Field(default=default, validate_default=True)


def _share(value: Any) -> str:
    """A number or a fraction `a/b` as an exact fraction. Long numbers are refused, as their arithmetic takes hours."""
    if not isinstance(value, bool) and _SHARE.fullmatch(str(value)):
        try:
            return str(Fraction(str(value)))
        except ZeroDivisionError:
            pass
    raise PydanticCustomError("share", "should be a number such as 0.5 or a fraction such as 1/3")


class StepConfig(Strict):
    """One annotation step: what it asks about, and its share of N, a number or a fraction such as `1/3`."""

    ask: Literal["uncertain", "random", "clusters", "representatives"]
    share: Annotated[str, BeforeValidator(_share)]

    @property
    def step(self) -> Step:
        """The step as a record of the algorithm."""
        return Step(Ask(self.ask), Fraction(self.share))


class OwnScenario(Strict):
    """A scenario of the user, defined by its steps and optionally a pseudo-labeling method."""

    name: Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
    steps: Annotated[list[StepConfig], MinLen(1)]
    pseudo_labels: Annotated[ComponentConfig | None, _component("pseudo_labels", None)] = None

    @property
    def scenario(self) -> Scenario:
        """The scenario of the algorithm.

        Raises:
            ValueError: The shares of the steps do not add up to one.
        """
        given = self.pseudo_labels
        return Scenario(
            name=self.name,
            steps=tuple(step.step for step in self.steps),
            pseudo_labels=PseudoLabelsBy(given.name, given.options) if given else None,
        )


def _scenario(value: Any, info: ValidationInfo) -> Any:
    if isinstance(value, str) and value not in SCENARIOS:
        raise PydanticCustomError("unknown_name", "no such scenario {hint}", {"hint": did_you_mean(value, SCENARIOS)})
    if isinstance(value, Mapping):
        own = OwnScenario.model_validate(value, context=info.context)
        if own.name in SCENARIOS:
            raise PydanticCustomError("taken_name", "'{name}' is a scenario already", {"name": own.name})
        try:
            _ = own.scenario
        except ValueError as error:
            raise PydanticCustomError("shares", "{problem}", {"problem": str(error)}) from error
        return own
    if not isinstance(value, str | OwnScenario):
        raise PydanticCustomError("scenario", "should be a name or {name, steps}")
    return value


def _network(name: str, info: ValidationInfo) -> str:
    registry: Registry[Any] | None = (info.context or {}).get("model")
    if registry is None or name in registry:
        return name
    raise PydanticCustomError("unknown_name", "no such network {hint}", {"hint": did_you_mean(name, registry)})


class ModelConfig(ComponentConfig):
    """The network with its options, and the source of its weights: `imagenet`, `none`, or a file with a state dict.

    Of a `frozen` network only the last layer is trained, on features that the initial weights compute.
    """

    name: Always[Annotated[str, AfterValidator(_network)]] = DEFAULT_NETWORK
    weights: Always[Annotated[str, BeforeValidator(lambda value: "none" if value is None else value)]] = "imagenet"
    frozen: Always[bool] = False


def _cluster_weight(value: Any) -> Any:
    if value == "purity" or (isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 1):
        return value
    raise PydanticCustomError("cluster_weight", "should be above 0 and at most 1, or purity")


class TrainingConfig(Strict):
    """SGD on the annotated samples. The defaults are those of the paper for CIFAR-10, which does not give a batch size.

    `stop` determines when a training ends:

    - `epochs`: after `epochs` passes over the samples, so that more samples mean more optimizer steps.
    - `steps`: after exactly `steps` optimizer steps, whatever the number of samples. The samples are shuffled again for
      every pass, and the last pass is cut short.
    - `converged`: when `patience` passes in a row have not brought the loss below its lowest value so far by at least
      the share `min_delta` of that value, and after `steps` optimizer steps at the latest. The loss is the mean
      training loss of a whole pass. With a `validation_fraction` above 0, the loss is the mean cross-entropy on that
      share of the annotated samples, measured after every pass. This share is drawn with the seed and kept out of the
      training.
    """

    stop: Always[Literal["epochs", "steps", "converged"]] = "epochs"
    epochs: Always[Count] = 5
    steps: Always[Count | None] = None
    patience: Always[Count] = 3
    min_delta: Always[Annotated[float, Ge(0), Lt(1)]] = 0.01
    validation_fraction: Always[Annotated[float, Ge(0), Le(0.5)]] = 0.0
    batch_size: Always[Annotated[int, Ge(MIN_BATCH_PER_WORKER), Le(MAX_COUNT)]] = 64
    learning_rate: Always[Annotated[float, Gt(0)]] = 1e-3
    momentum: Always[Annotated[float, Ge(0), Lt(1)]] = 0.9
    weight_decay: Always[Annotated[float, Ge(0)]] = 5e-4
    image_size: Always[Annotated[int, Ge(32), Le(512)]] = 224
    horizontal_flip: Always[bool] = False
    dtype: Always[Literal["auto", "float32", "bfloat16"]] = "auto"
    loss: Always[Annotated[ComponentConfig, _component("loss", DEFAULT_LOSS)]] = _default(DEFAULT_LOSS)
    cluster_weight: ForClusters[Annotated[float | Literal["purity"], BeforeValidator(_cluster_weight)]] = 1.0

    @property
    def without_effect(self) -> tuple[str, ...]:
        """The settings of the training's length that have no effect with this value of `stop`."""
        uses = {"epochs": ("epochs",), "steps": ("steps",), "converged": ("steps", *CONVERGENCE)}[self.stop]
        return tuple(key for key in ("epochs", "steps", *CONVERGENCE) if key not in uses)

    def most_steps(self, num_samples: int) -> int:
        """The most optimizer steps that a training on `num_samples` samples may take, without incomplete batches."""
        return self.steps if self.steps is not None else self.epochs * num_samples // self.batch_size

    def images(self, num_samples: int) -> tuple[int, int]:
        """The least and the most images that all steps of a training on `num_samples` samples process together."""
        if self.steps is None:
            return (self.epochs * num_samples,) * 2
        most = self.steps * min(self.batch_size, num_samples)
        if self.stop == "steps":
            return most, most
        return min(most, (self.patience + 1) * num_samples), most


class ExperimentConfig(Strict):
    """The configuration of one experiment. Two configurations with the same `experiment_id` give the same result.

    `workers` is the world size, which a sweep file sets with `resources.workers_per_trial`. `plugins` holds the digest
    of the source of each plug-in that the experiment uses, by the name of the plug-in.
    """

    dataset: Always[Annotated[ComponentConfig, _component("dataset", None)]]
    model: Always[Annotated[ModelConfig, _component("model", DEFAULT_NETWORK, ModelConfig)]] = ModelConfig()
    scenario: Always[Annotated[str | OwnScenario, BeforeValidator(_scenario)]]
    iterations: ForBudgets[Count] = 15
    interactions_per_iteration: ForBudgets[Count] = 1000
    acquisition: ForAcquisition[Annotated[ComponentConfig, _component("acquisition", DEFAULT_ACQUISITION)]] = _default(
        DEFAULT_ACQUISITION
    )
    clustering: ForClusters[Annotated[ClusteringConfig, _component("clustering", "kmeans", ClusteringConfig)]] = (
        _default("kmeans")
    )
    expert: Always[Annotated[ComponentConfig, _component("expert", "oracle")]] = _default("oracle")
    training: Always[TrainingConfig] = TrainingConfig()
    seed: Always[Annotated[int, Ge(0), Lt(2**32)]] = 0
    ask_with: ForPredictions[Literal["previous", "initial"]] = "previous"
    retrain_between: ForLaterPredictions[bool] = False
    keep_cluster_labels: ForClusters[bool] = False
    workers: Always[Count] = 1
    plugins: Always[dict[str, str]] = Field(default_factory=dict)

    @model_serializer(mode="wrap")
    def _without_empty_plugins(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Omit `plugins` for experiments without plug-ins, as in files from before plug-ins existed."""
        settings: dict[str, Any] = serialize(self)
        if not self.plugins:
            settings.pop(PLUGINS, None)
        return settings

    @model_validator(mode="after")
    def _fit_together(self, info: ValidationInfo) -> Self:
        details = [
            InitErrorDetails(type=PydanticCustomError("unfit", "{words}", {"words": words}), loc=loc, input=value)
            for loc, value, words in self._misfits()
        ]
        if details:
            raise ValidationError.from_exception_data(type(self).__name__, details)
        if info.context is not None:  # without a context, a stored configuration is read back unchanged
            self.__dict__[PLUGINS] = digests_of(self._extensions())
        return self

    def _misfits(self) -> Iterator[tuple[tuple[str, str], Any, str]]:
        """The settings that conflict with other settings: key, value and reason."""
        batch, least = self.training.batch_size, MIN_BATCH_PER_WORKER * self.workers
        if batch < least:
            words = (
                f"should be at least {least}, {MIN_BATCH_PER_WORKER} for each of {self.workers} workers, not {batch}"
            )
            yield ("training", "batch_size"), batch, words
        yield from self._misfits_of_network()
        if self.model.frozen and self.training.horizontal_flip:
            words = "should be false with model.frozen, which looks at every image once"
            yield ("training", "horizontal_flip"), True, words
        yield from self._misfits_of_stop()

    def _misfits_of_network(self) -> Iterator[tuple[tuple[str, str], Any, str]]:
        """The settings that the network does not allow; none if the network is not registered in this process."""
        name = self.model.name
        if name not in networks:
            return
        facts, size = networks.facts(name), self.training.image_size
        if facts.image_size is not None and size != facts.image_size:
            words = f"should be {facts.image_size}, not {size}, as {name} accepts no other size"
            yield ("training", "image_size"), size, words
        if self.model.weights == IMAGENET and facts.imagenet is None:
            words = f"should be none or a file, not {IMAGENET!r}, as no weights are published for {name}"
            yield ("model", "weights"), self.model.weights, words

    def _misfits_of_stop(self) -> Iterator[tuple[tuple[str, str], Any, str]]:
        """The settings of the training's length that are missing or have no effect."""
        training, stop = self.training, self.training.stop
        if stop != "epochs" and training.steps is None:
            most = "" if stop == "steps" else ", as the upper limit of a training"
            yield ("training", "steps"), None, f"should be given with training.stop: {stop}{most}"
        for key in training.without_effect:
            value, default = getattr(training, key), TrainingConfig.model_fields[key].default
            if value != default:
                usable = "converged" if key in CONVERGENCE else "epochs" if key == "epochs" else "steps or converged"
                words = f"has no effect with training.stop: {stop}; leave it out, or set training.stop to {usable}"
                yield ("training", key), value, words

    @property
    def resolved_scenario(self) -> Scenario:
        """The scenario of the algorithm."""
        return SCENARIOS[self.scenario] if isinstance(self.scenario, str) else self.scenario.scenario

    @property
    def experiment_id(self) -> str:
        """The id `<dataset>-<scenario>-s<seed>-<first 8 hexadecimal digits of the digest>`."""
        payload = json.dumps(self.identity(), sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256(payload.encode()).hexdigest()[:8]
        return f"{self.dataset.name}-{self.resolved_scenario.name}-s{self.seed}-{digest}"

    def _extensions(self) -> Iterator[tuple[str, str]]:
        """The kind and the name of each extension that can change the results."""
        settings, by = self.relevant(), self.resolved_scenario.pseudo_labels
        for kind in ("dataset", "model", "acquisition", "clustering"):
            if kind in settings:
                yield kind, settings[kind]["name"]
        for _, expert in experts.chain(settings["expert"]):
            yield "expert", expert["name"]
        yield "loss", self.training.loss.name
        if by is not None:
            yield "pseudo_labels", by.name

    def identity(self) -> dict[str, Any]:
        """The settings whose digest is in the id."""
        settings = _older_than(YOUNGER_THAN_IDS[_NO_GROUP], self.relevant())
        for group in YOUNGER_THAN_IDS.keys() & settings.keys():
            settings[group] = _older_than(YOUNGER_THAN_IDS[group], settings[group])
        return settings

    def relevant(self) -> dict[str, Any]:
        """The settings that can change the result of this scenario. For `random`, they do not include the clustering.

        A setting is omitted if it declares with `Affects` that it matters only for uses that the scenario lacks.
        """
        scenario = self.resolved_scenario
        settings = _relevant_fields(type(self), self.model_dump(mode="json"), scenario.uses)
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
        for key in self.training.without_effect:  # depends on the value of `stop`, not on the scenario
            del settings["training"][key]
        return settings

    @property
    def purity_threshold_key(self) -> str | None:
        """The dotted key of the purity threshold for clusters; None when the expert has no such threshold.

        Where experts wrap each other, the threshold of the innermost expert that has one counts.
        """
        keys = [path for path, expert in experts.chain(self.expert.model_dump()) if _PURITY_THRESHOLD in expert]
        return ".".join(("expert", *keys[-1], _PURITY_THRESHOLD)) if keys else None

    @property
    def purity_threshold(self) -> float | None:
        """The purity at which the expert accepts a cluster; None when the expert has no such threshold."""
        key = self.purity_threshold_key
        return None if key is None else self.flat()[key]

    def flat(self) -> dict[str, Any]:
        """The settings by dotted key, as in MLflow parameters and on command lines."""
        return _flat(self.model_dump(mode="json"))


def _relevant_fields(model: type[BaseModel], settings: Mapping[str, Any], uses: Collection[str]) -> dict[str, Any]:
    """The settings of a model that can change an experiment with these uses; all options of components are kept."""
    kept: dict[str, Any] = {}
    for key, value in settings.items():
        field = model.model_fields.get(key)
        if field is None:
            kept[key] = value
        elif (declared(field.metadata) or EVERYTHING).concerns(uses):
            inside: Any = field.annotation
            is_group = isinstance(inside, type) and issubclass(inside, BaseModel)
            kept[key] = _relevant_fields(inside, value, uses) if is_group else value
    return kept


def _older_than(younger: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings without those in `younger` that have the value at which they change nothing."""
    return {key: value for key, value in settings.items() if key not in younger or value != younger[key]}


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
