from pathlib import Path

from small_project import TRAIN_ROWS, answer, clusters, halve, project, samples

from raycal.people.events import Answered
from raycal.people.guidelines import NUM_EXAMPLES, Guidelines
from raycal.people.log import read_events
from raycal.people.memory import OPEN
from raycal.storage.folder import Folder

GUIDELINES = Guidelines(text="Look at the beak first.", classes={"ROBIN": "A red breast.", "owl": "Large eyes."})


def test_classes_have_their_texts_and_the_first_samples_that_were_labeled_alone(tmp_path: Path) -> None:
    with project(Folder.at(str(tmp_path)), guidelines=GUIDELINES) as birds:
        birds.open_step(clusters(1), 0, OPEN, halve=halve)
        birds.submit("ana", "a1", [answer(1, "0.0.0", 1)])
        birds.open_step(samples(), 0, OPEN)
        labels = (1, 0, 1, 1, 1, 1)
        birds.submit("ana", "a1", [answer(number + 2, f"0.1.{number}", label) for number, label in enumerate(labels)])

        found = birds.guidelines()

    robins = [int(TRAIN_ROWS[300 + 7 * number]) for number in (0, 2, 3, 4)]
    assert len(robins) == NUM_EXAMPLES
    assert found == {
        "text": "Look at the beak first.",
        "classes": [
            {"name": "wren", "text": "", "examples": [int(TRAIN_ROWS[307])], "num_checked": 0},
            {"name": "robin", "text": "A red breast.", "examples": robins, "num_checked": 0},
            *({"name": name, "text": "", "examples": [], "num_checked": 0} for name in ("tit", "crow", "jay")),
            {"name": "owl", "text": "Large eyes.", "examples": [], "num_checked": 0},
        ],
    }


def test_example_has_the_label_of_the_second_look(tmp_path: Path) -> None:
    with project(Folder.at(str(tmp_path))) as birds:
        birds.open_step(samples(3), 0, OPEN)
        for number in range(3):  # the last answer closes the step
            birds.submit("ana", "a1", [answer(number, f"0.1.{number}", 0)])
        birds.submit("ben", "b1", [answer(10, "look_again.300", 2), answer(11, "look_again.307", None)])

        examples = {one["name"]: (one["examples"], one["num_checked"]) for one in birds.guidelines()["classes"]}

    assert (examples["wren"], examples["tit"]) == (([int(TRAIN_ROWS[314])], 0), ([int(TRAIN_ROWS[300])], 1))


def test_samples_about_which_people_agree_come_first_and_disputed_ones_are_left_out(tmp_path: Path) -> None:
    with project(Folder.at(str(tmp_path))) as birds:
        birds.open_step(samples(6), 0, OPEN)
        for number in range(6):
            birds.submit("ana", "a1", [answer(number, f"0.1.{number}", 0)])
        seqs = {
            event.question: event.seq for event in read_events(Folder.at(str(tmp_path))) if isinstance(event, Answered)
        }
        second = {"0.1.1": 1, "0.1.4": 0, "0.1.5": 0}
        for number, (question, label) in enumerate(second.items(), 10):
            birds.submit("ben", "b1", [answer(number, f"shared.{seqs[question]}", label)])
        # Whoever answers twice has not checked anything.
        birds.submit("ana", "a1", [answer(20, f"repeat.{seqs['0.1.0']}", 0)])

        wren, robin, *_ = birds.guidelines()["classes"]
        birds.submit("ben", "b1", [answer(30, "look_again.307", 1)])
        after = birds.guidelines()["classes"][1]

    assert wren["examples"] == [int(TRAIN_ROWS[300 + 7 * number]) for number in (4, 5, 0, 2)]
    assert wren["num_checked"] == 2
    assert (robin["examples"], robin["num_checked"]) == ([], 0)
    assert (after["examples"], after["num_checked"]) == ([int(TRAIN_ROWS[307])], 1)


def test_samples_of_the_hold_out_are_no_examples(tmp_path: Path) -> None:
    with project(Folder.at(str(tmp_path)), holdout=5) as birds:
        birds.submit("ana", "a1", [answer(1, "h.0", 1)])

        assert [one["examples"] for one in birds.guidelines()["classes"]] == [[]] * 5
