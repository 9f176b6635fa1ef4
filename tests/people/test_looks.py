from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from small_project import TRAIN_ROWS, answer, clusters, project

from raycal.algorithm.questions import Probe, StepQuestions
from raycal.algorithm.records import Kind
from raycal.people.events import Answered, GivenAnswer, Purpose, Timing
from raycal.people.log import read_events
from raycal.people.looks import FEWEST_PROBES, Looks, miss_rate
from raycal.people.memory import OPEN
from raycal.people.probe_results import ProbeResults
from raycal.people.shown import random_samples
from raycal.storage.folder import Folder

SEQUENTIAL = Looks(sequential=True, purity=0.85)
SIZE = 100


@pytest.fixture
def run(tmp_path: Path) -> Folder:
    return Folder.at(str(tmp_path / "run"))


def with_probes(step: StepQuestions, *at: int) -> StepQuestions:
    """The step with two probes in some of its questions."""
    probes = (Probe(590, 1), Probe(591, 1))
    return replace(
        step, first=tuple(replace(one, probes=probes if n in at else ()) for n, one in enumerate(step.first))
    )


@pytest.mark.parametrize(("hidden", "band"), [((), 8), ((1,), 10)])
def test_few_random_samples_are_shown_first(run: Folder, hidden: Sequence[int], band: int) -> None:
    step = with_probes(clusters(3, size=SIZE), *hidden)
    with project(run, looks=SEQUENTIAL) as birds:
        birds.open_step(step, 0, OPEN)
        plain, other = birds.next("ana", "a1", [], 2)["questions"]
        for number, question in enumerate((plain, other)):
            assert {name: len(rows) for name, rows in question["bands"].items()} == {
                "nearest": 4, "random": band, "farthest": 8,
            }  # fmt: skip
            assert question["num_random"] == 8
            pages = [birds.more("ana", question["id"], page)["images"] for page in range(12)]
            assert {len(page) for page in pages[:9]} == {8}
            drawn = [*question["bands"]["random"], *(row for page in pages for row in page)]
            assert len(drawn) == len(set(drawn)) == SIZE - 12
            # The log says what was shown, whatever the number of the random samples is.
            shown = random_samples(step.first[number], 4 + band + 8 + 16)
            probes = {int(TRAIN_ROWS[one.sample]) for one in step.first[number].probes}
            assert TRAIN_ROWS[shown].tolist() == [row for row in drawn if row not in probes][: len(shown)]
            assert len(shown) == band + 16 - len(probes)
        birds.submit("ana", "a1", [answer(1, plain["id"], 1, shown=4 + band + 8)])
    (event,) = read_events(run)
    assert isinstance(event, Answered)
    assert event.shown == 4 + band + 8


def test_all_are_shown_at_once_by_default_and_in_small_clusters(run: Folder) -> None:
    with project(run) as birds:
        birds.open_step(clusters(1, size=SIZE), 0, OPEN)
        (question,) = birds.next("ana", "a1", [], 1)["questions"]
        assert len(question["bands"]["random"]) == question["num_random"] == 24
        assert len(birds.more("ana", question["id"], 0)["images"]) == 24
        assert birds.state("ana")["looks"] is None
    with project(run, looks=SEQUENTIAL) as birds:
        birds.open_step(clusters(1, size=36), 0, OPEN)
        (question,) = birds.next("ana", "a1", [], 1)["questions"]
        assert len(question["all"]) == 36


def seen_probe(seq: int, who: str, *, is_found: bool) -> Answered:
    """An answer of a person to a question with a probe of another class."""
    return Answered(
        seq=seq,
        id=f"{seq:032x}",
        who=who,
        time="",
        question=f"1.0.{seq}",
        kind=Kind.CLUSTER,
        answer=GivenAnswer.LABEL,
        label=0,
        purpose=Purpose.ROUND,
        timing=Timing(visible_ms=1),
        probes=(Probe(seq, 1),),
        probes_found=(seq,) if is_found else (),
    )


def test_page_knows_the_threshold_and_the_miss_rate(run: Folder) -> None:
    results = ProbeResults()
    for seq in range(1, FEWEST_PROBES):
        results.add(seen_probe(seq, "ana", is_found=seq > 3))
    assert SEQUENTIAL.for_page(results, "ana") == {"purity": 0.85, "more": 8, "miss_rate": 0.0}
    results.add(seen_probe(50, "ben", is_found=False))  # With it, all people have seen enough probes.
    assert [miss_rate(results, who) for who in ("ana", "ben", "cleo")] == [0.4, 0.4, 0.4]
    results.add(seen_probe(51, "ana", is_found=True))
    assert [miss_rate(results, who) for who in ("ana", "ben")] == [0.3, pytest.approx(4 / 11)]
    assert Looks().for_page(results, "ana") is None
    with project(run, looks=SEQUENTIAL) as birds:
        assert birds.state("ana")["looks"] == {"purity": 0.85, "more": 8, "miss_rate": 0.0}
