"""Tests the dataset of a folder without labels: which images it has, how they are numbered, and what is held out."""

import os
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from raycal.data import decode, remembered
from raycal.data.image_dataset import ImageDataset
from raycal.data.images import UnlabeledImages
from raycal.data.manifest import differences, manifest_of
from raycal.data.unlabeled import LoadedSamples, SampleList
from raycal.errors import InputError

WriteImage = Callable[..., Path]


def make(root: Path | str, *, seed: int = 0, image_size: int = 16, **options: object) -> UnlabeledImages:
    return UnlabeledImages(seed=seed, image_size=image_size, root=str(root), **options)  # type: ignore[arg-type]


def load(
    root: Path, before: SampleList | None = None, *, add: bool = True, **options: object
) -> LoadedSamples[ImageDataset]:
    return make(root, **options).load_listed(before=before, add=add)  # type: ignore[arg-type]


def problems(root: Path | str, before: SampleList | None = None, **options: object) -> list[str]:
    with pytest.raises(InputError) as refused:
        make(root, **options).load_listed(before=before)  # type: ignore[arg-type]
    assert all("\n" not in line for line in refused.value.problems)
    return [line.replace(str(root), "ROOT") for line in refused.value.problems]


def reds(dataset: ImageDataset) -> list[int]:
    reds: list[int] = dataset.images[:, 0, 0, 0].tolist()
    return reds


def write_cut(path: Path) -> None:
    """Write the first half of a PNG file."""
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


@pytest.fixture
def root(tmp_path: Path, write_image: WriteImage) -> Path:
    """30 images in the folder itself and in nested folders; the image NN has the red value NN."""
    for i in range(30):
        write_image(tmp_path / "birds" / ("", "near", "far/away")[i % 3] / f"{i:02}.png", (i, 0, 0))
    return tmp_path / "birds"


class TestWhichImages:
    def test_flat_and_nested_files_in_the_order_of_their_paths(self, root: Path) -> None:
        loaded = load(root)

        listed = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.png"))
        assert list(loaded.sample_list.names) == listed
        assert reds(loaded.dataset) == [int(name[-6:-4]) for name in listed]
        assert loaded.dataset.labels.tolist() == [-1] * 30
        assert (loaded.dataset.class_names, loaded.dataset.num_classes) == ((), 0)
        assert loaded.notes == ()

    def test_what_is_said_before_anything_is_decoded(self, root: Path, count_decoded: list[Path]) -> None:
        info = make(root).inspect()

        assert str(info) == "birds: comes without labels, 24 in the pool, 6 in the hold-out"
        assert (info.num_train, info.num_test, info.num_classes, info.folder) == (24, 6, 0, root)
        assert (info.class_names, info.notes, info.warnings) == ((), (), ())
        assert count_decoded == []

    def test_duplicates_are_left_out_and_named_with_their_original(self, root: Path) -> None:
        for name in ("near/copy.png", "copy.png", "99.png"):
            shutil.copy(root / "far/away/02.png", root / name)

        loaded, info = load(root), make(root).inspect()

        note = "3 exact duplicates are left out: copy.png (as 99.png), far/away/02.png (as 99.png), near/copy.png (as"
        assert [line.startswith(note) for line in loaded.notes] == [True]
        assert info.notes == loaded.notes
        assert "99.png" in loaded.sample_list.names
        assert not {"copy.png", "near/copy.png", "far/away/02.png"} & {*loaded.sample_list.names}
        assert "near/copy.png (the same content as 99.png)" in loaded.dataset.left_out
        assert (info.num_train, info.num_test) == (24, 6) == (loaded.dataset.num_train, loaded.dataset.num_test)
        assert sorted(reds(loaded.dataset)) == list(range(30))

    def test_files_that_are_no_images_and_folders_of_programs_are_named(
        self, root: Path, write_image: WriteImage
    ) -> None:
        (root / "notes.txt").write_text("x")
        (root / "near" / "a.heic").write_bytes(b"x")
        write_image(root / "__MACOSX" / "x.png", (200, 0, 0))
        write_image(root / ".hidden" / "x.png", (201, 0, 0))

        loaded = load(root)

        assert loaded.dataset.images.shape[0] == 30
        assert loaded.notes[0] == "skipped __MACOSX/: systems and programs keep their files there"
        assert loaded.notes[1].startswith("2 files are not used: 1 .heic, 1 .txt; raycal reads .jpg,")
        assert loaded.notes == make(root).inspect().notes

    def test_names_may_be_anything(self, root: Path, write_image: WriteImage) -> None:
        odd = ["a\nb.png", "\N{BIRD}.png", "'; --.png", " .png", os.fsdecode(b"\xff\xfe.png")]
        for i, name in enumerate(odd):
            write_image(root / name, (100 + i, 0, 0))

        loaded = load(root)

        assert {*odd} <= {*loaded.sample_list.names}
        assert [reds(loaded.dataset)[loaded.sample_list.names.index(name)] for name in odd] == [100, 101, 102, 103, 104]
        again = SampleList.from_json(loaded.sample_list.to_json(), "images.json")
        assert again == loaded.sample_list
        assert reds(load(root, again).dataset) == reds(loaded.dataset)

    def test_images_that_no_program_can_read_are_no_duplicates_of_each_other(self, root: Path) -> None:
        for name in ("x.png", "y.png"):
            (root / name).write_bytes(b"")

        loaded = load(root)

        reason = "not an image in JPEG, PNG, BMP, GIF, WEBP, TIFF, PPM"
        assert loaded.notes == (f"2 broken images are left out: x.png ({reason}); y.png ({reason})",)
        assert loaded.notes == make(root).inspect().notes

    def test_image_that_is_broken_further_in(self, root: Path, count_decoded: list[Path]) -> None:
        for name in ("cut.png", "near/cut again.png"):
            write_cut(root / name)

        loaded = load(root)

        assert "cut.png" not in loaded.sample_list.names
        assert sorted(reds(loaded.dataset)) == list(range(30))
        assert [line.partition(" (")[0] for line in loaded.dataset.left_out] == ["cut.png", "near/cut again.png"]
        assert loaded.dataset.images.shape == (30, 8, 8, 3)  # The size is the same as without the file of another size.
        assert manifest_of(loaded.dataset).is_complete

    def test_whole_images_are_copied_and_not_decoded_again(self, root: Path, count_decoded: list[Path]) -> None:
        write_cut(root / "cut.png")

        for _ in range(2):
            assert sorted(reds(load(root, size=8).dataset)) == list(range(30))
        assert len(count_decoded) == 31


