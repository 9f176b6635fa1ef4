"""Settings in words, and which of them say something of a scenario."""

from collections.abc import Mapping

from raycal.config import ExperimentConfig

_WORDS = {"None": "default", "True": "yes", "False": "no"}


def concerns(config: ExperimentConfig, key: str) -> bool:
    """Whether a setting can change the results of the scenario: a purity threshold cannot change those of `random`."""
    if key == "workers":
        return True
    node = config.relevant()
    for part in key.split("."):
        if part not in node:
            return False
        node = node[part]
    return True


def key_words(key: str) -> str:
    """A dotted key as a label."""
    return key.removesuffix(".name").rpartition(".")[2].replace("_", " ")


def setting_words(settings: Mapping[str, str]) -> str:
    """Settings as a label; what is not set is at its default."""
    return ", ".join(f"{key_words(key)} {_WORDS.get(value, value)}" for key, value in settings.items())
