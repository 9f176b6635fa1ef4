"""Learners on vectors: the linear classifier and the multilayer perceptron."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from small_learner import FLOAT32, TRAINING, dataset, everything, extractor, same, vectors, weights

from raycal.algorithm.randomness import stream
from raycal.errors import InputError
from raycal.learner.inputs import DeviceVectors
from raycal.learner.learner import FineTuner, LinearProbe, NetworkLearner

VECTORS = vectors(num_train=90)
STEADY = TRAINING.model_copy(update={"epochs": 20, "learning_rate": 0.1})


def learner(kind: type[NetworkLearner] = FineTuner, network: str = "linear", **options: object) -> NetworkLearner:
    made = kind(extractor(VECTORS, network=network, network_options=options), STEADY)
    made.reset(stream(0, 0, "head"))
    return made


def test_batches_are_the_vectors_themselves() -> None:
    rows, parts = np.array([4, 2, 2, 60]), [slice(0, 3), slice(3, 4)]
    resident = DeviceVectors(VECTORS.vectors, FLOAT32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first, second = resident.batches(rows, parts)

    assert torch.equal(first, torch.tensor(VECTORS.vectors[[4, 2, 2]]))
    assert torch.equal(second, torch.tensor(VECTORS.vectors[[60]]))
    assert resident.example(7).shape == (7, 6)


def test_embeddings_of_the_linear_classifier_are_the_vectors() -> None:
    made = learner()
    before = made.predict(np.array([3, 1]))
    made.fit(everything(VECTORS), stream(0, 0, "train"))
    after = made.predict(np.array([3, 1]))

    assert np.array_equal(before.embeddings, VECTORS.vectors[VECTORS.train_rows[[3, 1]]])
    assert np.array_equal(after.embeddings, before.embeddings)
    assert not np.allclose(after.probs, before.probs)


def test_embeddings_of_the_perceptron_are_its_last_hidden_layer() -> None:
    made = learner(network="mlp", hidden=5, layers=2)
    state = weights(made)
    hidden = torch.tensor(VECTORS.vectors[VECTORS.train_rows[:4]])
    for number in (0, 1):
        hidden = torch.relu(hidden @ state[f"hidden{number}.weight"].T + state[f"hidden{number}.bias"])

    assert made.head().weights.shape == (3, 5)
    assert np.allclose(made.predict(np.arange(4)).embeddings, hidden.numpy(), atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "network", "options"),
    [
        (FineTuner, "linear", {}),
        (LinearProbe, "linear", {}),
        (FineTuner, "mlp", {"hidden": 16}),
        (FineTuner, "mlp", {"hidden": 16, "layers": 2, "dropout": 0.2}),
    ],
)
def test_separable_vectors_are_learned(kind: type[NetworkLearner], network: str, options: dict[str, float]) -> None:
    made = learner(kind, network, **options)
    made.fit(everything(VECTORS), stream(0, 0, "train"))

    assert made.evaluate().accuracy >= 0.9


def test_training_does_not_depend_on_the_number_of_threads() -> None:
    trained = []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            made = learner(network="mlp")
            made.fit(everything(VECTORS), stream(0, 0, "train"))
            assert torch.get_num_threads() == threads
            trained.append(weights(made))
    finally:
        torch.set_num_threads(before)

    assert same(*trained)


def test_saved_model_is_restored() -> None:
    made, other = learner(), learner()
    made.fit(everything(VECTORS), stream(0, 0, "train"))
    other.load(made.save())

    assert same(weights(made), weights(other))
    with pytest.raises(InputError, match="the model is not one that raycal saved"):
        learner(network="mlp").load(made.save())


def test_new_vectors_get_the_probabilities_of_those_in_the_pool() -> None:
    made = learner(network="mlp")
    pool = made.predict(np.arange(10)).probs
    new = replace(VECTORS, vectors=VECTORS.vectors[VECTORS.train_rows[:10]], labels=np.zeros(10, np.int64))

    assert np.array_equal(made.extractor.probs_of(new), pool)
    with pytest.raises(InputError, match="vectors of 6 values are needed, not of 5"):
        made.extractor.probs_of(replace(new, vectors=new.vectors[:, :5]))


def test_network_and_samples_must_be_of_one_kind() -> None:
    with pytest.raises(InputError, match="the network takes vectors, but the dataset has images"):
        extractor(dataset(), network="linear")
    with pytest.raises(InputError, match="the network takes images, but the dataset has vectors"):
        extractor(VECTORS, network="resnet18")
