from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from raycal.learner.device import DeviceSettings
from raycal.learner.images import DeviceImages
from raycal.learner.inputs import Augment
from raycal.networks import IMAGENET_MEAN, IMAGENET_STD

FLOAT32 = DeviceSettings(torch.device("cpu"), torch.float32)
IMAGES = np.random.default_rng(0).integers(256, size=(5, 40, 40, 3)).astype(np.uint8)


def normalized(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(((images / 255 - IMAGENET_MEAN) / IMAGENET_STD).transpose(0, 3, 1, 2)).float()


def batch_of(images: np.ndarray, image_size: int, rows: Any, augment: Augment | None = None) -> torch.Tensor:
    (batch,) = DeviceImages(images, image_size, FLOAT32).batches(np.asarray(rows), [slice(0, len(rows))], augment)
    return batch


def mirror(marked: torch.Tensor) -> Augment:
    """Mirrors the marked images."""

    def augment(images: torch.Tensor, part: slice) -> torch.Tensor:
        assert images.dtype == torch.uint8
        assert images.shape == (part.stop - part.start, 3, 40, 40)
        return torch.where(marked[part].view(-1, 1, 1, 1), images.flip(3), images)

    return augment


def test_batch_holds_the_rows_asked_for_normalized_by_imagenet() -> None:
    batch = batch_of(IMAGES, 40, [3, 1])

    torch.testing.assert_close(batch, normalized(IMAGES[[3, 1]]), atol=1e-5, rtol=0)
    assert batch.is_contiguous(memory_format=torch.channels_last)


def test_marked_images_are_mirrored_left_to_right() -> None:
    batch = batch_of(IMAGES, 40, [0, 1], mirror(torch.tensor([False, True])))

    torch.testing.assert_close(batch[0], normalized(IMAGES)[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(batch[1], normalized(IMAGES[:, :, ::-1])[1], atol=1e-5, rtol=0)


def test_enlarging_is_bilinear() -> None:
    batch = batch_of(IMAGES, 64, range(5))
    expected = functional.interpolate(normalized(IMAGES), size=64, mode="bilinear")

    torch.testing.assert_close(batch, expected, atol=1e-5, rtol=0)


def test_every_channel_of_a_bicubic_image_is_clipped_at_its_own_black_and_white() -> None:
    stripes = np.zeros((2, 40, 40, 3), np.uint8)
    stripes[0, :, 8:16] = stripes[1, 20:] = 255
    images = DeviceImages(stripes, 64, FLOAT32, interpolation="bicubic")

    (batch,) = images.batches(np.arange(2), [slice(0, 2)])

    black, white = normalized(np.array([[[[0] * 3]], [[[255] * 3]]]))
    enlarged = functional.interpolate(normalized(stripes), size=64, mode="bicubic", antialias=True)
    assert (enlarged < black).any(dim=3).any(dim=2).any(dim=0).all()  # the kernel overshoots in every channel
    torch.testing.assert_close(batch, enlarged.maximum(black).minimum(white), atol=1e-5, rtol=0)
    assert batch.is_contiguous(memory_format=torch.channels_last)


def test_shrinking_averages_instead_of_skipping_pixels() -> None:
    stripes = np.zeros((1, 64, 64, 3), np.uint8)
    stripes[:, :, ::2] = 255
    batch = batch_of(stripes, 32, [0])
    gray = normalized(np.full((1, 1, 1, 3), 127.5))

    torch.testing.assert_close(batch[:, :, 4:-4, 4:-4], gray.expand(1, 3, 24, 24), atol=0.05, rtol=0)


def test_read_only_images_are_accepted_without_a_warning(recwarn: object) -> None:
    images = IMAGES.copy()
    images.flags.writeable = False
    batch_of(images, 32, [0])

    assert list(recwarn) == []  # type: ignore[call-overload]


class Small(DeviceSettings):
    """A device that has no room for the images."""

    def room_for_images(self) -> float:
        return IMAGES.nbytes - 1


@pytest.mark.parametrize("sizes", [[], [5], [2, 2, 1], [1, 1, 1, 1, 1]], ids=str)
def test_streamed_batches_are_those_of_resident_images(sizes: list[int]) -> None:
    rows, ends = np.array([4, 0, 0, 3, 1]), np.cumsum(sizes)
    parts = [slice(int(end) - size, int(end)) for end, size in zip(ends, sizes, strict=True)]
    augment = mirror(torch.tensor([True, False, True, False, False]))
    small, large = (
        DeviceImages(IMAGES, 64, kind(torch.device("cpu"), torch.float32)) for kind in (Small, DeviceSettings)
    )

    assert large.resident
    assert not small.resident
    streamed, resident = (list(images.batches(rows, parts, augment)) for images in (small, large))
    assert [len(batch) for batch in streamed] == sizes
    assert all(torch.equal(one, other) for one, other in zip(streamed, resident, strict=True))


@pytest.mark.gpu
@pytest.mark.parametrize("image_size", [32, 40, 64])
def test_batches_streamed_to_a_gpu_are_those_of_resident_images(image_size: int) -> None:
    augment = mirror(torch.tensor([True, False, False, True, True], device="cuda"))
    rows, parts = np.array([3, 1, 4, 0, 2]), [slice(0, 2), slice(2, 3), slice(3, 5)]
    resident, streamed = (
        DeviceImages(IMAGES, image_size, kind(torch.device("cuda"), torch.float32)) for kind in (DeviceSettings, Small)
    )

    assert (resident.resident, streamed.resident) == (True, False)
    for one, other in zip(resident.batches(rows, parts, augment), streamed.batches(rows, parts, augment), strict=True):
        assert torch.equal(one, other)


def test_streaming_reads_one_batch_ahead_and_no_further() -> None:
    images = DeviceImages(IMAGES, 40, Small(torch.device("cpu"), torch.float32))
    read: list[torch.Tensor] = []
    stored = images._stored

    class Recorder:
        shape = stored.shape

        def __getitem__(self, rows: torch.Tensor) -> torch.Tensor:
            read.append(rows)
            return stored[rows]

    images._stored = Recorder()  # type: ignore[assignment]
    batches = images.batches(np.arange(5), [slice(n, n + 1) for n in range(5)])
    for taken in range(1, 6):
        next(batches)
        assert len(read) <= min(taken + 1, 5)


def test_what_cannot_be_read_ends_the_stream() -> None:
    images = DeviceImages(IMAGES, 40, Small(torch.device("cpu"), torch.float32))
    batches = images.batches(np.array([0, 9]), [slice(0, 1), slice(1, 2)])

    with pytest.raises(IndexError):
        list(batches)
