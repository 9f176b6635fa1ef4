from dataclasses import replace
from typing import Any

import pytest

from raycal.capacity.allocate import Allocation
from raycal.config import ExperimentConfig, ResourceConfig, SearchConfig, Sweep, TrackingConfig
from raycal.data import DatasetInfo
from raycal.dry_run.cost import Cost, estimate_cost, print_estimate
from raycal.dry_run.prices import offers
from raycal.dry_run.rates import FORWARD_GFLOP, TRAINING_GFLOP, GpuRate
from raycal.errors import InputError
from raycal.experiment import build

INFO = DatasetInfo(num_train=1000, num_test=200, num_classes=10)
HINT = "  add --price USD with that price, or --price clouds for the prices of some cloud machines"


def config(scenario: Any, **settings: Any) -> ExperimentConfig:
    training = {"epochs": 2, "image_size": 32, **settings.pop("training", {})}
    given = {
        "dataset": "digits",
        "scenario": scenario,
        "iterations": 3,
        "interactions_per_iteration": 100,
        "training": training,
        **settings,
    }
    return ExperimentConfig.model_validate(given, context=build.REGISTRIES)


def images(cost: Cost, *, scored: int, epochs: int = 2, size: float = 1.0) -> tuple[int, float, float]:
    """The interactions, and the fewest and the most images that are trained on when `scored` images are scored."""
    forward = scored * FORWARD_GFLOP
    least, most = ((gflop / size - forward) / TRAINING_GFLOP / epochs for gflop in (cost.least_gflop, cost.most_gflop))
    return cost.interactions, round(least, 6), round(most, 6)


# The pool has 1000 images and the test split 200; there are three iterations of 100 interactions.
@pytest.mark.parametrize(
    ("scenario", "scored", "expected"),
    [
        # Only the test split is scored. The trainings use 100, 200 and 300 images.
        ("random", 3 * 200, (300, 600, 600)),
        # D^U is scored as well. It has 1000, 900 and 800 images in the three iterations.
        ("uncertain-only", 3 * 200 + 2700, (300, 600, 600)),
        # In the cheapest case no cluster is accepted. In the most expensive one, clusters label the whole pool in every
        # iteration. Their labels are dropped afterwards, so D^U stays at 1000.
        ("cluster-only", 3 * 200 + 3000, (300, 0, 3000)),
        # Each iteration asks about 50 single images, so D^U has 1000, 950 and 900 images, and at least 50, 100 and 150
        # images are labeled.
        ("uncertain+cluster", 3 * 200 + 2850, (300, 300, 3000)),
        ("cluster+uncertain", 3 * 200 + 2850, (300, 300, 3000)),
        # There is one iteration over the whole pool.
        ("supervised", 200, (1000, 1000, 1000)),
    ],
)
def test_cost_of_each_scenario(scenario: str, scored: int, expected: tuple[int, int, int]) -> None:
    assert images(estimate_cost(config(scenario), INFO), scored=scored) == expected


@pytest.mark.parametrize(
    ("scenario", "settings", "scored", "expected"),
    [
        # Two more members score D^U. They are trained on as many images as the query model: 0, 100 and 200.
        ("uncertain-only", {}, 3 * 200 + 3 * 2700, (300, 600 + 2 * 300, 600 + 2 * 300)),
        ("uncertain-only", {"ask_with": "initial"}, 3 * 200 + 3 * 2700, (300, 600, 600)),
        ("uncertain+cluster", {}, 3 * 200 + 3 * 2850, (300, 300 + 2 * 150, 3000 + 2 * 2000)),
        ("cluster-only", {}, 3 * 200 + 3000, (300, 0, 3000)),
    ],
)
def test_members_of_an_ensemble_cost_a_training_and_a_pass_each(
    scenario: str, settings: dict[str, str], scored: int, expected: tuple[int, int, int]
) -> None:
    ensemble = {"name": "ensemble_vote_entropy", "members": 3}

    assert images(estimate_cost(config(scenario, acquisition=ensemble, **settings), INFO), scored=scored) == expected


