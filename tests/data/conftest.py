"""Fixtures: small datasets in the layouts of the real datasets."""

import hashlib
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

EUROSAT_CLASSES = (
    "AnnualCrop",
    "Forest",
    "HerbaceousVegetation",
    "Highway",
    "Industrial",
    "Pasture",
    "PermanentCrop",
    "Residential",
    "River",
    "SeaLake",
)


@pytest.fixture
def write_image() -> Callable[..., Path]:
    """Write an image of one color, or of the given pixels."""

    def write(path: Path, content: Any = (10, 20, 30), *, size: tuple[int, int] = (8, 8), mode: str = "RGB") -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        is_pixels = isinstance(content, np.ndarray)
        image = Image.fromarray(content) if is_pixels else Image.new(mode, size, content)
        image.save(path)
        return path

    return write


@pytest.fixture
def count_decoded(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """A list of the paths decoded so far, which grows with every decoded file."""
    from raycal.data import decode

    decoded: list[Path] = []
    real = decode.decode_image

    def counting(path: Path, *, side: int) -> object:
        decoded.append(path)
        return real(path, side=side)

    monkeypatch.setattr(decode, "decode_image", counting)
    return decoded


@pytest.fixture
def flat_root(tmp_path: Path, write_image: Callable[..., Path]) -> Path:
    """20 images of 8 x 8 in two classes; image i has the red value i."""
    root = tmp_path / "flat"
    for i in range(20):
        write_image(root / ("ant" if i < 10 else "bee") / f"{i:02}.png", (i, 0, 0))
    return root


@pytest.fixture
def manifest_of_flat_root(flat_root: Path) -> Path:
    """A CSV file beside the folder that lists its images."""
    file = flat_root.parent / "flat.csv"
    paths = [path.relative_to(flat_root.parent) for path in sorted(flat_root.rglob("*.png"))]
    file.write_text("".join(["path,label\n", *(f"{path},{path.parent.name}\n" for path in paths)]))
    return file


@pytest.fixture
def eurosat_root(tmp_path: Path) -> Path:
    """Ten images in each of the ten classes; image j of class k is gray with the value 20 k + j."""
    for k, name in enumerate(EUROSAT_CLASSES):
        folder = tmp_path / "data" / "eurosat" / "2750" / name
        folder.mkdir(parents=True)
        for j in range(10):
            Image.new("RGB", (64, 64), (20 * k + j,) * 3).save(folder / f"{name}_{j}.jpg", quality=100)
    return tmp_path / "data"


@pytest.fixture
def cifar10_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """50 training and 10 test images in the format of the real files: pixel (y, x) of channel c of image i is (i + 1) *
    (c + 1) + x."""
    from torchvision.datasets import CIFAR10

    from raycal.data import cifar10

    folder = tmp_path / "cifar" / "cifar-10-batches-py"
    folder.mkdir(parents=True)

    def write(name: str, content: dict[str, object]) -> str:
        (folder / name).write_bytes(pickle.dumps(content))
        return hashlib.md5((folder / name).read_bytes()).hexdigest()

    def batch(first: int) -> dict[str, object]:
        i = np.arange(first, first + 10)[:, None, None, None]
        c, x = np.arange(3)[:, None, None], np.arange(32)
        data = np.broadcast_to((i + 1) * (c + 1) + x, (10, 3, 32, 32)).astype(np.uint8).reshape(10, 3072)
        return {"data": data, "labels": [(first + row) * 7 % 10 for row in range(10)]}

    names = [f"data_batch_{number}" for number in range(1, 6)]
    md5s = [write(name, batch(10 * position)) for position, name in enumerate(names)]
    monkeypatch.setattr(CIFAR10, "train_list", [list(pair) for pair in zip(names, md5s, strict=True)])
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", write("test_batch", batch(50))]])
    meta_md5 = write("batches.meta", {"label_names": list(cifar10.CLASS_NAMES)})
    monkeypatch.setattr(CIFAR10, "meta", {"filename": "batches.meta", "key": "label_names", "md5": meta_md5})
    monkeypatch.setattr(cifar10, "NUM_TRAIN", 50)
    monkeypatch.setattr(cifar10, "NUM_TEST", 10)
    return tmp_path / "cifar"


@pytest.fixture
def vectors_file(tmp_path: Path) -> Path:
    """Forty vectors of five values in three classes, with their labels."""
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 3
    vectors = (rng.standard_normal((40, 5)) + labels[:, None]).astype(np.float32)
    np.savez(tmp_path / "vectors.npz", vectors=vectors, labels=np.array(["ash", "oak", "yew"])[labels])
    return tmp_path / "vectors.npz"
