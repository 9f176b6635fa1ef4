"""Tests the bounds of a page that looks sequentially, on simulated clusters and people, and the line that it shows."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from page_server import PageServer, Project
from real import Annotator
from scipy.stats import beta
from small_project import NUM_IMAGES, clusters, dataset
from small_project import project as small_project

from raycal.annotate.serve import AnnotationServer, ServerOptions
from raycal.annotate.tokens import Tokens
from raycal.data.pictures import Pictures
from raycal.people.looks import Looks
from raycal.people.memory import OPEN
from raycal.storage.folder import Folder

LOOK = 8
SEQUENTIAL = {"purity": 0.8, "more": LOOK, "miss_rate": 0}
# The images of a cluster besides those from which the random ones are drawn.
EDGE = 12
BOUNDS = """
    const { oddBounds } = await import("/static/sequential.js");
    return argument.map(([population, seen, marked, miss]) => oddBounds({ population, seen, marked, miss }));
"""
DECISIONS = """
    const { alikeBounds, decision, isWorthLooking } = await import("/static/sequential.js");
    return argument.data.map(([seen, odd]) => {
      const data = { odd, least: odd, seen, population: argument.population, edge: 0, size: argument.size };
      return [decision(alikeBounds(data, 0), argument.looks.purity), isWorthLooking(data, argument.looks)];
    });
