"""Checks the order of the parts of the package, and what each part must not use.

Three kinds of imports are told apart:

- *When a module is imported*: statements outside of functions. They form chains, and importing the first module of a
  chain loads all of it: `algorithm` would load torch if any module on such a chain did. The chains are followed through
  the whole package, including its `__init__` files.
- *Inside a function*: a module delays a heavy import in this way, so the chains of other modules end there. But
  the part that contains the function must be allowed everything that the import loads.
- *For types only* (`if TYPE_CHECKING`): this loads nothing. Such an import counts only in the checks of the order of
the parts and of circles, where all import statements count.

Modules of the standard library count only if the part's own statements import them, because nearly every chain of
imports leads to every such module.
"""

import ast
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from enum import Enum
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

import raycal

ROOT = Path(raycal.__file__).parent
HEAVY = ("torch", "ray", "mlflow")

# What each part must not use. A part may use the parts above its own line in this table, and no part below it. `root`
# stands for the modules that lie in no folder. A name with a dot stands for a module or a folder within a folder; the
# other modules of the outer folder may import it.
MUST_NOT_USE: Mapping[str, tuple[str, ...]] = {
    "root": (*HEAVY, "torchvision", "numpy", "pydantic"),
    "plugins": (*HEAVY, "torchvision", "numpy", "pydantic"),
    "kmeans": ("ray", "mlflow", "pydantic", "pandas", "raycal.registry"),
    "networks": ("ray", "mlflow", "numpy", "pydantic"),
    "algorithm": (*HEAVY, "torchvision", "pydantic", "pandas", "pathlib", "io", "os", "subprocess"),
    "config": (*HEAVY, "torchvision", "faiss", "PIL"),
    "data": (*HEAVY, "raycal.config", "raycal.kmeans"),
    "capacity": (*HEAVY, "raycal.data", "raycal.kmeans"),
    "learner": ("ray", "mlflow", "pydantic", "yaml", "raycal.config", "raycal.capacity"),
    "storage": (*HEAVY, "raycal.learner", "raycal.capacity", "raycal.kmeans.torch_lloyd"),
    "people": (*HEAVY, "faiss", "pydantic", "raycal.learner", "raycal.capacity"),
    "experiment": ("ray", "mlflow", "argparse", "raycal.capacity"),
    "tracking": ("ray", "torch", "argparse", "raycal.capacity", "raycal.experiment", "raycal.learner"),
    "monitor": (*HEAVY, "raycal.capacity", "raycal.experiment", "raycal.learner"),
    "dry_run": (*HEAVY, "raycal.experiment", "raycal.learner"),
    "distributed": ("mlflow", "argparse", "raycal.dry_run"),
    "report.runs": (*HEAVY, "time", "datetime", "matplotlib", "raycal.capacity", "raycal.learner"),
    "report.stats": (*HEAVY, "time", "datetime", "matplotlib", "raycal.capacity", "raycal.learner"),
    "report.paper": (*HEAVY, "time", "datetime", "matplotlib", "raycal.capacity", "raycal.learner"),
    "report.figures": (*HEAVY, "time", "datetime", "raycal.capacity", "raycal.learner"),
    "report": ("ray", "torch", "time", "datetime", "raycal.capacity", "raycal.distributed"),
    "sweep": ("mlflow", "raycal.doctor", "raycal.bench"),
    "track": ("ray", "torch", "raycal.distributed", "raycal.experiment"),
    "pool": ("torch", "mlflow", "raycal.sweep", "raycal.report"),
    "watch": (*HEAVY, "raycal.sweep", "raycal.report", "raycal.experiment"),
    "export": ("ray", "mlflow", "raycal.capacity", "raycal.sweep", "raycal.report"),
    "doctor": ("raycal.report",),
    "bench": ("mlflow", "raycal.report"),
    "api": (*HEAVY, "argparse"),
    "testing": ("ray", "mlflow", "pytest"),
    "annotate": (*HEAVY, "torchvision"),
}

# The only parts whose modules may have an import statement of a heavy package, or of the module that writes run
# folders.
ONLY_IN = {
    "ray": ("distributed",),
    "torch": ("kmeans", "learner", "networks", "bench", "testing", "api.load"),  # api.load: for types only
    "torchvision": ("learner", "networks", "data", "bench"),
    "mlflow": ("tracking",),
    "matplotlib": ("report.figures", "api"),
    "fastapi": ("annotate",),
    "h11": ("annotate",),
    "starlette": ("annotate",),
    "uvicorn": ("annotate",),
    "raycal.storage.run_writer": (
        *(
            "experiment.run",
            "experiment.with_people",
            "sweep",
            "distributed.worker",
            "monitor.listener",
            "tracking.download",
            "bench.overhead",
        ),
    ),
}

