"""Tests that augmentations are those of torchvision, and that training with them gives the same bits again."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from small_learner import TRAINING, dataset, everything, extractor, learner, same, weights
from torch import Tensor
from torchvision.transforms import RandomResizedCrop, v2
from workers import on_workers

from raycal.algorithm.randomness import stream
from raycal.learner.augmentations import augmentations
from raycal.learner.device import DeviceSettings
from raycal.learner.learner import FineTuner
from raycal.learner.team import Team

ALL = list(augmentations)
NUMBERS = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def images(number: int, side: int = 16) -> Tensor:
    """Different images, in which every pixel has another value."""
    pixels = NUMBERS.integers(256, size=(number, side, side, 3)).astype(np.uint8)
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)


def augmented(name: str, batch: Tensor, draws: Any = None, **options: Any) -> Tensor:
    made = augmentations[name](**options)
    numbers = NUMBERS.random((len(batch), made.draws)) if draws is None else np.array(draws)
    return made(batch, numbers)


@pytest.mark.parametrize(("name", "axis"), [("flip", 3), ("vertical_flip", 2)])
def test_images_whose_number_is_below_the_probability_are_mirrored(name: str, axis: int) -> None:
    batch = images(4)
    half, all_but_one = (
        augmented(name, batch, [[0.0], [0.499], [0.5], [0.9]], **options) for options in ({}, {"p": 0.9})
    )

    for result, mirrored in ((half, [0, 1]), (all_but_one, [0, 1, 2])):
        expected = torch.stack([one.flip(axis - 1) if n in mirrored else one for n, one in enumerate(batch)])
        assert torch.equal(result, expected)


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect"])
def test_crops_are_all_places_of_the_padded_image(mode: Any) -> None:
    image = images(1)
    moves = [[(y + 0.5) / 5, (x + 0.5) / 5] for y in range(5) for x in range(5)]
    padded = v2.functional.pad(image, [2, 2, 2, 2], padding_mode=mode)
    expected = [padded[0, :, 4 - y : 20 - y, 4 - x : 20 - x] for y in range(5) for x in range(5)]

    result = augmented("crop", image.expand(25, 3, 16, 16), moves, padding_mode=mode)

    assert torch.equal(result, torch.stack(expected))


def test_parts_of_a_resized_crop_have_the_sizes_of_torchvision() -> None:
    made = augmentations["resized_crop"](scale=(0.2, 0.5), ratio=(0.5, 2.0))
    heights, widths = made._sizes(NUMBERS.random((4000, 20)), 40, 60)
    torch.manual_seed(0)
    image = torch.zeros(3, 40, 60, dtype=torch.uint8)
    expected = np.array([RandomResizedCrop.get_params(image, [0.2, 0.5], [0.5, 2.0])[2:] for _ in range(4000)])

    areas, ratios = heights * widths / 2400, widths / heights
    assert (areas.min(), areas.max()) == (pytest.approx(0.2, abs=0.02), pytest.approx(0.5, abs=0.02))
    assert (ratios.min(), ratios.max()) == (pytest.approx(0.5, abs=0.05), pytest.approx(2, abs=0.1))
    for quantile in (0.1, 0.5, 0.9):
        ours, theirs = (np.quantile(sizes, quantile, axis=0) for sizes in (np.stack([heights, widths], 1), expected))
        np.testing.assert_allclose(ours, theirs, atol=1.5)


def test_part_that_never_fits_is_the_largest_one() -> None:
    made = augmentations["resized_crop"](scale=(1.0, 1.0), ratio=(2.0, 2.0))

    heights, widths = made._sizes(np.full((3, 20), 0.5), 30, 30)

    assert (heights.tolist(), widths.tolist()) == ([15] * 3, [30] * 3)


def test_rotation_turns_by_at_most_the_angle_in_either_direction() -> None:
    batch = images(3)
    expected = [v2.functional.rotate(one, angle) for one, angle in zip(batch, (-90, 0, 90), strict=True)]

    assert torch.equal(augmented("rotation", batch, [[0.0], [0.5], [1.0]], degrees=90.0), torch.stack(expected))


def test_colors_are_changed_by_factors_around_one() -> None:
    batch = images(3)
    result = augmented("color_jitter", batch, [[0.5, 0.5, 0.5], [0.0, 0.5, 0.5], [0.5, 1.0, 0.0]], saturation=0.2)
    of_last = v2.functional.adjust_saturation(v2.functional.adjust_contrast(batch[2], 1.4), 0.8)

    assert torch.equal(result[0], batch[0])
    assert (result[1].int() - v2.functional.adjust_brightness(batch[1], 0.6).int()).abs().max() <= 1
    assert (result[2].int() - of_last.int()).abs().max() <= 2


class Chosen:
    """Lets torchvision's transform draw the given change, strength and sign."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.integers: list[int] = []
        self.sign = 0.0
        monkeypatch.setattr(torch, "randint", lambda *args, **kwargs: torch.tensor(self.integers.pop(0)))
        monkeypatch.setattr(torch, "rand", lambda *args, **kwargs: torch.tensor(self.sign))


def close(actual: Tensor, expected: Tensor) -> bool:
    """Whether all but a few pixels, at places that are rounded to another pixel, are the same or nearly the same."""
    return bool(((actual.int() - expected.int()).abs() > 1).float().mean() <= 0.03)


