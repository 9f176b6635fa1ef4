from pathlib import Path

import pytest

from raycal.config import load_sweep
from raycal.experiment import build
from raycal.sweep.__main__ import parser

ROOT = Path(__file__).parent.parent
SWEEPS = sorted((ROOT / "sweeps").glob("*.yaml"))
NUM_EXPERIMENTS = {
    "cluster_counts": 30,
    "evidence": 72,
    "evidence_frozen": 180,
    "newsgroups": 18,
    "paper_cifar10": 30,
    "paper_eurosat": 30,
    "purity_thresholds": 39,  # `random` counts once per seed, because the threshold cannot affect it.
    "quickstart": 6,
    "related_work": 69,
}


def test_all_sweeps_are_found() -> None:
    assert [path.stem for path in SWEEPS] == sorted(NUM_EXPERIMENTS)


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_sweep_is_valid(path: Path) -> None:
    sweep = load_sweep(str(path), build.REGISTRIES)
    assert len(sweep.experiments) == NUM_EXPERIMENTS[path.stem]
    assert sweep.name == path.stem.replace("_", "-")


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_commands_in_the_header_are_commands(path: Path) -> None:
    prefix = "python -m raycal.sweep "
    commands = [line.partition(prefix)[2] for line in path.read_text().splitlines() if prefix in line]
    assert len(commands) == 3
    for command in commands:
        options = parser().parse_args([word.strip("'") for word in command.split()])
        assert ROOT / options.sweep == path
        load_sweep(str(path), build.REGISTRIES, overrides=options.overrides)


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_header_says_the_cost(path: Path) -> None:
    assert "# Cost: " in path.read_text()


@pytest.mark.parametrize(
    ("name", "iterations", "interactions", "epochs", "rate"),
    [("paper_cifar10", 15, 1000, 5, 1e-3), ("paper_eurosat", 10, 400, 8, 1e-4)],
)
def test_paper_sweeps_have_the_papers_settings(
    name: str, iterations: int, interactions: int, epochs: int, rate: float
) -> None:
    sweep = load_sweep(str(ROOT / f"sweeps/{name}.yaml"), build.REGISTRIES)
    for config in sweep.experiments.values():
        training = config.training
        assert (config.iterations, config.interactions_per_iteration) == (iterations, interactions)
        assert (training.epochs, training.learning_rate) == (epochs, rate)
        assert (training.momentum, training.weight_decay, training.image_size) == (0.9, 5e-4, 224)
        assert config.expert.options["purity_threshold"] == 0.8
        assert config.clustering.options["iterations"] == 40
        assert config.model.weights == "imagenet"
