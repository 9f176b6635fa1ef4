"""A list of the samples of a dataset with their digests, by which changes of the dataset are detected and described."""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from raycal.data.content import DIGEST_BYTES, Digests, digest_of_all, listing_digest, name_and_class
from raycal.data.loaded import UNLABELED, LoadedDataset
from raycal.errors import first_of
from raycal.registry import Kind

NAMES_SHOWN = 5


class ManifestDigests(NamedTuple):
    """The digests of a manifest, in hexadecimal.

    Attributes:
        train: The digest of the samples of the training pool: their names, classes and content, in order.
        test: The same digest of the samples of the test split.
        images: The same digest of the samples of both splits, sorted by name, so that it does not depend on the split.
        listing: The digest of the names and classes of all samples, including samples that no split uses.
    """

    train: str
    test: str
    images: str
    listing: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Manifest:
    """The n samples that the splits of a dataset use, by name.

    Attributes:
        names: The names of the samples; no two are equal.
        classes: The class of each sample; empty for a sample without a label.
        digests: (n, 16) uint8, the digest of each sample's content.
        num_listed: The number of all samples, including samples that no split uses.
        content: See `SourceFiles.content`; None for a dataset whose samples did not come from one file each.
        digest: The digests of the manifest.
        kind: The kind of the samples, as a plural, for messages.
    """

    names: tuple[str, ...]
    classes: tuple[str, ...]
    digests: Digests
    num_listed: int
    content: str | None
    digest: ManifestDigests
    kind: Kind = "images"

    @property
    def is_complete(self) -> bool:
        """Whether the splits use all samples."""
        return len(self.names) == self.num_listed


def manifest_of(dataset: LoadedDataset) -> Manifest:
    """The manifest of a loaded dataset. Samples that did not come from one file each are named by their row."""
    rows = np.union1d(dataset.train_rows, dataset.test_rows)
    class_of = ["" if label == UNLABELED else dataset.class_names[label] for label in dataset.labels]
    all_names, source = dataset.names, dataset.source
    digests = dataset.sample_digests(rows)
    listing = listing_digest(all_names, class_of) if source is None else source.listing
    names = tuple(all_names[row] for row in rows)
    classes = tuple(class_of[row] for row in rows)
    lines = [
        name_and_class(name, class_name) + digest.tobytes()
        for name, class_name, digest in zip(names, classes, digests, strict=True)
    ]
    if dataset.weights is not None:
        weights = dataset.weights[rows].tolist()
        lines = [line + struct.pack("<f", weight) for line, weight in zip(lines, weights, strict=True)]
    return Manifest(
        names=names,
        classes=classes,
        digests=digests,
        num_listed=len(class_of) if source is None else source.num_listed,
        content=None if source is None else source.content,
        digest=ManifestDigests(
            train=digest_of_all(lines[row] for row in np.searchsorted(rows, dataset.train_rows)),
            test=digest_of_all(lines[row] for row in np.searchsorted(rows, dataset.test_rows)),
            images=digest_of_all(sorted(lines)),
            listing=listing,
        ),
        kind=dataset.kind,
    )


def in_both_splits(dataset: LoadedDataset, manifest: Manifest) -> dict[str, str]:
    """The test samples that have the same content as a training sample. Each test sample's name is mapped to the name
    of one such training sample.
    """
    rows = np.union1d(dataset.train_rows, dataset.test_rows)
    digests = [digest.tobytes() for digest in manifest.digests]
    train, test = (np.searchsorted(rows, part).tolist() for part in (dataset.train_rows, dataset.test_rows))
    learned = {digests[row]: row for row in reversed(train)}
    return {manifest.names[row]: manifest.names[learned[digests[row]]] for row in test if digests[row] in learned}


def differences(before: Manifest, now: Manifest) -> list[str]:
    """The differences between two manifests of one dataset, whose splits may use different samples.

    Each difference is a few words with the names of the first samples that it concerns. The list is empty if nothing
    changed.
    """
    if before.digest.images == now.digest.images and before.digest.listing == now.digest.listing:
        return []
    old, new = _by_name(before), _by_name(now)
    both = [name for name in new if name in old]
    relabeled = [
        f"{name} was {old[name].class_name}, is {new[name].class_name}"
        for name in both
        if old[name].class_name != new[name].class_name
    ]
    words = [
        *_named("another class", relabeled, now.kind),
        *_named("other content", [name for name in both if old[name].digest != new[name].digest], now.kind),
    ]
    if before.digest.listing != now.digest.listing:
        # A manifest knows only the number of samples that no split uses, so a sample that it does not name may be one
        # of them.
        if before.is_complete and now.is_complete:
            words += _moved(old, new, now.kind)
        if not words:
            words = [
                f"{before.num_listed:,} {now.kind} were there and {now.num_listed:,} are now, or their names changed"
            ]
    if not words and old == new:
        words = ["the weights of samples changed"]
    return words


class _Sample(NamedTuple):
    class_name: str
    digest: bytes


def _by_name(manifest: Manifest) -> dict[str, _Sample]:
    digests = manifest.digests.tobytes()
    contents = (digests[begin : begin + DIGEST_BYTES] for begin in range(0, len(digests), DIGEST_BYTES))
    return dict(zip(manifest.names, map(_Sample, manifest.classes, contents), strict=True))


def _moved(old: Mapping[str, _Sample], new: Mapping[str, _Sample], kind: Kind) -> list[str]:
    """The differences due to samples that now have another name or class folder, that were removed, or that were
    added."""
    gone, added = ([name for name in one if name not in other] for one, other in ((old, new), (new, old)))
    places = {new[name].digest: name for name in added}
    moved = {name: places.pop(old[name].digest) for name in gone if old[name].digest in places}
    return [
        *_named("moved", [f"{name} is {place} now" for name, place in moved.items()], kind),
        *_named("removed", [name for name in gone if name not in moved], kind),
        *_named("added", [name for name in added if name not in moved.values()], kind),
    ]


def _named(what: str, names: Sequence[str], kind: Kind) -> list[str]:
    """A difference as one line with the number of samples and the first names; an empty list if there are no
    samples.
    """
    if not names:
        return []
    samples = f"1 {kind.removesuffix('s')}" if len(names) == 1 else f"{len(names):,} {kind}"
    return [f"{what}: {samples} ({first_of(names, NAMES_SHOWN)})"]
