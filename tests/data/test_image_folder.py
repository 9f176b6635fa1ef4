import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision.datasets.folder import default_loader
from torchvision.transforms import CenterCrop, Compose, Resize

from raycal.data.image_dataset import ImageDataset
from raycal.data.image_folder import ImageFolder, list_images
from raycal.data.one_image import decode_image
from raycal.errors import InputError

WriteImage = Callable[..., Path]


def make(root: Path, *, seed: int = 0, image_size: int = 32, **options: object) -> ImageFolder:
    return ImageFolder(seed=seed, image_size=image_size, root=str(root), **options)  # type: ignore[arg-type]


def load(root: Path, **options: object) -> ImageDataset:
    return make(root, **options).load()  # type: ignore[arg-type]


def problems(root: Path, **options: object) -> list[str]:
    with pytest.raises(InputError) as refused:
        make(root, **options).load()  # type: ignore[arg-type]
    return list(refused.value.problems)


def noise(height: int, width: int, *channels: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, *channels), np.uint8)


@pytest.fixture
def split_root(tmp_path: Path, write_image: WriteImage) -> Path:
    root = tmp_path / "split"
    for value, file in enumerate(("train/a/1.png", "train/b/1.png", "train/b/deep/er/2.PNG", "train/c/1.png")):
        write_image(root / file, (value, 0, 0))
    for value, file in enumerate(("test/a/1.png", "test/c/1.png"), start=100):
        write_image(root / file, (value, 0, 0))
    return root


