"""Simulates three nodes and a client machine on this machine, by `machines.sh`, while a `with` block runs."""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType

import psutil

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
NODES = {"node1": "10.77.0.11", "node2": "10.77.0.12", "node3": "10.77.0.13"}
NAMESPACES = ("--net", "--pid", "--mount", "--uts", "--ipc")
AS_RAY = ("setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "env", "-i", "HOME=/home/ray", "USER=ray")
NEEDED = ("unshare", "nsenter", "setpriv", "ip", "ssh", "ssh-keygen", "rsync", "curl", "pgrep", "/usr/sbin/sshd")
PASSWD = "root:x:0:0::/root:/bin/bash\nray:x:1000:1000::/home/ray:/bin/bash\nsshd:x:100:65534::/run/sshd:/bin/false\n"
ETC = {
    "passwd": PASSWD + "nobody:x:65534:65534::/:/bin/false\n",
    "group": "root:x:0:\ntty:x:5:\nray:x:1000:\nnogroup:x:65534:\n",
    "shadow": "root:*:1::::::\nray:*:1::::::\nsshd:*:1::::::\n",
    "hosts": "127.0.0.1 localhost\n10.77.0.1 client\n" + "".join(f"{ip} {name}\n" for name, ip in NODES.items()),
}


def why_not() -> str | None:
    """The reason why machines cannot be simulated here; None if they can be simulated."""
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if os.geteuid() != 0:
        return "needs root"
    if missing:
        return f"needs {', '.join(missing)}"
    if subprocess.run(["unshare", *NAMESPACES, "--fork", "true"], capture_output=True).returncode:
        return "namespaces are not permitted"
    return None


class Machines:
    """The simulated machines. Each has a user `ray` with the home `/home/ray`, this Python environment, and
    `/mnt/raycal`.

    Args:
        environment: Shell commands that every login runs.
    """

    def __init__(self, environment: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="raycal-machines-"))
        self._environment = environment

    def __enter__(self) -> "Machines":
        for name in ("ssh", "etc", "shared"):
            (self.folder / name).mkdir()
        for name in ("host_key", "id_rsa"):
            key = ["ssh-keygen", "-q", "-t", "rsa", "-N", "", "-C", name, "-f", str(self.folder / "ssh" / name)]
            subprocess.run(key, check=True)
        for name, text in ETC.items():
            (self.folder / "etc" / name).write_text(text)
        path = f"export PATH={Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin\n"
        (self.folder / "bashrc").write_text(path + self._environment)
        shutil.chown(self.folder / "shared", 1000, 1000)
        keep = dict.fromkeys(map(os.path.realpath, (sys.prefix, sys.base_prefix, ROOT)))
        own = ["setpriv", "--pdeathsig=KILL", "unshare", *NAMESPACES, "--fork", "--kill-child"]
        self._process = subprocess.Popen(
            [*own, "bash", str(HERE / "machines.sh"), str(self.folder), *keep],
            stdout=subprocess.PIPE,
            stderr=(self.folder / "log").open("w"),
            text=True,
        )
        assert self._process.stdout is not None
        said = self._process.stdout.readline()
        if said != "up\n":
            self._process.kill()
            raise AssertionError((self.folder / "log").read_text())
        (self._client,) = psutil.Process(self._process.pid).children()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()  # This also ends every process on every simulated machine.
        self._process.communicate()
        psutil.wait_procs([self._client], timeout=30)
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, command: str) -> subprocess.Popen[str]:
        """Start a command as the user `ray` on the client, in the repository."""
        return subprocess.Popen(
            [*self._enter(), *AS_RAY, "bash", "-c", f"source ~/.bashrc; cd {ROOT}; {command}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, command: str, *, check: bool = True, timeout: float = 300) -> str:
        """Run a command as the user `ray` on the client, and return its output. A failed command is an error unless
        `check` is False."""
        with self.start(command) as process:
            try:
                said, _ = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        assert process.returncode == 0 or not check, said
        return said

    def on(self, node: str, command: str) -> str:
        """Run a command on a node over SSH, and return its output."""
        return self.run(f"ssh -q -o StrictHostKeyChecking=no ray@{NODES[node]} {shlex.quote(command)}")

    def replace(self, path: Path, text: str) -> None:
        """Replace the text of a file, for the client alone."""
        own = self.folder / "client/home/ray" / path.name
        own.write_text(text)
        subprocess.run([*self._enter(), "mount", "--bind", f"/home/ray/{path.name}", str(path)], check=True)

    def _enter(self) -> list[str]:
        return ["nsenter", f"--target={self._client.pid}", "--all"]
