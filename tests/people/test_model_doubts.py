import numpy as np

from raycal.people.model_doubts import Doubt, model_doubts
from raycal.storage.out_of_fold import OutOfFold


def predictions(*rows: tuple[int, int, float, float]) -> OutOfFold:
    """The predictions for the samples 10, 11 and so on: label, predicted class, its probability, that of the label."""
    label, predicted, of_predicted, of_label = zip(*rows, strict=True)
    return OutOfFold(
        sample=np.arange(10, 10 + len(rows), dtype=np.int32),
        label=np.array(label, np.int32),
        predicted=np.array(predicted, np.int32),
        of_predicted=np.array(of_predicted, np.float32),
        of_label=np.array(of_label, np.float32),
    )


def test_model_doubts_a_label_if_it_is_as_sure_as_where_it_agrees_with_the_labels() -> None:
    # Where the model agrees, the label has on average the probability 0.75 for class 0, and 0.5 for class 1.
    found = model_doubts(
        predictions(
            (0, 0, 0.875, 0.875),
            (0, 0, 0.625, 0.625),
            (0, 1, 0.5, 0.25),  # as sure as the threshold of class 1
            (1, 1, 0.5, 0.5),
            (1, 0, 0.74, 0.125),  # below the threshold of class 0
            (1, 0, 0.76, 0.125),  # above it
        )
    )
    assert found == {
        12: Doubt(label=0, predicted=1, of_label=0.25),
        15: Doubt(label=1, predicted=0, of_label=0.125),
    }


def test_model_is_never_sure_of_a_class_that_it_finds_in_no_sample_with_this_label() -> None:
    assert model_doubts(predictions((0, 3, 0.99, 0.01), (1, 2, 0.99, 0.01), (4, 4, 0.9, 0.9), (2, 4, 0.6, 0.4))) == {}


def test_nothing_is_doubted_without_predictions() -> None:
    assert model_doubts(None) == {}
    empty = OutOfFold(**{name: np.zeros(0) for name in ("sample", "label", "predicted", "of_predicted", "of_label")})
    assert model_doubts(empty) == {}
