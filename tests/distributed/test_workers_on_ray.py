"""Tests sweeps whose trials have two workers each, started as a user starts them."""

import json
import signal
from pathlib import Path

import pytest
from sweep_command import SWEEP, log_of, outcome, run, started, statuses, wait_until

from raycal.config import load_sweep
from raycal.experiment.build import REGISTRIES

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

ONE_WORKER = SWEEP + "grid: {scenario: [uncertain+cluster, random]}\n"


def test_sweep_with_two_workers_gives_the_same_again_though_it_was_interrupted(tmp_path: Path) -> None:
    sweep = tmp_path / "small.yaml"
    sweep.write_text(ONE_WORKER + "resources: {workers_per_trial: 2, cpus_per_worker: 1}\n")
    code, output = run(sweep, tmp_path / "whole")
    assert code == 0, output
    assert "running 1 trial at a time, 2 workers each with 1 CPU thread;" in output

    broken = tmp_path / "broken"
    with started(sweep, broken) as process:
        wait_until(lambda: "iteration 1/3" in log_of(broken).read_text())
        process.send_signal(signal.SIGINT)
        assert process.wait(120) == 130
    assert run(sweep, broken, "--resume")[0] == 0

    assert outcome(broken) == outcome(tmp_path / "whole")
    assert [len(lines) for _, lines in outcome(broken).values()] == [3, 3]
    assert statuses(broken) == {"sweep": ["FINISHED"], "trial": ["FINISHED", "FINISHED"]}
    for experiment_id in outcome(broken):
        environment = json.loads((broken / "small" / experiment_id / "environment.json").read_text())
        assert environment["workers"] == 2
    one_worker = tmp_path / "one.yaml"
    one_worker.write_text(ONE_WORKER)
    assert not outcome(broken).keys() & load_sweep(str(one_worker), REGISTRIES).experiments.keys()
