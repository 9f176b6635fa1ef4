"""Tests the command `raycal` and its subcommands."""

import os
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

import raycal
from raycal.__main__ import COMMANDS, main, parser, split

ROOT = Path(raycal.__file__).parents[1]
SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
HEAVY = {"torch", "ray", "mlflow", "pydantic", "numpy", "pandas", "pyarrow", "yaml", "rich", "matplotlib"}


def command(*words: str) -> "subprocess.CompletedProcess[str]":
    """Run the console script of the package, whether or not it is installed."""
    module, _, function = SCRIPTS["raycal"].partition(":")
    code = f"import sys; sys.argv[0] = 'raycal'; from {module} import {function}; {function}()"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, env=environment, timeout=60
    )


def test_help_has_a_line_for_each_command_and_imports_none_of_them() -> None:
    code = "import runpy, sys\ntry: runpy.run_module('raycal', run_name='__main__')\nfinally: print(*sys.modules)"
    shown = subprocess.run(
        [sys.executable, "-c", code, "--help"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
    )
    *lines, modules = shown.stdout.splitlines()

    listed = [line.split()[0] for line in lines[lines.index("commands:") + 1 :] if line.startswith("  ")]
    assert listed == ["sweep", "annotate", "watch", "report", "export", "track", "doctor", "pool", "bench"]
    assert not set(modules.split()) & (HEAVY | {entry.module for entry in COMMANDS.values()})


def test_version_is_that_of_the_package() -> None:
    shown = command("--version")
    assert (shown.returncode, shown.stdout, shown.stderr) == (0, f"raycal {raycal.__version__}\n", "")


@pytest.mark.parametrize("name", COMMANDS)
def test_subcommand_has_the_options_of_the_module_form(name: str) -> None:
    short, long = (
        re.sub(r"\s+", " ", shown.stdout.replace(prog, "PROG"))
        for prog, shown in (
            (f"raycal {name}", command(name, "--help")),
            (
                f"python -m raycal.{name}",
                subprocess.run(
                    [sys.executable, "-m", f"raycal.{name}", "--help"],
                    capture_output=True,
                    text=True,
                    env={**os.environ, "PYTHONPATH": str(ROOT)},
                ),
            ),
        )
    )
    assert short.startswith("usage: PROG [-h]")
    assert short == long
    assert "python -m" not in short


def test_subcommand_gets_the_words_behind_it_and_gives_its_exit_code(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("name: a\nexperiment: {dataset: digits, scenario: randon}\n")

    shown = command("sweep", str(tmp_path / "a.yaml"), "--storage", str(tmp_path / "runs"), "--local")

    assert (shown.returncode, shown.stdout) == (2, "")
    assert shown.stderr.startswith(f"{tmp_path}/a.yaml:2: experiment.scenario: ")
    assert "did you mean 'random'?" in shown.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["a.yaml"]


def test_wrong_option_is_answered_with_the_usage_of_the_subcommand() -> None:
    shown = command("report", "--nope")
    assert shown.returncode == 2
    assert shown.stderr.startswith("usage: raycal report [-h]")
    assert "raycal report: error:" in shown.stderr


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("swep", "did you mean 'sweep'?"),
        ("reports", "did you mean 'report'?"),
        ("dcotor", "did you mean 'doctor'?"),
        ("xyz", "known: sweep, annotate, watch, report, export, track, doctor, pool, bench"),
        ("birds.yaml", "known: sweep, annotate, watch, report, export, track, doctor, pool, bench"),
    ],
)
def test_unknown_command_is_refused_with_what_was_meant(
    word: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([word, "--local"]) == 2
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", f"raycal {word}: there is no such command ({hint})\n")


def test_unknown_command_stays_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["a\nb\x1b[31m"]) == 2
    assert capsys.readouterr().err.startswith(r"raycal a\nb\x1b[31m: there is no such command")


def test_without_a_command_the_help_is_printed_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", parser().format_help())


def test_option_before_the_command_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--local", "sweep"])
    assert ended.value.code == 2
    assert "unrecognized arguments: --local" in capsys.readouterr().err


def test_words_behind_the_command_are_left_as_they_are() -> None:
    assert split(["sweep", "--set", "a=b c", "--", "sweep"]) == ([], "sweep", ["--set", "a=b c", "--", "sweep"])
    assert split(["--version"]) == (["--version"], None, ())


def test_every_script_of_the_package_is_there() -> None:
    assert "raycal" in SCRIPTS
    for place in SCRIPTS.values():
        module, _, function = place.partition(":")
        assert callable(getattr(import_module(module), function))
