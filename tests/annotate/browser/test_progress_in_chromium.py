"""Opens the panel that says what the rounds have reached and whether to stop, in Chromium."""

from pathlib import Path
from typing import Any

import pytest
from conftest import Tab
from page_server import PageServer, Project

GAIN = {"gain": 0.021, "low": -0.012, "high": 0.055, "number": 120, "won": 6, "lost": 3, "p_value": 0.5}
KAPPA = "a mean kappa of 0.982 on the same 120 images; the rule asks for 0.99"
RULES = [
    {"rule": "target", "holds": True, "text": "The accuracy is at least 80.2 %, and the target of 80.0 % is reached."},
    {"rule": "stable", "holds": False, "text": f"The models do not agree yet: {KAPPA}."},
    {"rule": "minutes", "holds": False, "text": "The rounds took 8.3 of the planned 60 minutes."},
]
PROGRESS: dict[str, Any] = {
    "minutes": 4.2,
    "forecast": {
        "gain": 0.012,
        "low": -0.02,
        "high": 0.044,
        "answers": 80,
        "minutes": 5.0,
        "gain_per_10_minutes": 0.024,
    },
    "rounds_left": 7,
    "samples_left": 640,
    "rules": RULES,
    "stop": "target",
    "automatically": False,
}


def result(iteration: int, gain: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "iteration": iteration,
        "accuracy": 0.85 + 0.021 * iteration,
        "low": 0.802,
        "high": 0.92,
        "num_test": 120,
        "annotated": 80,
        "human_minutes": 4.1 + 4.2 * iteration,
        "gain": gain,
    }


def panel_of(context: Any, photos: list[Path], progress: dict[str, Any], *results: dict[str, Any]) -> tuple[Tab, str]:
    project = Project(photos, phase="training", results=list(results), progress=progress)
    with PageServer(project) as server:
        tab = Tab(context, server, wait=False)
        tab.page.wait_for_selector(".progress", timeout=10_000)
        text = " ".join(tab.text(".panel").split())
        wide = tab.page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0
    return tab, text


def test_panel_says_what_another_round_is_worth_and_which_rule_suggests_to_stop(
    context: Any, photos: list[Path]
) -> None:
    tab, text = panel_of(context, photos, PROGRESS, result(0, None), result(1, GAIN))

    assert "87.1 % on 120 images, between 80.2 and 92.0 % (95 % sure)" in text
    assert "This may be enough" in text
    assert "last round +2.1 points \N{MINUS SIGN}1.2 to +5.5 (95 % sure), on the same 120 images; 4.2 min" in text
    assert "next round +1.2 points expected; \N{MINUS SIGN}2.0 to +4.4 (95 % sure), in about 5.0 min" in text
    assert "in 10 minutes +2.4 points" in text
    assert "left 7 rounds 640 images without a label of their own; 20 images for measuring" in text
    assert f"Stop by the rule target: {RULES[0]['text']}" in text
    assert f"Rule stable: {RULES[1]['text']}" in text
    assert f"Rule minutes: {RULES[2]['text']}" in text
    assert "Nothing stops by itself" in text
    assert tab.errors == []


def test_panel_without_predictions_says_that_the_gain_is_not_known(context: Any, photos: list[Path]) -> None:
    progress = PROGRESS | {"forecast": None, "stop": None, "rules": RULES[1:], "automatically": True}

    tab, text = panel_of(context, photos, progress, result(0, None), result(1, None))

    assert "its gain is not known, because the model before it left no predictions; 4.2 min" in text
    assert "next round \N{EN DASH} its gain can be estimated after two rounds" in text
    assert "Is another round worth it?" in text
    assert "the project ends by itself after a round when a rule holds" in text
    assert tab.errors == []


def test_panel_shows_the_rules_although_nobody_has_labeled_an_image_for_measuring(
    context: Any, photos: list[Path]
) -> None:
    agree = "The models agree: a mean kappa of 0.993 on the same 400 images; the rule asks for 0.99."
    rules = [{"rule": "stable", "holds": True, "text": agree}]

    tab, text = panel_of(context, photos, PROGRESS | {"forecast": None, "rules": rules, "stop": "stable"})

    assert "This may be enough" in text
    assert "accuracy \N{EN DASH} no image for measuring has a label" in text
    assert "its gain is not known, because no image for measuring has a label; 4.2 min" in text
    assert "next round \N{EN DASH} its gain cannot be estimated without such labels" in text
    assert f"Stop by the rule stable: {agree}" in text
    assert "Nothing stops by itself" in text
    assert tab.errors == []


def test_only_rounds_that_end_while_the_page_is_open_are_told_as_news(context: Any, photos: list[Path]) -> None:
    earlier = [result(0, None), result(1, GAIN)]
    # The server has just started: it is still reading the images, and the model has to learn again from two rounds.
    project = Project(photos, phase="training", results=earlier[:1], rounds_before=2, is_open=False)
    with PageServer(project) as server:
        tab = Tab(context, server, wait=False)
        tab.page.wait_for_selector(".panel", timeout=10_000)
        told = tab.page.locator("[data-notice=result]")
        for results in (earlier[:1], earlier):
            with project.lock:
                project.is_open, project.results = True, results
            tab.page.wait_for_function(f"() => document.querySelectorAll('.chart .dot').length === {len(results)}")
            assert told.count() == 0
        with project.lock:
            project.results = [*earlier, result(2, GAIN)]
        told.wait_for(timeout=10_000)
        assert tab.text("[data-notice=result]").startswith("Round 3: accuracy 89.2 % on 120 images")
    assert tab.errors == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_panel_fits_a_narrow_screen(browser: Any, photos: list[Path], scheme: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 800}, color_scheme=scheme)
    short = PROGRESS["forecast"] | {"minutes": 0.2, "gain_per_10_minutes": None}
    tab, text = panel_of(context, photos, PROGRESS | {"forecast": short}, result(0, None), result(1, GAIN))

    assert "Stop by the rule target" in text
    assert "in about 0.2 min" in text
    assert "in 10 minutes" not in text
    assert tab.errors == []
    context.close()
