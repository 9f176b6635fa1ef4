"""Tests that no command fails because its output is not read, cannot be written to a disk, or cannot be shown by a
terminal."""

import json
import os
import pty
import signal
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest

from raycal.errors import InfrastructureError, InputError, RaycalError, StorageError, TakenOverError
from raycal.output import exit_code_of

ROOT = Path(__file__).parents[1]
FULL = Path("/dev/full")
SWEEP = """
name: small
experiment:
  dataset: {name: digits, train_size: 60, test_size: 40}
  model: {weights: none}
  iterations: 2
  interactions_per_iteration: 10
  training: {epochs: 1, batch_size: 16, learning_rate: 0.005, image_size: 32}
grid:
  scenario: [random, uncertain-only]
"""
ASCII = {"PYTHONIOENCODING": "ascii"}
C_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
needs_full = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")


def environment(**changed: str) -> dict[str, str]:
    inherited = {key: value for key, value in os.environ.items() if key not in ("PYTHONIOENCODING", "PYTHONUTF8")}
    return {**inherited, "PYTHONPATH": str(ROOT), "RAY_ADDRESS": "local", "RAY_AUTH_MODE": "disabled", **changed}


def run(code: str, redirection: str = "", *, options: str = "", **changed: str) -> "subprocess.CompletedProcess[bytes]":
    """Run a command line whose `main` has the given code, through a shell that redirects its output."""
    with tempfile.NamedTemporaryFile("w", suffix=".py", encoding="utf-8") as file:
        file.write(script_of(code))
        file.flush()
        return subprocess.run(
            ["bash", "-c", f'"$0" {options} "$1" {redirection}', sys.executable, file.name],
            capture_output=True,
            env=environment(**changed),
            timeout=60,
        )


def script_of(code: str) -> str:
    main = textwrap.indent(textwrap.dedent(code), "    ")
    return f"import os, sys\nfrom raycal import output\ndef main():\n{main}\noutput.run(main)\n"


PRINT_MUCH = """
for number in range(20000):
    print("a line", number)
print("said", file=sys.stderr)
with open(sys.argv[1], "w") as done: done.write("done")
return 3
"""


@pytest.fixture
def done(tmp_path: Path) -> Path:
    return tmp_path / "done"


