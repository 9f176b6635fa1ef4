"""What every registered acquisition, clustering, expert and way of pseudo-labelling must hold to.

A new entry is tested by existing.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from raycal.algorithm.acquisition import AnnotatedSamples, Head, View, acquisitions
from raycal.algorithm.clustering import clusterings
from raycal.algorithm.expert import Cluster, Expert, experts
from raycal.algorithm.pseudo_labels import pseudo_labels
from raycal.algorithm.records import Floats, Indices, Labels, Predictions
from raycal.errors import DivergedError
from raycal.registry import Registry

REGISTRIES: tuple[Registry[Any], ...] = (acquisitions, clusterings, experts, pseudo_labels)
SIZES = (1, 2, 40)


def read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """As arrays from Ray's object store are."""
    array.flags.writeable = False
    return array


def predictions(num_samples: int, num_classes: int) -> Predictions:
    """Read-only predictions; the first row is certain, the second uniform."""
    rng = np.random.default_rng(1)
    probs = rng.dirichlet(np.ones(num_classes), num_samples).astype(np.float32)
    probs[0] = np.eye(num_classes)[0]
    probs[1:2] = 1 / num_classes
    return Predictions(
        indices=read_only(3 * np.arange(num_samples) + 5),
        probs=read_only(probs),
        embeddings=read_only(rng.random((num_samples, 6), np.float32)),
    )


# Options without a default, for a number of classes.
OPTIONS = {
    "confusion_noise": lambda num_classes: {"matrix": np.full((num_classes, num_classes), 1 / num_classes).tolist()}
}


def expert_of(name: str, true_labels: Labels) -> Expert:
    given = OPTIONS[name](int(true_labels.max()) + 1) if name in OPTIONS else {}
    expert: Expert = experts[name](read_only(true_labels), **given)
    return expert


def cluster(indices: Indices) -> Cluster:
    """Its samples lie on a line, in the order of their indices."""
    return Cluster(
        indices=read_only(indices), embeddings=lambda: read_only(indices[:, None].astype(np.float32) * [[1, 2]])
    )


def test_the_paper_s_choices_are_registered() -> None:
    assert "entropy" in acquisitions
    assert "kmeans" in clusterings
    assert len(list(clusterings)) >= 4
    assert "oracle" in experts


@pytest.mark.parametrize(
    ("registry", "name"),
    [(registry, name) for registry in REGISTRIES for name in registry],
    ids=lambda value: value if isinstance(value, str) else value.kind,
)
def test_options_can_be_read(registry: Registry[Any], name: str) -> None:
    assert all(option.annotation is not Any for option in registry.options(name).values())


def view(
    num_samples: int, num_classes: int, num_annotated: int = 3, seed: int = 0, asked: set[str] | None = None
) -> View:
    """Read-only arrays; what is asked for beside the predictions is put into `asked`."""
    rng = np.random.default_rng(3)
    annotated = AnnotatedSamples(
        embeddings=read_only(rng.random((num_annotated, 6), np.float32)),
        labels=read_only(rng.integers(num_classes, size=num_annotated)),
    )
    head = Head(
        weights=read_only(rng.random((num_classes, 6), np.float32)), bias=read_only(np.zeros(num_classes, np.float32))
    )
    others = rng.dirichlet(np.ones(num_classes), (20, num_samples)).astype(np.float32)

    def get(name: str, value: Any) -> Any:
        if asked is not None:
            asked.add(name)
        return value

    return View(
        predictions=predictions(num_samples, num_classes),
        rng=np.random.default_rng(seed),
        annotated=lambda: get("annotated", annotated),
        head=lambda: get("head", head),
        members=lambda count: get("members", read_only(others[:count].copy())),
    )


