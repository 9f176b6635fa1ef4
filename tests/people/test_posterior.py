"""Tests the probability of labels: closed forms on small evidence, and calibration on bots whose errors are known."""

from dataclasses import fields, replace

import numpy as np
import pytest
from digit_bots import NUM_CLASSES, DigitBots
from evidence_bots import TEAM, Bots, single

from raycal.algorithm.records import Indices, Kind
from raycal.people.error_rates import LOOKS_OTHER, ODD, SINGLE, ErrorRates, Prior
from raycal.people.evidence import Evidence, OtherAnswer
from raycal.people.evidence_layout import EvidenceLayout
from raycal.people.posterior import MAX_PASSES, LabelPosterior, posterior
from raycal.people.probe_results import MissRate

NOTHING = np.zeros(0, np.int64)


def cluster(
    who: str, label: int, indices: Indices, *, iteration: int = 0, marked: Indices = NOTHING, seen: Indices = NOTHING
) -> OtherAnswer:
    return OtherAnswer(
        who=who, round=iteration, kind=Kind.CLUSTER, label=label, indices=indices, marked=marked, seen=seen
    )


def probabilities(
    *answers: OtherAnswer, num_images: int = 100, num_classes: int = 10, rates: ErrorRates | None = None
) -> dict[tuple[int, int], float]:
    """The probability of each class that was named for an image, by image and class."""
    evidence = Evidence.of([], {}, others=answers)
    found = posterior(evidence, np.arange(num_images), num_classes, rates=rates)
    keys = zip(found.group.tolist(), found.label.tolist(), strict=True)
    return dict(zip(keys, found.probability.tolist(), strict=True))


def known_rates(num_people: int, num_clusters: int, **changes: float) -> ErrorRates:
    """The means of the priors, except for some rates that all people or clusters share."""
    rates = ErrorRates.a_priori(num_people, num_clusters)
    values = {
        name: value if name.endswith("looks_other") else np.full(getattr(rates, name).shape, value)
        for name, value in changes.items()
    }
    return replace(rates, **values)


def test_single_label_without_other_evidence_has_the_prior_probability() -> None:
    assert probabilities(single("ana", 0, 3, 7)) == {(7, 3): pytest.approx(1 - SINGLE.mean)}


def test_cluster_without_other_evidence_has_the_prior_probability() -> None:
    found = probabilities(cluster("ana", 3, np.arange(40)))

    def kept(belief: float, error: float) -> float:
        return belief * (1 - error) + (1 - belief) * error / 9

    expected = kept(kept(1 - SINGLE.mean, ODD.mean), LOOKS_OTHER.mean)
    assert found == {(index, 3): pytest.approx(expected) for index in range(40)}
    assert 0.9 < expected < 0.91


def test_single_labels_of_two_people_are_independent() -> None:
    rates = known_rates(2, 0, single=0.1)
    agree = probabilities(single("ana", 0, 3, 0), single("bo", 0, 3, 0), rates=rates)
    differ = probabilities(single("ana", 0, 3, 0), single("bo", 0, 4, 0), rates=rates)

    assert agree == {(0, 3): pytest.approx(0.9**2 / (0.9**2 + 9 * (0.1 / 9) ** 2))}
    each = 0.9 * 0.1 / 9 / (2 * 0.9 * 0.1 / 9 + 8 * (0.1 / 9) ** 2)
    assert differ == {(0, 3): pytest.approx(each), (0, 4): pytest.approx(each)}


def test_same_person_who_repeats_a_label_says_nothing_new() -> None:
    rates = known_rates(1, 0, single=0.1)
    once = probabilities(single("ana", 0, 3, 0), rates=rates)
    twice = probabilities(single("ana", 0, 3, 0), single("ana", 4, 3, 0), rates=rates)
    undecided = probabilities(single("ana", 0, 3, 0), single("ana", 4, 5, 0), rates=rates)

    assert once == twice == {(0, 3): pytest.approx(0.9)}
    assert undecided[0, 3] == undecided[0, 5] == pytest.approx(1 / (2 + 8 / 9))


def test_person_who_looks_again_replaces_the_own_label() -> None:
    def look(who: str, label: int) -> OtherAnswer:
        return replace(single(who, 1, label, 0), is_look=True)

    rates = known_rates(2, 0, single=0.1)
    first = single("ana", 0, 3, 0)
    by_ana = probabilities(first, look("ana", 5), rates=known_rates(1, 0, single=0.1))
    by_bo = probabilities(first, look("bo", 5), rates=rates)

    assert by_ana == {(0, 3): pytest.approx(0.1 / 9), (0, 5): pytest.approx(0.9)}
    assert by_bo[0, 3] == pytest.approx(by_bo[0, 5])