class TestLostOutput:
    def test_work_goes_on_when_the_reader_leaves(self, done: Path) -> None:
        ended = run(PRINT_MUCH, f"'{done}' | head -2; exit ${{PIPESTATUS[0]}}")

        assert (ended.returncode, ended.stdout, ended.stderr) == (3, b"a line 0\na line 1\n", b"said\n")
        assert done.read_text() == "done"

    @needs_full
    def test_full_disk_is_reported_once_and_fails_nothing(self, done: Path) -> None:
        ended = run(PRINT_MUCH, f"'{done}' > /dev/full")

        assert ended.returncode == 3
        assert ended.stderr.decode().splitlines() == [
            "standard output cannot be written (No space left on device): lines printed there are lost, "
            "but the command continues",
            "said",
        ]
        assert done.read_text() == "done"

    @needs_full
    def test_full_disk_behind_standard_error_is_reported_on_standard_output(self) -> None:
        ended = run("print('said', file=sys.stderr); print('shown'); return 0", "2> /dev/full")

        assert ended.returncode == 0
        assert ended.stdout.decode().splitlines() == [
            "standard error cannot be written (No space left on device): lines printed there are lost, "
            "but the command continues",
            "shown",
        ]

    @needs_full
    def test_nowhere_to_report(self, done: Path) -> None:
        assert run(PRINT_MUCH, f"'{done}' > /dev/full 2>&1").returncode == 3
        assert done.read_text() == "done"

    def test_disk_that_has_room_again_is_written_again(self, tmp_path: Path) -> None:
        code = """
        import resource, signal
        print("first", flush=True)
        resource.setrlimit(resource.RLIMIT_FSIZE, (6, resource.RLIM_INFINITY))
        print("second", flush=True)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        print("third", flush=True)
        return 0
        """
        ended = run(code, f"> '{tmp_path}/log'")

        assert ended.returncode == 0
        assert (tmp_path / "log").read_text() == "first\nthird\n"
        assert ended.stderr.startswith(b"standard output cannot be written (File too large): ")

    def test_closed_streams(self, done: Path) -> None:
        assert run(PRINT_MUCH, f"'{done}' >&- 2>&-").returncode == 3
        assert done.read_text() == "done"

    def test_file_opened_later_gets_no_number_of_a_closed_stream(self, tmp_path: Path) -> None:
        code = """
        opened = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)
        print("not into the file", flush=True)
        os.write(opened, b"content")
        return opened
        """
        ended = run(code, f"'{tmp_path}/file' <&- >&- 2>&-")

        assert ended.returncode > 2
        assert (tmp_path / "file").read_bytes() == b"content"

    def test_terminal_that_is_closed(self, done: Path) -> None:
        master, terminal = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-c", script_of(PRINT_MUCH), str(done)],
            stdout=terminal,
            stderr=terminal,
            env=environment(),
        )
        os.close(terminal)
        os.read(master, 10)
        os.close(master)

        assert process.wait(30) == 3
        assert done.read_text() == "done"

    def test_pipe_that_does_not_block_gets_everything(self) -> None:
        code = """
        os.set_blocking(1, False)
        for number in range(50000):
            print("a line", number)
        return 0
        """
        ended = run(code, "| (sleep 0.3; cat)")

        assert ended.stdout.splitlines()[-1] == b"a line 49999"
        assert ended.stdout.count(b"\n") == 50000
        assert ended.stderr == b""

    def test_output_unbuffered_is_written_at_once(self) -> None:
        ended = run("print('before', end=''); os.write(1, b' between '); print('after'); return 0", options="-u")

        assert ended.stdout == b"before between after\n"

    def test_interrupted_command_says_so_in_one_line(self) -> None:
        ended = run("import signal; os.kill(os.getpid(), signal.SIGINT); return 0")

        assert (ended.returncode, ended.stderr) == (128 + signal.SIGINT, b"\ninterrupted\n")


class TestCharacters:
    @pytest.mark.parametrize("changed", [ASCII, C_LOCALE, ASCII | C_LOCALE], ids=["ascii", "C locale", "both"])
    def test_what_the_terminal_lacks_is_escaped(self, changed: dict[str, str]) -> None:
        ended = run("print('Vögel 0.5 ± 0.1'); print('鳥', file=sys.stderr); return 0", **changed)

        assert ended.returncode == 0
        assert ended.stdout == b"V\\xf6gel 0.5 +- 0.1\n"
        assert ended.stderr == b"\\u9ce5\n"

    def test_name_that_is_no_utf_8_is_escaped(self) -> None:
        ended = run("print(os.fsdecode(b'V\\xf6gel')); return 0", PYTHONUTF8="1")

        assert (ended.returncode, ended.stdout) == (0, b"V\\udcf6gel\n")

    def test_utf_8_stays_as_it_is(self) -> None:
        assert run("print('Vögel ±'); return 0", PYTHONUTF8="1").stdout == "Vögel ±\n".encode()

    def test_handler_that_the_user_chose_is_kept(self) -> None:
        assert run("print('Vögel'); return 0", PYTHONIOENCODING="ascii:replace").stdout == b"V?gel\n"

    def test_files_with_any_name_are_found_in_the_c_locale(self, tmp_path: Path) -> None:
        (tmp_path / "Vögel").mkdir()
        (tmp_path / "Vögel" / "name").write_text("found")

        ended = run("print(open(sys.argv[1] + '/V\\xf6gel/name').read()); return 0", f"'{tmp_path}'", **C_LOCALE)

        assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"found\n", b"")

    def test_stream_of_somebody_else_is_left_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from io import StringIO

        from raycal.output import protect_output

        theirs = StringIO()
        monkeypatch.setattr(sys, "stdout", theirs)
        monkeypatch.setattr(sys, "stderr", theirs)
        protect_output()

        assert sys.stdout is theirs


