import re
from functools import cache
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image
from small_runs import line, runs, supervised, trial

from raycal.report.cells import EMPTY, cell_text, kind, readable
from raycal.report.figures.plates import plates
from raycal.report.figures.slices import scenarios
from raycal.report.figures.style import looks
from raycal.report.page import page
from raycal.report.runs import Runs
from raycal.report.stats.answer import answers
from raycal.storage.folder import Folder
from raycal.storage.run_writer import RunWriter

RUNS = runs(trial("random", 0, [0.4, 0.6]), trial("cluster-only", 0, [0.5, 0.7]), supervised(0, 0.9))
TABLES = {
    "recommendation": pd.DataFrame({"answer": ["random has 0.5"]}),
    "summary": pd.DataFrame({"group": ["random"], "accuracy": [0.6]}),
    "failures": pd.DataFrame(columns=["experiment id", "reason"]),
}
HOSTILE = "</script><img src=x onerror=alert(1)>\"'&$\\frac$"


def html(of: Runs, tables: dict[str, pd.DataFrame] = TABLES) -> str:
    return page(of, plates(of), tables, looks(scenarios(of)))


@cache
def usual() -> str:
    """The page of `RUNS`, which is drawn once for all tests that only read it."""
    return html(RUNS)


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_page_needs_nothing_from_anywhere() -> None:
    text = usual()
    links = [
        value or ""
        for tag, attributes in Tags(text).found
        for name, value in attributes.items()
        if name in ("src", "href", "data", "action", "srcset")
    ]

    assert len(links) > 10
    assert all(link.startswith(("#", "data:", "tables/", "figures/")) for link in links)
    loaded = [attributes["src"] or "" for _, attributes in Tags(text).found if "src" in attributes]
    assert all(link.startswith("data:") for link in loaded)
    assert {tag for tag, _ in Tags(text).found} & {"link", "iframe", "object", "base"} == set()
    # The only URL is an XML namespace, which browsers never load.
    assert set(re.findall(r"https?://[^\s\"']+", text)) == {"http://www.w3.org/2000/svg"}
    assert set(re.findall(r"url\((.)", text)) == {"#"}
    assert "@import" not in text


def test_ids_are_unique() -> None:
    ids = [attributes["id"] for _, attributes in Tags(usual()).found if "id" in attributes]
    assert len(ids) == len(set(ids)) > 20


def test_same_runs_give_the_same_page() -> None:
    assert html(RUNS) == usual()


def test_answer_is_on_top() -> None:
    text = usual()
    (found,) = answers(RUNS)
    first, *others = found.paragraphs
    assert first.startswith("After 200 human interactions, cluster-only has the highest accuracy, 0.700: 0.100 more")
    assert f"<p>{first}</p>" in text
    assert all(f'<p class="more">{other}</p>' in text for other in others)
    assert text.index(first) < text.index(others[-1]) < text.index("<svg")


def test_hostile_names_are_only_text() -> None:
    failed = trial("random", 1, status="failed", reason=HOSTILE)
    of = runs(*RUNS.trials, failed, trial("random", 0, [0.5], dataset=HOSTILE), name=HOSTILE)
    tables = {key: pd.DataFrame({HOSTILE: [HOSTILE]}) for key in ("summary", "failures", "parity")}
    text = html(of, tables)
    tags = Tags(text).found

    assert "onerror" in text
    assert [tag for tag, _ in tags].count("script") == 1
    assert [tag for tag, _ in tags if tag == "img"] == []
    assert not any(name.startswith("on") for _, attributes in tags for name in attributes)


def test_incomplete_sweep_says_so() -> None:
    of = runs(*RUNS.trials, trial("random", 1, status="failed"), trial("random", 2, status="unfinished"))
    text = " ".join(html(of).split())

    assert "5 trials: 3 finished, 1 failed, 1 not finished" in text
    assert "about the 3 finished trials of 5" in text
    assert "not complete" not in usual()


def test_sweep_without_a_finished_trial_has_a_page() -> None:
    text = html(runs(trial("random", 0, status="unfinished")))
    assert "No trial has finished yet" in text
    assert "<svg" not in text


def test_settings_and_machine_are_told(tmp_path: Path) -> None:
    RunWriter(Folder.at(str(tmp_path))).write_environment({"device": "cpu of a test", "torch": "9.9"})
    text = html(runs(*RUNS.trials, trial("random", 1, [0.5], folder=str(tmp_path))))

    assert "cpu of a test" in text
    assert re.search(r'<th scope="row">seed</th><td class="long">0, 1</td>', text)
    assert "interactions_per_iteration: 100" in text
    assert "python -m raycal.sweep small.yaml" in text


def test_what_is_recorded_under_one_key_has_a_row_each(tmp_path: Path) -> None:
    RunWriter(Folder.at(str(tmp_path))).write_environment({"dataset": {"digest": "53ed", "num_train": 1437}})
    text = html(runs(trial("random", 1, [0.5], folder=str(tmp_path))))

    assert '<th scope="row">dataset digest</th><td class="long">53ed</td>' in text
    assert '<th scope="row">dataset num train</th><td class="long">1437</td>' in text


