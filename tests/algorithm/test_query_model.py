"""Checks what the query model computes for acquisition functions, and that these computations affect nothing else."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from small_world import Alternating, World, facts, ledgers, outcomes, state_after

from raycal.algorithm.acquisition import AnnotatedSamples, QueryContext, acquisitions, most_informative
from raycal.algorithm.acquisition.uncertainty import entropies
from raycal.algorithm.expert import Oracle
from raycal.algorithm.pool import CLUSTER_LABELED, KEPT, LABELED, UNLABELED, Pool
from raycal.algorithm.query_model import QueryModel
from raycal.algorithm.records import Answer, Floats, Indices, Kind, Labels, PoolSnapshot
from raycal.algorithm.scenario import Ask, Scenario, Step

THRICE = Scenario(name="own", steps=(Step(Ask.UNCERTAIN, Fraction(1, 3)),) * 3)


class Lenient(Oracle):
    """Labels every cluster."""

    def __init__(self, true_labels: Labels) -> None:
        super().__init__(true_labels, purity_threshold=0.1)


class Looking:
    """An acquisition function by entropy that stores what `look` returns for each view."""

    def __init__(self, look: Callable[[QueryContext], Any]) -> None:
        self._look = look
        self.seen: list[Any] = []

    def __call__(self, view: QueryContext, budget: int, /) -> Indices:
        self.seen.append(self._look(view))
        return most_informative(view.predictions.indices, entropies(view.predictions.probs), budget)


def world_with(acquisition: Any, **options: Any) -> World:
    world = World(**options)
    object.__setattr__(world.components, "acquisition", acquisition)
    return world


def annotated(view: QueryContext) -> AnnotatedSamples:
    return view.annotated()


def four_members(view: QueryContext) -> Floats:
    return view.members(4)


def test_annotated_samples_are_those_answered_so_far_as_the_asking_model_sees_them() -> None:
    world = world_with(looking := Looking(annotated))
    results = world.run("uncertain-only")

    assert [len(seen.labels) for seen in looking.seen] == [0, 6, 12]
    assert [seen.embeddings.shape for seen in looking.seen] == [(0, 3), (6, 3), (12, 3)]
    answered = np.flatnonzero(results[1].pool.labels >= 0)
    last = looking.seen[-1]
    assert last.labels.tolist() == results[1].pool.labels[answered].tolist()
    world.learner.means = world.learner.asking[-1]
    np.testing.assert_array_equal(last.embeddings, world.learner._distances(answered))


def test_clusters_of_an_earlier_step_are_annotated_and_cost_no_further_pass() -> None:
    world = world_with(looking := Looking(annotated), expert=Alternating)
    (result,) = world.run("cluster+uncertain", iterations=1)

    accepted = [row for row in result.ledger if row.kind == "cluster" and row.label is not None]
    indices = np.sort(np.concatenate([row.indices for row in accepted]))
    (seen,) = looking.seen
    assert len(seen.labels) == len(indices) > 0
    world.learner.means = world.learner.heads[0]
    np.testing.assert_array_equal(seen.embeddings, world.learner._distances(indices))
    assert [len(asked) for asked in world.learner.asked] == [60, 0]


def test_annotated_samples_are_passed_over_once_an_iteration() -> None:
    world = world_with(looking := Looking(annotated))
    world.run(THRICE, iterations=2)

    assert [len(seen.labels) for seen in looking.seen] == [0, 2, 4, 6, 8, 10]
    assert [len(asked) for asked in world.learner.asked] == [60, 0, 54, 6]


def test_members_are_the_asking_model_and_others_trained_on_the_same_labels() -> None:
    world = world_with(looking := Looking(four_members))
    world.run("uncertain-only", iterations=2)
    learner = world.learner

    untrained, trained = ["reset", "predict"], ["reset", "fit", "predict"]
    train = ["reset", "fit", "evaluate"]
    assert learner.calls == [
        *("reset", "predict"), *untrained * 3, "load", *train,
        "predict", *trained * 3, "load", *train,
    ]  # fmt: skip
    asking, *others = learner.trained_on[:4]
    assert all(np.array_equal(other.indices, asking.indices) for other in others)
    assert all(np.array_equal(other.labels, asking.labels) for other in others)
    assert [seen.shape for seen in looking.seen] == [(4, 60, 3), (4, 54, 3)]
    for seen in looking.seen:
        assert len({member.tobytes() for member in seen}) == 4
    # Each member also sees the samples in another order, so the same labels give other means.
    assert len({means.tobytes() for means in learner.trained[:4]}) == 4


def test_first_member_is_the_asking_model_and_it_asks_on_after_the_others() -> None:
    def look(view: QueryContext) -> tuple[Floats, Floats, Floats]:
        members = view.members(3)
        return view.predictions.probs, members[0], view.annotated().embeddings

    world = world_with(looking := Looking(look))
    world.run("uncertain-only", iterations=2)

    probs, first, embeddings = looking.seen[1]
    np.testing.assert_array_equal(first, probs)
    world.learner.means = world.learner.trained[0]
    rest = np.setdiff1d(np.arange(60), world.learner.asked[4])
    np.testing.assert_array_equal(embeddings, world.learner._distances(rest))


def test_looking_at_everything_changes_nothing_of_the_experiment() -> None:
    def look(view: QueryContext) -> None:
        view.members(3)
        view.annotated()
        view.head()

    plain, looking = world_with(acquisitions["entropy"]), world_with(Looking(look))
    options = {"iterations": 4, "retrain_between": True}

    assert outcomes(looking.run("cluster+uncertain", **options)) == outcomes(plain.run("cluster+uncertain", **options))


def test_more_members_go_on_from_those_there_are() -> None:
    def look(view: QueryContext) -> tuple[Floats, Floats]:
        return view.members(2), view.members(4)

    few = world_with(first := Looking(look))
    few.run("uncertain-only", iterations=1)
    many = world_with(second := Looking(four_members))
    many.run("uncertain-only", iterations=1)

    np.testing.assert_array_equal(first.seen[0][0], second.seen[0][:2])
    np.testing.assert_array_equal(first.seen[0][1], second.seen[0])


def test_members_are_trained_once_for_the_steps_of_an_iteration_and_tell_of_what_is_left() -> None:
    world = world_with(looking := Looking(four_members))
    (result,) = world.run(THRICE, iterations=1)

    assert world.learner.calls.count("predict") == 4
    first, second, third = looking.seen
    assert [seen.shape for seen in looking.seen] == [(4, 60, 3), (4, 58, 3), (4, 56, 3)]
    asked = [row.indices[0] for row in result.ledger]
    np.testing.assert_array_equal(second, np.delete(first, asked[:2], axis=1))
    np.testing.assert_array_equal(third, np.delete(first, asked[:4], axis=1))


@pytest.mark.parametrize("scenario", ["uncertain-only", "uncertain+cluster", "cluster+uncertain"])
@pytest.mark.parametrize("retrain_between", [False, True])
@pytest.mark.parametrize("ask_with", ["previous", "initial"])
@pytest.mark.parametrize("name", tuple(acquisitions))
def test_resumed_experiment_asks_for_the_same(name: str, scenario: str, retrain_between: bool, ask_with: str) -> None:
    options = {"iterations": 3, "retrain_between": retrain_between, "ask_with": ask_with}
    whole = world_with(acquisitions[name], expert=Alternating)
    expected = whole.run(scenario, **options)

    stopped = world_with(acquisitions[name], expert=Alternating)
    begun = stopped.run(scenario, **(options | {"iterations": 2}))
    rest = stopped.run(scenario, state=state_after(begun[1]), **options)

    assert ledgers(begun + rest) == ledgers(expected)
    assert len(rest) == 1
    assert facts(rest[0].ledger[0])[0] == 2


def test_members_are_trained_with_the_purity_of_the_clusters_after_a_resume_too() -> None:
    options = {"iterations": 2, "cluster_weight": "purity"}
    ensemble = acquisitions["ensemble_vote_entropy"]
    whole, resumed = world_with(ensemble, expert=Lenient), world_with(ensemble, expert=Lenient)
    whole.run("uncertain+cluster", **options)
    results = resumed.run("uncertain+cluster", **(options | {"iterations": 1}))
    resumed.run("uncertain+cluster", state=state_after(results[0]), **options)

    rows = [row for row in results[0].ledger if row.kind is Kind.CLUSTER and row.answer is Answer.LABELED]
    expected = {index: row.purity for row in rows for index in row.indices.tolist()}
    member = resumed.learner.trained_on[1]
    assert member.weights is not None
    assert dict(zip(member.indices.tolist(), member.weights.tolist(), strict=True)) == pytest.approx(
        dict.fromkeys(member.indices.tolist(), 1.0) | expected
    )
    assert {purity for purity in expected.values() if purity is not None and purity < 1}
    for one, other in zip(resumed.learner.trained_on, whole.learner.trained_on, strict=True):
        np.testing.assert_array_equal(one.weights, other.weights)


def test_labeled_samples_are_those_labeled_alone_with_the_features_of_the_query_model() -> None:
    world = World()
    pool = Pool(
        PoolSnapshot(
            status=np.array([UNLABELED, LABELED, CLUSTER_LABELED, UNLABELED, LABELED, KEPT], np.int8),
            labels=np.array([-1, 2, 0, -1, 1, 0], np.int32),
        )
    )
    world.learner.reset(np.random.default_rng(0))
    model = QueryModel(world.learner, pool, pool.training_set(), lambda purpose: np.random.default_rng(0))
    model.predictions(pool.unlabeled())
    labeled = model.labeled()
    assert labeled.indices.tolist() == [1, 4]
    assert labeled.labels.tolist() == [2, 1]
    np.testing.assert_array_equal(labeled.features, world.learner._distances(np.array([1, 4])))
    # A sample that was labeled after the predictions were made is among them, too.
    pool._status[3], pool._labels[3] = LABELED, 0
    assert model.labeled().indices.tolist() == [1, 3, 4]
    np.testing.assert_array_equal(model.labeled().features, world.learner._distances(np.array([1, 3, 4])))
