import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

from raycal.people.results import read_results, wilson_interval
from raycal.storage.folder import Folder


@pytest.mark.parametrize(("right", "number"), [(0, 1), (1, 1), (0, 20), (20, 20), (17, 20), (360, 400), (1, 100_000)])
def test_interval_is_the_one_of_wilson(right: int, number: int) -> None:
    expected = binomtest(right, number).proportion_ci(0.95, method="wilson")

    assert wilson_interval(right / number, number) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_interval_covers_the_true_accuracy_in_93_of_100_seeds() -> None:
    covered = 0
    for seed in range(100):
        share = np.random.default_rng(seed).binomial(400, 0.9) / 400
        low, high = wilson_interval(share, 400) or (0.0, 0.0)
        covered += low <= 0.9 <= high

    assert covered >= 93


def line(iteration: int, accuracy: float) -> str:
    values = {"iteration": iteration, "test_accuracy": accuracy, "annotated": 10, "human_seconds": 30.0, "more": 1}
    return json.dumps(values) + "\n"


def test_results_are_read_with_the_number_of_test_images_of_each_round(tmp_path: Path) -> None:
    folder = Folder.at(str(tmp_path))
    assert read_results(folder, lambda iteration: 0) == []
    folder.write("results.jsonl", (line(0, 0.5) + line(1, float("nan")) + line(2, 0.75)).encode())

    results: list[dict[str, Any]] = read_results(folder, {0: 0, 1: 0, 2: 40}.__getitem__)

    assert [(one["accuracy"], one["low"] is None) for one in results] == [(0.5, True), (None, True), (0.75, False)]
    assert results[2]["low"] < 0.75 < results[2]["high"]
    assert results[0] == {
        "iteration": 0,
        "accuracy": 0.5,
        "low": None,
        "high": None,
        "num_test": 0,
        "annotated": 10,
        "human_minutes": 0.5,
    }
    assert json.dumps(results, allow_nan=False)
