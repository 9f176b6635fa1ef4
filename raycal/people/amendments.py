"""Amended labels of D^L: which answers amend a label, and the files that say from which round on each of them holds.

People look again at a sample of D^L whose labels differ, at any time. What they answer changes nothing that is
committed. It takes effect when the next round begins: the worker then writes the file of that round, once, with all
amended labels, and every process that works for the round reads the file. So the ledger and these files together are
the full record of what each model was trained on, and a training that is made again uses the same labels.

A round in which no label differs from the ledger has no file. Neither has a round that began before the first look.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from raycal.algorithm.questions import StepQuestions
from raycal.errors import InputError
from raycal.people.check_ids import check_of
from raycal.people.disagreements import single_labels
from raycal.people.events import Answered, Purpose, whole_number
from raycal.people.fold import Book
from raycal.people.log import PEOPLE
from raycal.storage.checkpoints import iteration_name
from raycal.storage.folder import Folder
from raycal.storage.seal import seal, unseal

AMENDMENTS = f"{PEOPLE}/amendments"
_FILE = re.compile(r"iteration-(\d{3,9})\.json", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A sample of D^L at which a person has looked again.

    Attributes:
        sample: The sample of the pool.
        before: The answer that had given the sample its label.
        answer: The answer to the look again. Its label is None if the person could not tell, so that the label stays.
    """

    sample: int
    before: Answered
    answer: Answered

    @property
    def label(self) -> int:
        """The label of the sample after the look."""
        label = self.before.label if self.answer.label is None else self.answer.label
        assert label is not None  # a sample of D^L has a label
        return label

    @property
    def is_changed(self) -> bool:
        """Whether the label is another one than before the look."""
        return self.label != self.before.label


@dataclass(frozen=True, slots=True, kw_only=True)
class LookCounts:
    """How many samples people have looked at again.

    Attributes:
        number: The number of samples.
        changed: How many of them have another label now.
        unsure: For how many of them the person could not tell, so that the label stays.
    """

    number: int = 0
    changed: int = 0
    unsure: int = 0

    @classmethod
    def of(cls, looks: Sequence[Look]) -> Self:
        """Count some looks."""
        return cls(
            number=len(looks),
            changed=sum(look.is_changed for look in looks),
            unsure=sum(look.answer.label is None for look in looks),
        )


def looks_of(book: Book, steps: Iterable[StepQuestions]) -> list[Look]:
    """The samples at which people have looked again, in the order of the answers.

    Args:
        steps: The questions of all steps.
    """
    events = []
    for question in book.questions:
        check, event = check_of(question), book.counted(question)
        if check is not None and check.purpose is Purpose.LOOK_AGAIN and event is not None:
            events.append((check.number, event))
    if not events:
        return []
    singles = single_labels(book, steps)
    looks = [Look(sample=sample, before=singles[sample], answer=event) for sample, event in events if sample in singles]
    return sorted(looks, key=lambda one: one.answer.seq)


class AmendmentFiles:
    """The folder `people/amendments/` of a run, with the amended labels of each round that has any.

    Args:
        run_folder: The folder of the run.
    """

    def __init__(self, run_folder: Folder) -> None:
        self._folder = run_folder.folder(AMENDMENTS)

    def read(self, iteration: int) -> dict[int, int] | None:
        """The label of each sample whose label was amended before a round, or amended back. None without a file.

        Raises:
            InputError: The file is damaged.
        """
        name = f"{iteration_name(iteration)}.json"
        content = self._folder.read(name)
        if content is None:
            return None
        try:
            return {whole_number(sample): whole_number(label) for sample, label in unseal(content)["labels"]}
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{self._folder.place}/{name}: damaged; restore an intact copy") from error

    def read_all(self) -> dict[int, dict[int, int]]:
        """The amended labels of each round that has any.

        Raises:
            InputError: A file is damaged.
        """
        found = {iteration: self.read(iteration) for iteration in self._iterations()}
        return {iteration: labels for iteration, labels in found.items() if labels is not None}

    def write(
        self, iteration: int, book: Book, steps: Iterable[StepQuestions], *, num_classes: int | None = None
    ) -> dict[int, int]:
        """Write the amended labels of a round that begins now, unless there are none, and return them.

        A label that is in an earlier file, and whose answer was taken back since, gets its value in the ledger again.

        Args:
            book: The answers so far.
            steps: The questions of all earlier rounds.
            num_classes: The number of classes that the network has when the round begins. A label of a class that was
                named later holds one round later. None means that there is no limit.
        """
        known = list(steps)
        changed = (look for look in looks_of(book, known) if look.is_changed)
        labels = {look.sample: look.label for look in changed if num_classes is None or look.label < num_classes}
        before = [number for number in self._iterations() if number < iteration]
        earlier = (self.read(before[-1]) or {}) if before else {}
        if back := earlier.keys() - labels.keys():
            singles = single_labels(book, known)
            labels |= {sample: singles[sample].label or 0 for sample in back}
        if labels:
            record = {"as_of": book.last_seq, "labels": [[sample, labels[sample]] for sample in sorted(labels)]}
            self._folder.write(f"{iteration_name(iteration)}.json", seal(record))
        return labels

    def _iterations(self) -> list[int]:
        names = (_FILE.fullmatch(name) for name in self._folder.names("iteration-*.json"))
        return sorted(int(name[1]) for name in names if name)
