from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_images import IMAGES

from raycal.data import datasets
from raycal.data.manifest import Manifest, differences, manifest_of


def manifest(root: Path, *, seed: int = 0, **options: object) -> Manifest:
    return manifest_of(datasets["image_folder"](seed=seed, image_size=16, root=str(root), **options).load())


@pytest.mark.parametrize(
    ("changed", "splits"),
    [
        ({"labels": (np.arange(40) + 1) % 3}, {"train", "test"}),
        ({"train_rows": np.arange(29)}, {"train"}),
        ({"test_rows": np.arange(31, 40)}, {"test"}),
        ({"class_names": ("a", "b", "d")}, {"train", "test"}),
        ({"images": np.concatenate([IMAGES.images[:17] + np.uint8(1), IMAGES.images[17:]])}, {"train"}),
        ({"images": np.concatenate([IMAGES.images[:39], IMAGES.images[39:] + np.uint8(1)])}, {"test"}),
    ],
)
def test_digest_of_a_split_differs_with_every_part_of_it(changed: dict[str, object], splits: set[str]) -> None:
    before = manifest_of(IMAGES).digest
    after = manifest_of(replace(IMAGES, **changed)).digest  # type: ignore[arg-type]

    assert {name for name in ("train", "test") if getattr(before, name) != getattr(after, name)} == splits
    assert after.images != before.images
    assert manifest_of(replace(IMAGES)).digest == before


def test_every_image_counts(flat_root: Path) -> None:
    """A digest of only some images could miss a change."""
    digests = {manifest_of(IMAGES).digest.images}
    for row in range(40):
        images = IMAGES.images.copy()
        images[row, 3, 3, 2] ^= 1
        digests.add(manifest_of(replace(IMAGES, images=images)).digest.images)
    assert len(digests) == 41


def test_another_split_of_the_same_images_has_no_differences(flat_root: Path) -> None:
    first, second = manifest(flat_root, seed=0), manifest(flat_root, seed=1)

    assert first.digest.train != second.digest.train
    assert first.digest.images == second.digest.images
    assert differences(first, second) == []
    assert first.is_complete


def test_images_without_files_are_called_by_their_rows() -> None:
    images = IMAGES.images.copy()
    images[4] ^= 1
    labels = IMAGES.labels.copy()
    labels[35] = 0
    before, now = manifest_of(IMAGES), manifest_of(replace(IMAGES, images=images, labels=labels))

    assert differences(before, now) == [
        "another class: 1 image (image 35 was c, is a)",
        "other content: 1 image (image 4)",
    ]


def rewrite(root: Path, write_image: Callable[..., Path]) -> None:
    write_image(root / "ant" / "02.png", (99, 0, 0))
    write_image(root / "bee" / "12.png", (98, 0, 0))


def relabel(root: Path, write_image: Callable[..., Path]) -> None:
    (root / "ant" / "02.png").rename(root / "bee" / "02.png")


def exchange(root: Path, write_image: Callable[..., Path]) -> None:
    one, other = (root / "ant" / "02.png").read_bytes(), (root / "bee" / "12.png").read_bytes()
    (root / "ant" / "02.png").write_bytes(other)
    (root / "bee" / "12.png").write_bytes(one)


def add(root: Path, write_image: Callable[..., Path]) -> None:
    for number in range(7):
        write_image(root / "bee" / f"new{number}.png", (70 + number, 0, 0))


def remove(root: Path, write_image: Callable[..., Path]) -> None:
    (root / "ant" / "02.png").unlink()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (rewrite, "other content: 2 images (ant/02.png, bee/12.png)"),
        (relabel, "moved: 1 image (ant/02.png is bee/02.png now)"),
        (exchange, "other content: 2 images (ant/02.png, bee/12.png)"),
        (
            add,
            "added: 7 images (bee/new0.png, bee/new1.png, bee/new2.png, bee/new3.png, bee/new4.png, and 2 more)",
        ),
        (remove, "removed: 1 image (ant/02.png)"),
    ],
)
@pytest.mark.parametrize("seed", [0, 1], ids=["same split", "other split"])
def test_differences_are_named(
    change: Callable[[Path, Callable[..., Path]], None],
    words: str,
    seed: int,
    flat_root: Path,
    write_image: Callable[..., Path],
) -> None:
    before = manifest(flat_root)
    change(flat_root, write_image)

    assert differences(before, manifest(flat_root, seed=seed)) == [words]


def test_images_of_a_subset_are_compared_where_both_have_them(
    flat_root: Path, write_image: Callable[..., Path]
) -> None:
    before = manifest(flat_root, train_size=8, test_size=2)
    assert not before.is_complete
    assert before.num_listed == 20
    shared = set(before.names) & set(manifest(flat_root, seed=1, train_size=8, test_size=2).names)
    changed = sorted(shared)[0]
    write_image(flat_root / changed, (99, 0, 0))
    assert differences(before, manifest(flat_root, seed=1, train_size=8, test_size=2)) == [
        f"other content: 1 image ({changed})"
    ]


def test_images_added_outside_of_a_subset_are_counted(flat_root: Path, write_image: Callable[..., Path]) -> None:
    before = manifest(flat_root, train_size=8, test_size=2)
    add(flat_root, write_image)

    assert differences(before, manifest(flat_root, train_size=8, test_size=2)) == [
        "20 images were there and 27 are now, or their names changed"
    ]