@pytest.mark.parametrize(
    ("training", "scenario", "seen"),
    [
        # Each of the three trainings takes 40 steps of 64 images. The number of samples does not matter if there are at
        # least 64.
        ({"stop": "steps", "steps": 40, "epochs": 5}, "random", (3 * 2560, 3 * 2560)),
        # Without an accepted cluster there is no training.
        ({"stop": "steps", "steps": 40, "epochs": 5}, "cluster-only", (0, 3 * 2560)),
        # The trainings use 100, 200 and 300 images, which are fewer than a batch of 512.
        ({"stop": "steps", "steps": 40, "epochs": 5, "batch_size": 512}, "random", (40 * 600, 40 * 600)),
        # A training takes at least four passes: the first sets the loss that the three passes of the patience must
        # beat. It takes at most all steps.
        ({"stop": "converged", "steps": 40, "epochs": 5}, "random", (4 * 600, 3 * 2560)),
        ({"stop": "converged", "steps": 10, "epochs": 5}, "random", (400 + 2 * 640, 3 * 640)),
    ],
)
def test_cost_of_a_training_that_counts_steps(training: dict[str, Any], scenario: str, seen: tuple[int, int]) -> None:
    cost, untrained = (
        estimate_cost(config(scenario, training=given), INFO) for given in (training, {"stop": "epochs", "epochs": 5})
    )
    passes = images(untrained, scored=0, epochs=1)
    forward = 3 * 200 + (3000 if scenario == "cluster-only" else 0)

    assert images(cost, scored=forward, epochs=1) == (passes[0], *seen)


def test_cost_of_own_steps() -> None:
    own = {"name": "own", "steps": [{"ask": "random", "share": "1/4"}, {"ask": "clusters", "share": "3/4"}]}

    # Each iteration draws 25 single images without scoring. Afterwards D^U has 975, 950 and 925 images, which are
    # scored for the clusters. At least 25, 50 and 75 images are labeled.
    assert images(estimate_cost(config(own), INFO), scored=3 * 200 + 2850) == (300, 150, 3000)


def test_cost_grows_with_epochs_and_the_square_of_the_image_size() -> None:
    small = estimate_cost(config("random"), INFO)
    larger = estimate_cost(config("random", training={"image_size": 64}), INFO)
    longer = estimate_cost(config("random", training={"epochs": 6}), INFO)

    assert larger.least_gflop == pytest.approx(4 * small.least_gflop)
    assert longer.least_gflop - small.least_gflop == pytest.approx(4 * 600 * TRAINING_GFLOP)


@pytest.mark.parametrize(
    ("scenario", "interactions"),
    [
        # The iterations label 100, 100 and 50 images, and then the pool is empty.
        ("random", 250),
        ("uncertain-only", 250),
        # There is at most one cluster per sample, and the samples of all clusters go back to D^U.
        ("cluster-only", 10 * 100),
        # Four iterations ask about 50 samples and 50 clusters, and the fifth about the last 50 samples and no cluster.
        ("uncertain+cluster", 4 * 100 + 50),
        ("supervised", 250),
    ],
)
def test_interactions_end_with_the_pool(scenario: str, interactions: int) -> None:
    small_pool = DatasetInfo(num_train=250, num_test=10, num_classes=10)

    assert estimate_cost(config(scenario, iterations=10), small_pool).interactions == interactions


