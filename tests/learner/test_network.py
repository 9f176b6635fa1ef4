import numpy as np
import pytest
import torch
from small_learner import TRAINING, dataset, everything, extractor, same, weights
from torchvision.models import get_model, get_model_weights

from raycal.algorithm.randomness import stream
from raycal.config import TrainingConfig
from raycal.learner.learner import FineTuner, NetworkLearner
from raycal.learner.network import embeddings_of, head_of, new_network
from raycal.networks import networks

SMALL = ("mobilenet_v3_small", "resnet34", "efficientnet_b0")
WIDTHS = {
    "resnet18": 512,
    "resnet34": 512,
    "resnet50": 2048,
    "resnet101": 2048,
    "mobilenet_v2": 1280,
    "mobilenet_v3_small": 1024,
    "mobilenet_v3_large": 1280,
    "efficientnet_b0": 1280,
    "convnext_tiny": 768,
    "convnext_small": 768,
    "swin_t": 768,
    "vit_b_16": 768,
    "vit_b_32": 768,
}


PRETRAINED = [name for name in networks if networks.facts(name).imagenet is not None]


def learner(network: str, training: TrainingConfig = TRAINING) -> NetworkLearner:
    images = dataset(num_train=20, num_test=6)
    made = FineTuner(extractor(images, network=network), training)
    made.reset(stream(0, 0, "head"))
    return made


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize("name", PRETRAINED)
def test_network_is_known_to_torchvision_with_these_multiply_adds(name: str) -> None:
    assert get_model_weights(name).IMAGENET1K_V1.meta["_ops"] == networks.facts(name).gflop


def test_resnet18_is_torchvisions_with_the_same_draws() -> None:
    made = new_network("resnet18", 7, np.random.default_rng(3))
    torch.manual_seed(int(np.random.default_rng(3).integers(2**63)))
    expected = get_model("resnet18", num_classes=7).state_dict()

    assert list(made.state_dict()) == list(expected)
    assert all(torch.equal(made.state_dict()[name], expected[name]) for name in expected if not name.startswith("fc."))
    assert made.state_dict()["fc.weight"].shape == (7, 512)


@pytest.mark.parametrize("name", ["resnet18", *SMALL])
def test_embeddings_are_what_the_last_layer_is_given(name: str) -> None:
    check_embeddings(name, 64)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in PRETRAINED if name not in ("resnet18", *SMALL)])
def test_embeddings_are_what_the_last_layer_of_a_large_network_is_given(name: str) -> None:
    check_embeddings(name, networks.facts(name).image_size or 32)


def check_embeddings(name: str, side: int) -> None:
    network = new_network(name, 5, np.random.default_rng(0)).eval()
    prefix, head = head_of(network)
    images = torch.rand(2, 3, side, side)
    with torch.inference_mode():
        embeddings = embeddings_of(network, head, images)
        torch.testing.assert_close(head(embeddings), network(images))

    assert embeddings.shape == (2, WIDTHS[name])
    assert head.out_features == 5
    assert f"{prefix}weight" in get_model(name).state_dict()


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "efficientnet_b0"])
def test_network_with_dropout_trains_alike_with_the_same_streams_and_leaves_torchs_generator(name: str) -> None:
    after = []
    for seed in (0, 0, 1):
        made = learner(name, TRAINING.model_copy(update={"epochs": 1}))
        torch.manual_seed(len(after))
        state = torch.random.get_rng_state()
        made.fit(everything(made._dataset), stream(seed, 0, "train"))
        assert torch.equal(torch.random.get_rng_state(), state)
        after.append(weights(made))

    assert same(after[0], after[1])
    assert not same(after[0], after[2])


@pytest.mark.parametrize("name", ["mobilenet_v3_small"])
def test_other_network_predicts_and_goes_on_from_what_it_saved(name: str) -> None:
    made = learner(name, TRAINING.model_copy(update={"epochs": 1}))
    made.fit(everything(made._dataset), stream(0, 0, "train"))
    again = learner(name)
    again.load(made.save())
    predictions = made.predict(np.arange(20))

    assert predictions.embeddings.shape == (20, WIDTHS[name])
    assert made.head().weights.shape == (3, WIDTHS[name])
    np.testing.assert_array_equal(again.predict(np.arange(20)).probs, predictions.probs)
    assert again.evaluate() == made.evaluate()
