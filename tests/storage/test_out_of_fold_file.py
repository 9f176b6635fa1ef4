from pathlib import Path

import numpy as np
import pytest

from raycal.storage.folder import Folder
from raycal.storage.out_of_fold import (
    OUT_OF_FOLD,
    OutOfFold,
    newest_out_of_fold,
    out_of_fold_file,
    out_of_fold_name,
)


@pytest.fixture
def run(tmp_path: Path) -> Folder:
    return Folder.at(str(tmp_path / "run"))


def predictions(first: int) -> OutOfFold:
    return OutOfFold(
        sample=np.array([first, 90], np.int32),
        label=np.array([0, 2], np.int32),
        predicted=np.array([1, 2], np.int32),
        of_predicted=np.array([0.75, 0.5], np.float32),
        of_label=np.array([0.25, 0.5], np.float32),
    )


def test_newest_predictions_are_read(run: Folder) -> None:
    assert newest_out_of_fold(run) is None
    for iteration in (2, 10, 9):
        run.folder(OUT_OF_FOLD).write(out_of_fold_name(iteration), out_of_fold_file(predictions(iteration)))
    found = newest_out_of_fold(run)
    assert found is not None
    assert found.sample.tolist() == [10, 90]
    assert (found.label.tolist(), found.predicted.tolist()) == ([0, 2], [1, 2])
    assert (found.of_predicted.tolist(), found.of_label.tolist()) == ([0.75, 0.5], [0.25, 0.5])


def test_same_predictions_give_the_same_bytes() -> None:
    assert out_of_fold_file(predictions(1)) == out_of_fold_file(predictions(1)) != out_of_fold_file(predictions(2))


@pytest.mark.parametrize("cut", [0, 20, -20])
def test_damaged_predictions_are_not_known(run: Folder, cut: int) -> None:
    run.folder(OUT_OF_FOLD).write(out_of_fold_name(0), out_of_fold_file(predictions(0))[:cut])
    assert newest_out_of_fold(run) is None
