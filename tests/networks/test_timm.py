"""Networks of timm have the preprocessing, the size, the features and the weights that timm says they have."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from pydantic import ValidationError
from safetensors.torch import save_file
from torch import nn

from raycal import testing
from raycal.algorithm.records import TrainingSet
from raycal.config import ExperimentConfig, WorkerSettings
from raycal.data import DatasetInfo
from raycal.dry_run.cost import estimate_cost
from raycal.errors import InputError
from raycal.experiment import build
from raycal.experiment.downloads import downloads
from raycal.learner.device import DeviceSettings
from raycal.learner.images import DeviceImages
from raycal.learner.network import embeddings_of, head_of, new_network, seeded_layers
from raycal.learner.weights import load_weights
from raycal.networks import IMAGENET_MEAN, IMAGENET_STD, PretrainedWeights, networks

ONE_THREAD = WorkerSettings(threads=1)
INFO = DatasetInfo(num_train=20, num_test=10, num_classes=10)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def config(model: Any, training: dict[str, Any] | None = None, **settings: Any) -> ExperimentConfig:
    given = {"dataset": {"name": "digits", "train_size": 20, "test_size": 10}, "scenario": "random", "model": model}
    training = {"epochs": 1, "batch_size": 4} | ({"image_size": 64} if training is None else training)
    return ExperimentConfig.model_validate(given | {"training": training} | settings, context=build.REGISTRIES)


def problem(model: Any, training: dict[str, Any] | None = None) -> str:
    with pytest.raises(ValidationError) as caught:
        config(model, training)
    (error,) = caught.value.errors()
    return str(error["msg"])


@pytest.mark.parametrize("name", ["test_vit", "test_resnet", "test_efficientnet_gn.r160_in1k", "test_convnext"])
def test_network_holds_to_its_contract(name: str) -> None:
    testing.check_network(f"timm/{name}")


def test_facts_are_those_of_the_weights() -> None:
    bit, old = networks.facts("timm/resnetv2_50x1_bit.goog_in21k_ft_in1k"), networks.facts("timm/resnet18.tv_in1k")

    assert (bit.mean, bit.std, bit.own_size, bit.interpolation) == ((0.5,) * 3, (0.5,) * 3, 448, "bilinear")
    assert (old.mean[0], old.own_size, old.interpolation, old.head) == (0.485, 224, "bilinear", "fc")
    assert networks.facts("timm/vit_small_patch14_dinov2").own_size == 518
    assert networks.facts("timm/vit_base_patch16_clip_224.openai").mean[0] == pytest.approx(0.48145466)
    assert old.version == f"timm {timm.__version__}"


def test_images_have_the_size_of_the_network_if_the_file_gives_none() -> None:
    assert config("timm/test_vit", {}).training.image_size == 160
    assert config("timm/test_vit", {"image_size": 96}).training.image_size == 96
    assert config("resnet18", {}).training.image_size == 224
    assert config("timm/test_vit", {}).experiment_id == config("timm/test_vit", {"image_size": 160}).experiment_id


def test_weights_are_pretrained_by_default() -> None:
    assert config("timm/test_resnet").model.weights == "pretrained"
    assert config("resnet18").model.weights == "imagenet"
    assert config({"name": "timm/test_resnet", "weights": None}).model.weights == "none"


@pytest.mark.parametrize(
    ("model", "image_size", "words"),
    [
        (
            {"name": "timm/test_vit", "weights": "imagenet"},
            64,
            "should be pretrained, none or a file, not 'imagenet', because those of timm/test_vit are 'pretrained'",
        ),
        (
            {"name": "resnet18", "weights": "pretrained"},
            64,
            "should be imagenet, none or a file, not 'pretrained', because those of resnet18 are 'imagenet'",
        ),
        (
            "timm/botnet26t_256",
            200,
            "should be a size that timm/botnet26t_256 accepts, such as 192 or 224 or 256, not 200",
        ),
        (
            "timm/deit_tiny_distilled_patch16_224",
            224,
            "timm/deit_tiny_distilled_patch16_224 has 2 classifiers (head, head_dist); networks that have one linear "
            "classifier fit, such as timm/resnet50",
        ),
        (
            "timm/mobilenetv5_300m_enc",
            224,
            "timm/mobilenetv5_300m_enc has no linear classifier; networks that have one linear classifier fit, such as "
            "timm/resnet50",
        ),
        ({"name": "timm/test_resnet", "drop_path_rate": 1.5}, 64, "Input should be less than 1"),
    ],
)
def test_what_does_not_fit_is_refused(model: Any, image_size: int, words: str) -> None:
    assert problem(model, {"image_size": image_size}) == words


def test_convolution_that_gives_logits_is_run_as_a_linear_layer() -> None:
    name = "timm/resnetv2_18"
    ours = new_network(name, 4, np.random.default_rng(0)).eval()
    theirs = timm.create_model("resnetv2_18", num_classes=4).eval()
    prefix, head = head_of(ours)
    state = ours.state_dict()
    assert prefix == "head.fc.linear."
    names = {key.replace(".fc.linear.", ".fc."): value for key, value in state.items()}
    theirs.load_state_dict({key: value.view(theirs.state_dict()[key].shape) for key, value in names.items()})
    images = torch.rand(2, 3, 64, 64)

    torch.testing.assert_close(ours(images), theirs(images))
    torch.testing.assert_close(head(embeddings_of(ours, head, images)), theirs(images))


def test_cost_grows_with_the_images_as_torch_counts_it() -> None:
    facts = networks.facts("timm/test_vit")

    assert facts.cost(160) == pytest.approx(0.0376, rel=0.01)
    assert facts.cost(320) > 4.1 * facts.cost(160)  # the attention grows faster than the number of pixels
    small, large = (config("timm/test_vit", {"image_size": size}) for size in (160, 320))
    ratio = estimate_cost(large, INFO).least_gflop / estimate_cost(small, INFO).least_gflop
    assert ratio == pytest.approx(facts.cost(320) / facts.cost(160))


def saved(name: str, folder: Path, dtype: torch.dtype, *, classes: int = 3, **options: Any) -> tuple[Path, nn.Module]:
    """A file with random weights of timm's network, and the network."""
    made = timm.create_model(name, num_classes=classes, **options)
    state = {key: value.to(dtype) if value.is_floating_point() else value for key, value in made.state_dict().items()}
    file = folder / "weights.safetensors"
    save_file(state, file)
    return file, made


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_safetensors_in_any_float_format_are_read(tmp_path: Path, dtype: torch.dtype) -> None:
    file, made = saved("test_resnet", tmp_path, dtype)
    state = load_weights(str(file), "timm/test_resnet")

    assert state is not None
    assert set(made.state_dict()) - set(state) == {"fc.weight", "fc.bias"}
    assert state["conv1.0.weight"].dtype == torch.float32
    torch.testing.assert_close(state["conv1.0.weight"], made.state_dict()["conv1.0.weight"].to(dtype).float())


