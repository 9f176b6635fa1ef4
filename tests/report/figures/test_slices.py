from small_runs import runs, supervised, threshold, trial

from raycal.report.figures.slices import Slice, concerns, datasets, of_dataset, scenarios, slices


def shown(part: Slice) -> list[str]:
    return [f"{group.scenario} {note}".strip() for group, note in zip(part.groups, part.notes, strict=True)]


def test_one_slice_where_only_scenarios_differ() -> None:
    (part,) = slices(runs(trial("random", 0, [0.5]), trial("cluster-only", 0, [0.6]), supervised(0, 0.9)))

    assert (part.title, shown(part), len(part.supervised)) == ("", ["random", "cluster-only"], 1)


def test_a_slice_per_setting_with_the_scenarios_it_does_not_concern_in_each() -> None:
    both = [trial("cluster-only", seed, [0.6], settings=threshold(value)) for value in (0.7, 0.9) for seed in (0, 1)]
    parts = slices(runs(trial("random", 0, [0.5]), *both, supervised(0, 0.9)))

    assert [part.title for part in parts] == ["purity threshold 0.7", "purity threshold 0.9"]
    assert [shown(part) for part in parts] == [["random", "cluster-only"]] * 2
    assert [part.supervised[0].scenario for part in parts] == ["supervised"] * 2


def test_of_many_settings_each_scenario_is_shown_at_its_best() -> None:
    accuracies = {0.6: 0.5, 0.7: 0.8, 0.8: 0.6, 0.9: 0.4}
    many = [
        trial("cluster-only", 0, [accuracy, accuracy], settings=threshold(value))
        for value, accuracy in accuracies.items()
    ]
    (part,) = slices(runs(*many, trial("random", 0, [0.5])))

    assert shown(part) == ["cluster-only purity threshold 0.7", "random"]
    assert part.is_best_of_each


def test_full_supervision_with_settings_of_its_own_is_the_bound_of_all() -> None:
    bound = supervised(0, 0.9, settings={"training": {"epochs": 20}})
    (part,) = slices(runs(trial("random", 0, [0.5]), bound))

    assert (part.title, [one.lines[-1]["test_accuracy"] for one in part.supervised]) == ("", [0.9])


def test_what_did_not_finish_is_not_shown() -> None:
    assert slices(runs(trial("random", 0, status="failed"), trial("cluster-only", 0, [0.5], status="stopped"))) == []


def test_datasets_are_apart() -> None:
    mixed = runs(trial("random", 0, [0.5]), trial("random", 0, [0.5], dataset="eurosat"))

    assert datasets(mixed) == ["cifar10", "eurosat"]
    assert [one.config.dataset.name for one in of_dataset(mixed, "eurosat").trials] == ["eurosat"]


def test_full_supervision_is_the_last_scenario() -> None:
    assert scenarios(runs(supervised(0, 0.9), trial("random", 0, [0.5]))) == ["random", "supervised"]


def test_threshold_concerns_only_who_shows_clusters() -> None:
    assert not concerns(trial("random", 0).config, "expert.purity_threshold")
    assert concerns(trial("cluster-only", 0).config, "expert.purity_threshold")
    assert concerns(trial("random", 0).config, "training.epochs")


PERFECT = {"name": "perfect_purity"}


def test_upper_bounds_are_not_a_scenarios_best() -> None:
    bounds = [
        trial("cluster-only", 0, [0.9, 0.9], settings={"expert": {"name": "few_images", "of": PERFECT}}),
        trial("cluster-only", 0, [0.9, 0.9], settings={"clustering": {"name": "kmeans", "order": "oracle"}}),
    ]
    real = [trial("cluster-only", 0, [a, a], settings=threshold(v)) for v, a in {0.6: 0.5, 0.7: 0.8, 0.9: 0.4}.items()]
    (part,) = slices(runs(*bounds, *real))

    assert [group.label for group in part.groups] == ["cluster-only (purity threshold 0.7)"]
    assert [group.is_bound for group in runs(*bounds, *real).groups] == [True, True, False, False, False]


def test_expert_who_sorts_clusters_is_no_bound_where_none_is_shown() -> None:
    (group,) = runs(trial("uncertain-only", 0, [0.9], settings={"expert": PERFECT})).groups

    assert not group.is_bound
