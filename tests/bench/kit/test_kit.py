import ctypes
import io
import json
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from raycal.bench.figure import Figure, Goal
from raycal.bench.kit import gpu_tests, record
from raycal.bench.kit.__main__ import main
from raycal.bench.kit.faiss_bridge import CUBLAS_12, CUBLAS_LT_12, build_bridge
from raycal.bench.kit.pack import IMAGES, MOST_BYTES, pack_images, pack_site, print_sizes
from raycal.bench.kit.packages import carried, on_the_machine
from raycal.bench.kit.plan import FIGURE_SECONDS, PLANNED_MINUTES, TEST_SECONDS, UNPACK_SECONDS, Step, Wanted, steps
from raycal.bench.kit.process import GRACE_SECONDS, run_step
from raycal.bench.kit.runner import Runner
from raycal.bench.kit.trials import SCENARIOS, Trial, image_root
from raycal.errors import InputError

NINE_MINUTES = 60 * PLANNED_MINUTES


def wanted(folder: Path, *, images: Path | None = None) -> Wanted:
    return Wanted(
        root=folder,
        out=folder,
        work=folder,
        parts=("tests", "figures", "sweep"),
        clustering="kmeans",
        images=images,
        weights="none",
        model="resnet18",
        quick=True,
    )


def shell(folder: Path, script: str, limit: float = 20.0) -> tuple[str, tuple[str, ...]]:
    """Run a Python script as a step, and return its status and its last lines."""
    outcome = run_step(
        [sys.executable, "-c", script], limit, log=folder / "log", folder=folder, environment={"PYTHONUNBUFFERED": "1"}
    )
    return outcome.status, outcome.last_lines


class TestSteps:
    def test_figures_that_decide_come_before_those_that_describe(self, tmp_path: Path) -> None:
        names = [step.name for step in steps(wanted(tmp_path, images=tmp_path / "a.tar.xz"))]

        assert names == ["tests", *FIGURE_SECONDS, "unpacking", *SCENARIOS]
        assert names[1:4] == ["kmeans", "compiling", "iteration"]

    def test_most_of_the_time_is_planned_and_the_sweep_has_the_rest(self) -> None:
        planned = TEST_SECONDS + sum(FIGURE_SECONDS.values()) + UNPACK_SECONDS

        assert TEST_SECONDS == 90
        assert sum(FIGURE_SECONDS.values()) <= 4.75 * 60
        assert NINE_MINUTES - planned >= 2 * 60

    def test_without_images_there_is_no_sweep_and_a_folder_is_not_unpacked(self, tmp_path: Path) -> None:
        assert {step.part for step in steps(wanted(tmp_path))} == {"tests", "figures"}
        names = [step.name for step in steps(wanted(tmp_path, images=tmp_path))]
        assert names[-len(SCENARIOS) :] == list(SCENARIOS)
        assert "unpacking" not in names


def is_running(pid: int) -> bool:
    """Whether the process exists and has not ended; after a signal, a process takes a moment to end."""
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().split(")")[-1].split()[0] != "Z"
    except OSError:
        return False


class TestProcess:
    def test_finished(self, tmp_path: Path) -> None:
        assert shell(tmp_path, "print('all')") == ("finished", ())
        assert (tmp_path / "log").read_text().splitlines()[-1] == "all"

    def test_failure_has_its_last_lines(self, tmp_path: Path) -> None:
        shell(tmp_path, "print('of the one before')")
        status, last = shell(tmp_path, "print('begin'); raise SystemExit('no such GPU')")
        assert (status, last) == ("failed with code 1", ("begin", "no such GPU"))

    def test_what_takes_too_long_is_cut_with_what_it_has_started(self, tmp_path: Path) -> None:
        script = (
            "import signal, subprocess, sys, time\n"
            "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
            "print(child.pid, flush=True)\n"
            "time.sleep(60)"
        )
        begin = time.monotonic()
        status, last = shell(tmp_path, script, limit=1.5)

        assert status == "cut after 2 s"
        assert time.monotonic() - begin < 1.5 + GRACE_SECONDS
        end = time.monotonic() + 10
        while is_running(int(last[0])):
            assert time.monotonic() < end
            time.sleep(0.05)

    def test_what_ignores_sigterm_is_killed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("raycal.bench.kit.process.GRACE_SECONDS", 0.3)
        script = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"

        assert shell(tmp_path, script, limit=1.0)[0] == "cut after 1 s"


