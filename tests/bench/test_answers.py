from pathlib import Path

import pytest

from raycal.bench.answers import main, measure
from raycal.people.events import Answered
from raycal.people.log import read_events
from raycal.storage.folder import Folder


def test_every_acknowledged_answer_is_on_the_disk_once(tmp_path: Path) -> None:
    measured = measure(tmp_path, 8, 0.5, per_second=20)

    events = read_events(Folder.at(str(tmp_path)))
    assert len(measured.seconds) == sum(isinstance(event, Answered) for event in events) > 8
    assert (measured.lost, measured.doubled) == (0, 0)
    assert measured.files <= len(events)
    assert 0 < measured.percentile(50) <= measured.percentile(99) <= max(measured.seconds)


def test_command_prints_what_was_measured(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--people", "3", "--seconds", "0.5", "--per-second", "10"])

    first, second, third = capsys.readouterr().out.splitlines()
    assert " answers of 3 people in " in first
    assert second.startswith("p50 ")
    assert third == "lost 0 doubled 0"
