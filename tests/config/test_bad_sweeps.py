"""Tests that each invalid sweep file is refused quickly, with one line per problem that names the place of the
problem."""

from pathlib import Path
from time import process_time
from typing import Any, NamedTuple

import pytest

from raycal.config import load_sweep
from raycal.errors import InputError
from raycal.experiment import build

MAX_CPU_SECONDS = 2.0
MINIMAL = """\
name: tiny
experiment:
  dataset: digits
  scenario: random
"""


class Bad(NamedTuple):
    """The text of a file, and for each expected problem a part of its line, where `FILE` stands for the path."""

    text: str | bytes
    parts: tuple[str, ...]


def line(text: str, *parts: str) -> Bad:
    """The minimal valid file with an additional line 5."""
    return Bad(f"{MINIMAL}{text}\n", parts)


def experiment(text: str, *parts: str) -> Bad:
    """The minimal valid file with an additional key of the experiment on line 5."""
    return line(f"  {text}", *parts)


def scenario(text: str, *parts: str) -> Bad:
    return Bad(MINIMAL.replace("scenario: random", f"scenario: {text}"), parts)


def dataset(text: str, *parts: str) -> Bad:
    return Bad(MINIMAL.replace("dataset: digits", f"dataset: {text}"), parts)


def name(text: str, *parts: str) -> Bad:
    return Bad(MINIMAL.replace("tiny", text), parts)


NAME_RULE = "should be 1 to 64 characters of a-z 0-9 . _ + - and begin with a letter or digit"

