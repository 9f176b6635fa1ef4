from typing import Any

import pytest

from raycal.config import ExperimentConfig
from raycal.experiment import build
from raycal.monitor.time_left import TimeLeft


def config(scenario: str = "random", iterations: int = 4, **given: Any) -> ExperimentConfig:
    settings = {"dataset": "digits", "scenario": scenario, "iterations": iterations} | given
    return ExperimentConfig.model_validate(settings, context=build.REGISTRIES)


STEPS = {"stop": "steps", "steps": 100}


def equal(scenario: str = "random", iterations: int = 4, **given: Any) -> ExperimentConfig:
    """An experiment whose trainings are all equally long."""
    return config(scenario, iterations, training=STEPS, **given)


class Clocked:
    """A sweep whose clock moves only when `pass_time` is called."""

    def __init__(self, experiments: dict[str, ExperimentConfig], concurrent: int = 1, **given: Any) -> None:
        self.now = 0.0
        self.left = TimeLeft(experiments, concurrent=concurrent, clock=lambda: self.now, **({"done": {}} | given))

    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    def iteration(
        self,
        key: str,
        number: int,
        seconds: float,
        *,
        training: float | None = None,
        labeled: int = 100,
        clusters: int = 0,
        pool: int = 10_000,
    ) -> float | None:
        """Finish an iteration that took `seconds`, and return the seconds left."""
        training = seconds / 2 if training is None else training
        annotated = labeled + clusters
        line: Any = {
            "iteration": number,
            "labeled": labeled,
            "annotated": annotated,
            "unlabeled": pool - annotated,
            "predict_seconds": seconds - training,
            "cluster_seconds": 0.0,
            "train_seconds": training,
            "evaluate_seconds": 0.0,
        }
        self.left.iteration(key, line)
        return self.left.seconds()


def test_all_iterations_of_all_trials_are_counted() -> None:
    assert Clocked({"a": equal(), "b": equal()}).iteration("a", 0, 10.0) == 70.0


def test_trials_are_laid_out_over_the_slots() -> None:
    # `a` has 18 s left and `b` and `c` have 24 s; `d` takes the slot of `a`.
    assert Clocked({key: equal() for key in "abcd"}, concurrent=3).iteration("a", 0, 6.0) == 42.0


def test_the_longest_trial_is_not_divided_among_the_slots() -> None:
    sweep = Clocked({"a": equal(iterations=2), "b": equal(iterations=6)}, concurrent=2)

    assert sweep.iteration("a", 0, 10.0) == 60.0


def test_each_scenario_takes_its_own_seconds() -> None:
    sweep = Clocked({"a": equal("random", 3), "b": equal("cluster-only", 3)})
    assert sweep.iteration("a", 0, 2.0) == 10.0
    assert sweep.iteration("b", 0, 20.0) == 44.0


def test_seconds_of_another_network_are_used_only_as_long_as_there_are_no_others() -> None:
    sweep = Clocked({"a": equal(iterations=1), "b": equal(iterations=2, model={"name": "resnet50"})})
    assert sweep.iteration("a", 0, 3.0) == 6.0
    assert sweep.iteration("b", 0, 40.0) == 40.0


def test_training_counted_in_epochs_is_expected_to_grow_with_the_labels() -> None:
    sweep = Clocked({"a": config(iterations=4)})

    # Later iterations train on 200, 300 and 400 images, which takes 6 s per hundred, and take 2 s for everything else.
    assert sweep.iteration("a", 0, 8.0, training=6.0) == pytest.approx(12 + 18 + 24 + 3 * 2)


def test_no_training_has_more_images_than_the_pool() -> None:
    sweep = Clocked({"a": config(iterations=4)})

    assert sweep.iteration("a", 0, 8.0, training=6.0, pool=250) == pytest.approx(12 + 15 + 15 + 3 * 2)


@pytest.mark.parametrize(("keeps", "expected"), [(False, 6 * 500 / 400), (True, 6 * 800 / 400)])
def test_labels_of_clusters_grow_only_if_they_are_kept(keeps: bool, expected: float) -> None:
    sweep = Clocked({"a": config("uncertain+cluster", 2, keep_cluster_labels=keeps)})

    assert sweep.iteration("a", 0, 8.0, training=6.0, labeled=100, clusters=300) == pytest.approx(expected + 2)