@pytest.mark.parametrize("name", tuple(acquisitions))
class TestAcquisition:
    @pytest.mark.parametrize("num_annotated", [0, 1, 30])
    @pytest.mark.parametrize("num_classes", [1, 2, 10])
    @pytest.mark.parametrize(("num_samples", "budget"), [(1, 1), (1, 5), (2, 1), (2, 2), (40, 7), (40, 40), (40, 99)])
    @pytest.mark.filterwarnings("error")
    def test_different_unlabelled_samples_are_asked_for_as_many_as_the_budget(
        self, name: str, num_samples: int, budget: int, num_classes: int, num_annotated: int
    ) -> None:
        given = view(num_samples, num_classes, num_annotated)
        indices = acquisitions[name](given, budget)

        assert indices.shape == (min(budget, num_samples),)
        assert indices.dtype == np.int64
        assert len(set(indices.tolist())) == len(indices)
        assert set(indices.tolist()) <= set(given.predictions.indices.tolist())

    def test_equal_seeds_ask_for_the_same(self, name: str) -> None:
        first, second = (acquisitions[name](view(40, 3, seed=7), 9) for _ in range(2))

        assert np.array_equal(first, second)

    def test_samples_that_are_all_alike_are_asked_for_once_each(self, name: str) -> None:
        made = view(20, 2)
        alike = Predictions(
            indices=made.predictions.indices,
            probs=read_only(np.full((20, 2), 0.5, np.float32)),
            embeddings=read_only(np.ones((20, 6), np.float32)),
        )

        assert len(set(acquisitions[name](replace(made, predictions=alike), 8).tolist())) == 8

    def test_features_of_the_dead_network_are_asked_about(self, name: str) -> None:
        made = view(20, 2)
        dead = replace(made.predictions, embeddings=read_only(np.zeros((20, 6), np.float32)))

        assert len(set(acquisitions[name](replace(made, predictions=dead), 8).tolist())) == 8

    def test_global_random_state_is_neither_used_nor_changed(self, name: str) -> None:
        before = np.random.get_state()  # noqa: NPY002
        acquisitions[name](view(40, 3), 9)

        assert str(np.random.get_state()) == str(before)  # noqa: NPY002


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        *((name, set()) for name in ("entropy", "margin", "least_confidence", "badge")),
        *((name, {"head"}) for name in ("bald", "dropout_entropy", "dropout_variation_ratio")),
        *((name, {"members"}) for name in ("ensemble_vote_entropy", "ensemble_variation_ratio")),
        *((name, {"annotated"}) for name in ("core_set", "typiclust", "prob_cover")),
    ],
)
def test_nothing_is_computed_that_is_not_wanted(name: str, wanted: set[str]) -> None:
    asked: set[str] = set()
    acquisitions[name](view(40, 3, asked=asked), 9)

    assert asked == wanted


def embeddings(num_samples: int) -> Floats:
    points: Floats = read_only(np.random.default_rng(2).random((num_samples, 6), np.float32))
    return points


