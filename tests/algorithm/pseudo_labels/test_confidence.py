import numpy as np
import pytest
from views import rows, view

from raycal.algorithm.pseudo_labels import pseudo_labels

ceal, confident = pseudo_labels["ceal"], pseudo_labels["confident"]
# The entropies of these four samples, in nats, are 0, 0.0315, 0.0560 and 0.693.
PROBS = [[0.0, 1.0], [0.995, 0.005], [0.01, 0.99], [0.5, 0.5]]


@pytest.mark.parametrize(
    ("iteration", "options", "chosen"),
    [
        (0, {}, [0, 1]),
        (5, {}, [0, 1]),  # The threshold is 0.0335 here.
        (6, {}, [0]),  # The threshold is 0.0302 here.
        (15, {}, [0]),
        (16, {}, []),  # The threshold is below 0 here.
        (0, {"delta": 0.06}, [0, 1, 2]),
        (1, {"delta": 0.06, "decay": 0.05}, [0]),
        (0, {"delta": 0.7}, [0, 1, 2, 3]),
    ],
)
def test_ceal_labels_what_has_an_entropy_below_a_threshold_that_falls(
    iteration: int, options: dict[str, float], chosen: list[int]
) -> None:
    found = ceal(view(probs=PROBS), iteration, **options)

    assert rows(found.indices) == chosen
    assert found.labels.tolist() == [[1, 0, 1, 0][row] for row in chosen]
    assert found.labels.dtype == np.int64


@pytest.mark.parametrize(("threshold", "chosen"), [(0.95, [0, 1, 2]), (0.992, [0, 1]), (1.0, [0]), (0.5, [0, 1, 2, 3])])
@pytest.mark.parametrize("iteration", [0, 50])
def test_confident_labels_what_reaches_the_threshold(threshold: float, chosen: list[int], iteration: int) -> None:
    found = confident(view(probs=PROBS), iteration, threshold=threshold)

    assert rows(found.indices) == chosen
    assert found.labels.tolist() == [[1, 0, 1, 0][row] for row in chosen]
