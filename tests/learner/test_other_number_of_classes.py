"""Tests that a model that was saved with another number of classes still predicts, and that the next reset adds the new
classes."""

import numpy as np
import pytest
from small_learner import dataset, everything, extractor, learner

from raycal.algorithm.randomness import stream
from raycal.errors import InputError


def test_saved_model_of_fewer_classes_predicts_them_and_a_reset_makes_room() -> None:
    images, more = dataset(num_classes=2), dataset(num_classes=3)
    before, after = learner(images), learner(more)
    before.fit(everything(images), stream(0, 0, "train"))
    indices = np.arange(images.num_train)

    after.load(before.save())
    before.load(before.save())  # After loading, both learners compute the embeddings anew.
    predictions, expected = after.predict(indices), before.predict(indices)
    assert predictions.probs.shape == (len(indices), 2)
    assert after.head().weights.shape[0] == 2
    after.reset(stream(0, 1, "head"))
    after.fit(everything(more), stream(0, 1, "train"))
    new = learner(more)
    new.reset(stream(0, 1, "head"))
    new.fit(everything(more), stream(0, 1, "train"))
    assert after.predict(indices).probs.shape == (len(indices), 3)
    assert np.array_equal(after.head().weights, new.head().weights)
    assert after.evaluate() == new.evaluate()
    assert expected.probs.shape == (len(indices), 2)


def test_weights_of_another_network_are_still_refused() -> None:
    other = extractor(dataset(), network="resnet50")

    with pytest.raises(InputError, match="not one that raycal saved"):
        extractor(dataset()).load(other.save())