def test_weights_without_a_classifier_and_of_a_convolution_are_read(tmp_path: Path) -> None:
    file, made = saved("test_resnet", tmp_path, torch.float32, classes=0)
    assert load_weights(str(file), "timm/test_resnet") is not None
    file, made = saved("resnetv2_18", tmp_path, torch.float16)
    state = load_weights(str(file), "timm/resnetv2_18")

    assert made.state_dict()["head.fc.weight"].shape == (3, 512, 1, 1)
    assert state is not None
    assert not [key for key in state if key.startswith("head.fc")]


def test_position_embeddings_are_adapted_to_the_size_of_the_images(tmp_path: Path) -> None:
    file, made = saved("test_vit", tmp_path, torch.float32)
    smaller, same = (load_weights(str(file), "timm/test_vit", None, size) for size in (64, 160))

    assert smaller is not None
    assert same is not None
    assert (smaller["pos_embed"].shape[1], same["pos_embed"].shape[1]) == (1 + 4 * 4, 1 + 10 * 10)
    assert torch.equal(same["pos_embed"], made.state_dict()["pos_embed"])
    assert torch.equal(smaller["blocks.0.attn.qkv.weight"], made.state_dict()["blocks.0.attn.qkv.weight"])


@pytest.mark.parametrize("other", ["test_vit2", "test_resnet"])
def test_weights_of_another_network_are_refused(tmp_path: Path, other: str) -> None:
    file, _ = saved(other, tmp_path, torch.float32)
    with pytest.raises(InputError, match=r"not the weights of the network timm/test_vit: \d+ tensors are missing"):
        load_weights(str(file), "timm/test_vit", None, 64)


