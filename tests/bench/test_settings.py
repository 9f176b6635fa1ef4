from raycal.bench.settings import above_best


def test_choice_is_compared_with_the_least_median() -> None:
    taken = {"a": [9.0, 3.0, 3.0], "b": [2.0, 2.0, 50.0], "c": [4.0, 4.0, 4.0]}

    assert above_best(taken, "a") == 1.5
    assert above_best(taken, "b") == 1.0
