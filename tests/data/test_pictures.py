"""Tests the pictures that people see: their size and pixels, the cache of pictures, and what happens if a file is
missing."""

import os
import resource
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from raycal.data import ImageDataset, datasets, pictures
from raycal.data.images import UnlabeledImages
from raycal.data.pictures import ENTRY, OFFSETS, PICTURES, Pictures, PictureUnavailableError, media_type

WriteImage = Callable[..., Path]
COLORS = ((250, 0, 0), (0, 250, 0), (0, 0, 250), (240, 240, 240))


def quarters(width: int, height: int) -> Image.Image:
    """An image with four quarters of different colors: red and green above, blue and white below."""
    small = np.array(COLORS, np.uint8).reshape(2, 2, 3)
    return Image.fromarray(small).resize((width, height), Image.Resampling.NEAREST)


def colors(picture: bytes) -> list[int]:
    """Which of the four colors each quarter of a picture has."""
    pixels = pixels_of(picture).astype(int)
    height, width = pixels.shape[:2]
    seen = [pixels[y * height // 4, x * width // 4] for y in (1, 3) for x in (1, 3)]
    return [int(np.abs(np.array(COLORS) - pixel).sum(axis=1).argmin()) for pixel in seen]


def pixels_of(picture: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(picture)).convert("RGB"))


def size(picture: bytes) -> tuple[int, int]:
    return Image.open(BytesIO(picture)).size


def load(root: Path) -> ImageDataset:
    return UnlabeledImages(root=str(root), seed=0, image_size=16).load()


def row_of(dataset: ImageDataset, name: str) -> int:
    assert dataset.source is not None
    return dataset.source.names.index(name)


@pytest.fixture
def root(tmp_path: Path, write_image: WriteImage) -> Path:
    """Twelve small images of different colors."""
    for i in range(12):
        write_image(tmp_path / "images" / f"{i:02}.png", (20 * i, 0, 0))
    return tmp_path / "images"


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that gets the largest side of every picture that is decoded from a file."""
    sides: list[int] = []
    real = pictures.whole_image

    def counting(file: object, *, side: int) -> object:
        sides.append(side)
        return real(file, side=side)  # type: ignore[arg-type]

    monkeypatch.setattr(pictures, "whole_image", counting)
    return sides


def pack_of(cache: Path) -> Path:
    (folder,) = (cache / "thumbnails").iterdir()
    return folder


class TestSize:
    @pytest.mark.parametrize(
        ("original", "thumbnail", "full"),
        [
            ((400, 200), (160, 80), (800, 400)),
            ((3000, 2000), (160, 107), (1600, 1067)),
            ((160, 160), (160, 160), (480, 480)),
            ((28, 28), (112, 112), (504, 504)),
            ((8, 4), (96, 48), (480, 240)),
            ((90, 45), (160, 80), (540, 270)),
            ((2000, 1), (160, 1), (1600, 1)),
            ((1, 1), (96, 96), (480, 480)),
        ],
        ids=str,
    )
    def test_whole_image_is_fitted(
        self, root: Path, original: tuple[int, int], thumbnail: tuple[int, int], full: tuple[int, int]
    ) -> None:
        quarters(*original).save(root / "a.png")
        dataset = load(root)
        with Pictures(dataset, root) as made:
            row = row_of(dataset, "a.png")

            assert size(made.thumbnail(row)) == thumbnail
            assert size(made.full(row)) == full

    def test_small_image_keeps_its_exact_pixels(self, root: Path) -> None:
        noise = np.random.default_rng(0).integers(0, 256, (28, 20, 3), np.uint8)
        Image.fromarray(noise).save(root / "a.png")
        dataset = load(root)
        with Pictures(dataset, root) as made:
            thumbnail, full = made.thumbnail(row_of(dataset, "a.png")), made.full(row_of(dataset, "a.png"))

        assert (pixels_of(thumbnail) == noise.repeat(4, axis=0).repeat(4, axis=1)).all()
        assert (pixels_of(full) == noise.repeat(18, axis=0).repeat(18, axis=1)).all()
        assert (media_type(thumbnail), media_type(full)) == ("image/webp", "image/webp")

    @pytest.mark.parametrize(("suffix", "options"), [("jpg", {}), ("jpg", {"progressive": True}), ("png", {})])
    def test_photo_of_22_megapixels(self, root: Path, suffix: str, options: dict[str, object]) -> None:
        quarters(5500, 4000).save(root / f"a.{suffix}", **options)
        dataset = load(root)
        with Pictures(dataset, root) as made:
            row = row_of(dataset, f"a.{suffix}")
            thumbnail, full = made.thumbnail(row), made.full(row)

        assert (size(thumbnail), size(full)) == ((160, 116), (1600, 1164))
        assert colors(thumbnail) == colors(full) == [0, 1, 2, 3]
        assert media_type(full) == "image/jpeg"

    def test_what_the_model_sees_is_the_stored_square(self, root: Path) -> None:
        noise = np.random.default_rng(0).integers(0, 256, (30, 50, 3), np.uint8)
        Image.fromarray(noise).save(root / "a.png")
        dataset = load(root)
        with Pictures(dataset, root) as made:
            for row in range(len(dataset.images)):
                assert (pixels_of(made.model(row)) == dataset.images[row]).all()

    @pytest.mark.parametrize("row", [-1, 12])
    def test_row_that_is_no_image(self, root: Path, row: int) -> None:
        with Pictures(load(root), root) as made:
            for picture in (made.thumbnail, made.full, made.model):
                with pytest.raises(IndexError, match=f"there is no image {row}"):
                    picture(row)


class TestContent:
    # The quarters of an upright image after each EXIF orientation.
    TURNED = {1: [0, 1, 2, 3], 2: [1, 0, 3, 2], 3: [3, 2, 1, 0], 4: [2, 3, 0, 1]} | {
        5: [0, 2, 1, 3],
        6: [2, 0, 3, 1],
        7: [3, 1, 2, 0],
        8: [1, 3, 0, 2],
        99: [0, 1, 2, 3],
    }

    @pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
    @pytest.mark.parametrize("orientation", TURNED)
    def test_image_is_upright_for_people(self, root: Path, orientation: int, suffix: str) -> None:
        exif = Image.Exif()
        exif[274] = orientation
        quarters(400, 200).save(root / f"a.{suffix}", exif=exif)
        dataset = load(root)
        with Pictures(dataset, root) as made:
            row = row_of(dataset, f"a.{suffix}")
            thumbnail, full = made.thumbnail(row), made.full(row)

        assert colors(thumbnail) == colors(full) == self.TURNED[orientation]
        assert size(thumbnail) == ((80, 160) if 5 <= orientation <= 8 else (160, 80))

    @pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
    def test_metadata_and_appended_bytes_do_not_reach_a_browser(self, root: Path, suffix: str) -> None:
        exif = Image.Exif()
        exif[0x010E] = "SECRET description"
        exif.get_ifd(0x8825)[29] = "SECRET place"
        path = root / f"a.{suffix}"
        quarters(2000, 1000).save(path, exif=exif, icc_profile=b"SECRET profile", comment=b"SECRET comment")
        path.write_bytes(path.read_bytes() + b"<script>alert('SECRET')</script>")
        dataset = load(root)
        assert b"SECRET" in path.read_bytes()
        with Pictures(dataset, root) as made:
            row = row_of(dataset, path.name)
            for picture in (made.thumbnail(row), made.full(row), made.model(row)):
                assert b"SECRET" not in picture
                assert dict(Image.open(BytesIO(picture)).getexif()) == {}

    def test_damaged_exif_is_ignored(self, root: Path) -> None:
        quarters(200, 200).save(root / "a.jpg", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\xff" * 40)
        dataset = load(root)
        with Pictures(dataset, root) as made:
            assert colors(made.thumbnail(row_of(dataset, "a.jpg"))) == [0, 1, 2, 3]

    @pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1", "I;16"])
    def test_all_modes(self, root: Path, mode: str) -> None:
        image = Image.new("I;16", (40, 20), 40_000) if mode == "I;16" else quarters(40, 20).convert(mode)
        name = "a.tif" if mode == "CMYK" else "a.png"
        image.save(root / name)
        dataset = load(root)
        with Pictures(dataset, root) as made:
            assert size(made.thumbnail(row_of(dataset, name))) == (120, 60)

    def test_dataset_without_files_is_served_from_its_array(self, raycal_cache: Path) -> None:
        digits = datasets["digits"](seed=0, image_size=32).load()
        with Pictures(digits) as made:
            made.prepare(range(5))
            expected = digits.images[7].repeat(12, axis=0).repeat(12, axis=1)
            assert (pixels_of(made.thumbnail(7)) == expected).all()
            assert size(made.full(7)) == (480, 480)
        assert not (raycal_cache / "thumbnails").exists()


class TestUnavailable:
    def error(self, picture: Callable[[int], bytes], row: int) -> PictureUnavailableError:
        with pytest.raises(PictureUnavailableError) as raised:
            picture(row)
        assert raised.value.row == row
        return raised.value

    def test_missing_file(self, root: Path) -> None:
        with Pictures(load(root), root) as made:
            (root / "03.png").unlink()

            for picture in (made.thumbnail, made.full):
                error = self.error(picture, 3)
                assert str(error) == f"{root}/03.png: No such file or directory; put the file back"
                assert not error.folder_is_gone
            assert size(made.model(3)) == (8, 8)

    def test_changed_file(self, root: Path, write_image: WriteImage) -> None:
        with Pictures(load(root), root) as made:
            original = (root / "03.png").read_bytes()
            write_image(root / "03.png", (1, 2, 3))
            assert str(self.error(made.thumbnail, 3)) == f"{root}/03.png: has changed; put the original file back"

            (root / "03.png").write_bytes(original)
            # The error is not cached: the next call reads the file again.
            assert pixels_of(made.thumbnail(3))[0, 0].tolist() == [60, 0, 0]

    @pytest.mark.parametrize("is_empty", [False, True])
    def test_folder_that_is_not_reachable(self, root: Path, is_empty: bool) -> None:
        with Pictures(load(root), root) as made:
            kept = made.thumbnail(0)
            root.rename(root.parent / "elsewhere")
            if is_empty:
                root.mkdir()  # An empty folder stands for the mount point of a disk that is not mounted.

            error = self.error(made.full, 0)
            assert str(error) == f"the folder {root} is not reachable (No such file or directory)"
            assert error.folder_is_gone
            assert self.error(made.thumbnail, 1).folder_is_gone
            assert made.thumbnail(0) == kept

    def test_pipe_in_place_of_a_file_is_not_waited_for(self, root: Path) -> None:
        with Pictures(load(root), root) as made:
            (root / "03.png").unlink()
            os.mkfifo(root / "03.png")

            assert str(self.error(made.full, 3)).startswith(f"{root}/03.png: not a file")

    def test_broken_file_of_a_dataset_that_lists_it(self, tmp_path: Path, write_image: WriteImage) -> None:
        for name in ("a/0.png", "a/1.png", "b/0.png", "b/1.png", "b/2.png"):
            write_image(tmp_path / "birds" / name, (len(name), 0, 0))
        (tmp_path / "birds" / "b" / "1.png").write_bytes(b"<svg/>")
        options = {"root": str(tmp_path / "birds"), "on_error": "skip"}
        dataset = datasets["image_folder"](seed=0, image_size=16, **options).load()
        with Pictures(dataset, tmp_path / "birds") as made:
            assert "1.png: not an image in JPEG" in str(self.error(made.thumbnail, 3))


class TestCache:
    def test_second_start_decodes_nothing(self, root: Path, made: list[int]) -> None:
        dataset = load(root)
        with Pictures(dataset, root) as first:
            thumbnails = [first.thumbnail(row) for row in range(12)]
        assert made == [160] * 12

        with Pictures(dataset, root) as second:
            assert second.num_kept == 12
            assert [second.thumbnail(row) for row in range(12)] == thumbnails
        assert made == [160] * 12

    def test_thumbnails_are_found_by_content_and_not_by_row(
        self, root: Path, write_image: WriteImage, made: list[int]
    ) -> None:
        with Pictures(load(root), root) as first:
            thumbnails = [first.thumbnail(row) for row in range(12)]
        write_image(root / "00 before.png", (205, 0, 0))
        write_image(root / "03.png", (206, 0, 0))
        dataset = load(root)
        with Pictures(dataset, root) as second:
            assert second.num_kept == 11
            for row in range(13):
                assert pixels_of(second.thumbnail(row))[0, 0].tolist() == dataset.images[row][0, 0].tolist()
            assert second.thumbnail(12) == thumbnails[11]
        assert len(made) == 12 + 2

    @pytest.mark.parametrize("name", [PICTURES, OFFSETS])
    def test_what_a_killed_process_left_does_no_harm(
        self, root: Path, raycal_cache: Path, made: list[int], name: str
    ) -> None:
        dataset = load(root)
        with Pictures(dataset, root) as first:
            thumbnails = [first.thumbnail(row) for row in range(4)]
        path = pack_of(raycal_cache) / name
        whole = path.read_bytes()
        last = ENTRY.itemsize if name == OFFSETS else len(thumbnails[3])
        for length in range(len(whole) - last, len(whole)):
            path.write_bytes(whole[:length])
            made.clear()
            with Pictures(dataset, root) as second:
                assert second.num_kept == 3
                assert [second.thumbnail(row) for row in range(5)][:4] == thumbnails
            assert len(made) == 2
            with Pictures(dataset, root) as third:
                assert third.num_kept == 5
                assert [third.thumbnail(row) for row in range(4)] == thumbnails
            assert len(made) == 2
            if name == PICTURES:
                (pack_of(raycal_cache) / OFFSETS).write_bytes(
                    (pack_of(raycal_cache) / OFFSETS).read_bytes()[: 4 * ENTRY.itemsize]
                )

    @pytest.mark.parametrize("name", [PICTURES, OFFSETS])
    def test_damaged_bytes_are_made_again(self, root: Path, raycal_cache: Path, name: str) -> None:
        dataset = load(root)
        with Pictures(dataset, root) as first:
            thumbnails = [first.thumbnail(row) for row in range(12)]
        path = pack_of(raycal_cache) / name
        whole = path.read_bytes()
        for at in range(0, len(whole), 7):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :])
            with Pictures(dataset, root) as second:
                assert [second.thumbnail(row) for row in range(12)] == thumbnails

    def test_two_servers_may_write_at_once(self, root: Path) -> None:
        dataset = load(root)
        with Pictures(dataset, root) as one, Pictures(dataset, root) as other, ThreadPoolExecutor(4) as pool:
            jobs = [pool.submit(server.thumbnail, row) for row in range(12) for server in (one, other)]
            made = [job.result() for job in jobs]
        with Pictures(dataset, root) as again:
            assert again.num_kept == 12
            assert [again.thumbnail(row) for row in range(12)] == made[::2] == made[1::2]

    def test_cache_that_cannot_be_written(self, root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        (tmp_path / "file").write_text("x")
        with Pictures(load(root), root, tmp_path / "file") as made:
            made.prepare(range(12))
            assert size(made.thumbnail(0)) == (96, 96)
            assert made.num_kept == 0
        assert [line.endswith("cannot keep thumbnails (Not a directory); they are made each time") for line in
                caplog.messages] == [True]  # fmt: skip

    def test_full_disk(self, root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        dataset = load(root)
        with Pictures(dataset, root, tmp_path / "cache") as made:
            first = made.thumbnail(0)
            with files_of_at_most(len(first) + 5):
                others = [made.thumbnail(row) for row in range(1, 12)]
            assert made.num_kept == 1
        assert len(caplog.messages) == 1
        assert (pack_of(tmp_path / "cache") / PICTURES).read_bytes() == first
        with Pictures(dataset, root, tmp_path / "cache") as again:
            assert [again.thumbnail(row) for row in range(12)] == [first, *others]
            assert again.num_kept == 12


@contextmanager
def files_of_at_most(num_bytes: int) -> Iterator[None]:
    """Let no file of this process become larger, as if a disk were full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


class TestThreads:
    def test_picture_is_made_once_for_all_that_wait_for_it(self, root: Path, made: list[int]) -> None:
        quarters(3000, 2000).save(root / "a.png")
        dataset = load(root)
        row = row_of(dataset, "a.png")
        gate = threading.Barrier(6)

        with Pictures(dataset, root) as served, ThreadPoolExecutor(6) as pool:

            def ask(_: int) -> bytes:
                gate.wait()
                return served.thumbnail(row)

            (picture,) = {*pool.map(ask, range(6))}

        assert size(picture) == (160, 107)
        assert made == [160]

    def test_preparation_follows_the_order_and_a_later_call_comes_first(
        self, root: Path, raycal_cache: Path, write_image: WriteImage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pictures, "NUM_THREADS", 2)  # One of the two threads prepares pictures.
        for i in range(30):
            quarters(600 + i, 400).save(root / f"{i + 20}.png")
        dataset = load(root)
        order = np.random.default_rng(0).permutation(41).tolist()
        with Pictures(dataset, root) as made:
            made.prepare(order)
            made.prepare([41, 41, 1000])
            assert made.wait(60)
            assert made.num_kept == 42

        assert dataset.source is not None
        entries = np.frombuffer((pack_of(raycal_cache) / OFFSETS).read_bytes(), ENTRY)
        row_by_digest = {digest.tobytes(): row for row, digest in enumerate(dataset.source.digests)}
        prepared = [row_by_digest[digest.tobytes()] for digest in entries["digest"]]
        assert prepared.index(41) < 40
        prepared.remove(41)
        assert prepared == order

    def test_preparation_leaves_out_what_cannot_be_read_and_ends_when_closed(self, root: Path) -> None:
        dataset = load(root)
        (root / "03.png").unlink()
        with Pictures(dataset, root) as made:
            made.prepare(range(12))
            assert made.wait(60)
            assert made.num_kept == 11

        before = threading.active_count()
        shutil.rmtree(root)
        with Pictures(dataset, root) as made:
            made.prepare(range(12))
        assert threading.active_count() <= before

    def test_limit_of_pillow_is_as_before(self, root: Path) -> None:
        before = Image.MAX_IMAGE_PIXELS
        with Pictures(load(root), root) as one, Pictures(load(root), root) as other:
            one.close()
            other.thumbnail(0)
        assert before == Image.MAX_IMAGE_PIXELS