BAD: dict[str, Bad] = {
    # The following files have unknown keys, at each level.
    "key: top": line("grids: {}", "FILE:5: grids: unknown key (did you mean 'grid'?)"),
    "key: experiment": experiment(
        "aquisition: entropy", "FILE:5: experiment.aquisition: unknown key (did you mean 'acqu"
    ),
    "key: training": experiment(
        "training: {epoch: 3}", "FILE:5: experiment.training.epoch: unknown key (did you mean 'ep"
    ),
    "key: model": experiment(
        "model: {weight: none}", "FILE:5: experiment.model.weight: unknown key (did you mean 'weigh"
    ),
    "key: dataset": dataset(
        "{name: digits, tran_size: 4}", "FILE:3: experiment.dataset.tran_size: unknown key (did you"
    ),
    "key: clustering": experiment(
        "clustering: {iteration: 3}", "FILE:5: experiment.clustering.iteration: unknown key (did"
    ),
    "key: expert": experiment(
        "expert: {purity_treshold: 1}", "FILE:5: experiment.expert.purity_treshold: unknown key (did"
    ),
    "key: acquisition": experiment(
        "acquisition: {name: entropy, k: 1}", "FILE:5: experiment.acquisition.k: unknown key"
    ),
    "key: of another acquisition": experiment(
        "acquisition: {name: margin, passes: 3}",
        "FILE:5: experiment.acquisition.passes: unknown key here, an option of bald, dropout_entropy, dropout_v",
    ),
    "value: passes": experiment(
        "acquisition: {name: bald, passes: 0}",
        "FILE:5: experiment.acquisition.passes: should be greater than or equal to 1, not 0",
    ),
    "value: dropout": experiment(
        "acquisition: {name: bald, dropout: 1}", "FILE:5: experiment.acquisition.dropout: should be less than 1, not 1"
    ),
    "value: members": experiment(
        "acquisition: {name: ensemble_vote_entropy, members: 1}",
        "FILE:5: experiment.acquisition.members: should be greater than or equal to 2, not 1",
    ),
    "value: delta": experiment(
        "acquisition: {name: prob_cover, delta: 0}",
        "FILE:5: experiment.acquisition.delta: should be greater than 0, not 0",
    ),
    "key: resources": line(
        "resources: {gpu_per_worker: 1}", "FILE:5: resources.gpu_per_worker: unknown key (did you mean"
    ),
    "key: tracking": line("tracking: {url: x}", "FILE:5: tracking.url: unknown key (did you mean 'uri'?)"),
    "key: grid": line("grid: {sead: [1]}", "FILE:5: grid.sead: unknown key (did you mean 'seed'?)"),
    "key: grid, deep": line(
        "grid: {training.epoch: [1]}", "FILE:5: grid.training.epoch: unknown key (did you mean 'epochs'?)"
    ),
    "key: grid, first word": line("grid: {trainig.epochs: [1]}", "FILE:5: grid.trainig.epochs"),
    "key: grid, experiment.": line("grid: {experiment.seed: [1]}", "FILE:5: grid.experiment.seed"),
    "key: grid, empty": line("grid: {'': [1]}", "FILE:5: grid."),
    "key: grid, two dots": line("grid: {training..epochs: [1]}", "FILE:5: grid.training..epochs"),
    "key: grid, below a number": line("grid: {seed.x: [1]}", "FILE:5: grid.seed.x"),
    "key: grid, several values": line("grid: {sead: [0, 1, 2]}", "unknown key (did you mean 'seed'?)"),
    "key: given by raycal": dataset("{name: digits, seed: 3}", "FILE:3: experiment.dataset.seed: unknown key"),
    "key: line break": experiment('"a\\nb": 3', "FILE:5: experiment.a"),
    "key: terminal colors": experiment('"\\x1b[31m": 3', "FILE:5: experiment."),
    # The following files have values of a wrong type.
    "type: word for a count": experiment(
        "iterations: many", "FILE:5: experiment.iterations: should be a valid integer, not 'many'"
    ),
    "type: fraction for a count": experiment(
        "iterations: 2.5", "FILE:5: experiment.iterations: should be a valid integer, not 2.5"
    ),
    "type: boolean for a count": experiment(
        "iterations: true", "FILE:5: experiment.iterations: should be a valid integer, not True"
    ),
    "type: boolean for a number": experiment(
        "training: {momentum: false}", "experiment.training.momentum: should be a valid number, not False"
    ),
    "type: boolean for an option": experiment(
        "expert: {purity_threshold: true}", "experiment.expert.purity_threshold: should be a valid"
    ),
    "type: word for an option": experiment(
        "expert: {purity_threshold: high}", "experiment.expert.purity_threshold: should be a valid number, not 'high'"
    ),
    "type: number for a boolean": experiment(
        "training: {horizontal_flip: 1}",
        "FILE:5: experiment.training.horizontal_flip: should be a valid boolean, not 1",
    ),
    "type: null for a count": experiment(
        "seed:", "FILE:5: experiment.seed: the value is empty; it should be a valid integer"
    ),
    "type: date for a count": experiment("seed: 2020-01-01", "FILE:5: experiment.seed: should be a valid integer"),
    "type: date that is none": experiment("seed: 2020-13-45", "FILE"),
    "type: bytes for a count": experiment(
        "seed: !!binary aGVsbG8=", "FILE:5: experiment.seed: should be a valid integer"
    ),
    "type: list for a group": experiment("training: [1]", "FILE:5: experiment.training: "),
    "type: word for a group": line("resources: all", "FILE:5: resources: "),
    "type: number for the model": experiment("model: 18", "FILE:5: experiment.model: "),
    "type: number for weights": experiment(
        "model: {weights: 3}", "FILE:5: experiment.model.weights: should be a valid string, not 3"
    ),
    "type: number for a dataset": dataset("3", "FILE:3: experiment.dataset: "),
    "type: null for a dataset": dataset("", "FILE:3: experiment.dataset: "),
    "type: list for a dataset's name": dataset(
        "{name: [a]}", "FILE:3: experiment.dataset.name: should be a valid string, not ['a']"
    ),
    "type: number for a folder": dataset(
        "{name: image_folder, root: 3}", "FILE:3: experiment.dataset.root: should be a valid string, not 3"
    ),
    "type: null for a clustering": experiment("clustering:", "FILE:5: experiment.clustering: "),
    "type: number for a scenario": scenario("3", "FILE:4: experiment.scenario: should be a name or {name, steps}"),
    "type: list for a scenario": scenario("[random]", "FILE:4: experiment.scenario: should be a name or"),
    "type: list for the experiment": Bad("name: x\nexperiment: []\n", ("FILE:2: experiment: ",)),
    "type: null for the experiment": Bad("name: x\nexperiment:\n", ("FILE:2: experiment: ",)),
    "type: null for the grid": line("grid:", "FILE:5: grid: "),
    "type: list for the grid": line("grid: [seed]", "FILE:5: grid: "),
    "type: number for a grid key": line("grid: {seed: 3}", "FILE:5: grid.seed: should be a valid list, not 3"),
    "type: number for a server": line("tracking: {uri: 3}", "FILE:5: tracking.uri: should be a valid string, not 3"),
    "type: word for auto": line(
        "resources: {gpus_per_worker: autos}", "FILE:5: resources.gpus_per_worker: should be a valid number"
    ),
    "type: word for a choice": line(
        "resources: {compile: sometimes}", "FILE:5: resources.compile: should be a valid boolean"
    ),
    # The following files have numbers out of range.
    "range: nan": experiment(
        "training: {learning_rate: .nan}", "experiment.training.learning_rate: should be a finite number, not nan"
    ),
    "range: inf": experiment(
        "training: {learning_rate: .inf}", "experiment.training.learning_rate: should be a finite number, not inf"
    ),
    "range: inf by an exponent": experiment(
        "training: {learning_rate: 1e999}", "experiment.training.learning_rate: should be a finite"
    ),
    "range: nan in an option": experiment(
        "expert: {purity_threshold: .nan}", "experiment.expert.purity_threshold: should be a finite"
    ),
    "range: inf in an option": experiment(
        "expert: {seconds_per_sample: .inf}", "experiment.expert.seconds_per_sample: should be a finite"
    ),
    "range: learning rate": experiment(
        "training: {learning_rate: -1}", "experiment.training.learning_rate: should be greater than 0, not -1"
    ),
    "range: threshold above 1": experiment(
        "expert: {purity_threshold: 80}",
        "experiment.expert.purity_threshold: should be less than or equal to 1, not 80",
    ),
    "range: threshold 0": experiment(
        "expert: {purity_threshold: 0}", "experiment.expert.purity_threshold: should be greater than 0, not 0"
    ),
    "range: no clusters": experiment(
        "clustering: {num_clusters: 0}",
        "FILE:5: experiment.clustering.num_clusters: should be greater than or equal to 1",
    ),
    "range: negative seed": experiment(
        "seed: -1", "FILE:5: experiment.seed: should be greater than or equal to 0, not -1"
    ),
    "range: large seed": experiment("seed: 4294967296", "FILE:5: experiment.seed: should be less than 4294967296"),
    "range: enormous seed": experiment(f"seed: {'9' * 5000}", "FILE"),
    "range: no iterations": experiment(
        "iterations: 0", "FILE:5: experiment.iterations: should be greater than or equal to 1, not 0"
    ),
    "range: no interactions": experiment(
        "interactions_per_iteration: 0", "experiment.interactions_per_iteration: should be greater"
    ),
    "range: training, all at once": experiment(
        "training: {epochs: 0, batch_size: 1, momentum: 1, weight_decay: -1, image_size: 16, dtype: half}",
        "FILE:5: experiment.training.epochs: should be greater than or equal to 1, not 0",
        "FILE:5: experiment.training.batch_size: should be greater than or equal to 2, not 1",
        "FILE:5: experiment.training.momentum: should be less than 1, not 1",
        "FILE:5: experiment.training.weight_decay: should be greater than or equal to 0, not -1",
        "FILE:5: experiment.training.image_size: should be greater than or equal to 32, not 16",
        "FILE:5: experiment.training.dtype: should be 'auto', 'float32' or 'bfloat16', not 'half'",
    ),
    "range: resources, all at once": line(
        "resources: {gpus_per_worker: -1, cpus_per_worker: 0, max_concurrent_trials: 0, workers_per_trial: 0}",
        "FILE:5: resources.workers_per_trial: should be greater than or equal to 1, not 0",
        "FILE:5: resources.gpus_per_worker: should be greater than or equal to 0, not -1",
        "FILE:5: resources.cpus_per_worker: should be greater than or equal to 1, not 0",
        "FILE:5: resources.max_concurrent_trials: should be greater than or equal to 1, not 0",
    ),
    "range: dataset, all at once": dataset(
        "{name: digits, train_size: 0, test_size: x, test_fraction: 1}",
        "FILE:3: experiment.dataset.test_fraction: should be less than 1, not 1",
        "FILE:3: experiment.dataset.train_size: should be greater than or equal to 1, not 0",
        "FILE:3: experiment.dataset.test_size: should be a valid integer, not 'x'",
    ),
    "range: rows of the grid": line(
        "grid: {training.learning_rate: [0.1, -1, 0], seed: [0, 1]}",
        "FILE:5: grid.training.learning_rate.1: should be greater than 0, not -1",
        "FILE:5: grid.training.learning_rate.2: should be greater than 0, not 0",
    ),
    # The following files lack keys.
    "missing: dataset": Bad("name: x\nexperiment:\n  scenario: random\n", ("FILE:2: experiment.dataset: missing",)),
    "missing: scenario": Bad("name: x\nexperiment:\n  dataset: digits\n", ("FILE:2: experiment.scenario: missing",)),
    "missing: name": Bad("experiment: {dataset: digits, scenario: random}\n", ("FILE:1: name: missing",)),
    "missing: experiment": Bad("name: x\n", ("FILE:1: experiment: missing",)),
    "missing: all": Bad("{}", ("FILE:1: name: missing", "FILE:1: experiment: missing")),
    "missing: name of a dataset": dataset("{train_size: 3}", "FILE:3: experiment.dataset.name: missing"),
    "missing: root of a folder": dataset("image_folder", "FILE:3: experiment.dataset.root: missing"),
    "missing: values of the grid": line("grid: {seed: []}", "FILE:5: grid.seed: "),
    # The following files have unknown names.
    "unknown: scenario": scenario(
        "randon", "FILE:4: experiment.scenario: 'randon': no such scenario (did you mean 'random'?)"
    ),
    "unknown: scenario, nothing near": scenario(
        "xyz", "'xyz': no such scenario (known: random, uncertain-only, cluster-only, unc"
    ),
    "unknown: dataset": dataset(
        "digit", "FILE:3: experiment.dataset: 'digit': no such dataset (did you mean 'digits'?)"
    ),
    "unknown: dataset, empty": dataset(
        "''", "FILE:3: experiment.dataset: '': no such dataset (known: cifar10, digits, "
    ),
    "unknown: dataset, with options": dataset(
        "{name: digit, train_size: 3}", "FILE:3: experiment.dataset: 'digit': no such dataset (did"
    ),
    "unknown: dataset of the grid": line(
        "grid: {dataset: [digits, digitz]}", "FILE:5: grid.dataset.1: 'digitz': no such dataset"
    ),
    "unknown: acquisition": experiment(
        "acquisition: entropi", "FILE:5: experiment.acquisition: 'entropi': no such acquisition (did you"
    ),
    "unknown: clustering": experiment(
        "clustering: kmean", "FILE:5: experiment.clustering: 'kmean': no such clustering (did you"
    ),
    "unknown: nested expert": experiment(
        "expert: {name: majority, of: {name: orakel}}",
        "FILE:5: experiment.expert.of: 'orakel': no such expert (did you mean 'oracle'?)",
    ),
    "key: nested expert": experiment(
        "expert: {name: majority, of: {purity_treshold: 1}}",
        "FILE:5: experiment.expert.of.purity_treshold: unknown key (did you mean 'purity_threshold'?)",
    ),
    "key: of another expert": experiment(
        "expert: {name: majority, of: {name: oracle, rate: 0.1}}",
        "FILE:5: experiment.expert.of.rate: unknown key here, an option of pair_noise, symmetric_noise",
    ),
    "range: nested expert": experiment(
        "expert: {name: majority, of: {name: symmetric_noise, rate: 1.5}}",
        "FILE:5: experiment.expert.of.rate: should be less than or equal to 1, not 1.5",
    ),
    "missing: expert": experiment("expert: confusion_noise", "FILE:5: experiment.expert.matrix: missing"),
    "range: matrix": experiment(
        "expert: {name: confusion_noise, matrix: [[2, -1]]}",
        "FILE:5: experiment.expert.matrix.0.0: should be less than or equal to 1, not 2",
        "FILE:5: experiment.expert.matrix.0.1: should be greater than or equal to 0, not -1",
    ),
    "unknown: expert": experiment(
        "expert: orakel", "FILE:5: experiment.expert: 'orakel': no such expert (did you mean 'oracle'?)"
    ),
    "unknown: model": experiment(
        "model: {name: resnet60}",
        "FILE:5: experiment.model.name: 'resnet60': no such network (did you mean 'resnet50'?)",
    ),
    "type: number for a model": experiment(
        "model: {name: 18}", "FILE:5: experiment.model.name: should be a valid string, not 18"
    ),
    "size: of a transformer": experiment(
        "model: {name: vit_b_16}\n  training: {image_size: 64}",
        "FILE:6: experiment.training.image_size: should be 224, not 64, as vit_b_16 accepts no other size",
    ),
    "frozen: mirrored": experiment(
        "model: {frozen: true}\n  training: {horizontal_flip: true}",
        "FILE:6: experiment.training.horizontal_flip: should be false with model.frozen, which looks at every image on",
    ),
    "unknown: optimizer": experiment(
        "training: {optimizer: adam}",
        "FILE:5: experiment.training.optimizer: 'adam': no such optimizer (did you mean 'adamw'?)",
    ),
    "key: of another optimizer": experiment(
        "training: {optimizer: {eps: 1e-6}}",
        "FILE:5: experiment.training.optimizer.eps: unknown key here, an option of adamw",
    ),
    "value: one beta": experiment(
        "training: {optimizer: {name: adamw, betas: [0.9]}}",
        "FILE:5: experiment.training.optimizer.betas.1: missing",
    ),
    "value: three betas": experiment(
        "training: {optimizer: {name: adamw, betas: [0.9, 0.99, 0.999]}}",
        "FILE:5: experiment.training.optimizer.betas: should be a list of at most 2 values, not (0.9, 0.99, 0.999)",
    ),
    "value: beta": experiment(
        "training: {optimizer: {name: adamw, betas: [0.9, 1.0]}}",
        "FILE:5: experiment.training.optimizer.betas.1: should be less than 1, not 1.0",
    ),
    "optimizer: momentum of another": experiment(
        "training: {optimizer: adamw, momentum: 0.8}",
        "FILE:5: experiment.training.momentum: has no effect with training.optimizer: adamw; leave it out, or set "
        "training.optimizer to sgd",
    ),
    "monitor: no hold-out": experiment(
        "training: {stop: converged, steps: 9, monitor: accuracy}",
        "FILE:5: experiment.training.monitor: needs a hold-out: give training.validation_fraction a value above 0",
    ),
    "restore_best: no hold-out": experiment(
        "training: {stop: converged, steps: 9, restore_best: true}",
        "FILE:5: experiment.training.restore_best: needs a hold-out: give training.validation_fraction a value above 0",
    ),
    "restore_best: epochs": experiment(
        "training: {restore_best: true}",
        "FILE:5: experiment.training.restore_best: has no effect with training.stop: epochs; leave it out, or set "
        "training.stop to converged",
    ),
    "unknown: augmentation": experiment(
        "training: {augmentation: [crop, flipp]}",
        "FILE:5: experiment.training.augmentation.1: 'flipp': no such augmentation (did you mean 'flip'?)",
    ),
    "key: of an augmentation": experiment(
        "training: {augmentation: [{name: crop, paddin: 1}]}",
        "FILE:5: experiment.training.augmentation.0.paddin: unknown key (did you mean 'padding'?)",
    ),
    "key: of another augmentation": experiment(
        "training: {augmentation: {name: flip, degrees: 1}}",
        "FILE:5: experiment.training.augmentation.0.degrees: unknown key here, an option of rotation",
    ),
    "value: padding in pixels": experiment(
        "training: {augmentation: [{name: crop, padding: 4}]}",
        "FILE:5: experiment.training.augmentation.0.padding: should be less than or equal to 0.5, not 4",
    ),
    "value: scale": experiment(
        "training: {augmentation: [{name: resized_crop, scale: [0.9, 0.1]}]}",
        "FILE:5: experiment.training.augmentation.0.scale: should be ascending, not (0.9, 0.1)",
    ),
    "type: number for a scale": experiment(
        "training: {augmentation: [{name: resized_crop, scale: 0.5}]}",
        "FILE:5: experiment.training.augmentation.0.scale: should be a list, not 0.5",
    ),
    "augmentation: frozen": experiment(
        "model: {frozen: true}\n  training: {augmentation: [flip]}",
        "FILE:6: experiment.training.augmentation: should be empty with model.frozen, which looks at every image once",
    ),
    "augmentation: mirrored twice": experiment(
        "training: {augmentation: flip+crop, horizontal_flip: true}",
        "FILE:5: experiment.training.horizontal_flip: should be false with the augmentation flip, which mirrors images",
    ),
    "augmentation: listed twice": experiment(
        "training: {augmentation: [crop, flip, crop]}",
        "FILE:5: experiment.training.augmentation: crop should be listed once",
    ),
    "type: number for augmentations": experiment(
        "training: {augmentation: 3}", "FILE:5: experiment.training.augmentation: should be a valid list, not 3"
    ),
    "unknown: schedule": experiment(
        "training: {schedule: linear}",
        "FILE:5: experiment.training.schedule: should be 'constant' or 'cosine', not 'linear'",
    ),
    "warmup: as long as the training": experiment(
        "training: {stop: steps, steps: 50, warmup: 50}",
        "FILE:5: experiment.training.warmup: should be less than training.steps, 50, not 50",
    ),
    **{
        f"value: warmup {value}": experiment(
            f"training: {{warmup: {value}}}",
            "FILE:5: experiment.training.warmup: should be a whole number of steps, or a share of the steps below 1, "
            f"not {shown}",
        )
        for value, shown in {"-1": "-1", "1.5": "1.5", "true": "True", "long": "'long'"}.items()
    },
    "unknown: loss": experiment(
        "training: {loss: gcee}", "FILE:5: experiment.training.loss: 'gcee': no such loss (did you mean 'gce'?)"
    ),
    "key: of another loss": experiment(
        "training: {loss: {q: 0.5}}", "FILE:5: experiment.training.loss.q: unknown key here, an option of gce"
    ),
    "key: loss": experiment(
        "training: {loss: {name: elr, lamda: 1}}",
        "FILE:5: experiment.training.loss.lamda: unknown key (did you mean 'lam'?)",
    ),
    "value: q": experiment(
        "training: {loss: {name: gce, q: 0}}", "FILE:5: experiment.training.loss.q: should be greater than 0, not 0"
    ),
    "value: cluster weight": experiment(
        "training: {cluster_weight: 0}",
        "FILE:5: experiment.training.cluster_weight: should be above 0 and at most 1, purity or posterior, not 0",
    ),
    "unknown: cluster weight": experiment(
        "training: {cluster_weight: pure}",
        "FILE:5: experiment.training.cluster_weight: should be above 0 and at most 1, purity or posterior, not 'pure'",
    ),
    "unknown: ask_with": experiment(
        "ask_with: next", "FILE:5: experiment.ask_with: should be 'previous' or 'initial', not 'next'"
    ),
    # The following files have an invalid name of the sweep.
    "name: up a folder": name("../x", f"FILE:1: name: {NAME_RULE}, not '../x'"),
    "name: hidden": name(".hidden", f"FILE:1: name: {NAME_RULE}, not '.hidden'"),
    "name: slash": name("a/b", f"FILE:1: name: {NAME_RULE}, not 'a/b'"),
    "name: upper case": name("Abc", f"FILE:1: name: {NAME_RULE}, not 'Abc'"),
    "name: blank": name("a b", f"FILE:1: name: {NAME_RULE}, not 'a b'"),
    "name: line break": name('"a\\n"', f"FILE:1: name: {NAME_RULE}, not 'a\\n'"),
    "name: 65 letters": name("a" * 65, f"FILE:1: name: {NAME_RULE}, not 'aaa"),
    "name: empty": name("''", f"FILE:1: name: {NAME_RULE}, not ''"),
    "name: number": name("3", "FILE:1: name: should be a valid string, not 3"),
    # The following files have a scenario that the user defines.
    "own: without a name": scenario("{steps: [{ask: random, share: 1}]}", "FILE:4: experiment.scenario.name: missing"),
    "own: without steps": scenario("{name: x, steps: []}", "FILE:4: experiment.scenario.steps: "),
    "own: name of the paper": scenario(
        "{name: random, steps: [{ask: clusters, share: 1}]}", "'random' is a scenario already"
    ),
    "own: name up a folder": scenario(
        "{name: ../x, steps: [{ask: clusters, share: 1}]}", f"experiment.scenario.name: {NAME_RULE}"
    ),
    "own: unknown key": scenario(
        "{name: x, steps: [{ask: clusters, share: 1}], step: 1}", "experiment.scenario.step: unknown key (did"
    ),
    "own: unknown key of a step": scenario(
        "{name: x, steps: [{ask: clusters, shares: 1}]}",
        "FILE:4: experiment.scenario.steps.0.share: missing",
        "FILE:4: experiment.scenario.steps.0.shares: unknown key (did you mean 'share'?)",
    ),
    "own: unknown ask": scenario(
        "{name: x, steps: [{ask: cluster, share: 1}]}", "steps.0.ask: should be 'uncertain', 'random', 'clusters' or"
    ),
    "own: shares below 1": scenario(
        "{name: x, steps: [{ask: random, share: 0.5}]}",
        "FILE:4: experiment.scenario: the shares of the steps add up to 0.5, not 1",
    ),
    "own: negative share": scenario(
        "{name: x, steps: [{ask: random, share: -1}, {ask: random, share: 2}]}",
        "FILE:4: experiment.scenario.steps.0.share: ",
    ),
    "own: share in words": scenario("{name: x, steps: [{ask: random, share: half}]}", "FILE:4: experiment.scenario"),
    "own: share by zero": scenario("{name: x, steps: [{ask: random, share: 1/0}]}", "FILE:4: experiment.scenario"),
    "own: share without end": scenario(
        "{name: x, steps: [{ask: random, share: '1e400'}]}", "FILE:4: experiment.scenario"
    ),
    "own: share of many digits": scenario(
        "{name: x, steps: [{ask: random, share: '1e-9999999'}]}", "FILE:4: experiment.scenario"
    ),
    "own: share of a boolean": scenario(
        "{name: x, steps: [{ask: random, share: true}]}", "FILE:4: experiment.scenario.steps.0.share"
    ),
    # The following files are invalid YAML.
    "yaml: key twice": experiment("seed: 1\n  seed: 2", "FILE:6: experiment.seed: given twice"),
    "yaml: key twice at the top": line("name: other", "FILE:5: name: given twice"),
    "yaml: keys twice in a grid": line("grid:\n  seed: [1]\n  seed: [2]", "FILE:7: grid.seed: given twice"),
    "yaml: alias": experiment(
        "seed: &a 3\n  iterations: *a", "FILE:6: not valid YAML: aliases (*name) are not accepted"
    ),
    "yaml: aliases that multiply": Bad(
        "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n", ("FILE:2: not valid YAML: aliases (*name) are not accepted",)
    ),
    "yaml: alias of itself": Bad("a: &a [*a]\n", ("aliases (*name) are not accepted",)),
    "yaml: merge key": experiment("<<: {seed: 3}", "FILE:5: not valid YAML"),
    "yaml: tab": Bad("name: x\nexperiment:\n\tdataset: digits\n", ("FILE:3: not valid YAML: found character '\\t'",)),
    "yaml: open bracket": experiment("training: {epochs: 1", "FILE:6: not valid YAML: expected ',' or '}'"),
    "yaml: two colons": Bad("name: a: b\n", ("FILE:1: not valid YAML: mapping values are not allowed here",)),
    "yaml: two documents": line("---\nname: other", "FILE:5: not valid YAML"),
    "yaml: number for a key": experiment("3: x", "FILE:5: a key should be a word"),
    "yaml: null for a key": experiment("~: x", "FILE:5: a key should be a word"),
    "yaml: boolean for a key": experiment("on: x", "FILE:5: a key should be a word"),
    "yaml: list for a key": experiment("? [a]\n  : x", "FILE:5: a key should be a word"),
    "yaml: list at the top": Bad("- name: tiny\n", ("FILE: should hold 'key: value' lines",)),
    "yaml: word at the top": Bad("hello\n", ("FILE: should hold 'key: value' lines",)),
    "yaml: empty": Bad("", ("FILE:1: name: missing", "FILE:1: experiment: missing")),
    "yaml: comment alone": Bad("# nothing yet\n", ("FILE:1: name: missing", "FILE:1: experiment: missing")),
    "yaml: Python object": experiment("seed: !!python/object/apply:os.system ['true']", "FILE:5"),
    "yaml: Python object for a group": experiment("training: !!python/object:builtins.dict {epochs: 1}", "FILE:5"),
    "yaml: Python name": experiment("seed: !!python/name:os.system", "FILE:5: not valid YAML"),
    "yaml: unknown tag": experiment("seed: !seed 3", "FILE:5: not valid YAML"),
    "yaml: not UTF-8": Bad(MINIMAL.encode() + b"x: \xff\n", ("FILE: not a text file in UTF-8",)),
    "yaml: UTF-16": Bad(MINIMAL.encode("utf-16"), ("FILE: not a text file in UTF-8",)),
    "yaml: zero bytes": Bad(b"\0" * 100, ("FILE",)),
    "yaml: control character": experiment('x: "\a"', "FILE"),
    "yaml: more than 1 MiB": line(f"# {'x' * (1 << 20)}", "FILE: larger than 1048576 bytes"),
    "yaml: deep lists": line(f"x: {'[' * 5000}{']' * 5000}", "FILE: nested too deeply"),
    "yaml: deep mappings": Bad("".join(f"{' ' * depth}a:\n" for depth in range(700)), ("FILE: nested too deeply",)),
    "yaml: fairly deep lists": experiment(f"training: {'[' * 300}{']' * 300}", "FILE:5: experiment.training: "),
    # The following files have `exclude` and `include` in the grid.
    "exclude: unknown value": line(
        "grid:\n  scenario: [random, cluster-only]\n  seed: [0, 1]\n  exclude:\n    - {scenario: randon, seed: 1}",
        "FILE:9: grid.exclude.0.scenario: 'randon' is not a value of the grid (did you mean 'random'?)",
    ),
    "exclude: value of no combination": line(
        "grid: {seed: [0, 1], exclude: [{seed: 1}, {seed: 2}]}",
        "FILE:5: grid.exclude.1.seed: 2 is not a value of the grid (known: 0, 1)",
    ),
    "exclude: key that is not in the grid": line(
        "grid: {seed: [0, 1], exclude: [{sead: 1}]}",
        "FILE:5: grid.exclude.0.sead: is not a key of the grid (did you mean 'seed'?)",
    ),
    "exclude: key of the experiment alone": line(
        "grid: {seed: [0, 1], exclude: [{scenario: random}]}",
        "FILE:5: grid.exclude.0.scenario: is not a key of the grid (known: seed)",
    ),
    "exclude: long grid": line(f"grid: {{seed: {list(range(500))}, exclude: [{{seed: x}}]}}", "18, 19, ...)"),
    "exclude: everything": line(
        "grid: {seed: [0, 1], exclude: [{seed: 1}, {seed: 0}]}", "FILE:5: grid.exclude: excludes every combination"
    ),
    "exclude: empty group": line(
        "grid: {seed: [0, 1], exclude: [{}]}",
        "FILE:5: grid.exclude.0: should be a group of 'key: value' with at least one key, not {}",
    ),
    "exclude: empty list": line("grid: {seed: [0], exclude: []}", "FILE:5: grid.exclude: should be a list with at"),
    "exclude: word": line("grid: {seed: [0], exclude: random}", "FILE:5: grid.exclude: should be a valid list"),
    "include: group": line("grid: {include: {seed: 1}}", "FILE:5: grid.include: should be a valid list"),
    "include: words and nothing": line(
        "grid:\n  include:\n    - random\n    -",
        "FILE:7: grid.include.0: should be a group of 'key: value' with at least one key, not 'random'",
        "FILE:8: grid.include.1: should be a group of 'key: value' with at least one key, not None",
    ),
    "include: unknown key": line(
        "grid:\n  seed: [0, 1]\n  include:\n    - seed: 2\n      training.epoch: 1",
        "FILE:9: grid.include.0.training.epoch: unknown key (did you mean 'epochs'?)",
    ),
    "include: bad value": line(
        "grid:\n  include:\n    - seed: 2\n      training: {epochs: 0}",
        "FILE:8: grid.include.0.training.epochs: should be greater than or equal to 1, not 0",
    ),
    "include: lacks a key of the grid": Bad(
        "name: x\nexperiment: {dataset: digits}\ngrid:\n  scenario: [random]\n  include:\n    - seed: 1\n",
        ("FILE:6: grid.include.0.scenario: missing",),
    ),
    # The following files have a grid that is too large.
    "grid: too many": line(
        f"grid:\n  seed: {list(range(101))}\n  iterations: {list(range(1, 101))}",
        "FILE:5: grid: has 10100 combinations; at most 10000 are accepted",
    ),
    "grid: many, all wrong in the same way": line(
        f"grid:\n  seed: {list(range(2000))}\n  training.learning_rate: [-1]",
        "FILE:7: grid.training.learning_rate.0: should be greater than 0, not -1",
    ),
}


