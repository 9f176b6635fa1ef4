"""Everything that ARCHITECTURE.md names exists."""

import ast
import re
from functools import cache
from pathlib import Path

import raycal

ROOT = Path(raycal.__file__).parents[1]
TEXT = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
FILE = re.compile(r"(?<![\w./])[\w./]*\w\.(?:py|md|toml)\b")
FOLDER = re.compile(r"(?<=`)[\w/]+/(?=`)|(?<![\w/.])(?:\w+/)+(?![\w<>*])")
MEMBER = re.compile(r"`([\w/]+\.py)::(\w+)`")
PRIVATE = re.compile(r"\bray\._private|\bray\.core\.generated|\bray\.train\.v2|\btorch\._[a-z]+")


def places(name: str) -> list[Path]:
    """Where a path may begin; the actors of the diagram are named without their folder."""
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
    rows = TEXT.partition("## Rooms")[2].partition("## One drawing")[0]

    assert len(folders) >= 15
    assert [folder for folder in sorted(folders) if f"`{folder}`" not in rows] == []


def test_every_file_that_uses_private_api_is_listed() -> None:
    listed = set(FILE.findall(TEXT.partition("## Private API")[2])) - {"pyproject.toml", "distributed/process_group.py"}
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
