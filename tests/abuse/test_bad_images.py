"""Tests folders that hold no images, and images that are damaged, too large or unusual."""

import os
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from refusal import Refuse, expect

from raycal.data.one_image import decode_image

DATASET = "dataset={name: image_folder, root: images}"
RIGHT = "; replace or remove them"


@pytest.fixture(autouse=True)
def images(place: Path) -> Path:
    """A folder with two classes of five images."""
    for name in ("ant", "bee"):
        (place / "images" / name).mkdir(parents=True)
        for i in range(5):
            Image.new("RGB", (8, 8), (i, 0, 0)).save(place / "images" / name / f"{i}.png")
    return place / "images"


FOLDERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda root: root.rename(root.parent / "other"), "PLACE/images: No such file or directory; give an"),
    "a file": (
        lambda root: (root.rename(root.parent / "other"), root.write_text("x")),
        "PLACE/images: Not a directory; give an existing folder of images",
    ),
    "a link to itself": (
        lambda root: (root.rename(root.parent / "other"), root.symlink_to(root)),
        "PLACE/images: Too many levels of symbolic links; give an existing folder of images",
    ),
    "without a class": (
        lambda root: (shutil.rmtree(root), root.mkdir()),
        "PLACE/images: has no class folders; put the images of each class",
    ),
    "a class without an image": (lambda root: (root / "cat").mkdir(), "PLACE/images/cat: class without an image"),
    "a class of other files": (
        lambda root: ((root / "cat").mkdir(), (root / "cat" / "0.txt").write_text("x")),
        "PLACE/images/cat: class without an image",
    ),
    "a class that is a loop": (
        lambda root: (root / "ant" / "ant").symlink_to(root / "ant"),
        "PLACE/images/ant/ant: links to a folder that it lies in; remove the link",
    ),
    "an image that links nowhere": (
        lambda root: (root / "ant" / "x.png").symlink_to(root / "nowhere.png"),
        "PLACE/images/ant/x.png: a broken link or not a file; remove it",
    ),
    "an image that links to itself": (
        lambda root: (root / "ant" / "x.png").symlink_to(root / "ant" / "x.png"),
        "PLACE/images/ant/x.png: Too many levels of symbolic links; make it readable or remove it",
    ),
    "an image that is a pipe": (
        lambda root: os.mkfifo(root / "ant" / "x.png"),
        "PLACE/images/ant/x.png: a broken link or not a file; remove it",
    ),
    "a single image": (
        lambda root: [path.unlink() for path in root.rglob("[1-4].png")] + [shutil.rmtree(root / "bee")],
        "PLACE/images: has only one class, ant (1 images); at least two are needed",
    ),
    "train without test": (
        lambda root: ((root / "train").mkdir(), (root / "ant").rename(root / "train" / "ant")),
        "PLACE/images: has train/ with class folders but no test/",
    ),
}


@pytest.mark.parametrize("case", FOLDERS)
def test_folder_is_refused_before_the_start(images: Path, refuse: Refuse, case: str) -> None:
    damage, part = FOLDERS[case]
    damage(images)

    expect(refuse("--set", DATASET, dry_run=True), part)


UNLABELED = "dataset={name: images, root: images}"
NO_LABELS = (
    "dataset images: has no true labels, from which the expert {} answers; use `expert: people` with raycal.annotate,"
    " or the dataset image_folder"
)


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize("expert", ["oracle", "perfect_purity"])
def test_images_without_labels_are_refused_in_a_sweep(images: Path, refuse: Refuse, expert: str, dry_run: bool) -> None:
    expect(refuse("--set", UNLABELED, "--set", f"expert={expert}", dry_run=dry_run), NO_LABELS.format(expert))


@pytest.mark.parametrize(
    ("root", "part"),
    [
        ("s3://bucket/images", "s3://bucket/images: images in an object store are not supported yet; copy them to a"),
        ("missing", "missing: No such file or directory; give an existing folder of images"),
    ],
)
@pytest.mark.parametrize("dataset", ["images", "image_folder"])
def test_root_that_cannot_be_read_is_refused(images: Path, refuse: Refuse, dataset: str, root: str, part: str) -> None:
    expect(refuse("--set", f"dataset={{name: {dataset}, root: '{root}'}}", dry_run=True), part)


