"""Tests sweeps that run as jobs on a Ray cluster that outlives them: printed lines, exit codes, live pools, stopping,
cleanup."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from filelock import FileLock
from head_node import Cluster, head_node, wait_for
from mlflow import MlflowClient
from own_plugin import STRATEGIES
from own_plugin import SWEEP as OWN_SWEEP
from sweep_command import give_database

pytestmark = [pytest.mark.xdist_group("ray"), pytest.mark.timeout(1200)]

SWEEP = """
name: small
experiment:
  dataset: {name: digits, train_size: 200, test_size: 100}
  model: {name: mobilenet_v3_small, weights: none}
  scenario: random
  iterations: 3
  interactions_per_iteration: 10
  expert: {purity_threshold: 0.6}
  training: {epochs: 1, batch_size: 16, learning_rate: 0.005, image_size: 32}
grid: {scenario: [cluster+uncertain, random]}
"""

# The patterns of all lines that the log of a job may hold.
LINES = [
    r"[-\d]+ [:\d]+,\d+\tINFO job_manager\.py:\d+ -- Runtime env is setting up\.",
    r"Running entrypoint for job \w+: python -m raycal\.sweep .+",
    r"small: 2 trials, 2 to run",
    r"  folder  /\S+",
    r"  MLflow  sqlite:////\S+",
    r"  images  digits: 10 classes \(0, 1, .+, 9\), 200 train, 100 test",
    r"  running \d trials? at a time, 1 worker each with \d CPU threads?; clustering on \d CPU actors?",
    r"  Ray     connecting, or starting it on this machine",
    r"a line follows for every finished iteration of a trial",
    r"trial [12]/2  digits-\S+-s0-[0-9a-f]{8} +iteration \d/3  interactions \d+  "
    r"(?:annotated \d+|labeled \d+ alone, \d+ in clusters \(this iteration only\))  accuracy [01]\.\d{3}"
    r"(?: \((?:no better than guessing|the training loss has not fallen)(?:, the training loss has not fallen)?\))?  "
    r"best so far [01]\.\d{3}  (about \d+ (s|min) left|all done)",
    r"starting took \d+ (s|min) for (the first trial|each of the first \d trials).*",
    r"sending to MLflow \(up to \d+ s\)",
    r"report  /\S+/small/report/report\.html",
    r" {0,2}warning: .+",
    r" scenario +seeds +iterations +interactions +annotated +cluster label error +test accuracy ",
    r" ─+ ",
    r" cluster\+uncertain +1 +3 +30 +\d+ +(-|\d+\.\d%) +[01]\.\d{3} ",
    r" random +1 +3 +30 +30 +- +[01]\.\d{3} ",
    r"After 30 human interactions, .+\.",
    r"The highest accuracy that at least two strategies reached is [01]\.\d{3}.+\.",
    r"folder  /\S+",
    r"MLflow  sqlite:////\S+",
    r"browse  \S+ -m mlflow ui --backend-store-uri sqlite:////\S+",
    r"        then open http://127\.0\.0\.1:5000/#/\S+",
    r" *",
]

LOOK = """
import json, sys
from raycal import attach
with attach(sys.argv[1]) as pool:
    counts = pool.counts()
    rows = [[row.iteration, row.interaction, str(row.kind), str(row.answer), row.num_samples]
            for row in pool.ledger_tail(10**6)]
    print(json.dumps([counts, rows, pool.counts()]))
"""

HOLD = """
import ray, sys
from ray.util.placement_group import placement_group
ray.init(sys.argv[1], log_to_driver=False)
ray.get(placement_group([{"CPU": 1.9}]).ready())
print("held", flush=True)
sys.stdin.read()
"""

# This script makes one placement group of an actor that outlives its job, and one of a living job, and then calls the
# cleanup.
REMOVE_AMONG_THE_LIVING = """
import ray, sys
from ray.util.placement_group import placement_group
from raycal.distributed.cleanup import remove_leftovers
class Maker:
    def make(self):
        self.group = placement_group([{"CPU": 0.1}])
