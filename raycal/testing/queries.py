"""The checks of acquisition functions and pseudo-labeling methods."""

from dataclasses import replace
from typing import Any

import numpy as np

from raycal.algorithm.acquisition import QueryContext, acquisitions
from raycal.algorithm.pseudo_labels import pseudo_labels
from raycal.algorithm.records import Indices, Predictions
from raycal.testing.common import check_options, global_random_state_kept, warnings_are_errors
from raycal.testing.examples import example_view, read_only


def check_acquisition(name: str, /, **options: Any) -> None:
    """Check an acquisition function, which must ask about min(budget, U) different samples that may be chosen.

    The function must return such samples for one class and one sample, with and without annotated samples, for samples
    that are all alike, and for embeddings that are all zero. With equal seeds the function must choose the same
    samples. It must neither use nor change the global random state.
    """
    check_options(acquisitions, name)

    def ask(view: QueryContext, budget: int) -> Indices:
        indices: Indices = acquisitions[name](view, budget, **options)
        return indices

    for num_classes in (1, 2, 10):
        for num_annotated in (0, 1, 30):
            for num_samples, budget in ((1, 1), (1, 5), (2, 1), (2, 2), (40, 7), (40, 40), (40, 99)):
                case = (
                    f"acquisition {name} (U={num_samples}, budget={budget}, {num_classes} classes, "
                    f"{num_annotated} annotated)"
                )
                view = example_view(num_samples, num_classes, num_annotated)
                with warnings_are_errors():
                    indices = ask(view, budget)
                _check_chosen(indices, view.predictions.indices, case)
                wanted = min(budget, num_samples)
                assert len(indices) == wanted, f"{case}: asks for {len(indices)} samples, should ask for {wanted}"
    first, second = (ask(example_view(40, 3, seed=7), 9) for _ in range(2))
    assert np.array_equal(first, second), f"acquisition {name}: equal seeds ask for different samples"
    view = example_view(20, 2)
    zeros = read_only(np.zeros((20, 6), np.float32))
    alike = Predictions(
        indices=view.predictions.indices,
        probs=read_only(np.full((20, 2), 0.5, np.float32)),
        embeddings=read_only(np.ones((20, 6), np.float32)),
    )
    for what, predictions in (
        ("samples that are all alike", alike),
        ("embeddings that are all zero", replace(view.predictions, embeddings=zeros)),
    ):
        asked_for = ask(replace(view, predictions=predictions), 8)
        assert len(set(asked_for.tolist())) == 8, f"acquisition {name}: of {what} it asks for {asked_for.tolist()}"
    with global_random_state_kept(f"acquisition {name}"):
        ask(example_view(40, 3), 9)


def check_pseudo_labels(name: str, /, **options: Any) -> None:
    """Check a pseudo-labeling method, which must choose different unlabeled samples, possibly none, and give each of
    them a class.

    Equal seeds must give the same labels. The method must neither use nor change the global random state.
    """
    check_options(pseudo_labels, name)
    label = pseudo_labels[name]
    for num_classes in (1, 2, 10):
        for num_annotated in (0, 1, 30):
            for num_samples in (1, 2, 40):
                for iteration in (0, 100):
                    case = f"pseudo_labels {name} (U={num_samples}, {num_classes} classes, iteration {iteration})"
                    view = example_view(num_samples, num_classes, num_annotated)
                    with warnings_are_errors():
                        indices, labels = label(view, iteration, **options)
                    _check_chosen(indices, view.predictions.indices, case)
                    assert labels.shape == indices.shape, f"{case}: {labels.shape} labels of {indices.shape} samples"
                    assert labels.dtype == np.int64, f"{case}: labels are {labels.dtype}, should be int64"
                    assert set(labels.tolist()) <= set(range(num_classes)), f"{case}: labels are not class ids"
    first, second = (label(example_view(40, 3, seed=7), 1, **options) for _ in range(2))
    same = first.indices.tolist() == second.indices.tolist() and first.labels.tolist() == second.labels.tolist()
    assert same, f"pseudo_labels {name}: equal seeds give different labels"
    view = example_view(20, 2)
    dead = replace(view.predictions, embeddings=read_only(np.zeros((20, 6), np.float32)))
    assert len(label(replace(view, predictions=dead), 0, **options).indices) <= 20
    with global_random_state_kept(f"pseudo_labels {name}"):
        label(example_view(40, 3), 1, **options)


def _check_chosen(indices: Indices, allowed: Indices, case: str) -> None:
    """Check that the indices are different samples, all of which may be chosen."""
    assert indices.ndim == 1, f"{case}: indices have the shape {indices.shape}"
    assert indices.dtype == np.int64, f"{case}: indices are {indices.dtype}, should be int64"
    assert len(set(indices.tolist())) == len(indices), f"{case}: a sample is chosen twice"
    assert set(indices.tolist()) <= set(allowed.tolist()), f"{case}: chooses what is not in view.predictions.indices"