def test_full_supervision_is_expected_to_train_on_the_whole_pool() -> None:
    sweep = Clocked({"a": config(iterations=1), "b": config("supervised")})
    assert sweep.iteration("a", 0, 8.0, training=6.0, pool=1000) == pytest.approx(62.0)

    sweep = Clocked({"a": config("supervised"), "b": config(iterations=1, interactions_per_iteration=100)})
    assert sweep.iteration("a", 0, 62.0, training=60.0, labeled=1000, pool=1000) == pytest.approx(8.0)


def test_same_iteration_of_an_earlier_seed_is_the_best_guess() -> None:
    sweep = Clocked({"a": config(iterations=2), "b": config(iterations=2, seed=1)})
    sweep.iteration("a", 0, 5.0)

    sweep.left.ended("a")
    assert sweep.iteration("a", 1, 25.0) == 30.0


def test_time_between_iterations_is_counted_but_for_the_first_of_a_process() -> None:
    sweep = Clocked({"a": equal(iterations=4)})
    sweep.left.scheduled("a")
    sweep.pass_time(37)
    sweep.left.started("a", 20.0)
    assert sweep.iteration("a", 0, 10.0) == 30.0

    sweep.pass_time(15)
    assert sweep.iteration("a", 1, 10.0) == 2 * (10.0 + 5.0)


def test_time_to_start_later_trials_is_counted() -> None:
    sweep = Clocked({key: equal(iterations=1) for key in "abcd"})
    for key, seconds in (("a", 20.0), ("b", 5.0)):
        sweep.left.scheduled(key)
        sweep.pass_time(10 + seconds)
        sweep.left.started(key, seconds)
        left = sweep.iteration(key, 0, 10.0)

    assert left == 2 * (10.0 + 5.0)


def test_part_of_the_running_iterations_is_over() -> None:
    sweep = Clocked({"a": equal(iterations=2), "b": equal(iterations=2)}, concurrent=2)
    sweep.left.scheduled("a")
    sweep.left.scheduled("b")
    sweep.pass_time(12)
    sweep.left.started("a", 2.0)

    # `b` is about to finish its first iteration as well, although no event of `b` has arrived yet.
    assert sweep.iteration("a", 0, 10.0) == 10.0


def test_time_left_does_not_grow_while_iterations_vary_a_little() -> None:
    sweep = Clocked({"a": equal(iterations=12)})
    lefts = []
    for number, seconds in enumerate([10.0, 11.0, 10.5, 9.5, 11.5, 10.0, 11.0, 10.0, 9.0, 10.5, 11.0]):
        sweep.pass_time(seconds)
        lefts.append(sweep.iteration("a", number, seconds))

    assert lefts[0] == 110.0
    assert lefts == sorted(lefts, reverse=True)
    assert lefts[-1] == pytest.approx(11.0, abs=5)


def test_time_left_grows_when_iterations_take_much_longer() -> None:
    sweep = Clocked({"a": equal(iterations=4), "b": equal(iterations=4)})
    sweep.pass_time(10)
    assert sweep.iteration("a", 0, 10.0) == 70.0
    sweep.pass_time(40)
    assert sweep.iteration("a", 1, 40.0) > 100.0


def test_trials_that_a_search_has_yet_to_choose_are_counted() -> None:
    experiments = {"a": equal(iterations=2)}
    sweep = Clocked(experiments, num_trials=3)
    assert sweep.iteration("a", 0, 10.0) == 3 * 10.0

    experiments["b"] = equal(iterations=2, seed=1)
    sweep.pass_time(10)
    assert sweep.iteration("a", 1, 10.0) == 40.0


def test_iterations_of_an_earlier_start_are_not_left() -> None:
    assert Clocked({"a": equal(iterations=10)}, done={"a": 7}).iteration("a", 7, 10.0) == 20.0
    assert Clocked({"a": equal(), "b": equal()}, done={"b": 3}).iteration("a", 0, 10.0) == 40.0


def test_experiment_that_ended_early_is_waited_for_no_more() -> None:
    sweep = Clocked({"a": equal(iterations=10), "b": equal(iterations=2)})
    sweep.left.ended("a")
    assert sweep.iteration("b", 0, 10.0) == 10.0
    assert sweep.iteration("b", 1, 10.0) is None


def test_experiments_that_are_added_are_counted() -> None:
    experiments = {"a": equal(iterations=2)}
    sweep = Clocked(experiments)
    assert sweep.iteration("a", 0, 10.0) == 10.0
    experiments["b"] = equal(iterations=5)
    assert sweep.iteration("a", 1, 10.0) == 50.0
