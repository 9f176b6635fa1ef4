"""Tests whole sweeps on Ray, started as a user starts them."""

import signal
from pathlib import Path

import psutil
import pytest
from sweep_command import SWEEP, log_of, outcome, run, run_here, started, statuses, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray"), pytest.mark.timeout(900)]


def test_ray_equals_local_and_a_failed_trial_leaves_its_neighbor_alone(tmp_path: Path) -> None:
    sweep = tmp_path / "small.yaml"
    sweep.write_text(SWEEP + "grid: {training.learning_rate: [1e18, 0.005]}\n")
    code_here = run_here(sweep, tmp_path / "here")
    code_ray, output = run(sweep, tmp_path / "ray")

    assert (code_here, code_ray) == (1, 1)
    assert output.count("\nfailed  digits-uncertain+cluster-s0-") == 1
    assert "training diverged" in output
    assert "Traceback" not in output
    here, ray = outcome(tmp_path / "here"), outcome(tmp_path / "ray")
    assert here == ray
    assert sorted(len(lines) for _, lines in ray.values()) == [0, 3]
    expected = {"sweep": ["FAILED"], "trial": ["FAILED", "FINISHED"]}
    assert (statuses(tmp_path / "here"), statuses(tmp_path / "ray")) == (expected, expected)


def test_interrupted_sweep_leaves_nothing_running_and_resumes_to_the_same_result(tmp_path: Path) -> None:
    sweep, storage = tmp_path / "small.yaml", tmp_path / "ray"
    sweep.write_text(SWEEP + "grid: {scenario: [cluster+uncertain, random]}\n")
    with started(sweep, storage) as process:
        wait_until(lambda: "iteration 1/3" in log_of(storage).read_text())
        family = psutil.Process(process.pid).children(recursive=True)
        assert any("raylet" in member.name() for member in family)
        process.send_signal(signal.SIGINT)
        assert process.wait(120) == 130
    _, alive = psutil.wait_procs(family, timeout=60)

    output = log_of(storage).read_text()
    assert "--resume continues" in output
    assert "Traceback" not in output
    assert [member.cmdline() for member in alive if member.status() != psutil.STATUS_ZOMBIE] == []
    assert "RUNNING" not in str(statuses(storage))

    assert run(sweep, storage, "--resume")[0] == 0
    assert run_here(sweep, tmp_path / "here") == 0
    assert outcome(storage) == outcome(tmp_path / "here")
    assert statuses(storage) == {"sweep": ["FINISHED"], "trial": ["FINISHED", "FINISHED"]}
