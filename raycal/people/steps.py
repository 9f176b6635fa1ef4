"""The files with the questions of each annotation step. The questions of a step are written once. So people see the
same questions after a restart, even on a GPU, whose results differ in their last bits from run to run.
"""

import io
import re
from collections.abc import Sequence

import numpy as np

from raycal.algorithm.centroid import order_from_centroid
from raycal.algorithm.clustering import Clustering
from raycal.algorithm.questions import Probe, Question, StepQuestions
from raycal.algorithm.randomness import stream
from raycal.algorithm.records import Floats, Indices, Kind
from raycal.errors import InputError
from raycal.people.log import PEOPLE
from raycal.storage.checkpoints import iteration_name
from raycal.storage.folder import Folder
from raycal.storage.seal import seal, unseal

STEPS = f"{PEOPLE}/steps"
MAX_EMBEDDING_BYTES = 2**32
_STEP = re.compile(r"iteration-(\d{3,9})-step-(\d+)\.json", re.ASCII)


class StepFiles:
    """The folder `people/steps/` of a run: for each step its questions, the guesses of the model, and the embeddings by
    which a cluster is split.

    The embeddings are kept with half precision, because they only decide how a refused cluster is cut in two. They are
    written before the questions, so a step with questions has its embeddings.
    """

    def __init__(self, folder: Folder) -> None:
        self._folder = folder

    def newest(self) -> tuple[int, int] | None:
        """The iteration and the number of the last step whose questions were written. None if there is none."""
        return max(self._places(), default=None)

    def read_all(self) -> list[StepQuestions]:
        """The questions of all steps that were written, in their order.

        Raises:
            InputError: A file is damaged.
        """
        steps = (self.read(*place) for place in sorted(self._places()))
        return [step for step in steps if step is not None]

    def read(self, iteration: int, step: int) -> StepQuestions | None:
        """The questions of a step. None if they were not written yet.

        Raises:
            InputError: The file is damaged.
        """
        name = f"{_stem(iteration, step)}.json"
        content = self._folder.read(name)
        if content is None:
            return None
        try:
            record = unseal(content)
            questions = tuple(
                Question(
                    id=question["id"],
                    by_distance=np.array(question["indices"], np.int64),
                    guess=_guess(question.get("guess")),
                    probes=tuple(Probe(int(index), int(label)) for index, label in question.get("probes", ())),
                )
                for question in record["questions"]
            )
            return StepQuestions(
                iteration=iteration, step=step, kind=Kind(record["kind"]), budget=int(record["budget"]), first=questions
            )
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{self._folder.place}/{name}: damaged; restore an intact copy") from error

    def write(self, step: StepQuestions) -> None:
        """Write the questions of a step."""
        stem = _stem(step.iteration, step.step)
        if step.kind is Kind.CLUSTER:
            for question in step.first:
                if question.embeddings is not None:
                    self._folder.write(_embeddings_name(question.id), _as_bytes(question.embeddings()))
        questions = [_record(question) for question in step.first]
        record = {"kind": step.kind.value, "budget": step.budget, "questions": questions}
        self._folder.write(f"{stem}.json", seal(record))

    def halves(self, step: StepQuestions, question: Question, clustering: Clustering, seed: int) -> Sequence[Indices]:
        """The two parts of a cluster, each beginning with its sample nearest to the centroid.

        Args:
            step: The step of the question.
            question: A question of the step, or a half of one.
            clustering: Cuts the cluster in two.
            seed: The seed of the experiment.

        Returns:
            Two parts, or one if the clustering does not cut the cluster.
        """
        top = next(one for one in step.first if question.id == one.id or question.id.startswith(f"{one.id}."))
        content = self._folder.read(_embeddings_name(top.id), at_most=MAX_EMBEDDING_BYTES)
        if content is None or len(question.by_distance) < 2:
            return [question.by_distance]
        embeddings = np.load(io.BytesIO(content), allow_pickle=False).astype(np.float32)
        order = np.argsort(top.by_distance)
        own = embeddings[order[np.searchsorted(top.by_distance, question.indices, sorter=order)]]
        rng = stream(seed, step.iteration, f"halves of {question.id}")
        ids = clustering(own, 2, int(rng.integers(2**31)))
        parts = [np.flatnonzero(ids == number) for number in np.unique(ids)]
        return [question.indices[part[order_from_centroid(own[part])]] for part in parts]

    def _places(self) -> list[tuple[int, int]]:
        names = (_STEP.fullmatch(name) for name in self._folder.names("iteration-*.json"))
        return [(int(name[1]), int(name[2])) for name in names if name]

    def remove_embeddings(self) -> None:
        """Remove the embeddings of all steps; only open questions need them."""
        for name in self._folder.names("question-*.npy"):
            self._folder.remove(name)


def _record(question: Question) -> dict[str, object]:
    """A question in the form in which the file has it. A question without a guess or without probes has no key for
    them, as in earlier versions.
    """
    record: dict[str, object] = {"id": question.id, "indices": question.by_distance.tolist()}
    if question.guess is not None:
        record["guess"] = question.guess
    if question.probes:
        record["probes"] = [list(probe) for probe in question.probes]
    return record


def _guess(value: object) -> int | None:
    if value is not None and (type(value) is not int or value < 0):
        raise ValueError(f"{value!r} is no class")
    return value


def _stem(iteration: int, step: int) -> str:
    return f"{iteration_name(iteration)}-step-{step}"


def _embeddings_name(question: str) -> str:
    return f"question-{question}.npy"


def _as_bytes(embeddings: Floats) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, embeddings.astype(np.float16))
    return buffer.getvalue()