def test_fewer_clusters_than_the_budget_are_fewer_interactions() -> None:
    cost = estimate_cost(config("cluster-only", clustering={"num_clusters": 20}), INFO)

    assert cost.interactions == 3 * 20


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        # All 100 clusters are shown. No representative is refused, and each cluster gets the label of its
        # representative.
        ({}, (300, 3000, 3000)),
        # There are only 20 clusters, because no cluster is refused and then split.
        ({"clustering": {"num_clusters": 20, "on_refusal": "split"}}, (60, 3000, 3000)),
        # A representative labels a tenth of its cluster. The work is largest if 99 clusters have one image each and one
        # cluster has all others.
        ({"clustering": {"core": 0.1}}, (300, 300, 3 * (99 + 91))),
        # Half of the clusters are shown. The work is largest if each of the other clusters has one image.
        ({"clustering": {"num_clusters": 200}}, (300, 1500, 2700)),
    ],
)
def test_representative_labels_what_is_shown_of_its_cluster(
    settings: dict[str, Any], expected: tuple[int, int, int]
) -> None:
    found = images(estimate_cost(config("representative-only", **settings), INFO), scored=3 * 200 + 3000)

    assert found == expected


def test_representatives_whose_labels_are_kept_leave_nothing_to_ask() -> None:
    cost = estimate_cost(config("representative-only", keep_cluster_labels=True), INFO)

    assert cost.least_gflop == pytest.approx(1200 * FORWARD_GFLOP + 2 * 1000 * TRAINING_GFLOP)
    assert cost.most_gflop == pytest.approx(3 * cost.least_gflop)


@pytest.mark.parametrize(
    ("scenario", "scored", "least", "most"),
    [
        # Before the clusters are formed, the network is trained on the 50, 100 and 150 single images, and scores the
        # other images again.
        ("uncertain+cluster", (2850 + 2700, 2850 + 2700), 300 + 300, 300 + 3000),
        # The clusters come first. If they are accepted, 50 images are left to score. If not, there are 0, 50 and 100
        # single images to train on.
        ("cluster+uncertain", (2850 + 2850, 2850 + 150), 150 + 300, 2850 + 3000),
    ],
)
def test_training_between_the_steps_costs_a_training_and_a_pass(
    scenario: str, scored: tuple[int, int], least: int, most: int
) -> None:
    cost = estimate_cost(config(scenario, retrain_between=True), INFO)
    expected = [
        (3 * 200 + passes) * FORWARD_GFLOP + 2 * trained * TRAINING_GFLOP
        for passes, trained in zip(scored, (least, most), strict=True)
    ]

    assert [cost.least_gflop, cost.most_gflop] == pytest.approx(expected)


@pytest.mark.parametrize("name", ["ceal", "pseudo-labels", "label-propagation"])
def test_pseudo_labels_are_given_to_none_or_all_of_the_pool(name: str) -> None:
    assert images(estimate_cost(config(name), INFO), scored=3 * 200 + 2700) == (300, 600, 3000)


@pytest.mark.parametrize("scenario", ["cluster-only", "uncertain+cluster", "cluster+uncertain"])
def test_kept_labels_may_cost_as_much_as_labels_that_go_back(scenario: str) -> None:
    """With kept labels the pool may also never run empty, because clusters that are refused in one iteration can be
    accepted in the next."""
    kept, released = (estimate_cost(config(scenario, keep_cluster_labels=flag), INFO) for flag in (True, False))

    assert kept == released


def allocation(*, threads: int = 1, concurrent_trials: int = 1) -> Allocation:
    return Allocation(workers=1, threads=threads, gpus=0, concurrent_trials=concurrent_trials, clustering=())


def test_estimate_prints_every_trial_the_sum_and_the_hours(capsys: pytest.CaptureFixture[str]) -> None:
    experiments = {"first": config("random"), "the-second": config("supervised")}
    sweep = Sweep(
        name="tiny",
        experiments=experiments,
        num_combinations=5,
        resources=ResourceConfig(),
        tracking=TrackingConfig(),
    )
    infos = dict.fromkeys(experiments, INFO)
    print_estimate(sweep, experiments, infos, lambda: allocation(threads=2))

    # Two threads of 100 GFLOP/s take four seconds to train on 600 + 1000 images for two epochs and to score 600 + 200
    # images. The process and Ray take a minute to start, and the second trial takes another second.
    assert capsys.readouterr().out.splitlines() == [
        "first           300 interactions  pool 1,000  test 200",
        "the-second    1,000 interactions  pool 1,000  test 200",
        "",
        "tiny: 2 trials, 1,300 interactions",
        "3 combinations repeat a trial: they differ only in settings without effect on it",
        "on H100-class GPUs (assumed, not measured): under 0.1 GPU hours, to multiply by your price per GPU hour",
        HINT,
        "resources on this machine: 1 trial at a time, 1 worker each with 2 CPU threads; clustering in the same "
        "process",
        "rough estimate: about 1 min, most of it to start the process and the trials",
    ]


