"""Tests the effect of the samples' weights and of the loss on training."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_learner import TRAINING, dataset, extractor, flat, same, weights, without_batch_statistics
from workers import on_workers

from raycal.algorithm.randomness import stream
from raycal.algorithm.records import Fitted, TrainingSet
from raycal.config import TrainingConfig
from raycal.learner.chance import chance_accuracy
from raycal.learner.learner import FineTuner, LinearProbe, NetworkLearner
from raycal.learner.losses import losses
from raycal.learner.team import Team
from raycal.learner.training import Losses, Patience, held_out

ONE_STEP = TRAINING.model_copy(update={"epochs": 1, "batch_size": 20})


def learner(team: Team | None = None, loss: str = "cross_entropy", **settings: Any) -> NetworkLearner:
    images = dataset(num_train=40)
    training = ONE_STEP.model_copy(update=settings)
    made = FineTuner(extractor(images), training, loss=partial(losses[loss]), team=team)
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


@pytest.mark.parametrize("kind", [FineTuner, LinearProbe])
def test_weights_of_the_dataset_multiply_those_of_the_labels(kind: Any) -> None:
    images = dataset(num_train=40)
    of_images = np.random.default_rng(1).uniform(0.1, 2, len(images.labels)).astype(np.float32)
    of_labels = np.linspace(0.5, 1, 20, dtype=np.float32)
    chosen = np.arange(3, 23)
    own = of_images[images.train_rows[chosen]]

    def fitted(in_dataset: Any, given: Any) -> torch.Tensor:
        made = kind(extractor(replace(images, weights=in_dataset)), ONE_STEP)
        made.reset(stream(0, 0, "head"))
        labels = images.train_labels[chosen]
        made.fit(TrainingSet(indices=chosen, labels=labels, weights=given), stream(0, 0, "train"))
        return flat(weights(made))

    assert torch.equal(fitted(of_images, None), fitted(None, own))
    assert torch.equal(fitted(of_images, of_labels), fitted(None, own * of_labels))
    assert not torch.equal(fitted(of_images, None), fitted(None, None))


@pytest.mark.parametrize("loss", list(losses))
def test_every_loss_trains_and_each_in_its_way(loss: str) -> None:
    plain, other = trained(None, epochs=2), trained(None, epochs=2, loss=loss)

    assert flat(other).isfinite().all()
    assert same(plain, other) == (loss == "cross_entropy")


def fitted_and_weights(num_samples: int, **settings: Any) -> tuple[Fitted, dict[str, torch.Tensor]]:
    made = learner(**settings)
    return made.fit(some(made, None, num_samples), stream(0, 0, "train")), weights(made)


def test_steps_of_whole_passes_are_as_so_many_epochs() -> None:
    # The 21 samples make two batches of 10 and 11, because a single remaining sample joins the batch before it.
    by_epochs, there = fitted_and_weights(21, epochs=3, batch_size=10)
    by_steps, here = fitted_and_weights(21, stop="steps", steps=6, batch_size=10)

    assert by_epochs == by_steps
    assert by_epochs.steps == 6
    assert same(there, here)


@pytest.mark.parametrize("num_samples", [2, 5, 20, 40])
@pytest.mark.parametrize("steps", [1, 3, 7])
def test_training_takes_the_steps_that_it_is_given(num_samples: int, steps: int) -> None:
    fitted, after = fitted_and_weights(num_samples, stop="steps", steps=steps, batch_size=8)

    assert fitted.steps == steps
    assert after["bn1.num_batches_tracked"] == 0  # The training used the running statistics.
    assert not same(after, weights(learner()))


def test_last_pass_is_cut_and_each_is_in_a_new_order(monkeypatch: pytest.MonkeyPatch) -> None:
    made = learner(stop="steps", steps=7, batch_size=8)
    seen: list[list[int]] = []
    batches = made.extractor.inputs.batches

    def record(rows: Any, parts: Any, *others: Any) -> Any:
        seen.extend(rows[part].tolist() for part in parts)
        return batches(rows, parts, *others)

    monkeypatch.setattr(made.extractor.inputs, "batches", record)
    made.fit(some(made, None, 20), stream(0, 0, "train"))

    assert [len(batch) for batch in seen] == [8, 8, 4, 8, 8, 4, 8]
    passes = [[*seen[begin], *seen[begin + 1], *seen[begin + 2]] for begin in (0, 3)]
    # The training images have the rows from 12 on, because the test images come first.
    assert [sorted(each) for each in passes] == [list(range(12, 32))] * 2
    assert passes[0] != passes[1]


def test_recorded_losses_are_those_of_the_first_and_the_last_pass() -> None:
    made = learner(epochs=3, batch_size=8, learning_rate=1e-12, momentum=0.0)
    training_set = some(made, np.linspace(0.1, 1, 20))
    logits = torch.from_numpy(made.predict(np.arange(20)).probs).log()
    of_samples = torch.nn.functional.nll_loss(logits, torch.from_numpy(training_set.labels), reduction="none").numpy()
    fitted = made.fit(training_set, stream(0, 0, "train"))
    expected = np.average(of_samples, weights=training_set.weights)

    assert fitted.steps == 9
    assert fitted.first_loss == pytest.approx(expected, rel=1e-4)
    assert fitted.last_loss == pytest.approx(expected, rel=1e-4)


def test_losses_are_compared_over_a_pass_or_over_half_of_the_steps() -> None:
    three, half, one = Losses(), Losses(), Losses()
    for sums in ([4.0, 2.0], [3.0, 1.0], [2.0]):
        mean = three.add(sums, [1.0, 3.0][: len(sums)])
    half.add([9.0, 6.0, 3.0], [3.0, 3.0, 3.0])
    one.add([4.0], [2.0])

    assert mean == 2.0
    assert three.fitted() == Fitted(steps=5, first_loss=6 / 4, last_loss=3 / 4)
    assert half.fitted() == Fitted(steps=3, first_loss=3.0, last_loss=1.0)
    assert one.fitted() == Fitted(steps=1, first_loss=2.0, last_loss=2.0)


@pytest.mark.parametrize(
    ("losses_of_passes", "over"),
    [
        ([1.0, 0.9, 0.8, 0.7], [False] * 4),
        # The loss is compared with the lowest loss so far, not with the loss of the epoch before.
        ([1.0, 1.5, 1.2], [False, False, True]),
        ([1.0, 1.5, 0.5, 0.6, 0.7], [False, False, False, False, True]),
        # A fall of a tenth of a percent is not enough.
        ([1.0, 0.999, 0.998], [False, False, True]),
        # Some loss functions have negative values.
        ([-1.0, -1.5, -1.501, -1.502], [False, False, False, True]),
    ],
)
def test_patience_ends_with_the_second_pass_without_improvement(
    losses_of_passes: list[float], over: list[bool]
) -> None:
    patience = Patience(2, 0.01)

    assert [patience.is_over(loss) for loss in losses_of_passes] == over


@pytest.mark.slow
def test_training_that_cannot_learn_has_converged_after_its_patience() -> None:
    nothing, _ = fitted_and_weights(20, stop="converged", steps=50, patience=2, batch_size=10, learning_rate=1e-12)
    capped, _ = fitted_and_weights(20, stop="converged", steps=5, patience=2, batch_size=10, learning_rate=1e-12)
    learning, _ = fitted_and_weights(20, stop="converged", steps=30, patience=2, batch_size=10, learning_rate=1e-3)

    assert nothing.steps == 3 * 2  # The training took the first epoch, and two epochs without an improvement.
    assert capped.steps == 5
    assert learning.steps > nothing.steps
    assert learning.last_loss is not None
    assert learning.first_loss is not None
    assert learning.last_loss < learning.first_loss


@pytest.mark.parametrize("kind", [FineTuner, LinearProbe])
def test_samples_that_validate_are_not_trained_on(
    kind: type[FineTuner | LinearProbe], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: dict[str, Any] = {"stop": "converged", "steps": 40, "patience": 2, "validation_fraction": 0.25}
    training = ONE_STEP.model_copy(update={**settings, "batch_size": 8, "learning_rate": 1e-12})
    made = kind(extractor(dataset(num_train=40), network="resnet18"), training)
    made.reset(stream(0, 0, "head"))
    trained_on: set[int] = set()
    validated: list[int] = []
    train, score = made._train, made.extractor._score

    def record_training(network: Any, inputs: Any, training_set: TrainingSet, *others: Any) -> Fitted:
        trained_on.update(training_set.indices.tolist())
        return train(network, inputs, training_set, *others)

    def record_scoring(parts: Any, labels: Any) -> tuple[float, float]:
        validated.append(len(labels))
        return score(parts, labels)

    monkeypatch.setattr(made, "_train", record_training)
    monkeypatch.setattr(made.extractor, "_score", record_scoring)
    fitted = made.fit(some(made, None, 20), stream(0, 0, "train"))

    assert len(trained_on) == 15
    assert validated == [5, 5, 5]
    assert fitted.steps == 3 * 2
    assert made.extractor.running.training is (kind is FineTuner)


@pytest.mark.parametrize(("num_samples", "held"), [(2, 0), (3, 1), (4, 1), (20, 5), (400, 100)])
def test_held_out_samples_are_drawn_by_the_seed(num_samples: int, held: int) -> None:
    settings = TrainingConfig(stop="converged", steps=9, validation_fraction=0.25)
    first, again, other = (held_out(num_samples, settings, np.random.default_rng(seed)) for seed in (1, 1, 2))

    assert len(first) == len(set(first.tolist())) == held
    assert first.tolist() == again.tolist() == sorted(first.tolist())
    assert num_samples < 20 or first.tolist() != other.tolist()


def test_nothing_is_drawn_where_nothing_is_held_out() -> None:
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state

    assert len(held_out(20, TrainingConfig(), rng)) == 0
    assert len(held_out(20, TrainingConfig(stop="converged", steps=9), rng)) == 0
    assert rng.bit_generator.state == before


def test_empty_training_set_takes_no_step() -> None:
    made = learner()

    assert made.fit(some(made, None, 0), stream(0, 0, "train")) == Fitted(steps=0)


def fit_until(team: Team, settings: dict[str, Any]) -> Any:
    made = learner(team, **settings)
    if not team.leads:
        team.serve_as_worker(made)
        return weights(made)
    fitted = made.fit(some(made, np.linspace(0.1, 1, 21), 21), stream(0, 0, "train"))
    team.dismiss()
    return fitted, weights(made)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        ({"stop": "steps", "steps": 3}, 3),
        ({"stop": "converged", "steps": 30, "patience": 2, "learning_rate": 1e-12}, 6),
        ({"stop": "converged", "steps": 30, "patience": 2, "learning_rate": 1e-12, "validation_fraction": 0.1}, 6),
    ],
)
def test_workers_stop_together(tmp_path: Path, settings: dict[str, Any], steps: int) -> None:
    settings = settings | {"batch_size": 10}
    (fitted, first), other = on_workers(tmp_path, fit_until, settings)
    alone = learner(**settings)
    expected = alone.fit(some(alone, np.linspace(0.1, 1, 21), 21), stream(0, 0, "train"))

    assert fitted.steps == expected.steps == steps
    assert fitted.first_loss == pytest.approx(expected.first_loss, rel=1e-4)
    assert fitted.last_loss == pytest.approx(expected.last_loss, rel=1e-4)
    assert same(first, other)


@pytest.mark.parametrize(
    ("counts", "num_classes", "right"),
    [
        # X is the number of right guesses: P(X > 18 | 100, 1/10) = 0.0046, and P(X > 17) = 0.0100 is above the level.
        ([10] * 10, 10, 18),
        # The largest class has half of the images: P(X > 62 | 100, 1/2) = 0.0060, and P(X > 61) = 0.0105.
        ([50, 25, 25], 3, 62),
        # The split has only one class, so no model can be better than a guess of that class.
        ([20], 2, 20),
    ],
)
def test_chance_is_what_guessing_seldom_exceeds(counts: list[int], num_classes: int, right: int) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)

    assert chance_accuracy(labels, num_classes) == right / len(labels)


def fit_weighted(team: Team, loss: str) -> Any:
    made = learner(team, loss)
    if not team.leads:
        return team.serve_as_worker(made)
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


CONVERGED = {"stop": "converged", "steps": 40, "batch_size": 8, "validation_fraction": 0.3, "patience": 99}


def with_noise(made: NetworkLearner) -> TrainingSet:
    """Labels of which many are wrong, so that the loss on the hold-out rises again after some passes."""
    rng = np.random.default_rng(5)
    labels = np.where(rng.random(40) < 0.4, rng.integers(3, size=40), made._dataset.train_labels)
    return TrainingSet(indices=np.arange(40), labels=labels)


def trained_probe(**settings: Any) -> tuple[list[float], list[dict[str, torch.Tensor]], NetworkLearner]:
    """The monitored value and the weights of the head after every pass, and the learner after the training."""
    training = TRAINING.model_copy(update={**CONVERGED, "learning_rate": 0.3, **settings})
    made = LinearProbe(extractor(dataset(num_train=40)), training)
    made.reset(stream(0, 0, "head"))
    values: list[float] = []
    heads: list[dict[str, torch.Tensor]] = []
    monitored = made._monitored

    def record(*scored: Any) -> float:
        heads.append({name: value.clone() for name, value in made.extractor.head.state_dict().items()})
        values.append(monitored(*scored))
        return values[-1]

    made._monitored = record  # type: ignore[method-assign]
    made.fit(with_noise(made), stream(0, 0, "train"))
    return values, heads, made


@pytest.mark.parametrize("monitor", ["loss", "accuracy"])
def test_weights_of_the_best_pass_are_restored(monitor: str) -> None:
    values, heads, best = trained_probe(monitor=monitor, restore_best=True)
    plain, of_plain, last = trained_probe(monitor=monitor)
    lowest = int(np.argmin(values))

    assert len(values) == 10  # 28 samples are four batches, the last one of 4 samples
    assert (plain, len(of_plain)) == (values[:9], 9)  # without the restore, nothing is measured after the last pass
    assert 0 <= lowest < 9
    assert same(best.extractor.head.state_dict(), heads[lowest])
    assert same(last.extractor.head.state_dict(), heads[-1])
    assert not same(heads[lowest], heads[-1])


def test_monitored_accuracy_is_the_share_of_wrong_predictions_of_the_hold_out() -> None:
    values, heads, made = trained_probe(monitor="accuracy", restore_best=True)
    held = held_out(40, made._training, stream(0, 0, "train"))
    embeddings = torch.from_numpy(made.predict(held).embeddings)
    logits = embeddings @ heads[3]["weight"].T + heads[3]["bias"]
    wrong = logits.argmax(1).numpy() != with_noise(made).labels[held]

    assert len(held) == 12
    assert values[3] == pytest.approx(wrong.mean())
    assert len(set(values)) > 1


def test_network_has_the_weights_and_statistics_of_the_best_pass() -> None:
    settings = {**CONVERGED, "steps": 12, "learning_rate": 0.05, "restore_best": True}
    made = FineTuner(extractor(dataset(num_train=40)), TRAINING.model_copy(update=settings))
    made.reset(stream(0, 0, "head"))
    values: list[float] = []
    states: list[dict[str, torch.Tensor]] = []
    monitored = made._monitored

    def record(*scored: Any) -> float:
        states.append(weights(made))
        values.append(monitored(*scored) + (9 if len(values) == 2 else 0))  # the last pass is never the best one
        return values[-1]

    made._monitored = record  # type: ignore[method-assign]
    made.fit(with_noise(made), stream(0, 0, "train"))

    assert len(values) == 3
    assert same(weights(made), states[int(np.argmin(values))])
    assert not same(weights(made), states[2])


def fit_and_restore(team: Team) -> Any:
    settings = {**CONVERGED, "steps": 12, "learning_rate": 0.05, "restore_best": True, "monitor": "accuracy"}
    made = FineTuner(extractor(dataset(num_train=40)), TRAINING.model_copy(update=settings), team=team)
    if not team.leads:
        team.serve_as_worker(made)
        return weights(made)
    made.reset(stream(0, 0, "head"))
    made.fit(with_noise(made), stream(0, 0, "train"))
    team.dismiss()
    return weights(made)


@pytest.mark.slow
def test_workers_restore_the_same_weights(tmp_path: Path) -> None:
    first, second = on_workers(tmp_path, fit_and_restore)

    assert same(first, second)
