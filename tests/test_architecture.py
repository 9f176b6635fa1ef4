"""Tests that everything that ARCHITECTURE.md names exists."""

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

import raycal
from raycal import plugins
from raycal.config import WorkerSettings, load_sweep
from raycal.experiment import build
from raycal.experiment.run import run_experiment
from raycal.storage.folder import Folder
from raycal.storage.run_writer import RunWriter

ROOT = Path(raycal.__file__).parents[1]
WHOLE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
WALKS = re.findall(r"```(\w+)\n(.*?)```", WHOLE.partition("## Three walks")[2].partition("\n## ")[0], re.DOTALL)
# The code and the commands of the walks in ARCHITECTURE.md name files that the reader creates.
TEXT = re.sub(r"```(?:python|sh|yaml)\n.*?```", "", WHOLE, flags=re.DOTALL).replace("`mine.py`", "")
FILE = re.compile(r"(?<![\w./])[\w./]*\w\.(?:py|md|toml)\b")
FOLDER = re.compile(r"(?<=`)[\w/]+/(?=`)|(?<![\w/.])(?:\w+/)+(?![\w<>*])")
MEMBER = re.compile(r"`([\w/]+\.py)::(\w+)`")
PRIVATE = re.compile(
    r"\bray(?:\.\w+)*\._[a-z]|\bray\.core\.generated|\bray\.train\.v2|__internal|\btorch(?:\.\w+)*\._[a-z]"
)


def places(name: str) -> list[Path]:
    """The folders in which a path may begin. The diagram names its files without their folder."""
    return [path for path in (ROOT / name, ROOT / "raycal" / name, ROOT / "raycal/distributed" / name) if path.exists()]


@cache
def defined(path: Path) -> set[str]:
    """The functions, classes and constants of a file, methods included."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Assign(targets=targets):
                names |= {target.id for target in targets if isinstance(target, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
    return names


def test_files_exist() -> None:
    files = set(FILE.findall(TEXT))

    assert len(files) > 50
    assert [name for name in sorted(files) if not places(name)] == []


def test_folders_exist() -> None:
    folders = set(FOLDER.findall(TEXT))

    assert len(folders) > 15
    assert [name for name in sorted(folders) if not any(path.is_dir() for path in places(name))] == []


def test_functions_and_classes_exist() -> None:
    members = set(MEMBER.findall(TEXT))

    assert len(members) > 30
    assert TEXT.count(".py::") == len(MEMBER.findall(TEXT))
    assert [f"{file}::{name}" for file, name in sorted(members) if name not in defined(places(file)[0])] == []


def test_every_folder_has_a_row_of_the_map() -> None:
    folders = {f"{path.name}/" for path in (ROOT / "raycal").iterdir() if (path / "__init__.py").exists()}
    rows = TEXT.partition("## Parts")[2].partition("## How the parts")[0]

    assert len(folders) >= 15
    assert [folder for folder in sorted(folders) if f"`{folder}`" not in rows] == []


def test_every_file_that_uses_private_api_is_listed() -> None:
    listed = set(FILE.findall(TEXT.partition("## Private API")[2])) - {
        "pyproject.toml",
        "distributed/process_group.py",
        "tests/distributed/test_ray_internals.py",
    }
    using = {
        str(path.relative_to(ROOT / "raycal"))
        for path in (ROOT / "raycal").rglob("*.py")
        if PRIVATE.search(path.read_text(encoding="utf-8"))
    }

    assert using == listed


def test_what_does_not_exist_is_found() -> None:
    assert places("algorithm/loop.py")
    assert places("algorithm/made_up.py") == []
    assert "active_learning" in defined(ROOT / "raycal/algorithm/loop.py")
    assert "made_up" not in defined(ROOT / "raycal/algorithm/loop.py")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The reader's folder, with the walks' sweep file. At the end, the reader's plug-in is unloaded."""
    (tmp_path / "try.yaml").write_text(WALKS[0][1])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield tmp_path
    plugins.load_plugins([], build.REGISTRIES)


@pytest.mark.parametrize("walk", [0, 1, 2], ids=["query strategy", "dataset", "network"])
def test_walk_runs_as_a_plugin(walk: int, place: Path) -> None:
    """The code comes from the file, the settings come from its first command, and its last command is the check."""
    (place / "mine.py").write_text(WALKS[1 + 2 * walk][1])
    command, check = map(shlex.split, WALKS[2 + 2 * walk][1].splitlines())
    settings = [value for option, value in pairwise(command) if option == "--set"]

    sweep = load_sweep("try.yaml", build.REGISTRIES, overrides=(*settings, "training.steps=2"))
    (config,) = sweep.experiments.values()
    run_dir = RunWriter(Folder.at(str(place)).folder(config.experiment_id))

    assert command[:5] == ["python", "-m", "raycal.sweep", "try.yaml", "--local"]
    assert config.plugins.keys() == {"mine"}
    assert run_experiment(config, run_dir, WorkerSettings(threads=1)), run_dir.error()
    assert [(line["iteration"], line["annotated"]) for line in run_dir.results()] == [(0, 50)]
    assert check[:2] == ["python", "-c"]
    exec(check[2], {})


def test_walk_needs_no_other_change_in_the_package(tmp_path: Path) -> None:
    """Add the code of each walk, and a loss, as new files to a copy of the package."""
    shutil.copytree(ROOT / "raycal", tmp_path / "raycal", ignore=shutil.ignore_patterns("__pycache__"))
    places = re.findall(r"Its place in the package is a new file in `([\w/]+)`", WHOLE)
    for place, (_, source) in zip(places, WALKS[1::2], strict=True):
        (tmp_path / "raycal" / place / "mine.py").write_text(source)
    (tmp_path / "raycal/learner/losses/mine.py").write_text(
        "from raycal.learner.losses import cross_entropy, losses\nlosses('mine')(cross_entropy)"
    )
    names = (("acquisition", "far_from_mean"), ("dataset", "stripes"), ("model", "small_cnn"), ("loss", "mine"))
    script = f"from raycal.experiment.build import REGISTRIES as r; print([n in r[kind] for kind, n in {names}])"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    found = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True
    )

    assert found.stdout == "[True, True, True, True]\n", found.stderr


def test_there_are_three_walks() -> None:
    assert [language for language, _ in WALKS] == ["yaml", *["python", "sh"] * 3]
