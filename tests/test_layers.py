"""Imports point down: a module may import from its own layer and the layers below it."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import raycal

ROOT = Path(raycal.__file__).parent

# Bottom to top. A package's name stands for all of its modules.
LAYERS = (
    ("errors", "installed", "registry", "plugins", "interrupt", "options", "output", "home"),
    ("kmeans", "losses", "networks"),
    ("algorithm",),
    ("config", "labels", "pool_file"),
    (
        "data",
        "learner",
        "digest",
        "files",
        "owner",
        "ledger",
        "results",
        "state",
        "store",
        "plan",
        "inputs",
        "downloads",
        "extension",
        "tracking",
    ),
    ("build",),
    ("environment", "montage"),
    ("data_variants",),
    ("experiment", "progress", "summary", "check", "prices", "rates", "cost", "start_cost"),
    ("follower", "distributed"),
    ("this_machine",),
    ("report",),
    ("sweep_run", "sweep", "pool", "track", "doctor", "bench", "testing"),
    ("api",),
    ("__main__",),
)
LEVELS = {name: level for level, names in enumerate(LAYERS) for name in names}

# This module counts what fits on the machines. It knows nothing of Ray, so an estimate may use it without Ray.
RESOURCES = "raycal.distributed.resources"
UPWARD = {("raycal.cost", RESOURCES)}
# The package itself offers the public names, and imports their modules when the names are used.
PUBLIC = {("raycal", "raycal.api.plot"), ("raycal", "raycal.api.results"), ("raycal", "raycal.api.run")}
PUBLIC |= {("raycal", "raycal.errors"), ("raycal", "raycal.pool")}
UPWARD |= PUBLIC

# The modules that may import a heavy package, function-level imports included.
ONLY_IN = {
    "ray": ("raycal.distributed",),
    "torch": (
        "raycal.learner",
        "raycal.data",
        "raycal.losses",
        "raycal.kmeans",
        "raycal.networks",
        "raycal.bench",
        "raycal.testing",
    ),
    "torchvision": ("raycal.learner", "raycal.networks", "raycal.data", "raycal.bench"),
    "mlflow": ("raycal.tracking",),
}
NEVER_IN = {
    "raycal.algorithm": ("torch", "torchvision", "ray", "mlflow", "pandas", "pydantic", "pathlib", "io", "os"),
    "raycal.config": ("torch", "torchvision", "ray", "mlflow", "faiss"),
    RESOURCES: ("ray",),
}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {module_name(path): path.read_text(encoding="utf-8") for path in sorted(ROOT.rglob("*.py"))}
PACKAGES = {module_name(path) for path in ROOT.rglob("__init__.py")}


def is_in(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def imports(module: str, source: str) -> Iterator[str]:
    """Every module that the source imports, at any depth; for raycal the module itself, not the name taken from it."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=name, names=names, level=dots):
                package = module if module in PACKAGES else module.rpartition(".")[0]
                for _ in range(dots - 1):
                    package = package.rpartition(".")[0]
                origin = ".".join(filter(None, (package if dots else "", name)))
                for alias in names:
                    member = f"{origin}.{alias.name}"
                    yield member if member in SOURCES else origin
            case ast.Call(func=ast.Name(id="__import__" | "import_module"), args=[ast.Constant(value=str(name)), *_]):
                yield name
            case ast.Call(func=ast.Attribute(attr="import_module"), args=[ast.Constant(value=str(name)), *_]):
                yield name


def level(module: str) -> int | None:
    """The layer of a module of raycal; the package itself is below all layers."""
    return -1 if module == "raycal" else LEVELS.get(module.split(".")[1])


def upward(module: str, source: str) -> list[str]:
    """The imports of a module that lead to a layer above its own, or to no layer."""
    own = level(module)
    assert own is not None, f"{module} is in no layer"
    problems = []
    for imported in imports(module, source):
        if not is_in(imported, "raycal") or (module, imported) in UPWARD:
            continue
        other = level(imported)
        if other is None or other > own:
            problems.append(f"{module} imports {imported}")
    return problems


def misplaced(module: str, source: str) -> list[str]:
    """The imports of packages that the module may not use."""
    problems = []
    for imported in imports(module, source):
        top = imported.partition(".")[0]
        allowed = ONLY_IN.get(top)
        kept_out = any(is_in(module, package) and top in names for package, names in NEVER_IN.items())
        if kept_out or (allowed is not None and not any(is_in(module, package) for package in allowed)):
            problems.append(f"{module} imports {imported}")
    return problems


