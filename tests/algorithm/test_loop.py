"""Tests Algorithm 1 with a nearest-mean learner on 2-D points."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_world import (
    EVERY_SCENARIO,
    HALF,
    NUM_CLASSES,
    THIRD,
    Alternating,
    NearestMeans,
    World,
    facts,
    ledgers,
    loop_settings,
    outcomes,
    state_after,
)

from raycal.algorithm.acquisition import acquisitions, most_informative
from raycal.algorithm.acquisition.uncertainty import entropies
from raycal.algorithm.cluster_queue import ClusterRules
from raycal.algorithm.clustering import kmeans
from raycal.algorithm.expert import Cluster, ClusterAnswer, Oracle, SampleAnswers, experts
from raycal.algorithm.loop import active_learning
from raycal.algorithm.pool import CLUSTER_LABELED, KEPT, LABELED, PSEUDO_LABELED, UNLABELED, Pool
from raycal.algorithm.pseudo_labels import PseudoLabels
from raycal.algorithm.records import (
    Answer,
    Floats,
    Indices,
    IterationResult,
    KeptLabels,
    Kind,
    Labels,
)
from raycal.algorithm.scenario import Ask, PseudoLabelsBy, Scenario, Step

HUMAN = [name for name, scenario in EVERY_SCENARIO.items() if scenario.pseudo_labels is None]
PSEUDO = [name for name in EVERY_SCENARIO if name not in HUMAN]
MIXED = ("uncertain+cluster", "cluster+uncertain")


class Refusing(Oracle):
    """Knows every sample and refuses every cluster."""

    def label_cluster(self, cluster: Cluster, rng: np.random.Generator) -> ClusterAnswer:
        return replace(super().label_cluster(cluster, rng), label=None, num_wrong=None)


class Lenient(Oracle):
    """Labels every cluster."""

    def __init__(self, true_labels: Labels) -> None:
        super().__init__(true_labels, purity_threshold=0.1)


class Stubborn:
    """Answers class 2 to every question, and does not know the truth."""

    def label_samples(self, indices: Indices, rng: np.random.Generator) -> SampleAnswers:
        return SampleAnswers(labels=np.full(len(indices), 2), wrong=None, seconds=np.ones(len(indices)))

    def label_cluster(self, cluster: Cluster, rng: np.random.Generator) -> ClusterAnswer:
        return ClusterAnswer(label=2, purity=None, num_wrong=None, seconds=1.0)

    def truth(self, indices: Indices) -> None:
        return None


class Careless(Oracle):
    """Labels a fifth of the samples at random, and takes a random time for each answer."""

    def label_samples(self, indices: Indices, rng: np.random.Generator) -> SampleAnswers:
        answers = super().label_samples(indices, rng)
        guessed = rng.random(len(indices)) < 0.2
        labels = np.where(guessed, rng.integers(NUM_CLASSES, size=len(indices)), answers.labels)
        return SampleAnswers(labels=labels, wrong=labels != answers.labels, seconds=rng.exponential(size=len(indices)))

    def label_cluster(self, cluster: Cluster, rng: np.random.Generator) -> ClusterAnswer:
        return replace(super().label_cluster(cluster, rng), seconds=float(rng.exponential()))


def labeled(result: IterationResult) -> set[int]:
    return set(np.flatnonzero(result.pool.status == LABELED).tolist())


def shown_samples(result: IterationResult, kind: Kind) -> list[int]:
    return sorted(index for row in result.ledger if row.kind is kind for index in row.indices.tolist())


def check_moves(results: Sequence[IterationResult], num_samples: int, *, keeps: bool = False) -> None:
    """Replay the ledgers by the rules of Algorithm 1, and check that the replayed pool equals the pool in the result of
    each iteration."""
    status = np.full(num_samples, UNLABELED)
    labels = np.full(num_samples, -1)
    number, seconds = 0, 0.0
    for iteration, result in enumerate(results):
        assert result.iteration == iteration
        for row in result.ledger:
            number += 1
            seconds += row.seconds
            assert (row.iteration, row.interaction) == (iteration, number)
            may_be_asked = (UNLABELED, KEPT) if row.kind is Kind.SAMPLE else (UNLABELED,)
            assert np.isin(status[row.indices], may_be_asked).all()
            if row.answer is Answer.LABELED:
                status[row.indices] = LABELED if row.kind is Kind.SAMPLE else CLUSTER_LABELED
                labels[row.indices] = row.label
        pseudo = result.pool.status == PSEUDO_LABELED
        assert (status[pseudo] == UNLABELED).all()
        status[pseudo], labels[pseudo] = PSEUDO_LABELED, result.pool.labels[pseudo]
        assert result.interactions == number
        assert result.human_seconds == pytest.approx(seconds)
        assert result.pool.status.tolist() == status.tolist()
        assert result.pool.labels.tolist() == labels.tolist()
        if keeps:
            status[status == CLUSTER_LABELED] = KEPT
        given_back = (status == CLUSTER_LABELED) | (status == PSEUDO_LABELED)
        labels[given_back] = -1
        status[given_back] = UNLABELED


# The following tests check the order of calls: which model asks, and when the learner is reset and trained.


def test_model_of_the_previous_iteration_asks() -> None:
    world = World()
    world.run("uncertain-only", iterations=3)

    assert world.learner.calls == [
        *("reset", "predict", "reset", "fit", "evaluate"),
        *("predict", "reset", "fit", "evaluate"),
        *("predict", "reset", "fit", "evaluate"),
    ]
    first, second, third = world.learner.asking
    assert np.array_equal(first, world.learner.heads[0])
    assert np.array_equal(second, world.learner.trained[0])
    assert np.array_equal(third, world.learner.trained[1])


def test_initial_model_asks_in_every_iteration_when_told_to() -> None:
    world = World()
    world.run("uncertain-only", iterations=2, ask_with="initial")

    assert world.learner.calls == ["reset", "predict", "reset", "fit", "evaluate"] * 2
    assert np.array_equal(world.learner.asking[0], world.learner.heads[0])
    assert np.array_equal(world.learner.asking[1], world.learner.heads[2])


@pytest.mark.parametrize("ask_with", ["previous", "initial"])
def test_head_that_is_trained_is_drawn_anew_in_each_iteration_and_is_the_one_that_asked(ask_with: str) -> None:
    world = World()
    world.run("uncertain-only", iterations=2, ask_with=ask_with)
    heads = world.learner.heads

    assert np.array_equal(heads[0], heads[1])
    assert np.array_equal(heads[-1], heads[2])
    assert not np.array_equal(heads[0], heads[2])


@pytest.mark.parametrize("scenario", MIXED)
def test_mixed_scenario_predicts_once_an_iteration(scenario: str) -> None:
    world = World()
    results = world.run(scenario)

    assert world.learner.calls.count("predict") == len(results) == 3
    assert [len(asked) for asked in world.learner.asked] == [60, *(60 - len(labeled(r)) for r in results[:-1])]


@pytest.mark.parametrize("scenario", ["random", "supervised"])
def test_scenario_that_asks_at_random_never_predicts(scenario: str) -> None:
    world = World()
    results = world.run(scenario)

    assert world.learner.calls == ["reset", "fit", "evaluate"] * len(results)
    assert {result.seconds.predict for result in results} == {0.0}


@pytest.mark.parametrize("ask_with", ["previous", "initial"])
def test_retrain_between_trains_on_the_answers_of_the_step_before(ask_with: str) -> None:
    world = World()
    world.run("uncertain+cluster", iterations=2, retrain_between=True, ask_with=ask_with)
    learner = world.learner

    rest = ["predict", "reset", "fit", "predict", "reset", "fit", "evaluate"]
    assert learner.calls == ["reset", *rest, *(["reset"] if ask_with == "initial" else []), *rest]
    assert [len(training_set.indices) for training_set in learner.trained_on[::2]] == [3, 6]
    assert np.array_equal(learner.asking[1], learner.trained[0])
    assert np.array_equal(learner.asking[3], learner.trained[2])
    assert [len(asked) for asked in learner.asked] == [60, 57, 57, 54]


def test_retrain_between_trains_with_the_clusters_of_a_first_step() -> None:
    world = World(expert=Alternating)
    results = world.run("cluster+uncertain", iterations=1, retrain_between=True)
    between, last = world.learner.trained_on

    accepted = [row for row in results[0].ledger if row.label is not None and row.kind is Kind.CLUSTER]
    assert accepted
    assert len(between.indices) == sum(row.num_samples for row in accepted)
    assert len(last.indices) == len(between.indices) + 3
    assert world.learner.asked[1].tolist() == np.setdiff1d(np.arange(60), between.indices).tolist()


@pytest.mark.parametrize(
    ("scenario", "num_samples", "interactions"),
    [("uncertain-only", 60, 6), ("uncertain+cluster", 60, 1), ("thirds", 60, 1), ("uncertain+cluster", 5, 10)],
    ids=["one step", "second step without budget", "first step without budget", "nothing left for the second step"],
)
def test_retrain_between_changes_nothing_where_one_step_is_carried_out(
    scenario: str, num_samples: int, interactions: int
) -> None:
    plain, retrained = World(num_samples), World(num_samples)
    options = {"iterations": 2, "interactions_per_iteration": interactions}

    expected = plain.run(scenario, **options)
    found = retrained.run(scenario, retrain_between=True, **options)

    assert outcomes(found) == outcomes(expected)
    assert retrained.learner.calls == plain.learner.calls


def test_trainings_of_one_iteration_draw_from_different_streams() -> None:
    asks = (Ask.UNCERTAIN, Ask.CLUSTERS, Ask.CLUSTERS)
    world = World(expert=Refusing)
    world.run(Scenario(name="own", steps=tuple(Step(ask, THIRD) for ask in asks)), iterations=1, retrain_between=True)
    learner = world.learner

    # All three trainings see the same two samples, after the same reset.
    assert len({tuple(training_set.indices) for training_set in learner.trained_on}) == 1
    assert len({head.tobytes() for head in learner.heads}) == 1
    assert len({means.tobytes() for means in learner.trained}) == len(learner.trained) == 3


def test_steps_of_one_iteration_draw_from_different_streams() -> None:
    twice = Scenario(name="own", steps=(Step(Ask.CLUSTERS, HALF), Step(Ask.CLUSTERS, HALF)))
    world = World(expert=Refusing)
    world.run(twice, iterations=2)

    assert len(set(world.clusters.seeds)) == 4


def test_expert_draws_the_same_at_every_call_of_an_iteration_and_anew_in_the_next() -> None:
    twice = Scenario(name="own", steps=(Step(Ask.UNCERTAIN, HALF), Step(Ask.UNCERTAIN, HALF)))
    results = World(expert=Careless).run(twice, iterations=2)
    seconds = [[row.seconds for row in result.ledger] for result in results]

    assert [row.step for row in results[0].ledger] == [0, 0, 0, 1, 1, 1]
    assert seconds[0][:3] == seconds[0][3:]
    assert len({*seconds[0], *seconds[1]}) == 6


def test_cluster_is_shown_with_the_asking_model_s_embeddings_of_its_samples() -> None:
    seen: list[tuple[Floats, Floats]] = []

    class Looking(Oracle):
        def label_cluster(self, cluster: Cluster, rng: np.random.Generator) -> ClusterAnswer:
            seen.append((cluster.embeddings(), world.learner.predict(cluster.indices).embeddings))
            return super().label_cluster(cluster, rng)

    world = World(expert=Looking)
    world.run("uncertain+cluster")
    assert len({len(shown) for shown, _ in seen}) > 1
    assert all(np.array_equal(shown, expected) for shown, expected in seen)


def test_expert_that_errs_in_every_way_resumes_where_it_stopped() -> None:
    def world() -> World:
        made = World()
        noisy = {"name": "symmetric_noise", "rate": 0.3, "of": {"name": "oracle", "purity_threshold": 0.5}}
        few = {"name": "few_images", "images_shown": 3, "show": "coverage", "of": noisy}
        made.components = replace(made.components, expert=experts["majority"](made.true_labels, of=few))
        return made

    first = world()
    iterations = active_learning(loop_settings("uncertain+cluster"), first.components, num_samples=60)
    stopped, model = next(iterations), first.learner.means
    whole = list(iterations)
    resumed = world()
    resumed.learner.means = model

    assert outcomes(resumed.run("uncertain+cluster", state=state_after(stopped))) == outcomes(whole)
    rows = [row for result in (stopped, *whole) for row in result.ledger]
    assert {row.answer for row in rows if row.kind is Kind.CLUSTER} == {Answer.LABELED, Answer.REFUSED}
    assert any(row.wrong for row in rows if row.kind is Kind.SAMPLE)


def test_nothing_happens_before_the_next_iteration_is_wanted() -> None:
    world = World()
    iterations = active_learning(loop_settings("uncertain-only"), world.components, num_samples=60)

    assert world.learner.calls == []
    next(iterations)
    assert world.learner.calls == ["reset", "predict", "reset", "fit", "evaluate"]


# The following tests check the questions to the expert, and their cost.


@pytest.mark.parametrize(
    ("scenario", "steps"),
    [
        ("random", [(0, Kind.SAMPLE)] * 6),
        ("uncertain-only", [(0, Kind.SAMPLE)] * 6),
        ("cluster-only", [(0, Kind.CLUSTER)] * 6),
        ("uncertain+cluster", [(0, Kind.SAMPLE)] * 3 + [(1, Kind.CLUSTER)] * 3),
        ("cluster+uncertain", [(0, Kind.CLUSTER)] * 3 + [(1, Kind.SAMPLE)] * 3),
        ("thirds", [(0, Kind.CLUSTER)] * 2 + [(1, Kind.SAMPLE)] * 2 + [(2, Kind.SAMPLE)] * 2),
    ],
)
def test_steps_are_carried_out_in_the_scenario_s_order(scenario: str, steps: list[tuple[int, Kind]]) -> None:
    results = World(expert=Refusing).run(scenario)

    for result in results:
        assert [(row.step, row.kind) for row in result.ledger] == steps


@pytest.mark.parametrize("scenario", EVERY_SCENARIO)
def test_answers_move_samples_by_the_rules_of_the_algorithm(scenario: str) -> None:
    results = World(expert=Careless).run(scenario, iterations=4)

    assert len(results) == (1 if scenario == "supervised" else 4)
    check_moves(results, 60)


@pytest.mark.parametrize("scenario", [name for name in EVERY_SCENARIO if name != "supervised"])
@pytest.mark.parametrize("expert", [Alternating, Refusing])
def test_every_iteration_costs_the_same_whether_clusters_are_accepted_or_refused(
    scenario: str, expert: type[Oracle]
) -> None:
    results = World(expert=expert).run(scenario)

    assert [result.interactions for result in results] == [6, 12, 18]
    assert [len(result.ledger) for result in results] == [6, 6, 6]
    assert [result.human_seconds for result in results] == pytest.approx([6 * 4.2, 12 * 4.2, 18 * 4.2])


def test_most_informative_of_the_unlabeled_are_asked() -> None:
    world = World()
    first, second = world.run("uncertain-only", iterations=2)
    twin = NearestMeans(world.points, world.true_labels)

    for result, unlabeled, means in zip(
        (first, second),
        (np.arange(60), np.setdiff1d(np.arange(60), sorted(labeled(first)))),
        (world.learner.heads[0], world.learner.trained[0]),
        strict=True,
    ):
        twin.means = means
        scores = entropies(twin.predict(unlabeled).probs)
        asked = [row.indices[0] for row in result.ledger]
        assert asked == most_informative(unlabeled, scores, 6).tolist()


def test_clusters_are_formed_over_what_the_uncertain_step_left() -> None:
    world = World()
    results = world.run("uncertain+cluster")

    assert world.clusters.num_samples == [57, 54, 51]
    assert world.clusters.num_clusters == [3, 3, 3]
    for result in results:
        assert shown_samples(result, Kind.CLUSTER) == sorted(set(range(60)) - labeled(result))


def test_uncertain_step_after_clusters_asks_among_what_they_left() -> None:
    for result in World(expert=Alternating).run("cluster+uncertain"):
        accepted = [row for row in result.ledger if row.kind is Kind.CLUSTER and row.answer is Answer.LABELED]
        taken = {index for row in accepted for index in row.indices.tolist()}
        assert taken
        assert taken.isdisjoint(shown_samples(result, Kind.SAMPLE))
        assert len(shown_samples(result, Kind.SAMPLE)) == 3


def test_uncertain_step_after_clusters_goes_by_the_predictions_they_were_formed_with() -> None:
    world = World(expert=Alternating)
    (result,) = world.run("cluster+uncertain", iterations=1)
    twin = NearestMeans(world.points, world.true_labels)
    twin.means = world.learner.heads[0]

    left = np.flatnonzero(result.pool.status != CLUSTER_LABELED)
    scores = entropies(twin.predict(left).probs)
    asked = [row.indices[0] for row in result.ledger if row.kind is Kind.SAMPLE]
    assert asked == most_informative(left, scores, 3).tolist()


def test_cluster_labels_go_back_and_single_labels_stay() -> None:
    results = World(expert=Alternating).run("uncertain+cluster")

    assert [len(labeled(result)) for result in results] == [3, 6, 9]
    for before, after in pairwise(results):
        assert labeled(before) < labeled(after)
        assert np.count_nonzero(before.pool.status == CLUSTER_LABELED) > 0
        # All samples outside D^L are in D^U again, so clusters and D^L together cover the pool.
        assert set(shown_samples(after, Kind.CLUSTER)) | labeled(after) == set(range(60))


def test_result_keeps_the_partition_the_model_was_trained_on() -> None:
    world = World(expert=Alternating)
    results = world.run("cluster+uncertain")

    for result, training_set in zip(results, world.learner.trained_on, strict=True):
        expected = Pool(result.pool).training_set()
        assert np.count_nonzero(result.pool.status == CLUSTER_LABELED) > 0
        assert training_set.indices.tolist() == expected.indices.tolist()
        assert training_set.labels.tolist() == expected.labels.tolist()


def test_each_clustering_has_a_seed_of_its_own() -> None:
    world = World()
    world.run("cluster-only", iterations=4)

    assert len(set(world.clusters.seeds)) == 4
    assert all(0 <= seed < 2**31 for seed in world.clusters.seeds)


def test_random_step_draws_other_samples_in_every_iteration_without_repeating_one() -> None:
    results = World().run("random", iterations=10)
    asked = [row.indices.tolist() for result in results for row in result.ledger]

    assert sorted(asked) == [[index] for index in range(60)]
    assert asked != [[index] for index in range(60)]


def test_more_clusters_than_the_budget_shows_the_largest() -> None:
    world, twin = World(expert=Refusing), World(expert=Refusing)
    results = world.run("cluster-only", interactions_per_iteration=4, num_clusters=10)
    everything = twin.run("cluster-only", interactions_per_iteration=10, num_clusters=10, iterations=1)

    assert world.clusters.num_clusters == [10, 10, 10]
    assert [len(result.ledger) for result in results] == [4, 4, 4]
    shown, formed = (run[0].ledger for run in (results, everything))
    assert len(formed) == 10
    assert [row.indices.tolist() for row in shown] == [row.indices.tolist() for row in formed[:4]]
    assert [row.num_samples for row in formed] == sorted((row.num_samples for row in formed), reverse=True)


def test_fewer_clusters_than_the_budget_leaves_the_rest_unspent() -> None:
    world = World()
    results = world.run("cluster-only", num_clusters=2)

    assert world.clusters.num_clusters == [2, 2, 2]
    assert [result.interactions for result in results] == [2, 4, 6]


def test_unspent_cluster_budget_of_a_mixed_scenario_is_not_spent_on_samples() -> None:
    results = World(expert=Alternating).run("cluster+uncertain", num_clusters=2)

    assert [[row.step for row in result.ledger] for result in results] == [[0, 0, 1, 1, 1]] * 3


@pytest.mark.parametrize(("interactions", "steps"), [(5, [0, 0, 0, 1, 1]), (1, [0]), (2, [0, 1])])
@pytest.mark.parametrize("scenario", MIXED)
def test_odd_interaction_of_a_mixed_scenario_goes_to_its_first_step(
    scenario: str, interactions: int, steps: list[int]
) -> None:
    results = World(expert=Refusing).run(scenario, interactions_per_iteration=interactions)

    assert [[row.step for row in result.ledger] for result in results] == [steps] * 3


# The following tests run on small pools.


@pytest.mark.parametrize("scenario", ["random", "uncertain-only"])
def test_exhausted_pool_ends_the_experiment_early_and_says_so(scenario: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "raycal.algorithm.loop"):
        results = World(10).run(scenario, iterations=5, interactions_per_iteration=4)

    assert [len(result.ledger) for result in results] == [4, 4, 2]
    assert labeled(results[-1]) == set(range(10))
    assert caplog.messages == ["pool exhausted after 3 of 5 iterations"]


def test_pool_that_lasts_until_the_last_iteration_is_not_called_exhausted(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "raycal.algorithm.loop"):
        results = World(12).run("random", iterations=3, interactions_per_iteration=4)

    assert [len(result.ledger) for result in results] == [4, 4, 4]
    assert caplog.messages == []


@pytest.mark.parametrize("scenario", ["random", "uncertain-only", "uncertain+cluster"])
def test_budget_larger_than_the_pool_asks_for_all_of_it_once(scenario: str) -> None:
    results = World(10).run(scenario, interactions_per_iteration=50)

    assert [result.interactions for result in results] == [10]
    assert labeled(results[0]) == set(range(10))


def test_pool_in_clusters_is_not_exhausted() -> None:
    world = World(expert=Stubborn())
    results = world.run("cluster-only")

    assert [np.count_nonzero(result.pool.status == CLUSTER_LABELED) for result in results] == [60, 60, 60]
    assert world.clusters.num_samples == [60, 60, 60]


def test_step_with_nothing_left_to_ask_is_left_out() -> None:
    results = World(expert=Stubborn()).run("cluster+uncertain")

    assert [[row.step for row in result.ledger] for result in results] == [[0, 0, 0]] * 3


@pytest.mark.parametrize(
    ("scenario", "num_samples", "interactions", "num_clusters"),
    [("cluster-only", 5, 8, [5, 5]), ("uncertain+cluster", 10, 12, [4]), ("uncertain+cluster", 7, 8, [3])],
)
def test_no_more_clusters_than_samples_are_formed(
    scenario: str, num_samples: int, interactions: int, num_clusters: list[int]
) -> None:
    world = World(num_samples, expert=Refusing)
    results = world.run(scenario, iterations=2, interactions_per_iteration=interactions)

    assert world.clusters.num_clusters[: len(num_clusters)] == num_clusters
    assert len(results[0].ledger) == min(interactions, num_samples)


def test_given_number_of_clusters_is_capped_too() -> None:
    world = World(5)
    world.run("cluster-only", iterations=1, interactions_per_iteration=3, num_clusters=100)

    assert world.clusters.num_clusters == [5]


@pytest.mark.parametrize("scenario", EVERY_SCENARIO)
def test_pool_of_one_sample(scenario: str) -> None:
    results = World(1).run(scenario)

    assert [row.indices.tolist() for row in results[0].ledger] == [[0]]
    lasting = ("cluster-only", "cluster+uncertain", "representative-only", "thirds")
    assert len(results) == (3 if scenario in lasting else 1)


@pytest.mark.parametrize("scenario", EVERY_SCENARIO)
def test_one_class_only(scenario: str) -> None:
    world = World()
    components = replace(world.components, expert=Oracle(np.zeros(60, np.int64)))

    results = list(active_learning(loop_settings(scenario), components, num_samples=60))

    rows = [row for result in results for row in result.ledger]
    assert {(row.label, row.wrong) for row in rows} == {(0, 0)}
    assert {row.purity for row in rows if row.kind is Kind.CLUSTER} <= {1.0}
    check_moves(results, 60)


# The following tests check the training sets.


@pytest.mark.parametrize("scenario", HUMAN)
def test_training_labels_come_from_the_expert(scenario: str) -> None:
    world = World(expert=Stubborn())
    results = world.run(scenario)

    assert len(world.learner.trained_on) == len(results)
    for training_set in world.learner.trained_on:
        assert len(training_set.indices) > 0
        assert set(training_set.labels) == {2}


def test_wrong_labels_of_a_cluster_are_trained_on() -> None:
    world = World()
    components = replace(world.components, expert=Oracle(world.true_labels, purity_threshold=0.1))
    (result,) = active_learning(loop_settings("cluster-only", iterations=1), components, num_samples=60)
    (training_set,) = world.learner.trained_on

    wrong = sum(row.wrong or 0 for row in result.ledger)
    assert wrong > 0
    assert np.count_nonzero(training_set.labels != world.true_labels[training_set.indices]) == wrong


def test_learner_is_given_the_empty_set_when_no_cluster_is_accepted() -> None:
    world = World(expert=Refusing)
    results = world.run("cluster-only")

    assert [training_set.indices.tolist() for training_set in world.learner.trained_on] == [[], [], []]
    assert [training_set.labels.dtype for training_set in world.learner.trained_on] == [np.int64] * 3
    assert [result.interactions for result in results] == [6, 12, 18]
    assert {row.answer for result in results for row in result.ledger} == {Answer.REFUSED}


def test_supervised_labels_the_whole_pool_truly_in_one_iteration() -> None:
    world = World()
    plan = loop_settings("supervised", iterations=5, interactions_per_iteration=7)
    results = list(active_learning(plan, world.components, num_samples=60))

    assert plan.total_iterations == 1
    assert [result.interactions for result in results] == [60]
    assert (results[0].pool.status == LABELED).all()
    (training_set,) = world.learner.trained_on
    assert training_set.indices.tolist() == list(range(60))
    assert training_set.labels.tolist() == world.true_labels.tolist()


def test_phases_that_did_not_happen_took_no_time() -> None:
    uncertain, clusters = (World().run(name, iterations=1)[0].seconds for name in ("uncertain-only", "cluster-only"))

    assert uncertain.cluster == 0.0
    assert min(uncertain.predict, uncertain.train, uncertain.evaluate) > 0
    assert min(clusters.predict, clusters.cluster, clusters.train, clusters.evaluate) > 0


# The following tests check pseudo-labels, and clusters that are labeled by a representative.


@pytest.mark.parametrize("scenario", PSEUDO)
def test_pseudo_labels_are_trained_on_for_one_iteration_and_cost_nothing(scenario: str) -> None:
    world = World()
    results = world.run(scenario, iterations=4)

    check_moves(results, 60)
    assert [result.interactions for result in results] == [6, 12, 18, 24]
    assert [len(labeled(result)) for result in results] == [6, 12, 18, 24]
    assert any((result.pool.status == PSEUDO_LABELED).any() for result in results)
    for result, training_set in zip(results, world.learner.trained_on, strict=True):
        given = result.pool.status != UNLABELED
        assert training_set.indices.tolist() == np.flatnonzero(given).tolist()
        assert training_set.labels.tolist() == result.pool.labels[given].tolist()


def test_pseudo_label_error_is_the_share_of_wrong_ones() -> None:
    world = World()
    for result in world.run("pseudo-labels", iterations=4):
        pseudo = result.pool.status == PSEUDO_LABELED
        wrong = result.pool.labels[pseudo] != world.true_labels[pseudo]
        assert result.pseudo_label_error == (wrong.mean() if pseudo.any() else None)
    assert pseudo.any()


def test_pseudo_label_error_is_unknown_without_the_truth_and_without_pseudo_labels() -> None:
    unknown = World(expert=Stubborn()).run("label-propagation", iterations=1)
    none = World().run("uncertain-only", iterations=1)

    assert (unknown[0].pool.status == PSEUDO_LABELED).any()
    assert [result.pseudo_label_error for result in (*unknown, *none)] == [None, None]


def test_asking_model_gives_the_pseudo_labels_of_what_the_step_left() -> None:
    seen: list[Indices] = []

    def looking(view: Any, iteration: int, /) -> PseudoLabels:
        seen.append(view.predictions.indices)
        return PseudoLabels(view.predictions.indices[:2], np.full(2, iteration))

    world = World()
    components = replace(world.components, pseudo_labels=looking)
    results = list(active_learning(loop_settings("random", iterations=3), components, num_samples=60))

    assert [len(indices) for indices in seen] == [54, 48, 42]
    assert all(np.array_equal(left, asked) for left, asked in zip(seen, world.learner.asked, strict=True))
    assert np.array_equal(world.learner.asking[0], world.learner.heads[0])
    assert np.array_equal(world.learner.asking[1], world.learner.trained[0])
    assert [sorted(result.pool.labels[result.pool.status == PSEUDO_LABELED]) for result in results] == [
        *([0, 0], [1, 1], [2, 2])
    ]


def test_representatives_label_whole_clusters_at_the_price_of_a_sample() -> None:
    world = World(expert=Oracle(World().true_labels, seconds_per_sample=2.0, seconds_per_cluster=50.0))
    results = world.run("representative-only")

    check_moves(results, 60)
    rows = [row for result in results for row in result.ledger]
    assert {(row.kind, row.answer, row.seconds) for row in rows} == {(Kind.CLUSTER, Answer.LABELED, 2.0)}
    for row in rows:
        truth = world.true_labels[row.indices]
        assert row.label in truth
        assert row.wrong == np.count_nonzero(truth != row.label)
        assert row.purity == np.bincount(truth).max() / len(truth)
    assert [np.count_nonzero(result.pool.status == CLUSTER_LABELED) for result in results] == [60, 60, 60]


def test_expert_of_perfect_purity_leaves_what_is_of_other_classes() -> None:
    world = World(expert=experts["perfect_purity"](World().true_labels))
    (result,) = world.run("cluster-only", iterations=1)

    check_moves([result], 60)
    for row in result.ledger:
        assert (world.true_labels[row.indices] == row.label).all()
        assert row.wrong == 0
    sizes = [round(row.num_samples / (row.purity or 1)) for row in result.ledger]
    assert sum(sizes) == 60
    assert np.count_nonzero(result.pool.status == UNLABELED) == 60 - sum(row.num_samples for row in result.ledger) > 0


def test_split_clusters_use_a_budget_that_fewer_clusters_leave() -> None:
    rules = ClusterRules(on_refusal="split")
    (plain,) = World(expert=Refusing).run("cluster-only", num_clusters=2, iterations=1)
    (split,) = World(expert=Refusing).run("cluster-only", num_clusters=2, iterations=1, clusters=rules)

    assert (len(plain.ledger), len(split.ledger)) == (2, 6)
    assert facts(plain.ledger[0]) == facts(split.ledger[0])
    halves = [row.indices.tolist() for row in split.ledger if set(row.indices) < set(split.ledger[0].indices)]
    assert sorted(halves[0] + halves[1]) == split.ledger[0].indices.tolist()


def test_best_order_labels_no_fewer_images_rightly_than_the_largest_first() -> None:
    def right(**options: Any) -> int:
        (result,) = World().run("cluster-only", num_clusters=20, iterations=1, **options)
        accepted = [row for row in result.ledger if row.label is not None]
        return sum(row.num_samples - (row.wrong or 0) for row in accepted)

    assert right(clusters=ClusterRules(order="oracle")) > right() > 0


# The following tests check reproducibility: the same seed gives the same experiment, also if the experiment is resumed.

VARIANTS: dict[str, dict[str, Any]] = {
    "as the paper": {},
    "initial": {"ask_with": "initial"},
    "retrain": {"retrain_between": True},
    "retrain, initial": {"retrain_between": True, "ask_with": "initial"},
    "more clusters": {"num_clusters": 9, "interactions_per_iteration": 5},
    "until exhausted": {"interactions_per_iteration": 25, "iterations": 6},
    "core, split, by value": {
        "num_clusters": 3,
        "clusters": ClusterRules(core=0.8, order="value", on_refusal="split", purity_threshold=0.8),
    },
    "split, at random": {"clusters": ClusterRules(order="random", on_refusal="split")},
    "in the best order": {"clusters": ClusterRules(order="oracle"), "num_clusters": 9},
    "kept": {"keep_cluster_labels": True},
    "kept, by purity": {"keep_cluster_labels": True, "cluster_weight": "purity"},
    "kept, retrain, until exhausted": {
        "keep_cluster_labels": True,
        "retrain_between": True,
        "interactions_per_iteration": 25,
        "iterations": 6,
    },
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("scenario", EVERY_SCENARIO)
def test_resumed_experiment_equals_the_uninterrupted_one_at_every_cut(scenario: str, variant: str) -> None:
    options = {"iterations": 4} | VARIANTS[variant]
    world = World(expert=Careless)
    whole: list[IterationResult] = []
    models: list[npt.NDArray[np.float64]] = []
    for result in world.start(loop_settings(scenario, **options)):
        whole.append(result)
        models.append(world.learner.means)

    for cut, model in enumerate(models):
        resumed = World(expert=Careless)
        resumed.learner.means = model
        state = state_after(whole[cut])
        for array in (state.pool.status, state.pool.labels):
            array.flags.writeable = False
        later = resumed.run(scenario, state=state, **options)

        assert outcomes(later) == outcomes(whole[cut + 1 :])


def test_resuming_a_finished_or_exhausted_experiment_does_nothing() -> None:
    finished, exhausted = World(), World(10)
    last = finished.run("random")[-1]
    empty = exhausted.run("random", interactions_per_iteration=10)[-1]
    calls = [list(world.learner.calls) for world in (finished, exhausted)]

    assert finished.run("random", state=state_after(last)) == []
    assert exhausted.run("random", state=state_after(empty), interactions_per_iteration=10) == []
    assert [world.learner.calls for world in (finished, exhausted)] == calls


@pytest.mark.parametrize("scenario", EVERY_SCENARIO)
def test_same_seed_gives_the_same_ledger_and_another_seed_another(scenario: str) -> None:
    first, again, other = (World(expert=Careless).run(scenario, seed=seed) for seed in (1, 1, 2))

    assert outcomes(first) == outcomes(again)
    assert ledgers(first) != ledgers(other)


def test_first_iteration_of_a_seed_does_not_depend_on_how_many_follow() -> None:
    short, long = World(), World()

    assert (
        outcomes(short.run("uncertain+cluster", iterations=1))
        == (outcomes(long.run("uncertain+cluster", iterations=4))[:1])
    )


def test_global_random_state_is_left_alone() -> None:
    before = str(np.random.get_state())  # noqa: NPY002
    World(expert=Careless).run("thirds")

    assert str(np.random.get_state()) == before  # noqa: NPY002


@pytest.mark.parametrize("scenario", ["cluster-only", *MIXED])
def test_resumed_experiment_with_kmeans_equals_the_uninterrupted_one(scenario: str) -> None:
    world, resumed = World(clustering=kmeans), World(clustering=kmeans)
    iterations = active_learning(loop_settings(scenario), world.components, num_samples=60)
    first = next(iterations)
    resumed.learner.means = world.learner.means
    rest = list(iterations)

    check_moves([first, *rest], 60)
    assert outcomes(resumed.run(scenario, state=state_after(first))) == outcomes(rest)


@settings(deadline=None)
@given(
    st.sampled_from(sorted(EVERY_SCENARIO)),
    st.integers(1, 25),
    st.integers(1, 30),
    st.integers(1, 4),
    st.none() | st.integers(1, 30),
    st.sampled_from(["previous", "initial"]),
    st.booleans(),
    st.sampled_from([Oracle, Refusing, Careless]),
    st.builds(
        ClusterRules,
        core=st.sampled_from([0.3, 1.0]),
        order=st.sampled_from(["size", "value", "random", "oracle"]),
        on_refusal=st.sampled_from(["skip", "split"]),
        purity_threshold=st.just(0.8),
    ),
    st.booleans(),
)
def test_any_plan_keeps_the_rules(
    scenario: str,
    num_samples: int,
    interactions: int,
    iterations: int,
    num_clusters: int | None,
    ask_with: str,
    retrain_between: bool,
    expert: type[Oracle],
    clusters: ClusterRules,
    keeps: bool,
) -> None:
    world = World(num_samples, expert=expert)
    results = world.run(
        scenario,
        interactions_per_iteration=interactions,
        iterations=iterations,
        num_clusters=num_clusters,
        ask_with=ask_with,
        retrain_between=retrain_between,
        clusters=clusters,
        keep_cluster_labels=keeps,
    )

    check_moves(results, num_samples, keeps=keeps)
    budget = num_samples if scenario == "supervised" else interactions
    assert all(0 < len(result.ledger) <= budget for result in results)
    ended_early = len(results) < (1 if scenario == "supervised" else iterations)
    left = (results[-1].pool.status != LABELED) if not keeps else np.isin(results[-1].pool.status, UNLABELED)
    assert not ended_early or not left.any()
    assert world.learner.calls.count("evaluate") == len(results)


# The following tests check the kept labels of clusters.


def by_status(result: IterationResult, *statuses: int) -> set[int]:
    return set(np.flatnonzero(np.isin(result.pool.status, statuses)).tolist())


@pytest.mark.parametrize("scenario", ["cluster-only", "representative-only", *MIXED, "thirds"])
def test_label_of_a_cluster_stays_until_the_sample_is_labeled_singly(scenario: str) -> None:
    world = World(expert=Lenient)
    results = world.run(scenario, iterations=4, keep_cluster_labels=True)

    check_moves(results, 60, keeps=True)
    for before, after in pairwise(results):
        kept = by_status(before, CLUSTER_LABELED, KEPT)
        asked = set(shown_samples(after, Kind.SAMPLE))
        assert kept
        assert by_status(after, KEPT) == kept - asked
        stayed = sorted(kept - asked)
        assert after.pool.labels[stayed].tolist() == before.pool.labels[stayed].tolist()
        assert not kept & set(shown_samples(after, Kind.CLUSTER))
        trained_on = set(world.learner.trained_on[after.iteration].indices.tolist())
        assert trained_on == by_status(after, LABELED, CLUSTER_LABELED, KEPT)


def test_wrong_label_of_a_cluster_is_replaced_by_the_answer_to_its_uncertain_sample() -> None:
    world = World(expert=Lenient)
    results = world.run("cluster+uncertain", iterations=4, interactions_per_iteration=12, keep_cluster_labels=True)

    corrected = [
        index
        for before, after in pairwise(results)
        for index in by_status(before, CLUSTER_LABELED, KEPT) & by_status(after, LABELED)
        if before.pool.labels[index] != after.pool.labels[index] == world.true_labels[index]
    ]
    assert corrected


def test_kept_labels_are_counted_with_their_error() -> None:
    world = World(expert=Lenient)
    results = world.run("uncertain+cluster", keep_cluster_labels=True)

    assert results[0].kept_labels == KeptLabels(count=0, error=None)
    for result in results[1:]:
        kept = sorted(by_status(result, KEPT))
        wrong = (result.pool.labels[kept] != world.true_labels[kept]).mean()
        assert wrong > 0
        assert result.kept_labels == KeptLabels(count=len(kept), error=pytest.approx(wrong))
    assert [result.kept_labels for result in World().run("uncertain+cluster")] == [None] * 3


def test_nobody_knows_the_error_of_kept_labels_without_the_truth() -> None:
    results = World(expert=Stubborn()).run("uncertain+cluster", keep_cluster_labels=True)

    assert results[1].kept_labels == KeptLabels(count=len(by_status(results[1], KEPT)), error=None)


def test_experiment_that_shows_clusters_only_ends_when_all_have_a_label() -> None:
    results = World(expert=Lenient).run("cluster-only", iterations=9, keep_cluster_labels=True)

    assert len(results) == 1  # The six clusters contain the whole pool, so the first iteration labels every sample.
    assert by_status(results[0], CLUSTER_LABELED) == set(range(60))


def test_uncertain_samples_with_a_kept_label_are_asked_for_when_nothing_else_is_left() -> None:
    results = World(expert=Lenient).run("cluster+uncertain", iterations=30, keep_cluster_labels=True)

    check_moves(results, 60, keeps=True)
    assert labeled(results[-1]) == set(range(60))
    assert results[-1].interactions == sum(len(result.ledger) for result in results)
    assert not shown_samples(results[-1], Kind.CLUSTER)


def test_step_without_a_budget_does_not_keep_an_experiment_going() -> None:
    results = World(4, expert=Lenient).run(
        "cluster+uncertain", iterations=30, interactions_per_iteration=1, keep_cluster_labels=True
    )

    assert all(result.ledger for result in results)
    assert len(results) < 30


def test_kept_labels_keep_the_weight_of_their_cluster() -> None:
    world = World(expert=Lenient)
    world.run("uncertain+cluster", keep_cluster_labels=True, cluster_weight="purity")
    first, second, _ = world.learner.trained_on

    assert first.weights is not None
    assert second.weights is not None
    weights = [dict(zip(one.indices.tolist(), one.weights.tolist(), strict=True)) for one in (first, second)]
    lighter = {index: weight for index, weight in weights[0].items() if weight < 1}
    same = [index for index, weight in lighter.items() if weights[1][index] == weight]
    assert len(same) > len(lighter) / 2  # The other samples were labeled one by one, and have weight 1.


def test_pseudo_labels_go_back_where_labels_of_clusters_are_kept() -> None:
    steps = (Step(Ask.CLUSTERS, HALF), Step(Ask.UNCERTAIN, HALF))
    scenario = Scenario(name="own", steps=steps, pseudo_labels=PseudoLabelsBy("confident"))
    results = World(expert=Alternating).run(scenario, keep_cluster_labels=True)

    check_moves(results, 60, keeps=True)
    assert any(by_status(result, PSEUDO_LABELED) for result in results)
    assert any(by_status(result, KEPT) for result in results)


@pytest.mark.parametrize("scenario", [name for name in EVERY_SCENARIO if not EVERY_SCENARIO[name].forms_clusters])
def test_scenario_without_clusters_does_not_depend_on_keeping(scenario: str) -> None:
    kept, given_back = (World().run(scenario, keep_cluster_labels=keeps) for keeps in (True, False))

    assert ledgers(kept) == ledgers(given_back)
    assert [one.pool.labels.tolist() for one in kept] == [one.pool.labels.tolist() for one in given_back]


@pytest.mark.parametrize("acquisition", ["core_set", "badge", "typiclust", "prob_cover", "margin"])
def test_every_acquisition_can_choose_among_kept_labels(acquisition: str) -> None:
    world = World(expert=Lenient)
    object.__setattr__(world.components, "acquisition", acquisitions[acquisition])
    results = world.run("cluster+uncertain", iterations=4, interactions_per_iteration=10, keep_cluster_labels=True)

    check_moves(results, 60, keeps=True)
    assert [len(result.ledger) for result in results[1:]] == [5] * (len(results) - 1)
