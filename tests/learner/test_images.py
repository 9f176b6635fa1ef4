import numpy as np
import torch
from torch.nn import functional

from raycal.learner.device import Placement
from raycal.learner.images import MEAN, STD, DeviceImages

FLOAT32 = Placement(torch.device("cpu"), torch.float32)
IMAGES = np.random.default_rng(0).integers(256, size=(5, 40, 40, 3)).astype(np.uint8)


def normalised(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(((images / 255 - MEAN) / STD).transpose(0, 3, 1, 2)).float()


def test_batch_holds_the_rows_asked_for_normalised_by_imagenet() -> None:
    batch = DeviceImages(IMAGES, 40, FLOAT32).batch(torch.tensor([3, 1]))

    torch.testing.assert_close(batch, normalised(IMAGES[[3, 1]]), atol=1e-5, rtol=0)
    assert batch.is_contiguous(memory_format=torch.channels_last)


def test_marked_images_are_mirrored_left_to_right() -> None:
    batch = DeviceImages(IMAGES, 40, FLOAT32).batch(torch.tensor([0, 1]), torch.tensor([False, True]))

    torch.testing.assert_close(batch[0], normalised(IMAGES)[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(batch[1], normalised(IMAGES[:, :, ::-1])[1], atol=1e-5, rtol=0)


def test_enlarging_is_bilinear() -> None:
    batch = DeviceImages(IMAGES, 64, FLOAT32).batch(torch.arange(5))
    expected = functional.interpolate(normalised(IMAGES), size=64, mode="bilinear")

    torch.testing.assert_close(batch, expected, atol=1e-5, rtol=0)


def test_shrinking_averages_instead_of_skipping_pixels() -> None:
    stripes = np.zeros((1, 64, 64, 3), np.uint8)
    stripes[:, :, ::2] = 255
    batch = DeviceImages(stripes, 32, FLOAT32).batch(torch.tensor([0]))
    grey = normalised(np.full((1, 1, 1, 3), 127.5))

    torch.testing.assert_close(batch[:, :, 4:-4, 4:-4], grey.expand(1, 3, 24, 24), atol=0.05, rtol=0)


def test_read_only_images_are_accepted_without_a_warning(recwarn: object) -> None:
    images = IMAGES.copy()
    images.flags.writeable = False
    DeviceImages(images, 32, FLOAT32).batch(torch.tensor([0]))

    assert list(recwarn) == []  # type: ignore[call-overload]
