"""Tests that people who answer like the oracle get the ledger of the oracle, whatever the order in which they
answer."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from small_world import EVERY_SCENARIO, World, facts, loop_settings, state_after

from raycal.algorithm.expert import Cluster, Oracle, experts
from raycal.algorithm.loop import active_learning
from raycal.algorithm.pool import CLUSTER_LABELED, KEPT
from raycal.algorithm.questions import Question, Reply, StepQuestions, sample_questions
from raycal.algorithm.records import Answer, Floats, Interaction, IterationResult, Kind, Labels, Predictions
from raycal.errors import StoppedError

SCENARIOS = [name for name in EVERY_SCENARIO if name != "representative-only"]


class Bots:
    """Annotators who answer as an oracle does, in a random order; the experiment stops before they answer."""

    def __init__(self, oracle: Oracle, seed: int, *, stops: bool = True) -> None:
        self._oracle, self._rng, self._stops = oracle, np.random.default_rng(seed), stops
        self.steps: dict[tuple[int, int], StepQuestions] = {}
        self.made = 0

    def answers(
        self, iteration: int, step: int, make: Callable[[], StepQuestions], *, spent: int
    ) -> tuple[Interaction, ...]:
        questions = self.steps.get((iteration, step))
        if questions is None:
            questions = self.steps[iteration, step] = make()
            self.made += 1
            if self._stops:
                raise StoppedError("people have not answered yet")
        replies: dict[str, Reply] = {}
        while waiting := questions.open_questions(replies):
            question = waiting[self._rng.integers(len(waiting))]
            replies[question.id] = self._reply(questions.kind, question)
        return questions.rows(replies, spent=spent)

    def amendments(self, iteration: int) -> dict[int, int]:
        return {}

    def label_probabilities(self, iteration: int, labels: Labels) -> Floats:
        """Probabilities that depend on the iteration and the sample."""
        return np.where(labels < 0, 1, (1 + iteration + np.arange(len(labels)) % 7) / 20).astype(np.float32)

    def _reply(self, kind: Kind, question: Question) -> Reply:
        if kind is Kind.SAMPLE:
            of_samples = self._oracle.label_samples(question.indices, self._rng)
            return Reply(label=int(of_samples.labels[0]), seconds=float(of_samples.seconds[0]))
        cluster = Cluster(indices=question.indices, embeddings=lambda: np.zeros((1, 1), np.float32))
        answer = self._oracle.label_cluster(cluster, self._rng)
        return Reply(label=answer.label, seconds=answer.seconds)


def run_with(bots: Bots, scenario: str, **options: Any) -> list[IterationResult]:
    """An experiment that begins anew from its last state whenever it has to wait for the bots."""
    results: list[IterationResult] = []
    saved = b""
    for _ in range(20):
        world = World()
        components = replace(world.components, expert=experts["people"](world.true_labels[:0]), annotators=bots)
        if results:
            world.learner.load(saved)
        state = state_after(results[-1]) if results else None
        settings = loop_settings(scenario, **options)
        try:
            for result in active_learning(settings, components, num_samples=world.num_samples, state=state):
                results.append(result)
                saved = world.learner.save()
        except StoppedError:
            continue
        return results
    raise AssertionError("the experiment does not end")


def what_people_can_know(row: Interaction) -> tuple[object, ...]:
    return facts(replace(row, purity=None, wrong=None))


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("scenario", [name for name in SCENARIOS if EVERY_SCENARIO[name].pseudo_labels is None])
def test_bots_that_answer_as_the_oracle_give_the_ledger_of_the_simulation(scenario: str, seed: int) -> None:
    world = World()
    simulated = world.run(scenario)
    by_bots = run_with(Bots(Oracle(world.true_labels), seed), scenario)

    for expected, result in zip(simulated, by_bots, strict=True):
        assert [*map(facts, result.ledger)] == [*map(what_people_can_know, expected.ledger)]
        assert result.pool.status.tolist() == expected.pool.status.tolist()
        assert result.pool.labels.tolist() == expected.pool.labels.tolist()
        assert (result.human_seconds, result.evaluation) == (expected.human_seconds, expected.evaluation)


@pytest.mark.parametrize("scenario", ["uncertain+cluster", "cluster+uncertain", "thirds"])
def test_interruptions_change_nothing_and_questions_are_made_once(scenario: str) -> None:
    truth = World().true_labels
    interrupted, undisturbed = Bots(Oracle(truth), 0), Bots(Oracle(truth), 0, stops=False)
    of_each = [run_with(bots, scenario) for bots in (interrupted, undisturbed)]

    ledgers = [[facts(row) for result in results for row in result.ledger] for results in of_each]
    assert ledgers[0] == ledgers[1]
    assert interrupted.made == undisturbed.made == len(interrupted.steps)


class Amending(Bots):
    """Annotators who amend the label of the sample that they labeled first, before the third iteration."""

    def amendments(self, iteration: int) -> dict[int, int]:
        return {self.first: self.amended} if iteration >= 2 else {}

    @property
    def first(self) -> int:
        return int(self.steps[0, 0].first[0].by_distance[0])

    @property
    def amended(self) -> int:
        return (int(self._oracle.truth(np.array([self.first]))[0]) + 1) % 2


def test_amended_label_is_trained_on_from_its_iteration_on() -> None:
    truth = World().true_labels
    people, plain = Amending(Oracle(truth), 0), Bots(Oracle(truth), 0)
    amended, unchanged = run_with(people, "uncertain-only"), run_with(plain, "uncertain-only")

    labels = [result.pool.labels[people.first] for result in amended]
    before = truth[people.first]
    assert len(labels) > 2
    assert labels == [before, before, *[people.amended] * (len(labels) - 2)]
    assert people.amended != before
    for expected, result in zip(unchanged[:2], amended[:2], strict=True):
        assert [*map(facts, result.ledger)] == [*map(facts, expected.ledger)]
        assert result.pool.labels.tolist() == expected.pool.labels.tolist()


@pytest.mark.parametrize("keeps", [False, True])
def test_probabilities_of_labels_are_weights_of_samples_of_clusters_also_after_interruptions(keeps: bool) -> None:
    truth = World().true_labels
    options = {"cluster_weight": "posterior", "keep_cluster_labels": keeps}
    interrupted, undisturbed = Bots(Oracle(truth), 0), Bots(Oracle(truth), 0, stops=False)
    first, second = (run_with(bots, "uncertain+cluster", **options) for bots in (interrupted, undisturbed))

    for one, other in zip(first, second, strict=True):
        assert one.evaluation == other.evaluation
        assert one.pool.purity is not None
        assert other.pool.purity is not None
        assert one.pool.purity.tolist() == other.pool.purity.tolist()
        of_cluster = np.isin(one.pool.status, [CLUSTER_LABELED, KEPT])
        expected = ((1 + one.iteration + np.arange(len(of_cluster)) % 7) / 20).astype(np.float32)
        assert one.pool.purity[of_cluster].tolist() == expected[of_cluster].tolist()
        assert of_cluster.any()


def test_cluster_questions_show_the_samples_nearest_to_the_centroid_first() -> None:
    bots = Bots(Oracle(World().true_labels), 0)
    run_with(bots, "cluster-only", iterations=1)
    world = World()
    world.learner.reset(np.random.default_rng(0))

    questions = bots.steps[0, 0]
    assert [one.id for one in questions.first] == [f"0.0.{number}" for number in range(6)]
    sizes = [len(one.indices) for one in questions.first]
    assert sizes == sorted(sizes, reverse=True)
    for one in questions.first:
        assert one.indices.tolist() == sorted(one.by_distance.tolist())


def two_clusters(budget: int = 3) -> StepQuestions:
    parts = [np.array([3, 1, 2]), np.array([9, 7])]
    first = tuple(Question(id=f"4.1.{number}", by_distance=part) for number, part in enumerate(parts))
    return StepQuestions(iteration=4, step=1, kind=Kind.CLUSTER, budget=budget, first=first)


def halved(question: Question) -> Reply:
    parts = [question.by_distance[:1], question.by_distance[1:]]
    return Reply(label=None, halves=question.halves(parts), seconds=2)


def ids(questions: tuple[Question, ...]) -> list[str]:
    return [question.id for question in questions]


def test_halves_of_a_split_cluster_come_next_and_count() -> None:
    step = two_clusters()
    replies = {"4.1.0": halved(step.first[0])}

    # One of three interactions is spent, so two questions may still be asked.
    assert ids(step.open_questions(replies)) == ["4.1.0.0", "4.1.0.1"]
    replies["4.1.0.1"] = Reply(label=5, seconds=1)
    assert ids(step.open_questions(replies)) == ["4.1.0.0"]
    replies["4.1.1"] = Reply(label=6, part=np.array([7]))
    assert ids(step.open_questions(replies)) == []
    assert ids(step.asked(replies)) == ["4.1.0", "4.1.0.1", "4.1.1"]
    rows = step.rows(replies, spent=10)
    assert [(row.interaction, row.answer, row.label, row.indices.tolist(), row.seconds) for row in rows] == [
        (11, Answer.REFUSED, None, [1, 2, 3], 2),
        (12, Answer.LABELED, 5, [1, 2], 1),
        (13, Answer.LABELED, 6, [7], 0),
    ]
    assert {(row.iteration, row.step, row.kind, row.purity, row.wrong) for row in rows} == {
        (4, 1, Kind.CLUSTER, None, None)
    }


def test_answers_to_halves_are_ignored_when_the_split_is_taken_back() -> None:
    step = two_clusters()
    replies: Mapping[str, Reply] = {"4.1.0.1": Reply(label=5)}

    assert ids(step.asked(replies)) == ["4.1.0", "4.1.1"]
    assert step.rows(replies, spent=0) == ()


def test_halves_of_halves_follow_their_parent() -> None:
    step = two_clusters(budget=9)
    replies = {"4.1.0": halved(step.first[0])}
    second = step.open_questions(replies)[1]
    replies |= {second.id: halved(second), "4.1.0.1.1": Reply(label=0)}

    assert ids(step.asked(replies)) == ["4.1.0", "4.1.0.0", "4.1.0.1", "4.1.0.1.0", "4.1.0.1.1", "4.1.1"]
    assert ids(step.open_questions(replies)) == ["4.1.0.0", "4.1.0.1.0", "4.1.1"]


def test_sample_that_nobody_can_tell_is_a_refusal_and_stays_unlabeled() -> None:
    step = sample_questions(np.array([8, 2]), iteration=0, step=0)

    rows = step.rows({"0.0.1": Reply(label=None, seconds=3)}, spent=0)
    assert [(row.interaction, row.kind, row.answer, row.indices.tolist()) for row in rows] == [
        (1, Kind.SAMPLE, Answer.REFUSED, [2])
    ]


def test_people_never_see_a_true_label() -> None:
    people = experts["people"](np.array([1, 0]))

    assert people.truth(np.array([0])) is None
    assert not vars(people)
    with pytest.raises(TypeError, match="in a browser"):
        people.label_samples(np.array([0]), np.random.default_rng(0))


def test_guess_is_the_class_that_is_most_likely_on_average_over_a_cluster() -> None:
    probs = np.array([[0.1, 0.9], [0.2, 0.8], [0.6, 0.4], [0.9, 0.1], [0.7, 0.3]], np.float32)
    predictions = Predictions(indices=np.array([1, 2, 3, 7, 9]), probs=probs, embeddings=np.zeros((5, 2), np.float32))
    guessed = two_clusters().with_guesses(predictions)

    # The means of class 1 are (0.9 + 0.8 + 0.4) / 3 and (0.1 + 0.3) / 2.
    assert [one.guess for one in guessed.first] == [1, 0]
    assert [one.by_distance.tolist() for one in guessed.first] == [[3, 1, 2], [9, 7]]
    assert [half.guess for half in halved(guessed.first[0]).halves] == [None, None]


@pytest.mark.parametrize("scenario", ["uncertain-only", "cluster-only"])
def test_questions_have_guesses_as_soon_as_the_model_was_trained(scenario: str) -> None:
    truth = World().true_labels
    bots = Bots(Oracle(truth), 0)
    run_with(bots, scenario, iterations=2)

    assert {one.guess for one in bots.steps[0, 0].first} == {None}
    guesses = [one.guess for one in bots.steps[1, 0].first]
    assert all(type(guess) is int and 0 <= guess <= truth.max() for guess in guesses)
    # The model of the first round, which has seen a few labels, is right more often than by chance.
    right = [bool((truth[one.indices] == one.guess).mean() >= 0.5) for one in bots.steps[1, 0].first]
    assert sum(right) > len(right) / (truth.max() + 1)


@pytest.mark.parametrize(
    ("scenario", "options"), [("random", {}), ("uncertain-only", {"ask_with": "initial"})], ids=["random", "reset"]
)
def test_questions_have_no_guess_if_no_trained_model_chooses_them(scenario: str, options: Mapping[str, str]) -> None:
    bots = Bots(Oracle(World().true_labels), 0)
    run_with(bots, scenario, iterations=2, **options)

    assert {one.guess for step in bots.steps.values() for one in step.first} == {None}
    assert set(bots.steps) == {(0, 0), (1, 0)}
