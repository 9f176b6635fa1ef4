import numpy as np
import pytest
from sklearn.datasets import load_digits

from raycal.data.digits import Digits
from raycal.errors import InputError


def test_gray_values_are_scaled_to_255_in_all_channels() -> None:
    dataset = Digits(seed=0, image_size=32).load()

    assert dataset.images.shape == (1797, 8, 8, 3)
    # The values in scikit-learn are 0 0 5 13 9 1 0 0, from 0 to 16.
    assert dataset.images[0, 0].tolist() == [[v] * 3 for v in (0, 0, 80, 207, 143, 16, 0, 0)]
    assert (dataset.images.min(), dataset.images.max()) == (0, 255)
    assert np.array_equal(dataset.labels, load_digits().target)
    assert dataset.class_names == tuple("0123456789")


def test_split_is_fixed_for_every_seed_of_the_experiment() -> None:
    first, second = Digits(seed=0, image_size=32).load(), Digits(seed=1, image_size=32).load()

    assert (first.num_train, first.num_test, first.num_classes) == (1437, 360, 10)
    assert np.array_equal(first.test_rows, second.test_rows)
    assert np.array_equal(np.union1d(first.train_rows, first.test_rows), np.arange(1797))


def test_split_seed_draws_another_split() -> None:
    first = Digits(seed=0, image_size=32).load()
    second = Digits(seed=0, image_size=32, split_seed=1).load()

    assert not np.array_equal(first.test_rows, second.test_rows)


def test_labels_follow_the_rows() -> None:
    dataset = Digits(seed=0, image_size=32).load()

    assert np.array_equal(dataset.train_labels, load_digits().target[dataset.train_rows])
    assert np.array_equal(dataset.test_labels, load_digits().target[dataset.test_rows])


def test_smaller_subset_is_part_of_the_larger_and_of_the_split() -> None:
    whole = Digits(seed=0, image_size=32).load()
    large = Digits(seed=0, image_size=32, train_size=100, test_size=50).load()
    small = Digits(seed=5, image_size=32, train_size=40, test_size=20).load()

    assert (large.num_train, large.num_test) == (100, 50)
    assert (small.num_train, small.num_test) == (40, 20)
    assert set(small.train_rows) < set(large.train_rows) < set(whole.train_rows)
    assert set(small.test_rows) < set(large.test_rows) < set(whole.test_rows)


def test_subset_seed_draws_other_images() -> None:
    first = Digits(seed=0, image_size=32, train_size=100).load()
    second = Digits(seed=0, image_size=32, train_size=100, subset_seed=1).load()

    assert not np.array_equal(first.train_rows, second.train_rows)


def test_more_images_than_there_are_is_refused_for_both_splits_at_once() -> None:
    with pytest.raises(InputError) as refused:
        Digits(seed=0, image_size=32, train_size=1438, test_size=361).inspect()

    assert refused.value.problems == (
        "digits: train_size: 1438 is more than the 1437 images there are; give at most 1437",
        "digits: test_size: 361 is more than the 360 images there are; give at most 360",
    )


def test_test_fraction_that_leaves_nothing_for_training_is_refused() -> None:
    with pytest.raises(InputError) as refused:
        Digits(seed=0, image_size=32, test_fraction=0.9999).inspect()

    assert str(refused.value) == (
        "digits: a test_fraction of 0.9999 of 1797 images leaves 0 for training and 1797 for testing;"
        " both need at least 1"
    )
