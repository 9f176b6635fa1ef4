"""Tests the report of a project that people labeled: accuracy by minutes, seconds by kind, prices, and no words that
belong to sweeps."""

import csv
import html
import io
import json
import re
import socket
from pathlib import Path

import pytest
from labeled_folder import CONFIG, NUM_CLUSTERS, NUM_HOLDOUT, NUM_SAMPLES, label_folder
from scipy.stats import binomtest

from raycal.config.component import ComponentConfig
from raycal.people.paired import paired_interval
from raycal.people.stopping import StopRules, write_rules
from raycal.report.__main__ import main
from raycal.report.figures.plates import plates
from raycal.report.for_mlflow import sweep_description
from raycal.report.live import LiveReport
from raycal.report.people.plates import people_plates
from raycal.report.people.project import is_labeled_by_people, read_projects
from raycal.report.people.words import steps_of_people
from raycal.report.runs import read_runs
from raycal.report.tables import tables
from raycal.storage.lease import OWNER
from raycal.storage.sweep_dir import SweepDir

# Words that belong to simulations, comparisons or other commands, so this report must not have them.
STRANGE = (
    *("expert is asked", "Expert", "cluster label error", "label error", "simulated", "claim", "paper", "seed is"),
    *("supervis", "--resume", "raycal.sweep", "strategy is", "no winner", "interaction is", "penalty", "break-even"),
)
GONE = 2**22 + 1  # This number is above the largest process id of Linux.
ANSWERS = NUM_CLUSTERS + NUM_SAMPLES


def page_of(sweep_dir: SweepDir) -> str:
    return (sweep_dir.folder.folder("report").read("report.html") or b"").decode()


