"""Contract checks for extensions, for raycal's own tests and for the test suite of a plug-in.

Each check takes the name of a registered extension and its options, and raises an AssertionError that says what the
extension does that raycal does not allow:

    import strategies  # registers `smallest_norm`
    from raycal.testing import check_acquisition

    def test_smallest_norm() -> None:
        check_acquisition("smallest_norm", power=3.0)

The checks do not need pytest. Only the checks of networks and losses import torch.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from raycal.algorithm.acquisition import AnnotatedSamples, HeadWeights, QueryContext, acquisitions
from raycal.algorithm.clustering import clusterings
from raycal.algorithm.expert import Cluster, Expert, experts
from raycal.algorithm.pseudo_labels import pseudo_labels
from raycal.algorithm.records import Floats, Indices, Labels, Predictions
from raycal.data import Dataset, DatasetInfo, ImageDataset, datasets
from raycal.errors import DivergedError
from raycal.learner.losses import losses
from raycal.networks import networks
from raycal.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = [
    "check_acquisition",
    "check_clustering",
    "check_dataset",
    "check_expert",
    "check_loss",
    "check_network",
    "check_options",
    "check_pseudo_labels",
    "example_view",
    "read_only",
]

# Largest factor between the cost that a network declares and the cost that is counted.
COST_FACTOR = 2.0


def read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Make an array read-only, like arrays from Ray's object store, and return it."""
    array.flags.writeable = False
    return array


def example_view(
    num_samples: int,
    num_classes: int,
    num_annotated: int = 3,
    *,
    seed: int = 0,
    asked: set[str] | None = None,
) -> QueryContext:
    """An example of the input of an acquisition function, with read-only arrays of made-up numbers.

    The class probabilities of the first sample are certain, those of the second uniform. The samples have the indices
    5, 8, 11, ...

    Args:
        num_samples: U, the number of samples that may be chosen.
        num_classes: K, the number of classes.
        num_annotated: Number of samples that already have a label.
        seed: Seed of the step's random stream.
        asked: A set to which the view adds `annotated`, `head` or `members` when the function uses this attribute.
    """
    rng = np.random.default_rng(3)
    annotated = AnnotatedSamples(
        embeddings=read_only(rng.random((num_annotated, 6), np.float32)),
        labels=read_only(rng.integers(num_classes, size=num_annotated)),
    )
    head = HeadWeights(
        weights=read_only(rng.random((num_classes, 6), np.float32)), bias=read_only(np.zeros(num_classes, np.float32))
    )
    others = rng.dirichlet(np.ones(num_classes), (20, num_samples)).astype(np.float32)

    def get(name: str, value: Any) -> Any:
        if asked is not None:
            asked.add(name)
        return value

    return QueryContext(
        predictions=_predictions(num_samples, num_classes),
        rng=np.random.default_rng(seed),
        annotated=lambda: get("annotated", annotated),
        head=lambda: get("head", head),
        members=lambda count: get("members", read_only(others[:count].copy())),
    )


def check_options(registry: Registry[Any], name: str) -> None:
    """Check that a sweep file can set the options of an extension, which each need a readable annotation."""
    assert name in registry, f"there is no {registry.kind} named {name!r}; registered are {', '.join(registry)}"
    for key, option in registry.options(name).items():
        assert option.annotation is not Any, f"{registry.kind} {name}: the option {key} has no type annotation"