@pytest.mark.parametrize("number", range(14))
@pytest.mark.parametrize("sign", [0.2, 0.7])
def test_trivial_augment_makes_the_changes_of_torchvision(
    number: int, sign: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch, bins = images(5, side=40), [0, 3, 12, 22, 30]
    result = augmented("trivial_augment", batch, [[(number + 0.5) / 14, (bin_ + 0.5) / 31, sign] for bin_ in bins])
    chosen, transform = Chosen(monkeypatch), v2.TrivialAugmentWide()
    for image, bin_, ours in zip(batch, bins, result, strict=True):
        chosen.integers, chosen.sign = [number, bin_], sign
        assert close(ours, transform(image))


@pytest.mark.parametrize("number", range(14))
def test_rand_augment_makes_the_changes_of_torchvision(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    batch, sign = images(4, side=40), 0.2
    draws = [[(number + 0.5) / 14, sign, 0.99, 0.9]] * 4  # the second change equalizes
    once, twice = (
        augmented("rand_augment", batch, [row[: 2 * n] for row in draws], num_ops=n, magnitude=25) for n in (1, 2)
    )
    chosen, transform = Chosen(monkeypatch), v2.RandAugment(num_ops=1, magnitude=25)
    for image, ours in zip(batch, once, strict=True):
        chosen.integers, chosen.sign = [number], sign
        assert close(ours, transform(image))
    assert torch.equal(twice, v2.functional.equalize(once))


def trained(*names: str, team: Team | None = None, kind: Any = DeviceSettings, **settings: Any) -> Any:
    training = TRAINING.model_copy(update={"epochs": 2, **settings})
    made = FineTuner(
        extractor(dataset(num_train=40), kind(torch.device("cpu"), torch.float32)),
        training,
        augmentations=[augmentations[name]() for name in names],
        team=team,
    )
    made.reset(stream(0, 0, "head"))
    return made


def fit(made: FineTuner, seed: int = 0) -> dict[str, Tensor]:
    made.fit(everything(made._dataset), stream(seed, 0, "train"))
    return weights(made)


class NoRoom(DeviceSettings):
    """A device that has no room for the images."""

    def room_for_images(self) -> float:
        return 0


def test_same_stream_trains_the_same_bits_whether_images_are_streamed_or_not() -> None:
    torch.manual_seed(1)
    first = fit(trained(*ALL))
    torch.manual_seed(2)
    again, streamed = fit(trained(*ALL)), fit(trained(*ALL, kind=NoRoom))

    assert same(first, again)
    assert same(first, streamed)
    assert not same(first, fit(trained(*ALL), seed=1))
    assert not same(first, fit(trained(*ALL[1:])))
    assert not same(fit(trained("flip")), fit(trained()))


def recorded(made: FineTuner) -> dict[int, list[Tensor]]:
    """The images that the network sees in a training, by their row in the dataset, in the order of the epochs."""
    seen: dict[int, list[Tensor]] = {}
    batches = made.extractor.inputs.batches

    def record(rows: npt.NDArray[np.int64], parts: Any, *others: Any) -> Any:
        for part, batch in zip(parts, batches(rows, parts, *others), strict=True):
            for row, image in zip(rows[part].tolist(), batch, strict=True):
                seen.setdefault(row, []).append(image.clone())
            yield batch

    made.extractor.inputs.batches = record  # type: ignore[method-assign]
    fit(made)
    return seen


def test_image_is_changed_in_the_same_way_whatever_the_size_of_the_batches() -> None:
    one, other = recorded(trained(*ALL, batch_size=16)), recorded(trained(*ALL, batch_size=7))

    assert sorted(one) == list(range(12, 52))  # the test images come first
    for row, views in one.items():
        assert len(views) == 2
        assert not torch.equal(views[0], views[1])
        assert all(torch.equal(*both) for both in zip(views, other[row], strict=True))


def test_only_the_images_of_the_training_are_changed() -> None:
    made, plain = trained(*ALL, learning_rate=1e-30, weight_decay=0.0), trained(learning_rate=1e-30, weight_decay=0.0)
    for each in (made, plain):
        fit(each)
        each.extractor.network.load_state_dict(weights(learner(dataset(num_train=40))))

    assert made.evaluate() == plain.evaluate()
    np.testing.assert_array_equal(made.predict(np.arange(40)).probs, plain.predict(np.arange(40)).probs)


def see_on_worker(team: Team) -> dict[int, list[Tensor]]:
    made = trained(*ALL, team=team)
    seen: dict[int, list[Tensor]] = {}
    batches = made.extractor.inputs.batches

    def record(rows: npt.NDArray[np.int64], parts: Any, *others: Any) -> Any:
        for part, batch in zip(parts, batches(rows, parts, *others), strict=True):
            for row, image in zip(rows[part].tolist(), batch, strict=True):
                seen.setdefault(row, []).append(image.clone())
            yield batch

    made.extractor.inputs.batches = record  # type: ignore[method-assign]
    if team.leads:
        made.fit(everything(made._dataset), stream(0, 0, "train"))
        team.dismiss()
    else:
        team.serve_as_worker(made)
    return seen


@pytest.mark.slow
def test_two_workers_together_see_the_images_that_one_sees(tmp_path: Path) -> None:
    first, second = on_workers(tmp_path, see_on_worker)
    alone = recorded(trained(*ALL))

    assert sum(map(len, first.values())) == sum(map(len, second.values())) == 40
    for row, views in alone.items():
        both = first.get(row, []) + second.get(row, [])
        assert len(both) == 2
        assert all(any(torch.equal(view, other) for other in both) for view in views)
