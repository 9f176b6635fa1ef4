from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from raycal.algorithm.randomness import stream
from raycal.algorithm.records import TrainingSet
from raycal.config import ExperimentConfig, WorkerSettings
from raycal.config.loop_settings import loop_settings
from raycal.errors import InputError
from raycal.experiment import build
from raycal.learner.device import DeviceSettings
from raycal.learner.learner import FineTuner
from raycal.sweep import preflight


def config(scenario: str = "cluster-only", **settings: Any) -> ExperimentConfig:
    given = {"dataset": {"name": "digits", "train_size": 300}, "scenario": scenario, "model": {"weights": None}}
    return ExperimentConfig.model_validate({**given, **settings}, context=build.REGISTRIES)


def test_prepare_says_what_every_dataset_holds() -> None:
    pair = {"name": "pair_noise", "partners": [1, 0, 3, 2, 5, 4, 7, 6, 9, 8]}
    experiments = {"a": config(), "b": config(expert=pair), "c": config(dataset={"name": "digits", "train_size": 400})}

    inputs = build.prepare(experiments)

    assert [len(found.manifest.names) for found in inputs.datasets.values()] == [300 + 360, 400 + 360]
    assert {found.manifest.num_listed for found in inputs.datasets.values()} == {1797}
    assert inputs.weights == {}
    expected = build.expected_inputs(inputs, experiments)
    assert expected["a"] == expected["b"]
    assert expected["a"].train != expected["c"].train
    assert expected["a"].test == expected["c"].test


@pytest.mark.parametrize(
    ("train", "test", "words"),
    [
        ({"crow": [1, 2], "jay": [3]}, {"crow": [4], "jay": [5]}, None),
        ({"crow": [1, 1], "jay": [1]}, {"crow": [4], "jay": [4]}, None),
        ({"crow": [1, 2], "jay": [3]}, {"crow": [4], "jay": [3]}, "1 of 2 test images is in the training pool, too"),
        ({"crow": [1], "jay": [3]}, {"crow": [1], "jay": [5, 1]}, "2 of 3 test images are in the training pool, too"),
    ],
)
def test_images_in_both_splits_are_a_warning(
    train: dict[str, list[int]],
    test: dict[str, list[int]],
    words: str | None,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for split, classes in (("train", train), ("test", test)):
        for name, shades in classes.items():
            (tmp_path / split / name).mkdir(parents=True)
            for number, shade in enumerate(shades):
                Image.new("RGB", (8, 8), (shade, 0, 0)).save(tmp_path / split / name / f"{number}.png")
    same = "test/jay/0.png has the same content as train/jay/0.png"
    if test["crow"] == [1]:
        same = "test/crow/0.png has the same content as train/crow/0.png"

    build.prepare({"a": config(dataset={"name": "image_folder", "root": str(tmp_path)})})

    expected = f"warning: {tmp_path}: {words} ({same}), so the test accuracy is too high"
    assert caplog.messages == ([] if words is None else [expected])


def test_shared_images_of_several_splits_are_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("crow", "jay"):
        (tmp_path / name).mkdir()
        for number in range(10):
            Image.new("RGB", (8, 8), (7, 7, 7)).save(tmp_path / name / f"{number}.png")
    folder = {"name": "image_folder", "root": str(tmp_path)}

    build.prepare({str(seed): config(dataset=folder, seed=seed) for seed in range(3)})

    (line,) = caplog.messages
    assert line.startswith(f"warning: {tmp_path}: 4 of 4 test images are in the training pool, too (")
    assert line.endswith(", so the test accuracy is too high (3 of 3 splits have such a case)")


def test_expert_that_answers_from_labels_is_refused_if_there_are_none(tmp_path: Path) -> None:
    for i in range(4):
        Image.new("RGB", (8, 8), (i, 0, 0)).save(tmp_path / f"{i}.png")

    with pytest.raises(InputError, match=r"^dataset images: has no true labels, from which the expert oracle answers"):
        build.prepare({"a": config(dataset={"name": "images", "root": str(tmp_path)})})


def test_expert_that_does_not_fit_the_dataset_is_refused_before_anything_starts() -> None:
    matrix = {"name": "confusion_noise", "matrix": [[0.9, 0.1], [0.2, 0.8]]}

    for expert in (matrix, {"name": "majority", "of": {"name": "few_images", "of": matrix}}):
        with pytest.raises(InputError, match="matrix: should be 10 rows of 10, one for each class, not 2 of 2"):
            build.prepare({"good": config(), "bad": config(expert=expert)})


def test_layer_that_the_network_does_not_have_is_found_before_anything_starts() -> None:
    wrong = config(model={"weights": None, "frozen": "features.13"})

    assert build.wrong_with_frozen(config(model={"weights": None, "frozen": "layer3"})) is None
    assert build.wrong_with_frozen(config(model={"weights": None, "frozen": True})) is None
    with pytest.raises(InputError) as refused:
        preflight.check({"one": wrong, "other": wrong})
    assert [line.partition(";")[0] for line in refused.value.problems] == [
        "experiment.model.frozen: features.13: the network has no such layer"
    ]


def test_layers_up_to_the_one_of_the_configuration_are_frozen() -> None:
    made = config(model={"weights": None, "frozen": "layer3"}, training={"image_size": 32})
    learner = build.learner(made, build.dataset(made).load(), WorkerSettings(threads=1))

    trained = {path for path, weight in learner.extractor.network.named_parameters() if weight.requires_grad}
    assert isinstance(learner, FineTuner)
    assert {path.split(".")[0] for path in trained} == {"layer4", "fc"}


@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        ({"iterations": 20, "training": {"image_size": 32, "epochs": 8, "batch_size": 16}}, 20 * 8 * 300 // 16),
        ({"scenario": "supervised", "training": {"image_size": 32, "epochs": 8, "batch_size": 16}}, 8 * 300 // 16),
        ({"model": {"weights": None, "frozen": True}, "training": {"image_size": 32}}, 0),
    ],
)
def test_network_is_compiled_if_the_steps_to_come_are_worth_it(
    settings: dict[str, Any], steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []
    choose = DeviceSettings.choose

    def note(dtype: str, **given: Any) -> DeviceSettings:
        asked.append(given)
        return choose(dtype, **given)

    monkeypatch.setattr(DeviceSettings, "choose", note)
    made = config(**settings)
    build.learner(made, build.dataset(made).load(), WorkerSettings(threads=1, gpu_share=0.5))

    assert asked == [{"threads": 1, "gpu_share": 0.5, "compiled": None, "steps": steps}]


def test_learner_is_made_with_network_loss_and_weights_of_the_configuration() -> None:
    training = {"image_size": 32, "loss": {"name": "gce", "q": 0.5}, "cluster_weight": "purity", "epochs": 1}
    made = config(model={"name": "mobilenet_v3_small", "weights": None, "frozen": True}, training=training)
    learner = build.learner(made, build.dataset(made).load(), WorkerSettings(threads=1))
    learner.reset(stream(0, 0, "head"))
    before = learner.head()
    learner.fit(TrainingSet(indices=np.arange(8), labels=np.arange(8)), stream(0, 0, "train"))

    assert loop_settings(made).cluster_weight == "purity"
    assert before.weights.shape == (10, 1024)
    assert not np.array_equal(learner.head().weights, before.weights)
    one_sample = learner._new_loss(1)(torch.zeros(1, 10), torch.tensor([0]), torch.tensor([0]))
    assert one_sample.item() == pytest.approx((1 - 0.1**0.5) / 0.5)
