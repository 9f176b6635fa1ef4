"""The results of the kit, which are written to disk as soon as they are known.

Every process of the kit appends lines to `kit.jsonl`, and `kit.json` is made from these lines. The lines remain if the
kit is killed.
"""

import json
import os
from pathlib import Path
from typing import Any

from raycal.bench.figure import Figure

LINES, WHOLE = "kit.jsonl", "kit.json"
# The key of a line says what the line holds: facts about the run, a figure, or the end of a step.
ABOUT, FIGURE, STEP = "about", "figure", "step"


def append(out: Path, kind: str, value: object) -> None:
    """Append one line in a single write, so that the file never has a part of the line."""
    line = json.dumps({kind: value}) + "\n"
    descriptor = os.open(out / LINES, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def append_figure(out: Path, figure: Figure, step: str) -> None:
    """Append a figure of a step."""
    append(out, FIGURE, {"step": step, **figure.record()})


def read(out: Path) -> dict[str, Any]:
    """All facts about the run, with its `figures` and its `steps`."""
    whole: dict[str, Any] = {}
    records: dict[str, list[Any]] = {FIGURE: [], STEP: []}
    path = out / LINES
    for line in path.read_text().splitlines() if path.is_file() else ():
        for kind, value in json.loads(line).items():
            if kind == ABOUT:
                whole |= value
            else:
                records[kind].append(value)
    return {**whole, "steps": records[STEP], "figures": records[FIGURE]}


def write_whole(out: Path) -> None:
    """Replace `kit.json` atomically, so that a reader sees the old file or the new one."""
    new = out / f"{WHOLE}.new"
    new.write_text(json.dumps(read(out), indent=2) + "\n")
    new.replace(out / WHOLE)
