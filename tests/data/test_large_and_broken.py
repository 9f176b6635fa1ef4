"""Tests large photos, gray images of more than eight bits, and images that cannot be decoded."""

import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from raycal.data import datasets
from raycal.data.manifest import manifest_of
from raycal.data.one_image import decode_image
from raycal.errors import InputError


def pattern(width: int, height: int) -> Image.Image:
    """An image with four quarters of different colors."""
    small = np.array([[[250, 0, 0], [0, 250, 0]], [[0, 0, 250], [240, 240, 240]]], np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.NEAREST)


@pytest.mark.parametrize(
    ("suffix", "options"), [("jpg", {}), ("jpg", {"progressive": True}), ("png", {"compress_level": 1}), ("bmp", {})]
)
@pytest.mark.parametrize("size", [(5500, 4000), (4000, 5500)], ids=str)
def test_photo_of_22_megapixels_is_what_a_small_one_is(
    size: tuple[int, int], suffix: str, options: dict[str, int], tmp_path: Path
) -> None:
    pattern(*size).save(tmp_path / f"large.{suffix}", **options)
    pattern(size[0] // 4, size[1] // 4).save(tmp_path / "small.png")

    large, small = (decode_image(tmp_path / name, side=64) for name in (f"large.{suffix}", "small.png"))

    assert isinstance(large, np.ndarray)
    assert isinstance(small, np.ndarray)
    assert large.shape == (64, 64, 3)
    edges = np.abs(np.arange(64) - 31.5) < 3
    flat = ~(edges[:, None] | edges[None, :])
    assert np.abs(large.astype(int) - small)[flat].max() <= 6


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK"])
def test_modes_of_large_images(mode: str, tmp_path: Path) -> None:
    suffix = "tif" if mode == "CMYK" else "png"
    pattern(5000, 4000).convert(mode).save(tmp_path / f"large.{suffix}")
    pattern(500, 400).convert(mode).save(tmp_path / f"small.{suffix}")

    large, small = (decode_image(tmp_path / f"{name}.{suffix}", side=32) for name in ("large", "small"))
    assert isinstance(large, np.ndarray)
    assert isinstance(small, np.ndarray)
    assert np.abs(large.astype(int) - small)[4:12, 4:12].max() <= 3


@pytest.mark.slow
def test_many_photos_at_once_take_the_memory_of_one(tmp_path: Path) -> None:
    for number in range(8):
        pattern(7000, 7000).save(tmp_path / f"{number}.png", compress_level=1)
    code = (
        "import resource, sys; from pathlib import Path; from raycal.data.decode import decoded_images;"
        "root = Path(sys.argv[1]); before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss;"
        "decoded_images(root, [f'{n}.png' for n in range(8)], size=32, image_size=32);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    run = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)

    one = 7000 * 7000 * 3 / 1024
    # The memory is in KiB; 100,000 of them cover the compressed files and numpy.
    assert int(run.stdout) < 2 * one + 100_000


def tiff(values: np.ndarray, *, bits: int, photometric: int) -> bytes:
    """A TIFF with one uncompressed gray strip, packed as in the TIFF standard."""
    height, width = values.shape
    if bits == 12:
        flat = values.reshape(-1, 2)
        data = b"".join(bytes([a >> 4, (a & 15) << 4 | b >> 8, b & 255]) for a, b in flat.tolist())
    else:
        data = values.astype("<u2" if bits == 16 else np.uint8).tobytes()
    entries = [(256, width), (257, height), (258, bits), (259, 1), (262, photometric), (273, 8), (277, 1)]
    entries += [(278, height), (279, len(data))]
    directory = b"".join(struct.pack("<HHII", tag, 4 if tag in (273, 279) else 3, 1, value) for tag, value in entries)
    header = b"II*\0" + struct.pack("<I", 8 + len(data) + len(data) % 2)
    return header + data + b"\0" * (len(data) % 2) + struct.pack("<H", len(entries)) + directory + bytes(4)


@pytest.mark.parametrize(
    ("bits", "photometric"),
    [(8, 0), (8, 1), (12, 1), (16, 0), (16, 1)],  # Pillow cannot open a TIFF of 12 bits in which zero is white.
)
def test_gray_tiff_uses_its_whole_range(bits: int, photometric: int, tmp_path: Path) -> None:
    most = 2**bits - 1
    ramp = np.linspace(0, most, 64).round().astype(int).reshape(8, 8)
    (tmp_path / "x.tif").write_bytes(tiff(ramp, bits=bits, photometric=photometric))

    image = decode_image(tmp_path / "x.tif", side=8)

    assert isinstance(image, np.ndarray), image
    expected = ramp * 255 / most
    assert np.abs(image[..., 0] - (expected if photometric else 255 - expected)).max() <= 0.51


def broken(root: Path) -> None:
    """Break two of the twenty images."""
    (root / "ant" / "03.png").write_bytes(b"not an image")
    whole = (root / "bee" / "12.png").read_bytes()
    (root / "bee" / "12.png").write_bytes(whole[: len(whole) // 2])


class TestOnError:
    def test_broken_images_are_left_out_and_named(self, flat_root: Path) -> None:
        broken(flat_root)
        whole = datasets["image_folder"](seed=0, image_size=16, root=str(flat_root), on_error="skip").load()

        assert (whole.num_train + whole.num_test, len(whole.left_out)) == (18, 2)
        assert [line.partition(" (")[0] for line in whole.left_out] == ["ant/03.png", "bee/12.png"]
        for rows in (whole.train_rows, whole.test_rows):
            reds = whole.images[rows, 0, 0, 0]
            assert not {3, 12} & set(reds.tolist())
            assert (whole.labels[rows] == (reds >= 10)).all()  # Images and labels still belong together.
        manifest = manifest_of(whole)
        assert manifest.is_complete
        assert len(manifest.names) == 18

    def test_they_are_refused_unless_asked_for_whatever_the_cache_holds(self, flat_root: Path) -> None:
        broken(flat_root)
        for _ in range(2):
            with pytest.raises(InputError, match=r"2 of 20 images cannot be used: ant/03.png \(not an image in"):
                datasets["image_folder"](seed=0, image_size=16, root=str(flat_root)).load()
            again = datasets["image_folder"](seed=0, image_size=16, root=str(flat_root), on_error="skip").load()
            assert len(again.left_out) == 2

    def test_folder_without_a_whole_image_is_refused(self, flat_root: Path) -> None:
        for path in flat_root.rglob("*.png"):
            path.write_bytes(b"x")
        with pytest.raises(InputError, match="20 of 20 images cannot be used"):
            datasets["image_folder"](seed=0, image_size=16, root=str(flat_root), on_error="skip").load()

    def test_disk_that_fails_is_no_broken_image(
        self, flat_root: Path, monkeypatch: pytest.MonkeyPatch, raycal_cache: Path
    ) -> None:
        opened: Callable[..., object] = Image.open

        def fail(path: Path, **options: object) -> object:
            if path.name == "03.png":
                raise OSError(5, "Input/output error")
            return opened(path, **options)

        monkeypatch.setattr(Image, "open", fail)
        with pytest.raises(InputError, match=r"1 of 20 images cannot be used: ant/03.png \(Input/output error\)"):
            datasets["image_folder"](seed=0, image_size=16, root=str(flat_root), on_error="skip").load()
        assert not [path for path in (raycal_cache / "arrays").iterdir() if path.is_dir()]


def test_limit_of_pillow_is_as_before(flat_root: Path) -> None:
    before = Image.MAX_IMAGE_PIXELS
    datasets["image_folder"](seed=0, image_size=16, root=str(flat_root)).load()
    assert before == Image.MAX_IMAGE_PIXELS