def refuse(path: Path, text: str | bytes | None, **options: Any) -> list[str]:
    """The lines of the error that a sweep file causes, in which FILE stands for the path of the file. This also checks
    the rules that hold for every refusal."""
    if text is not None:
        path.write_bytes(text.encode() if isinstance(text, str) else text)
    begin = process_time()
    with pytest.raises(InputError) as refused:
        load_sweep(str(path), build.REGISTRIES, **options)
    cpu_seconds = process_time() - begin
    lines = [problem.replace(str(path), "FILE") for problem in refused.value.problems]
    assert len(set(lines)) == len(lines), lines
    assert all(problem.isprintable() for problem in lines), lines
    assert not any("Traceback" in problem for problem in lines), lines
    assert all(len(problem) < 400 for problem in lines), lines
    assert cpu_seconds < MAX_CPU_SECONDS
    return lines


def test_table_is_long() -> None:
    assert len(BAD) >= 120


@pytest.mark.parametrize("case", BAD)
def test_bad_file_is_refused(tmp_path: Path, case: str) -> None:
    bad = BAD[case]

    lines = refuse(tmp_path / "sweep.yaml", bad.text)

    assert len(lines) == len(bad.parts), lines
    assert all(problem.startswith("FILE") for problem in lines), lines
    missing = [part for part in bad.parts if not any(part in problem for problem in lines)]
    assert not missing, lines


