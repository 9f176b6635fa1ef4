"""Lets the log of answers play the role of the expert: the worker that trains the model reads what people answered."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from raycal.algorithm.questions import StepQuestions
from raycal.algorithm.records import Floats, Indices, Interaction, Labels
from raycal.data import Dataset, LoadedDataset
from raycal.data.unlabeled import unlabeled_samples
from raycal.errors import InputError, StoppedError
from raycal.people.amendments import AmendmentFiles
from raycal.people.fold import book_when_closed, fold
from raycal.people.given_answers import label_probabilities
from raycal.people.log import read_events
from raycal.people.probes import earlier_answers, read_settings, with_probes
from raycal.people.progress import read_progress
from raycal.people.project_samples import content_of, read_sample_list
from raycal.people.steps import STEPS, StepFiles
from raycal.people.stopping import read_rules
from raycal.storage.folder import Folder
from raycal.storage.predictions import UNKNOWN, HoldoutPredictions

# Names for the outputs of the network while nobody has named a class. A network without named classes is never trained;
# it only helps to choose the first images.
UNNAMED = tuple(f"class {number}" for number in range(10))


class AnsweredByPeople:
    """The answers of people in the log of a run, as they were when this object was made.

    Args:
        run_folder: The folder of the run.
        next_iteration: Returns the iteration in which the experiment continues. It is called when the samples are
            loaded, after the experiment has repaired what a crash left.
        seed: The seed of the experiment, on which the choice of probes depends.
        doubts_labels: Whether models that have not seen the labels of single images shall predict them.
    """

    def __init__(
        self, run_folder: Folder, next_iteration: Callable[[], int], seed: int = 0, *, doubts_labels: bool = True
    ) -> None:
        self.doubts_labels = doubts_labels
        self._run_folder, self._seed = run_folder, seed
        self._steps = StepFiles(run_folder.folder(STEPS))
        self._amendments = AmendmentFiles(run_folder)
        self._events = read_events(run_folder)
        self._book = fold(self._events)
        self._next_iteration = next_iteration
        self._loaded_for: int | None = None
        self._num_classes: int | None = None
        self._holdout_rows: Indices = np.zeros(0, np.int64)
        self._true_labels = self._holdout_rows
        self._noun = "sample"

    def load(self, dataset: Dataset) -> LoadedDataset:
        """The samples with the class names and the labels of the hold-out that were known when the iteration was last
        closed.

        What people add while a model trains counts in the next iteration, so a training that is repeated after a crash
        gives the same model. A dataset with true labels is not changed.

        Raises:
            InputError: The samples cannot be used, or they differ from the samples that people see.
        """
        unlabeled = unlabeled_samples(dataset)
        if unlabeled is None:
            loaded = dataset.load()
            self._note_holdout(loaded, loaded.test_labels)
            self._num_classes = loaded.num_classes
            return loaded
        listed = read_sample_list(self._run_folder, unlabeled.kind, anywhere=unlabeled.names_anywhere)
        if listed is None:
            raise InputError(
                f"{self._run_folder.place}: the list of the {unlabeled.kind} is missing; start raycal.annotate again"
            )
        samples = unlabeled.load_listed(content=content_of(listed), before=listed, add=False).dataset
        self._note_holdout(samples, np.full(samples.num_test, UNKNOWN))
        self._loaded_for = self._next_iteration()
        book = book_when_closed(self._events, self._loaded_for)
        answered = book.holdout()
        labels, rows = samples.labels.copy(), samples.test_rows[list(answered)]
        labels[rows] = list(answered.values())
        class_names = book.classes or UNNAMED
        self._num_classes = len(class_names)
        return replace(samples, labels=labels, test_rows=rows, class_names=class_names)

    def answers(
        self, iteration: int, step: int, make: Callable[[], StepQuestions], *, spent: int
    ) -> tuple[Interaction, ...]:
        """The ledger rows of an annotation step; see `raycal.algorithm.questions.Annotators`.

        Raises:
            StoppedError: Raised as `Annotators` describes, and if the rows belong to a later iteration than the one for
                which the images were loaded, because by then people may have named more classes. This happens when
                finished iterations are computed again from the answers.
        """
        book = self._book
        if self._loaded_for not in (None, iteration) and book.closed_at(iteration, step) is not None:
            raise StoppedError(f"iteration {iteration} needs the classes that people had named by its end")
        questions = self._steps.read(iteration, step)
        if questions is None and (iteration, None) in book.closed:
            return ()  # the owner closed the round before people came to this step
        if questions is None:
            questions = self._with_probes(make())
            self._steps.write(questions)
        if book.closed_at(iteration, step) is None:
            raise StoppedError(f"people have not answered step {step} of iteration {iteration} yet")
        return questions.rows(book.replies(questions), spent=spent)

    def amendments(self, iteration: int) -> Mapping[int, int]:
        """The amended labels that hold from an iteration on; see `raycal.people.amendments`.

        The first call for an iteration reads the log once more, because people look again while a model trains.
        """
        known = self._amendments.read(iteration)
        if known is not None:
            return known
        newest = self._steps.newest()
        if newest is not None and newest[0] >= iteration:
            return {}  # the round began without amended labels
        book = fold(read_events(self._run_folder))
        return self._amendments.write(iteration, book, self._steps.read_all(), num_classes=self._num_classes)

    def label_probabilities(self, iteration: int, labels: Labels) -> Floats:
        """How probable the labels of the pool are; see `raycal.algorithm.questions.Annotators`.

        Answers that came after the iteration was closed count in the next one, so a training that is repeated after a
        crash has the same weights.
        """
        steps = [step for step in self._steps.read_all() if step.iteration <= iteration]
        return label_probabilities(book_when_closed(self._events, iteration), steps, labels)

    def predictions(self, classify: Callable[[Indices], Indices]) -> HoldoutPredictions:
        """What a model predicts for all samples of the hold-out, including those without a label, because people may
        label them before the end of the next round.

        Args:
            classify: Returns the class that the model predicts for each of some rows of the dataset.
        """
        predicted = classify(self._holdout_rows)
        return HoldoutPredictions(predicted=predicted.astype(np.int32), labels=self._true_labels.astype(np.int32))

    def reason_to_end(self, iterations: int) -> str | None:
        """The stopping rule by which the project ends after its first `iterations` iterations.

        None if no rule holds, if the rules only make suggestions, or if people were already asked the questions of the
        next iteration.
        """
        rules, newest = read_rules(self._run_folder), self._steps.newest()
        if not rules.automatically or (newest is not None and newest[0] >= iterations):
            return None
        progress = read_progress(
            self._run_folder,
            num_test=self._num_test,
            labels=lambda iteration: book_when_closed(self._events, iteration).holdout(),
            rules=rules,
            total_rounds=iterations,
            noun=self._noun,
        )
        suggestion = None if progress is None else progress.suggestion
        return None if suggestion is None else suggestion.rule.reason

    def _with_probes(self, step: StepQuestions) -> StepQuestions:
        share = read_settings(self._run_folder).share
        if share <= 0:
            return step
        earlier = earlier_answers(self._steps.read_all(), self._book)
        return with_probes(step, share=share, earlier=earlier, seed=self._seed)

    def _note_holdout(self, samples: LoadedDataset, true_labels: Indices) -> None:
        self._holdout_rows, self._true_labels, self._noun = samples.test_rows, true_labels, samples.noun

    def _num_test(self, iteration: int) -> int:
        if (self._true_labels != UNKNOWN).any():
            return len(self._true_labels)
        return len(book_when_closed(self._events, iteration).holdout())