def check_acquisition(name: str, /, **options: Any) -> None:
    """Check an acquisition function: it asks about min(budget, U) different samples that may be chosen.

    The function must do so for one class and one sample, with and without annotated samples, for samples that are all
    alike, and for embeddings that are all zero. With equal seeds it must choose the same samples. It must neither use
    nor change the global random state.
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
                with _warnings_are_errors():
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
    with _global_random_state_kept(f"acquisition {name}"):
        ask(example_view(40, 3), 9)


def check_clustering(name: str, /, **options: Any) -> None:
    """Check a clustering: it gives every sample an int64 id from 0 to num_clusters - 1.

    Equal seeds must give equal ids, whatever the number of threads and the global random state. Points far apart must
    be in different clusters. The clustering must not write to the embeddings. It must raise a `DivergedError` for
    embeddings that are not finite, which `raycal.algorithm.clustering.protocol.finite_points` does.
    """
    check_options(clusterings, name)
    what = f"clustering {name}"

    def cluster(embeddings: Floats, num_clusters: int, seed: int = 0) -> npt.NDArray[np.int64]:
        return np.asarray(clusterings[name](embeddings, num_clusters, seed, **options))

    for num_samples, num_clusters in ((1, 1), (2, 1), (2, 2), (40, 5), (40, 40), (600, 2)):
        _check_ids(cluster(_embeddings(num_samples), num_clusters), num_samples, num_clusters, what)
    _check_ids(cluster(read_only(np.ones((20, 6), np.float32)), 4), 20, 4, f"{what}, samples that are all alike")
    for seed in (0, 2**31 - 1):
        first, second = (cluster(_embeddings(40), 7, seed) for _ in range(2))
        assert np.array_equal(first, second), f"{what}: equal seeds give different ids"
    one, two = _with_one_and_two_threads(lambda: cluster(_embeddings(600), 9))
    assert np.array_equal(one, two), f"{what}: the ids depend on the number of threads"
    points = read_only(100 * np.eye(6, dtype=np.float32).repeat(10, axis=0) + _embeddings(60))
    groups = cluster(points, 30).reshape(6, 10)
    in_groups = sum(len(set(group)) for group in groups.tolist())
    assert in_groups == len(set(groups.ravel().tolist())), f"{what}: points that are far apart share a cluster"
    given = _embeddings(40).copy()
    cluster(given, 7)
    assert np.array_equal(given, _embeddings(40)), f"{what}: writes to the embeddings"
    with _global_random_state_kept(what):
        before = cluster(_embeddings(40), 7, 3)
    with _other_global_random_state():
        after = cluster(_embeddings(40), 7, 3)
    assert np.array_equal(before, after), f"{what}: the ids depend on the global random state"
    _check_refusals(cluster, what)


def check_expert(name: str, /, options_for: Callable[[int], Mapping[str, Any]] | None = None, **options: Any) -> None:
    """Check an expert: each sample gets a class and a cost, and a cluster is labeled or refused for a cost.

    Equal seeds must give equal answers. The answer about a sample must not depend on the samples asked with it. `wrong`
    and `purity` must agree with the true labels where the expert knows them. The expert must neither use nor change the
    global random state.

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
    clusters = [expert.label_cluster(_cluster(indices), np.random.default_rng(4)) for _ in range(2)]
    same = np.array_equal(samples[0].labels, samples[1].labels) and np.array_equal(
        samples[0].seconds, samples[1].seconds
    )
    assert same, f"{what}: equal seeds give different answers about samples"
    parts = [answer.labeled(_cluster(indices)).tolist() for answer in clusters]
    same = parts[0] == parts[1] and replace(clusters[0], part=None) == replace(clusters[1], part=None)
    assert same, f"{what}: equal seeds give different answers about a cluster"
    truth = expert.truth(np.array([7, 3]))
    assert truth is None or truth.tolist() == true_labels[[7, 3]].tolist(), f"{what}: truth() is not the truth"
    many, few = np.arange(49, 0, -1), np.array([3, 40, 7])
    answers = [expert.label_samples(asked, np.random.default_rng(4)).labels for asked in (many, few)]
    same = answers[1].tolist() == [answers[0][49 - index] for index in few]
    assert same, f"{what}: the answer about a sample depends on what is asked with it; draw a number for each sample"
    with _global_random_state_kept(what):
        expert = expert_of(true_labels.copy())
        expert.label_samples(np.arange(9), np.random.default_rng(4))
        expert.label_cluster(_cluster(np.arange(20)), np.random.default_rng(4))


