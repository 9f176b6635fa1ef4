"""Tests a frozen backbone: only the head is trained, on embeddings that are computed once."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from counted_scoring import Counting, num_scored
from small_learner import FLOAT32, TRAINING, dataset, everything, weights
from workers import on_workers

from raycal.algorithm.randomness import stream
from raycal.algorithm.records import TrainingSet
from raycal.errors import DivergedError
from raycal.learner.learner import LinearProbe
from raycal.learner.team import Team

HEAD = TRAINING.model_copy(update={"epochs": 30, "learning_rate": 0.1})


def learner(team: Team | None = None, **settings: Any) -> LinearProbe:
    images = dataset(num_train=40, num_test=12)
    training, rng = HEAD.model_copy(update=settings), stream(0, 0, "backbone")
    made = LinearProbe(Counting(images, 32, weights=None, rng=rng, device_settings=FLOAT32), training, team=team)
    made.reset(stream(0, 0, "head"))
    return made


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def test_only_the_head_changes_and_every_image_is_seen_once() -> None:
    made = learner()
    before = weights(made)
    for iteration in range(3):
        made.reset(stream(0, iteration, "head"))
        made.fit(everything(made._dataset), stream(0, iteration, "train"))
        predicted = made.predict(np.arange(40)).probs.argmax(1)
        evaluation = made.evaluate()
    after = weights(made)

    assert [name for name in before if not torch.equal(before[name], after[name])] == ["fc.weight", "fc.bias"]
    assert num_scored(made) == 40 + 12
    assert (predicted == made._dataset.train_labels).mean() > 0.9
    assert evaluation.accuracy > 0.8


def test_training_is_gradient_descent_on_the_embeddings() -> None:
    made = learner(epochs=1, batch_size=40, momentum=0.0, weight_decay=0.0)
    embeddings = torch.from_numpy(made.predict(np.arange(40)).embeddings)
    weight = made.extractor.head.weight.detach().clone().requires_grad_()
    bias = made.extractor.head.bias.detach().clone()
    labels = torch.from_numpy(made._dataset.train_labels)
    torch.nn.functional.cross_entropy(embeddings @ weight.T + bias, labels).backward()
    made.fit(everything(made._dataset), stream(0, 0, "train"))

    assert weight.grad is not None
    torch.testing.assert_close(
        made.extractor.head.weight.detach(), weight.detach() - 0.1 * weight.grad, atol=1e-5, rtol=1e-4
    )


def test_saved_model_goes_on_with_the_embeddings_of_the_backbone() -> None:
    made = learner()
    made.fit(everything(made._dataset), stream(0, 0, "train"))
    other = learner()
    other.load(made.save())

    np.testing.assert_array_equal(other.predict(np.arange(40)).probs, made.predict(np.arange(40)).probs)
    assert other.evaluate() == made.evaluate()
    assert num_scored(made) + num_scored(other) == 40 + 12


def test_divergence_names_the_setting() -> None:
    made = learner(learning_rate=1e30)
    with pytest.raises(DivergedError, match=r"lower training.learning_rate"):
        made.fit(everything(made._dataset), stream(0, 0, "train"))


def test_empty_training_set_changes_nothing() -> None:
    made = learner()
    before = weights(made)
    made.fit(TrainingSet(indices=np.array([], np.int64), labels=np.array([], np.int64)), stream(0, 0, "train"))
    assert all(torch.equal(before[name], value) for name, value in weights(made).items())


def fit_head(team: Team) -> Any:
    made = learner(team)
    if not team.leads:
        team.serve_as_worker(made)
        return made.head(), None
    made.fit(everything(made._dataset), stream(0, 0, "train"))
    evaluation = made.evaluate()
    team.dismiss()
    return made.head(), evaluation


@pytest.mark.slow
def test_first_worker_trains_the_head_of_all(tmp_path: Path) -> None:
    (head, evaluation), (other, _) = on_workers(tmp_path, fit_head)
    one = learner()
    one.fit(everything(one._dataset), stream(0, 0, "train"))

    np.testing.assert_array_equal(head.weights, other.weights)
    np.testing.assert_allclose(head.weights, one.head().weights, atol=1e-4)
    assert evaluation.accuracy == one.evaluate().accuracy