STORAGES = {
    "the folder of the images": ("images", "lies in the folder of the images, PLACE/images"),
    "in it": ("images/runs", "lies in the folder of the images, PLACE/images"),
    "in a class": ("images/ant/deep/runs", "lies in the folder of the images, PLACE/images"),
    "in it, through a link": ("link/runs", "lies in the folder of the images, PLACE/images"),
    "the folder above": (".", "holds the folder of the images, PLACE/images"),
}


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize("case", STORAGES)
def test_storage_must_be_apart_from_the_images(
    place: Path, images: Path, refuse: Refuse, case: str, dry_run: bool
) -> None:
    (place / "link").symlink_to(images)
    storage, part = STORAGES[case]

    expect(refuse("--set", DATASET, "--storage", str(place / storage), dry_run=dry_run), part)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_class_without_permission_is_refused(images: Path, refuse: Refuse) -> None:
    (images / "ant").chmod(0)
    try:
        expect(refuse("--set", DATASET, dry_run=True), "PLACE/images/ant: Permission denied; make it readable or")
    finally:
        (images / "ant").chmod(0o700)


def png(width: int, height: int, body: bytes = b"") -> bytes:
    """A PNG file that claims to have the given size."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def cut(images: Path) -> bytes:
    path = images / "noise.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(path)
    content = path.read_bytes()
    path.unlink()
    return content[: len(content) // 2]


FORMATS = "not an image in JPEG, PNG, BMP, GIF, WEBP, TIFF, PPM"
FILES: dict[str, tuple[bytes | Callable[[Path], bytes], str]] = {
    "empty": (b"", FORMATS),
    "text": (b"hello", FORMATS),
    "script": (b"#!/bin/sh\ntouch /tmp/evil\n", FORMATS),
    "a vector drawing": (b"<svg xmlns='http://www.w3.org/2000/svg' width='8' height='8'/>", FORMATS),
    "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\nshowpage\n", FORMATS),
    "cut": (cut, "image file is truncated"),
    "header alone": (b"\x89PNG\r\n\x1a\n", "x.png ("),
    "no pixel": (png(0, 0), "x.png ("),
    "bomb of 32 Mpx": (png(8000, 4000, zlib.compress(bytes(1000 * 4001))), "truncated"),
    "bomb of a Gpx": (png(40_000, 40_000), "more than 256 Mpx"),
    "thread": (png(1, 100_000, zlib.compress(bytes(2 * 100_000))), "1 x 100000 pixels, too narrow to be resized"),
}


@pytest.mark.parametrize("case", FILES)
def test_image_is_refused_by_its_name(images: Path, refuse: Refuse, case: str) -> None:
    content, part = FILES[case]
    (images / "ant" / "x.png").write_bytes(content(images) if callable(content) else content)

    (line,) = refuse("--set", DATASET)

    assert line.startswith("PLACE/images: 1 of 11 images cannot be used: ant/x.png (")
    assert part in line
    assert line.endswith(RIGHT)


ODD: dict[str, Callable[[], Image.Image]] = {
    "1 x 1.png": lambda: Image.new("RGB", (1, 1), (9, 9, 9)),
    "cmyk.jpg": lambda: Image.new("CMYK", (16, 16), (10, 20, 30, 40)),
    "16 bit.png": lambda: Image.fromarray(np.full((16, 16), 40_000, np.uint16)),
    "palette.png": lambda: Image.new("RGB", (16, 16), (200, 10, 10)).convert("P"),
    "palette.gif": lambda: Image.new("P", (16, 16), 3),
    "transparent.png": lambda: Image.new("RGBA", (16, 16), (10, 20, 30, 0)),
    "bits.png": lambda: Image.new("1", (16, 16), 1),
    "wide.png": lambda: Image.new("RGB", (300, 3), (1, 2, 3)),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_image_works(images: Path, name: str) -> None:
    ODD[name]().save(images / "ant" / name)

    decoded = decode_image(images / "ant" / name, side=16)

    assert not isinstance(decoded, str), decoded
    assert (decoded.shape, decoded.dtype) == ((16, 16, 3), np.uint8)


def test_bomb_takes_no_memory(images: Path) -> None:
    """With 512 MiB of address space, raycal refuses an image that would take 1.6 GB when decoded."""
    path = images / "bomb.png"
    path.write_bytes(png(40_000, 40_000, zlib.compress(bytes(5001 * 40_000), 9)))
    code = (
        "import resource, sys; from pathlib import Path; from PIL import Image; import numpy;"
        "from raycal.data.one_image import decode_image; Image.init();"
        "used = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize();"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 2**29, used + 2**29));"
        "print(decode_image(Path(sys.argv[1]), side=32))"
    )
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    shown = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=99, check=True, env=environment
    )

    assert "more than 256 Mpx" in shown.stdout
