import io
from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image
from small_iterations import sample

from raycal.algorithm.records import Answer, Interaction, Kind
from raycal.data import ImageDataset
from raycal.experiment import montage


def dataset(num_train: int = 1000, side: int = 8, names: tuple[str, ...] = ("cat", "dog")) -> ImageDataset:
    """Images of noise, which no file format can compress."""
    rng = np.random.default_rng(0)
    return ImageDataset(
        images=rng.integers(0, 256, (num_train + 1, side, side, 3), np.uint8),
        labels=np.zeros(num_train + 1, np.int64),
        train_rows=np.arange(1, num_train + 1),
        test_rows=np.array([0]),
        class_names=names,
    )


def cluster(number: int, size: int, *, accepted: bool, purity: float | None = 0.75, begin: int = 0) -> Interaction:
    return Interaction(
        iteration=2,
        step=1,
        interaction=number,
        kind=Kind.CLUSTER,
        answer=Answer.LABELED if accepted else Answer.REFUSED,
        label=1 if accepted else None,
        purity=purity,
        wrong=0 if accepted else None,
        seconds=1.0,
        indices=np.arange(begin, begin + size, dtype=np.int64),
    )


def opened(content: bytes | None) -> Image.Image:
    assert content is not None
    return Image.open(io.BytesIO(content))


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The words on a montage, in order."""
    words: list[str] = []
    write = montage._Pen.write

    def record(self: montage._Pen, left: int, top: int, line: str, *args: object, **options: int) -> None:
        words.append(line)
        write(self, left, top, line, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(montage._Pen, "write", record)
    return words


def many(count: int, *, accepted: bool, first: int = 1) -> Sequence[Interaction]:
    return [cluster(first + i, 10 + i, accepted=accepted, begin=10 * i) for i in range(count)]


def test_iteration_without_clusters_has_none() -> None:
    assert montage.draw([sample(label=1, indices=np.array([3], np.int64))], dataset()) is None


def test_words_say_answer_label_purity_and_size(written: list[str]) -> None:
    rows = [
        cluster(1, 5, accepted=True, purity=0.8),
        cluster(2, 1, accepted=False, purity=None),
        cluster(3, 1200, accepted=False, purity=0.7999),
    ]
    montage.draw(rows, dataset(1200))

    assert written == [
        "iteration 2, 3 clusters",
        "1 accepted",
        "accepted as dog, purity 80%, 5 images",
        "2 refused",
        "refused, purity 79%, 1,200 images",
        "refused, 1 image",
    ]


def test_six_of_each_answer_from_the_largest_down_through_the_sizes(written: list[str]) -> None:
    montage.draw([*many(12, accepted=True), *many(3, accepted=False, first=20)], dataset())

    sizes = [line.split()[-2] for line in written if line.endswith("images")]
    assert sizes == ["21", "19", "17", "15", "13", "11", *("12", "11", "10")]


def test_images_of_a_cluster_are_those_of_its_samples_spread_over_it() -> None:
    images = dataset()
    picture = opened(montage.draw([cluster(1, 16, accepted=True, begin=100)], images)).convert("RGB")

    left, top = montage.MARGIN + 10, montage.MARGIN + 24 + 26 + montage.CAPTION
    for place in range(8):
        x = left + place * (montage.SIDE + montage.GAP)
        shown = np.asarray(picture.crop((x, top, x + montage.SIDE, top + montage.SIDE)), np.float64)
        distance = [
            np.abs(shown.mean((0, 1)) - images.images[images.train_rows[index]].mean((0, 1))).max()
            for index in (100 + 2 * place, 101 + 2 * place)
        ]
        assert distance[0] < 4, place  # Reducing the number of colors hardly changes the mean color.


def test_answers_have_their_colors() -> None:
    rows = [cluster(1, 5, accepted=True), cluster(2, 5, accepted=False)]
    picture = opened(montage.draw(rows, dataset())).convert("RGB")

    top = montage.MARGIN + 24 + 26 + 5
    for column, answer in enumerate((Answer.LABELED, Answer.REFUSED)):
        left = montage.MARGIN + column * (montage.COLUMN + montage.MARGIN)
        pixel = picture.getpixel((left + 2, top))
        assert isinstance(pixel, tuple)
        assert np.abs(np.subtract(pixel, montage.COLORS[answer])).max() < 16


@pytest.mark.parametrize("side", [8, 32, 96])
def test_no_montage_is_larger_than_300_kb(side: int) -> None:
    rows = [*many(40, accepted=True), *many(40, accepted=False)]
    content = montage.draw(rows, dataset(side=side))

    assert content is not None
    assert len(content) <= 300_000
    assert opened(content).format == "PNG"


def test_same_clusters_give_the_same_bytes() -> None:
    rows = [*many(9, accepted=True), *many(9, accepted=False)]
    assert montage.draw(rows, dataset()) == montage.draw(rows, dataset())


def test_name_of_any_length_and_script_is_drawn(written: list[str]) -> None:
    images = dataset(names=("cat", "köttur á þaki 猫 " + 100 * "x"))
    assert opened(montage.draw([cluster(1, 5, accepted=True)], images)).width == 2 * montage.COLUMN + 36