ray.init(sys.argv[1], namespace="test", log_to_driver=False)
if sys.argv[2] == "first":
    maker = ray.remote(Maker).options(name="maker", lifetime="detached", num_cpus=0).remote()
    ray.get(maker.make.remote())
else:
    group = placement_group([{"CPU": 0.1}])
    ray.get(group.ready())
    print(remove_leftovers(), sum(row["state"] == "CREATED" for row in ray.util.placement_group_table().values()))
    ray.kill(ray.get_actor("maker"))
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with head_node() as node:
        yield node


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The working directory that a job takes along."""
    path = tmp_path / "job"
    path.mkdir()
    (path / "small.yaml").write_text(SWEEP)
    return path


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A storage with an empty MLflow database."""
    give_database(tmp_path / "runs")
    return tmp_path / "runs"


def groups(cluster: Cluster) -> list[dict[str, Any]]:
    return [group for group in cluster.state("placement_groups") if group["state"] != "REMOVED"]


def statuses(storage: Path) -> set[str]:
    client = MlflowClient(f"sqlite:///{storage}/mlflow.db")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return {run.info.status for run in client.search_runs(experiments)}


@pytest.mark.slow
def test_log_of_a_job_holds_the_sweep_and_nothing_else(cluster: Cluster, folder: Path, runs: Path) -> None:
    code = cluster.submit("well", folder, "small.yaml", "--storage", str(runs))
    job = cluster.job("well")
    lines = job["logs"].splitlines()

    assert (code, job["status"], job["driver_exit_code"]) == (0, "SUCCEEDED", 0)
    assert [line for line in lines if not any(re.fullmatch(shape, line) for shape in LINES)] == []
    assert len([line for line in lines if line.startswith("trial ")]) == 6
    assert len([line for line in lines if re.match(" (cluster|random)", line)]) == 2


@pytest.mark.slow
def test_exit_code_of_the_sweep_is_that_of_the_job(cluster: Cluster, folder: Path, tmp_path: Path) -> None:
    (folder / "bad.yaml").write_text(SWEEP.replace("image_size: 32", "image_size: 5"))
    assert cluster.submit("mistaken", folder, "bad.yaml", "--storage", str(tmp_path / "runs")) == 1

    mistaken = cluster.job("mistaken")
    assert (mistaken["status"], mistaken["driver_exit_code"]) == ("FAILED", 2)
    assert "image_size" in mistaken["logs"]
    assert "Traceback" not in mistaken["logs"]


