from small_runs import runs, trial

from raycal.report.for_mlflow import sweep_description
from raycal.report.stats.answer import answer
from raycal.tracking.description import description


def test_description_has_the_answer_and_a_row_per_strategy() -> None:
    sweep = runs(*(trial("random", seed, [0.3, 0.5]) for seed in (0, 1)), trial("cluster-only", 0, [0.4, 0.8]))
    text = sweep_description(sweep)

    for sentences in answer(sweep).splitlines():
        assert description([sentences], [], []) in text
    lines = text.splitlines()
    assert lines[-4].startswith("| strategy | finished seeds | test accuracy at the end |")
    assert lines[-2].startswith("| random | 2 of 2 | 0.500 (0.500 to 0.500) |")
    assert lines[-1].startswith("| cluster-only | 1 of 1 | 0.800 |")


def test_sweep_without_a_finished_trial_has_no_description() -> None:
    assert sweep_description(runs(trial("random", 0, [0.3], status="failed"))) == ""
