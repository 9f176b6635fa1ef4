"""Tests functions of the page that need no server: the clock, the bound, the search, the keys and the guidelines."""

from collections.abc import Iterator
from typing import Any

import pytest
from page_server import PageServer, Project


@pytest.fixture(scope="module")
def page(browser: Any) -> Iterator[Any]:
    with PageServer(Project([])) as server:
        page = browser.new_page()
        page.goto(f"{server.uri}/")
        yield page
        page.close()


def run(page: Any, module: str, body: str, argument: Any = None) -> Any:
    return page.evaluate(f"async (argument) => {{ const module = await import('/static/{module}'); {body} }}", argument)


SCRIPT = """
    const clock = new module.Clock(1000, argument.visible ?? true);
    for (const [what, time, value] of argument.events) {
        if (what === "input") clock.input(time);
        if (what === "visible") clock.setVisible(time, value);
        if (what === "paused") clock.setPaused(time, value);
    }
    return clock.timing(argument.end);
"""


@pytest.mark.parametrize(
    ("events", "end", "timing"),
    [
        ([], 2500, (1500, 1500, [])),
        ([], 11_000, (10_000, 10_000, [10_000])),
        ([("input", 6000)], 11_000, (10_000, 5000, [])),
        ([("input", 6001)], 11_002, (10_002, 5001, [5001, 5001])),
        # The person looks for 3 s, gives no input for 40 s, and is in another tab for 20 s.
        ([("input", 4000), ("visible", 44_000, False), ("visible", 64_000, True)], 64_000, (43_000, 3000, [40_000])),
        # The page is hidden in the middle of a pause, so only the visible part of the pause is a gap.
        ([("input", 2000), ("visible", 5000, False), ("visible", 95_000, True)], 99_000, (8000, 1000, [7000])),
        ([("paused", 2000, True), ("input", 50_000), ("paused", 60_000, False)], 61_000, (2000, 2000, [])),
        (
            [("paused", 2000, True), ("visible", 3000, False), ("paused", 4000, False), ("visible", 9000, True)],
            9500,
            (1500, 1500, []),
        ),
    ],
)
def test_clock(page: Any, events: list[Any], end: int, timing: tuple[int, int, list[int]]) -> None:
    found = run(page, "clock.js", SCRIPT, {"events": events, "end": end})
    assert (found["visible_ms"], found["first_input_ms"], found["gaps_ms"]) == timing


def test_clock_of_a_page_that_is_hidden_at_first(page: Any) -> None:
    found = run(page, "clock.js", SCRIPT, {"visible": False, "events": [("visible", 9000, True)], "end": 9700})
    assert found == {"visible_ms": 700, "first_input_ms": 700, "gaps_ms": []}


@pytest.mark.parametrize(
    ("share", "needed"), [(0.2, (14, 22, 30, 37)), (0.1, (29, 46, 61, 76)), (0.05, (59, 93, 124, 153))]
)
def test_bound_needs_the_known_numbers_of_images(page: Any, share: float, needed: tuple[int, ...]) -> None:
    body = """return argument.needed.map((seen, odd) =>
        [module.upperBound(odd, seen) <= argument.share, module.upperBound(odd, seen - 1) <= argument.share]);"""
    assert run(page, "bound.js", body, {"share": share, "needed": needed}) == [[True, False]] * len(needed)


def test_bound_is_the_one_of_scipy(page: Any) -> None:
    from scipy.stats import beta

    cases = [
        (odd, seen, alpha)
        for seen in (1, 2, 24, 48, 300)
        for odd in range(0, min(seen, 40))
        for alpha in (0.05, 0.0125)
    ]
    found = run(
        page, "bound.js", "return argument.map(([odd, seen, alpha]) => module.upperBound(odd, seen, alpha));", cases
    )
    assert found == pytest.approx([beta.ppf(1 - alpha, odd + 1, seen - odd) for odd, seen, alpha in cases], abs=1e-9)
    assert run(page, "bound.js", "return [module.upperBound(24, 24), module.upperBound(0, 0)];") == [1, 1]


@pytest.mark.parametrize(
    ("evidence", "text"),
    [
        (
            {"odd": 0, "seen": 24, "looks": 1, "all": False},
            "If none of the 24 random ones is odd, at least 88 % belong together (95 % sure)",
        ),
        (
            {"odd": 1, "seen": 24, "looks": 1, "all": False},
            "1 of 24 random ones is marked as odd: at least 81 % belong together (95 % sure)",
        ),
        # The second look may only use the remaining risk of 1.25 %. Without the first look, 0 odd images of 48 would
        # give 93 %.
        (
            {"odd": 0, "seen": 48, "looks": 2, "all": False},
            "If none of the 48 random ones is odd, at least 91 % belong together (95 % sure)",
        ),
        ({"odd": 3, "seen": 30, "looks": 1, "all": True}, "3 of all 30 are marked as odd"),
        ({"odd": 0, "seen": 30, "looks": 1, "all": True}, ""),
        (
            {"odd": 2, "seen": 22, "looks": 1, "all": False, "more": True},
            "2 of at least 22 random ones are marked as odd: at least 74 % belong together (95 % sure)",
        ),
        # Two of the images in the band may be hidden checks, so the bound is that of 22 images.
        (
            {"odd": 0, "seen": 22, "looks": 1, "all": False, "more": True},
            "If none of the random ones is odd, at least 87 % belong together (95 % sure)",
        ),
        (
            {"odd": 24, "seen": 24, "looks": 1, "all": False},
            "24 of 24 random ones are marked as odd: at least 0 % belong together (95 % sure)",
        ),
    ],
)
def test_evidence_in_words(page: Any, evidence: dict[str, Any], text: str) -> None:
    assert run(page, "bound.js", "return module.evidenceText(argument);", evidence) == text