@pytest.mark.parametrize("name", tuple(clusterings))
class TestClustering:
    @pytest.mark.parametrize(("num_samples", "num_clusters"), [(1, 1), (2, 1), (2, 2), (40, 5), (40, 40), (600, 2)])
    def test_ids_are_one_int64_a_sample_in_range(self, name: str, num_samples: int, num_clusters: int) -> None:
        cluster_ids = clusterings[name](embeddings(num_samples), num_clusters, 0)

        assert cluster_ids.shape == (num_samples,)
        assert cluster_ids.dtype == np.int64
        assert cluster_ids.min() >= 0
        assert cluster_ids.max() < num_clusters

    @pytest.mark.parametrize("seed", [0, 2**31 - 1])
    def test_equal_seeds_give_equal_ids(self, name: str, seed: int) -> None:
        first, second = (clusterings[name](embeddings(40), 7, seed) for _ in range(2))

        assert np.array_equal(first, second)

    def test_ids_do_not_depend_on_the_number_of_threads(self, name: str) -> None:
        import faiss

        before, found = faiss.omp_get_max_threads(), []
        try:
            for threads in (1, 2):
                faiss.omp_set_num_threads(threads)
                found.append(clusterings[name](embeddings(600), 9, 0))
        finally:
            faiss.omp_set_num_threads(before)

        assert np.array_equal(*found)

    def test_points_far_apart_have_clusters_of_their_own(self, name: str) -> None:
        points = read_only(100 * np.eye(6, dtype=np.float32).repeat(10, axis=0) + embeddings(60))

        cluster_ids = clusterings[name](points, 30, 0).reshape(6, 10)

        assert sum(len(set(group)) for group in cluster_ids.tolist()) == len(set(cluster_ids.ravel().tolist()))

    def test_samples_that_are_all_alike_are_clustered(self, name: str) -> None:
        cluster_ids = clusterings[name](read_only(np.ones((20, 6), np.float32)), 4, 0)

        assert cluster_ids.shape == (20,)
        assert cluster_ids.min() >= 0
        assert cluster_ids.max() < 4

    def test_embeddings_are_not_written_to(self, name: str) -> None:
        given = embeddings(40).copy()

        clusterings[name](given, 7, 0)

        assert np.array_equal(given, embeddings(40))

    def test_global_random_state_is_neither_used_nor_changed(self, name: str) -> None:
        before = np.random.get_state()  # noqa: NPY002
        first = clusterings[name](embeddings(40), 7, 3)
        assert str(np.random.get_state()) == str(before)  # noqa: NPY002

        np.random.seed(123)  # noqa: NPY002
        try:
            assert np.array_equal(clusterings[name](embeddings(40), 7, 3), first)
        finally:
            np.random.set_state(before)  # noqa: NPY002

    @pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("everywhere", [False, True])
    @pytest.mark.filterwarnings("error")
    def test_embeddings_that_are_not_finite_are_refused(self, name: str, wrong: float, everywhere: bool) -> None:
        given = embeddings(40).copy()
        given[slice(None) if everywhere else 7, 2] = wrong

        with pytest.raises(DivergedError, match=f"{40 if everywhere else 1} of 40 embeddings") as refused:
            clusterings[name](given, 5, 0)
        assert f"first in row {0 if everywhere else 7}" in str(refused.value)

    @pytest.mark.filterwarnings("error")
    def test_embeddings_that_float32_cannot_hold_are_refused(self, name: str) -> None:
        given: Any = embeddings(40).astype(np.float64)
        given[3, :2] = 1e300, -1e300

        with pytest.raises(DivergedError, match="row 3"):
            clusterings[name](given, 5, 0)


