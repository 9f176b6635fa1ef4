"""Tests the warnings of the report about doubtful comparisons."""

from dataclasses import replace
from typing import Any

import pytest
from small_runs import line, runs, supervised, threshold, trial

from raycal.report.caveats import caveats, recipes
from raycal.report.stats.guessing import BETTER_TEST, LEARN_MORE, LONGER

LEARNED = {"chance_accuracy": 0.15, "first_train_loss": 2.3, "train_loss": 0.1}


def after(scenario: str, steps: int | None, accuracy: float = 0.5, *, seed: int = 0, **others: Any) -> Any:
    """A trial whose last iteration has this training."""
    return trial(scenario, seed, lines=[line(0, accuracy, **LEARNED, optimizer_steps=steps)], **others)


def test_nothing_is_said_of_trainings_that_taught_something() -> None:
    trials = (after("random", 100), after("cluster-only", 150, 0.7), supervised(0, 0.9))

    assert caveats(runs(*trials)) == []


def test_lines_of_earlier_versions_say_nothing() -> None:
    assert caveats(runs(trial("random", 0, [0.01, 0.02]), trial("cluster-only", 0, [0.5]), supervised(0, 0.9))) == []


def test_iterations_at_chance_are_counted_over_the_seeds_of_a_group() -> None:
    lines = [line(at, accuracy, **LEARNED, optimizer_steps=9) for at, accuracy in enumerate([0.1, 0.15, 0.16])]
    found = caveats(runs(trial("random", 0, lines=lines), trial("random", 1, lines=lines[:2])))

    assert found == [
        "the test accuracy is no better than guessing, which reaches up to 0.150 here, in 4 of 5 iterations of "
        f"random; {LEARN_MORE}"
    ]


@pytest.mark.parametrize(
    ("even", "advice"),
    [
        (None, LEARN_MORE),
        (0.11, LEARN_MORE),
        (
            0.04,
            "the classes of the test split are imbalanced: with equally many test images of every class, guessing "
            "would reach up to 0.040, so add test images of the other classes or remove some of the largest class",
        ),
    ],
)
def test_one_sided_test_split_is_no_reason_to_train_longer(even: float | None, advice: str) -> None:
    made = trial("random", 0, lines=[line(0, 0.12, **LEARNED, optimizer_steps=9)])

    assert caveats(runs(replace(made, even_chance=even))) == [
        "the test accuracy is no better than guessing, which reaches up to 0.150 here, in 1 of 1 iteration of "
        f"random; {advice}"
    ]


def test_one_sentence_names_all_groups_that_guess() -> None:
    lines = [line(at, accuracy, **LEARNED, optimizer_steps=9) for at, accuracy in enumerate([0.1, 0.15, 0.5])]
    names = {"random": lines[:2], "uncertain-only": lines[1:], "cluster-only": lines[:2]}
    found = caveats(runs(*(trial(name, 0, lines=those) for name, those in names.items())))

    assert found == [
        "the test accuracy is no better than guessing, which reaches up to 0.150 here, in 2 of 2 iterations of "
        f"each of random, cluster-only and 1 of 2 of uncertain-only; {LEARN_MORE}"
    ]


def test_longer_training_does_not_help_where_guessing_reaches_everything() -> None:
    values = LEARNED | {"chance_accuracy": 1.0, "optimizer_steps": 9}
    (found,) = caveats(runs(trial("random", 0, lines=[line(0, 0.9, **values)])))

    assert found.endswith(f"in 1 of 1 iteration of random; {BETTER_TEST}")
    assert "train longer" not in found


def test_training_loss_that_has_not_fallen_is_counted() -> None:
    values = LEARNED | {"optimizer_steps": 9, "train_loss": 2.3}
    found = caveats(runs(trial("random", 0, lines=[line(0, 0.5, **values), line(1, 0.5, **values)])))

    assert found == [f"the training loss has not fallen in 2 of 2 iterations of random; {LONGER}"]


def test_supervision_below_a_strategy_is_said_once_with_the_best() -> None:
    trials = (after("random", 90, 0.91), after("cluster-only", 90, 0.95), supervised(0, 0.9))

    assert caveats(runs(*trials)) == [
        "supervised reaches 0.900 and cluster-only 0.950: full supervision is not an upper bound here, so targets "
        f"in percent of it are too low; {LONGER}"
    ]