HOSTILE: dict[str, Callable[[Path], object]] = {
    "empty.png": lambda path: path.write_bytes(b""),
    "text.png": lambda path: path.write_text("hello"),
    "drawing.png": lambda path: path.write_text("<svg xmlns='http://www.w3.org/2000/svg' width='8' height='8'/>"),
    "header.png": lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n"),
    "gpx.pbm": lambda path: path.write_bytes(b"P4 40000 40000\n"),
    "32 Mpx.ppm": lambda path: path.write_bytes(b"P6 8000 4000 255\n" + bytes(100)),
    "no pixel.pgm": lambda path: path.write_bytes(b"P5 0 0 255\n"),
    "float.tif": lambda path: Image.new("F", (8, 8)).save(path),
    "thread.pgm": lambda path: path.write_bytes(b"P5 1 100000 255\n" + bytes(100_000)),
    "link.png": lambda path: path.symlink_to(path.parent / "nowhere.png"),
    "itself.png": lambda path: path.symlink_to(path),
    "loop": lambda path: path.symlink_to(path.parent),
    "pipe.png": lambda path: os.mkfifo(path),
}


class TestWhatIsNotRead:
    @pytest.mark.parametrize("name", HOSTILE)
    def test_hostile_file_is_left_out_by_name(self, root: Path, name: str) -> None:
        HOSTILE[name](root / name)

        loaded = load(root)

        assert sorted(reds(loaded.dataset)) == list(range(30))
        (note,) = loaded.notes
        assert name in note

    def test_all_hostile_files_at_once(self, root: Path) -> None:
        for name, write in HOSTILE.items():
            write(root / name)

        assert sorted(reds(load(root).dataset)) == list(range(30))
        assert len(load(root).dataset.left_out) == 9

    @pytest.mark.parametrize("name", HOSTILE)
    def test_hostile_file_is_refused_if_asked_for(self, root: Path, name: str) -> None:
        HOSTILE[name](root / name)

        (line,) = problems(root, on_error="refuse")

        assert name in line

    def test_empty_folder(self, tmp_path: Path) -> None:
        (tmp_path / "a.txt").write_text("x")

        (line,) = problems(tmp_path)

        assert line.startswith("ROOT: has no image (.jpg, ")
        assert line.endswith("; it has 1 .txt; add some")

    def test_broken_files_alone(self, tmp_path: Path) -> None:
        for i in range(7):
            (tmp_path / f"{i}.png").write_bytes(b"x" * i)

        (line,) = problems(tmp_path)

        assert line.startswith("ROOT: 7 of 7 images cannot be used: 0.png (not an image in")
        assert line.endswith("; and 2 more; replace or remove them")

    @pytest.mark.parametrize("times", [1, 3])
    def test_one_image_is_too_few(self, tmp_path: Path, write_image: WriteImage, times: int) -> None:
        for i in range(times):
            write_image(tmp_path / f"{i}.png")

        said = "ROOT: has 1 image that can be used; at least 2 different ones are needed"
        assert [line.startswith(said) for line in problems(tmp_path)] == [True]

    def test_missing_folder(self, root: Path) -> None:
        shutil.rmtree(root)

        assert problems(root) == ["ROOT: No such file or directory; give an existing folder of images"]

    @pytest.mark.parametrize("uri", ["s3://bucket/birds", "gs://bucket", "file:///birds"])
    def test_object_store_is_not_supported(self, uri: str) -> None:
        said = "ROOT: images in an object store are not supported yet; copy them to a folder of this machine, or mount"
        assert [line.startswith(said) for line in problems(uri)] == [True]

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_file_without_permission_is_refused(self, root: Path) -> None:
        (root / "00.png").chmod(0)

        assert problems(root) == [
            "ROOT: 1 of 30 images cannot be used: 00.png (Permission denied); replace or remove them"
        ]


