import os
import pwd
from pathlib import Path

import pytest

from raycal.data.cache import absolute, cache_dir
from raycal.data.download import checkpoints_dir
from raycal.errors import InputError
from raycal.home import expand_home
from raycal.storage.folder import Folder


@pytest.fixture
def no_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A process without HOME whose user has no account on the machine, as in many containers."""
    for name in ("HOME", "RAYCAL_CACHE", "XDG_CACHE_HOME", "TORCH_HOME"):
        monkeypatch.delenv(name, raising=False)

    def unknown(number: int) -> None:
        raise KeyError(number)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_home_is_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    assert expand_home("~/birds") == "/home/someone/birds"
    assert expand_home("~") == "/home/someone"
    assert expand_home("birds/~x") == "birds/~x"
    assert expand_home("~root/x") == f"{pwd.getpwnam('root').pw_dir}/x"


def test_empty_home_is_not_the_root_of_the_file_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "")
    assert expand_home("~/birds") == f"{pwd.getpwuid(os.getuid()).pw_dir}/birds"


@pytest.mark.parametrize("home", [None, ""])
def test_without_a_home_every_path_in_it_is_refused(
    home: str | None, no_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if home is not None:
        monkeypatch.setenv("HOME", home)
    for call in (cache_dir, checkpoints_dir, lambda: absolute("~/birds"), lambda: Folder.at("~/runs")):
        with pytest.raises(InputError, match="there is no home folder, because HOME is not set; set HOME, or give the"):
            call()
    assert list(no_home.iterdir()) == []
    with pytest.raises(InputError, match="or set RAYCAL_CACHE to the folder for decoded images and downloads"):
        cache_dir()


def test_without_a_home_the_variables_are_enough(no_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYCAL_CACHE", "/cache")
    monkeypatch.setenv("TORCH_HOME", "/torch")
    assert cache_dir() == Path("/cache")
    assert checkpoints_dir() == Path("/torch/hub/checkpoints")


def test_checkpoints_are_where_torch_keeps_them(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    for name, value in ({"HOME": "/h"} | {"XDG_CACHE_HOME": "/x"} | {"TORCH_HOME": "/t"}).items():
        monkeypatch.setenv(name, value)
        for later in ("XDG_CACHE_HOME", "TORCH_HOME")[0 if name == "HOME" else 1 :]:
            if later != name:
                monkeypatch.delenv(later, raising=False)
        assert checkpoints_dir() == Path(torch.hub.get_dir()) / "checkpoints"


def test_unknown_user_is_named() -> None:
    with pytest.raises(InputError, match=r"~nobody-here/x: no such home folder; give the whole path, or \./~nobody"):
        expand_home("~nobody-here/x")