def oversized_png(width: int, height: int) -> bytes:
    """The bytes of a small PNG whose header declares a large black image."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


# The following tests check which images are read, and into which split.


def test_train_and_test_folders_are_the_split(split_root: Path) -> None:
    dataset = load(split_root)

    assert dataset.images[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 100, 101]
    # The test split has no class b, and the label of c is still 2.
    assert dataset.labels.tolist() == [0, 1, 1, 2, 0, 2]
    assert dataset.train_rows.tolist() == [0, 1, 2, 3]
    assert dataset.test_rows.tolist() == [4, 5]
    assert dataset.class_names == ("a", "b", "c")


def test_one_folder_is_split_at_random_by_the_seed(flat_root: Path, count_decoded: list[Path]) -> None:
    first, again, other = (load(flat_root, seed=seed) for seed in (0, 0, 1))

    assert first.images[:, 0, 0, 0].tolist() == list(range(20))
    assert first.labels.tolist() == [0] * 10 + [1] * 10
    assert (first.num_train, first.num_test) == (16, 4)
    assert np.array_equal(first.test_rows, again.test_rows)
    assert not np.array_equal(first.test_rows, other.test_rows)
    assert len(count_decoded) == 20


def test_only_the_images_of_a_subset_are_decoded(flat_root: Path, count_decoded: list[Path]) -> None:
    whole_split = make(flat_root)._rows(list_images(flat_root))
    dataset = load(flat_root, train_size=5, test_size=2)

    assert dataset.images.shape == (7, 8, 8, 3)
    assert {int(path.stem) for path in count_decoded} == set(dataset.images[:, 0, 0, 0].tolist())
    assert set(dataset.images[dataset.train_rows, 0, 0, 0]) < set(whole_split.train)
    assert set(dataset.images[dataset.test_rows, 0, 0, 0]) < set(whole_split.test)
    assert np.array_equal(dataset.labels, dataset.images[:, 0, 0, 0] // 10)


def test_subset_of_a_given_split_is_the_same_for_every_seed(split_root: Path) -> None:
    first, other = (load(split_root, seed=seed, train_size=2) for seed in (0, 1))

    assert np.array_equal(first.images, other.images)
    assert (first.num_train, first.num_test) == (2, 2)


def test_single_class_is_refused(tmp_path: Path, write_image: WriteImage) -> None:
    for i in range(5):
        write_image(tmp_path / "one" / "only" / f"{i}.png")

    assert problems(tmp_path / "one") == [
        f"{tmp_path}/one: has only one class, only (5 images); at least two are needed, each with its images in a"
        " folder named after it"
    ]


def test_hidden_and_other_files_are_ignored_and_links_are_followed(flat_root: Path, tmp_path: Path) -> None:
    (flat_root / ".ipynb_checkpoints").mkdir()
    (flat_root / "ant" / "._00.png").write_bytes(b"resource fork")
    (flat_root / "ant" / "notes.txt").write_text("x")
    (flat_root / "readme.png").write_text("not in a class")
    (flat_root / "ant" / "00.png").rename(tmp_path / "elsewhere.png")
    (flat_root / "ant" / "00.png").symlink_to(tmp_path / "elsewhere.png")

    assert load(flat_root).images[:, 0, 0, 0].tolist() == list(range(20))


def test_root_with_a_tilde_is_in_the_home_folder(flat_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(flat_root.parent))

    assert make(Path("~/flat")).inspect().num_train == 16


def test_settings_and_folders_that_are_not_used_are_told(split_root: Path) -> None:
    (split_root / "val").mkdir()

    assert make(split_root, test_fraction=0.5).inspect().notes == (
        "only train/ and test/ are used, not val/",
        "images in folders below a class are images of the class: b/ (deep/)",
        "test_fraction is not used: the folder has its own train and test split",
    )


# The following tests check which folders are refused.


def test_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file or directory; give an existing folder of images"):
        ImageFolder(seed=0, image_size=32, root=str(tmp_path / "nothing")).inspect()


def test_folder_without_classes_is_refused(tmp_path: Path, write_image: WriteImage) -> None:
    write_image(tmp_path / "flat" / "1.png")

    assert problems(tmp_path / "flat") == [
        f"{tmp_path}/flat: has no class folders; put the images of each class into a folder named after it"
    ]


def test_every_empty_class_and_broken_link_is_named(flat_root: Path) -> None:
    (flat_root / "cow" / "deep").mkdir(parents=True)
    (flat_root / "dog").mkdir()
    (flat_root / "dog" / "dog.txt").write_text("wuff")
    (flat_root / "bee" / "gone.png").symlink_to(flat_root / "nowhere.png")
    os.mkfifo(flat_root / "bee" / "pipe.png")

    cannot = "a broken link or not a file; remove it"
    empty = "class without an image (.jpg, .jpeg, .jpe, .jfif, .png, .bmp, .gif, .webp, .tif, .tiff, .ppm, .pgm, .pbm)"
    assert sorted(problems(flat_root)) == [
        f"{flat_root}/bee/gone.png: {cannot}",
        f"{flat_root}/bee/pipe.png: {cannot}",
        f"{flat_root}/cow: {empty}; add some or remove it",
        f"{flat_root}/dog: {empty}; it has 1 .txt; add some or remove it",
    ]


def test_link_to_a_folder_above_is_refused(flat_root: Path) -> None:
    (flat_root / "ant" / "again").symlink_to(flat_root / "ant")

    assert problems(flat_root) == [
        f"{flat_root}/ant/again: links to a folder that it lies in; remove the link",
    ]


def test_test_class_that_train_does_not_have_is_refused(split_root: Path, write_image: WriteImage) -> None:
    write_image(split_root / "test" / "zebra" / "1.png")

    assert problems(split_root) == [
        f"{split_root}/test: classes that train does not have: zebra; both splits need the same classes",
    ]


def test_train_without_test_is_refused(split_root: Path) -> None:
    (split_root / "test").rename(split_root / "extra")

    assert problems(split_root) == [
        f"{split_root}: has train/ with class folders but no test/ (beside it: extra/); add it, or give"
        f" {split_root}/train as root to have it split at random"
    ]


def test_class_may_be_named_train(tmp_path: Path, write_image: WriteImage) -> None:
    for name in ("bus", "train"):
        for i in range(3):
            write_image(tmp_path / "vehicles" / name / f"{i}.png")

    assert load(tmp_path / "vehicles").class_names == ("bus", "train")


def test_too_few_images_cannot_be_split(tmp_path: Path, write_image: WriteImage) -> None:
    write_image(tmp_path / "few" / "a" / "1.png")
    write_image(tmp_path / "few" / "b" / "1.png")

    assert problems(tmp_path / "few", test_fraction=0.9) == [
        f"{tmp_path}/few: a test_fraction of 0.9 of 2 images leaves 0 for training and 2 for testing;"
        " both need at least 1"
    ]


def test_subset_larger_than_the_split_is_refused(flat_root: Path) -> None:
    assert problems(flat_root, train_size=17) == [
        f"{flat_root}: train_size: 17 is more than the 16 images there are; give at most 16"
    ]


def test_images_that_cannot_be_used_are_named_in_one_line(flat_root: Path, raycal_cache: Path) -> None:
    ant = flat_root / "ant"
    (ant / "00.png").write_bytes(oversized_png(5000, 4000))
    (ant / "01.png").write_bytes(oversized_png(20000, 20000))
    (ant / "02.png").write_bytes(b"")
    (ant / "03.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    Image.fromarray(noise(40, 40, 3)).save(ant / "04.jpg")
    (ant / "04.png").unlink()
    os.truncate(ant / "04.jpg", 900)
    (ant / "05.png").write_bytes(b"GIF89a")
    (ant / "06.png").write_bytes(b"\x89PNG\r\n\x1a\n")

    (problem,) = problems(flat_root)
    formats = "JPEG, PNG, BMP, GIF, WEBP, TIFF, PPM"
    assert problem.startswith(f"{flat_root}: 7 of 20 images cannot be used: ant/00.png (image file is truncated")
    assert (
        f" ant/01.png (more than 256 Mpx); ant/02.png (not an image in {formats});"
        f" ant/03.png (not an image in {formats}); ant/04.jpg (image file is truncated"
    ) in problem
    assert problem.endswith("; and 2 more; replace or remove them")
    assert "\n" not in problem
    assert not [path for path in (raycal_cache / "arrays").iterdir() if path.is_dir()]


def test_large_images_outside_the_subset_are_not_opened(split_root: Path) -> None:
    (split_root / "train" / "a" / "1.png").write_bytes(oversized_png(5000, 4000))

    refused = []
    for subset_seed in range(20):
        try:
            load(split_root, train_size=1, subset_seed=subset_seed)
        except InputError:
            refused.append(subset_seed)
    assert 0 < len(refused) < 20


def test_image_that_would_become_huge_when_resized_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "line.png"
    Image.new("L", (1, 100_000)).save(path)

    assert decode_image(path, side=224) == "1 x 100000 pixels, too narrow to be resized to 224 pixels"


# The following tests check the size at which images are stored.


def test_square_images_of_one_size_are_stored_as_they_are(flat_root: Path) -> None:
    assert load(flat_root, image_size=8).images.shape[1:3] == (8, 8)
    assert load(flat_root, image_size=7).images.shape[1:3] == (7, 7)


@pytest.mark.parametrize("other", [(9, 9), (8, 9)])
def test_images_of_several_sizes_are_stored_at_image_size(
    flat_root: Path, write_image: WriteImage, other: tuple[int, int]
) -> None:
    write_image(flat_root / "ant" / "00.png", size=other)

    assert load(flat_root, image_size=12).images.shape[1:3] == (12, 12)


def test_given_size_is_the_stored_size(flat_root: Path, count_decoded: list[Path]) -> None:
    assert load(flat_root, size=4).images.shape == (20, 4, 4, 3)
    load(flat_root, size=4, image_size=64)
    assert len(count_decoded) == 20


@pytest.mark.parametrize("shape", [(30, 41), (41, 30), (30, 30), (16, 16), (7, 100), (9, 5), (16, 33), (33, 16)])
def test_resize_and_crop_are_those_of_torchvision(tmp_path: Path, shape: tuple[int, int]) -> None:
    path = tmp_path / "image.png"
    Image.fromarray(noise(*shape, 3)).save(path)

    expected = Compose([Resize(16), CenterCrop(16)])(default_loader(str(path)))

    assert np.array_equal(decode_image(path, side=16), np.asarray(expected))


# The following tests check the color modes of images.

MODES = (
    *("L.png", "1.png", "P.png", "LA.png", "RGBA.png", "P.gif", "RGBA.webp", "RGB.bmp"),
    *("CMYK.jpg", "YCbCr.jpg", "CMYK.tiff", "RGB.ppm", "L.pgm", "1.pbm"),
)


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [tuple(case.split(".")) for case in MODES],
)
def test_modes_become_rgb_as_in_torchvision(tmp_path: Path, mode: str, suffix: str) -> None:
    path = tmp_path / f"image.{suffix}"
    Image.fromarray(noise(16, 16, 4), "RGBA").convert("RGB" if mode in ("CMYK", "YCbCr", "P") else "RGBA").convert(
        "L" if suffix == "pgm" else mode
    ).save(path)

    decoded = decode_image(path, side=16)

    assert not isinstance(decoded, str), decoded
    assert decoded.shape == (16, 16, 3)
    assert np.array_equal(decoded, np.asarray(default_loader(str(path))))


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_16_bit_gray_is_scaled_to_8_bit(tmp_path: Path, suffix: str) -> None:
    gray = np.array([[0, 128, 129], [257, 32768, 65535], [65406, 65407, 1000]], np.uint16)
    path = tmp_path / f"gray.{suffix}"
    Image.fromarray(gray).save(path)

    decoded = decode_image(path, side=3)

    assert not isinstance(decoded, str), decoded
    assert decoded[..., 0].tolist() == [[0, 0, 1], [1, 128, 255], [254, 255, 4]]
    assert np.array_equal(decoded[..., 0], decoded[..., 2])


@pytest.mark.parametrize(
    ("pixels", "reason"),
    [
        (np.full((4, 4), 0.5, np.float32), "floating-point pixels have no known range"),
        (np.full((4, 4), 70_000, np.int32), "gray values beyond 16 bit have no known range"),
        (np.full((4, 4), -1, np.int32), "gray values beyond 16 bit have no known range"),
    ],
)
def test_pixels_without_a_known_range_are_refused(tmp_path: Path, pixels: np.ndarray, reason: str) -> None:
    path = tmp_path / "image.tiff"
    Image.fromarray(pixels).save(path)

    assert decode_image(path, side=4) == reason


def test_exif_rotation_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "rotated.png"
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = noise(8, 8, 3)
    Image.fromarray(pixels).save(path, exif=exif)

    assert np.array_equal(decode_image(path, side=8), pixels)


# The following tests check the cache.


def test_second_load_does_not_decode_and_a_changed_file_does(
    flat_root: Path, count_decoded: list[Path], write_image: WriteImage
) -> None:
    load(flat_root)
    dataset = load(flat_root)
    assert isinstance(dataset.images, np.memmap)
    assert len(count_decoded) == 20

    write_image(flat_root / "ant" / "00.png", (99, 0, 0))
    assert load(flat_root).images[0, 0, 0, 0] == 99
    assert len(count_decoded) == 40


def test_more_images_than_one_chunk_keep_their_order(flat_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raycal.data.decode.CHUNK_BYTES", 1)

    assert load(flat_root).images[:, 0, 0, 0].tolist() == list(range(20))
