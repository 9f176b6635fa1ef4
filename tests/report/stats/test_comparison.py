from made_up import level, runs, seeds, trial

from raycal.report.stats.comparison import by_dataset, by_seed, same_seeds

THRESHOLDS = [
    experiment
    for threshold in (0.7, 0.9)
    for experiment in seeds("cluster-only", *level(0.5, 0.6), expert={"purity_threshold": threshold})
]


def test_datasets_are_apart() -> None:
    found = by_dataset(
        runs(
            *seeds("random", *level(0.5)),
            *seeds("random", *level(0.5), dataset="cifar10"),
            *seeds("random", *level(0.5), dataset={"name": "digits", "train_size": 100}),
        )
    )
    assert [comparison.dataset for comparison in found] == [
        "digits (train_size=None)",
        "cifar10",
        "digits (train_size=100)",
    ]
    assert [len(comparison.groups) for comparison in found] == [1, 1, 1]


def test_random_and_full_supervision_belong_to_every_threshold() -> None:
    (found,) = by_dataset(runs(*seeds("random", *level(0.4)), *THRESHOLDS, *seeds("supervised", [(800, 0.9)])))
    assert [setting.label for setting in found.condition_groups] == [
        "purity threshold 0.8",
        "purity threshold 0.7",
        "purity threshold 0.9",
    ]
    for setting in found.condition_groups[1:]:
        assert list(setting.groups) == ["random", "cluster-only", "supervised"]
        assert setting.groups["cluster-only"].settings["expert.purity_threshold"] in setting.label
    assert len({id(setting.groups["random"]) for setting in found.condition_groups}) == 1
    assert [group.scenario for group in found.candidates] == ["random", "cluster-only", "cluster-only"]
    assert found.condition_group_of(found.groups[2]).label == "purity threshold 0.9"


def test_other_training_is_another_setting() -> None:
    (found,) = by_dataset(
        runs(*seeds("cluster-only", *level(0.5)), *seeds("supervised", [(800, 0.9)], training={"epochs": 20}))
    )
    assert [list(setting.groups) for setting in found.condition_groups] == [["cluster-only"], ["supervised"]]


def test_only_finished_seeds_are_shared() -> None:
    (found,) = by_dataset(
        runs(
            *seeds("random", *level(0.5, 0.5, 0.5)),
            *seeds("cluster-only", *level(0.5)),
            trial("cluster-only", seed=1, status="failed"),
            trial("cluster-only", seed=2, status="stopped"),
        )
    )
    assert list(by_seed(found.groups[1])) == [0]
    assert same_seeds(found.groups) == [0]
    assert same_seeds([]) == []