# Imports inside functions by which a part may load something that it must not use otherwise, and the reasons.
EXCEPTIONS = {
    # The clustering `torch_kmeans` is chosen by name in the sweep file, and imports torch when it runs.
    ("raycal.algorithm.clustering.by_torch", "raycal.kmeans.torch_lloyd"): "torch",
    # The worker of a labeling project is a process of its own, and uses Ray if the project is served on a cluster.
    ("raycal.annotate.worker", "raycal.distributed.with_people"): "ray",
}


class When(Enum):
    """When an import statement is carried out."""

    LOADED = "when the module is imported"
    CALLED = "inside a function"
    NEVER = "for types only"


class Import(NamedTuple):
    """An import statement. `name` is a module if it belongs to raycal, and otherwise the dotted name that is
    imported."""

    name: str
    when: When


class Code:
    """The modules of the package, by their dotted names.

    Args:
        sources: Source text by module name.
        packages: The names of the modules that are `__init__` files.
    """

    def __init__(self, sources: Mapping[str, str], packages: frozenset[str]) -> None:
        self.sources, self._packages = dict(sources), packages
        self.imports = {module: self._all_imports(module) for module in sources}

    def with_source(self, module: str, source: str) -> "Code":
        """A copy of the package in which one module is added, or has another text."""
        other = copy(self)
        other.sources = {**self.sources, module: source}
        other.imports = {**self.imports, module: other._all_imports(module)}
        return other

    def loads(self, name: str) -> dict[str, str]:
        """Everything that importing a module loads, each with the module that imports it first."""
        found: dict[str, str] = {}
        waiting = [(name, "")]
        while waiting:
            module, by = waiting.pop()
            if module in found:
                continue
            found[module] = by
            if module in self.sources:
                waiting += [(one.name, module) for one in self.imports[module] if one.when is When.LOADED]
                waiting += [(package, module) for package in self._above(module)]
        return found

    def registers(self, module: str) -> bool:
        """Whether this is a package that imports each of its modules, so that they register themselves."""
        return module in self._packages and "iter_modules(__path__)" in self.sources[module]

    def _above(self, module: str) -> list[str]:
        parts = module.split(".")
        return [".".join(parts[:length]) for length in range(1, len(parts))]

    def _all_imports(self, module: str) -> tuple[Import, ...]:
        return tuple(dict.fromkeys(self._imports(module)))

    def _imports(self, module: str) -> Iterator[Import]:
        tree = ast.parse(self.sources[module])
        if self.registers(module):
            inside = [name for name in self.sources if name.rpartition(".")[0] == module]
            yield from (Import(name, When.LOADED) for name in inside)
        yield from self._below(tree, module, When.LOADED)

    def _below(self, node: ast.AST, module: str, when: When) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            match child:
                case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda() if when is When.LOADED:
                    yield from self._below(child, module, When.CALLED)
                    continue
                case ast.If(test=ast.Name("TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING")):
                    for statement in child.body:
                        yield from self._below(ast.Module([statement], []), module, When.NEVER)
                    for statement in child.orelse:
                        yield from self._below(ast.Module([statement], []), module, when)
                    continue
                case ast.Import(names=names):
                    yield from (Import(self._known(alias.name), when) for alias in names)
                case ast.ImportFrom(module=origin, names=names, level=dots):
                    start = self._origin(module, origin, dots)
                    yield from (Import(self._known(f"{start}.{alias.name}", start), when) for alias in names)
                case ast.Call(
                    func=ast.Name("__import__" | "import_module") | ast.Attribute(attr="import_module"),
                    args=[ast.Constant(value=str(name)), *_],
                ):
                    yield Import(self._known(name), when)
            yield from self._below(child, module, when)

    def _origin(self, module: str, name: str | None, dots: int) -> str:
        package = module if module in self._packages else module.rpartition(".")[0]
        for _ in range(dots - 1):
            package = package.rpartition(".")[0]
        return ".".join(filter(None, (package if dots else "", name)))

    def _known(self, name: str, otherwise: str | None = None) -> str:
        """The module of this name or, if the name is no module, the module that it is imported from."""
        return name if name in self.sources or otherwise is None else otherwise


