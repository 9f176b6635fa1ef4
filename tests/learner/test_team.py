from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_learner import TRAINING, dataset, everything, extractor, flat, weights, without_batch_statistics
from torch import nn
from workers import on_workers

from raycal.algorithm.randomness import stream
from raycal.algorithm.records import TrainingSet
from raycal.config import TrainingConfig
from raycal.errors import DivergedError, InfrastructureError
from raycal.learner.learner import FineTuner, NetworkLearner
from raycal.learner.team import Team, shards, together

ONE_EPOCH = TRAINING.model_copy(update={"epochs": 1})


class Telling(Team):
    """One worker of a simulated trial with two workers. It receives the values in `heard`, and records what it
    sends."""

    def __init__(self, rank: int = 0, heard: tuple[Any, ...] = ()) -> None:
        super().__init__(rank, 2, None)
        self.told: list[Any] = []
        self._heard = list(heard)

    def broadcast(self, value: Any) -> Any:
        self.told.append(value)
        return self._heard.pop(0) if self._heard else value


class Adder:
    def __init__(self, team: Team) -> None:
        self.team, self.sum = team, 0

    @together
    def add(self, number: int, *, error: Exception | None = None) -> int:
        if error:
            raise error
        self.sum += number
        return self.sum


def test_parts_are_contiguous_and_the_first_are_the_longer_ones() -> None:
    assert shards(7, 3) == [slice(0, 3), slice(3, 5), slice(5, 7)]
    assert shards(6, 3) == [slice(0, 2), slice(2, 4), slice(4, 6)]
    assert shards(1, 3) == [slice(0, 1), slice(1, 1), slice(1, 1)]


def test_worker_alone_tells_nobody_anything() -> None:
    team = Team.of_process_group()
    rows = np.ones((3, 2), np.float32)
    network = nn.Linear(2, 2)

    assert (team.rank, team.size, team.leads) == (0, 1, True)
    assert team.broadcast("value") == "value"
    assert team.all_reduce(1.5, 2) == [1.5, 2]
    assert (team.all_true(True), team.all_true(False)) == (True, False)
    assert team.shard(7) == slice(0, 7)
    assert team.gather(rows, 3) is rows
    assert team.ddp(network) is network
    assert Adder(team).add(3) == 3
    team.dismiss()


def test_first_worker_tells_a_command_before_it_does_its_part() -> None:
    adder = Adder(team := Telling())

    assert adder.add(3) == 3
    assert adder.add(number=4) == 7
    team.dismiss()
    assert team.told == [("add", (3,), {}), ("add", (), {"number": 4}), None]


def test_other_workers_obey_until_they_are_dismissed() -> None:
    diverged = ("add", (1,), {"error": DivergedError("not finite")})
    team = Telling(1, (("add", (3,), {}), diverged, ("add", (), {"number": 4}), None))
    team.serve_as_worker(adder := Adder(team))

    assert adder.sum == 7
    assert team.told == [None] * 4


def test_error_ends_another_worker() -> None:
    team = Telling(1, (("add", (3,), {"error": KeyError("left out")}), None))
    with pytest.raises(KeyError, match="left out"):
        team.serve_as_worker(Adder(team))


def test_divergence_leaves_the_workers_in_step() -> None:
    adder = Adder(team := Telling())
    with pytest.raises(DivergedError):
        adder.add(3, error=DivergedError("not finite"))

    team.dismiss()
    assert team.told[1:] == [None]


def test_any_other_error_is_that_of_the_infrastructure_and_nobody_is_told_of_it() -> None:
    adder = Adder(team := Telling())
    with pytest.raises(InfrastructureError, match=r"^the 2 workers lost step in add: RuntimeError: connection closed$"):
        adder.add(3, error=RuntimeError("connection closed\nby a worker"))

    team.dismiss()
    assert len(team.told) == 1


def learner(team: Team, training: TrainingConfig = ONE_EPOCH, num_train: int = 41) -> NetworkLearner:
    images = dataset(num_train=num_train, num_test=13)
    return FineTuner(extractor(images), training, team=team)


def some(made: NetworkLearner, num_samples: int) -> TrainingSet:
    indices = np.arange(num_samples)
    return TrainingSet(indices=indices, labels=made._dataset.train_labels[indices])


def fit_both(team: Team, sizes: list[int]) -> Any:
    """The weights after an epoch on several workers and on one, for each number of samples.

    Workers other than worker 0 return only their last weights.
    """
    made = without_batch_statistics(learner(team))
    if not team.leads:
        team.serve_as_worker(made)
        return weights(made)
    one, found = without_batch_statistics(learner(Team.alone())), []
    for size in sizes:
        for each in (made, one):
            each.reset(stream(0, 0, "head"))
            each.fit(some(each, size), stream(0, 0, "train"))
        found.append((weights(made), weights(one)))
    team.dismiss()
    return found