def test_missing_file_is_refused(tmp_path: Path) -> None:
    assert refuse(tmp_path / "nothing.yaml", None) == ["FILE: No such file or directory"]


def test_folder_is_refused(tmp_path: Path) -> None:
    assert refuse(tmp_path, None) == ["FILE: Is a directory"]


def test_file_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert refuse(tmp_path / "file" / "sweep.yaml", None) == ["FILE: Not a directory"]


def test_endless_file_is_refused() -> None:
    assert refuse(Path("/dev/zero"), None) == ["FILE: larger than 1048576 bytes; is this a sweep file?"]


@pytest.mark.parametrize(
    "case",
    [
        "type: number for a dataset",
        "type: null for a clustering",
        "type: number for the model",
        "type: number for a scenario",
        "missing: values of the grid",
        "own: share in words",
        "own: share by zero",
        "own: share of a boolean",
    ],
)
def test_problem_is_said_in_words_of_the_file(tmp_path: Path, case: str) -> None:
    lines = refuse(tmp_path / "sweep.yaml", BAD[case].text)

    inside = ("instance of", "Config", "Fraction", "validation", "{{", ".float", ".str")
    assert [(problem, word) for problem in lines for word in inside if word in problem] == []


@pytest.mark.parametrize("override", ["a\nb", "a\nb=3", "seed=\x1b[31m", "\x1b[31m=3", "seed=[1", "=", "seed=1/0"])
def test_bad_override_is_refused_in_one_line(tmp_path: Path, override: str) -> None:
    (problem,) = refuse(tmp_path / "sweep.yaml", MINIMAL, overrides=[override])

    assert problem.startswith("--set ")


def test_no_tag_of_python_is_carried_out(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    call = f"!!python/object/apply:os.system ['touch {trace}']"

    refuse(tmp_path / "sweep.yaml", MINIMAL.replace("digits", call))

    assert not trace.exists()