def test_damaged_safetensors_are_one_line(tmp_path: Path) -> None:
    file, _ = saved("test_resnet", tmp_path, torch.float32)
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(InputError, match="not a file that safetensors can read") as caught:
        load_weights(str(file), "timm/test_resnet")
    assert len(caught.value.problems) == 1


def test_published_weights_are_found_in_the_cache_without_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, made = saved("test_vit", tmp_path, torch.float32, classes=1000)
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda repo, name, revision: str(file))
    wanted = config("timm/test_vit")
    state = load_weights("pretrained", "timm/test_vit", None, 160)

    assert downloads([wanted], {}) == []
    assert state is not None
    assert torch.equal(state["patch_embed.proj.weight"], made.state_dict()["patch_embed.proj.weight"])


def test_weights_that_cannot_be_downloaded_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda repo, name, revision: None)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    (needed,) = downloads([config("timm/test_vit")], {})

    with pytest.raises(InputError) as caught:
        load_weights("pretrained", "timm/test_vit", None, 64)
    assert str(caught.value) == (
        "model.weights: pretrained: the weights of timm/test_vit did not come from "
        "https://huggingface.co/timm/test_vit.r160_in1k (HF_HUB_OFFLINE is set); without a network, set "
        "model.weights to a file with these weights, or to none"
    )
    assert str(needed) == (
        "model.weights: pretrained of timm/test_vit: is not on this machine and will be downloaded from "
        "huggingface.co; without a network, set model.weights to a file with these weights, or to none"
    )


def test_published_weights_are_a_fact_only_where_there_are_some() -> None:
    assert isinstance(networks.facts("timm/test_vit").pretrained, PretrainedWeights)
    assert networks.facts("timm/convnext_nano").pretrained is not None
    assert networks.facts("timm/resnet14t").pretrained is not None


@pytest.mark.parametrize(("network", "rate"), [("test_vit", "drop_path_rate"), ("test_efficientnet", "drop_rate")])
def test_random_layers_of_timm_draw_from_the_given_stream(network: str, rate: str) -> None:
    def trained_output(seed: int, options: dict[str, float]) -> tuple[torch.Tensor, float]:
        made = new_network(f"timm/{network}", 3, np.random.default_rng(0), options, image_size=64).train()
        rng = np.random.default_rng(seed)
        with seeded_layers(made, rng, torch.device("cpu"), 0), torch.no_grad():
            return made(torch.ones(8, 3, 64, 64)), rng.random()

    first, again, other = (trained_output(seed, {rate: 0.5}) for seed in (1, 1, 2))
    assert torch.equal(first[0], again[0])
    assert not torch.equal(first[0], other[0])
    # Nothing is drawn for a network without random layers.
    assert trained_output(1, {})[1] == np.random.default_rng(1).random() != first[1]


