from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from views import rows, view

from raycal.algorithm.pseudo_labels import label_propagation as module
from raycal.algorithm.pseudo_labels import pseudo_labels

propagate = pseudo_labels["label_propagation"]


def at(*degrees: float) -> npt.NDArray[np.float64]:
    """Embeddings of length one in these directions."""
    angles = np.deg2rad(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def plain(points: npt.NDArray[Any], labels: list[int], *, neighbors: int, alpha: float, gamma: float) -> Any:
    """The reference solution Z (n, K), computed with full matrices; `labels` belong to the last points."""
    cosines = points @ points.T
    np.fill_diagonal(cosines, -np.inf)
    graph = np.zeros_like(cosines)
    for row, values in enumerate(cosines):
        near = np.argsort(-values, kind="stable")[:neighbors]
        graph[row, near] = np.maximum(values[near], 0) ** gamma
    graph += graph.T
    degrees = graph.sum(axis=1)
    degrees[degrees == 0] = 1
    given = np.zeros((len(points), 2))
    given[np.arange(len(points) - len(labels), len(points)), labels] = 1
    return np.linalg.solve(np.eye(len(points)) - alpha * graph / np.sqrt(np.outer(degrees, degrees)), given)


@pytest.mark.parametrize("options", [{"neighbors": 3, "alpha": 0.9, "gamma": 1.0}, {"neighbors": 5, "alpha": 0.5}])
def test_labels_are_those_of_the_solved_system(options: dict[str, Any]) -> None:
    points = np.abs(np.random.default_rng(0).normal(size=(40, 6)))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    labels = [0, 1, 1, 0]
    expected = plain(points, labels, **({"gamma": 3.0} | options))[:-4]
    expected /= expected.sum(axis=0)

    found = propagate(view(embeddings=points[:-4], annotated=points[-4:], labels=labels), 0, **options)

    reached = np.flatnonzero(expected.sum(axis=1) > 0)
    assert rows(found.indices) == reached.tolist()
    assert found.labels.tolist() == expected[reached].argmax(axis=1).tolist()
    assert set(found.labels.tolist()) == {0, 1}


def test_class_with_most_labels_does_not_flood_the_others() -> None:
    rng = np.random.default_rng(0)
    centers = np.array([[1.0, 0.4], [0.4, 1.0]])
    points, marked = (
        np.concatenate(
            [center + rng.normal(scale=0.3, size=(size, 2)) for center, size in zip(centers, sizes, strict=True)]
        )
        for sizes in ((100, 100), (20, 2))
    )
    found = propagate(view(embeddings=points, annotated=marked, labels=[0] * 20 + [1] * 2), 0)

    right = np.repeat([0, 1], 100)
    assert (found.labels == right[rows(found.indices)]).mean() > 0.75


def test_labels_flow_along_a_chain_of_neighbors() -> None:
    # Sample 3 at 40 degrees is nearer to the label at 70 degrees than to the label at 0 degrees, where the chain of
    # samples begins.
    given = view(embeddings=at(10, 20, 30, 40, 75, 80), annotated=at(0, 70), labels=[0, 1])
    found = propagate(given, 0, neighbors=2)

    assert dict(zip(rows(found.indices), found.labels.tolist(), strict=True)) == {0: 0, 1: 0, 2: 0, 3: 0, 4: 1, 5: 1}


def test_what_no_label_reaches_gets_none() -> None:
    given = view(embeddings=at(10, 20, 170, 180), annotated=at(0), labels=[1])

    assert rows(propagate(given, 0, neighbors=1).indices) == [0, 1]
    assert rows(propagate(view(embeddings=at(10, 20)), 0).indices) == []


def test_only_certain_labels_are_given_when_told_to() -> None:
    given = view(embeddings=at(5, 45, 85), annotated=at(0, 90), labels=[0, 1])

    assert rows(propagate(given, 0, neighbors=2).indices) == [0, 1, 2]
    # The sample in the middle is equally near to both labels.
    assert rows(propagate(given, 0, neighbors=2, alpha=0.5, min_certainty=0.05).indices) == [0, 2]


@pytest.mark.parametrize("num_classes", range(2, 40))
def test_certainty_of_an_even_split_is_zero_and_never_below(num_classes: int) -> None:
    # Rounding makes the entropy of many of these splits larger than the logarithm of the number of classes.
    found = module._certainty(np.full((3, num_classes), 1 / num_classes))

    assert (found >= 0).all()
    assert found == pytest.approx(np.zeros(3), abs=1e-12)


def test_certainty_is_from_zero_to_one() -> None:
    shares = np.random.default_rng(0).dirichlet(np.full(3, 0.05), 2000)

    found = module._certainty(np.concatenate([shares, np.eye(3), np.full((1, 3), 1 / 3)]))

    assert (found >= 0).all()
    assert (found <= 1).all()
    assert module._certainty(np.eye(3)).tolist() == [1, 1, 1]
    assert module._certainty(np.ones((2, 1))).tolist() == [1, 1]


@pytest.mark.parametrize("rounding", [-1e-12, -1e-16, 0.0, 1e-16, 1e-12])
def test_rounding_chooses_neither_the_samples_nor_their_classes(
    rounding: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The middle sample is split evenly between two of four classes, so its certainty is exactly one half.
    given = view(
        probs=[[0.25] * 4] * 4,
        embeddings=[[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1]],
        annotated=[[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        labels=[1, 2, 3],
    )
    spread = module._spread

    def rounded(*arguments: Any) -> Any:
        flowed = spread(*arguments)
        flowed[:, 1] *= 1 + rounding
        flowed[1, 1] *= 1 - 3 * rounding
        return flowed

    monkeypatch.setattr(module, "_spread", rounded)

    everything = propagate(given, 0, neighbors=2)
    assert dict(zip(rows(everything.indices), everything.labels.tolist(), strict=True)) == {0: 1, 1: 1, 2: 2, 3: 3}
    assert rows(propagate(given, 0, neighbors=2, min_certainty=0.5).indices) == [0, 1, 2, 3]
    assert 1 not in rows(propagate(given, 0, neighbors=2, min_certainty=0.51).indices)


def test_pieces_of_the_pool_give_what_the_whole_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    points = np.random.default_rng(1).normal(size=(50, 4))
    given = view(embeddings=points[:45], annotated=points[45:], labels=[0, 1, 0, 1, 1])
    whole = propagate(given, 0, neighbors=4)
    monkeypatch.setattr(module, "QUERIES", 7)

    piecewise = propagate(given, 0, neighbors=4)

    assert piecewise.indices.tolist() == whole.indices.tolist()
    assert piecewise.labels.tolist() == whole.labels.tolist()


def test_equal_samples_are_neighbors_of_each_other_and_not_of_themselves() -> None:
    near, products = module._nearest_others(np.ones((6, 1), np.float32), 2)

    assert not (near == np.arange(6)[:, None]).any()
    assert (products == 1).all()
