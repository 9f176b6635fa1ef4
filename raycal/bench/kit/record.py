"""What the kit has found, on the disk from the moment that it is known.

Every process of the kit appends lines to `kit.jsonl`; `kit.json` is made of them. A kit that is killed leaves the
lines.
"""

import json
import os
from pathlib import Path
from typing import Any

from raycal.bench.figure import Figure

LINES, WHOLE = "kit.jsonl", "kit.json"
# Keys of a line: what the run is, a figure, how a step ended.
ABOUT, FIGURE, STEP = "about", "figure", "step"


def append(out: Path, kind: str, value: object) -> None:
    """Add a line, whole or not at all."""
    line = json.dumps({kind: value}) + "\n"
    descriptor = os.open(out / LINES, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def append_figure(out: Path, figure: Figure, step: str) -> None:
    """Add a figure that a step has found."""
    append(out, FIGURE, {"step": step, **figure.record()})


def read(out: Path) -> dict[str, Any]:
    """All that is known of the run, with its `figures` and its `steps`."""
    whole: dict[str, Any] = {}
    found: dict[str, list[Any]] = {FIGURE: [], STEP: []}
    path = out / LINES
    for line in path.read_text().splitlines() if path.is_file() else ():
        for kind, value in json.loads(line).items():
            if kind == ABOUT:
                whole |= value
            else:
                found[kind].append(value)
    return {**whole, "steps": found[STEP], "figures": found[FIGURE]}


def write_whole(out: Path) -> None:
    """Write `kit.json` anew; a reader sees the one before or the new one."""
    new = out / f"{WHOLE}.new"
    new.write_text(json.dumps(read(out), indent=2) + "\n")
    new.replace(out / WHOLE)