def test_bicubic_images_are_those_of_pillow() -> None:
    images = np.random.default_rng(0).integers(100, 150, (3, 24, 24, 3)).astype(np.uint8)
    settings = DeviceSettings.choose("float32")
    for size in (12, 60):  # pixels of little contrast stay between 0 and 255
        of_network = DeviceImages(images, size, settings, mean=(0, 0, 0), std=(1, 1, 1), interpolation="bicubic")
        (batch,) = of_network.batches(np.arange(3), [slice(0, 3)])
        for image, made in zip(images, batch, strict=True):
            resized = Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC)
            assert np.abs(made.permute(1, 2, 0).numpy() * 255 - np.asarray(resized)).max() < 1.5  # Pillow rounds twice


def test_bicubic_pixels_stay_between_black_and_white() -> None:
    images = np.where(np.arange(24) % 8 < 4, 255, 0).astype(np.uint8)[None, None, :, None].repeat(24, 1).repeat(3, 3)
    of_network = DeviceImages(images, 60, DeviceSettings.choose("float32"), interpolation="bicubic")
    (batch,) = of_network.batches(np.arange(1), [slice(0, 1)])

    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    pixels = batch[0] * std + mean
    assert (pixels.min().item(), pixels.max().item()) == (pytest.approx(0, abs=1e-6), pytest.approx(1, abs=1e-6))


def test_network_sees_images_resized_as_timm_says() -> None:
    wanted = config({"name": "timm/test_vit", "weights": "none"}, {"image_size": 96, "dtype": "float32"})
    images = build.dataset(wanted).load()
    facts = networks.facts("timm/test_vit")
    parts = np.arange(3), [slice(0, 3)]
    (seen,) = build.learner(wanted, images, ONE_THREAD).extractor.inputs.batches(*parts)
    expected = [
        next(
            DeviceImages(
                images.images,
                96,
                DeviceSettings.choose("float32"),
                mean=facts.mean,
                std=facts.std,
                interpolation=interpolation,
            ).batches(*parts)
        )
        for interpolation in ("bicubic", "bilinear")
    ]

    assert torch.equal(seen, expected[0])
    assert not torch.equal(seen, expected[1])


@pytest.mark.parametrize("frozen", [False, True])
def test_network_trains_and_predicts(tmp_path: Path, frozen: bool) -> None:
    file, made = saved("test_vit", tmp_path, torch.float16)
    model = {"name": "timm/test_vit", "weights": str(file), "frozen": frozen}
    wanted = config(model, {"image_size": 64, "epochs": 2, "learning_rate": 0.01})
    images = build.dataset(wanted).load()
    learner = build.learner(wanted, images, ONE_THREAD)
    learner.reset(np.random.default_rng(0))
    before = {name: value.copy() for name, value in learner.arrays().items()}
    predictions = learner.predict(np.arange(6))
    learner.fit(TrainingSet(indices=np.arange(20), labels=images.train_labels), np.random.default_rng(1))
    after = learner.arrays()

    assert predictions.embeddings.shape == (6, made.num_features)
    assert not np.array_equal(before["head.weight"], after["head.weight"])
    moved = not np.array_equal(before["blocks.0.attn.qkv.weight"], after["blocks.0.attn.qkv.weight"])
    assert moved is not frozen


def test_cached_embeddings_distinguish_networks_with_equal_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    from raycal.learner import feature_extractor as module

    keys = []
    monkeypatch.setattr(module, "cached_embeddings", lambda key, compute: keys.append(key) or compute())
    for name in ("timm/test_vit", "timm/test_vit.r160_in1k", "resnet18"):
        wanted = config({"name": name, "weights": "none"}, {"image_size": 32})
        images = build.dataset(wanted).load()
        build.learner(wanted, images, ONE_THREAD).predict(np.arange(3))

    assert [key.get("network") for key in keys] == [
        f'timm/test_vit timm {timm.__version__} {{"drop_path_rate": null, "drop_rate": null}}',
        f'timm/test_vit.r160_in1k timm {timm.__version__} {{"drop_path_rate": null, "drop_rate": null}}',
        None,
    ]
