"""What the weights of samples and the loss do in training."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_learner import FLOAT32, TRAINING, dataset, same, weights
from test_team import flat, without_batch_statistics
from workers import on_workers

from raycal.algorithm.randomness import stream
from raycal.algorithm.records import TrainingSet
from raycal.learner import NetworkLearner, Team
from raycal.losses import losses

ONE_STEP = TRAINING.model_copy(update={"epochs": 1, "batch_size": 20})


def learner(team: Team | None = None, loss: str = "cross_entropy", **settings: Any) -> NetworkLearner:
    images = dataset(num_train=40)
    training, rng = ONE_STEP.model_copy(update=settings), stream(0, 0, "backbone")
    made = NetworkLearner(
        images, training, weights=None, rng=rng, loss=partial(losses[loss]), placement=FLOAT32, team=team
    )
    made.reset(stream(0, 0, "head"))
    return without_batch_statistics(made)


def some(made: NetworkLearner, weights: Any, num_samples: int = 20) -> TrainingSet:
    labels = made._dataset.train_labels[:num_samples].copy()
    given = None if weights is None else np.asarray(weights, np.float32)
    return TrainingSet(indices=np.arange(num_samples), labels=labels, weights=given)


def trained(weights_given: Any, **settings: Any) -> dict[str, torch.Tensor]:
    made = learner(**settings)
    made.fit(some(made, weights_given), stream(0, 0, "train"))
    return weights(made)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def test_only_the_proportions_of_weights_matter() -> None:
    one, third, plain = trained(np.ones(20)), trained(np.full(20, 0.25)), trained(None)

    torch.testing.assert_close(flat(third), flat(plain))
    torch.testing.assert_close(flat(one), flat(plain))


def test_sample_that_weighs_next_to_nothing_is_as_if_it_were_not_there() -> None:
    given = np.ones(20)
    given[10:] = 1e-9
    made = learner()
    made.fit(some(made, None, 10), stream(0, 0, "train"))
    start = flat(weights(learner()))

    with_ten, without = flat(trained(given)), flat(weights(made))
    assert (with_ten - without).norm() < 1e-3 * (without - start).norm()
    assert (flat(trained(None)) - without).norm() > 0.05 * (without - start).norm()


@pytest.mark.parametrize("loss", list(losses))
def test_every_loss_trains_and_each_in_its_way(loss: str) -> None:
    plain, other = trained(None, epochs=2), trained(None, epochs=2, loss=loss)

    assert flat(other).isfinite().all()
    assert same(plain, other) == (loss == "cross_entropy")


def fit_weighted(team: Team, loss: str) -> Any:
    made = learner(team, loss)
    if not team.leads:
        return team.follow(made)
    given = np.linspace(0.1, 1, 20)
    made.fit(some(made, given), stream(0, 0, "train"))
    team.dismiss()
    return flat(weights(made))


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["cross_entropy", "elr"])
def test_workers_train_on_the_weighted_mean_of_each_batch(tmp_path: Path, loss: str) -> None:
    several, _ = on_workers(tmp_path, fit_weighted, loss)
    one = flat(trained(np.linspace(0.1, 1, 20), loss=loss))
    start = flat(weights(learner()))

    assert (several - one).norm() < 1e-3 * (one - start).norm()
