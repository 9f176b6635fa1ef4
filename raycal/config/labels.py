"""Names of the experiments of a sweep, made of the settings in which the experiments differ."""

import csv
import io
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from raycal.algorithm.scenario import Scenario
from raycal.config import DEFAULT_LOSS, ExperimentConfig, TrainingConfig
from raycal.config.dataset_names import dataset_labels, dataset_name
from raycal.errors import counted

ABSENT = "-"  # value of an option that the extension does not have
PURITY_THRESHOLD = "expert.purity_threshold"

# The label of a trial, or a pattern for labels: the scenario, settings in brackets, the seed and perhaps the dataset.
_LABEL = re.compile(r"(?P<name>.+?)(?: \((?P<settings>[^()]*)\))? (?P<end>s(?:\d|[*?\[]).*)")

_OPTIMIZERS = {"sgd": "SGD", "adamw": "AdamW"}
_WORDS = {"None": "default", "True": "yes", "False": "no"}


def named_settings(config: ExperimentConfig) -> dict[str, Any]:
    """The settings by dotted key, with the keys that labels, tables and figures use.

    The purity threshold for clusters always has the key `expert.purity_threshold`, even where other experts wrap the
    expert that has it (`expert.of.purity_threshold` in the file). So experiments with and without wrapped experts can
    be compared by this key.
    """
    inner = config.purity_threshold_key
    flat = config.flat()
    return flat if inner is None else {PURITY_THRESHOLD if key == inner else key: flat[key] for key in flat}


def concerns(config: ExperimentConfig, key: str) -> bool:
    """Whether a setting can change the results of the experiment; for example, a purity threshold cannot change the
    results of the scenario `random`.

    Args:
        key: As in `named_settings`.
    """
    if key == "workers":
        return True
    if key == PURITY_THRESHOLD:
        key = config.purity_threshold_key or key
    node = config.relevant()
    for part in key.split("."):
        if part not in node:
            return False
        node = node[part]
    return True


def key_words(key: str) -> str:
    """The label of a dotted key, such as `learning rate` for `training.learning_rate`."""
    return key.removesuffix(".name").rpartition(".")[2].replace("_", " ")


def setting_words(settings: Mapping[str, str]) -> str:
    """The label of some settings, such as `core 0.5, order value`. A value None is written as `default`."""
    return ", ".join(f"{key_words(key)} {_WORDS.get(value, value)}" for key, value in settings.items())


def recipe_words(config: ExperimentConfig) -> str:
    """A description of the training, such as `5 epochs, SGD with learning rate 0.001, batches of 64`."""
    training, loss = config.training, config.training.loss
    optimizer = _OPTIMIZERS.get(training.optimizer.name, training.optimizer.name)
    words = [
        _length_words(training),
        f"{optimizer} with learning rate {training.learning_rate:g}",
        *_schedule_words(training),
        f"batches of {training.batch_size}",
    ]
    flip = ["horizontal_flip"] if training.horizontal_flip else []
    methods = [*flip, *([training.augmentation_words] if training.augmentation else [])]
    words += [f"augmentation {'+'.join(methods)}"] if methods else []
    words += ["the last layer only"] if config.model.trains_head_alone else []
    words += [f"frozen up to {config.model.frozen_up_to}"] if config.model.frozen_up_to else []
    words += [f"loss {loss.name}"] if loss.name != DEFAULT_LOSS else []
    return ", ".join(words)


def _schedule_words(training: TrainingConfig) -> list[str]:
    """How the learning rate changes during a training; empty if it stays the same."""
    warmup = training.warmup
    rises = f"{100 * warmup:.3g}% of the steps" if 0 < warmup < 1 else counted(int(warmup), "step")
    words = [f"warm-up of {rises}"] if warmup else []
    return words + ([f"{training.schedule} schedule"] if training.schedule != "constant" else [])


def _length_words(training: TrainingConfig) -> str:
    if training.stop == "epochs":
        return f"{training.epochs} epoch{'' if training.epochs == 1 else 's'}"
    steps = f"{training.steps:,} optimizer step{'' if training.steps == 1 else 's'}"
    if training.stop == "steps":
        return steps
    value = "loss" if training.monitor == "loss" else "error rate"
    of = f"validation {value} ({training.validation_fraction:.0%} of the samples)"
    loss = of if training.validation_fraction else "training loss"
    passes = f"{training.patience} pass{'' if training.patience == 1 else 'es'}"
    best = ", weights of the best pass" if training.restore_best else ""
    return f"until the {loss} has not fallen by {training.min_delta:.3g} of itself in {passes}, at most {steps}{best}"


def varied_keys(experiments: Sequence[ExperimentConfig]) -> list[str]:
    """The key `scenario`, then the keys of the settings that differ between experiments. Seeds and the settings of the
    scenario itself are left out.

    An option that only some experiments have, because it belongs to an extension, differs if these experiments differ
    in it.
    """
    flats = [named_settings(experiment) for experiment in experiments]
    keys = dict.fromkeys(key for flat in flats for key in flat)
    # An experiment without a separate feature model differs from one that has such a model.
    differing = [
        key
        for key in keys
        if len({str(flat[key]) for flat in flats if key in flat} | {ABSENT for flat in flats if _lacks(flat, key)}) > 1
    ]
    return ["scenario", *(key for key in differing if key != "seed" and not key.startswith("scenario"))]


