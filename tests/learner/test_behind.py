"""Tests that the frozen layers of a network run only once for each image."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from small_learner import FLOAT32, TRAINING, dataset, everything, extractor, weights

from raycal.algorithm.randomness import stream
from raycal.learner import activations
from raycal.learner.activations import DeviceActivations
from raycal.learner.augmentations.geometric import Flip
from raycal.learner.device import DeviceSettings
from raycal.learner.feature_extractor import FeatureExtractor
from raycal.learner.learner import FineTuner

IMAGES = dataset(num_train=40, num_test=12)
BFLOAT16 = DeviceSettings(torch.device("cpu"), torch.bfloat16)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def learner(layer: str = "layer3", device_settings: DeviceSettings = FLOAT32, **options: Any) -> FineTuner:
    made = FineTuner(extractor(IMAGES, device_settings, frozen_up_to=layer), TRAINING, **options)
    made.reset(stream(0, 0, "head"))
    return made


def plain(monkeypatch: pytest.MonkeyPatch, device_settings: DeviceSettings = FLOAT32) -> FineTuner:
    """A learner whose frozen layers run for every batch."""
    with monkeypatch.context() as patch:
        patch.setattr(FeatureExtractor, "skip_frozen_layers", lambda extractor: False)
        return learner(device_settings=device_settings)


def count_images(made: FineTuner) -> list[int]:
    """Note the size of each batch that passes through the first layer and is not skipped."""
    sizes: list[int] = []
    first = made.extractor.network.get_submodule("conv1")
    assert isinstance(first, torch.nn.Conv2d)
    compute = first._conv_forward

    def noted(batch: torch.Tensor, *others: Any) -> torch.Tensor:
        sizes.append(len(batch))
        return compute(batch, *others)

    first._conv_forward = noted  # type: ignore[method-assign]
    return sizes


def test_no_image_passes_the_frozen_layers_again() -> None:
    made = learner()
    sizes = count_images(made)
    made.fit(everything(IMAGES), stream(0, 0, "train"))
    made.predict(np.arange(IMAGES.num_train))
    made.evaluate()
    made.reset(stream(1, 0, "head"))
    made.predict(np.arange(IMAGES.num_train))

    assert isinstance(made.extractor.inputs, DeviceActivations)
    assert sizes == []


@pytest.mark.parametrize(("device_settings", "tolerance"), [(FLOAT32, 1e-5), (BFLOAT16, 0.05)])
def test_training_and_predictions_are_those_of_the_whole_network(
    device_settings: DeviceSettings, tolerance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    skipping, whole = learner(device_settings=device_settings), plain(monkeypatch, device_settings)
    assert not isinstance(whole.extractor.inputs, DeviceActivations)
    for made in (skipping, whole):
        made.fit(everything(IMAGES), stream(0, 0, "train"))

    found, expected = (made.predict(np.arange(IMAGES.num_train)) for made in (skipping, whole))
    np.testing.assert_allclose(found.probs, expected.probs, rtol=0, atol=tolerance)
    assert expected.probs.std(axis=0).max() > 10 * tolerance or device_settings is BFLOAT16
    assert skipping.evaluate().accuracy == whole.evaluate().accuracy
    for name, value in weights(whole).items():
        torch.testing.assert_close(weights(skipping)[name], value, rtol=0.05, atol=10 * tolerance)
    other = dataset(num_train=5, num_test=3)
    np.testing.assert_allclose(
        skipping.extractor.probs_of(other), whole.extractor.probs_of(other), rtol=0, atol=tolerance
    )


def test_second_learner_finds_the_activations_on_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    learner()
    with monkeypatch.context() as patch:
        patch.setattr(activations, "_stored", lambda batch: pytest.fail("computed again") if len(batch) > 1 else batch)
        made = learner()
    assert isinstance(made.extractor.inputs, DeviceActivations)


@pytest.mark.parametrize("layer", ["layer4.0.conv1", "layer2.0.bn1"])
def test_layer_inside_a_block_with_a_shortcut_cannot_be_skipped(layer: str) -> None:
    made = learner(layer)
    made.fit(everything(IMAGES), stream(0, 0, "train"))

    assert not isinstance(made.extractor.inputs, DeviceActivations)
    assert made.evaluate().accuracy > 0.8


def test_nothing_is_skipped_if_images_are_augmented_or_activations_are_too_large(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert not isinstance(learner(augmentations=[Flip()]).extractor.inputs, DeviceActivations)
    flipped = FineTuner(extractor(IMAGES, frozen_up_to="layer3"), TRAINING.model_copy(update={"horizontal_flip": True}))
    assert not isinstance(flipped.extractor.inputs, DeviceActivations)
    monkeypatch.setattr(activations, "MAX_BYTES", 1000)
    assert not isinstance(learner().extractor.inputs, DeviceActivations)


def test_full_disk_only_costs_time(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def full(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(activations.np.lib.format, "open_memmap", full)
    made = FineTuner(extractor(replace(IMAGES, labels=IMAGES.labels), frozen_up_to="layer2", seed=5), TRAINING)
    made.reset(stream(0, 0, "head"))

    assert not isinstance(made.extractor.inputs, DeviceActivations)
    assert "cannot keep activations on disk" in caplog.text
    assert made.fit(everything(IMAGES), stream(0, 0, "train")).steps > 0
