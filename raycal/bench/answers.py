"""`answers`: how long people wait until an answer is on the disk, and whether each answer is there exactly once.

`python -m raycal.bench.answers --people 50 --seconds 20` runs this benchmark alone.
"""

import argparse
import random
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from raycal.algorithm.questions import sample_questions
from raycal.bench.figure import Figure, Goal
from raycal.bench.material import Options
from raycal.data.image_dataset import ImageDataset
from raycal.people.log import ANSWERS, read_events
from raycal.people.memory import OPEN
from raycal.people.project import Project
from raycal.storage.folder import Folder

MOST_P95_SECONDS = 0.2
NUM_CLASSES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The measurements of one run, in which a number of people answered at the same time.

    Attributes:
        seconds: (n,) The time from each answer to its acknowledgement.
        lost: The number of acknowledged answers that are not on the disk.
        doubled: The number of events that are on the disk more than once.
        files: The number of files of the log.
    """

    seconds: Sequence[float]
    lost: int
    doubled: int
    files: int

    def percentile(self, percent: float) -> float:
        """The time within which this percentage of the answers was acknowledged."""
        return float(np.percentile(self.seconds, percent))


def measure(place: Path, people: int, seconds: float, *, per_second: float = 1.0) -> Measured:
    """Let people answer through `Project.submit` for some seconds, each person in a separate thread.

    Args:
        place: An empty folder for the log.
        per_second: How many answers each person gives per second.
    """
    folder = Folder.at(str(place))
    most = int(people * (seconds * per_second + 2) * 1.5) + 1
    acknowledged: list[str] = []
    taken: list[float] = []
    with _project(folder, most) as project:
        project.open_step(sample_questions(np.arange(most), iteration=0, step=0), 0, OPEN)
        end = time.monotonic() + seconds
        threads = [
            threading.Thread(target=_answer, args=(project, f"person-{one}", end, per_second, acknowledged, taken))
            for one in range(people)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    stored = [event.id for event in read_events(folder)]
    log = folder.folder(ANSWERS)
    lines = [line for name in log.names() for line in (log.read(name) or b"").splitlines()]
    return Measured(
        seconds=taken,
        lost=len(set(acknowledged) - set(stored)),
        doubled=len(lines) - len(set(stored)),
        files=len(log.names()),
    )


def run(options: Options) -> Iterator[Figure]:
    """The time within which 95 of 100 answers are acknowledged."""
    people, seconds = options.size(50, 5), options.size(20, 1)
    with TemporaryDirectory() as folder:
        measured = measure(Path(folder), people, seconds)
    if measured.lost or measured.doubled:
        raise RuntimeError(f"lost {measured.lost}, doubled {measured.doubled}")
    yield Figure(
        benchmark="answers",
        name="wall, answer to acknowledgement, 95th percentile",
        value=measured.percentile(95),
        unit="s",
        goal=Goal("<=", MOST_P95_SECONDS),
        arms={"seconds": measured.seconds},
        setting={"people": people, "seconds": seconds, "count": len(measured.seconds)},
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure once and print what was measured."""
    parser = argparse.ArgumentParser(
        prog="python -m raycal.bench.answers",
        description="Measure how long people wait until an answer is on the disk, and count lost and doubled answers.",
    )
    parser.add_argument("--people", type=int, default=50, help="people who answer at the same time (default: 50)")
    parser.add_argument("--seconds", type=float, default=20, help="how long they answer (default: 20)")
    parser.add_argument("--per-second", type=float, default=1, help="answers of each person per second (default: 1)")
    parser.add_argument("--folder", help="where the log is written (default: a temporary folder)")
    options = parser.parse_args(arguments)
    with TemporaryDirectory(dir=options.folder) as folder:
        measured = measure(Path(folder), options.people, options.seconds, per_second=options.per_second)
    print(f"{len(measured.seconds):,} answers of {options.people:,} people in {measured.files:,} files")
    parts = [f"p{percent:g} {measured.percentile(percent) * 1000:.1f} ms" for percent in (50, 95, 99)]
    print(", ".join([*parts, f"longest {max(measured.seconds) * 1000:.1f} ms"]))
    print(f"lost {measured.lost} doubled {measured.doubled}")


def _project(folder: Folder, num_images: int) -> Project:
    dataset = ImageDataset(
        images=np.zeros((num_images, 1, 1, 3), np.uint8),
        labels=np.full(num_images, -1),
        train_rows=np.arange(num_images),
        test_rows=np.arange(0),
        class_names=(),
    )
    names = [f"class {one}" for one in range(NUM_CLASSES)]
    return Project(name="bench", run_folder=folder, dataset=dataset, class_names=names, round_budget=num_images)


def _answer(
    project: Project, who: str, end: float, per_second: float, acknowledged: list[str], taken: list[float]
) -> None:
    """Answer one question after another, at random moments."""
    rng = random.Random(who)
    numbers = count()
    holding: list[str] = []
    time.sleep(rng.uniform(0, 1 / per_second))
    while time.monotonic() < end:
        asked = time.monotonic()
        holding += [one["id"] for one in project.next(who, who, holding, 3 - len(holding))["questions"]]
        event_id = f"{who}-{next(numbers):08d}"
        event = {
            "type": "answered",
            "id": event_id,
            "question": holding.pop(0),
            "answer": "label",
            "label": rng.randrange(NUM_CLASSES),
            "shown": 1,
            "timing": {"visible_ms": 1000, "gaps_ms": []},
        }
        sent = time.monotonic()
        (receipt,) = project.submit(who, who, [event])
        taken.append(time.monotonic() - sent)
        if receipt["status"] == "stored":
            acknowledged.append(event_id)
        project.state(who)
        time.sleep(max(0.0, asked + rng.uniform(0.5, 1.5) / per_second - time.monotonic()))


if __name__ == "__main__":
    main()