def test_supervision_is_compared_over_the_same_seeds() -> None:
    # Full supervision lacks seed 1, and in seed 0 it is as good as `random`.
    trials = (after("random", 90, 0.8), after("random", 90, 0.95, seed=1), supervised(0, 0.8))

    assert caveats(runs(*trials)) == []


@pytest.mark.parametrize(("most", "said"), [(150, False), (151, True)])
def test_steps_that_differ_by_more_than_half_are_said(most: int, said: bool) -> None:
    found = caveats(runs(after("random", 100), after("cluster-only", most, 0.6), supervised(0, 0.9)))

    expected = (
        f"the optimizer steps of the last training differ by a factor of 1.5 between strategies, from 100 "
        f"(random) to {most} (cluster-only): the strategies may differ because of longer training; with training.stop: "
        "steps, all of them train equally long"
    )
    assert found == [expected] * said


def test_supervision_may_take_more_steps() -> None:
    whole = after("supervised", 9000, 0.9)

    assert caveats(runs(after("random", 100), whole)) == []


def test_steps_are_compared_within_a_setting() -> None:
    low = {"settings": threshold(0.5)}
    trials = (after("random", 100), after("cluster-only", 120), after("cluster-only", 300, **low))
    (found,) = caveats(runs(*trials))

    assert "differ by a factor of 3.0" in found
    assert "from 100 (random) to 300" in found


def test_steps_of_several_settings_are_one_sentence_about_the_worst() -> None:
    low = {"settings": threshold(0.5)}
    trials = (after("random", 100), after("cluster-only", 200), after("cluster-only", 300, **low))

    assert caveats(runs(*trials)) == [
        "the optimizer steps of the last training differ by a factor of 3.0 between strategies, from 100 (random) "
        "to 300 (cluster-only (purity threshold 0.5)), and by less in 1 other setting: the strategies may differ "
        "because of longer training; with training.stop: steps, all of them train equally long"
    ]


@pytest.mark.parametrize(
    ("training", "words"),
    [
        ({}, "5 epochs, SGD with learning rate 0.001, batches of 64"),
        ({"epochs": 1, "learning_rate": 1e-4}, "1 epoch, SGD with learning rate 0.0001, batches of 64"),
        ({"stop": "steps", "steps": 2000}, "2,000 optimizer steps, SGD with learning rate 0.001, batches of 64"),
        (
            {"stop": "converged", "steps": 500, "loss": {"name": "gce"}},
            "until the training loss has not fallen by 0.01 of itself in 3 passes, at most 500 optimizer steps, "
            "SGD with learning rate 0.001, batches of 64, loss gce",
        ),
        (
            {"stop": "converged", "steps": 1, "patience": 1, "validation_fraction": 0.1},
            "until the validation loss (10% of the samples) has not fallen by 0.01 of itself in 1 pass, at most "
            "1 optimizer step, SGD with learning rate 0.001, batches of 64",
        ),
        (
            {
                "stop": "converged",
                "steps": 9,
                "validation_fraction": 0.2,
                "monitor": "accuracy",
                "restore_best": True,
            },
            "until the validation error rate (20% of the samples) has not fallen by 0.01 of itself in 3 passes, at "
            "most 9 optimizer steps, weights of the best pass, SGD with learning rate 0.001, batches of 64",
        ),
        (
            {"optimizer": {"name": "adamw"}, "schedule": "cosine", "warmup": 0.05, "learning_rate": 3e-4},
            "5 epochs, AdamW with learning rate 0.0003, warm-up of 5% of the steps, cosine schedule, batches of 64",
        ),
        (
            {"augmentation": [{"name": "flip"}, {"name": "crop", "padding": 0.25}]},
            "5 epochs, SGD with learning rate 0.001, batches of 64, augmentation flip+crop padding 0.25",
        ),
        (
            {"augmentation": [{"name": "resized_crop", "scale": [0.5, 1.0]}], "horizontal_flip": True},
            "5 epochs, SGD with learning rate 0.001, batches of 64, augmentation horizontal_flip+resized_crop scale "
            "0.5 to 1.0",
        ),
        (
            {"optimizer": {"name": "lion"}, "warmup": 1},
            "5 epochs, lion with learning rate 0.001, warm-up of 1 step, batches of 64",
        ),
    ],
)
def test_recipe_in_words(training: dict[str, Any], words: str) -> None:
    assert recipes(runs(*(trial("random", seed, settings={"training": training}) for seed in (0, 1)))) == [words]