@pytest.mark.slow
@pytest.mark.parametrize("size", [2, pytest.param(3, marks=pytest.mark.long)])
def test_workers_train_on_the_mean_loss_of_each_batch(tmp_path: Path, size: int) -> None:
    # There are trainings with one batch of 1 (one worker has no sample), 2, 5 (unequal parts) and 16 samples, and a
    # training with batches of 16 and 5 samples.
    found, *others = on_workers(tmp_path, fit_both, [1, 2, 5, 16, 21], size=size)
    start = learner(Team.alone())
    start.reset(stream(0, 0, "head"))
    begin = flat(weights(start))

    for several, one in found:
        assert (flat(several) - flat(one)).norm() < 1e-3 * (flat(one) - begin).norm()
    assert all(torch.equal(found[-1][0][name], value) for other in others for name, value in other.items())


def train_and_score(team: Team) -> Any:
    made = learner(team)
    if not team.leads:
        team.serve_as_worker(made)
        return weights(made)
    made.reset(stream(0, 0, "head"))
    made.fit(everything(made._dataset), stream(0, 0, "train"))
    after = weights(made)
    found = [made.predict(np.arange(41)), made.predict(np.array([7])), made.evaluate(), made.save()]
    made.reset(stream(0, 0, "head"))
    found.append(made.predict(np.array([3, 20])))
    team.dismiss()
    return after, found


@pytest.mark.slow
def test_pool_and_test_split_are_scored_as_by_one_worker(tmp_path: Path) -> None:
    (after, found), other = on_workers(tmp_path, train_and_score)
    whole, single, evaluation, saved, initial = found
    one = learner(Team.alone())
    one.load(saved)

    assert all(torch.equal(after[name], value) for name, value in weights(one).items())
    expected = one.predict(np.arange(41))
    np.testing.assert_array_equal(whole.indices, np.arange(41))
    np.testing.assert_allclose(whole.probs, expected.probs, atol=1e-5)
    np.testing.assert_allclose(whole.embeddings, expected.embeddings, atol=1e-4)
    np.testing.assert_allclose(single.probs, expected.probs[[7]], atol=1e-5)
    assert evaluation.accuracy == one.evaluate().accuracy
    assert evaluation.loss == pytest.approx(one.evaluate().loss, rel=1e-5)
    one.reset(stream(0, 0, "head"))
    np.testing.assert_allclose(initial.embeddings, one.predict(np.array([3, 20])).embeddings, atol=1e-4)
    # The other workers were reset with worker 0 at the end, so they have the initial weights and statistics of worker
    # 0.
    assert all(torch.equal(weights(one)[name], value) for name, value in other.items())


def statistics_after_training(team: Team) -> Any:
    made = learner(team)
    if not team.leads:
        team.serve_as_worker(made)
    else:
        made.reset(stream(0, 0, "head"))
        made.fit(some(made, 17), stream(0, 0, "train"))
        team.dismiss()
    return weights(made)


@pytest.mark.slow
def test_all_workers_end_a_training_with_the_same_weights_and_statistics(tmp_path: Path) -> None:
    first, other = on_workers(tmp_path, statistics_after_training)

    assert first["bn1.running_mean"].abs().max() > 0
    assert all(torch.equal(first[name], other[name]) for name in first)


def diverge_and_go_on(team: Team) -> Any:
    made = learner(team, ONE_EPOCH.model_copy(update={"learning_rate": 1e18, "epochs": 2}))
    if not team.leads:
        return team.serve_as_worker(made)
    made.reset(stream(0, 0, "head"))
    messages = []
    for command in (lambda: made.fit(everything(made._dataset), stream(0, 0, "train")), made.evaluate):
        with pytest.raises(DivergedError) as caught:
            command()
        messages.append(str(caught.value))
    with pytest.raises(DivergedError):
        made.predict(np.arange(40))
    made.reset(stream(0, 0, "head"))
    evaluation = made.evaluate()
    team.dismiss()
    return messages, evaluation.loss


@pytest.mark.slow
def test_divergence_is_told_by_the_first_worker_and_the_others_go_on(tmp_path: Path) -> None:
    (messages, loss), other = on_workers(tmp_path, diverge_and_go_on)

    assert "training loss of epoch" in messages[0]
    assert "test loss" in messages[1]
    assert np.isfinite(loss)
    assert other is None


def break_one(team: Team) -> Any:
    made = learner(team)
    if not team.leads:
        made._dataset = None  # type: ignore[assignment]
        return team.serve_as_worker(made)
    return made.evaluate()


@pytest.mark.slow
def test_fault_of_another_worker_ends_both(tmp_path: Path) -> None:
    first, other = on_workers(tmp_path, break_one)

    assert isinstance(first, InfrastructureError)
    assert "lost step in evaluate" in str(first)
    assert isinstance(other, AttributeError)