@pytest.mark.slow
def test_plugin_travels_with_a_job_and_what_a_node_lacks_is_said(
    cluster: Cluster, folder: Path, runs: Path, tmp_path: Path
) -> None:
    (folder / "strategies.py").write_text(STRATEGIES)
    (folder / "own.yaml").write_text(OWN_SWEEP.replace("name: own", "name: own\nresources: {cpus_per_worker: 1}"))
    command = [sys.executable, "-m", "raycal.sweep", str(folder / "own.yaml")]
    give_database(tmp_path / "local")
    local = cluster.run(*command, "--local", "--storage", str(tmp_path / "local"))
    assert local.returncode == 0, local.stderr
    code = cluster.submit("own", folder, "own.yaml", "--storage", str(runs))
    assert code == 0, cluster.job("own")["logs"]
    (here,), (there,) = (sorted((tmp_path / name / "own").glob("stripes-*")) for name in ("local", "runs"))
    ledgers = [[path.read_bytes() for path in sorted((run / "ledger").iterdir())] for run in (here, there)]
    recorded = [json.loads((run / "environment.json").read_text())["plugins"] for run in (here, there)]
    assert here.name == there.name
    assert ledgers[0] == ledgers[1]
    assert len(ledgers[0]) == 2
    assert recorded[0] == recorded[1]
    assert recorded[0]["strategies"]["version"] == "1.2"

    site = tmp_path / "site"  # The module in this folder is installed only for the sweep's process.
    site.mkdir()
    (site / "own_kit.py").write_text("VALUE = 1\n")
    env = {"RAY_ADDRESS": cluster.address, "PYTHONPATH": f"{site}:{cluster.env.get('PYTHONPATH', '')}"}
    listed = ["--set", "plugins=[./strategies.py, own_kit]"]
    refused = cluster.run(*command, *listed, "--storage", str(tmp_path / "refused"), **env)
    assert refused.returncode == 2, refused.stderr
    (line,) = refused.stderr.splitlines()
    assert re.fullmatch(
        r"plug-in own_kit: there is no module own_kit in this Python environment; .+ \(on node [\d.]+\)",
        line,
    )
    assert not (tmp_path / "refused" / "own" / "plan.json").exists()

    listed_in = (folder / "own.yaml").read_text().replace("[./strategies.py]", "[./strategies.py, own_kit]")
    (folder / "lacking.yaml").write_text(listed_in)
    doctor = [sys.executable, "-m", "raycal.doctor", str(folder / "lacking.yaml"), "--storage", str(tmp_path / "runs")]
    examined = cluster.run(*doctor, **env)
    assert examined.returncode == 1, examined.stderr
    assert re.search(r"^problem +plug-ins +plug-in own_kit: .+\(on node [\d.]+\)", examined.stdout, re.MULTILINE)
    assert re.search(r"^ok +plug-in +\./strategies\.py: digest [0-9a-f]{12}$", examined.stdout, re.MULTILINE)


@pytest.mark.long
def test_running_job_can_be_looked_at_stopped_and_resumed(cluster: Cluster, folder: Path, tmp_path: Path) -> None:
    storage = tmp_path / "runs"
    options = ["small.yaml", "--set", "iterations=18", "--storage", str(storage)]
    cluster.submit("stopped", folder, *options, wait=False)
    wait_for(lambda: "iteration 1/" in cluster.job("stopped")["logs"], 300)

    printed = cluster.run(sys.executable, "-m", "raycal.pool", RAY_ADDRESS=cluster.address)
    found = re.findall(r"^(digits-\S+)  iteration \d+  interactions \d+  unlabeled", printed.stdout, re.MULTILINE)
    assert found
    experiment_id = found[0]
    looked = cluster.run(sys.executable, "-c", LOOK, experiment_id, RAY_ADDRESS=cluster.address)
    assert looked.returncode == 0, looked.stderr
    before, rows, after = json.loads(looked.stdout)
    assert any(name.startswith("ray::RayTrainWorker") for name in cluster.processes().values())

    cluster.run("ray", "job", "stop", "stopped")
    assert cluster.job("stopped")["status"] == "STOPPED"
    wait_for(lambda: not _living(cluster, "stopped") and not _working(cluster), 60)
    wait_for(lambda: not groups(cluster), 10)
    assert "interrupted; the same command with --resume continues" in cluster.job("stopped")["logs"]
    with FileLock(storage / "small" / ".lock", blocking=False):
        pass
    assert "RUNNING" not in statuses(storage)

    ledger = pd.concat(map(pd.read_parquet, sorted((storage / "small" / experiment_id / "ledger").glob("*"))))
    saved = [
        [row.iteration, row.interaction, row.kind, row.answer, len(row.indices)]
        for row in ledger.itertuples()
        if row.interaction <= len(rows)
    ]
    assert rows == saved
    assert before["interactions"] <= len(rows) <= after["interactions"]
    assert before["unlabeled"] + before["labeled"] + before["cluster_labeled"] == 200

    assert cluster.submit("resumed", folder, *options, "--resume") == 0
    assert statuses(storage) == {"FINISHED"}


