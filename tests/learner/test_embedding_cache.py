import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from counted_scoring import Counting, num_scored
from small_learner import FLOAT32, TRAINING, dataset, everything

from raycal.algorithm.randomness import stream
from raycal.data import ImageDataset
from raycal.errors import DivergedError
from raycal.learner import embedding_cache
from raycal.learner.device import DeviceSettings
from raycal.learner.learner import FineTuner


def learner(images: ImageDataset | None = None, *, seed: int = 0, head: int = 0, **settings: Any) -> FineTuner:
    device_settings = settings.pop("device_settings", FLOAT32)
    training = TRAINING.model_copy(update=settings)
    rng = stream(seed, 0, "backbone")
    made = FineTuner(
        Counting(
            images or dataset(num_train=40),
            training.image_size,
            weights=None,
            rng=rng,
            device_settings=device_settings,
        ),
        training,
    )
    made.reset(stream(head, 0, "head"))
    return made


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def test_second_learner_takes_the_embeddings_of_the_first_and_its_own_head() -> None:
    first, second = learner(head=1), learner(head=2)
    one, other = (made.predict(np.arange(40)) for made in (first, second))

    assert (num_scored(first), num_scored(second)) == (40, 0)
    np.testing.assert_array_equal(one.embeddings, other.embeddings)
    assert np.abs(one.probs - other.probs).max() > 1e-3


def test_bits_are_the_same_with_and_without_kept_embeddings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    part = np.array([3, 20, 21, 39])
    learner().predict(np.arange(40))
    warm = learner().predict(part)
    monkeypatch.setenv("RAYCAL_CACHE", str(tmp_path / "empty"))
    cold = learner().predict(part)

    assert cold.probs.tobytes() == warm.probs.tobytes()
    assert cold.embeddings.tobytes() == warm.embeddings.tobytes()
    assert cold.embeddings.flags.writeable


def test_initial_embeddings_are_those_of_a_pass_over_the_pool() -> None:
    made = learner()
    before = made.predict(np.arange(40))
    made.load(made.save())
    after = made.predict(np.arange(40))

    assert num_scored(made) == 80
    assert before.embeddings.tobytes() == after.embeddings.tobytes()
    assert before.probs.tobytes() == after.probs.tobytes()


def test_embeddings_are_used_again_after_a_reset_but_not_after_training() -> None:
    made = learner()
    for iteration in range(3):
        made.reset(stream(0, iteration, "head"))
        made.predict(np.arange(iteration, 40))
    assert num_scored(made) == 40

    made.fit(everything(dataset(num_train=40)), stream(0, 0, "train"))
    trained = made.predict(np.arange(40))
    assert num_scored(made) == 80
    made.reset(stream(0, 3, "head"))
    initial = made.predict(np.arange(40))
    assert num_scored(made) == 80
    assert np.abs(trained.embeddings - initial.embeddings).max() > 1e-3


def test_training_on_nothing_leaves_the_backbone_initial() -> None:
    made, nothing = learner(), everything(dataset(num_train=40))
    nothing = replace(nothing, indices=nothing.indices[:0], labels=nothing.labels[:0])
    made.predict(np.arange(40))
    made.fit(nothing, stream(0, 0, "train"))
    made.predict(np.arange(40))

    assert num_scored(made) == 40


def other_image() -> ImageDataset:
    images = dataset(num_train=40)
    changed = images.images.copy()
    changed[images.train_rows[7], 0, 0, 0] ^= 1
    return replace(images, images=changed)


def other_row() -> ImageDataset:
    images = dataset(num_train=40)
    return replace(images, train_rows=np.append(images.train_rows[:-1], 0))


@pytest.mark.parametrize(
    "change",
    [
        lambda: learner(seed=1),
        lambda: learner(other_image()),
        lambda: learner(other_row()),
        lambda: learner(image_size=48),
        lambda: learner(device_settings=DeviceSettings(torch.device("cpu"), torch.bfloat16)),
        lambda: torch.set_num_threads(2) or learner(),
    ],
    ids=["weights", "image", "row", "image_size", "dtype", "threads"],
)
def test_whatever_changes_the_bits_is_not_shared(change: Any) -> None:
    learner().predict(np.arange(40))
    changed = change()
    changed.predict(np.arange(40))

    assert num_scored(changed) == 40


def test_other_test_images_and_training_settings_share_the_embeddings() -> None:
    learner().predict(np.arange(40))
    images = dataset(num_train=40)
    changed = images.images.copy()
    changed[images.test_rows] = 0
    made = learner(replace(images, images=changed), epochs=1, learning_rate=0.5)
    made.predict(np.arange(40))

    assert num_scored(made) == 0


def test_cache_that_cannot_be_written_is_done_without(raycal_cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    kept = learner().predict(np.arange(40))
    folder = raycal_cache / embedding_cache.FOLDER
    folder.rename(raycal_cache / "elsewhere")
    folder.write_text("a file")
    made = learner()
    with caplog.at_level(logging.WARNING):
        found = [made.predict(np.arange(40)) for _ in range(2)]

    assert num_scored(made) == 40
    assert all(each.probs.tobytes() == kept.probs.tobytes() for each in found)
    assert [record.getMessage() for record in caplog.records] == [
        f"{raycal_cache}: cannot keep features on disk ([Errno 17] File exists: '{folder}')"
    ]


def test_full_disk_costs_no_second_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    made = learner()
    made.predict(np.arange(40))

    assert num_scored(made) == 40


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch, raycal_cache: Path) -> None:
    # This is room for two of the three entries of 82 kB.
    monkeypatch.setattr(embedding_cache, "MAX_CACHE_BYTES", 200_000)
    for seed in range(3):
        learner(seed=seed).predict(np.arange(40))
    again = {}
    for seed in (2, 1, 0):
        made = learner(seed=seed)
        made.predict(np.arange(40))
        again[seed] = num_scored(made)

    assert again == {2: 0, 1: 0, 0: 40}
    assert len([path for path in (raycal_cache / embedding_cache.FOLDER).iterdir() if path.is_dir()]) == 2


def test_embeddings_that_are_not_finite_are_not_kept(raycal_cache: Path) -> None:
    made = learner()
    made.extractor.network.conv1.weight.data.fill_(float("nan"))
    with pytest.raises(DivergedError):
        made.predict(np.arange(40))

    assert [path for path in (raycal_cache / embedding_cache.FOLDER).iterdir() if path.is_dir()] == []