@pytest.mark.parametrize(
    ("event", "action"),
    [
        ({"key": "1", "code": "Digit1"}, "label 0"),
        ({"key": "0", "code": "Digit0"}, "label 9"),
        ({"key": "&", "code": "Digit1"}, "label 0"),  # This key is on a French keyboard.
        ({"key": "1", "code": "Digit1", "shiftKey": True}, "label 0"),  # This key is on a French keyboard.
        ({"key": "/", "code": "Digit7", "shiftKey": True}, "search"),  # This key is on a German keyboard.
        ({"key": "!", "code": "Digit1", "shiftKey": True}, None),
        ({"key": "Z"}, "undo"),
        ({"key": "z", "ctrlKey": True}, "undo"),
        ({"key": "z", "metaKey": True}, "undo"),
        ({"key": "z", "ctrlKey": True, "shiftKey": True}, None),
        ({"key": "x", "ctrlKey": True}, None),
        ({"key": "1", "altKey": True}, None),
        ({"key": "Backspace"}, None),
        ({"key": "Delete"}, None),
        ({"key": " "}, "more"),
    ],
)
def test_keys(page: Any, event: dict[str, Any], action: str | None) -> None:
    assert run(page, "keys.js", "return module.actionOf(argument);", event) == action


def test_search_ranks_names(page: Any) -> None:
    names = ["Wagtail", "Grey Wagtail", "Towag", "Wood argus", "Éider", "Robin"]
    body = """const search = new module.Search(argument.names.map((name, id) => ({ id, name, count: 0 })), ["Robin"]);
        return argument.typed.map((typed) => search.find(typed).map((one) => one.name));"""
    found = run(page, "search.js", body, {"names": names, "typed": ["wag", "wagtail", "eid", "zzz", ""]})
    assert found[0] == ["Wagtail", "Grey Wagtail", "Towag", "Wood argus"]
    assert found[1][0] == "Wagtail"
    assert found[2] == ["Éider"]
    assert found[3] == []
    assert found[4][0] == "Robin"


def test_search_in_a_thousand_classes_takes_less_than_a_frame(page: Any) -> None:
    body = """
        const classes = Array.from({ length: 1000 }, (_, id) =>
            ({ id, name: `Species ${id} of the genus ${id * 7919 % 1000}`, count: 0 }));
        const search = new module.Search(classes);
        return ["s", "sp", "species 9", "gen 99", "x", "9"].map((typed) => {
            const start = performance.now();
            search.find(typed);
            return performance.now() - start;
        });"""
    times = run(page, "search.js", body)
    print("search in ms:", [round(one, 2) for one in times])
    assert max(times) < 16


def test_bundle_is_cut_into_its_pictures(page: Any) -> None:
    body = """
        const header = new TextEncoder().encode(JSON.stringify({ images: [[7, 3], [9, 2]] }));
        const bytes = new Uint8Array([0, 0, 0, header.length, ...header, 1, 2, 3, 4, 5]);
        const parts = module.unpack(bytes.buffer);
        return Promise.all(parts.map(async ([row, blob]) => [row, [...new Uint8Array(await blob.arrayBuffer())]]));"""
    assert run(page, "pictures.js", body) == [[7, [1, 2, 3]], [9, [4, 5]]]


@pytest.mark.parametrize(
    ("count", "checked", "text"),
    [
        (0, 0, "There is no example yet. Images that people label alone in a round become examples."),
        (1, 0, "This is a label that one person gave and nobody has checked."),
        (4, 0, "Each of these is a label that one person gave and nobody has checked."),
        (1, 1, "This was checked: two people agree, or somebody looked again."),
        (4, 4, "These were checked: two people agree, or somebody looked again."),
        (
            4,
            2,
            "The first 2 were checked: two people agree, or somebody looked again. Each of the others is a label that "
            "one person gave and nobody has checked.",
        ),
    ],
)
def test_source_of_examples(page: Any, count: int, checked: int, text: str) -> None:
    assert run(page, "guidelines.js", "return module.sourceOf(...argument);", [count, checked]) == text


@pytest.mark.parametrize(
    ("question", "answered", "size", "words"),
    [
        ({"purpose": "holdout"}, 12, 96, ("for measuring accuracy", "The model never learns from these images.")),
        # All images of the hold-out have a label, so the question checks one, whatever it looks like.
        ({"purpose": "holdout"}, 96, 96, ("for checking labels", "The model never learns from this answer.")),
        ({"purpose": "holdout"}, 0, 0, ("for checking labels", "The model never learns from this answer.")),
        ({"purpose": "round"}, 96, 96, ("", "")),
        ({"purpose": "round", "half_of": "0.0.1"}, 96, 96, ("half of a split cluster", "")),
        (
            {"purpose": "look_again"},
            *(96, 96),
            (
                "",
                "Something speaks against the label of this image. Yours counts from now on.",
            ),
        ),
    ],
)
def test_purpose_in_words(
    page: Any, question: dict[str, Any], answered: int, size: int, words: tuple[str, str]
) -> None:
    body = "return [module.purposeOf(...argument), module.subtitleOf(...argument)];"
    holdout = {"answered": answered, "size": size, "first": 20}
    assert tuple(run(page, "purpose.js", body, [question, holdout])) == words
