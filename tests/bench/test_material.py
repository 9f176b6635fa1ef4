from pathlib import Path

import numpy as np
import pytest

from raycal.bench.material import Options, embeddings, images, made_up_images
from raycal.errors import InputError


def test_classes_of_made_up_images_look_different() -> None:
    made = made_up_images(400, 100)

    assert made.images.shape == (500, 32, 32, 3)
    assert np.bincount(made.labels).tolist() == [50] * 10
    flat = made.images.reshape(500, -1).astype(np.float64)
    means = np.stack([flat[made.labels == label].mean(axis=0) for label in range(10)])
    assert (((flat[:, None] - means) ** 2).sum(axis=2).argmin(axis=1) == made.labels).all()


def test_made_up_embeddings_are_as_pooled_ones() -> None:
    points = embeddings(Options(), 300)

    assert (points.shape, points.dtype) == ((300, 512), np.float32)
    assert points.min() == 0
    assert points[:, :10].var() > 5 * points[:, -10:].var()


def test_embeddings_of_a_file_are_used(tmp_path: Path) -> None:
    np.save(tmp_path / "f.npy", np.arange(20.0).reshape(10, 2))

    assert embeddings(Options(embeddings=str(tmp_path / "f.npy")), 3).tolist() == [[0, 1], [2, 3], [4, 5]]


@pytest.mark.parametrize(
    ("content", "line"), [(None, "not an array saved by numpy"), (b"text", "not an array"), (2, "should have 30 rows")]
)
def test_file_without_the_embeddings_is_refused(tmp_path: Path, content: bytes | int | None, line: str) -> None:
    path = tmp_path / "f.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content:
        np.save(path, np.zeros((content, 4)))

    with pytest.raises(InputError, match=line):
        embeddings(Options(embeddings=str(path)), 30)


def test_images_of_a_folder_are_drawn_from_both_splits(tmp_path: Path) -> None:
    from PIL import Image

    for split in ("train", "test"):
        for name in ("cat", "dog"):
            (tmp_path / split / name).mkdir(parents=True)
            for number in range(4):
                Image.new("RGB", (32, 32), (number, 0, 0)).save(tmp_path / split / name / f"{number}.png")
    options = Options(data=str(tmp_path))

    found = images(options, 5, 3, 32)

    assert (found.num_train, found.num_test, found.class_names) == (5, 3, ("cat", "dog"))
    with pytest.raises(InputError, match="should have 9 training and 3 test images"):
        images(options, 9, 3, 32)