"""


@pytest.fixture(scope="module")
def page(browser: Any) -> Iterator[Any]:
    with PageServer(Project([])) as server:
        page = browser.new_page()
        page.goto(f"{server.uri}/")
        yield page
        page.close()


def run(page: Any, body: str, argument: Any) -> Any:
    return page.evaluate(f"async (argument) => {{ {body} }}", argument)


def marks(rng: np.random.Generator, odd: int, population: int, miss: float) -> list[int]:
    """How many of the first images, in a random order, a person marks: after 0 images, after one, and so on."""
    is_marked = (rng.permutation(population) < odd) & (rng.random(population) >= miss)
    return [0, *np.cumsum(is_marked).tolist()]


@pytest.mark.parametrize(("least", "most"), [(0.0, 1.0), (0.15, 0.25)])
@pytest.mark.parametrize("miss", [0.0, 0.2])
def test_bounds_of_all_looks_hold_together(page: Any, miss: float, least: float, most: float) -> None:
    """In at least 95 of 100 clusters the true number of odd images is within the bounds of every look."""
    truth, asked = [], list[Any]()
    for seed in range(100):
        rng = np.random.default_rng(seed)
        population = int(rng.integers(30, 300))
        odd = round(float(rng.uniform(least, most)) * population)
        seen = range(LOOK, min(population, 80) + 1, LOOK)
        marked = marks(rng, odd, population, miss)
        asked += [(population, number, marked[number], miss) for number in seen]
        truth += [(seed, odd)] * len(seen)
    bounds = run(page, BOUNDS, asked)
    missed = {seed for (seed, odd), (low, high) in zip(truth, bounds, strict=True) if not low <= odd <= high}
    assert len(missed) <= 5


def test_large_clusters_have_the_bounds_of_a_binomial_share_and_small_ones_are_known_in_the_end(page: Any) -> None:
    (large, huge), (all_seen, overlooked) = (
        run(page, BOUNDS, asked)
        for asked in ([(4000, 24, 1, 0.0), (40_000, 24, 1, 0.0)], [(28, 28, 2, 0.0), (28, 28, 2, 0.1)])
    )
    assert [one / 4000 for one in large] == pytest.approx([one / 40_000 for one in huge], abs=0.01)
    assert all_seen == [2, 2]
    assert overlooked[0] == 2 < overlooked[1]
    # A bound of one look alone, by Clopper and Pearson, would be lower.
    assert large[1] / 4000 > beta.ppf(0.95, 2, 23)


class Cluster(NamedTuple):
    """A simulated cluster that is labeled or refused after some looks, or after 24 random images at once.

    Attributes:
        odd: The number of odd images.
        in_looks: Whether the looks have decided that it is pure, so that it gets a label.
        shown: The number of images that the looks have shown.
        num_looks: The number of looks.
        marked: The number of odd images among these.
        at_once: Whether it gets a label by 24 random images at once.
        marked_at_once: The number of odd images among these.
    """

    odd: int
    in_looks: bool
    shown: int
    num_looks: int
    marked: int
    at_once: bool
    marked_at_once: int


def shown_clusters(page: Any, nearly_pure: float, population: int, number: int) -> Iterator[Cluster]:
    """Simulated clusters and a person who does what the page says: marks what is odd, and looks again while the page
    asks for it.

    Args:
        nearly_pure: The share of clusters that are nearly pure. The others have any share of odd images.
        population: The number of images besides those at the edge, which are never odd.
    """
    data = [(seen, odd) for seen in range(LOOK, min(population, 80) + 1, LOOK) for odd in range(seen + 1)]
    argument = {"data": data, "population": population, "size": population + EDGE, "looks": SEQUENTIAL}
    outcome = dict(zip(data, run(page, DECISIONS, argument), strict=True))
    most_odd = max(odd for odd in range(24) if beta.ppf(0.95, odd + 1, 24 - odd) <= 0.2)
    rng = np.random.default_rng(0)
    for _ in range(number):
        share = rng.beta(0.3, 8) if rng.random() < nearly_pure else rng.random()
        odd = round(float(share) * population)
        found = marks(rng, odd, population, 0.0)
        seen = LOOK
        while outcome[seen, found[seen]] == ["undecided", True]:
            seen += LOOK
        is_pure = outcome[seen, found[seen]][0] == "pure"
        yield Cluster(odd, is_pure, EDGE + seen, seen // LOOK, found[seen], found[24] <= most_odd, found[24])


def label_error(clusters: Sequence[Cluster], size: int, *, in_looks: bool) -> float:
    """The share of wrong labels that clusters give to the images that nobody marked."""
    labeled = [one for one in clusters if (one.in_looks if in_looks else one.at_once)]
    marked = [one.marked if in_looks else one.marked_at_once for one in labeled]
    return (sum(one.odd for one in labeled) - sum(marked)) / (size * len(labeled) - sum(marked))


@pytest.mark.parametrize(
    ("nearly_pure", "population", "images", "labels"),
    [(0.5, 60, 0.71, 1.02), (0.7, 60, 0.75, 1.01), (0.5, 200, 0.72, 0.98), (0.7, 200, 0.76, 0.98),
     (0.5, 1000, 0.72, 0.97), (0.7, 1000, 0.76, 0.98)],
)  # fmt: skip
def test_fewer_images_lead_to_labels_that_are_as_good(
    page: Any, nearly_pure: float, population: int, images: float, labels: float
) -> None:
    """Compare with 24 random images at once, of which the exact bound of one look must reach the threshold.

    The images shown and the number of labeled clusters are compared with those at once. Labels of clusters of 72 images
    have more errors than those at once, because that bound is for an infinite cluster, and so refuses more of them.
    """
    clusters = list(shown_clusters(page, nearly_pure, population, 20_000))
    size = population + EDGE
    is_mixed = np.array([one.odd for one in clusters]) > 0.2 * size
    in_looks, at_once = (np.array([getattr(one, name) for one in clusters]) for name in ("in_looks", "at_once"))
    shown = np.mean([one.shown for one in clusters])
    errors = [label_error(clusters, size, in_looks=one) for one in (True, False)]
    assert shown / 36 == pytest.approx(images, abs=0.006)
    assert in_looks.mean() / at_once.mean() == pytest.approx(labels, abs=0.01)
    assert np.mean([one.num_looks for one in clusters]) <= 2
    # Also per label the images are at most 0.8 times as many.
    assert shown / 36 / (in_looks.mean() / at_once.mean()) <= 0.8
    assert in_looks[is_mixed].mean() <= 0.003
    if population > 60:
        assert errors[0] <= errors[1]


@pytest.mark.parametrize(
    ("odd", "seen", "miss", "hidden", "shown", "decided"),
    [
        (0, 8, 0, 0, "If none of the 8 random ones is odd: at least 68 % alike (95 % sure)",
         "Undecided for 80 %: 8 more (Space) without an odd one would show 82 %."),
        (0, 16, 0, 0, "If none of the 16 random ones is odd: at least 82 % alike (95 % sure)",
         "Decided: 80 % or more, so a class fits."),
        (6, 8, 0, 0, "6 of 8 random are marked as odd: at most 79.3 % alike (95 % sure)",
         "Decided: fewer than 80 %, so X fits."),
        # Some of the marks may be on hidden checks.
        (6, 8, 0, 2, "6 of at least 8 random are marked as odd: at least 6 % alike (95 % sure)",
         "Undecided for 80 %, and it takes at least 64 more without an odd one: X or S saves time."),
        # Only marks that are certainly on no hidden check speak against another look.
        (3, 8, 0, 2, "3 of at least 8 random are marked as odd: at least 19 % alike (95 % sure)",
         "Undecided for 80 %: it takes at least 40 more (Space) without an odd one."),
        (2, 8, 0, 0, "2 of 8 random are marked as odd: at least 28 % alike (95 % sure)",
         "Undecided for 80 %, and it takes at least 32 more without an odd one: X or S saves time."),
        (1, 8, 0, 0, "1 of 8 random is marked as odd: at least 41 % alike (95 % sure)",
         "Undecided for 80 %: it takes at least 24 more (Space) without an odd one."),
        (20, 24, 0, 8, "20 of at least 24 random are marked as odd: at least 8 % alike (95 % sure)",
         "Undecided for 80 %, and 80 more without an odd one would not decide."),
        (0, 8, 0, 2, "If none of the random ones is odd: at least 68 % alike (95 % sure)",
         "Undecided for 80 %: 8 more (Space) without an odd one would show 82 %."),
        (1, 16, 0, 0, "1 of 16 random is marked as odd: at least 66 % alike (95 % sure)",
         "Undecided for 80 %: it takes at least 16 more (Space) without an odd one."),
        (0, 16, 0.2, 0, "If none of the 16 random ones is odd: at least 77 % alike (95 % sure, if you overlook 20 %)",
         "Undecided for 80 %: 8 more (Space) without an odd one would show 84 %."),
    ],
)  # fmt: skip
def test_line_in_words(page: Any, odd: int, seen: int, miss: float, hidden: int, shown: str, decided: str) -> None:
    body = """const { sequentialText } = await import("/static/sequential.js");
        return sequentialText(argument.seen, argument.looks, argument.hidden);"""
    data = {"odd": odd, "least": max(0, odd - hidden), "seen": seen, "population": 200, "edge": 0, "size": 212}
    looks = SEQUENTIAL | {"miss_rate": miss}
    assert run(page, body, {"seen": data, "looks": looks, "hidden": hidden > 0}) == f"{shown}. {decided}"


@pytest.mark.parametrize(("left", "advises"), [(9, "X or S saves time."), (8, "Space shows all the rest.")])
def test_look_that_shows_all_the_rest_is_never_advised_against(page: Any, left: int, advises: str) -> None:
    body = """const { sequentialText, isWorthLooking } = await import("/static/sequential.js");
        return [sequentialText(argument.seen, argument.looks, true), isWorthLooking(argument.seen, argument.looks)];"""
    data = {"odd": 5, "least": 5, "seen": 24, "population": 24 + left, "edge": 0, "size": 36 + left}
    line, is_worth_looking = run(page, body, {"seen": data, "looks": SEQUENTIAL})

    assert line.endswith(advises)
    assert is_worth_looking == (left == 8)


@pytest.fixture(params=[(1280, "light"), (390, "dark")], ids=["wide", "narrow"])
def labeling(browser: Any, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Annotator]:
    """A person who labels clusters of 90 images sequentially."""
    width, scheme = request.param
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    folder = Folder.at(str(tmp_path))
    pixels = np.random.default_rng(0).integers(0, 255, (NUM_IMAGES, 8, 8, 3), np.uint8)
    tokens, images = Tokens(folder.folder("people")), replace(dataset(), images=pixels)
    with (
        small_project(folder, looks=Looks(sequential=True)) as project,
        Pictures(images) as pictures,
        AnnotationServer(project, pictures, tokens, ServerOptions(port=0)) as server,
    ):
        project.open_step(clusters(5, size=90), 0, OPEN)
        person = Annotator(context, f"http://127.0.0.1:{server.port}/#t={tokens.invite('Ana')}")
        yield person
        assert person.errors == []
    context.close()


def line(person: Annotator) -> str:
    return str(person.page.inner_text("#evidence"))


def mark(person: Annotator, band: str, places: Sequence[int]) -> None:
    for place in places:
        person.page.click(f".band.{band} .tile >> nth={place}")


def test_line_follows_the_marks_and_the_looks(labeling: Annotator) -> None:
    person = labeling
    question = person.next_question()
    assert person.page.locator(".tile").count() == 20
    assert "Undecided for 80 %: 8 more (Space)" in line(person)
    person.page.wait_for_timeout(270)
    person.page.keyboard.press("Space")
    person.page.wait_for_function("() => document.querySelectorAll('.tile').length === 28")
    assert line(person).startswith("If none of the 16 random ones is odd: at least 85 %")
    assert line(person).endswith("Decided: 80 % or more, so a class fits.")
    assert person.question() == question  # The page answers nothing by itself.
    mark(person, "farthest", range(8))  # Each of these is known to be odd, so the cluster is less pure.
    assert line(person).startswith("0 of 16 random are marked as odd: at least 76 %")
    mark(person, "random", range(12))
    assert "so X fits." in line(person)
    assert not person.page.evaluate("document.documentElement.scrollWidth > innerWidth")
    person.press("x")
    assert person.next_question()["id"] != question["id"]
    assert line(person).startswith("If none of the 8 random ones is odd: ")
