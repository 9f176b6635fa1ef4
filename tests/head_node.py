"""Starts a Ray cluster with token authentication that lives on between jobs, as `ray start --head` does."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

BIN = Path(sys.executable).parent
START_SECONDS = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A running head node.

    Attributes:
        process: The process `ray start --head --block`; all processes of the cluster are in its session.
        env: The environment of commands on this cluster, with the cluster's token and the address for jobs.
        address: The address of the cluster, `host:port`.
        dashboard: The URL of the dashboard.
    """

    process: subprocess.Popen[bytes]
    env: dict[str, str]
    address: str
    dashboard: str

    def run(self, *command: str, timeout: float = 300, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a command as the user of this cluster."""
        return subprocess.run(command, env=self.env | env, capture_output=True, text=True, timeout=timeout)

    def submit(self, job: str, working_dir: Path, *options: str, wait: bool = True) -> int:
        """Submit a sweep with `ray job submit`, and return the exit code of that command."""
        arguments = [BIN / "ray", "job", "submit", "--submission-id", job, "--working-dir", working_dir]
        sweep = ["python", "-m", "raycal.sweep", *options]
        done = self.run(*map(str, [*arguments, *([] if wait else ["--no-wait"]), "--", *sweep]), timeout=600)
        return done.returncode

    def job(self, job: str) -> dict[str, Any]:
        """The cluster's record of a job, with the job's log under `logs`."""
        found: dict[str, Any] = self.get(f"jobs/{job}")
        return found | self.get(f"jobs/{job}/logs")

    def state(self, kind: str) -> list[dict[str, Any]]:
        """All actors, jobs or placement groups that the cluster has had."""
        rows: list[dict[str, Any]] = self.get(f"v0/{kind}?detail=1&limit=10000")["data"]["result"]["result"]
        return rows

    def get(self, path: str) -> Any:
        """The answer of the dashboard to a request."""
        token = Path(self.env["HOME"], ".ray", "auth_token").read_text()
        request = urllib.request.Request(f"{self.dashboard}/api/{path}", headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def processes(self) -> dict[int, str]:
        """The command line of every process of the cluster, by process id."""
        found = {}
        for process in psutil.process_iter(["name", "status"]):
            try:
                if os.getsid(process.pid) == self.process.pid and process.info["status"] != psutil.STATUS_ZOMBIE:
                    found[process.pid] = " ".join(process.cmdline()) or process.info["name"]
            except (ProcessLookupError, psutil.NoSuchProcess):
                continue
        return found


def wait_for(condition: Callable[[], Any], seconds: float, *, every: float = 0.5) -> Any:
    """Wait for the first true value of a condition; raises AssertionError when none comes in time."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s"
        time.sleep(every)
    return value


@contextmanager
def head_node(num_cpus: int = 2) -> Iterator[Cluster]:
    """Start a cluster with its own ports, folder and token. At the end, end exactly the processes of this cluster."""
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # The paths of Ray's sockets must be short.
    ports = {name: _free_port() for name in ("port", "dashboard-port", "ray-client-server-port", "metrics-export-port")}
    ports |= {name: _free_port() for name in ("dashboard-agent-listen-port", "dashboard-agent-grpc-port")}
    env = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")} | {
        "HOME": str(folder),
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "RAY_AUTH_MODE": "token",
        "RAYCAL_CACHE": str(folder / "cache"),
    }
    subprocess.run([BIN / "ray", "get-auth-token", "--generate"], env=env, check=True, capture_output=True)
    options = [f"--{name}={port}" for name, port in ports.items()]
    options += [f"--temp-dir={folder / 'ray'}", f"--num-cpus={num_cpus}", "--min-worker-port=0", "--max-worker-port=0"]
    command = [BIN / "ray", "start", "--head", "--block", "--disable-usage-stats", *options]
    with (folder / "head.log").open("wb") as log:
        head = subprocess.Popen(
            command, env=env, cwd=folder, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    dashboard = f"http://127.0.0.1:{ports['dashboard-port']}"
    cluster = Cluster(
        process=head,
        env=env | {"RAY_ADDRESS": dashboard},
        address=f"127.0.0.1:{ports['port']}",
        dashboard=dashboard,
    )
    try:
        wait_for(lambda: _answers(cluster), START_SECONDS)
        yield cluster
    finally:
        _end(cluster)
        shutil.rmtree(folder, ignore_errors=True)


def _answers(cluster: Cluster) -> bool:
    assert cluster.process.poll() is None, "the head node ended"
    try:
        return bool(cluster.get("v0/nodes?limit=10")["result"])
    except OSError:
        return False


def _end(cluster: Cluster) -> None:
    """End the cluster's processes; `ray stop` would end every Ray cluster on this machine."""
    while found := cluster.processes():
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        cluster.process.wait(30)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