@cache
def code() -> Code:
    """The package as it is on disk."""
    files = {path: _module_name(path) for path in sorted(ROOT.rglob("*.py"))}
    return Code(
        {name: path.read_text(encoding="utf-8") for path, name in files.items()},
        frozenset(name for path, name in files.items() if path.name == "__init__.py"),
    )


def _module_name(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def part(module: str) -> str | None:
    """The smallest part that contains a module; None if no part contains it."""
    parts = module.split(".")[1:]
    for length in range(len(parts), 0, -1):
        if (name := ".".join(parts[:length])) in MUST_NOT_USE:
            return name
    return "root" if not parts or (ROOT / f"{parts[0]}.py").exists() else None


def is_in(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def upward(of: Code) -> list[str]:
    """Imports of a part that is lower in the table, or of a module that belongs to no part."""
    order = list(MUST_NOT_USE)
    problems = []
    for module, imports in of.imports.items():
        own = part(module)
        assert own is not None, f"{module} is in no part"
        for name in dict.fromkeys(one.name for one in imports if not _is_offered(module, one)):
            if is_in(name, "raycal"):
                other = part(name)
                if other is None or order.index(other) > order.index(own):
                    problems.append(f"{module} imports {name}")
    return problems


def _is_offered(module: str, one: Import) -> bool:
    """Whether this import in `raycal/__init__.py` only tells type checkers where a public name comes from."""
    return module == "raycal" and one.when is When.NEVER


def misplaced(of: Code) -> list[str]:
    """Statements that import a heavy package outside of the parts that may import it."""
    return [
        f"{module} imports {one.name}"
        for module, imports in of.imports.items()
        for one in imports
        for package, parts in ONLY_IN.items()
        if is_in(one.name, package) and not any(is_in(module, f"raycal.{name}") for name in parts)
    ]


def known(of: Code) -> list[str]:
    """Modules that a part loads although it must not use them, each with the chain of imports that loads it."""
    problems, loads = [], dict[str, dict[str, str]]()
    for module, imports in of.imports.items():
        kept_out = MUST_NOT_USE[part(module) or "root"]
        for one in imports:
            if one.when is When.NEVER:
                continue
            loaded = loads[one.name] if one.name in loads else loads.setdefault(one.name, of.loads(one.name))
            for forbidden in kept_out:
                if forbidden in sys.stdlib_module_names:
                    reached = [one.name] if is_in(one.name, forbidden) else []
                else:
                    reached = sorted(name for name in loaded if is_in(name, forbidden))[:1]
                if reached and EXCEPTIONS.get((module, one.name)) != forbidden:
                    problems.append(" <- ".join([*_chain(loaded, reached[0]), module]))
    return sorted(set(problems))


def _chain(loaded: Mapping[str, str], name: str) -> list[str]:
    chain = [name]
    while (name := loaded.get(name, "")) != "":
        chain.append(name)
    return chain


def circles(leads_to: Mapping[str, set[str]]) -> list[list[str]]:
    """Groups of names in which every name leads to every other name."""
    reach = {name: _reach(leads_to, name) for name in leads_to}
    groups = {frozenset(b for b in reach[a] if a in reach.get(b, ())) for a in leads_to}
    return sorted(sorted(group) for group in groups if group)


def _reach(leads_to: Mapping[str, set[str]], start: str) -> set[str]:
    found: set[str] = set()
    waiting = [*leads_to.get(start, ())]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += leads_to.get(name, ())
    return found


def arrows(of: Code, name: Callable[[str], str | None]) -> dict[str, set[str]]:
    """The parts or modules that each part or module imports in any way.

    If a package imports all its modules so that they register themselves, and these import other modules of the
    package, that does not count as a circle.
    """
    found: dict[str, set[str]] = {}
    for module, imports in of.imports.items():
        own = name(module) or module
        others = {
            one.name
            for one in imports
            if is_in(one.name, "raycal")
            and not (of.registers(module) and is_in(one.name, module))
            and not _is_offered(module, one)
        }
        found.setdefault(own, set()).update({name(other) or other for other in others} - {own})
    return found


def test_modules_and_their_imports_are_found() -> None:
    assert len(code().sources) >= 150
    assert {"raycal", "raycal.algorithm.loop", "raycal.sweep.__main__", "raycal.capacity.allocate"} <= set(
        code().sources
    )
    assert sum(len(imports) for imports in code().imports.values()) > 800
    assert {When.LOADED, When.CALLED, When.NEVER} == {one.when for many in code().imports.values() for one in many}


def test_every_module_is_in_a_room_and_every_room_has_its_modules() -> None:
    parts = {module: part(module) for module in code().sources}

    assert [module for module, name in parts.items() if name is None] == []
    assert set(parts.values()) == set(MUST_NOT_USE)


def test_only_these_modules_lie_in_no_folder() -> None:
    assert {path.stem for path in ROOT.glob("*.py")} <= {
        "__init__",
        "__main__",
        "errors",
        "filesystem",
        "home",
        "installed",
        "output",
        "pool",
        "registry",
        "signals",
        "track",
        "watch",
    }


def test_imports_point_down() -> None:
    assert upward(code()) == []


def test_rooms_do_not_get_what_they_must_not_know() -> None:
    assert known(code()) == []


def test_heavy_packages_are_named_where_they_belong() -> None:
    assert misplaced(code()) == []


def test_no_circle_between_rooms_or_modules() -> None:
    assert circles(arrows(code(), part)) == []
    assert circles(arrows(code(), str)) == []


def test_exceptions_are_still_needed() -> None:
    for (module, imported), forbidden in EXCEPTIONS.items():
        assert Import(imported, When.CALLED) in code().imports[module]
        assert forbidden in code().loads(imported)


def test_algorithm_opens_no_file() -> None:
    assert [call for name, text in code().sources.items() if part(name) == "algorithm" for call in opened(text)] == []


def opened(source: str) -> list[str]:
    """The calls of `open`, as a function or as a method, sorted."""
    calls = (node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    return sorted(ast.unparse(call) for call in calls if ast.unparse(call).split(".")[-1] == "open")


COMMANDS = ("bench", "doctor", "export", "report", "sweep")
LIGHT = ("algorithm", "capacity", "config", "data", "dry_run", "experiment", "export", "monitor", "storage")


@pytest.mark.parametrize(
    ("modules", "heavy"),
    [
        # The modules that `--help` imports.
        (
            [*(f"raycal.{name}.__main__" for name in COMMANDS), "raycal.pool", "raycal.track"],
            {"numpy", "torch", "ray", "mlflow", "pydantic", "faiss", "yaml", "fastapi"},
        ),
        (
            [name for name in code().sources if part(name) in ("algorithm", "kmeans") and name[-11:] != "torch_lloyd"],
            {"torch", "ray", "mlflow", "pandas", "pydantic", "faiss"},
        ),
        # The modules that `--dry-run` imports, and the modules that a worker imports before it loads torch.
        (
            [
                *(name for name in code().sources if part(name) in LIGHT),
                "raycal.learner.losses",
                "raycal.report.from_mlflow",
                "raycal.sweep.command",
                "raycal.tracking",
            ],
            {"torch", "ray", "mlflow", "faiss"},
        ),
    ],
    ids=["commands", "algorithm", "light parts"],
)
def test_importing_loads_nothing_heavy(modules: list[str], heavy: set[str]) -> None:
    script = f"import sys, {', '.join(modules)}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT.parent, check=True, capture_output=True, text=True
    ).stdout.split()

    assert set(modules) <= set(loaded)
    assert heavy & set(loaded) == set()


LATE = "def f():\n    "


@pytest.mark.parametrize(
    ("module", "source", "imported"),
    [
        ("raycal.algorithm.pool", "from raycal.config import ExperimentConfig", "raycal.config"),
        ("raycal.algorithm.pool", "from raycal.experiment import build", "raycal.experiment.build"),
        ("raycal.algorithm.pool", "from ..storage import run_dir", "raycal.storage.run_dir"),
        ("raycal.kmeans.gpu", "from raycal.algorithm.records import Floats", "raycal.algorithm.records"),
        ("raycal.config.sweep", "import raycal.storage.sweep_dir as plan", "raycal.storage.sweep_dir"),
        ("raycal.storage.run_dir", f"{LATE}from raycal.experiment.build import components", "raycal.experiment.build"),
        ("raycal.dry_run.cost", "from raycal.distributed.trial import run", "raycal.distributed.trial"),
        ("raycal.errors", "from raycal.made_up import name", "raycal.made_up"),
        (
            "raycal.data.cache",
            "import importlib\nimportlib.import_module('raycal.sweep.command')",
            "raycal.sweep.command",
        ),
        ("raycal.report.stats.curves", "from raycal.report.page import page", "raycal.report.page"),
        (
            "raycal.monitor.progress",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from raycal.report.runs import Runs",
            "raycal.report.runs",
        ),
    ],
)
def test_made_up_upward_import_is_caught(module: str, source: str, imported: str) -> None:
    assert upward(code().with_source(module, source)) == [f"{module} imports {imported}"]


@pytest.mark.parametrize(
    ("module", "source", "chain"),
    [
        ("raycal.algorithm.pool", "import torch", "torch <- raycal.algorithm.pool"),
        ("raycal.algorithm.pool", f"{LATE}import torch.nn", "torch.nn <- raycal.algorithm.pool"),
        ("raycal.algorithm.pool", "from pathlib import Path", "pathlib <- raycal.algorithm.pool"),
        (
            "raycal.algorithm.randomness",
            "from raycal.kmeans import torch_lloyd",
            "torch <- raycal.kmeans.torch_lloyd <- raycal.algorithm.randomness",
        ),
        (
            "raycal.algorithm.randomness",
            f"{LATE}from raycal.kmeans.torch_lloyd import lloyd",
            "torch <- raycal.kmeans.torch_lloyd <- raycal.algorithm.randomness",
        ),
        (
            "raycal.data.split",
            "import raycal.algorithm.scenario\nfrom raycal.config.strict import Count",
            "raycal.config <- raycal.config.strict <- raycal.data.split",
        ),
        ("raycal.report.stats.estimate", "import matplotlib.axes", "matplotlib.axes <- raycal.report.stats.estimate"),
        ("raycal.capacity.packing", f"{LATE}from ray.train import report", "ray.train <- raycal.capacity.packing"),
    ],
)
def test_made_up_detour_is_caught(module: str, source: str, chain: str) -> None:
    assert chain in known(code().with_source(module, source))


def test_detour_through_two_modules_is_caught() -> None:
    made_up = code().with_source("raycal.kmeans.gpu", "from raycal.kmeans import torch_lloyd")

    assert "torch <- raycal.kmeans.torch_lloyd <- raycal.kmeans.gpu <- raycal.algorithm.clustering.by_torch" in known(
        made_up
    )


@pytest.mark.parametrize(
    "source",
    [
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from torch import Tensor",
        "from raycal.kmeans import gpu",  # This module imports torch inside a function.
        "import torchmetrics, rayon",
        "from raycal import __version__",
        "from .records import Answer",
    ],
)
def test_harmless_import_is_fine(source: str) -> None:
    made_up = code().with_source("raycal.algorithm.loop", source)

    assert known(made_up) == []
    assert upward(made_up) == []


@pytest.mark.parametrize(
    ("module", "source", "imported"),
    [
        ("raycal.experiment.run", "import ray", "ray"),
        ("raycal.sweep.command", f"{LATE}from ray.train import report", "ray.train"),
        ("raycal.sweep.command", f"{LATE}import importlib\n    importlib.import_module('ray.tune')", "ray.tune"),
        ("raycal.experiment.build", f"{LATE}import torch", "torch"),
        ("raycal.storage.run_dir", "from torchvision.models import resnet18", "torchvision.models"),
        ("raycal.experiment.run", "import mlflow.entities", "mlflow.entities"),
        ("raycal.report.page", "import matplotlib", "matplotlib"),
        ("raycal.api.run", f"{LATE}import uvicorn", "uvicorn"),
        ("raycal.report.runs", "from raycal.storage.run_writer import RunWriter", "raycal.storage.run_writer"),
    ],
)
def test_made_up_import_of_a_heavy_package_is_caught(module: str, source: str, imported: str) -> None:
    assert misplaced(code().with_source(module, source)) == [f"{module} imports {imported}"]


def test_made_up_circle_is_caught() -> None:
    made_up = code().with_source(
        "raycal.distributed.sweep_context", f"{LATE}from raycal.distributed.worker import run_worker"
    )

    assert circles(arrows(made_up, str)) == [["raycal.distributed.sweep_context", "raycal.distributed.worker"]]
    assert circles(arrows(made_up, part)) == []


def test_made_up_circle_of_rooms_is_caught() -> None:
    made_up = code().with_source("raycal.kmeans.gpu", "from raycal.algorithm.records import Floats")

    assert circles(arrows(made_up, part)) == [["algorithm", "kmeans"]]


def test_open_is_caught() -> None:
    assert opened("with open('a') as f:\n    pass\nPath('b').open()") == ["Path('b').open", "open"]


def test_module_in_no_room_is_caught() -> None:
    assert part("raycal.made_up") is None
    assert part("raycal.made_up.inside") is None
    with pytest.raises(AssertionError, match=r"raycal\.made_up\.inside is in no part"):
        upward(code().with_source("raycal.made_up.inside", ""))
