"""Runs the four commands of on_premises.yaml as a user would, on three simulated machines without containers."""

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from machines import NODES, ROOT, Machines, why_not

FILE = ROOT / "cluster_configs/on_premises.yaml"
NAME = "cluster_configs/on_premises.yaml"
# The environment variables that the image and Docker's options set on a real cluster.
IMAGE = f"export RAY_AUTH_MODE=token RAYCAL_CACHE=/home/ray/.cache/raycal PYTHONPATH={ROOT}\n"
SWEEP = "sweeps/quickstart.yaml --set iterations=2 --set training.steps=40"

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(1500)]


def commands() -> dict[str, list[str]]:
    """The commands in the header of the file, under the keys `up`, `submit`, `watch` and `down`."""
    found: dict[str, list[str]] = {}
    key = ""
    for line in FILE.read_text().splitlines():
        if match := re.match(r"#   (up|submit|watch|down) +(.*)", line):
            key = match[1]
        elif not line.startswith("#      "):
            key = ""
        if key:
            found.setdefault(key, []).append(match[2] if match else line.lstrip("# "))
    return found


def filled_in() -> str:
    """The file, changed only for machines without Docker that share the memory of this one."""
    text = FILE.read_text().replace("YOUR_HEAD_IP", NODES["node1"]).replace("YOUR_USER", "ray")
    text = text.replace("YOUR_WORKER_IP_1", NODES["node2"]).replace("YOUR_WORKER_IP_2", NODES["node3"])
    config: dict[str, Any] = yaml.safe_load(text)
    del config["docker"]
    for kind, options in {"head": "", "worker": " --num-cpus=2 --num-gpus=0"}.items():
        start = config[f"{kind}_start_ray_commands"]
        start[-1] += f"{options} --object-store-memory=300000000"
    return yaml.safe_dump(config)


@pytest.fixture
def machines() -> Iterator[Machines]:
    reason = why_not()
    if reason:
        pytest.skip(f"simulated machines: {reason}")
    with Machines(IMAGE) as machines:
        machines.replace(FILE, filled_in())
        yield machines


def until(condition: Callable[[], str], expected: str, seconds: float = 180) -> str:
    """Repeat a command until its output contains the expected text, and return the output."""
    end = time.monotonic() + seconds
    while expected not in (said := condition()):
        assert time.monotonic() < end, said
        time.sleep(1)
    return said


def left(machines: Machines) -> str:
    """The processes of the user on all nodes, without the processes that make this list."""
    return "".join(machines.on(node, "ps -u ray -o args= | grep -Ev '^(sshd|bash|ps|grep)' || true") for node in NODES)


def test_up_submit_watch_down(machines: Machines) -> None:
    given = commands()
    machines.run("ray get-auth-token --generate > /dev/null")
    (up,) = given["up"]
    assert "Useful commands" in machines.run(up)
    on_head = f"ray exec {NAME} "
    # Both workers have joined with two CPUs each; the head has no CPU.
    until(lambda: machines.run(on_head + "'ray status'", check=False), "/4.0 CPU")

    dashboard, submit = given["submit"]
    tunnel = machines.start(dashboard.partition(" &")[0])
    until(lambda: machines.run("ray job list --address http://127.0.0.1:8265", check=False), "[]")
    without_token = machines.run("RAY_AUTH_MODE=disabled ray job list --address http://127.0.0.1:8265", check=False)
    assert "no authentication token was found" in without_token
    job = machines.start(submit.replace("sweeps/paper_cifar10.yaml", SWEEP))
    until(lambda: machines.run(on_head + "'python -m raycal.pool'", check=False), "unlabeled", 300)
    said, _ = job.communicate(timeout=600)
    assert job.returncode == 0, said
    assert "quickstart: 6 trials, 6 to run" in said
    assert "running 4 trials at a time, 1 worker each with 1 CPU thread" in said
    runs = machines.folder / "shared/runs/quickstart"
    assert len(list(runs.glob("digits-*/results.jsonl"))) == 6
    trained = [node for node in NODES if (machines.folder / node / "home/ray/.cache/raycal").exists()]
    assert trained == ["node2", "node3"]

    (watch,) = given["watch"]
    served = machines.start(watch)
    until(lambda: machines.run("curl --silent http://127.0.0.1:5000/health", check=False), "OK")
    search = "curl --silent --json '{\"max_results\": 10}' http://127.0.0.1:5000/api/2.0/mlflow/experiments/search"
    assert '"name": "quickstart"' in machines.run(search)
    for process in (served, tunnel):  # This signal is what Ctrl-C sends.
        os.killpg(process.pid, signal.SIGINT)
        process.wait(60)

    (down,) = given["down"]
    assert "No nodes remaining." in machines.run(down)
    for node in ("node2", "node3"):  # `ray down` stops Docker on every node, but stops Ray itself only on the head
        machines.on(node, "ray stop")
    assert left(machines) == ""
    states = runs.glob("digits-*/state/finished.json")
    assert len(list(states)) == 6  # The results outlive the cluster.