def _living(cluster: Cluster, job: str) -> list[str]:
    """The classes of a job's living actors; Train's actors that outlive a killed job are ended by the next sweep."""
    number = cluster.job(job)["job_id"]
    actors = [actor for actor in cluster.state("actors") if actor["job_id"] == number and not actor["is_detached"]]
    return [actor["class_name"] for actor in actors if actor["state"] != "DEAD"]


def _working(cluster: Cluster) -> list[str]:
    """The names of the processes that work for a sweep."""
    ours = re.compile("ray::(RayTrainWorker|TrainController|LivePools|ClusteringService|Mailbox|ExperimentTrial)")
    return [name for name in cluster.processes().values() if ours.match(name)]


@pytest.mark.slow
def test_placement_groups_of_the_living_stay(cluster: Cluster) -> None:
    for turn in ("first", "second"):
        done = cluster.run(sys.executable, "-c", REMOVE_AMONG_THE_LIVING, cluster.address, turn)
        assert done.returncode == 0, done.stderr
    assert done.stdout == "0 2\n"


@pytest.mark.long
def test_what_a_job_left_that_was_killed_while_it_waited_for_room_is_freed(
    cluster: Cluster, folder: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "raycal.sweep", str(folder / "small.yaml"), "--storage", str(tmp_path / "runs")]
    env = cluster.env | {"RAY_ADDRESS": cluster.address}
    hold = [sys.executable, "-c", HOLD, cluster.address]
    with subprocess.Popen(hold, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL) as sweep:
            wait_for(lambda: any(group["state"] == "PENDING" for group in groups(cluster)), 300, every=0.1)
            sweep.kill()
        time.sleep(10)  # This gives Ray the time to end the processes that it knows of.
        holder.communicate("")
    wait_for(lambda: all(group["creator_job_id"] in _finished(cluster) for group in groups(cluster)), 30)
    left = len(groups(cluster))

    done = cluster.run(*command, "--resume", "--only", "*-random-*", RAY_ADDRESS=cluster.address)
    assert done.returncode == 0, done.stderr
    assert re.findall(r"freed (\d) placement groups? that killed jobs had left", done.stdout) == [str(left)] * (
        left > 0
    )
    assert groups(cluster) == []
    assert not any("PlacementGroupCleaner" in name for name in cluster.processes().values())


def _finished(cluster: Cluster) -> set[str]:
    return {job["job_id"] for job in cluster.get("jobs/") if job["status"] not in ("RUNNING", "PENDING")}


@pytest.mark.slow
@pytest.mark.parametrize(
    "env", [{"RAY_AUTH_MODE": "disabled"}, {"RAY_AUTH_TOKEN": "0" * 36}, {"HOME": "/nonexistent"}], ids=str
)
def test_cluster_that_does_not_let_us_in_is_refused_in_a_line(
    cluster: Cluster, folder: Path, tmp_path: Path, env: dict[str, str]
) -> None:
    command = [sys.executable, "-m", "raycal.sweep", str(folder / "small.yaml"), "--storage", str(tmp_path / "runs")]
    done = cluster.run(*command, RAY_ADDRESS=cluster.address, **env)

    assert done.returncode == 2
    assert re.fullmatch(r"the Ray cluster at \S+ needs RAY_AUTH_MODE=token here, .*\n", done.stderr)
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_cluster_of_another_version_is_refused_in_a_line(cluster: Cluster, folder: Path, tmp_path: Path) -> None:
    older = "import sys, ray; ray.__version__ = '2.59.0'; from raycal.sweep.__main__ import run; run()"
    command = [sys.executable, "-c", older, str(folder / "small.yaml"), "--storage", str(tmp_path / "runs")]
    done = cluster.run(*command, RAY_ADDRESS=cluster.address)

    assert done.returncode == 2
    assert re.fullmatch(r"no connection to the Ray cluster at .*Ray: 2\.60\.0 .*Ray: 2\.59\.0 .*\n", done.stderr)