def opened(source: str) -> list[str]:
    """The calls of `open`, plain or as a method, sorted."""
    calls = (node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    return sorted(ast.unparse(call) for call in calls if ast.unparse(call).split(".")[-1] == "open")


def test_modules_are_found() -> None:
    assert len(SOURCES) >= 40
    assert {"raycal", "raycal.algorithm.loop", "raycal.sweep", RESOURCES} <= set(SOURCES)
    assert sum(len(list(imports(module, source))) for module, source in SOURCES.items()) > 200


def test_every_module_is_in_a_layer_and_every_layer_has_its_modules() -> None:
    assert [module for module in SOURCES if level(module) is None] == []
    assert [name for name in LEVELS if f"raycal.{name}" not in SOURCES] == []


@pytest.mark.parametrize("module", SOURCES)
def test_imports_point_down(module: str) -> None:
    assert upward(module, SOURCES[module]) == []


@pytest.mark.parametrize("module", SOURCES)
def test_heavy_packages_are_imported_where_they_belong(module: str) -> None:
    assert misplaced(module, SOURCES[module]) == []


@pytest.mark.parametrize("module", [module for module in SOURCES if is_in(module, "raycal.algorithm")])
def test_algorithm_opens_no_file(module: str) -> None:
    assert opened(SOURCES[module]) == []


def test_resources_are_used_without_ray_only_where_they_are_needed() -> None:
    users = {module for module, source in SOURCES.items() if RESOURCES in imports(module, source)}

    assert {user for user in users if not is_in(user, "raycal.distributed")} == {
        "raycal.cost",
        "raycal.sweep_run",
        "raycal.this_machine",
    }
    assert set(imports("raycal.distributed", SOURCES["raycal.distributed"])) == set()


def test_exceptions_are_still_needed() -> None:
    assert all(imported in imports(module, SOURCES[module]) for module, imported in UPWARD)


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("raycal.algorithm.loop", {"torch", "ray", "mlflow", "pandas", "pydantic", "faiss"}),
        ("raycal.config", {"torch", "ray", "mlflow", "faiss"}),
        ("raycal.losses", {"torch", "pydantic", "numpy"}),
        ("raycal.kmeans.faiss_lloyd", {"torch", "faiss", "pydantic"}),
        ("raycal.build", {"torch", "ray", "mlflow"}),
        ("raycal.plugins", {"torch", "ray", "mlflow", "numpy", "pydantic"}),
        ("raycal.testing", {"torch", "ray", "mlflow", "pytest"}),
        (RESOURCES, {"torch", "ray", "mlflow", "faiss"}),
        ("raycal.distributed.metrics", {"torch", "ray", "mlflow", "faiss"}),
        ("raycal", {"numpy", "torch", "ray", "mlflow", "pandas", "pydantic", "matplotlib", "argparse"}),
        ("raycal.api", {"torch", "ray", "mlflow", "matplotlib", "faiss"}),
        ("raycal.sweep", {"numpy", "torch", "ray", "mlflow", "pydantic"}),
        ("raycal.track", {"numpy", "torch", "ray", "mlflow", "pydantic"}),
        ("raycal.tracking", {"torch", "ray", "mlflow"}),
        ("raycal.bench.__main__", {"numpy", "torch", "ray", "mlflow", "pydantic", "faiss"}),
        ("raycal.report.from_mlflow", {"torch", "ray", "mlflow"}),
    ],
)
def test_import_does_not_load_what_is_heavy(module: str, heavy: set[str]) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT.parent, check=True, capture_output=True, text=True
    ).stdout.split()

    assert module in loaded
    assert heavy & set(loaded) == set()


@pytest.mark.parametrize(
    ("module", "source", "imported"),
    [
        ("raycal.algorithm.pool", "from raycal.config import ExperimentConfig", "raycal.config"),
        ("raycal.algorithm.pool", "from raycal import build", "raycal.build"),
        ("raycal.algorithm.pool", "from .. import store", "raycal.store"),
        ("raycal.algorithm", "from ..data.cache import absolute", "raycal.data.cache"),
        ("raycal.config.sweep", "import raycal.plan as plan", "raycal.plan"),
        ("raycal.store", "def f():\n    from raycal.build import parts", "raycal.build"),
        ("raycal.cost", "from raycal.distributed.trial import run_trial", "raycal.distributed.trial"),
        ("raycal.build", "from raycal.distributed import resources", RESOURCES),
        ("raycal.errors", "from raycal.made_up import name", "raycal.made_up"),
        ("raycal", "from raycal.files import Folder", "raycal.files"),
        ("raycal.data.cache", "from importlib import import_module\nimport_module('raycal.sweep')", "raycal.sweep"),
    ],
)
def test_made_up_upward_import_is_caught(module: str, source: str, imported: str) -> None:
    assert upward(module, source) == [f"{module} imports {imported}"]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("raycal.store", "from raycal.config import ExperimentConfig"),
        ("raycal.store", "from raycal import __version__, ledger"),
        ("raycal.algorithm.pool", "from .records import Answer"),
        ("raycal.cost", f"from {RESOURCES} import allot"),
        ("raycal.sweep", "import raycalendar"),
    ],
)
def test_downward_import_is_fine(module: str, source: str) -> None:
    assert upward(module, source) == []


@pytest.mark.parametrize(
    ("module", "source", "imported"),
    [
        ("raycal.experiment", "import ray", "ray"),
        ("raycal.sweep_run", "def f():\n    from ray.train import report", "ray.train"),
        ("raycal.sweep_run", "import importlib\nimportlib.import_module('ray.tune')", "ray.tune"),
        ("raycal.distributed.resources", "import ray", "ray"),
        ("raycal.build", "def f():\n    import torch", "torch"),
        ("raycal.store", "from torchvision.models import resnet18", "torchvision.models"),
        ("raycal.experiment", "import mlflow.entities", "mlflow.entities"),
        ("raycal.algorithm.pool", "from pathlib import Path", "pathlib"),
        ("raycal.config.sweep", "import faiss", "faiss"),
    ],
)
def test_made_up_import_of_a_heavy_package_is_caught(module: str, source: str, imported: str) -> None:
    assert misplaced(module, source) == [f"{module} imports {imported}"]


def test_import_that_only_begins_like_a_heavy_package_is_fine() -> None:
    assert misplaced("raycal.experiment", "import rayon, torchmetrics\nfrom raycal import build") == []


def test_open_is_caught() -> None:
    assert opened("with open('a') as f:\n    pass\nPath('b').open()") == ["Path('b').open", "open"]


def test_module_in_no_layer_is_caught() -> None:
    assert level("raycal.made_up") is None
    with pytest.raises(AssertionError, match=r"raycal\.made_up is in no layer"):
        upward("raycal.made_up", "")
