"""All labels that the images of a pool were ever given, as arrays: one row per image and answer.

Algorithm 1 releases the images of a labeled cluster after every round. That is right for training, but the labels were
paid for, so a data set must not lose them. `posterior` works out from these rows how probable each label is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from raycal.algorithm.records import Answer, Indices, Interaction, Kind, Labels

Flags = npt.NDArray[np.bool_]
# The interaction of an answer that is in no ledger.
NO_INTERACTION = 0
_NOTHING = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherAnswer:
    """An answer about the pool that is in no ledger: a check, a second opinion or a late answer.

    Attributes:
        who: The pseudonym of the person.
        round: The iteration in which the question was asked.
        kind: Whether the question showed one image or a cluster.
        label: The label that the person gave.
        indices: The images that the label applies to.
        marked: The images of the cluster that the person marked as odd.
        seen: The images of the cluster that the person saw.
        is_audit: Whether the question was drawn at random to measure the error of the labels of clusters.
        is_look: Whether the person looked again at the image because its label was in doubt.
    """

    who: str
    round: int
    kind: Kind
    label: int
    indices: Indices
    marked: Indices
    seen: Indices
    is_audit: bool = False
    is_look: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """All labels that the images of a pool were ever given. Each array has one entry per image and answer.

    Attributes:
        index: (E,) int64, the pool index of the image.
        round: (E,) int64, the iteration of the answer, from 0.
        interaction: (E,) int64, the number of the interaction; `NO_INTERACTION` for an answer that is in no ledger.
        label: (E,) int64, the label that was given.
        is_single: (E,) bool, whether the image was shown alone.
        is_odd: (E,) bool, whether the image was marked as odd in a cluster that got this label.
        answer: (E,) int64, a number that the images of one answer share. Newer answers have higher numbers; answers
            that are in no ledger have the highest ones.
        person: (E,) int64, the place in `people` of the person who answered.
        is_seen: (E,) bool, whether it is known that the person saw the image. Always true if `is_single` or `is_odd`.
        is_audit: (E,) bool, whether the answer belongs to an audit.
        is_look: (E,) bool, whether the person looked again at the image because its label was in doubt.
        people: The pseudonyms, in alphabetical order. A simulated expert has an empty one.
    """

    index: Indices
    round: Indices
    interaction: Indices
    label: Labels
    is_single: Flags
    is_odd: Flags
    answer: Indices
    person: Indices
    is_seen: Flags
    is_audit: Flags
    is_look: Flags
    people: tuple[str, ...]

    @classmethod
    def of(
        cls,
        interactions: Sequence[Interaction],
        marked: Mapping[int, Indices],
        *,
        annotators: Mapping[int, str] | None = None,
        seen: Mapping[int, Indices] | None = None,
        others: Sequence[OtherAnswer] = (),
    ) -> "Evidence":
        """The evidence in the rows of a ledger and in other answers. Refused questions say nothing about a label.

        Args:
            interactions: The rows of all rounds.
            marked: The images that were marked as odd in a cluster, by the number of the interaction.
            annotators: The pseudonym of the person who answered, by the number of the interaction.
            seen: The images of a labeled cluster that the person saw, by the number of the interaction.
            others: The answers that are in no ledger, from the oldest to the newest one.
        """
        who, given = annotators or {}, seen or {}
        last = max((row.interaction for row in interactions), default=0)
        answers = [
            (
                row.interaction,
                row.interaction,
                OtherAnswer(
                    who=who.get(row.interaction, ""),
                    round=row.iteration,
                    kind=row.kind,
                    label=row.label,
                    indices=row.indices,
                    marked=np.asarray(marked.get(row.interaction, _NOTHING), np.int64),
                    seen=np.asarray(given.get(row.interaction, _NOTHING), np.int64),
                ),
            )
            for row in interactions
            if row.answer is Answer.LABELED and row.label is not None
        ]
        answers += [(last + number, NO_INTERACTION, answer) for number, answer in enumerate(others, 1)]
        people = tuple(sorted({answer.who for _, _, answer in answers}))
        place = {name: number for number, name in enumerate(people)}
        parts = [
            (number, interaction, answer, indices, is_odd)
            for number, interaction, answer in answers
            for indices, is_odd in ((answer.indices, False), (answer.marked, True))
            if len(indices) or not is_odd
        ]
        sizes = [len(part[3]) for part in parts]

        def column(values: Sequence[int]) -> npt.NDArray[np.int64]:
            return np.repeat(np.array(values, np.int64), sizes)

        def flags(values: Sequence[bool]) -> Flags:
            return np.repeat(np.array(values, np.bool_), sizes)

        is_single = flags([part[2].kind is Kind.SAMPLE for part in parts])
        is_odd = flags([part[4] for part in parts])
        is_seen = np.concatenate([*(np.isin(part[3], part[2].seen) for part in parts), np.zeros(0, np.bool_)])
        return cls(
            index=np.concatenate([part[3] for part in parts]).astype(np.int64) if parts else _NOTHING,
            round=column([part[2].round for part in parts]),
            interaction=column([part[1] for part in parts]),
            label=column([part[2].label for part in parts]),
            is_single=is_single,
            is_odd=is_odd,
            answer=column([part[0] for part in parts]),
            person=column([place[part[2].who] for part in parts]),
            is_seen=is_seen | is_single | is_odd,
            is_audit=flags([part[2].is_audit for part in parts]),
            is_look=flags([part[2].is_look for part in parts]),
            people=people,
        )

    def __len__(self) -> int:
        return len(self.index)

    def rows(self, chosen: Indices | Flags) -> "Evidence":
        """Some of the rows, about the same people."""
        arrays = {one.name: getattr(self, one.name)[chosen] for one in fields(self) if one.name != "people"}
        return Evidence(**arrays, people=self.people)
