"""What experiments of a sweep are called: their settings in words, and which of them tell one from another."""

from collections import Counter
from collections.abc import Mapping, Sequence

from raycal.algorithm.scenario import Scenario
from raycal.config import DEFAULT_LOSS, ExperimentConfig, TrainingConfig

ABSENT = "-"  # of an option that the extension does not have

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


def recipe_words(config: ExperimentConfig) -> str:
    """How the model is trained, such as `5 epochs, SGD 0.001, batches of 64`."""
    training, loss = config.training, config.training.loss
    words = [_length_words(training), f"SGD {training.learning_rate:g}", f"batches of {training.batch_size}"]
    words += ["the last layer only"] if config.model.frozen else []
    words += [f"loss {loss.name}"] if loss.name != DEFAULT_LOSS else []
    return ", ".join(words)


def _length_words(training: TrainingConfig) -> str:
    if training.stop == "epochs":
        return f"{training.epochs} epoch{'' if training.epochs == 1 else 's'}"
    steps = f"{training.steps:,} optimizer step{'' if training.steps == 1 else 's'}"
    if training.stop == "steps":
        return steps
    of = f"validation loss ({training.validation_fraction:.0%} of the annotated)"
    loss = of if training.validation_fraction else "training loss"
    passes = f"{training.patience} pass{'' if training.patience == 1 else 'es'}"
    return f"until the {loss} has not fallen by {training.min_delta:.3g} of itself in {passes}, at most {steps}"


def varied_keys(experiments: Sequence[ExperimentConfig]) -> list[str]:
    """The settings that differ between experiments, seeds and the scenario's inside apart; `scenario` first.

    An option that only some have, as it is that of an extension, differs when it does among those.
    """
    flats = [experiment.flat() for experiment in experiments]
    keys = dict.fromkeys(key for flat in flats for key in flat)
    differing = [key for key in keys if len({str(flat[key]) for flat in flats if key in flat}) > 1]
    return ["scenario", *(key for key in differing if key != "seed" and not key.startswith("scenario"))]


def scenario_names(experiments: Sequence[ExperimentConfig]) -> list[str]:
    """The name of each experiment's scenario, with its steps where another one has the same name."""
    scenarios = [experiment.steps for experiment in experiments]
    words: dict[str, set[str]] = {}
    for scenario in scenarios:
        words.setdefault(scenario.name, set()).add(_words(scenario))
    return [
        f"{scenario.name} ({_words(scenario)})" if len(words[scenario.name]) > 1 else scenario.name
        for scenario in scenarios
    ]


def _words(scenario: Scenario) -> str:
    """The steps of a scenario, and by what it pseudo-labels."""
    words = [f"{step.share} {step.ask}" for step in scenario.steps]
    if (by := scenario.pseudo_labels) is not None:
        words += [f"pseudo-labels by {by.name}", *(f"{key} {value}" for key, value in by.options.items())]
    return ", ".join(words)


def experiment_labels(experiments: Sequence[ExperimentConfig]) -> list[str]:
    """The scenario of each experiment and what tells it from others of its dataset, seeds apart.

    A setting is not said where it does not concern the scenario, or is what more than half of those have that it
    concerns.
    """
    names = scenario_names(experiments)
    by_dataset: dict[str, list[ExperimentConfig]] = {}
    for experiment in experiments:
        by_dataset.setdefault(experiment.dataset.model_dump_json(), []).append(experiment)
    usual = {dataset: _usual(those) for dataset, those in by_dataset.items()}
    return [
        _label(name, experiment, usual[experiment.dataset.model_dump_json()])
        for name, experiment in zip(names, experiments, strict=True)
    ]


def _usual(experiments: Sequence[ExperimentConfig]) -> dict[str, str | None]:
    """Of each setting that has several values among the experiments it concerns, the usual one, None without one."""
    found: dict[str, Counter[str]] = {key: Counter() for key in varied_keys(experiments)[1:]}
    for experiment in experiments:
        flat = experiment.flat()
        for key, values in found.items():
            if concerns(experiment, key):
                values[str(flat.get(key))] += 1
    return {key: _majority(values) for key, values in found.items() if len(values) > 1}


def _majority(values: Counter[str]) -> str | None:
    (value, count), *_ = values.most_common(1)
    return value if 2 * count > values.total() else None


def _label(name: str, experiment: ExperimentConfig, usual: Mapping[str, str | None]) -> str:
    flat = experiment.flat()
    own = {key: str(flat.get(key, ABSENT)) for key in usual if concerns(experiment, key)}
    ends = Counter(map(key_words, usual))
    words = ", ".join(
        setting_words({key: value}) if ends[key_words(key)] == 1 else f"{key} {value}"
        for key, value in own.items()
        if value != usual[key]
    )
    return f"{name} ({words})" if words else name