def check_pseudo_labels(name: str, /, **options: Any) -> None:
    """Check a pseudo-labeling method: it gives a class to each of several different unlabeled samples, or to none.

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
                    with _warnings_are_errors():
                        indices, labels = label(view, iteration, **options)
                    _check_chosen(indices, view.predictions.indices, case)
                    assert labels.shape == indices.shape, f"{case}: {labels.shape} labels of {indices.shape} samples"
                    assert labels.dtype == np.int64, f"{case}: labels are {labels.dtype}, should be int64"
                    assert set(labels.tolist()) <= set(range(num_classes)), f"{case}: labels are no classes"
    first, second = (label(example_view(40, 3, seed=7), 1, **options) for _ in range(2))
    same = first.indices.tolist() == second.indices.tolist() and first.labels.tolist() == second.labels.tolist()
    assert same, f"pseudo_labels {name}: equal seeds give different labels"
    view = example_view(20, 2)
    dead = replace(view.predictions, embeddings=read_only(np.zeros((20, 6), np.float32)))
    assert len(label(replace(view, predictions=dead), 0, **options).indices) <= 20
    with _global_random_state_kept(f"pseudo_labels {name}"):
        label(example_view(40, 3), 1, **options)


def check_dataset(name: str, /, **options: Any) -> None:
    """Check a dataset: `load` returns what `inspect` announces, as arrays of the right types, equal for equal seeds.

    A dataset with the options `train_size`, `test_size` and `subset_seed` is also checked with them. The dataset should
    be small, or be made small by its options, as it is loaded several times.
    """
    check_options(datasets, name)
    for key in ("seed", "image_size"):
        assert key not in datasets.options(name), f"dataset {name}: {key} is filled in by raycal and no option"

    def make(**more: Any) -> Dataset:
        made: Dataset = datasets[name](seed=3, image_size=16, **options, **more)
        return made

    sizes: list[dict[str, int]] = [{}]
    if {"train_size", "test_size", "subset_seed"} - set(options) <= set(datasets.options(name)):
        sizes += [{"train_size": 6, "test_size": 3}, {"train_size": 6, "subset_seed": 4}, {"test_size": 3}]
    for more in sizes:
        case = f"dataset {name}{f' {more}' if more else ''}"
        dataset = make(**more)
        info, loaded = dataset.inspect(), dataset.load()
        _check_sizes(info, loaded, case)
        assert info.num_train == more.get("train_size", info.num_train), f"{case}: {info.num_train} training images"
        assert info.num_test == more.get("test_size", info.num_test), f"{case}: {info.num_test} test images"
        _check_arrays(loaded, case)
    with _global_random_state_kept(f"dataset {name}"):
        first = make().load()
    again = make().load()
    for array in ("images", "labels", "train_rows", "test_rows"):
        same = np.array_equal(getattr(first, array), getattr(again, array))
        assert same, f"dataset {name}: equal seeds give different {array}"
    if first.source is not None:
        known = make().load(content=first.source.content)
        assert np.array_equal(known.images, first.images), f"dataset {name}: load(content=...) gives other images"


def check_network(name: str, /, **options: Any) -> None:
    """Check a network: its last layer can be found and computes its logits, and its cost is as declared.

    Equal seeds must draw the same weights. Building the network must not change the state of torch's own generator. The
    network must be trainable on a batch of two images.
    """
    import torch

    from raycal.learner.network import features_of, head_of, new_network

    check_options(networks, name)
    facts, what = networks.facts(name), f"network {name}"
    side = facts.image_size or 32
    generator = torch.random.get_rng_state()
    first, again = (new_network(name, 3, np.random.default_rng(5), options) for _ in range(2))
    assert torch.equal(torch.random.get_rng_state(), generator), f"{what}: building it moves torch's own generator"
    state, other = first.state_dict(), again.state_dict()
    prefix, head = head_of(first)
    for key, value in state.items():
        same = key.startswith(prefix) or torch.equal(value, other[key])
        assert same, f"{what}: equal seeds draw different weights: {key}"
    images = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    first.eval()
    with torch.inference_mode():
        features, logits = features_of(first, head, images), first(images)
        assert logits.shape == (2, 3), f"{what}: logits have the shape {tuple(logits.shape)}, should be (2, 3)"
        wide, layer = (2, head.in_features), prefix[:-1]
        assert features.shape == wide, (
            f"{what}: what its last layer {layer} is given has the shape {tuple(features.shape)}, should be {wide}"
        )
        assert torch.allclose(head(features), logits, rtol=1e-4, atol=1e-5), (
            f"{what}: its logits are not what its last layer {prefix[:-1]} gives; name the right one with `head`"
        )
    first.train()
    first(images).sum().backward()
    graded = [value.grad is not None for key, value in first.named_parameters() if key.startswith(prefix)]
    assert all(graded), f"{what}: its last layer {prefix[:-1]} gets no gradient"
    gflop = _gflop(name, options, facts.image_size or 224)
    assert gflop / COST_FACTOR <= facts.gflop <= gflop * COST_FACTOR, (
        f"{what}: declares {facts.gflop:g} GFLOP (10^9 multiply-adds) for an image of {facts.image_size or 224} px, "
        f"but torch counts {gflop:.3g}; declare gflop={gflop:.3g}"
    )


def check_loss(name: str, /, **options: Any) -> None:
    """Check a loss: it is a finite float32 for each sample, and a step against its gradient raises the label's logit.

    The gradient must be finite. A sample of weight 0 must not affect the others. The loss must accept a single class.
    """
    import torch

    check_options(losses, name)
    what = f"loss {name}"
    labels, positions = torch.tensor([0, 1]), torch.tensor([4, 2])

    def value(logits: "Tensor") -> "Tensor":
        of_samples = losses[name](5, **options)(logits, labels, positions)
        assert of_samples.shape == (2,), f"{what}: has the shape {tuple(of_samples.shape)}, should be (2,)"
        assert of_samples.dtype == torch.float32, f"{what}: is {of_samples.dtype}, should be float32"
        return of_samples

    for scale in (1.0, 1000.0):
        made = losses[name](5, **options)
        logits = (scale * torch.tensor([[1.0, -2.0, 0.0], [-1.0, 1.0, 2.0]])).requires_grad_()
        for _ in range(3):
            of_samples = made(logits, labels, positions)
        of_samples.sum().backward()  # type: ignore[no-untyped-call]
        assert of_samples.isfinite().all(), f"{what}: is not finite for logits of the size {scale:g}"
        assert logits.grad is not None, f"{what}: has no gradient"
        assert logits.grad.isfinite().all(), f"{what}: its gradient is not finite for logits of the size {scale:g}"
    example = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 3.0]])
    logits = example.clone().requires_grad_()
    value(logits).sum().backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    raises = (logits.grad.gather(1, labels.unsqueeze(1)) < 0).all()
    assert raises, f"{what}: a step against its gradient does not raise the logit of the label"
    gradients = []
    for other in (example[1], torch.tensor([9.0, -9.0, 1.0])):
        logits = torch.stack([example[0], other]).requires_grad_()
        (value(logits) * torch.tensor([1.0, 0.0])).sum().backward()  # type: ignore[no-untyped-call]
        assert logits.grad is not None
        gradients.append(logits.grad)
        assert (logits.grad[1] == 0).all(), f"{what}: a sample of weight 0 has an effect"
    assert gradients[0][0].ne(0).any(), f"{what}: the gradient of a wrong sample is zero"
    alone = losses[name](5, **options)(torch.zeros(2, 1), torch.tensor([0, 0]), positions)
    assert alone.isfinite().all(), f"{what}: is not finite for a single class"


def _predictions(num_samples: int, num_classes: int) -> Predictions:
    rng = np.random.default_rng(1)
    probs = rng.dirichlet(np.ones(num_classes), num_samples).astype(np.float32)
    probs[0] = np.eye(num_classes)[0]
    probs[1:2] = 1 / num_classes
    return Predictions(
        indices=read_only(3 * np.arange(num_samples) + 5),
        probs=read_only(probs),
        embeddings=read_only(rng.random((num_samples, 6), np.float32)),
    )


def _embeddings(num_samples: int) -> Floats:
    points: Floats = read_only(np.random.default_rng(2).random((num_samples, 6), np.float32))
    return points


def _cluster(indices: Indices) -> Cluster:
    """A cluster whose samples lie on a line, in the order of their indices."""
    return Cluster(
        indices=read_only(indices), embeddings=lambda: read_only(indices[:, None].astype(np.float32) * [[1, 2]])
    )


def _check_chosen(indices: Indices, allowed: Indices, case: str) -> None:
    """Check that the indices are different samples among those that may be chosen."""
    assert indices.ndim == 1, f"{case}: indices have the shape {indices.shape}"
    assert indices.dtype == np.int64, f"{case}: indices are {indices.dtype}, should be int64"
    assert len(set(indices.tolist())) == len(indices), f"{case}: a sample is chosen twice"
    assert set(indices.tolist()) <= set(allowed.tolist()), f"{case}: chooses what is not in view.predictions.indices"


def _check_ids(ids: npt.NDArray[np.int64], num_samples: int, num_clusters: int, what: str) -> None:
    case = f"{what} ({num_samples} samples, {num_clusters} clusters)"
    assert ids.shape == (num_samples,), f"{case}: ids have the shape {ids.shape}"
    assert ids.dtype == np.int64, f"{case}: ids are {ids.dtype}, should be int64"
    assert 0 <= ids.min() <= ids.max() < num_clusters, f"{case}: ids range from {ids.min()} to {ids.max()}"


def _check_refusals(cluster: Callable[[Floats, int], Any], what: str) -> None:
    """Check that embeddings that are not finite are refused, with a message that has their number and the first row."""
    for wrong in (np.nan, np.inf, -np.inf):
        for everywhere in (False, True):
            given: Any = _embeddings(40).copy()
            given[slice(None) if everywhere else 7, 2] = wrong
            with _warnings_are_errors():
                message = _diverged(lambda given=given: cluster(given, 5))  # type: ignore[misc]
            count, row = (40, 0) if everywhere else (1, 7)
            assert message is not None, f"{what}: takes embeddings that hold {wrong}; begin with finite_points()"
            said = f"{count} of 40 embeddings" in message and f"first in row {row}" in message
            assert said, f"{what}: does not say how many embeddings hold {wrong} and where: {message}"
    given = _embeddings(40).astype(np.float64)
    given[3, :2] = 1e300, -1e300
    with _warnings_are_errors():
        message = _diverged(lambda: cluster(given, 5))
    assert message is not None, f"{what}: takes embeddings that float32 cannot hold; begin with finite_points()"
    assert "row 3" in message, f"{what}: does not say where an embedding is that float32 cannot hold: {message}"


def _diverged(call: Callable[[], object]) -> str | None:
    """The message of the DivergedError that a call raises; None if the call raises none."""
    try:
        call()
    except DivergedError as error:
        return str(error)
    return None


def _check_answers(expert: Expert, true_labels: Labels, num_samples: int, what: str) -> None:
    num_classes = int(true_labels.max()) + 1
    indices = read_only(np.arange(50)[::-1][:num_samples].copy())
    answers = expert.label_samples(indices, np.random.default_rng(0))
    assert answers.labels.shape == answers.seconds.shape == (num_samples,), f"{what}: labels or seconds are missing"
    dtypes = [str(answers.labels.dtype), str(answers.seconds.dtype)]
    assert dtypes == ["int64", "float64"], f"{what}: labels and seconds are {dtypes}, should be int64 and float64"
    assert set(answers.labels.tolist()) <= set(range(num_classes)), f"{what}: labels are no classes"
    assert np.isfinite(answers.seconds).all(), f"{what}: costs are not finite"
    assert (answers.seconds >= 0).all(), f"{what}: costs are negative"
    if answers.wrong is not None:
        assert answers.wrong.dtype == np.bool_, f"{what}: `wrong` is {answers.wrong.dtype}, should be bool"
        right = np.array_equal(answers.wrong, answers.labels != true_labels[indices])
        assert right, f"{what}: `wrong` does not mark the labels that are not the true ones"
    members = np.arange(num_samples)
    answer = expert.label_cluster(_cluster(members.copy()), np.random.default_rng(0))
    assert type(answer.seconds) is float, f"{what}: the cost of a cluster is no float"
    assert answer.seconds >= 0, f"{what}: the cost of a cluster is negative"
    if answer.purity is not None:
        purity = np.bincount(true_labels[members]).max() / num_samples
        assert answer.purity == purity, f"{what}: says the purity {answer.purity}, it is {purity}"
    if answer.label is None:
        assert answer.wrong is None, f"{what}: a cluster that is refused has no wrong labels"
        return
    assert type(answer.label) is int, f"{what}: the label of a cluster is no int"
    assert answer.label in range(num_classes), f"{what}: the label of a cluster is no class"
    labeled = answer.labeled(_cluster(members.copy()))
    assert set(labeled.tolist()) <= set(members.tolist()), f"{what}: labels samples that are not in the cluster"
    wrong = np.count_nonzero(true_labels[labeled] != answer.label)
    assert answer.wrong in (None, wrong), f"{what}: says that {answer.wrong} labels are wrong, {wrong} are"


def _check_sizes(info: DatasetInfo, loaded: ImageDataset, case: str) -> None:
    said, found = (info.num_train, info.num_test), (loaded.num_train, loaded.num_test)
    assert said == found, f"{case}: inspect() says {said} training and test images, load() gives {found}"
    classes = len(set(loaded.class_names))
    assert loaded.num_classes == classes, f"{case}: two classes have one name"
    assert info.num_classes == classes, f"{case}: inspect() says {info.num_classes} classes, load() gives {classes}"


def _check_arrays(loaded: ImageDataset, case: str) -> None:
    images, labels = loaded.images, loaded.labels
    assert images.dtype == np.uint8, f"{case}: images are {images.dtype}, should be uint8"
    assert images.ndim == 4, f"{case}: images have the shape {images.shape}, should be (S, H, W, 3)"
    assert images.shape[3] == 3, f"{case}: images have the shape {images.shape}, should be (S, H, W, 3)"
    assert images.max() > images.min(), f"{case}: all pixels are the same"
    assert labels.dtype == np.int64, f"{case}: labels are {labels.dtype}, should be int64"
    assert labels.shape == (len(images),), f"{case}: labels have the shape {labels.shape}, {len(images)} images"
    assert 0 <= labels.min() <= labels.max() < loaded.num_classes, f"{case}: labels are no classes"
    for split in ("train_rows", "test_rows"):
        rows = getattr(loaded, split)
        assert rows.dtype == np.int64, f"{case}: {split} are {rows.dtype}, should be int64"
        assert (np.diff(rows) > 0).all(), f"{case}: {split} do not ascend"
        assert 0 <= rows[0] <= rows[-1] < len(images), f"{case}: {split} are no rows of the images"
    assert not set(loaded.train_rows.tolist()) & set(loaded.test_rows.tolist()), f"{case}: an image is in both splits"
    for array in ("images", "labels", "train_rows", "test_rows"):
        assert not getattr(loaded, array).flags.writeable, f"{case}: {array} can be written to"


def _gflop(name: str, options: Mapping[str, Any], side: int) -> float:
    """The multiply-adds of a forward pass of one image, in 10^9, as counted by torch, without computing if possible."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    def count(device: str) -> float:
        with torch.random.fork_rng(devices=[]), torch.device(device):
            network: nn.Module = networks[name](3, **options).eval()
            counter = FlopCounterMode(display=False)
            with counter, torch.inference_mode():
                network(torch.zeros(1, 3, side, side))
        return counter.get_total_flops() / 2e9

    try:
        return count("meta")
    except (RuntimeError, NotImplementedError, TypeError):  # the network reads values, which meta tensors lack
        return count("cpu")


@contextmanager
def _warnings_are_errors() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@contextmanager
def _global_random_state_kept(what: str) -> Iterator[None]:
    before = str(np.random.get_state())  # noqa: NPY002
    yield
    assert str(np.random.get_state()) == before, f"{what}: draws from numpy's global random state"  # noqa: NPY002


@contextmanager
def _other_global_random_state() -> Iterator[None]:
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(123)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002


def _with_one_and_two_threads(call: Callable[[], Any]) -> list[Any]:
    """The results of a call with one thread of Faiss and with two."""
    import faiss

    before, found = faiss.omp_get_max_threads(), []
    try:
        for threads in (1, 2):
            faiss.omp_set_num_threads(threads)
            found.append(call())
    finally:
        faiss.omp_set_num_threads(before)
    return found
