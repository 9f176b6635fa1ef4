from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_iterations import experiment

from raycal.algorithm.records import (
    Answer,
    Evaluation,
    Interaction,
    IterationResult,
    Kind,
    PhaseSeconds,
    PoolSnapshot,
)
from raycal.config import ExperimentConfig
from raycal.config.labels import scenario_names, varied_keys
from raycal.monitor.summary import print_failures, print_summary
from raycal.report.runs import read_runs
from raycal.report.stats.group_summary import group_summary
from raycal.storage.folder import Folder
from raycal.storage.run_writer import RunWriter
from raycal.storage.sweep_dir import SweepDir, SweepPlan


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the terminal so wide that no cell is broken."""
    monkeypatch.setenv("COLUMNS", "250")


@pytest.fixture
def sweep_dir(tmp_path: Path) -> SweepDir:
    return SweepDir(Folder.at(str(tmp_path / "tiny")))


def by_id(*experiments: ExperimentConfig) -> dict[str, ExperimentConfig]:
    return {config.experiment_id: config for config in experiments}


def finish(
    sweep_dir: SweepDir,
    config: ExperimentConfig,
    *,
    accuracy: float,
    wrong: int | None = None,
    accepted_in: int = 1,
) -> None:
    """Record an experiment of two iterations and 2,000 interactions. It has one cluster of ten images, of which `wrong`
    have a wrong label."""
    run_dir = RunWriter.of(sweep_dir, config.experiment_id)
    run_dir.begin(config)
    cluster = Interaction(
        iteration=accepted_in,
        step=0,
        interaction=1000 * (accepted_in + 1),
        kind=Kind.CLUSTER,
        answer=Answer.LABELED,
        label=0,
        purity=0.9,
        wrong=wrong,
        seconds=1.0,
        indices=np.arange(10),
    )
    for iteration, last in enumerate((0.125, accuracy)):
        run_dir.commit(
            IterationResult(
                iteration=iteration,
                interactions=1000 * (iteration + 1),
                human_seconds=0.0,
                ledger=(cluster,) if wrong is not None and iteration == accepted_in else (),
                pool=PoolSnapshot(status=np.ones(1500, np.int8), labels=np.zeros(1500, np.int32)),
                evaluation=Evaluation(accuracy=last, loss=1.0),
                seconds=PhaseSeconds(predict=0, cluster=0, train=0, evaluate=0),
            ),
            b"model",
        )
    run_dir.finish("iterations")


def table(capsys: pytest.CaptureFixture[str]) -> list[list[str]]:
    """The cells of the printed table, header first; columns are separated by two or more blanks."""
    lines = [line for line in capsys.readouterr().out.splitlines() if line.strip(" ─━-")]
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in lines]


def summary(
    sweep_dir: SweepDir, experiments: Mapping[str, ExperimentConfig], capsys: pytest.CaptureFixture[str]
) -> list[list[str]]:
    print_summary(sweep_dir, experiments)
    return table(capsys)


def test_seeds_are_one_row_with_their_mean_and_spread(sweep_dir: SweepDir, capsys: pytest.CaptureFixture[str]) -> None:
    seeds = [experiment(seed=seed) for seed in range(3)]
    for config, accuracy in zip(seeds, (0.7, 0.8, 0.9), strict=True):
        finish(sweep_dir, config, accuracy=accuracy)

    assert summary(sweep_dir, by_id(*seeds), capsys) == [
        ["scenario", "seeds", "iterations", "interactions", "annotated", "cluster label error", "test accuracy"],
        ["random", "3", "2", "2,000", "1,500", "-", "0.800 ± 0.100"],
    ]


def test_one_seed_has_no_spread(sweep_dir: SweepDir, capsys: pytest.CaptureFixture[str]) -> None:
    finish(sweep_dir, experiment(), accuracy=0.75)

    assert summary(sweep_dir, by_id(experiment()), capsys)[1:] == [["random", "1", "2", "2,000", "1,500", "-", "0.750"]]


def test_label_error_is_the_mean_where_it_is_defined(sweep_dir: SweepDir, capsys: pytest.CaptureFixture[str]) -> None:
    seeds = [experiment(scenario="cluster-only", seed=seed) for seed in range(3)]
    for config, wrong in zip(seeds, (1, 2, None), strict=True):
        finish(sweep_dir, config, accuracy=0.75, wrong=wrong)

    assert summary(sweep_dir, by_id(*seeds), capsys)[1][5] == "15.0%"


def test_label_error_is_that_of_the_last_iteration_with_one_as_in_the_report(
    sweep_dir: SweepDir, capsys: pytest.CaptureFixture[str]
) -> None:
    config = experiment(scenario="cluster-only")
    finish(sweep_dir, config, accuracy=0.75, wrong=2)
    other = experiment(scenario="cluster-only", seed=1)
    finish(sweep_dir, other, accuracy=0.75, wrong=4, accepted_in=0)
    sweep_dir.write_plan(SweepPlan(sweep="tiny", experiments=by_id(config, other), threads=1))

    printed = summary(sweep_dir, by_id(config, other), capsys)[1][5]

    (group,) = read_runs(sweep_dir.folder.uri).groups
    reported = group_summary(group, None).cluster_label_error
    assert reported is not None
    assert (reported.n, reported.mean) == (2, pytest.approx(0.3))
    assert printed == "30.0%"


def test_settings_that_differ_are_columns(sweep_dir: SweepDir, capsys: pytest.CaptureFixture[str]) -> None:
    configs = [
        experiment(scenario=scenario, expert={"purity_threshold": purity}, seed=seed)
        for scenario in ("cluster-only", "uncertain+cluster")
        for purity in (0.7, 0.8)
        for seed in (0, 1)
    ]
    for number, config in enumerate(configs):
        finish(sweep_dir, config, accuracy=number / 10)

    head, *rows = summary(sweep_dir, by_id(*configs), capsys)

    assert head[:3] == ["scenario", "purity_threshold", "seeds"]
    assert [(*row[:3], row[-1]) for row in rows] == [
        ("cluster-only", "0.7", "2", "0.050 ± 0.071"),
        ("cluster-only", "0.8", "2", "0.250 ± 0.071"),
        ("uncertain+cluster", "0.7", "2", "0.450 ± 0.071"),
        ("uncertain+cluster", "0.8", "2", "0.650 ± 0.071"),
    ]


def test_settings_that_do_not_fit_are_said_with_the_scenario(
    sweep_dir: SweepDir, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    variants: list[dict[str, Any]] = [
        {},
        {"clustering": {"core": 0.8}},
        {"clustering": {"order": "value", "num_clusters": 10}},
        {"clustering": {"on_refusal": "split"}, "acquisition": {"name": "bald", "passes": 5}},
        {"training": {"momentum": 0.8, "weight_decay": 0.01, "image_size": 48}},
    ]
    configs = [
        experiment(scenario="uncertain+cluster", seed=seed, **variant) for variant in variants for seed in (0, 1)
    ]
    for config in configs:
        finish(sweep_dir, config, accuracy=0.5)

    head, *rows = summary(sweep_dir, by_id(*configs), capsys)

    assert head[:2] == ["scenario", "seeds"]
    assert [row[0] for row in rows] == [
        "uncertain+cluster",
        "uncertain+cluster (core 0.8)",
        "uncertain+cluster (num clusters 10, order value)",
        "uncertain+cluster (acquisition bald, on refusal split)",
        "uncertain+cluster (momentum 0.8, weight decay 0.01, image size 48)",
    ]
    assert {row[-1] for row in rows} == {"0.500 ± 0.000"}


def test_option_that_only_some_have_is_a_column_where_it_differs_among_those(
    sweep_dir: SweepDir, capsys: pytest.CaptureFixture[str]
) -> None:
    one = [experiment(scenario="uncertain-only", acquisition=name) for name in ("entropy", "margin", "bald")]
    more = experiment(scenario="uncertain-only", acquisition={"name": "bald", "passes": 5})
    for config in (*one, more):
        finish(sweep_dir, config, accuracy=0.5)

    assert varied_keys(one) == ["scenario", "acquisition.name"]
    assert [row[1] for row in summary(sweep_dir, by_id(*one), capsys)[1:]] == ["entropy", "margin", "bald"]
    head, *rows = summary(sweep_dir, by_id(*one, more), capsys)
    assert head[:4] == ["scenario", "acquisition", "passes", "seeds"]
    assert [row[1:3] for row in rows] == [["entropy", "-"], ["margin", "-"], ["bald", "20"], ["bald", "5"]]


def test_own_scenario_is_named(sweep_dir: SweepDir, capsys: pytest.CaptureFixture[str]) -> None:
    own = {"name": "thirds", "steps": [{"ask": "random", "share": "1/3"}, {"ask": "clusters", "share": "2/3"}]}
    configs = [experiment(), experiment(scenario=own)]
    for config in configs:
        finish(sweep_dir, config, accuracy=0.5)

    rows = summary(sweep_dir, by_id(*configs), capsys)[1:]

    assert [row[0] for row in rows] == ["random", "thirds"]


def test_columns_have_different_names(sweep_dir: SweepDir, capsys: pytest.CaptureFixture[str]) -> None:
    configs = [
        experiment(dataset=dataset, iterations=iterations, clustering={"iterations": rounds}, scenario="cluster-only")
        for dataset in ("digits", "eurosat")
        for iterations in (2, 3)
        for rounds in (10, 20)
    ]
    for config in configs:
        finish(sweep_dir, config, accuracy=0.5)

    head = summary(sweep_dir, by_id(*configs), capsys)[0]

    assert len(set(head)) == len(head)
    assert any("dataset" in name for name in head)


def test_value_in_brackets_is_printed_as_it_is(sweep_dir: SweepDir, capsys: pytest.CaptureFixture[str]) -> None:
    configs = [experiment(dataset={"name": "image_folder", "root": root}) for root in ("/a[red]b", "/a[blue]b")]
    for config in configs:
        finish(sweep_dir, config, accuracy=0.5)

    rows = summary(sweep_dir, by_id(*configs), capsys)[1:]

    assert [row[1] for row in rows] == ["/a[red]b", "/a[blue]b"]


def test_unfinished_experiments_are_not_in_the_table(sweep_dir: SweepDir, capsys: pytest.CaptureFixture[str]) -> None:
    done, begun = experiment(seed=0), experiment(seed=1)
    finish(sweep_dir, done, accuracy=0.5)
    RunWriter.of(sweep_dir, begun.experiment_id).begin(begun)

    assert [row[1] for row in summary(sweep_dir, by_id(done, begun), capsys)] == ["seeds", "1"]


def test_stopped_trials_are_counted_below_the_table(sweep_dir: SweepDir, capsys: pytest.CaptureFixture[str]) -> None:
    configs = [experiment(seed=seed) for seed in range(3)]
    finish(sweep_dir, configs[0], accuracy=0.5)
    for config in configs[1:]:
        RunWriter.of(sweep_dir, config.experiment_id).begin(config)
        RunWriter.of(sweep_dir, config.experiment_id).stop("asha")

    *rows, last = summary(sweep_dir, by_id(*configs), capsys)

    assert [row[1] for row in rows] == ["seeds", "1"]
    assert last == ["2 trials were stopped early by asha and are not in the table"]


def test_one_stopped_trial_is_said_without_a_table(sweep_dir: SweepDir, capsys: pytest.CaptureFixture[str]) -> None:
    RunWriter.of(sweep_dir, experiment().experiment_id).stop("asha")
    print_summary(sweep_dir, by_id(experiment()))

    assert capsys.readouterr().out == "1 trial was stopped early by asha and is not in the table\n"


def test_no_table_before_anything_is_finished(sweep_dir: SweepDir, capsys: pytest.CaptureFixture[str]) -> None:
    print_summary(sweep_dir, by_id(experiment()))

    assert capsys.readouterr().out == ""


def test_scenarios_of_one_name_are_told_apart_by_their_steps() -> None:
    own = [
        {"name": "mix", "steps": [{"ask": "clusters", "share": share}, {"ask": "random", "share": rest}]}
        for share, rest in (("1/4", "3/4"), ("1/2", "1/2"))
    ]
    configs = [experiment(scenario=scenario, seed=seed) for scenario in ("random", *own) for seed in (0, 1)]

    assert scenario_names(configs)[::2] == [
        "random",
        "mix (1/4 clusters, 3/4 random)",
        "mix (1/2 clusters, 1/2 random)",
    ]
    assert scenario_names(configs[:4])[2:] == ["mix", "mix"]


def test_varied_keys_leave_out_seeds_and_what_is_the_same() -> None:
    configs = [
        experiment(seed=seed, training={"epochs": epochs}, clustering={"num_clusters": k})
        for seed in (0, 1)
        for epochs in (1, 2)
        for k in (None, 20)
    ]

    assert varied_keys(configs) == ["scenario", "clustering.num_clusters", "training.epochs"]
    assert varied_keys(configs[:1]) == ["scenario"]


class TestFailures:
    def test_failure_tells_id_phase_message_and_folder(
        self, sweep_dir: SweepDir, capsys: pytest.CaptureFixture[str]
    ) -> None:
        config = experiment()
        run_dir = RunWriter.of(sweep_dir, config.experiment_id)
        run_dir.fail("iteration 3: ValueError: Traceback (most recent call last):\n  File ...\nValueError: a reason\n")
        print_failures(sweep_dir, by_id(config))

        assert [line.strip() for line in capsys.readouterr().out.splitlines()] == [
            f"failed  {config.experiment_id}",
            "iteration 3: ValueError: Traceback (most recent call last):",
            "ValueError: a reason",
            run_dir.folder.path,
        ]

    def test_message_of_one_line_is_printed_once(self, sweep_dir: SweepDir, capsys: pytest.CaptureFixture[str]) -> None:
        config = experiment()
        RunWriter.of(sweep_dir, config.experiment_id).fail("loading the dataset: InputError: digits: too few images\n")
        print_failures(sweep_dir, by_id(config))

        assert capsys.readouterr().out.count("loading the dataset: InputError: digits: too few images") == 1

    @pytest.mark.parametrize("record", [None, ""])
    def test_trial_without_a_record_is_told_too(
        self, sweep_dir: SweepDir, capsys: pytest.CaptureFixture[str], record: str | None
    ) -> None:
        config = experiment()
        if record is not None:
            RunWriter.of(sweep_dir, config.experiment_id).fail(record)
        print_failures(sweep_dir, by_id(config))

        printed = capsys.readouterr().out
        assert f"failed  {config.experiment_id}" in printed
        assert "did not finish" in printed

    def test_every_failure_is_listed(self, sweep_dir: SweepDir, capsys: pytest.CaptureFixture[str]) -> None:
        configs = by_id(*(experiment(seed=seed) for seed in range(3)))
        print_failures(sweep_dir, configs)

        printed = capsys.readouterr().out.splitlines()
        assert [line.split()[1] for line in printed if line.startswith("failed")] == list(configs)
        print_failures(sweep_dir, {})
        assert capsys.readouterr().out == ""


def test_trials_that_read_different_data_are_apart(sweep_dir: SweepDir, capsys: pytest.CaptureFixture[str]) -> None:
    for seed, images in enumerate(("before", "after", "after")):
        finish(sweep_dir, experiment(seed=seed), accuracy=0.5 + seed / 10)
        sizes = {"num_train": 3, "num_test": 1, "num_listed": 4}
        environment = {"dataset": {"digest": images, "images": images, "listing": "same", **sizes}}
        RunWriter.of(sweep_dir, experiment(seed=seed).experiment_id).write_environment(environment)

    print_summary(sweep_dir, by_id(*(experiment(seed=seed) for seed in range(3))))
    first, *lines = capsys.readouterr().out.splitlines()
    assert (
        first
        == "trials read different images, labels or weights, and no mean is taken over different data: see column data"
    )
    rows = [line.split() for line in lines if "random" in line]
    assert [(*row[:4], row[-1] if row[3] == "1" else row[-3]) for row in rows] == [
        ("random", "data", "1", "1", "0.500"),
        ("random", "data", "2", "2", "0.650"),
    ]


def planned(sweep_dir: SweepDir, *experiments: ExperimentConfig, removed: tuple[str, ...] = ()) -> None:
    sweep_dir.write_plan(SweepPlan(sweep="tiny", experiments=by_id(*experiments), threads=1, removed=removed))


class TestExtendedSweep:
    """Tests a sweep that first had the threshold 0.7 and two seeds. A later start kept one of the seeds and added the
    threshold 0.9."""

    @pytest.fixture
    def asked(self, sweep_dir: SweepDir) -> dict[str, ExperimentConfig]:
        low, high = ({"scenario": "cluster-only", "expert": {"purity_threshold": value}} for value in (0.7, 0.9))
        randoms = [experiment(seed=seed, expert={"purity_threshold": 0.7}) for seed in (0, 1)]
        clusters = [*(experiment(seed=seed, **low) for seed in (0, 1)), experiment(**high)]
        gone = (randoms[1].experiment_id, clusters[1].experiment_id)
        planned(sweep_dir, *randoms, *clusters, removed=gone)
        for config in (*randoms, *clusters):
            finish(sweep_dir, config, accuracy=0.5 + config.seed / 10)
        return {key: config for key, config in by_id(*randoms, *clusters).items() if key not in gone}

    def test_setting_that_cannot_affect_a_scenario_is_not_shown_for_it(
        self, sweep_dir: SweepDir, asked: dict[str, ExperimentConfig], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert [row[:3] + row[-1:] for row in summary(sweep_dir, asked, capsys)[:4]] == [
            ["scenario", "purity_threshold", "seeds", "test accuracy"],
            ["random", "-", "1", "0.500"],
            ["cluster-only", "0.7", "1", "0.500"],
            ["cluster-only", "0.9", "1", "0.500"],
        ]

    def test_one_line_says_what_the_table_leaves_out(
        self, sweep_dir: SweepDir, asked: dict[str, ExperimentConfig], capsys: pytest.CaptureFixture[str]
    ) -> None:
        print_summary(sweep_dir, asked)
        assert capsys.readouterr().out.splitlines()[-1] == (
            "finished but not in this table: 2 trials no longer in the sweep file; the report has them"
        )
        (first, *_) = asked
        print_summary(sweep_dir, {first: asked[first]})
        assert capsys.readouterr().out.splitlines()[-1] == (
            "finished but not in this table: 2 trials no longer in the sweep file and 2 trials that --only leaves out; "
            "the report has them"
        )

    def test_nothing_is_said_where_the_table_has_all(
        self, sweep_dir: SweepDir, asked: dict[str, ExperimentConfig], capsys: pytest.CaptureFixture[str]
    ) -> None:
        plan = sweep_dir.read_plan()
        assert plan is not None
        print_summary(sweep_dir, plan.experiments)
        assert "not in this table" not in capsys.readouterr().out

    def test_groups_have_the_names_of_a_sweep_that_had_all_values_at_once(
        self, sweep_dir: SweepDir, asked: dict[str, ExperimentConfig]
    ) -> None:
        assert [group.label for group in read_runs(sweep_dir.folder).groups] == [
            "random",
            "cluster-only (purity threshold 0.7)",
            "cluster-only (purity threshold 0.9)",
        ]
