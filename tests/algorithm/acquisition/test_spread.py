from functools import partial

import numpy as np
import pytest
from views import rows, view

from raycal.algorithm.acquisition import QueryContext, acquisitions

core_set, badge = acquisitions["core_set"], acquisitions["badge"]
LINE = [[0.0, 0], [1, 0], [2, 0], [6, 0], [10, 0]]


def test_core_set_asks_for_the_farthest_from_all_annotated_and_asked() -> None:
    given = view(embeddings=LINE, annotated=[[0.5, 0]])

    # Point 10 comes first: it is 9.5 away from the annotated point 0.5. Then comes 6, which is 4 away from 10, and then
    # 2, which is 1.5 away from 0.5. The points 0 and 1 are both 0.5 away from 0.5.
    assert rows(core_set(given, 5)) == [4, 3, 2, 0, 1]
    assert rows(core_set(given, 2)) == [4, 3]


def test_core_set_leaves_alone_what_is_near_any_annotated_sample() -> None:
    assert rows(core_set(view(embeddings=LINE, annotated=[[10, 0.1], [0.5, 0]]), 1)) == [3]


def test_core_set_draws_the_first_while_nothing_is_annotated() -> None:
    picked = [rows(core_set(view(embeddings=LINE, seed=seed), 3)) for seed in range(30)]

    assert {each[0] for each in picked} == set(range(5))
    assert {tuple(each) for each in picked if each[0] == 0} == {(0, 4, 3)}


def test_core_set_equals_the_definition() -> None:
    rng = np.random.default_rng(5)
    points, annotated = rng.normal(size=(60, 8)).astype(np.float32), rng.normal(size=(7, 8)).astype(np.float32)
    centers, expected = list(annotated), []
    for _ in range(20):
        distances = np.linalg.norm(points[:, None].astype(float) - np.array(centers), axis=2).min(axis=1)
        expected.append(int(distances.argmax()))
        centers.append(points[expected[-1]])

    assert rows(core_set(view(embeddings=points, annotated=annotated), 20)) == expected


@pytest.mark.parametrize("away", [0.0, 1e3, -1e4, 1e5])
@pytest.mark.parametrize("num_annotated", [0, 7])
def test_core_set_is_the_same_wherever_the_embeddings_lie(away: float, num_annotated: int) -> None:
    rng = np.random.default_rng(5)
    # The points are multiples of 1/64, which float32 represents exactly around all of these origins.
    points = np.round(rng.normal(size=(60 + num_annotated, 8)) * 64) / 64
    far = points + away * np.sign(points[0])
    given, there = (view(embeddings=moved[:60], annotated=moved[60:], seed=3) for moved in (points, far))

    assert rows(core_set(there, 20)) == rows(core_set(given, 20))


@pytest.mark.parametrize("away", [0, 3.5, 1000, 65536])
def test_core_set_takes_equal_distances_by_the_smaller_index_far_from_the_origin_too(away: float) -> None:
    given = view(embeddings=np.array(LINE) + away, annotated=np.array([[0.5, 0]]) + away)

    assert rows(core_set(given, 5)) == [4, 3, 2, 0, 1]


def test_badge_begins_with_the_longest_gradient() -> None:
    given = view(probs=[[0.5, 0.5], [0.9, 0.1], [0.5, 0.5]], embeddings=[[1, 0], [5, 0], [0, 3]])

    # The squared lengths |p - e|^2 |f|^2 of the gradients are 0.5, 0.5 and 4.5.
    assert rows(badge(given, 1)) == [2]


def gradients(probs: np.ndarray, embeddings: np.ndarray) -> np.ndarray:
    errors = probs - np.eye(probs.shape[1])[probs.argmax(axis=1)]
    made: np.ndarray = (errors[:, :, None] * embeddings[:, None, :]).reshape(len(probs), -1)
    return made


def test_badge_draws_by_squared_distance_between_gradients() -> None:
    rng = np.random.default_rng(2)
    probs, embeddings = rng.dirichlet([1, 1, 1], 6), rng.normal(size=(6, 4))
    made = gradients(probs, embeddings)
    first = int((made**2).sum(axis=1).argmax())
    weights = ((made - made[first]) ** 2).sum(axis=1)
    given = partial(view, probs=probs, embeddings=embeddings)

    seconds = [rows(badge(given(seed=seed), 2)) for seed in range(3000)]

    assert {each[0] for each in seconds} == {first}
    shares = np.bincount([each[1] for each in seconds], minlength=6) / 3000
    np.testing.assert_allclose(shares, weights / weights.sum(), atol=0.04)


def test_badge_equals_k_means_plus_plus_on_gradients_that_are_made() -> None:
    rng = np.random.default_rng(3)
    probs, embeddings = rng.dirichlet([1, 1, 1], 50), rng.normal(size=(50, 4))
    made, draws = gradients(probs, embeddings), np.random.default_rng(0)
    expected = [int((made**2).sum(axis=1).argmax())]
    while len(expected) < 20:
        squared = ((made[:, None] - made[expected]) ** 2).sum(axis=2).min(axis=1)
        expected.append(int(np.searchsorted(squared.cumsum(), draws.random() * squared.sum(), side="right")))

    assert rows(badge(view(probs=probs, embeddings=embeddings), 20)) == expected


def test_badge_asks_once_for_each_of_samples_that_are_all_alike() -> None:
    assert sorted(rows(badge(view(embeddings=np.ones((9, 2))), 9))) == list(range(9))


def certain(seed: int) -> QueryContext:
    return view(probs=[[1, 0]] * 9, embeddings=np.random.default_rng(0).normal(size=(9, 2)), seed=seed)


def test_badge_draws_among_samples_without_a_gradient() -> None:
    picked = [rows(badge(certain(seed), 3)) for seed in (1, 1, 2)]

    assert picked[0] == picked[1] != picked[2]
    assert all(len(set(each)) == 3 for each in picked)


@pytest.mark.parametrize("name", ["core_set", "badge"])
def test_asked_samples_are_spread_over_the_groups(name: str) -> None:
    rng = np.random.default_rng(0)
    centers = 50 * rng.normal(size=(8, 6))
    groups = np.repeat(np.arange(8), 40)
    given = view(embeddings=centers[groups] + rng.normal(size=(320, 6)), probs=[[0.6, 0.4]] * 320)

    assert len({groups[row] for row in rows(acquisitions[name](given, 8))}) >= 7