def test_print_says_how_much_of_a_long_table_it_leaves_out() -> None:
    long = pd.DataFrame({"group": [f"group {at}" for at in range(1041)]})
    text = html(RUNS, TABLES | {"pairwise": long})

    assert "The first 40 of 1,041 rows; tables/pairwise.csv has all." in text
    assert "tbody tr:nth-child(n + 41) { display: none; }" in text
    assert text.count("The first 40 of") == 1


def test_the_same_area_is_not_told_twice() -> None:
    names = ["AUBC", "AUBC on shared budget"]
    columns = ["group", *(f"{name}{end}" for name in names for end in ("", " low", " high"))]
    same = pd.DataFrame([["random", 0.5, 0.4, 0.6, 0.5, 0.4, 0.6]], columns=columns, dtype=object)
    other = same.assign(**{"AUBC on shared budget": 0.45})

    assert "on shared budget [95 %]" not in html(RUNS, TABLES | {"summary": same})
    assert "on shared budget [95 %]" in html(RUNS, TABLES | {"summary": other})


def test_clusters_are_shown_where_trials_left_pictures(tmp_path: Path) -> None:
    picture = BytesIO()
    Image.new("RGB", (4, 4)).save(picture, "PNG")
    for iteration in range(3):
        Folder.at(str(tmp_path)).write(f"clusters/iteration-00{iteration}.png", picture.getvalue())
    made = trial("cluster-only", 1, lines=[line(0, 0.5)], folder=str(tmp_path))
    pictures = [attributes for tag, attributes in Tags(html(runs(*RUNS.trials, made))).found if tag == "img"]

    assert [attributes["alt"] for attributes in pictures] == [
        f"Clusters of cifar10, cluster-only, seed 1, iteration {iteration}" for iteration in range(3)
    ]
    assert all((attributes["src"] or "").startswith("data:image/webp;base64,") for attributes in pictures)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, EMPTY),
        (float("nan"), EMPTY),
        ("", EMPTY),
        (1234567, "1,234,567"),
        (12345.6, "12,346"),
        (0.89312, "0.893"),
        (0.0000123, "1.2e-05"),
        (0.0, "0"),
        (12.345, "12.35"),
        (50.0, "50"),
        (1.0, "1.00"),
        (True, "yes"),
        ("a", "a"),
    ],
)
def test_cell(value: object, text: str) -> None:
    assert cell_text(value) == text


def test_kind_of_a_column() -> None:
    assert kind(["0.893 ± 0.003", EMPTY]) == "number"
    assert kind(["4 of 5", "9,855 [9,000, 9,900]", "at most"]) == ""
    assert kind(["words " * 10]) == "words"
    assert kind([EMPTY]) == ""
    assert kind(["3 seeds: no test"]) == ""
    assert kind(["2 of 3", "0.500 [0.400, 1.2e-05]", "-28"]) == "number"


def test_interval_is_in_the_cell_of_its_mean() -> None:
    frame = pd.DataFrame(
        [("d", 0.5, 0.4, 0.6, 0.9, 0.01, 0.8, 1.0, None, 0), ("d", 0.7, None, None, 0.8, None, None, None, None, 0)],
        columns=["dataset", "AUBC", "AUBC low", "AUBC high", "acc", "acc sd", "acc low", "acc high", "x", "failed"],
        dtype=object,
    )
    assert readable(frame) == {"AUBC [95 %]": ["0.500 [0.400, 0.600]", "0.700"], "acc ± sd": ["0.900 ± 0.010", "0.800"]}


def test_an_interval_is_promised_only_where_there_is_one() -> None:
    frame = pd.DataFrame({"x": [0.5], "x low": [None], "x high": [None], "y": [0.7], "y sd": [None]}, dtype=object)
    assert readable(frame) == {"x": ["0.500"], "y": ["0.700"]}


def test_a_seed_of_0_is_shown() -> None:
    frame = pd.DataFrame({"seed": [0, 0], "failed": [0, 0]}, dtype=object)
    assert readable(frame) == {"seed": ["0", "0"]}


def test_recipe_and_caveats_are_on_top() -> None:
    guessing = {"chance_accuracy": 0.5, "optimizer_steps": 9, "first_train_loss": 1.0, "train_loss": 0.5}
    text = html(runs(trial("random", 0, lines=[line(0, 0.4, **guessing)])))
    top = text[: text.index("<main>")]

    assert "recipe: 5 epochs, SGD with learning rate 0.001, batches of 64" in top
    assert "guessing, which reaches up to 0.500 here, in 1 of 1 iteration of random; train longer" in top
    assert "1 reason to doubt these results" in top


def test_page_of_an_earlier_version_has_its_recipe_and_no_caveats() -> None:
    top = usual()

    assert "recipe: 5 epochs, SGD with learning rate 0.001, batches of 64" in top
    assert "to doubt these results" not in top
