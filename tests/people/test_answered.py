"""The answers of people in the role of the expert."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_project import samples

from raycal.data.images import UnlabeledImages
from raycal.errors import StoppedError
from raycal.people.answered import AnsweredByPeople
from raycal.people.events import ClassAdded, Closed
from raycal.people.log import AnswerLog
from raycal.people.project_samples import write_sample_list
from raycal.people.steps import STEPS, StepFiles
from raycal.storage.folder import Folder

TIME = "2026-11-27T12:00:00Z"


def test_rounds_that_are_made_again_get_the_classes_that_were_known_at_their_ends(tmp_path: Path) -> None:
    (tmp_path / "birds").mkdir()
    for row in range(12):
        Image.fromarray(np.full((8, 8, 3), 20 * row, np.uint8)).save(tmp_path / "birds" / f"{row:02}.png")
    dataset = UnlabeledImages(seed=0, image_size=8, root=str(tmp_path / "birds"))
    run = Folder.at(str(tmp_path / "run"))
    write_sample_list(run, dataset.load_listed().sample_list)
    for iteration in (0, 1):
        StepFiles(run.folder(STEPS)).write(samples(1, iteration=iteration, start=0))
    with AnswerLog(run) as log:
        common = [{"seq": seq, "id": str(seq), "who": "ana", "time": TIME} for seq in range(1, 5)]
        log.write(
            [
                ClassAdded(**common[0], name="wren", label=0),  # type: ignore[arg-type]
                Closed(**common[1], iteration=0, step=1),  # type: ignore[arg-type]
                ClassAdded(**common[2], name="robin", label=1),  # type: ignore[arg-type]
                Closed(**common[3], iteration=1, step=None),  # type: ignore[arg-type]
            ]
        )

    def never() -> None:
        raise AssertionError("the questions exist")

    for iteration, classes in ((0, ("wren",)), (1, ("wren", "robin"))):
        people = AnsweredByPeople(run, lambda iteration=iteration: iteration)
        assert people.load(dataset).class_names == classes
        assert people.answers(iteration, 1, never, spent=0) == ()  # type: ignore[arg-type]
        for other in {0, 1} - {iteration}:
            with pytest.raises(StoppedError, match=f"iteration {other} needs the classes"):
                people.answers(other, 1, never, spent=0)  # type: ignore[arg-type]