@pytest.mark.parametrize("name", tuple(experts))
class TestExpert:
    @pytest.mark.parametrize("num_classes", [1, 5])
    @pytest.mark.parametrize("num_samples", SIZES)
    def test_samples_get_a_label_and_a_cost_each(self, name: str, num_samples: int, num_classes: int) -> None:
        expert = expert_of(name, np.arange(50) % num_classes)
        indices = read_only(np.arange(50)[::-1][:num_samples])

        answers = expert.label_samples(indices, np.random.default_rng(0))

        assert answers.labels.shape == answers.seconds.shape == (num_samples,)
        assert (answers.labels.dtype, answers.seconds.dtype) == (np.int64, np.float64)
        assert set(answers.labels) <= set(range(num_classes))
        assert np.isfinite(answers.seconds).all()
        assert (answers.seconds >= 0).all()

    @pytest.mark.parametrize("num_samples", SIZES)
    def test_wrong_samples_are_those_without_their_true_label(self, name: str, num_samples: int) -> None:
        indices, true_labels = np.arange(num_samples), np.arange(50) % 5

        answers = expert_of(name, true_labels.copy()).label_samples(indices, np.random.default_rng(0))

        if answers.wrong is not None:
            assert answers.wrong.dtype == np.bool_
            assert np.array_equal(answers.wrong, answers.labels != true_labels[indices])

    @pytest.mark.parametrize("num_classes", [1, 5])
    @pytest.mark.parametrize("num_samples", SIZES)
    def test_cluster_is_labelled_or_refused_for_a_cost(self, name: str, num_samples: int, num_classes: int) -> None:
        true_labels = np.arange(50) % num_classes
        expert, indices = expert_of(name, true_labels), np.arange(num_samples)

        answer = expert.label_cluster(cluster(indices), np.random.default_rng(0))

        assert type(answer.seconds) is float
        assert answer.seconds >= 0
        if answer.purity is not None:
            assert answer.purity == np.bincount(true_labels[indices]).max() / num_samples
        if answer.label is None:
            assert answer.wrong is None
        else:
            assert type(answer.label) is int
            assert answer.label in range(num_classes)
            labelled = answer.labelled(cluster(indices))
            assert set(labelled.tolist()) <= set(indices.tolist())
            assert answer.wrong in (None, np.count_nonzero(true_labels[labelled] != answer.label))

    def test_equal_seeds_give_equal_answers(self, name: str) -> None:
        expert, indices = expert_of(name, np.arange(50) % 5), np.arange(0, 50, 5)

        samples = [expert.label_samples(indices, np.random.default_rng(4)) for _ in range(2)]
        clusters = [expert.label_cluster(cluster(indices), np.random.default_rng(4)) for _ in range(2)]

        assert np.array_equal(samples[0].labels, samples[1].labels)
        assert np.array_equal(samples[0].seconds, samples[1].seconds)
        assert clusters[0].labelled(cluster(indices)).tolist() == clusters[1].labelled(cluster(indices)).tolist()
        assert replace(clusters[0], part=None) == replace(clusters[1], part=None)

    def test_truth_is_that_of_a_simulation_whatever_it_answers(self, name: str) -> None:
        true_labels = np.arange(50) % 5
        truth = expert_of(name, true_labels.copy()).truth(np.array([7, 3]))

        assert truth is None or truth.tolist() == true_labels[[7, 3]].tolist()

    def test_sample_has_the_same_answer_whatever_is_asked_with_it(self, name: str) -> None:
        expert = expert_of(name, np.arange(50) % 5)
        many, few = np.arange(49, 0, -1), np.array([3, 40, 7])

        answers = [expert.label_samples(indices, np.random.default_rng(4)).labels for indices in (many, few)]

        assert answers[1].tolist() == [answers[0][49 - index] for index in few]

    def test_global_random_state_is_neither_used_nor_changed(self, name: str) -> None:
        before = np.random.get_state()  # noqa: NPY002
        expert = expert_of(name, np.arange(50) % 5)
        expert.label_samples(np.arange(9), np.random.default_rng(4))
        expert.label_cluster(cluster(np.arange(20)), np.random.default_rng(4))

        assert str(np.random.get_state()) == str(before)  # noqa: NPY002


@pytest.mark.parametrize("name", tuple(pseudo_labels))
class TestPseudoLabels:
    @pytest.mark.parametrize("num_annotated", [0, 1, 30])
    @pytest.mark.parametrize("num_classes", [1, 2, 10])
    @pytest.mark.parametrize("num_samples", SIZES)
    @pytest.mark.parametrize("iteration", [0, 100])
    @pytest.mark.filterwarnings("error")
    def test_different_unlabelled_samples_get_a_class_each(
        self, name: str, num_samples: int, num_classes: int, num_annotated: int, iteration: int
    ) -> None:
        given = view(num_samples, num_classes, num_annotated)
        indices, labels = pseudo_labels[name](given, iteration)

        assert indices.shape == labels.shape
        assert indices.dtype == labels.dtype == np.int64
        assert len(set(indices.tolist())) == len(indices)
        assert set(indices.tolist()) <= set(given.predictions.indices.tolist())
        assert set(labels.tolist()) <= set(range(num_classes))

    def test_equal_seeds_give_the_same(self, name: str) -> None:
        first, second = (pseudo_labels[name](view(40, 3, seed=7), 1) for _ in range(2))

        assert first.indices.tolist() == second.indices.tolist()
        assert first.labels.tolist() == second.labels.tolist()

    def test_features_of_the_dead_network_are_labelled(self, name: str) -> None:
        made = view(20, 2)
        dead = replace(made.predictions, embeddings=read_only(np.zeros((20, 6), np.float32)))

        assert len(pseudo_labels[name](replace(made, predictions=dead), 0).indices) <= 20

    def test_global_random_state_is_neither_used_nor_changed(self, name: str) -> None:
        before = np.random.get_state()  # noqa: NPY002
        pseudo_labels[name](view(40, 3), 1)

        assert str(np.random.get_state()) == str(before)  # noqa: NPY002