def test_unchanged_cluster_again_says_nothing_new_if_the_person_is_the_same() -> None:
    rates = known_rates(1, 1, cluster=0.2, odd=0.05, looks_other=0.01)
    once = probabilities(cluster("ana", 3, np.arange(50)), rates=rates)
    again = probabilities(
        cluster("ana", 3, np.arange(50)), cluster("ana", 3, np.arange(2, 52), iteration=1), rates=rates
    )

    assert [again[index, 3] for index in range(52)] == pytest.approx([once[0, 3]] * 52)


def test_second_person_confirms_the_choice_of_an_unchanged_cluster_but_not_who_belongs_to_it() -> None:
    rates = known_rates(2, 1, cluster=0.2, odd=0.05, looks_other=0.01)
    once = probabilities(cluster("ana", 3, np.arange(50)), rates=rates)[0, 3]
    confirmed = probabilities(
        cluster("ana", 3, np.arange(50)), cluster("bo", 3, np.arange(50), iteration=1), rates=rates
    )[0, 3]

    assert once < 0.8
    assert 0.92 < confirmed < (1 - 0.05) * (1 - 0.01) + 0.01


def test_other_clusters_confirm_who_belongs_to_a_class_up_to_the_share_of_look_alikes() -> None:
    """Image 0 is in five clusters that share nothing else."""
    rates = known_rates(1, 5, cluster=0.2, odd=0.05, looks_other=0.03)
    some = [np.append(0, np.arange(1 + 10 * number, 11 + 10 * number)) for number in range(5)]
    found = probabilities(*(cluster("ana", 3, indices, iteration=one) for one, indices in enumerate(some)), rates=rates)

    assert found[1, 3] < 0.75
    assert found[0, 3] == pytest.approx(1 - 0.03, abs=0.002)


def audit(who: str, label: int, index: int) -> OtherAnswer:
    return single(who, 0, label, index, is_audit=True)


def test_few_random_images_show_that_the_label_of_a_cluster_was_ill_chosen() -> None:
    rates = known_rates(2, 1, cluster=0.05, single=0.05)
    answers = [cluster("ana", 3, np.arange(60)), *(audit("bo", 8, index) for index in range(4))]
    right = [cluster("ana", 3, np.arange(60)), *(audit("bo", 3, index) for index in range(4))]
    one_odd = [*right, audit("bo", 8, 4)]

    assert probabilities(*answers, rates=rates)[59, 3] < 0.05
    assert probabilities(*right, rates=rates)[59, 3] > 0.9
    assert probabilities(*one_odd, rates=rates)[59, 3] > 0.9


def test_images_that_a_model_was_unsure_about_say_less_about_their_cluster_than_random_ones() -> None:
    rates = known_rates(2, 1, cluster=0.02, single=0.02, looks_other=0.02, chosen_looks_other=0.3)
    everything = cluster("ana", 3, np.arange(60))
    random = probabilities(everything, *(audit("bo", 8, index) for index in range(2)), rates=rates)
    chosen = probabilities(everything, *(single("bo", 0, 8, index) for index in range(2)), rates=rates)

    assert random[59, 3] < 0.6
    assert chosen[59, 3] > random[59, 3] + 0.2
    assert chosen[0, 8] > 0.9


def test_marked_images_that_get_another_class_alone_do_not_make_their_cluster_doubtful() -> None:
    everything, odd = np.arange(60), np.arange(3)
    rates = known_rates(1, 1, cluster=0.02, single=0.02, chosen_looks_other=0.04)
    rest = cluster("ana", 3, everything[3:], marked=odd, seen=everything[:20])
    before = probabilities(rest, rates=rates)
    after = probabilities(rest, *(single("ana", 0, 8, index) for index in odd.tolist()), rates=rates)

    assert after[59, 3] == pytest.approx(before[59, 3], abs=0.01)
    assert before[59, 3] > 0.85
    assert {index: after[index, 8] > 0.97 for index in range(3)} == dict.fromkeys(range(3), True)


def test_image_that_a_person_saw_and_did_not_mark_is_more_certain() -> None:
    rates = known_rates(1, 1, odd=0.1, missed=0.2, cluster=0.01, looks_other=0.01)
    everything = np.arange(60)
    found = probabilities(
        cluster("ana", 3, everything[:-1], marked=everything[-1:], seen=np.array([0, 59])), rates=rates
    )

    wrong = {index: 1 - found[index, 3] for index in (0, 30, 59)}
    assert wrong[0] < 0.4 * wrong[30]
    assert wrong[59] > 0.95
    assert wrong[30] == pytest.approx(0.12, abs=0.02)


