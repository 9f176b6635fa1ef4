"""Decides which settings the id of an experiment depends on."""

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any

from pydantic import BaseModel

from raycal.config.training import DEFAULT_LOSS, WRITTEN_IF_SET
from raycal.registry import EVERYTHING, declared

# This number grows when the same configuration gives other results than before, so that old runs are not mistaken for
# new ones.
RECIPE_VERSION = 1
_NO_GROUP = ""  # stands for settings directly under `experiment`
# Settings that were added after the first ids, by group, with the values at which they change nothing.
YOUNGER_THAN_IDS: Mapping[str, Mapping[str, Any]] = {
    _NO_GROUP: {"features": None, "keep_cluster_labels": False, "plugins": {}},
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
        **WRITTEN_IF_SET,
    },
}


def digest_of(settings: Mapping[str, Any]) -> str:
    """The first 8 hexadecimal digits of the digest of the settings."""
    payload = json.dumps(settings, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(payload.encode()).hexdigest()[:8]


def without_younger(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings, without the settings in `YOUNGER_THAN_IDS` that have a value which changes nothing."""
    kept = _older_than(YOUNGER_THAN_IDS[_NO_GROUP], settings)
    for group in YOUNGER_THAN_IDS.keys() & kept.keys():
        kept[group] = _older_than(YOUNGER_THAN_IDS[group], kept[group])
    return kept


def relevant_fields(model: type[BaseModel], settings: Mapping[str, Any], uses: Collection[str]) -> dict[str, Any]:
    """The settings of a model that can change an experiment with these uses; all options of components are kept."""
    kept: dict[str, Any] = {}
    for key, value in settings.items():
        field = model.model_fields.get(key)
        if field is None:
            kept[key] = value
        elif (declared(field.metadata) or EVERYTHING).concerns(uses):
            inside: Any = field.annotation
            is_group = isinstance(inside, type) and issubclass(inside, BaseModel)
            kept[key] = relevant_fields(inside, value, uses) if is_group else value
    return kept


def _older_than(younger: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings, without the settings in `younger` that have a value which changes nothing."""
    return {key: value for key, value in settings.items() if key not in younger or value != younger[key]}
