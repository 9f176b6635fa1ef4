"""The extensions that a sweep file names, such as the network or the clustering, with their options."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from annotated_types import Ge, Gt, Le
from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    PydanticUserError,
    ValidationInfo,
    create_model,
)
from pydantic_core import PydanticCustomError

from raycal.algorithm.scenario import Use
from raycal.config.strict import Count, Strict, did_you_mean
from raycal.errors import one_line, shortened
from raycal.networks import IMAGENET, PRETRAINED, is_of_family
from raycal.registry import EVERYTHING, REQUIRED, Affects, Option, Registry

DEFAULT_NETWORK = "resnet18"

# The side of the square images that a network sees, in pixels.
ImageSize = Annotated[int, Ge(32), Le(1024)]

_T = TypeVar("_T")
# Every setting of an experiment declares which experiments it can change; a test fails for a setting without a
# declaration.
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


def _network(name: str, info: ValidationInfo) -> str:
    registry: Registry[Any] | None = (info.context or {}).get("model")
    if registry is None or name in registry:
        return name
    words = registry.refusal(name) or f"no such network {did_you_mean(name, registry.registered())}"
    raise PydanticCustomError("unknown_name", "{words}", {"words": words})


def published_weights(network: str) -> str:
    """The word for the published weights of a network, such as `pretrained` for `timm/resnet50`."""
    return PRETRAINED if is_of_family(network) else IMAGENET


class NetworkConfig(ComponentConfig):
    """A network with its options, and the source of its weights: `imagenet`, `pretrained`, `none`, or a file.

    By default the network starts from the weights that are published for it. A file holds a state dict.
    """

    name: Always[Annotated[str, AfterValidator(_network)]] = DEFAULT_NETWORK
    weights: Always[Annotated[str, BeforeValidator(lambda value: "none" if value is None else value)]] = IMAGENET


class ModelConfig(NetworkConfig):
    """The network that is trained.

    If `frozen` is true, only the last layer of the network is trained, on embeddings that the initial weights compute.
    If `frozen` is the path of a layer, this layer and all layers before it keep their initial weights.
    """

    frozen: Always[bool | Annotated[str, Field(min_length=1)]] = False

    @property
    def trains_head_alone(self) -> bool:
        """Whether only the last layer is trained."""
        return self.frozen is True

    @property
    def frozen_up_to(self) -> str | None:
        """The last layer that keeps its initial weights. None if the whole network is trained, or only its head."""
        return self.frozen if isinstance(self.frozen, str) else None


class FeaturesConfig(NetworkConfig):
    """A separate network that is never trained. Its embeddings of the pool are clustered, and decide which samples are
    alike.

    If `image_size` is None in a sweep file, the size with which the network was pretrained is used.
    """

    name: Always[Annotated[str, AfterValidator(_network)]]
    image_size: Always[ImageSize | None] = None


def weights_setting(network: NetworkConfig) -> str:
    """The key under which a sweep file gives the weights of a network."""
    return "features.weights" if isinstance(network, FeaturesConfig) else "model.weights"


def component(
    kind: str, default: str | None, model: type[ComponentConfig] = ComponentConfig, *, fills_in: bool = True
) -> BeforeValidator:
    """A validator that accepts a bare name, and checks the name and the options against the registry in the context of
    the validation.

    Args:
        fills_in: Whether options that are not given get their default values. Otherwise options that are given with
            their default values are left out. An entry may name options in its class variable `written_if_set`; these
            are left out if they are None, so that files from before these options existed stay as they are.
    """

    def check(value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, str):
            value = {"name": value}
        if not isinstance(value, Mapping):
            return value
        value = {"name": default, **value} if default else value
        if issubclass(model, NetworkConfig) and isinstance(value.get("name"), str):
            value = {"weights": published_weights(value["name"]), **value}
        registry: Registry[Any] | None = (info.context or {}).get(kind)
        if registry is None or not isinstance(value.get("name"), str):
            return value
        if value["name"] not in registry:
            if issubclass(model, NetworkConfig):
                return value  # the name is checked together with its group, so that the error has its place in the file
            hint = did_you_mean(value["name"], registry)
            raise PydanticCustomError("unknown_name", "no such {kind} {hint}", {"kind": kind, "hint": hint})
        checked = _options_model(registry, value["name"], model).model_validate(value, context=info.context)
        settings = checked.model_dump(exclude_defaults=not fills_in)
        for key in getattr(registry[value["name"]], "written_if_set", ()):
            if settings.get(key) is None:
                settings.pop(key, None)
        return settings

    return BeforeValidator(check)


def by_default(name: str) -> Any:
    """A field with a default component, which is checked like a component in the file, so that its options are filled
    in.
    """
    return Field(default=name, validate_default=True)


def _options_model(registry: Registry[Any], name: str, base: type[ComponentConfig]) -> type[ComponentConfig]:
    return _options_model_of(registry, name, registry[name], base)


@lru_cache
def _options_model_of(
    registry: Registry[Any], name: str, entry: Any, base: type[ComponentConfig]
) -> type[ComponentConfig]:
    """The model of a component with its options.

    The entry is part of the cache key, because another entry registered under the same name may have other options.
    """
    fields: dict[str, Any] = {key: _field(registry, option) for key, option in registry.options(name).items()}
    if reserved := sorted(fields.keys() & base.model_fields.keys()):
        kind = registry.kind
        words = f"the {kind} cannot have an option called '{reserved[0]}', which is a setting of every {kind}"
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
        return Annotated[option.annotation, BeforeValidator(_tuple)] if _is_tuple(
            option
        ) else option.annotation, default
    checked = Annotated[ComponentConfig, component(registry.kind, option.nested.default)]
    return checked, Field(default=default, validate_default=True)


def _is_tuple(option: Option) -> bool:
    annotation = option.annotation
    inner = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
    return get_origin(inner) is tuple


def _tuple(value: Any) -> Any:
    """A tuple from a list, because YAML has no tuples."""
    return tuple(value) if isinstance(value, list) else value
