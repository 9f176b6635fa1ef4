import math

import numpy as np
import pytest
from views import rows, view

from raycal.algorithm.acquisition import acquisitions
from raycal.algorithm.acquisition.prob_cover import _pure_radius

prob_cover = acquisitions["prob_cover"]


def at_angles(*degrees: float) -> np.ndarray:
    angles = np.deg2rad(degrees)
    return 5 * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def chord(degrees: float) -> float:
    """The distance of two points of the unit circle that are this angle apart."""
    return 2 * math.sin(math.radians(degrees) / 2)


CIRCLE = at_angles(0, 10, 20, 30, 90, 100, 180)


def test_balls_that_cover_most_are_asked_for_first() -> None:
    given = view(embeddings=CIRCLE)

    # Within 15 degrees, 10 and 20 cover three samples each. Once 10 is chosen, 90 and 100 cover two new samples each,
    # and 30 covers only itself.
    assert rows(prob_cover(given, 4, delta=chord(15))) == [1, 4, 2, 6]
    assert rows(prob_cover(given, 1, delta=chord(25))) == [1]


def test_ball_holds_what_is_nearer_than_delta() -> None:
    assert rows(prob_cover(view(embeddings=CIRCLE), 1, delta=chord(29))) == [1]
    assert rows(prob_cover(view(embeddings=CIRCLE), 1, delta=chord(31))) == [0]


def test_annotated_samples_cover_theirs() -> None:
    given = view(embeddings=CIRCLE, annotated=at_angles(15))

    assert rows(prob_cover(given, 2, delta=chord(16))) == [4, 6]


def test_rest_is_drawn_when_all_is_covered() -> None:
    picked = [rows(prob_cover(view(embeddings=CIRCLE, seed=seed), 4, delta=chord(170))) for seed in range(20)]

    assert {each[0] for each in picked} == {2}
    assert len({tuple(each) for each in picked}) > 5
    assert all(len(set(each)) == 4 for each in picked)


def test_greedy_cover_equals_the_definition() -> None:
    points = np.random.default_rng(4).normal(size=(80, 4)).astype(np.float32)
    unit = points / np.linalg.norm(points, axis=1, keepdims=True)
    near = np.linalg.norm(unit[:, None] - unit, axis=2) < 0.5
    uncovered, expected = np.ones(80, bool), []
    for _ in range(10):
        expected.append(int((near & uncovered).sum(axis=1).argmax()))
        uncovered &= ~near[expected[-1]]

    assert uncovered.any()
    assert rows(prob_cover(view(embeddings=points), 10, delta=0.5)) == expected


def two_groups() -> np.ndarray:
    """Twenty points in two groups 60 degrees apart; one point of each group is 10 degrees from the other group."""
    return at_angles(*np.linspace(0, 9, 9), 34.5, 44.5, *np.linspace(70, 79, 9)) / 5


@pytest.mark.parametrize(("purity", "degrees"), [(1, 10), (0.95, 10), (0.9, 35.5), (0.8, 36.625)])
def test_radius_is_the_largest_at_which_enough_balls_are_pure(purity: float, degrees: float) -> None:
    points = two_groups().astype(np.float32)

    found = _pure_radius(points, 2, purity, np.random.default_rng(0))
    assert found == pytest.approx(chord(degrees), rel=1e-3)


def test_radius_for_one_class_has_no_limit() -> None:
    assert _pure_radius(two_groups().astype(np.float32), 1, 0.95, np.random.default_rng(0)) == math.inf


def test_purity_chooses_delta_when_none_is_given() -> None:
    given = {"embeddings": two_groups(), "probs": [[0.5, 0.5]] * 20}
    radius = _pure_radius(two_groups().astype(np.float32), 2, 0.9, np.random.default_rng(0))

    asked = rows(prob_cover(view(**given), 2, purity=0.9))
    assert asked == rows(prob_cover(view(**given), 2, delta=radius))
    assert sorted(row <= 9 for row in asked) == [False, True]
