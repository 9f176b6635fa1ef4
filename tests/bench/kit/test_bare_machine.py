"""Runs the whole kit from a folder with only what goes to the machine, and without any other packages."""

import io
import json
import math
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement
from PIL import Image

import raycal
from raycal.bench.gpu import STEPS
from raycal.bench.kit.packages import carried, on_the_machine
from raycal.bench.kit.plan import PARTS
from raycal.bench.kit.trials import SCENARIOS

ROOT = Path(raycal.__file__).parent.parent
CARRIED = ("raycal", "tests", "sweeps", "pyproject.toml", "dashboards", "cluster_configs")
# These packages of this machine replace the wheels that only a machine with a GPU can use.
STANDS_IN = {"faiss-gpu-cu12": ("faiss-gpu", "faiss-cpu"), "nvidia-cuda-runtime-cu12": ()}


def with_requirements(names: Iterable[str]) -> set[str]:
    """The names of installed packages and of all their requirements."""
    found: set[str] = set()
    todo = list(names)
    while todo:
        name = re.sub(r"[-_.]+", "-", todo.pop()).lower()
        if name in found:
            continue
        try:
            required = distribution(name).requires or []
        except PackageNotFoundError:  # This is a requirement on another system only.
            continue
        found.add(name)
        todo += [
            requirement.name
            for requirement in map(Requirement, required)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        ]
    return found


def allowed() -> set[str]:
    """The packages of the machine with their requirements, and the kit's wheels without their requirements (as
    installed by `pip install --no-deps`)."""
    machine = with_requirements(on_the_machine())
    names = {entry.partition("==")[0] for entry in carried()}
    faiss = with_requirements(name for stand_in in STANDS_IN.values() for name in stand_in)
    return machine | faiss | (names - set(STANDS_IN))


def link_packages(names: Iterable[str], folder: Path) -> None:
    """Fill a folder with links to these packages, and to no other packages."""
    for name in names:
        package = distribution(name)
        tops = {file.parts[0] for file in package.files or () if file.parts[0] not in ("..", "__pycache__")}
        for top in tops:
            link = folder / top
            if not link.exists():
                link.symlink_to(Path(str(package.locate_file(top))).absolute())


def carry(folder: Path) -> None:
    """Copy the tracked files that the kit needs, with uncommitted changes."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard", *CARRIED],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    for name in listed:
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)


def write_images(path: Path) -> None:
    rng = np.random.default_rng(0)
    with tarfile.open(path, "w:xz") as archive:
        for split, count in (("train", 12), ("test", 4)):
            for label in "abc":
                for number in range(count):
                    data = io.BytesIO()
                    Image.fromarray(rng.integers(256, size=(32, 32, 3), dtype=np.uint8)).save(data, "PNG")
                    member = tarfile.TarInfo(f"images/{split}/{label}/{number:04}.png")
                    member.size = data.tell()
                    data.seek(0)
                    archive.addfile(member, data)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.skipif(sys.platform != "linux", reason="the kit is for Linux")
def test_whole_kit_runs_on_a_bare_machine(tmp_path: Path) -> None:
    site, checkout, out = (tmp_path / name for name in ("site", "checkout", "out"))
    for folder in (site, checkout):
        folder.mkdir()
    link_packages(allowed(), site)
    carry(checkout)
    write_images(tmp_path / "images.tar.xz")
    # The base interpreter of the virtual environment does not see the environment's packages.
    python = Path(sys.base_prefix) / "bin" / f"python{sysconfig.get_python_version()}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MLFLOW"))}
    environment |= {"PYTHONPATH": str(site), "PYTHONNOUSERSITE": "1", "OMP_NUM_THREADS": "1", "HOME": str(tmp_path)}

    for missing in ("ray", "mlflow", "optuna"):
        absent = subprocess.run(
            [str(python), "-c", f"import {missing}"], cwd=tmp_path, env=environment, check=False, capture_output=True
        )
        assert absent.returncode != 0

    command = [str(python), "-m", "raycal.bench.kit", "--quick", "--minutes", "60", "--out", str(out)]
    command += ["--images", str(tmp_path / "images.tar.xz")]
    # A busy machine needs more time for a step than the limit that the step has within nine minutes.
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)

    whole = json.loads((out / "kit.json").read_text())
    log = (out / "kit.log").read_text()
    assert [(step["step"], step["status"]) for step in whole["steps"]] == [
        (name, "finished") for name in ("machine", "tests", *STEPS, "unpacking", *SCENARIOS)
    ], done.stdout + done.stderr + log
    assert done.returncode == 0
    assert {step["part"] for step in whole["steps"]} == {"machine", *PARTS}
    assert whole["machine"]["versions"]["torch"]
    assert whole["machine"]["versions"]["ray"] is None
    assert whole["faiss"].startswith("Faiss ")
    found = {(figure["step"], figure["name"]): figure for figure in whole["figures"]}
    assert found["tests", "passed"]["value"] + found["tests", "failed"]["value"] == 0
    assert found["tests", "skipped"]["value"] > 10
    assert {step for step, _ in found} == {"tests", *STEPS, *SCENARIOS} - {"compiling"}
    measured = [figure for figure in whole["figures"] if figure["step"] in STEPS]
    assert [figure["benchmark"] for figure in measured] == [
        *["gpu kmeans"] * 7,  # This time includes the first call.
        "gpu iteration",
        *["gpu ceilings"] * 2,
        *["gpu training"] * 4,
        "gpu scoring",
        "gpu sharing",
    ]
    assert all(math.isfinite(figure["value"]) and figure["value"] > 0 for figure in measured)
    for scenario in ("uncertain+cluster", "random", "cluster-only"):
        assert [name for step, name in found if step == scenario] == [
            *(f"{scenario}, {interactions} interactions" for interactions in (8, 16)),
            f"{scenario}, an iteration",
        ]
    assert log.count("MLflow  is not installed, so nothing is tracked") == len(SCENARIOS)
    assert "Traceback" not in log
    with tarfile.open(out / "runs.tar.gz") as runs:
        assert sum(name.endswith("results.jsonl") for name in runs.getnames()) == len(SCENARIOS)
    assert sorted(path.name for path in out.iterdir()) == ["kit.json", "kit.jsonl", "kit.log", "runs.tar.gz"]