def test_hours_are_shared_by_the_trials_that_run_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    experiments = {str(seed): config("random", seed=seed, training={"image_size": 320}) for seed in range(4)}
    sweep = Sweep(
        name="tiny",
        experiments=experiments,
        num_combinations=4,
        resources=ResourceConfig(),
        tracking=TrackingConfig(),
    )
    print_estimate(sweep, experiments, dict.fromkeys(experiments, INFO), lambda: allocation(concurrent_trials=4))

    printed = capsys.readouterr().out
    minutes = 100 * (600 * 2 * 0.217 + 600 * 0.074) / 100 / 60
    assert "repeat a trial" not in printed
    assert round(minutes) == 5
    assert printed.endswith("rough estimate: about 6 min, about 1 min of it to start the process and the trials\n")


def large() -> tuple[Sweep, dict[str, ExperimentConfig]]:
    """A sweep of four trials. Each trial trains on 600 images of 320 pixels for 4000 epochs, and scores 600 images."""
    training = {"image_size": 320, "epochs": 4000}
    experiments = {str(seed): config("random", seed=seed, training=training) for seed in range(4)}
    sweep = Sweep(
        name="tiny",
        experiments=experiments,
        num_combinations=4,
        resources=ResourceConfig(),
        tracking=TrackingConfig(),
    )
    return sweep, experiments


LARGE_GFLOP = 4 * 100 * (600 * 4000 * 0.217 + 600 * 0.074)


def printed_money(capsys: pytest.CaptureFixture[str], **told: Any) -> list[str]:
    """The printed lines of GPU hours and of money for the large sweep."""
    sweep, experiments = large()
    print_estimate(sweep, experiments, dict.fromkeys(experiments, INFO), lambda: allocation(), **told)
    lines = capsys.readouterr().out.splitlines()
    return lines[lines.index("tiny: 4 trials, 1,200 interactions") + 1 : -2]


def test_money_is_that_of_each_machine_of_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    _, *machines, note = printed_money(capsys, clouds=True)

    # An L4 is assumed to sustain 11 TFLOP/s, and an A100 45 TFLOP/s.
    l4, a100 = LARGE_GFLOP / 11_000 / 3600, LARGE_GFLOP / 45_000 / 3600
    assert (f"{l4:.1f}", f"{a100:.1f}") == ("5.3", "1.3")
    assert machines == [
        f"  {machine}: {hours:.1f} GPU hours, "
        f"{spot * hours:.2f} USD on spot, "
        f"{on_demand * hours:.2f} on demand, prices not verified on 2026-11-23"
        for machine, hours, spot, on_demand in (
            ("aws g6.2xlarge (L4, us-west-2)", l4, 0.40, 0.98),
            ("gcp g2-standard-8 (L4, us-central1)", l4, 0.34, 0.85),
            ("azure Standard_NC24ads_A100_v4 (A100, westus2)", a100, 1.10, 3.67),
        )
    ]
    assert note.startswith("  prices are not verified")


def test_without_a_gpu_and_a_price_no_machine_of_a_cloud_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed_money(capsys) == [
        "on H100-class GPUs (assumed, not measured): 0.6 GPU hours, to multiply by your price per GPU hour",
        HINT,
    ]