COMMANDS = {
    "sweep": ("sweep", "SWEEP", "--dry-run"),
    "sweep, help": ("sweep", "--help"),
    "sweep, mistake": ("sweep", "nothing.yaml"),
    "report": ("report", "nothing"),
    "pool": ("pool", "--help"),
    "watch": ("watch", "--help"),
    "track": ("track", "nothing"),
    "bench": ("bench", "--list"),
    "doctor": ("doctor", "nothing.yaml"),
}


def command(*arguments: str, redirection: str, cwd: Path, **changed: str) -> "subprocess.CompletedProcess[str]":
    """Run `python -m raycal.…` through a shell that redirects its output."""
    module, *rest = arguments
    return subprocess.run(
        ["bash", "-c", f'"$0" "$@" {redirection}', sys.executable, "-m", f"raycal.{module}", *rest],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment(**changed),
        timeout=500,
    )


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(SWEEP)
    return path


@needs_full
@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_keeps_its_exit_code_without_output(name: str, sweep: Path, tmp_path: Path) -> None:
    arguments = [str(sweep) if word == "SWEEP" else word for word in COMMANDS[name]]
    usual = command(*arguments, redirection="", cwd=tmp_path)
    closed = command(*arguments, redirection="2>&1 | true; exit ${PIPESTATUS[0]}", cwd=tmp_path)
    full = command(*arguments, redirection="> /dev/full 2> /dev/full", cwd=tmp_path)

    assert "Traceback" not in usual.stderr + closed.stderr
    assert closed.returncode == full.returncode == usual.returncode


def accuracies(storage: Path) -> list[list[float]]:
    files = sorted(storage.glob("small/*/results.jsonl"))
    return [[json.loads(line)["test_accuracy"] for line in file.read_text().splitlines()] for file in files]


# With these redirections, the output of a sweep is lost. A sweep on Ray takes long to start, so a single run on Ray
# tests the loss of standard output and standard error together.
LOST = {
    "--local": {"closed": "2>&1 | head -1; exit ${PIPESTATUS[0]}", "full": "> /dev/full 2>&1"},
    "--address local": {"both": "2> /dev/full | head -1; exit ${PIPESTATUS[0]}"},
}


@pytest.mark.slow
@pytest.mark.parametrize("place", ["--local", pytest.param("--address local", marks=pytest.mark.long)])
@needs_full
def test_sweep_that_nobody_reads_is_finished(place: str, sweep: Path, tmp_path: Path) -> None:
    def run(name: str, redirection: str) -> subprocess.CompletedProcess[str]:
        arguments = ("sweep", str(sweep), *place.split(), "--storage", str(tmp_path / name))
        ended = command(*arguments, redirection=redirection, cwd=tmp_path, **ASCII)

        assert (name, ended.returncode) == (name, 0)
        assert "Traceback" not in ended.stderr + ended.stdout
        assert [len(trial) for trial in accuracies(tmp_path / name)] == [2, 2]
        assert not list(tmp_path.glob(f"{name}/small/*/error*"))
        return ended

    for name, redirection in LOST[place].items():
        assert "V\\xf6gel" not in run(name, redirection).stdout
    if place == "--local":
        assert "V\\xf6gel" in run("Vögel", "").stdout
        assert accuracies(tmp_path / "closed") == accuracies(tmp_path / "full") == accuracies(tmp_path / "Vögel")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError("key: wrong", "other: wrong, too"), 2),
        (StorageError("the bucket is gone"), 3),
        (TakenOverError("another start owns it"), 1),
    ],
)
def test_expected_error_is_printed_and_gives_its_exit_code(
    error: RaycalError, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def work() -> int:
        raise error

    # A StorageError is an InfrastructureError, too: the kind that is named first decides.
    assert exit_code_of(work, {StorageError: 3, InfrastructureError: 1}) == code
    assert capsys.readouterr().err == f"{error}\n"


def test_result_and_unexpected_error_pass_through(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> int:
        raise StorageError("the bucket is gone")

    assert exit_code_of(lambda: 7, {StorageError: 3}) == 7
    with pytest.raises(StorageError, match="the bucket is gone"):
        exit_code_of(work)
    assert capsys.readouterr().err == ""
