"""Starts a tracking server in a separate process."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep
from urllib.request import urlopen


class Server:
    """`mlflow server` over a sqlite file, which also keeps the runs' files.

    Args:
        folder: The folder for the files and the log.
        database: The sqlite file; None means a new file in the folder.
    """

    def __init__(self, folder: Path, database: Path | None = None) -> None:
        self._folder, self._database = folder, database or folder / "server.db"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        place = f"--host=127.0.0.1 --port={self._port} --workers=1 --artifacts-destination={self._folder}/files"
        command = ["-m", "mlflow", "server", f"--backend-store-uri=sqlite:///{self._database}", *place.split()]
        with open(self._folder / "server.log", "ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *command],
                cwd=self._folder,
                env=os.environ
                # MLflow's job execution would start seven more processes.
                | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(self.answers)

    def answers(self) -> bool:
        try:
            return bool(urlopen(f"{self.uri}/health", timeout=5).status == 200)
        except OSError:
            return False

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, number)

    def stop(self) -> None:
        if self._process is not None:
            self.signal(signal.SIGKILL)
            self._process.wait()
            self._process = None


def wait_until(condition: Callable[[], bool]) -> None:
    end = monotonic() + 180
    while not condition():
        assert monotonic() < end, "waited in vain"
        sleep(0.1)