@pytest.mark.parametrize(("here", "asked"), [(1, "auto"), (0, 0.5)])
def test_gpu_here_or_in_the_sweep_file_brings_the_prices_of_clouds(
    capsys: pytest.CaptureFixture[str], here: float, asked: Any
) -> None:
    sweep, experiments = large()
    sweep = replace(sweep, resources=ResourceConfig(gpus_per_worker=asked))
    share = Allocation(workers=1, threads=1, gpus=here, concurrent_trials=1, clustering=())
    print_estimate(sweep, experiments, dict.fromkeys(experiments, INFO), lambda: share)

    printed = capsys.readouterr().out
    assert printed.count("prices not verified on ") == len(offers())
    assert HINT not in printed


def test_own_price_is_of_the_hours_above_it(capsys: pytest.CaptureFixture[str]) -> None:
    hours = LARGE_GFLOP / 100_000 / 3600

    assert printed_money(capsys, price=2.5) == [
        "on H100-class GPUs (assumed, not measured): 0.6 GPU hours, to multiply by your price per GPU hour",
        f"at 2.5 USD per GPU hour: {2.5 * hours:.2f} USD",
    ]


def test_measured_rate_takes_the_place_of_the_assumed_one(capsys: pytest.CaptureFixture[str]) -> None:
    rate = GpuRate(gpu="NVIDIA L4", gflops=20_000.0, origin="measured at 224 px on 2026-11-30")
    hours = LARGE_GFLOP / 20_000 / 3600

    said, *machines, note = printed_money(capsys, rate=rate)
    assert said == f"on {rate.gpu} ({rate.origin}): {hours:.1f} GPU hours, to multiply by your price per GPU hour"
    assert [line.split()[0] for line in machines] == ["aws", "gcp"]
    assert f" {0.98 * hours:.2f} on demand," in machines[0]
    assert note.startswith("  prices are not verified")


def test_gpu_that_is_not_in_the_table_needs_a_price(capsys: pytest.CaptureFixture[str]) -> None:
    rate = GpuRate(gpu="NVIDIA B200", gflops=400_000.0, origin="measured at 224 px on 2026-11-30")
    hours = LARGE_GFLOP / 400_000 / 3600

    assert printed_money(capsys, rate=rate)[1:] == ["no price of NVIDIA B200 is in the table: give yours with --price"]
    assert printed_money(capsys, rate=rate, price=100.0)[1:] == [f"at 100 USD per GPU hour: {100 * hours:.2f} USD"]


def test_hours_on_this_machines_gpus_follow_the_measured_rate(capsys: pytest.CaptureFixture[str]) -> None:
    sweep, experiments = large()
    on_gpu = Allocation(workers=1, threads=1, gpus=0.5, concurrent_trials=1, clustering=())
    rate = GpuRate(gpu="NVIDIA L4", gflops=20_000.0, origin="measured")
    print_estimate(sweep, experiments, dict.fromkeys(experiments, INFO), lambda: on_gpu, rate)

    hours = LARGE_GFLOP / 10_000 / 3600
    assert f"{hours:.1f}" == "5.8"
    assert "rough estimate: about 5.8 h, about 1 min of it to start" in capsys.readouterr().out


def test_gpu_hours_are_those_of_all_trials_whatever_this_machine_has(capsys: pytest.CaptureFixture[str]) -> None:
    sweep, experiments = large()

    def refuse() -> Allocation:
        raise InputError("no GPU here")

    print_estimate(sweep, experiments, dict.fromkeys(experiments, INFO), refuse)

    hours = LARGE_GFLOP / 100_000 / 3600  # A GPU of this kind is assumed to sustain 100 TFLOP/s.
    assert round(hours, 1) == 0.6
    printed = capsys.readouterr().out.splitlines()
    expected = (
        f"on H100-class GPUs (assumed, not measured): {hours:.1f} GPU hours, to multiply by your price per GPU hour"
    )
    assert expected in printed
    assert printed[-1] == "resources on this machine: no GPU here"


