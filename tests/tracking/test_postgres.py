"""Tests the server of `cluster_configs/mlflow/compose.yaml`, without the containers, with many sweeps that are sent to
it at once."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import yaml
from mlflow import MlflowClient
from mlflow.entities import Run
from run_folders import CONFIGS, commit
from sweep_command import SWEEP, start

from raycal.storage.folder import Folder
from raycal.storage.run_writer import RunWriter
from raycal.storage.sweep_dir import SweepDir, SweepPlan
from raycal.tracking.find_runs import find_runs
from raycal.tracking.tags import EXPERIMENT_ID, FOLDER, KIND

COMPOSE = Path(__file__).parents[2] / "cluster_configs/mlflow/compose.yaml"
INITDB = max(Path("/usr/lib/postgresql").glob("*/bin/initdb"), default=None)
ITERATIONS, AT_ONCE = 12, 16

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(900)]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def wait_for(port: int, path: str) -> None:
    end = time.monotonic() + 180
    while time.monotonic() < end:
        try:
            if urlopen(f"http://127.0.0.1:{port}{path}", timeout=5).status == 200:
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError("the server does not answer")


@pytest.fixture(scope="module")
def database() -> Iterator[tuple[int, Path]]:
    """Run PostgreSQL as in the compose file; yield its port and the file with its password."""
    if INITDB is None:
        pytest.skip("PostgreSQL's programs are not in /usr/lib/postgresql")
    pytest.importorskip("psycopg2")
    folder, port = Path(tempfile.mkdtemp(prefix="raycal-postgres-", dir="/tmp")), free_port()
    as_user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    if as_user:  # PostgreSQL refuses to run as root.
        shutil.chown(folder, 65534, 65534)
    password = folder / "password"
    password.write_text("0123456789abcdef\n")
    password.chmod(0o644)
    own = f"--pgdata={folder}/data --username=mlflow --auth=scram-sha-256 --pwfile={password}".split()
    subprocess.run([*as_user, INITDB, *own], check=True, capture_output=True, cwd=folder)
    command = [*as_user, INITDB.with_name("postgres"), "-D", folder / "data", "-k", folder, "-h", "127.0.0.1"]
    with open(folder / "log", "wb") as log:
        server = subprocess.Popen([*command, "-p", str(port)], stdout=log, stderr=log, cwd=folder)
    environment = os.environ | {"PGPASSWORD": password.read_text().strip()}
    create = [INITDB.with_name("createdb"), "--host=127.0.0.1", f"--port={port}", "--username=mlflow", "mlflow"]
    try:
        ready = [INITDB.with_name("pg_isready"), "--host=127.0.0.1", f"--port={port}", "--username=mlflow"]
        end = time.monotonic() + 60
        while subprocess.run(ready, capture_output=True).returncode:
            assert time.monotonic() < end, (folder / "log").read_text()
            time.sleep(0.1)
        subprocess.run(create, check=True, env=environment)
        yield port, password
    finally:
        server.send_signal(signal.SIGINT)  # SIGINT ends the server without waiting for its clients
        server.wait(60)
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def uri(database: tuple[int, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URI of an MLflow server that is started by the command in the compose file."""
    (database_port, password), port, folder = database, free_port(), tmp_path_factory.mktemp("mlflow-server")
    shell, option, script = yaml.safe_load(COMPOSE.read_text())["services"]["mlflow"]["command"]
    for old, new in {
        "$$": "$",
        "/run/secrets/password": str(password),
        "@postgres/": f"@127.0.0.1:{database_port}/",
        "--host 0.0.0.0": "--host 127.0.0.1",
        "--port 5000": f"--port {port}",
        ":5000": f":{port}",
        " /artifacts": f" {folder}/artifacts",
    }.items():
        assert old in script
        script = script.replace(old, new)
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    with open(folder / "log", "wb") as log:
        server = subprocess.Popen(
            [shell, option, script], stdout=log, stderr=log, cwd=folder, env=environment, start_new_session=True
        )
    try:
        wait_for(port, "/health")
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def finished_sweep(storage: Path, name: str) -> SweepDir:
    """The folder of a sweep with two finished trials."""
    sweep_dir = SweepDir(Folder.at(str(storage / name)))
    sweep_dir.write_plan(SweepPlan(sweep=name, experiments={c.experiment_id: c for c in CONFIGS}, threads=1))
    for config in CONFIGS:
        for iteration in range(ITERATIONS):
            commit(sweep_dir, iteration, config)
        RunWriter.of(sweep_dir, config.experiment_id).write_montage(0, b"picture")
        RunWriter.of(sweep_dir, config.experiment_id).finish("iterations")
    return sweep_dir