def test_marked_image_is_improbable_even_if_an_earlier_cluster_gave_it_the_label() -> None:
    earlier = cluster("ana", 3, np.arange(40))
    later = cluster("ana", 3, np.arange(40, 80), iteration=1, marked=np.array([0]), seen=np.array([0, 41]))
    found = probabilities(earlier, later)

    assert found[0, 3] < 0.5 < found[1, 3]


def test_duplicates_share_their_evidence() -> None:
    evidence = Evidence.of([], {}, others=[single("ana", 0, 3, 0), single("bo", 0, 3, 2)])
    rates = known_rates(2, 0, single=0.1)
    found = posterior(evidence, np.array([1, 0, 1]), 10, rates=rates)

    assert (found.group.tolist(), found.label.tolist()) == ([1], [3])
    assert found.probability[0] > 0.99


def test_no_evidence_gives_no_probabilities() -> None:
    found = posterior(Evidence.of([], {}), np.arange(5), 3)

    assert len(found.group) == len(found.probability) == 0


def test_with_one_class_every_label_is_right() -> None:
    assert probabilities(single("ana", 0, 0, 3), cluster("bo", 0, np.arange(3, 5)), num_classes=1) == {
        (3, 0): pytest.approx(1),
        (4, 0): pytest.approx(1),
    }


def test_two_people_who_disagree_are_judged_by_all_their_answers() -> None:
    """Cleo contradicts Ana and Bo, who agree with each other, so Cleo is probably wrong elsewhere, too."""
    answers = []
    for index in range(60):
        answers += [single("ana", 0, 1, index), single("bo", 0, 1, index), single("cleo", 0, 1 + index % 2, index)]
    found = probabilities(*answers, single("ana", 0, 4, 90), single("cleo", 0, 5, 90))

    assert found[90, 4] > 0.85
    assert found[90, 5] < 0.15


def test_probes_say_what_a_person_misses() -> None:
    answers = [cluster("ana", 3, np.arange(40), seen=np.arange(20)), single("ana", 0, 3, 0)]
    evidence = Evidence.of([], {}, others=answers)
    many = posterior(evidence, np.arange(40), 10, probes={"ana": MissRate(shown=100, missed=60)})
    few = posterior(evidence, np.arange(40), 10, probes={"ana": MissRate(shown=100, missed=2)})

    assert many.rates.missed[0] == pytest.approx(0.57, abs=0.03)
    assert few.rates.missed[0] == pytest.approx(0.04, abs=0.03)
    assert few.probability[10] > many.probability[10]


SCENES = {
    "independent errors": Bots(),
    "images that look like another class": Bots(look_alike=0.04, odd=0.02),
    "clusters again": Bots(again=0.5),
    "clusters again with look-alikes": Bots(again=0.8, look_alike=0.03),
    "two classes": Bots(num_classes=2),
    "many classes": Bots(num_classes=100, largest=30),
    "one person": Bots(team={"ana": 0.05}),
}
SEEDS = range(3)


def best(found: LabelPosterior) -> tuple[Indices, Indices, np.ndarray]:
    """The images with evidence, the most probable class of each one, and its probability."""
    order = np.lexsort((found.probability, found.group))
    last = order[np.append(np.diff(found.group[order]) > 0, True)]
    return found.group[last], found.label[last], found.probability[last]


def calibration(belief: np.ndarray, is_right: np.ndarray) -> float:
    """How much the share of right labels differs from their probability, on average over the deciles of it."""
    decile = np.minimum((belief * 10).astype(int), 9)
    return float(
        sum(
            abs(is_right[decile == one].mean() - belief[decile == one].mean()) * np.mean(decile == one)
            for one in np.unique(decile)
        )
    )


@pytest.mark.parametrize("name", SCENES)
def test_probabilities_are_calibrated_on_bots(name: str) -> None:
    bots, beliefs, hits = SCENES[name], [], []
    for seed in SEEDS:
        labeled = bots.label(seed)
        found = posterior(labeled.evidence, np.arange(bots.num_images), bots.num_classes)
        images, labels, probability = best(found)
        beliefs.append(probability)
        hits.append(labels == labeled.truth[images])
        assert found.num_passes < MAX_PASSES
    belief, is_right = np.concatenate(beliefs), np.concatenate(hits)

    assert abs(belief.mean() - is_right.mean()) < 0.01
    assert calibration(belief, is_right) < 0.02
    # The test would notice probabilities that say nothing: there are wrong labels, and improbable ones.
    assert 0.5 < is_right.mean() < 1
    assert belief.min() < 0.7


