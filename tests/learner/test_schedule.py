"""Tests the learning rate of every optimizer step."""

from math import cos, pi
from typing import Any

import numpy as np
import pytest
import torch
from small_learner import TRAINING, dataset, everything, extractor

from raycal.algorithm.randomness import stream
from raycal.learner.learner import LinearProbe
from raycal.learner.optimizers import sgd
from raycal.learner.schedule import rate_factor, warmup_steps


def factors(total: int, schedule: Any, warmup: float) -> list[float]:
    return [rate_factor(step, total, schedule, warmup) for step in range(total)]


def test_cosine_is_that_of_torch() -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=12)
    expected = []
    for _ in range(12):
        expected.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()

    np.testing.assert_allclose(0.5 * np.array(factors(12, "cosine", 0)), expected, rtol=1e-12)
    assert scheduler.get_last_lr()[0] == pytest.approx(0)


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_rate_rises_to_its_value_in_the_last_step_of_the_warmup(schedule: str) -> None:
    assert factors(10, schedule, 4)[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert factors(10, schedule, 0.4) == factors(10, schedule, 4)


def test_what_follows_the_warmup() -> None:
    assert factors(6, "constant", 3) == [1 / 3, 2 / 3, 1, 1, 1, 1]
    np.testing.assert_allclose(factors(6, "cosine", 2), [0.5, 1, 1, *((1 + cos(pi * k / 4)) / 2 for k in (1, 2, 3))])


def test_training_shorter_than_its_warmup_ends_while_the_rate_rises() -> None:
    assert factors(3, "cosine", 6) == [1 / 6, 2 / 6, 3 / 6]


@pytest.mark.parametrize(("warmup", "steps"), [(0, 0), (1, 1), (7, 7), (0.1, 10), (0.001, 0), (0.999, 100)])
def test_warmup_is_a_number_of_steps_or_a_share_of_them(warmup: float, steps: int) -> None:
    assert warmup_steps(warmup, 100) == steps


@pytest.mark.parametrize(
    ("length", "total"),
    [
        ({"epochs": 4}, 12),  # 40 samples are batches of 16, 16 and 8
        ({"stop": "steps", "steps": 7}, 7),
        ({"stop": "converged", "steps": 9, "patience": 99}, 9),
        # The training has converged after three passes, but follows the rates of a training that takes all of its
        # steps.
        ({"stop": "converged", "steps": 100, "patience": 2, "learning_rate": 1e-12}, 100),
    ],
    ids=["epochs", "steps", "at most", "converged"],
)
@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_optimizer_has_the_rate_of_the_schedule_in_every_step(length: Any, total: int, schedule: Any) -> None:
    rates: list[float] = []

    class Recorder(torch.optim.SGD):
        def step(self, closure: Any = None) -> Any:
            rates.append(self.param_groups[0]["lr"])
            return super().step(closure)

    def optimizer(parameters: Any, settings: Any) -> torch.optim.Optimizer:
        plain = sgd(parameters, settings)
        return Recorder(parameters, **plain.defaults)

    images = dataset(num_train=40)
    training = TRAINING.model_copy(update={"schedule": schedule, "warmup": 0.25, **length})
    made = LinearProbe(extractor(images), training, optimizer=optimizer)
    made.reset(stream(0, 0, "head"))
    fitted = made.fit(everything(images), stream(0, 0, "train"))

    expected = [training.learning_rate * rate_factor(step, total, schedule, 0.25) for step in range(fitted.steps)]
    assert fitted.steps == (9 if total == 100 else total)
    assert rates == expected
    assert len(set(rates)) > 1