def words(page: str) -> str:
    """The text of a page without tags, styles, scripts and drawings, on one line."""
    for element in ("style", "script", "svg"):
        page = re.sub(rf"<{element}.*?</{element}>", " ", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def minutes_of(rounds: int) -> float:
    clusters = sum(3.0 + 0.1 * images for images in (*range(4, 4 + NUM_CLUSTERS), 4))
    return rounds * (clusters + 2.0 * NUM_SAMPLES) / 60


def test_report_of_texts_speaks_of_texts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = CONFIG.model_copy(update={"dataset": ComponentConfig(name="text", file="news.csv")})
    sweep_dir, _ = label_folder(tmp_path, config=config)

    assert main([sweep_dir.folder.place]) == 0

    text = words(page_of(sweep_dir)) + capsys.readouterr().out + sweep_description(read_runs(sweep_dir.folder))
    assert f"the accuracy on {NUM_HOLDOUT} test texts is 0.750" in text
    assert "Export the labels, the texts, and the model." in text
    assert "Each text of a cluster that is shown, in addition: 0.1 s" in text
    assert "annotated texts" in text
    # Images are only in the names of settings, such as seconds_per_image_shown.
    assert re.findall(r"[^.]{0,60}(?<!_)\bimages?\b(?!_)[^.]{0,30}", text.replace("folder of images", "")) == []
    with (Path(sweep_dir.folder.path) / "report" / "tables" / "rounds.csv").open() as file:
        assert {"annotated texts", "test texts"} <= {*next(csv.reader(file))}


@pytest.mark.parametrize(("rounds", "is_finished"), [(0, False), (1, False), (2, True)])
def test_report_says_nothing_that_is_meaningless_for_people(
    rounds: int, is_finished: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep_dir, _ = label_folder(tmp_path, rounds=rounds, is_finished=is_finished)

    assert main([sweep_dir.folder.place]) == 0

    text = words(page_of(sweep_dir)) + capsys.readouterr().out
    assert [word for word in STRANGE if word in text] == []
    assert ("python -m raycal.annotate birds.yaml --storage runs Go" in text) is False
    assert ("Go on labeling." in text) is not is_finished
    assert "python -m raycal.annotate birds.yaml --storage runs" in text.replace("runs  ", "runs ")


@pytest.mark.parametrize(("rounds", "planned", "says_so"), [(2, 2, True), (2, 3, False), (1, 2, False)])
def test_report_of_a_finished_project_says_how_to_go_on(
    rounds: int, planned: int, says_so: bool, tmp_path: Path
) -> None:
    config = CONFIG.model_copy(update={"iterations": planned})
    sweep_dir, _ = label_folder(tmp_path, rounds=rounds, config=config)

    steps = [step.words for step in steps_of_people(read_runs(sweep_dir.folder))]

    words = "All rounds are finished. To go on, raise `iterations` in the project file above 2."
    assert (words in steps) is says_so


def test_result_is_the_first_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep_dir, _ = label_folder(tmp_path)

    assert main([sweep_dir.folder.place]) == 0

    interval = binomtest(15, NUM_HOLDOUT).proportion_ci(0.95, method="wilson")
    assert capsys.readouterr().out.splitlines()[0] == (
        f"After 2 rounds with {2 * ANSWERS} answers, which took {minutes_of(2):.1f} minutes of human time, the "
        f"accuracy on 20 test images is 0.750 (95 % interval {interval.low:.3f} to {interval.high:.3f})."
    )


def test_figure_shows_accuracy_against_minutes_with_its_interval(tmp_path: Path) -> None:
    sweep_dir, _ = label_folder(tmp_path, is_finished=False)

    (plate,) = people_plates(read_projects(read_runs(sweep_dir.folder)))

    ((chart,),) = plate.rows
    (series,) = chart.series
    assert (chart.x_label, chart.y_label, chart.chance) == ("human time (minutes)", "test accuracy", 0.25)
    assert series.x == pytest.approx((minutes_of(1), minutes_of(2)))
    assert series.mean == (0.5, 0.75)
    intervals = [binomtest(right, NUM_HOLDOUT).proportion_ci(0.95, method="wilson") for right in (10, 15)]
    assert series.low == pytest.approx([interval.low for interval in intervals])
    assert series.high == pytest.approx([interval.high for interval in intervals])


def test_first_figure_of_the_page_has_the_intervals_in_its_tooltips(tmp_path: Path) -> None:
    sweep_dir, _ = label_folder(tmp_path)
    assert main([sweep_dir.folder.place]) == 0

    page = page_of(sweep_dir)

    assert page.index('id="accuracy"') == page.index("<section id=") + len("<section ")
    first = re.search(r'data-points="([^"]*)"', page)
    assert first is not None
    assert "test accuracy: 0.500 [0.299, 0.701]" in html.unescape(first[1]).replace("\\n", " ")


def test_seconds_are_shown_by_purpose_and_kind(tmp_path: Path) -> None:
    sweep_dir, run_dir = label_folder(tmp_path)
    assert main([sweep_dir.folder.place]) == 0

    table = (sweep_dir.folder.folder("report").read("tables/time.csv") or b"").decode()
    rows = [row[1:] for row in csv.reader(io.StringIO(table))][1:]

    assert rows == [
        ["round", "single image", "counts", str(2 * NUM_SAMPLES), "16"],
        ["round", "single image", "second opinion", "2", "4"],
        ["round", "single image", "too late for its round", "1", "2"],
        ["round", "cluster", "counts", str(2 * NUM_CLUSTERS), "94.8"],
        ["round", "cluster", "taken back", "2", "6.8"],
        ["round", "cluster", "second opinion", "2", "7"],
        ["round", "cluster", "too late for its round", "2", "6.2"],
        ["hold-out", "single image", "counts", str(NUM_HOLDOUT), "40"],
    ]
    paid = sum(float(row[-1]) for row in rows if row[0] == "round" and row[2] in ("counts", "taken back"))
    assert paid == pytest.approx(run_dir.results()[-1]["human_seconds"])
    assert f"All of this took {(paid + 4 + 2 + 7 + 6.2 + 40) / 60:.1f} minutes." in words(page_of(sweep_dir))


def test_report_has_the_prices_and_no_figure_of_a_person(tmp_path: Path) -> None:
    sweep_dir, _ = label_folder(tmp_path)
    assert main([sweep_dir.folder.place]) == 0

    page = page_of(sweep_dir)

    prices = ("seconds_per_sample: 2", "seconds_per_cluster: 3", "seconds_per_image_shown: 0.1")
    assert [price for price in prices if f" {price}\n" not in html.unescape(page)] == []
    assert "person-1" not in page
    assert "owner" not in page


def test_same_rounds_give_the_same_bytes_while_people_go_on(tmp_path: Path) -> None:
    sweep_dir, run_dir = label_folder(tmp_path, rounds=1, is_finished=False)
    assert main([sweep_dir.folder.place]) == 0
    report = sweep_dir.folder.folder("report")
    before = {name: report.read(name) for name in report.all_names()}

    segment = run_dir.folder.folder("people/answers").names()[-1]
    late = (run_dir.folder.read(f"people/answers/{segment}") or b"").splitlines()[-1]
    further = re.sub(rb'"seq":\d+,"id":"\w+"', b'"seq":9999,"id":"' + b"f" * 32 + b'"', late)
    run_dir.folder.write("people/answers/00000099.jsonl", further + b"\n")
    assert main([sweep_dir.folder.place]) == 0

    assert {name: report.read(name) for name in report.all_names()} == before
    # The files are the figure in three formats, three tables in two formats, and the page.
    assert len(before) == 3 + 6 + 1


def test_mlflow_gets_the_rounds_as_description(tmp_path: Path) -> None:
    runs = read_runs(label_folder(tmp_path)[0].folder)

    text = sweep_description(runs)

    assert text.startswith("- After 2 rounds with 32 answers")
    assert "| round | answers | human minutes | annotated images | test accuracy |" in text
    assert f"| 1 | {ANSWERS} | {minutes_of(1):.1f} | 300 | 0.500 (0.299 to 0.701) |" in text
    assert sweep_description(read_runs(label_folder(tmp_path / "new", rounds=0, is_finished=False)[0].folder)) == ""


def test_run_without_its_log_is_reported_without_times(tmp_path: Path) -> None:
    sweep_dir, run_dir = label_folder(tmp_path)
    for name in run_dir.folder.all_names():
        if name.startswith("people/"):
            run_dir.folder.remove(name)

    assert main([sweep_dir.folder.place]) == 0

    text = words(page_of(sweep_dir))
    assert "the accuracy on the test images is 0.750." in text
    assert "Where the time went" not in text
    assert "What an answer costs" not in text


def test_live_page_is_about_the_project(tmp_path: Path) -> None:
    sweep_dir, _ = label_folder(tmp_path, rounds=1, is_finished=False)
    owner = {"epoch": 1, "start": "s", "host": socket.gethostname(), "pid": GONE}
    sweep_dir.folder.write(OWNER, json.dumps(owner).encode())
    live = LiveReport([sweep_dir.folder.place])

    text = words(live.page().decode())

    assert "The project is not finished. Nobody can label now. python -m raycal.annotate continues it." in text
    assert "After 1 round with 16 answers" in text
    assert [word for word in STRANGE if word in text] == []
    assert (live.file("tables/time.csv") or b"").startswith(b"project,purpose")


def test_simulated_trial_beside_people_makes_a_comparison(tmp_path: Path) -> None:
    runs = read_runs(label_folder(tmp_path)[0].folder)
    oracle = runs.trials[0].config.model_copy(update={"expert": CONFIG.expert.model_copy(update={"name": "oracle"})})
    both = type(runs)(name="both", trials=(runs.trials[0], type(runs.trials[0])(
        experiment_id="other", config=oracle, scenario="random", status="finished", reason="", lines=(), folder="",
    )))  # fmt: skip

    assert is_labeled_by_people(runs)
    assert not is_labeled_by_people(both)
    assert [plate.kind for plate in plates(both)] == ["figure2", "figure3", "cost"]
    assert "Human time is measured if people labeled, and otherwise calculated" in plates(both)[-1].caption


def test_people_who_go_on_have_not_failed(tmp_path: Path) -> None:
    runs = read_runs(label_folder(tmp_path, rounds=1, is_finished=False)[0].folder)

    (reason,) = tables(runs)["failures"]["reason"]

    assert reason == "people have not answered all of its questions yet; python -m raycal.annotate goes on"


def test_report_says_what_the_last_round_gained_and_which_rule_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep_dir, run_dir = label_folder(tmp_path, goes_on=True, is_finished=False)
    write_rules(run_dir.folder, StopRules(target=0.9, minutes=1))

    assert main([sweep_dir.folder.place]) == 0

    text = words(page_of(sweep_dir))
    low, high = paired_interval(10, 5, 0, 5)
    interval = f"+{100 * low:.1f} to +{100 * high:.1f}"
    assert (
        f"Round 2 took {minutes_of(1):.1f} minutes and changed the accuracy by +25.0 points (95 % interval "
        f"{interval}), on the same 20 images. Another round probably changes it by +"
    ) in text
    assert (
        f"The stopping rule `minutes` says that this is enough: The rounds took {minutes_of(2):.1f} of the planned 1 "
        "minutes."
    ) in text
    with (Path(sweep_dir.folder.path) / "report" / "tables" / "rounds.csv").open() as file:
        first, second = csv.DictReader(file)
    assert first["gain"] == ""
    assert float(second["gain"]) == pytest.approx(0.25)
    assert (second["only this round right"], second["only the last round right"]) == ("5", "0")
    assert float(second["McNemar p"]) == pytest.approx(binomtest(5, 5).pvalue)


def test_report_says_who_missed_how_many_hidden_checks(tmp_path: Path) -> None:
    sweep_dir, run_dir = label_folder(tmp_path, has_probes=True)

    assert main([sweep_dir.folder.place]) == 0

    text = words(page_of(sweep_dir))
    assert (
        "People found 2 of 4 hidden checks, so they overlook about 50.0% of the odd images (95 % interval 6.8% to "
        "93.2%). Of 92 random images in 2 labeled clusters that could not be shown whole, 0 were marked as odd: with "
        "the overlooked ones, about 0.0% of the images in these clusters are odd, at most 58.2% (95 % sure)."
    ) in text
    low, high = binomtest(2, 4).proportion_ci(method="exact")
    with (Path(sweep_dir.folder.path) / "report" / "tables" / "probes.csv").open() as file:
        (row,) = csv.DictReader(file)
    with (Path(sweep_dir.folder.path) / "report" / "owner" / "probes.csv").open() as file:
        (of_person,) = csv.DictReader(file)
    assert of_person == {"project": row["project"], "person": "owner", **row}
    assert "person" not in row  # The other files of the report say nothing about single people.
    assert (row["hidden checks"], row["missed"], row["miss rate"]) == ("4", "2", "0.5")
    assert (float(row["miss rate low"]), float(row["miss rate high"])) == pytest.approx((low, high))
    assert (row["clusters"], row["random samples seen"], row["marked as odd"]) == ("2", "92", "0")
    most_odd = binomtest(0, 92).proportion_ci(method="exact").high
    assert float(row["odd share at most"]) == pytest.approx(most_odd / (1 - high))
    labeled = {index for number in (0, 1) for one in run_dir.ledger_of(number) for index in one.indices.tolist()}
    assert labeled.isdisjoint({250, 251, 252, 253})
    # MLflow shows the sweep to everybody, so its description names nobody.
    assert "hidden check" not in sweep_description(read_runs(sweep_dir.folder))


def test_owner_finds_the_first_answers_of_a_newcomer(tmp_path: Path) -> None:
    sweep_dir, run_dir = label_folder(tmp_path, has_newcomer=True)

    assert main([sweep_dir.folder.place]) == 0

    report = Path(sweep_dir.folder.path) / "report"
    with (report / "owner" / "first_answers.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert (row["person"], row["first answers"], row["right"], row["share right"]) == ("person-2", "10", "6", "0.6")
    interval = binomtest(6, 10).proportion_ci(method="wilson")
    assert float(row["share right low"]) == pytest.approx(interval.low)
    assert float(row["share right high"]) == pytest.approx(interval.high)
    assert "person-2" not in page_of(sweep_dir)
    with (report / "tables" / "time.csv").open() as file:
        (spent,) = [one for one in csv.DictReader(file) if one["purpose"] == "first answers of newcomers"]
    assert (spent["answers"], spent["seconds"]) == ("10", "20")
    plain, plain_run = label_folder(tmp_path / "without")
    assert main([plain.folder.place]) == 0
    assert not (Path(plain.folder.path) / "report" / "owner").exists()
    ledgers = {one.folder.read("ledger/iteration-000.parquet") for one in (run_dir, plain_run)}
    assert len(ledgers) == 1
    assert None not in ledgers


def test_report_without_hidden_checks_does_not_speak_of_them(tmp_path: Path) -> None:
    sweep_dir, _ = label_folder(tmp_path)
    assert main([sweep_dir.folder.place]) == 0
    assert "hidden check" not in page_of(sweep_dir)
    assert not (Path(sweep_dir.folder.path) / "report" / "tables" / "probes.csv").exists()