def _lacks(flat: Mapping[str, Any], key: str) -> bool:
    """Whether an experiment has no separate feature model, and the key is the name of another experiment's feature
    model.
    """
    return key == "features.name" and key not in flat


def scenario_names(experiments: Sequence[ExperimentConfig]) -> list[str]:
    """The name of each experiment's scenario. It includes the steps if a different scenario has the same name."""
    scenarios = [experiment.resolved_scenario for experiment in experiments]
    words: dict[str, set[str]] = {}
    for scenario in scenarios:
        words.setdefault(scenario.name, set()).add(_words(scenario))
    return [
        f"{scenario.name} ({_words(scenario)})" if len(words[scenario.name]) > 1 else scenario.name
        for scenario in scenarios
    ]


def _words(scenario: Scenario) -> str:
    """The steps of a scenario, and its pseudo-labeling method."""
    words = [f"{step.share} {step.ask}" for step in scenario.steps]
    if (by := scenario.pseudo_labels) is not None:
        words += [f"pseudo-labels by {by.name}", *(f"{key} {value}" for key, value in by.options.items())]
    return ", ".join(words)


def experiment_labels(experiments: Sequence[ExperimentConfig]) -> list[str]:
    """The scenario of each experiment, and the settings that distinguish it from others of its dataset, without seeds.

    A label leaves out a setting that does not affect the scenario, and a setting that has its usual value. A value is
    usual if more than half of the groups that the setting affects have it. Experiments that differ by their seed alone
    are one group, so that a value does not become usual because more seeds were run with it.
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
    """For each setting that varies among the experiments it affects, the value that most of them share, or None."""
    keys = without_plain_weights(varied_keys(experiments)[1:], experiments)
    values_of: dict[str, Counter[str]] = {key: Counter() for key in keys}
    for experiment in {seedless_id(experiment): experiment for experiment in experiments}.values():
        flat = named_settings(experiment)
        for key, values in values_of.items():
            if concerns(experiment, key):
                values[str(flat.get(key))] += 1
    return {key: _majority(values) for key, values in values_of.items() if len(values) > 1}


def without_plain_weights(keys: Iterable[str], experiments: Sequence[ExperimentConfig]) -> list[str]:
    """The keys of settings, without the weights of networks if no network has several weights: the name of the network
    says enough then.
    """
    flats = [named_settings(experiment) for experiment in experiments]

    def says_enough(network: str) -> bool:
        pairs = {(str(flat.get(f"{network}.name")), str(flat.get(f"{network}.weights"))) for flat in flats}
        names = [name for name, _ in pairs]
        return 1 < len(names) == len(set(names))

    return [key for key in keys if not (key.endswith(".weights") and says_enough(key.removesuffix(".weights")))]


def _majority(values: Counter[str]) -> str | None:
    (value, count), *_ = values.most_common(1)
    return value if 2 * count > values.total() else None


def _label(name: str, experiment: ExperimentConfig, usual: Mapping[str, str | None]) -> str:
    flat = named_settings(experiment)
    settings = {key: str(flat.get(key, ABSENT)) for key in usual if concerns(experiment, key)}
    ends = Counter(map(key_words, usual))
    words = ", ".join(
        setting_words({key: value}) if ends[key_words(key)] == 1 else f"{key} {value}"
        for key, value in settings.items()
        if value != usual[key]
    )
    return f"{name} ({words})" if words else name


def trial_labels(experiments: Mapping[str, ExperimentConfig], searched: Collection[str] = ()) -> dict[str, str]:
    """A readable label for each experiment, by id: scenario, varied settings and seed, as in `random (epochs 5) s0`.

    A label has every setting that varies and can change the results of its experiment. If the experiments have several
    datasets, it also has the dataset. No two experiments have the same label.

    Args:
        searched: The keys of a search that decides trial by trial, which vary even while there is only one experiment.
    """
    configs = list(experiments.values())
    names = [
        f"{name} s{config.seed}" + (f" {dataset}" if dataset else "")
        for name, dataset, config in zip(*_parts_of_labels(configs, searched), configs, strict=True)
    ]
    count = Counter(names)
    return {
        key: name if count[name] == 1 else f"{name} {key[-8:]}" for key, name in zip(experiments, names, strict=True)
    }


def condition_labels(experiments: Sequence[ExperimentConfig], searched: Collection[str] = ()) -> list[str]:
    """A readable label for each experiment, which is the same for all its seeds, as in `random (epochs 5) digits`.

    A label has every setting that varies and can change the results of its experiment, and the dataset if there are
    several. Experiments have equal labels only if they differ by nothing but their seed.

    Args:
        experiments: All experiments of a sweep.
        searched: As for `trial_labels`.
    """
    labels = [
        f"{name} {dataset}" if dataset else name
        for name, dataset in zip(*_parts_of_labels(experiments, searched), strict=True)
    ]
    ids = [seedless_id(experiment) for experiment in experiments]
    meant: dict[str, set[str]] = {}
    for label, seedless in zip(labels, ids, strict=True):
        meant.setdefault(label, set()).add(seedless)
    return [
        label if len(meant[label]) == 1 else f"{label} {seedless[-8:]}"
        for label, seedless in zip(labels, ids, strict=True)
    ]


def _parts_of_labels(experiments: Sequence[ExperimentConfig], searched: Collection[str]) -> tuple[list[str], list[str]]:
    """Two lists: the scenario of each experiment with its varied settings, and the dataset of each experiment. The
    second list has empty names if there is only one dataset."""
    varied = dict.fromkeys(without_plain_weights(varied_settings(experiments, searched), experiments))
    names = [
        _label(name, experiment, varied)
        for name, experiment in zip(scenario_names(experiments), experiments, strict=True)
    ]
    datasets = dataset_labels(experiments)
    return names, datasets if len(set(datasets)) > 1 else [""] * len(datasets)


def is_long_label(pattern: str, label: str, config: ExperimentConfig) -> bool:
    """Whether a pattern is the label of an experiment, followed by settings that the label leaves out because they do
    not vary.

    The pattern must contain everything that the label says. So `random (purity threshold 0.7, epochs 5) s0` means the
    trial `random (epochs 5) s0` if its purity threshold is 0.7. The name of the dataset may be added at the end.
    """
    pattern_parts, label_parts = _LABEL.fullmatch(pattern), _LABEL.fullmatch(label)
    if pattern_parts is None or label_parts is None:
        return False
    ends = (label_parts["end"], f"{label_parts['end']} {dataset_name(config)}")
    if not fnmatchcase(label_parts["name"], pattern_parts["name"]) or not any(
        fnmatchcase(end, pattern_parts["end"]) for end in ends
    ):
        return False
    flat = {key: str(value) for key, value in named_settings(config).items()}
    known = {words for key, value in flat.items() for words in (setting_words({key: value}), f"{key} {value}")}
    wanted = _settings_of(pattern_parts)
    is_true = all(any(fnmatchcase(words, setting) for words in known) for setting in wanted)
    return is_true and all(
        any(fnmatchcase(words, setting) for setting in wanted) for words in _settings_of(label_parts)
    )


def _settings_of(label: re.Match[str]) -> list[str]:
    return label["settings"].split(", ") if label["settings"] else []


def seedless_id(config: ExperimentConfig) -> str:
    """A text that is equal for experiments that differ only in their seed and in settings that cannot change results.

    For example, in an extended sweep the seeds of `random` may have been planned with different purity thresholds.
    """
    return config.model_copy(update={"seed": 0}).experiment_id


def say_more(labels: Mapping[str, str], experiments: Mapping[str, ExperimentConfig]) -> bool:
    """Whether the label of any experiment contains more than its scenario and its seed, which the id contains, too."""
    return any(labels[key] != f"{config.resolved_scenario.name} s{config.seed}" for key, config in experiments.items())


def trials_csv(
    experiments: Mapping[str, ExperimentConfig], removed: Collection[str] = (), *, searched: Collection[str] = ()
) -> str:
    """A CSV table of the experiments: id, label, scenario, dataset, seed, varied settings, and `in_sweep_file`.

    Args:
        removed: The ids of the experiments that the sweep file no longer asks for.
        searched: As for `trial_labels`.
    """
    configs, gone = list(experiments.values()), set(removed)
    keys, labels = varied_settings(configs, searched), trial_labels(experiments, searched)
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["id", "label", "scenario", "dataset", "seed", *keys, "in_sweep_file"])
    names = zip(experiments.items(), scenario_names(configs), dataset_labels(configs), strict=True)
    for (key, config), scenario, dataset in names:
        values = setting_values(config, keys)
        settings = [str(values[setting]) if setting in values else ABSENT for setting in keys]
        table.writerow([key, labels[key], scenario, dataset, config.seed, *settings, "no" if key in gone else "yes"])
    return text.getvalue()


def setting_values(config: ExperimentConfig, keys: Sequence[str]) -> dict[str, Any]:
    """Return the values of some settings of an experiment, without the settings that cannot change its results.

    Args:
        keys: As in `named_settings`.
    """
    flat = named_settings(config)
    return {key: flat[key] for key in keys if key in flat and concerns(config, key)}


def varied_settings(experiments: Sequence[ExperimentConfig], searched: Collection[str] = ()) -> list[str]:
    """Return the keys that vary or are searched, without scenario, seed and dataset, which labels show in other ways.

    Args:
        searched: As for `trial_labels`.
    """
    keys = dict.fromkeys(varied_keys(experiments)[1:])
    for config in experiments if searched else ():
        keys |= dict.fromkeys(key for key in config.flat() if key.removesuffix(".name") in searched)
    return [key for key in keys if key.partition(".")[0] not in ("dataset", "scenario", "seed")]