@pytest.mark.parametrize(
    "bots",
    [
        DigitBots(),
        DigitBots(team={"ana": 0.03}, of_clusters=0.01, rounds=4),
        DigitBots(team={"ana": 0.02, "bo": 0.05}, of_clusters=0.02, rounds=4, singles_first=True),
    ],
    ids=["careful person", "one person", "two people"],
)
def test_probabilities_are_calibrated_if_a_model_chooses_the_single_images(bots: DigitBots) -> None:
    beliefs, hits = [], []
    for seed in SEEDS:
        labeled = bots.label(seed)
        evidence = labeled.evidence
        images, labels, probability = best(posterior(evidence, np.arange(len(labeled.truth)), NUM_CLASSES))
        is_of_cluster = ~np.isin(images, evidence.index[evidence.is_single])
        beliefs.append(probability[is_of_cluster])
        hits.append((labels == labeled.truth[images])[is_of_cluster])
    belief, is_right = np.concatenate(beliefs), np.concatenate(hits)

    assert len(belief) > 2000
    assert 0.9 < is_right.mean() < 0.99
    assert abs(belief.mean() - is_right.mean()) < 0.03
    assert calibration(belief, is_right) < 0.03


def test_error_rates_of_people_are_recovered() -> None:
    for seed in SEEDS:
        labeled = Bots(singles=150, shared=0.3).label(seed)
        rates = posterior(labeled.evidence, np.arange(6000), 10).rates
        for number, who in enumerate(sorted(TEAM)):
            made = {kind: np.mean(labeled.mislabeled[who, kind]) for kind in Kind}
            assert rates.single[number] == pytest.approx(made[Kind.SAMPLE], abs=0.04)
            assert rates.cluster[number] == pytest.approx(made[Kind.CLUSTER], abs=0.03)
            assert rates.missed[number] == pytest.approx(0.2, abs=0.1)
        assert rates.odd.mean() == pytest.approx(0.05, abs=0.015)


def test_share_of_look_alikes_is_higher_if_there_are_some() -> None:
    def estimated(share: float) -> float:
        labeled = Bots(look_alike=share, odd=0.02, singles=150, shared=0.3).label(5)
        return posterior(labeled.evidence, np.arange(6000), 10).rates.looks_other

    assert estimated(0.0) < 0.015
    assert 0.03 < estimated(0.06) < 0.08


def test_order_of_the_rows_has_no_effect_and_two_calls_give_the_same_bits() -> None:
    evidence = Bots(num_images=2000, again=0.3).label(0).evidence
    first = posterior(evidence, np.arange(2000), 10)
    second = posterior(evidence, np.arange(2000), 10)
    mixed = posterior(evidence.rows(np.random.default_rng(1).permutation(len(evidence))), np.arange(2000), 10)

    for other in (second, mixed):
        assert np.array_equal(first.group, other.group)
        assert np.array_equal(first.label, other.label)
        assert np.array_equal(first.probability, other.probability)
        assert first.num_passes == other.num_passes


def test_work_grows_with_the_answers_and_not_with_the_classes() -> None:
    """A pass goes through arrays of at most two entries per row of the evidence, and 30 times as many images need about
    as many passes.
    """
    passes = []
    for number in (500, 15_000):
        labeled = Bots(num_images=number, num_classes=300, largest=30, rounds=3, singles=100).label(0)
        evidence = labeled.evidence
        layout = EvidenceLayout.of(evidence, np.arange(number))
        assert max(len(getattr(layout, one.name)) for one in fields(layout)) <= 2 * len(evidence)
        passes.append(posterior(evidence, np.arange(number), 300).num_passes)
    assert passes[1] <= passes[0] + 40


def test_rate_of_a_person_is_drawn_towards_that_of_the_others_and_towards_the_prior() -> None:
    prior = Prior(mean=0.1, strength=10)

    assert prior.by_group(np.array([5.0]), np.array([10.0])).tolist() == [pytest.approx((1 + 5) / 20)]
    first, second = prior.by_group(np.array([0.0, 30.0]), np.array([0.0, 90.0])).tolist()
    assert first == pytest.approx((1 + 30) / (10 + 90))
    assert second == pytest.approx((1 + 30) / (10 + 90))
    like = np.array([9.0]), np.array([10.0])
    assert prior.by_group(np.array([5.0]), np.array([10.0]), like=like).tolist() == [pytest.approx((5 + 5) / 20)]