def test_search_that_decides_trial_by_trial_is_estimated_from_its_base(capsys: pytest.CaptureFixture[str]) -> None:
    base, end = config("random"), config("random", seed=1)
    space = {"training.learning_rate": {"loguniform": [1e-4, 0.1]}, "scenario": {"choice": ["random", "cluster-only"]}}
    sweep = Sweep(
        name="tiny",
        experiments={},
        num_combinations=0,
        resources=ResourceConfig(),
        tracking=TrackingConfig(),
        search=SearchConfig.model_validate({"algorithm": "optuna", "num_samples": 20, "space": space}),
        examples={base.experiment_id: base, end.experiment_id: end},
    )
    print_estimate(sweep, {}, {base.experiment_id: INFO, end.experiment_id: INFO}, lambda: allocation(threads=2))

    # Twenty trials, each training on 600 images for two epochs and scoring 600, take half a minute; starting them takes
    # a minute and a half.
    assert round(20 * (600 * 2 * 0.217 + 600 * 0.074) / 200) == 30
    assert capsys.readouterr().out.splitlines() == [
        f"{base.experiment_id}      300 interactions  pool 1,000  test 200",
        "The row above is the base experiment. The search varies:",
        "  training.learning_rate: loguniform [0.0001, 0.1]",
        "  scenario: choice [random, cluster-only]",
        "",
        "tiny: 20 trials chosen by optuna, about 6,000 interactions",
        "on H100-class GPUs (assumed, not measured): under 0.1 GPU hours, to multiply by your price per GPU hour",
        HINT,
        "resources on this machine: 1 trial at a time, 1 worker each with 2 CPU threads; clustering in the same "
        "process",
        "rough estimate: about 2 min, most of it to start the process and the trials",
    ]


def test_other_networks_cost_by_their_multiply_adds_and_a_frozen_one_a_pass() -> None:
    plain = estimate_cost(config("random"), INFO)
    larger = estimate_cost(config("random", model={"name": "resnet50"}), INFO)
    frozen = estimate_cost(config("uncertain+cluster", model={"frozen": True}), INFO)

    assert larger.least_gflop == pytest.approx(plain.least_gflop * 4.089 / 1.814)
    assert frozen.least_gflop == frozen.most_gflop
    assert frozen.least_gflop == pytest.approx((INFO.num_train + INFO.num_test) * FORWARD_GFLOP)


def test_frozen_layers_cost_a_training_between_forward_passes_and_the_whole() -> None:
    plain = estimate_cost(config("random"), INFO)
    frozen = estimate_cost(config("random", model={"frozen": "layer3"}), INFO)
    scored = 3 * INFO.num_test * FORWARD_GFLOP  # the test split, after each iteration

    assert frozen.most_gflop == plain.most_gflop
    assert frozen.least_gflop == pytest.approx(scored + (plain.most_gflop - scored) * FORWARD_GFLOP / TRAINING_GFLOP)


def test_estimate_of_a_planned_sweep_is_of_what_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    experiments = {"first": config("random"), "second": config("supervised")}
    sweep = Sweep(
        name="tiny", experiments=experiments, num_combinations=2, resources=ResourceConfig(), tracking=TrackingConfig()
    )
    told = {"labels": {"first": "random s0", "second": "supervised s0"}, "states": {"first": "new", "second": "done"}}

    print_estimate(sweep, experiments, dict.fromkeys(experiments, INFO), lambda: allocation(), **told)

    assert capsys.readouterr().out.splitlines()[:5] == [
        "first   random s0          300 interactions  pool 1,000  test 200  new",
        "second  supervised s0    1,000 interactions  pool 1,000  test 200  done",
        "",
        "tiny: 2 trials, 1,300 interactions",
        "done: 1; to run: 1, with 300 interactions; the estimates below cover only the trials to run",
    ]


def small_sweep(count: int) -> tuple[Sweep, dict[str, ExperimentConfig]]:
    experiments = {str(seed): config("random", seed=seed) for seed in range(count)}
    sweep = Sweep(
        name="tiny",
        experiments=experiments,
        num_combinations=count,
        resources=ResourceConfig(),
        tracking=TrackingConfig(),
    )
    return sweep, experiments


