"""Tests which known images are hidden in which questions."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from raycal.algorithm.questions import LabeledSamples, Probe, Question, StepQuestions
from raycal.algorithm.records import Kind
from raycal.people.answered import AnsweredByPeople
from raycal.people.events import Answered, GivenAnswer, Purpose, Timing
from raycal.people.fold import fold
from raycal.people.probes import (
    SETTINGS,
    EarlierAnswers,
    ProbeSettings,
    can_have_probes,
    earlier_answers,
    read_settings,
    with_probes,
    write_settings,
)
from raycal.people.shown import bands, first_shown, more_images, num_certainly_random, random_samples
from raycal.people.steps import STEPS, StepFiles
from raycal.storage.folder import Folder

NUM_CLUSTERS, SIZE = 40, 60
# The labeled images have the indices from 2400; every image lies on a line, at the place of its index.
FIRST_LABELED, NUM_LABELED = NUM_CLUSTERS * SIZE, 100
ROWS = np.arange(FIRST_LABELED + NUM_LABELED) * 3 + 1
NONE = EarlierAnswers()


def labeled() -> LabeledSamples:
    """A hundred images at the places 0, 24, 48 and so on of the line; every second one has class 0, the others 1."""
    number = np.arange(NUM_LABELED)
    return LabeledSamples(
        indices=FIRST_LABELED + number, labels=number % 2, features=(24.0 * number)[:, None].astype(np.float32)
    )


def question(number: int, size: int = SIZE, guess: int | None = 0) -> Question:
    indices = SIZE * number + np.arange(size)
    order = np.argsort(abs(indices - indices.mean()), kind="stable")
    return Question(
        id=f"2.0.{number}",
        by_distance=indices[order],
        embeddings=lambda: indices[order][:, None].astype(np.float32),
        guess=guess,
    )


def step(*questions: Question) -> StepQuestions:
    first = questions or tuple(question(number) for number in range(NUM_CLUSTERS))
    return StepQuestions(iteration=2, step=0, kind=Kind.CLUSTER, budget=len(first), first=first, labeled=labeled)


def chosen(of: StepQuestions) -> dict[str, tuple[Probe, ...]]:
    return {one.id: one.probes for one in of.first if one.probes}


def test_probes_are_among_the_nearest_labeled_images_of_another_class() -> None:
    with_some = with_probes(step(*map(question, range(20))), share=1, earlier=NONE, seed=0)

    assert len(chosen(with_some)) == 20
    assert {len(probes) for probes in chosen(with_some).values()} == {1, 2}
    assert {probe.label for probes in chosen(with_some).values() for probe in probes} == {1}
    first = chosen(with_probes(step(question(20)), share=1, earlier=NONE, seed=0))["2.0.20"]
    # The centroid lies at 1229.5, and the images of class 1 at 24, 72, 120 and so on: the ten nearest ones are at most
    # five steps of 48 away.
    assert all(abs(24 * (probe.sample - FIRST_LABELED) - 1229.5) <= 5 * 48 for probe in first)
    assert all((probe.sample - FIRST_LABELED) % 2 == 1 for probe in first)


def test_no_image_is_a_probe_twice() -> None:
    with_some = with_probes(step(*map(question, range(20))), share=1, earlier=NONE, seed=0)
    samples = [probe.sample for probes in chosen(with_some).values() for probe in probes]
    assert len(samples) == len(set(samples))
    later = with_probes(step(), share=1, earlier=earlier_answers([with_some], fold([])), seed=0)
    again = [probe.sample for probes in chosen(later).values() for probe in probes]
    assert again
    assert not set(again) & set(samples)
    assert len(again) + len(samples) == NUM_LABELED // 2  # After these, no image of class 1 is left.


def test_images_on_which_two_people_agree_are_preferred() -> None:
    agreed = {FIRST_LABELED + 53}
    for seed in range(10):
        of = with_probes(step(question(20)), share=1, earlier=EarlierAnswers(agreed=agreed), seed=seed)
        assert chosen(of) == {"2.0.20": (Probe(FIRST_LABELED + 53, 1),)}
    far = EarlierAnswers(agreed={FIRST_LABELED + 1})  # This image is not among the nearest ones.
    assert chosen(with_probes(step(question(20)), share=1, earlier=far, seed=0))["2.0.20"][0].sample > FIRST_LABELED + 9


def test_share_of_the_questions_gets_probes() -> None:
    counts = [len(chosen(with_probes(step(), share=0.15, earlier=NONE, seed=seed))) for seed in range(60)]
    # Of 2400 questions 360 are expected, with a standard deviation of 17.5.
    assert 300 < sum(counts) < 420
    assert chosen(with_probes(step(), share=0, earlier=NONE, seed=0)) == {}


def test_choice_depends_on_the_seed_and_the_question_alone() -> None:
    one, same, other = (with_probes(step(), share=0.5, earlier=NONE, seed=seed) for seed in (3, 3, 4))
    assert chosen(one) == chosen(same)
    assert chosen(one).keys() != chosen(other).keys()


@pytest.mark.parametrize(
    "without",
    [
        replace(question(0), guess=None),
        question(0, size=36),
        replace(question(0), embeddings=None),
    ],
)
def test_question_without_guess_or_that_is_shown_whole_gets_no_probe(without: Question) -> None:
    assert not can_have_probes(without)
    assert chosen(with_probes(step(without), share=1, earlier=NONE, seed=0)) == {}


def test_step_about_single_images_and_pool_without_another_class_get_no_probe() -> None:
    singles = replace(step(), kind=Kind.SAMPLE)
    assert with_probes(singles, share=1, earlier=NONE, seed=0) is singles
    of_one_class = replace(step(), labeled=lambda: replace(labeled(), labels=np.zeros(NUM_LABELED, np.int64)))
    assert chosen(with_probes(of_one_class, share=1, earlier=NONE, seed=0)) == {}
    nobody_labeled = replace(
        step(),
        labeled=lambda: LabeledSamples(
            indices=np.zeros(0, np.int64), labels=np.zeros(0, np.int64), features=np.zeros((0, 1), np.float32)
        ),
    )
    assert chosen(with_probes(nobody_labeled, share=1, earlier=NONE, seed=0)) == {}


def given(seq: int, name: str, who: str, label: int | None) -> Answered:
    return Answered(
        seq=seq,
        id=f"answer-{seq}",
        who=who,
        time="2026-01-01T00:00:00.000Z",
        question=name,
        kind=Kind.SAMPLE,
        answer=GivenAnswer.UNSURE if label is None else GivenAnswer.LABEL,
        label=label,
        purpose=Purpose.ROUND,
        timing=Timing(visible_ms=1000),
    )


def test_agreement_takes_two_people() -> None:
    singles = StepQuestions(
        iteration=0,
        step=0,
        kind=Kind.SAMPLE,
        budget=4,
        first=tuple(Question(id=f"0.0.{number}", by_distance=np.array([70 + number])) for number in range(4)),
    )
    answers = [
        *(given(1, "0.0.0", "ana", 1), given(2, "0.0.0", "bo", 1)),
        *(given(3, "0.0.1", "ana", 1), given(4, "0.0.1", "bo", 2)),
        *(given(5, "0.0.2", "ana", 1), given(6, "0.0.2", "ana", 1)),
        given(7, "0.0.3", "ana", None),
    ]
    assert earlier_answers([singles], fold(answers)) == EarlierAnswers(agreed={70}, used=set())


def test_page_gets_as_many_images_of_a_question_with_probes_as_of_any_other() -> None:
    for size in (37, 38, 59, 60, 61, 84, 85, 200):
        plain = question(3, size=size)
        for probes in ((Probe(2401, 1),), (Probe(2401, 1), Probe(2433, 1))):
            probed = replace(plain, probes=probes)
            for one in (plain, probed):
                assert [len(rows) for rows in bands(one, ROWS)["bands"].values()] == [4, 24, 8]
            pages = [[more_images(one, ROWS, page) for page in range(9)] for one in (plain, probed)]
            assert [len(page) for page in pages[0]] == [len(page) for page in pages[1]]
            shown = [*first_shown(step(probed), ROWS), *(row for page in pages[1] for row in page)]
            assert len(shown) == len(set(shown)) == size
            hidden = {int(ROWS[probe.sample]) for probe in probes}
            assert set(shown) - set(ROWS[plain.by_distance].tolist()) == hidden
            assert hidden < set(bands(probed, ROWS)["bands"]["random"])


def test_random_band_is_the_beginning_of_the_same_random_order() -> None:
    plain = question(3)
    probed = replace(plain, probes=(Probe(2401, 1), Probe(2433, 1)))
    hidden = {int(ROWS[2401]), int(ROWS[2433])}
    drawn = bands(plain, ROWS)["bands"]["random"]
    with_hidden = bands(probed, ROWS)["bands"]["random"]
    assert [row for row in with_hidden if row not in hidden] == drawn[:22]
    assert more_images(probed, ROWS, 0)[:2] == drawn[22:]
    assert ROWS[random_samples(probed, 36)].tolist() == drawn[:22]
    assert ROWS[random_samples(probed, 60)].tolist() == drawn[:22] + more_images(probed, ROWS, 0)
    assert random_samples(probed, 3).tolist() == []


def test_probes_are_in_all_places_of_the_random_band() -> None:
    places = np.zeros(24, int)
    for number in range(NUM_CLUSTERS):
        for other in range(20):
            one = replace(question(number), id=f"{other}.0.{number}", probes=(Probe(2401, 1),))
            places[bands(one, ROWS)["bands"]["random"].index(int(ROWS[2401]))] += 1
    # 800 questions in 24 places: about 33 are expected in each, with a standard deviation of 5.7.
    assert places.sum() == 800
    assert places.min() >= 12
    assert places.max() <= 60
    # The id of a question does not tell the place: two clusters with the same id have it elsewhere.
    same_id = [replace(question(number), id="1.0.1", probes=(Probe(2401, 1),)) for number in range(20)]
    assert len({bands(one, ROWS)["bands"]["random"].index(int(ROWS[2401])) for one in same_id}) > 5


def test_number_of_certainly_random_images_is_the_same_for_all_questions_of_a_step() -> None:
    assert num_certainly_random(step()) == 24
    one, two = question(0), replace(question(1), probes=(Probe(2401, 1),))
    assert num_certainly_random(step(one, two)) == 22


def test_step_is_read_with_its_probes_as_it_was_written(tmp_path: Path) -> None:
    files = StepFiles(Folder.at(str(tmp_path)))
    files.write(step())
    plain = (tmp_path / "iteration-002-step-0.json").read_bytes()
    assert b"probes" not in plain  # This is the form of earlier versions.
    with_some = with_probes(step(), share=0.3, earlier=NONE, seed=0)
    files.write(with_some)
    again = files.read(2, 0)
    assert again is not None
    assert chosen(again) == chosen(with_some) != {}


def test_settings_are_kept_and_a_project_without_them_has_no_probes(tmp_path: Path) -> None:
    run = Folder.at(str(tmp_path))
    assert read_settings(run) == ProbeSettings(share=0)
    write_settings(run, ProbeSettings(share=0.2))
    assert read_settings(run) == ProbeSettings(share=0.2)
    run.write(SETTINGS, b'{"share": ')
    assert read_settings(run) == ProbeSettings(share=0)


def test_worker_hides_probes_in_the_questions_it_writes(tmp_path: Path) -> None:
    run = Folder.at(str(tmp_path))
    write_settings(run, ProbeSettings(share=1.0))
    for _ in range(2):  # The second worker finds the questions of the first one.
        with pytest.raises(Exception, match="people have not answered step 0 of iteration 2 yet"):
            AnsweredByPeople(run, lambda: 2, seed=7).answers(2, 0, step, spent=0)
        written = StepFiles(run.folder(STEPS)).read(2, 0)
        assert written is not None
        assert chosen(written) == chosen(with_probes(step(), share=1, earlier=NONE, seed=7)) != {}
