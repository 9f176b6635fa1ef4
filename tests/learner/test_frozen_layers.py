"""Tests a network whose first layers keep their initial weights."""

from pathlib import Path

import numpy as np
import pytest
import torch
from small_learner import TRAINING, dataset, everything, extractor, weights
from workers import on_workers

from raycal.algorithm.randomness import stream
from raycal.errors import InputError
from raycal.learner.frozen_layers import freeze_up_to
from raycal.learner.learner import FineTuner
from raycal.learner.network import head_of, new_network
from raycal.learner.team import Team


def learner(frozen_up_to: str | None, team: Team | None = None) -> FineTuner:
    images = dataset(num_train=40, num_test=12)
    made = FineTuner(extractor(images, frozen_up_to=frozen_up_to), TRAINING, team=team)
    made.reset(stream(0, 0, "head"))
    return made


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def changed(made: FineTuner) -> set[str]:
    """The outermost layers whose parameters or running statistics a training changes."""
    before = weights(made)
    made.fit(everything(made._dataset), stream(0, 0, "train"))
    after = weights(made)
    return {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}


@pytest.mark.parametrize(
    ("frozen_up_to", "trained"),
    [
        (None, {"conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "fc"}),
        ("bn1", {"layer1", "layer2", "layer3", "layer4", "fc"}),
        ("layer3", {"layer4", "fc"}),
        ("layer4", {"fc"}),
        ("avgpool", {"fc"}),
    ],
)
def test_layers_up_to_the_given_one_keep_weights_and_statistics(frozen_up_to: str | None, trained: set[str]) -> None:
    assert changed(learner(frozen_up_to)) == trained


def test_layer_inside_another_one_freezes_the_first_part_of_it() -> None:
    made = learner("layer4.0.conv1")
    before = weights(made)
    made.fit(everything(made._dataset), stream(0, 0, "train"))

    after = weights(made)
    of_layer4 = {
        name.rsplit(".", 1)[0]
        for name in before
        if name.startswith("layer4.") and not torch.equal(before[name], after[name])
    }
    assert of_layer4 == {
        "layer4.0.bn1",
        "layer4.0.conv2",
        "layer4.0.bn2",
        "layer4.0.downsample.0",
        "layer4.0.downsample.1",
    }


def test_model_learns_and_starts_anew_from_the_same_weights() -> None:
    made = learner("layer3")
    initial = weights(made)
    for _ in range(2):
        made.fit(everything(made._dataset), stream(0, 0, "train"))
        accuracy = made.evaluate().accuracy
        made.reset(stream(0, 0, "head"))

    assert accuracy > 0.8
    assert all(torch.equal(initial[name], value) for name, value in weights(made).items())


def train_together(team: Team) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    made = learner("layer3", team)
    before = weights(made)
    if team.leads:
        made.fit(everything(made._dataset), stream(0, 0, "train"))
        team.dismiss()
    else:
        team.serve_as_worker(made)
    return before, weights(made)


@pytest.mark.slow
def test_two_workers_train_the_layers_that_are_not_frozen(tmp_path: Path) -> None:
    (before, after), (_, other) = on_workers(tmp_path, train_together)

    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"layer4", "fc"}
    assert all(torch.equal(after[name], value) for name, value in other.items())


def test_frozen_layers_stay_in_evaluation_mode_when_the_network_is_put_into_training_mode() -> None:
    made = learner("layer3")
    made.extractor.running.train()

    modes = {name: module.training for name, module in made.extractor.network.named_children()}
    assert modes == {
        "conv1": False, "bn1": False, "relu": False, "maxpool": False, "layer1": False, "layer2": False,
        "layer3": False, "layer4": True, "avgpool": True, "fc": True,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["mobilenet_v2", "vit_b_16", "swin_t", "convnext_tiny", "efficientnet_b0"])
def test_the_middle_of_every_kind_of_network_can_be_the_last_frozen_layer(name: str) -> None:
    with torch.device("meta"):
        network = new_network(name, 3, np.random.default_rng(0))
    layer = {"vit_b_16": "encoder.layers.encoder_layer_5"}.get(name, "features.4")
    freeze_up_to(network, layer)

    trained = [path for path, parameter in network.named_parameters() if parameter.requires_grad]
    frozen = [path for path, parameter in network.named_parameters() if not parameter.requires_grad]
    prefix, _ = head_of(network)
    assert any(path.startswith(f"{layer}.") for path in frozen)
    assert not any(path.startswith(f"{layer}.") for path in trained)
    assert {f"{prefix}weight", f"{prefix}bias"} <= set(trained)
    if name == "vit_b_16":  # what an image passes before its first block is held by modules around the block
        assert {"class_token", "encoder.pos_embedding"} <= set(frozen)


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        ("layr3", "layr3: the network has no such layer (did you mean layer3"),
        (
            "features.13",
            "features.13: the network has no such layer; there are conv1, bn1, layer1, layer1.0, layer2, layer2.0, "
            "layer3, layer3.0, layer4, layer4.0",
        ),
        ("fc", "fc: it contains the last layer or comes after it; true freezes all layers but the last"),
    ],
)
def test_layer_that_cannot_be_the_last_frozen_one_is_refused(layer: str, words: str) -> None:
    network = new_network("narrow/resnet", 3, np.random.default_rng(0))
    with pytest.raises(InputError) as refused:
        freeze_up_to(network, layer)
    assert str(refused.value).startswith(words)