class TestRunner:
    @pytest.mark.slow
    def test_failed_and_cut_steps_stop_no_other_and_unused_time_is_passed_on(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def step(name: str, script: str, seconds: float | None = None) -> Step:
            return Step(part="figures", name=name, command=lambda: [sys.executable, "-c", script], seconds=seconds)

        def missing() -> list[str]:
            raise FileNotFoundError("there are no tests")

        todo = [
            step("fails", "raise SystemExit('a reason')", NINE_MINUTES),
            Step(part="tests", name="missing", command=missing, seconds=NINE_MINUTES),
            step("cut", "import time; time.sleep(60)", 5 * NINE_MINUTES / 60),
            step("one", "pass"),
            step("two", "print(1)"),
        ]
        monkeypatch.setattr("raycal.bench.kit.runner.steps", lambda wanted: todo)
        monkeypatch.setattr("raycal.bench.kit.runner.measuring_command", lambda *_: [sys.executable, "-c", "pass"])
        runner = Runner(wanted(tmp_path), {}, time.monotonic(), 20 / 60)

        assert runner.run() == 2
        found = json.loads((tmp_path / record.WHOLE).read_text())["steps"]
        assert [(entry["step"], entry["status"]) for entry in found] == [
            ("machine", "finished"),
            ("fails", "failed with code 1"),
            ("missing", "failed before its start"),
            ("cut", "cut after 2 s"),
            ("one", "finished"),
            ("two", "finished"),
        ]
        assert found[1]["last_lines"] == ["a reason"]
        printed = capsys.readouterr().out
        limits = dict(re.findall(r"figures, (\w+): at most (\d+) s", printed))
        assert int(limits["two"]) > int(limits["one"])


def test_killed_kit_leaves_its_figures(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "raycal.bench.kit", "--quick", "--parts", "sweep", "--out", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 60
        while not (tmp_path / record.LINES).exists() and time.monotonic() < end:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 128 + signal.SIGTERM
    finally:
        process.kill()
        process.wait()
    assert record.read(tmp_path)["command"].startswith("python -m raycal.bench.kit --quick")


@pytest.mark.parametrize(
    ("arguments", "problems"),
    [
        (["--parts", "figures,sweeps"], ["--parts sweeps: no such part (known: tests, figures, sweep)"]),
        (
            ["--minutes", "0", "--images", "nowhere.tar"],
            ["--minutes 0: should be more than 0", "--images nowhere.tar: no such file"],
        ),
        (["--minutes", "nan"], ["--minutes nan: should be more than 0"]),
    ],
)
def test_mistake_in_the_input_is_a_line_each(
    arguments: list[str], problems: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--out", str(tmp_path / "out"), *arguments]) == 2
    assert capsys.readouterr().err.splitlines() == problems
    assert not (tmp_path / "out").exists()


def test_record_is_whole_whoever_writes_it(tmp_path: Path) -> None:
    figure = Figure(benchmark="gpu kmeans", name="kmeans", value=0.04, unit="s", goal=Goal("<=", 0.05))
    record.append(tmp_path, record.ABOUT, {"command": "a"})
    record.append_figure(tmp_path, figure, "kmeans")
    record.append(tmp_path, record.ABOUT, {"machine": {"device": "cpu"}})
    record.append(tmp_path, record.STEP, {"step": "kmeans"})
    record.write_whole(tmp_path)

    whole = json.loads((tmp_path / record.WHOLE).read_text())
    assert (whole["command"], whole["machine"], whole["steps"]) == ("a", {"device": "cpu"}, [{"step": "kmeans"}])
    (found,) = whole["figures"]
    assert (found["step"], found["value"], found["verdict"]) == ("kmeans", 0.04, "met")
    assert found["goal"] == {"sign": "<=", "value": 0.05}


def test_results_of_tests_are_counted_also_when_the_output_breaks_off() -> None:
    output = (
        "tests/test_a.py::test_one PASSED                 [ 10%]\n"
        "tests/test_a.py::TestB::test_two[a b-1] FAILED   [ 20%]\n"
        "tests/test_a.py::test_three ERROR                [ 30%]\n"
        "tests/test_a.py::test_four SKIPPED (no GPU)      [ 40%]\n"
        "ERROR tests/test_b.py - ImportError: no\n"
        "tests/test_a.py::test_five "
    )

    found = {figure.name: figure for figure in gpu_tests.figures(output)}
    assert {name: figure.value for name, figure in found.items()} == {"passed": 1, "failed": 3, "skipped": 1}
    assert found["failed"].verdict == "not met"
    assert found["failed"].setting["names"] == [
        "tests/test_a.py::TestB::test_two[a b-1]",
        "tests/test_a.py::test_three",
        "tests/test_b.py",
    ]


def test_files_with_tests_of_a_gpu_are_found_and_no_tests_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there are no tests for a GPU"):
        gpu_tests.command(tmp_path)
    (tmp_path / "tests/bench").mkdir(parents=True)
    for name, text in (("bench/test_a", "@pytest.mark.gpu"), ("test_b", "@pytest.mark.gpu"), ("test_c", "")):
        (tmp_path / f"tests/{name}.py").write_text(text)

    assert gpu_tests.command(tmp_path)[-2:] == ["tests/test_b.py", "tests/bench/test_a.py"]


def test_results_of_a_trial_are_read_once(tmp_path: Path) -> None:
    trial = Trial(scenario="random", storage=tmp_path)
    assert list(trial.new_figures()) == list(trial.pace()) == []
    seconds = {"predict_seconds": 1.0, "cluster_seconds": 2.0, "train_seconds": 3.0, "evaluate_seconds": 0.5}
    lines = [
        json.dumps(
            {"iteration": number, "interactions": 1000 * (number + 1), "test_accuracy": 0.5 + number / 10} | seconds
        )
        for number in range(2)
    ]
    results = tmp_path / "paper-cifar10/random-s0/results.jsonl"
    results.parent.mkdir(parents=True)
    results.write_text(lines[0] + "\n")
    assert [(figure.name, figure.value) for figure in trial.new_figures()] == [("random, 1,000 interactions", 0.5)]
    results.write_text("\n".join(lines) + "\n")
    assert [(figure.name, figure.value) for figure in trial.new_figures()] == [("random, 2,000 interactions", 0.6)]
    assert [(figure.value, figure.unit) for figure in trial.pace()] == [(6.5, "s")]


def test_root_of_the_images_is_below_folders_that_hold_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "cifar10/train/cat").mkdir(parents=True)
    (tmp_path / "cifar10/test/cat").mkdir(parents=True)
    assert image_root(tmp_path) == image_root(tmp_path / "cifar10") == tmp_path / "cifar10"


@pytest.mark.skipif(shutil.which("gcc") is None or sys.platform != "linux", reason="needs a C compiler on Linux")
class TestBridge:
    def test_every_function_is_that_of_cublas_13(self, tmp_path: Path) -> None:
        names = ["Create_v2", "Destroy_v2", "SetStream_v2", "GetMathMode", "SetMathMode"]
        names += ["SgemmEx", "GemmEx", "GemmStridedBatchedEx"]
        source = tmp_path / "thirteen.c"
        source.write_text(
            "\n".join(
                f"int cublas{name}(int a, int b) {{ return {100 * at} + 10 * a + b; }}" for at, name in enumerate(names)
            )
        )
        thirteen = tmp_path / "libcublas.so.13"
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(thirteen), str(source)], check=True)

        build_bridge(tmp_path, str(thirteen))

        bridge = ctypes.CDLL(str(tmp_path / CUBLAS_12))
        assert [bridge[f"cublas{name}"](4, 2) for name in names] == [100 * at + 42 for at in range(len(names))]
        ctypes.CDLL(str(tmp_path / CUBLAS_LT_12))

    def test_without_cublas_13_each_says_that_it_is_not_initialized(
        self, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        build_bridge(tmp_path, "libcublas-of-nobody.so.13")

        assert ctypes.CDLL(str(tmp_path / CUBLAS_12)).cublasCreate_v2(0) == 1
        assert "libcublas-of-nobody.so.13" in capfd.readouterr().err


class TestPacking:
    def test_first_images_of_each_class_are_taken(self, tmp_path: Path) -> None:
        source, target = tmp_path / "all.tar.xz", tmp_path / IMAGES
        names = [f"all/{split}/{label}/{at}.jpg" for label in "ba" for split in ("train", "test") for at in (3, 1, 2)]
        with tarfile.open(source, "w:xz") as archive:
            for name in names:
                member = tarfile.TarInfo(name)
                member.size = len(name)
                archive.addfile(member, io.BytesIO(name.encode()))

        assert pack_images(source, target, {"train": 2, "test": None}) == {"train": 4, "test": 6}
        with tarfile.open(target) as archive:
            found = {member.name: archive.extractfile(member) for member in archive}
            assert sorted(found) == sorted(name for name in names if "train" not in name or "3" not in name)
            assert all(file is not None and file.read().decode() == name for name, file in found.items())

    def test_archive_of_something_else_is_refused(self, tmp_path: Path) -> None:
        with tarfile.open(tmp_path / "a.tar", "w"):
            pass
        with pytest.raises(InputError, match="should have"):
            pack_images(tmp_path / "a.tar", tmp_path / IMAGES, {"train": None, "test": None})

    def test_site_is_what_was_installed_without_headers_and_commands(self, tmp_path: Path) -> None:
        def install(folder: Path) -> None:
            for name in (
                "bin/tool",
                "nvidia/cuda_runtime/include/a.h",
                "nvidia/cuda_runtime/lib/a.so",
                "nvidia/__init__.py",
                "one.py",
            ):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text(name)

        pack_site(tmp_path / "site.tar.xz", install)
        with tarfile.open(tmp_path / "site.tar.xz") as archive:
            files = [member.name for member in archive if member.isfile()]
        assert files == ["nvidia/cuda_runtime/lib/a.so", "one.py"]

    def test_folder_that_is_too_large_is_named(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        with (tmp_path / "a").open("wb") as file:
            file.truncate(MOST_BYTES + 1)
        assert print_sizes(tmp_path) == MOST_BYTES + 1
        printed = capsys.readouterr()
        assert "60.0 MB  total" in printed.out
        assert printed.err.startswith("more than 60 MB: ")


def test_lists_of_packages_name_each_once_and_pin_what_is_carried() -> None:
    assert all(entry.count("==") == 1 for entry in carried())
    names = [entry.partition("==")[0] for entry in carried()] + on_the_machine()
    assert len(set(names)) == len(names)
    assert {"pydantic", "rich", "faiss-gpu-cu12", "torch"} <= set(names)
    assert not {"ray", "mlflow"} & set(names)