def assert_is_whole(client: MlflowClient, name: str, sweep_dir: SweepDir) -> None:
    """Check that MLflow has one finished run of the sweep and of each trial, with every recorded value once."""
    experiment = client.get_experiment_by_name(name)
    assert experiment is not None
    runs = find_runs(client, experiment.experiment_id)
    (parent,) = (run for run in runs if run.data.tags.get(FOLDER) == sweep_dir.folder.uri)
    assert (parent.data.tags[KIND], parent.info.status) == ("sweep", "FINISHED")
    trials = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    plan = sweep_dir.read_plan()
    assert plan is not None
    assert sorted(run.data.tags[EXPERIMENT_ID] for run in trials) == sorted(plan.experiments)
    for run in trials:
        assert run.info.status == "FINISHED"
        assert metrics(client, run) == recorded(sweep_dir, run.data.tags[EXPERIMENT_ID])
        assert {file.path for file in client.list_artifacts(run.info.run_id)} >= {"results.jsonl", "ledger.parquet"}


def metrics(client: MlflowClient, run: Run) -> dict[str, list[tuple[int, float]]]:
    return {
        key: [(metric.step, metric.value) for metric in client.get_metric_history(run.info.run_id, key)]
        for key in run.data.metrics
    }


def recorded(sweep_dir: SweepDir, experiment_id: str) -> dict[str, list[tuple[int, float]]]:
    lines: list[dict[str, Any]] = sweep_dir.run_dir(experiment_id).results()
    assert lines
    found: dict[str, list[tuple[int, float]]] = {}
    for line in lines:
        accepted = (
            {"cluster_acceptance": line["clusters_accepted"] / shown} if (shown := line["clusters_shown"]) else {}
        )
        for key, value in (line | accepted).items():
            if value is not None:
                found.setdefault(key, []).append((line["interactions"], float(value)))
    return found


def test_sixteen_sweeps_sent_at_once_are_each_there_once(uri: str, tmp_path: Path) -> None:
    # Half of the sweeps have the same name, as if several people ran the same file.
    names = [f"sweep-{number}" if number % 2 else "same" for number in range(AT_ONCE)]
    sweeps = [finished_sweep(tmp_path / str(number), name) for number, name in enumerate(names)]
    for _ in range(2):  # The second round must not send anything again.
        commands = [[sys.executable, "-m", "raycal.track", sweep.folder.place, "--uri", uri] for sweep in sweeps]
        senders = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for command in commands]
        said = [sender.communicate()[1] for sender in senders]
        assert [sender.returncode for sender in senders] == [0] * AT_ONCE, said

        client = MlflowClient(tracking_uri=uri)
        for name, sweep in zip(names, sweeps, strict=True):
            assert_is_whole(client, name, sweep)
        same = client.get_experiment_by_name("same")
        assert same is not None
        assert len(find_runs(client, same.experiment_id)) == AT_ONCE // 2 * 3


def test_two_sweeps_that_run_at_once_are_each_there_once(uri: str, tmp_path: Path) -> None:
    sweep = tmp_path / "small.yaml"
    sweep.write_text(f"{SWEEP}grid: {{seed: [0, 1]}}\ntracking: {{uri: {uri}}}\n")
    storages = [tmp_path / "one", tmp_path / "other"]
    running = [start(sweep, storage, "--local") for storage in storages]
    assert [process.wait(600) for process in running] == [0, 0]

    client = MlflowClient(tracking_uri=uri)
    for storage in storages:
        assert_is_whole(client, "small", SweepDir(Folder.at(str(storage / "small"))))
