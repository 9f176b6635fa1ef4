"""Repeats some cases of the other tests as a user would meet them, each in its own process."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from refusal import MAX_CPU_SECONDS, SWEEP, expect, files_below

import raycal

CASES = {
    "bomb": (f"{SWEEP}x: [{'[],' * 300_000}]", [], "sweep.yaml:9: not valid YAML: more than 32000 keys and values"),
    "terminal": (SWEEP, ["--only", "\x1b[31m"], "--only \\x1b[31m: does not match the only trial"),
    "surrogate": (SWEEP, ["--set", "name=\udcff"], "--set name: not a YAML value: '"),
    "weights": (SWEEP, ["--set", "model.weights=/"], "experiment.model.weights: /: a folder; give the file with the"),
}


@pytest.mark.parametrize("case", CASES)
def test_refusal_is_a_line_an_exit_code_and_nothing_else(place: Path, case: str) -> None:
    text, options, part = CASES[case]
    (place / "sweep.yaml").write_text(text)
    before, used = files_below(place), resource.getrusage(resource.RUSAGE_CHILDREN)

    ended = subprocess.run(
        [sys.executable, "-m", "raycal.sweep", "sweep.yaml", "--dry-run", *options],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(Path(raycal.__file__).parents[1])},
    )

    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    expect(ended.stderr.splitlines(), part)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert files_below(place) == before
    # The limit is larger than in the other tests, because Python and its modules must be loaded, too.
    assert now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime < 2 * MAX_CPU_SECONDS
