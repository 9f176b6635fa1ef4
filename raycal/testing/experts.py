"""The check of experts."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from raycal.algorithm.expert import Expert, experts
from raycal.algorithm.records import Labels
from raycal.testing.common import check_options, global_random_state_kept
from raycal.testing.examples import example_cluster, read_only


def check_expert(name: str, /, options_for: Callable[[int], Mapping[str, Any]] | None = None, **options: Any) -> None:
    """Check an expert: it must give each sample a class and a cost, and label or refuse a cluster for a cost.

    Equal seeds must give equal answers. The answer about a sample must not depend on the samples in the same question.
    `wrong` and `purity` must agree with the true labels if the expert knows them. The expert must neither use nor
    change the global random state.

    Args:
        options_for: Returns further options for a number of classes.
    """
    check_options(experts, name)
    what = f"expert {name}"

    def expert_of(true_labels: Labels) -> Expert:
        more = {} if options_for is None else options_for(int(true_labels.max()) + 1)
        made: Expert = experts[name](read_only(true_labels), **options, **more)
        return made

    for num_classes in (1, 5):
        for num_samples in (1, 2, 40):
            true_labels = np.arange(50) % num_classes
            _check_answers(expert_of(true_labels.copy()), true_labels, num_samples, f"{what} ({num_samples} samples)")
    true_labels, indices = np.arange(50) % 5, np.arange(0, 50, 5)
    expert = expert_of(true_labels.copy())
    samples = [expert.label_samples(indices, np.random.default_rng(4)) for _ in range(2)]
    clusters = [expert.label_cluster(example_cluster(indices), np.random.default_rng(4)) for _ in range(2)]
    same = np.array_equal(samples[0].labels, samples[1].labels) and np.array_equal(
        samples[0].seconds, samples[1].seconds
    )
    assert same, f"{what}: equal seeds give different answers about samples"
    parts = [answer.labeled(example_cluster(indices)).tolist() for answer in clusters]
    same = parts[0] == parts[1] and replace(clusters[0], part=None) == replace(clusters[1], part=None)
    assert same, f"{what}: equal seeds give different answers about a cluster"
    truth = expert.truth(np.array([7, 3]))
    assert truth is None or truth.tolist() == true_labels[[7, 3]].tolist(), (
        f"{what}: truth() does not return the true labels"
    )
    many, few = np.arange(49, 0, -1), np.array([3, 40, 7])
    answers = [expert.label_samples(asked, np.random.default_rng(4)).labels for asked in (many, few)]
    same = answers[1].tolist() == [answers[0][49 - index] for index in few]
    assert same, f"{what}: the answer about a sample depends on what is asked with it; draw a number for each sample"
    with global_random_state_kept(what):
        expert = expert_of(true_labels.copy())
        expert.label_samples(np.arange(9), np.random.default_rng(4))
        expert.label_cluster(example_cluster(np.arange(20)), np.random.default_rng(4))


def _check_answers(expert: Expert, true_labels: Labels, num_samples: int, what: str) -> None:
    num_classes = int(true_labels.max()) + 1
    indices = read_only(np.arange(50)[::-1][:num_samples].copy())
    answers = expert.label_samples(indices, np.random.default_rng(0))
    assert answers.labels.shape == answers.seconds.shape == (num_samples,), f"{what}: labels or seconds are missing"
    dtypes = [str(answers.labels.dtype), str(answers.seconds.dtype)]
    assert dtypes == ["int64", "float64"], f"{what}: labels and seconds are {dtypes}, should be int64 and float64"
    assert set(answers.labels.tolist()) <= set(range(num_classes)), f"{what}: labels are not class ids"
    assert np.isfinite(answers.seconds).all(), f"{what}: costs are not finite"
    assert (answers.seconds >= 0).all(), f"{what}: costs are negative"
    if answers.wrong is not None:
        assert answers.wrong.dtype == np.bool_, f"{what}: `wrong` is {answers.wrong.dtype}, should be bool"
        right = np.array_equal(answers.wrong, answers.labels != true_labels[indices])
        assert right, f"{what}: `wrong` does not mark the labels that are not the true ones"
    members = np.arange(num_samples)
    answer = expert.label_cluster(example_cluster(members.copy()), np.random.default_rng(0))
    assert type(answer.seconds) is float, f"{what}: the cost of a cluster is no float"
    assert answer.seconds >= 0, f"{what}: the cost of a cluster is negative"
    if answer.purity is not None:
        purity = np.bincount(true_labels[members]).max() / num_samples
        assert answer.purity == purity, f"{what}: says the purity {answer.purity}, it is {purity}"
    if answer.label is None:
        assert answer.num_wrong is None, f"{what}: a cluster that is refused has no wrong labels"
        return
    assert type(answer.label) is int, f"{what}: the label of a cluster is no int"
    assert answer.label in range(num_classes), f"{what}: the label of a cluster is no class"
    labeled = answer.labeled(example_cluster(members.copy()))
    assert set(labeled.tolist()) <= set(members.tolist()), f"{what}: labels samples that are not in the cluster"
    num_wrong = np.count_nonzero(true_labels[labeled] != answer.label)
    said = f"{what}: says that {answer.num_wrong} labels are wrong, but {num_wrong} labels are"
    assert answer.num_wrong in (None, num_wrong), said