class TestHoldOut:
    @pytest.mark.parametrize(
        ("num_images", "num_held_out"), [(2, 1), (4, 1), (9, 1), (10, 2), (49, 9), (50, 10), (500, 100), (2500, 400)]
    )
    def test_default_size(self, tmp_path: Path, num_images: int, num_held_out: int) -> None:
        for i in range(num_images):
            (tmp_path / f"{i}.pgm").write_bytes(b"P5 1 2 255\n" + bytes(divmod(i, 256)))

        info = make(tmp_path).inspect()

        assert (info.num_train, info.num_test) == (num_images - num_held_out, num_held_out)

    def test_larger_one_contains_a_smaller_one(self, root: Path) -> None:
        drawn = {size: load(root, holdout=size) for size in (1, 7, 8, 29)}

        order = drawn[29].sample_list.holdout
        for size, loaded in drawn.items():
            assert loaded.sample_list.holdout == order[:size]
            assert loaded.dataset.test_rows.tolist() == sorted(order[:size])
            assert loaded.dataset.train_rows.tolist() == sorted({*range(30)} - {*order[:size]})
        assert list(order) != sorted(order)

    def test_it_depends_on_the_seed_alone(self, root: Path, tmp_path: Path) -> None:
        shutil.copytree(root, tmp_path / "elsewhere")

        first = load(root).sample_list.holdout

        assert load(tmp_path / "elsewhere").sample_list.holdout == first
        assert load(root, seed=1).sample_list.holdout != first

    def test_it_leaves_an_image_for_the_pool(self, root: Path) -> None:
        said = "ROOT: holdout: 30 of 30 images leaves none for the pool; give at most 29"
        assert problems(root, holdout=30) == [said]
        with pytest.raises(InputError, match="give at most 29"):
            make(root, holdout=30).inspect()


