from made_up import level, runs, seeds, trial

from raycal.report.next_steps import Step, next_steps
from raycal.report.runs import Runs
from raycal.report.tables import tables

MLFLOW = "python -m raycal.track runs/made-up"


def steps(of: Runs) -> list[Step]:
    return next_steps(of, tables(of))


def test_complete_sweep_with_a_clear_winner_needs_nothing_but_a_look() -> None:
    of = runs(
        *seeds("random", *level(0.5, 0.51, 0.52)),
        *seeds("cluster-only", *level(0.78, 0.79, 0.8)),
        *seeds("supervised", *level(0.8, 0.81, 0.82)),
    )
    assert [step.command for step in steps(of)] == [MLFLOW]


def test_unfinished_trials_come_first() -> None:
    first, *_ = steps(runs(*seeds("random", *level(0.5, 0.6)), trial("random", seed=2, status="failed")))
    assert first.command == "python -m raycal.sweep made-up.yaml --storage runs --resume"
    assert first.words.startswith("1 trial has not finished.")


def test_missing_baselines_and_seeds_are_named_with_the_lines_to_change() -> None:
    baselines, more, _ = steps(runs(*seeds("cluster-only", *level(0.5))))

    assert baselines.words.startswith("Add random and supervised:")
    assert baselines.change == "grid:\n  scenario: [cluster-only, random, supervised]"
    assert more.change == "grid:\n  seed: [0, 1, 2]"


def test_scenarios_that_cannot_be_told_apart_get_more_seeds() -> None:
    of = runs(
        *seeds("random", *level(0.75, 0.8)),
        *seeds("cluster-only", *level(0.76, 0.79)),
        *seeds("supervised", *level(0.8, 0.8)),
    )
    assert steps(of)[0].change == "grid:\n  seed: [0, 1, 2, 3]"


def test_accuracy_that_nobody_reached_asks_for_more_interactions() -> None:
    of = runs(*seeds("random", *level(0.3, 0.3)), *seeds("supervised", *level(0.8, 0.8)))
    assert [step.command for step in steps(of)] == [
        "python -m raycal.sweep made-up.yaml --storage runs --dry-run",
        MLFLOW,
    ]


def test_models_that_learned_nothing_ask_for_longer_training() -> None:
    guessed = {"values": {"chance_accuracy": [0.9, 0.9]}}
    (only,) = steps(
        runs(*seeds("cluster-only", *level(0.3), **guessed))
    )  # The only step is about learning, and not about more seeds or baselines.
    assert only.words.startswith("The models are no better than guessing.")
