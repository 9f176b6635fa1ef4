import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from raycal.distributed import session
from raycal.distributed.temp_folder import LONGEST_SOCKET, MAX_SOCKET_PATH, check_ray_folder, ray_folder
from raycal.errors import InputError

NOBODY = 65534


@pytest.fixture(autouse=True)
def no_folder_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAY_TMPDIR", "TMPDIR"):
        monkeypatch.delenv(name, raising=False)


def as_nobody(call: Callable[[], object]) -> str:
    """The text of the error that a call raises in a process of another user; empty if the call raises no error."""
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        try:
            os.setuid(NOBODY)
            call()
            os.write(write, b"")
        except InputError as error:
            os.write(write, str(error).encode())
        finally:
            os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    with os.fdopen(read) as pipe:
        return pipe.read()


def test_folder_is_the_one_that_ray_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    from ray._common.utils import get_default_ray_temp_dir

    assert ray_folder() == Path("/tmp/ray") == Path(get_default_ray_temp_dir())
    monkeypatch.setenv("TMPDIR", "/var/tmp")
    assert ray_folder() == Path("/var/tmp/ray") == Path(get_default_ray_temp_dir())
    monkeypatch.setenv("RAY_TMPDIR", "/scratch")
    assert ray_folder() == Path("/scratch/ray") == Path(get_default_ray_temp_dir())


def test_limit_is_that_of_the_system(tmp_path: Path) -> None:
    monkey = f"/tmp/{'x' * (MAX_SOCKET_PATH - 5)}"
    for name, fits in ((monkey, True), (f"{monkey}x", False)):
        with socket.socket(socket.AF_UNIX) as one:
            if fits:
                one.bind(name)
                os.unlink(name)
            else:
                with pytest.raises(OSError, match="too long"):
                    one.bind(name)


def test_long_path_is_refused_in_one_line_before_ray_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    room = MAX_SOCKET_PATH - len(f"/ray/{LONGEST_SOCKET}")
    monkeypatch.setenv("TMPDIR", "/" + "x" * (room - 1))
    check_ray_folder()
    monkeypatch.setenv("TMPDIR", "/" + "x" * room)
    monkeypatch.setattr(session.ray, "init", lambda *arguments, **options: pytest.fail("Ray was started"))

    with pytest.raises(InputError) as refused, session.ray_session("local"):
        pass
    (line,) = refused.value.problems
    assert "too long a path for Ray, whose sockets in it would have 108 bytes of at most 107; set RAY_TMPDIR" in line


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_folder_of_another_user_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RAY_TMPDIR", "/tmp/raycal-test")
    folder = Path("/tmp/raycal-test/ray")
    folder.mkdir(parents=True)
    try:
        assert as_nobody(check_ray_folder).startswith(
            "/tmp/raycal-test/ray: belongs to the user root, and Ray must write there; set RAY_TMPDIR to a short path"
        )
        folder.chmod(0o777)
        assert as_nobody(check_ray_folder) == ""
    finally:
        folder.rmdir()
        folder.parent.rmdir()


def test_file_in_place_of_the_folder_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "ray").write_text("")
    monkeypatch.setattr("raycal.distributed.temp_folder.MAX_SOCKET_PATH", 500)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "t"))

    with pytest.raises(InputError, match=r"t/ray: is not a folder, and Ray keeps its sockets and logs there"):
        check_ray_folder()