class TestLaterStart:
    def test_new_images_are_appended_to_the_pool(self, root: Path, write_image: WriteImage) -> None:
        first = load(root)
        for name, red in (("00 new.png", 200), ("near/a.png", 201), ("zz/b.png", 202)):
            write_image(root / name, (red, 0, 0))
        shutil.copy(root / "00.png", root / "000.png")  # This copy sorts before its original.

        later = load(root, first.sample_list)

        assert later.sample_list.names == (*first.sample_list.names, "00 new.png", "near/a.png", "zz/b.png")
        assert reds(later.dataset) == [*reds(first.dataset), 200, 201, 202]
        assert later.sample_list.holdout == first.sample_list.holdout
        assert later.dataset.test_rows.tolist() == first.dataset.test_rows.tolist()
        assert later.dataset.train_rows.tolist() == [*first.dataset.train_rows.tolist(), 30, 31, 32]
        assert later.notes == ("1 exact duplicate is left out: 000.png (as 00.png)",)

        again = load(root, later.sample_list)
        assert again.sample_list == later.sample_list

    def test_only_new_images_are_decoded(self, root: Path, write_image: WriteImage, count_decoded: list[Path]) -> None:
        noise = np.random.default_rng(0).integers(0, 255, (64, 48, 3), np.uint8)
        for i in range(30):
            Image.fromarray(noise + np.uint8(i)).save(next(root.rglob(f"{i:02}.png")))
        first = load(root)
        write_image(root / "new.png", (200, 0, 0), size=(40, 30))
        write_cut(root / "cut.png")
        count_decoded.clear()

        for _ in range(2):
            later = load(root, first.sample_list)
        after = load(root, later.sample_list)

        # The broken file is tried again if it is the only new file.
        assert sorted(count_decoded) == [root / "cut.png", root / "cut.png", root / "new.png"]
        assert later.sample_list.names == (*first.sample_list.names, "new.png") == after.sample_list.names
        assert (later.dataset.images[:30] == first.dataset.images).all()
        assert later.dataset.images[30, 8, 8].tolist() == [200, 0, 0]
        assert (after.dataset.images == later.dataset.images).all()

    def test_broken_images_alone_may_be_added(self, root: Path) -> None:
        first = load(root)
        write_cut(root / "cut.png")

        later = load(root, first.sample_list)

        assert later.sample_list == first.sample_list
        assert [note.startswith("1 broken image is left out: cut.png (") for note in later.notes] == [True]

    def test_images_are_stored_as_if_all_had_been_there_at_first(self, root: Path, write_image: WriteImage) -> None:
        first = load(root)
        write_image(root / "zz.png", (200, 0, 0), size=(40, 30))

        later = load(root, first.sample_list)

        assert (first.dataset.images.shape, later.dataset.images.shape) == ((30, 8, 8, 3), (31, 16, 16, 3))
        again = load(root)
        rows = [again.sample_list.names.index(name) for name in later.sample_list.names]
        assert (later.dataset.images == again.dataset.images[rows]).all()

    def test_worker_sees_what_the_server_listed_and_reads_no_file(
        self, root: Path, write_image: WriteImage, count_decoded: list[Path]
    ) -> None:
        (root / "broken.png").write_bytes(b"x")
        write_cut(root / "cut.png")
        shutil.copy(root / "00.png", root / "copy.png")
        first = load(root)
        num_decoded = len(count_decoded)
        write_image(root / "later.png", (200, 0, 0))
        (root / "00.png").rename(root / "hidden")

        worker = make(root).load_listed(content=first.dataset.source.content, before=first.sample_list, add=False)

        assert reds(worker.dataset) == reds(first.dataset)
        assert worker.sample_list == first.sample_list
        assert manifest_of(worker.dataset).digest == manifest_of(first.dataset).digest
        assert differences(manifest_of(first.dataset), manifest_of(worker.dataset)) == []
        assert len(count_decoded) == num_decoded

    def test_later_start_reads_no_file_again(
        self, root: Path, count_decoded: list[Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(remembered, "SETTLED_NS", -(10**12))
        shutil.copy(root / "00.png", root / "copy.png")
        first = load(root)
        read: list[str] = []
        monkeypatch.setattr(remembered, "file_digests", lambda root, files: read.extend(files))
        monkeypatch.setattr(decode, "file_digests", lambda root, files: read.extend(files))
        num_decoded = len(count_decoded)

        later = load(root, first.sample_list)

        assert later.sample_list == first.sample_list
        assert reds(later.dataset) == reds(first.dataset)
        assert (read, len(count_decoded)) == ([], num_decoded)

    def test_missing_images_are_named(self, root: Path) -> None:
        first = load(root).sample_list
        for name in first.names[:7]:
            (root / name).unlink()

        named = ", ".join(first.names[:5])
        assert problems(root, first) == [
            f"ROOT: 7 of the 30 images of the earlier start are missing now: {named}, and 2 more; put them back"
        ]

    def test_folder_that_was_emptied(self, root: Path) -> None:
        first = load(root).sample_list
        shutil.rmtree(root)
        root.mkdir()

        (line,) = problems(root, first)

        assert line.startswith("ROOT: 30 of the 30 images of the earlier start are missing now: 00.png, 03.png,")

    def test_moved_image_is_named_with_its_new_place(self, root: Path) -> None:
        first = load(root).sample_list
        (root / "00.png").rename(root / "near" / "moved.png")

        (line,) = problems(root, first)

        assert "is missing now: 00.png (its content is in near/moved.png now); put them back" in line

    def test_changed_and_missing_images_are_named_at_once(self, root: Path, write_image: WriteImage) -> None:
        first = load(root).sample_list
        write_image(root / "00.png", (250, 0, 0))
        shutil.copy(root / "06.png", root / "03.png")  # This image is now a duplicate.
        (root / "near" / "01.png").unlink()

        assert problems(root, first) == [
            "ROOT: 1 of the 30 images of the earlier start is missing now: near/01.png; put them back",
            "ROOT: 2 of the 30 images of the earlier start have another content now: 00.png, 03.png; put the original"
            " files back",
        ]

    def test_hold_out_stays_although_the_option_changes(self, root: Path) -> None:
        first = load(root, holdout=5)

        later = load(root, first.sample_list, holdout=20)

        assert later.sample_list.holdout == first.sample_list.holdout
        assert later.notes == ("holdout is not used: the 5 images that were drawn first stay held out",)

    def test_other_content_than_expected_is_refused(self, root: Path, write_image: WriteImage) -> None:
        content = load(root).dataset.source.content
        write_image(root / "later.png", (200, 0, 0))

        with pytest.raises(InputError, match="differ from those"):
            make(root).load(content=content)


class TestSampleList:
    def test_bytes_are_stable(self) -> None:
        images = SampleList(("a.png", "b/\N{BIRD}\n.png"), ("00" * 16, "ff" * 16), (1,))

        written = images.to_json()

        assert written == (
            b'{"format": 1,\n"holdout": [1],\n"images": [\n["a.png", "' + b"00" * 16 + b'"],\n'
            b'["b/\\ud83d\\udc26\\n.png", "' + b"ff" * 16 + b'"]\n]}\n'
        )
        assert SampleList.from_json(written, "x") == images
        assert zlib.crc32(written) == zlib.crc32(SampleList.from_json(written, "x").to_json())

    @pytest.mark.parametrize(
        "damaged",
        [
            b"",
            b"[]",
            b'{"format": 1}',
            b'{"format": 1, "holdout": [0], "images": []}',
            b'{"format": 1, "holdout": [1], "images": [["a.png", "00000000000000000000000000000000"]]}',
            b'{"format": 1, "holdout": [-1], "images": [["a.png", "00000000000000000000000000000000"]]}',
            b'{"format": 1, "holdout": [], "images": [["../a.png", "00000000000000000000000000000000"]]}',
            b'{"format": 1, "holdout": [], "images": [["/a.png", "00000000000000000000000000000000"]]}',
            b'{"format": 1, "holdout": [], "images": [["a/../../b.png", "00000000000000000000000000000000"]]}',
            b'{"format": 1, "holdout": [], "images": [["a/..", "00000000000000000000000000000000"]]}',
            b'{"format": 1, "holdout": [], "images": [[".", "00000000000000000000000000000000"]]}',
            b'{"format": 1, "holdout": [], "images": [["a\\u0000.png", "00000000000000000000000000000000"]]}',
            b'{"format": 1, "holdout": [], "images": [["a.png", "00"]]}',
            b'{"format": 1, "holdout": [], "images": [["a.png", "0000000000000000000000000000000g"]]}',
            b'{"format": 1, "holdout": [], "images": [["a.png", "00"], ["b.png", "' + b"00" * 31 + b'"]]}',
            b'{"format": 1, "holdout": [], "images": [[1, "00000000000000000000000000000000"]]}',
            b"[" * 100_000,
        ],
    )
    def test_damaged_list_is_refused(self, damaged: bytes) -> None:
        with pytest.raises(InputError, match=r"images\.json: is not a list of images that raycal wrote; restore it"):
            SampleList.from_json(damaged, "images.json")

    def test_other_format_is_refused(self) -> None:
        with pytest.raises(InputError, match=r"images\.json: has the format 2"):
            SampleList.from_json(b'{"format": 2}', "images.json")