@pytest.mark.parametrize(
    ("count", "concurrent", "local", "line"),
    [
        # The process takes fifteen seconds to start and each trial one and a half; the work itself takes two seconds
        # per trial.
        (1, 1, True, "under a minute, most of it to start the process and the trials"),
        (100, 1, True, "about 8 min, about 3 min of it to start the process and the trials"),
        # With Ray, it takes a minute to start the process, Ray, and the first trial of each concurrent slot. Any other
        # trial takes one and a half seconds to start.
        (1, 1, False, "about 1 min, most of it to start the process and the trials"),
        (100, 4, False, "about 3 min, most of it to start the process and the trials"),
    ],
)
def test_estimate_has_the_time_of_starting_in_it(
    count: int, concurrent: int, local: bool, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep, experiments = small_sweep(count)
    infos = dict.fromkeys(experiments, INFO)
    print_estimate(sweep, experiments, infos, lambda: allocation(concurrent_trials=concurrent), local=local)

    assert capsys.readouterr().out.splitlines()[-1] == f"rough estimate: {line}"


def test_range_is_said_where_accepted_clusters_matter(capsys: pytest.CaptureFixture[str]) -> None:
    experiments = {"first": config("cluster-only", training={"image_size": 320, "epochs": 400})}
    sweep, _ = small_sweep(1)
    print_estimate(sweep, experiments, {"first": INFO}, lambda: allocation(), clouds=True, local=True)

    printed = capsys.readouterr().out
    # 3600 images are scored, and at most 3000 are trained on for 400 epochs, at 11 TFLOP/s.
    hours = 100 * (3600 * 0.074 + 3000 * 400 * 0.217) / 11_000 / 3600
    assert (
        f"  aws g6.2xlarge (L4, us-west-2): under 0.1 to {hours:.1f} GPU hours, "
        f"under 0.01 to {0.40 * hours:.2f} USD on spot, under 0.01 to {0.98 * hours:.2f} on demand" in printed
    )
    assert printed.endswith(
        "rough estimate: about 5 min (no cluster accepted) to about 72.4 h (all accepted), "
        "about 20 s of it to start the process and the trials\n"
    )


def test_sweep_that_is_over_costs_nothing_more(capsys: pytest.CaptureFixture[str]) -> None:
    sweep, experiments = small_sweep(2)
    states = dict.fromkeys(experiments, "done")
    print_estimate(sweep, experiments, dict.fromkeys(experiments, INFO), lambda: allocation(), states=states)

    assert capsys.readouterr().out.splitlines()[3:] == [
        "tiny: 2 trials, 600 interactions",
        "done: 2; to run: 0; nothing is left to run",
    ]


@pytest.mark.parametrize(
    ("num_left", "lines"),
    [
        (0, ["done: 20; to run: 0; nothing is left to run"]),
        (5, ["done: 15; to run: 5, with 1,500 interactions; the estimates below cover only the trials to run"]),
        (20, []),
    ],
)
def test_search_that_was_started_costs_what_is_left_of_it(
    num_left: int, lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    base, end = config("random"), config("random", seed=1)
    sweep = Sweep(
        name="tiny",
        experiments={},
        num_combinations=0,
        resources=ResourceConfig(),
        tracking=TrackingConfig(),
        search=SearchConfig.model_validate(
            {"algorithm": "optuna", "num_samples": 20, "space": {"training.learning_rate": {"loguniform": [1e-4, 0.1]}}}
        ),
        examples={base.experiment_id: base, end.experiment_id: end},
    )
    infos = {base.experiment_id: INFO, end.experiment_id: INFO}
    print_estimate(sweep, {}, infos, lambda: allocation(), num_left=num_left)

    printed = capsys.readouterr().out.splitlines()
    at = printed.index("tiny: 20 trials chosen by optuna, about 6,000 interactions") + 1
    assert printed[at : at + len(lines)] == lines
    assert ("rough estimate" in printed[-1]) is (num_left > 0)
