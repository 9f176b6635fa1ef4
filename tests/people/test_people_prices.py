"""Tests that the estimated prices of a team equal the prices with which its bots answered, and that a simulation
accepts them."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from labeled_folder import label_folder

from raycal.config import load_sweep
from raycal.experiment import build
from raycal.people.fold import fold
from raycal.people.log import read_events
from raycal.people.price_words import expert_yaml, price_lines, prices_yaml
from raycal.people.prices import (
    Prices,
    TimedAnswer,
    fit_prices,
    rounded,
    timed_answers,
)
from raycal.sweep.__main__ import main


def bots(
    number: int,
    *,
    fixed: float = 3.0,
    per_image: float = 0.1,
    per_mark: float = 0.5,
    refused: float = 2.6,
    shown: tuple[int, int] = (4, 36),
    seed: int = 0,
) -> list[TimedAnswer]:
    """Answers to as many single images as clusters, with times that vary by 5 %. One answer in twenty includes a break
    of 10 to 40 seconds."""
    rng = np.random.default_rng(seed)
    answers = []
    for _ in range(number):
        images, marks, is_refused = int(rng.integers(shown[0], shown[1] + 1)), int(rng.poisson(0.3)), rng.random() < 0.2
        seconds = (refused if is_refused else fixed + per_mark * marks) + per_image * images
        late = rng.uniform(10, 40) if rng.random() < 0.05 else 0.0
        answers.append(
            TimedAnswer(
                is_cluster=True,
                is_refused=is_refused,
                shown=images,
                marked=0 if is_refused else marks,
                seconds=seconds * np.exp(rng.normal(0, 0.05)) + late,
            )
        )
        single = 2.0 * np.exp(rng.normal(0, 0.05))
        answers.append(TimedAnswer(is_cluster=False, is_refused=False, shown=1, marked=0, seconds=single))
    return answers


@pytest.mark.parametrize("seed", range(5))
def test_fit_finds_the_prices_of_the_bots(seed: int) -> None:
    prices = fit_prices(bots(600, seed=seed))

    assert prices.sample is not None
    assert prices.sample.seconds == pytest.approx(2.0, rel=0.05)
    assert prices.cluster is not None
    assert prices.cluster.seconds == pytest.approx(3.0, rel=0.05)
    assert prices.per_image is not None
    assert prices.per_image.seconds == pytest.approx(0.1, rel=0.05)
    assert prices.per_mark is not None
    assert prices.per_mark.seconds == pytest.approx(0.5, rel=0.2)
    assert prices.refused is not None
    assert prices.refused.seconds == pytest.approx(2.6, rel=0.05)
    for price in (prices.sample, prices.cluster, prices.per_image, prices.per_mark, prices.refused):
        assert price.low <= price.seconds <= price.high
    assert (prices.sample.number, prices.cluster.number + prices.refused.number) == (600, 600)


def test_intervals_cover_the_true_prices() -> None:
    fitted = [fit_prices(bots(100, seed=seed)) for seed in range(100)]

    def covered(name: str, truth: float) -> int:
        prices = [getattr(each, name) for each in fitted]
        return sum(price.low <= truth <= price.high for price in prices)

    assert covered("sample", 2.0) >= 93
    # The share is lower, because breaks make answers only longer and so shift the median.
    assert covered("cluster", 3.0) >= 90
    assert covered("per_image", 0.1) >= 90


def test_too_few_answers_give_no_price() -> None:
    prices = fit_prices(bots(8))

    assert prices.sample is prices.cluster is prices.per_image is prices.per_mark is prices.refused is None
    assert expert_yaml(prices) is None
    assert "single image: not known from 8 answers; at least 10 are needed" in price_lines(prices)
    text = prices_yaml(prices)
    assert text.endswith("# No price is known yet, so there is nothing to simulate with.")
    assert yaml.safe_load(text) is None
    assert fit_prices([]) == Prices(
        sample=None, cluster=None, per_image=None, per_mark=None, refused=None,
        num_samples=0, num_labeled=0, num_refused=0, mean_marked=0.0, most_shown=0,
    )  # fmt: skip


def test_price_of_an_image_is_not_known_if_all_clusters_showed_as_many() -> None:
    prices = fit_prices(bots(200, shown=(36, 36)))

    assert prices.per_image is None
    assert prices.cluster is not None
    assert prices.cluster.seconds == pytest.approx(3.0 + 36 * 0.1, rel=0.02)
    assert "seconds_per_image_shown" not in str(expert_yaml(prices))
    text = " ".join(prices_yaml(prices).replace("#", "").split())
    assert (
        "seconds_per_image_shown is left out. Each image of a cluster that is shown, in addition: not known, because "
        "nearly all clusters showed as many images; it is part of seconds_per_cluster."
    ) in text


def test_price_is_never_negative() -> None:
    faster = fit_prices(bots(200, fixed=8.0, per_image=-0.1, refused=6.0))
    through_origin = fit_prices(bots(200, fixed=-0.5, per_image=0.5, per_mark=0.0, refused=0.2))

    assert faster.per_image is not None
    assert faster.per_image.seconds == 0.0
    assert faster.cluster is not None
    assert 5.0 < faster.cluster.seconds < 8.0
    assert through_origin.cluster is not None
    assert through_origin.cluster.seconds == 0.0
    assert through_origin.per_image is not None
    assert 0.4 < through_origin.per_image.seconds < 0.5


def test_marks_of_an_average_cluster_are_a_part_of_its_price() -> None:
    prices = fit_prices(bots(600, per_mark=4.0))
    oracle = yaml.safe_load(expert_yaml(prices) or "")["expert"]["of"]

    assert prices.cluster is not None
    assert prices.per_mark is not None
    marks = prices.per_mark.seconds * prices.mean_marked
    assert oracle["seconds_per_cluster"] == pytest.approx(prices.cluster.seconds + marks, rel=0.01)
    assert oracle["seconds_per_cluster"] > prices.cluster.seconds + 0.8
    text = " ".join(prices_yaml(prices).replace("#", "").split())
    fixed = rounded(prices.cluster.seconds)
    assert f"A cluster that gets a label, without the images shown: {fixed} s (95 % " in text
    number = rounded(prices.mean_marked)
    assert f"To this, {rounded(marks)} s are added for the {number} images that were marked as odd in an" in text


def test_each_printed_line_has_a_comment_in_plain_words() -> None:
    shown = [20 + number % 20 for number in range(60)]
    answers = [
        TimedAnswer(is_cluster=True, is_refused=number % 3 == 0, shown=images, marked=0, seconds=3.0 + 0.125 * images)
        for number, images in enumerate(shown)
    ] + [TimedAnswer(is_cluster=False, is_refused=False, shown=1, marked=0, seconds=2.0)] * 9

    assert prices_yaml(fit_prices(answers), "text").splitlines() == [
        "# What an answer of this team takes, in seconds. In a sweep file with a dataset whose labels are",
        "# known, these lines let a simulation take the time of this team.",
        "experiment:",
        "  expert:",
        "    # The simulated person sees at most 36 texts of a cluster, as many as the page shows at once",
        "    # unless looks are sequential. They are drawn at random, like most of those on the page.",
        "    name: few_images",
        "    images_shown: 36",
        "    show: random",
        "    of:",
        "      # A person who knows the class of every text; only the times are those of the team.",
        "      name: oracle",
        "      # seconds_per_sample is left out. A single text: not known from 9 answers; at least 10 are",
        "      # needed; 4.2 s are taken instead.",
        "      # A cluster that gets a label, without the texts shown: 3 s (95 % interval 3 to 3 s, from 40",
        "      # labeled clusters).",
        "      seconds_per_cluster: 3",
        "      # Each text of a cluster that is shown, in addition: 0.125 s (95 % interval 0.125 to 0.125 s).",
        "      seconds_per_image_shown: 0.125",
        "      # A cluster that is refused as mixed or split, without the texts shown: 3 s (95 % interval 3",
        "      # to 3 s, from 20 refused clusters).",
        "      seconds_per_refused_cluster: 3",
    ]


def test_simulation_accepts_the_prices() -> None:
    text = prices_yaml(fit_prices(bots(200)))
    sweep = {"name": "team", **yaml.safe_load(text)}
    sweep["experiment"] |= {"dataset": "digits", "scenario": "uncertain+cluster"}

    (config,) = load_sweep(sweep, build.REGISTRIES).experiments.values()

    assert (config.expert.name, config.expert.images_shown, config.expert.show) == ("few_images", 36, "random")
    oracle = config.expert.options["of"]
    assert oracle["name"] == "oracle"
    assert oracle["seconds_per_sample"] == pytest.approx(2.0, rel=0.05)
    assert oracle["seconds_per_image_shown"] == pytest.approx(0.1, rel=0.05)
    assert oracle["seconds_per_refused_cluster"] == pytest.approx(2.6, rel=0.05)


def test_dry_run_of_a_sweep_accepts_the_printed_lines_as_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, printed = tmp_path / "team.yaml", prices_yaml(fit_prices(bots(200)))
    assert "name: few_images" in printed
    rest = ("dataset: digits", "model: {weights: none}", "scenario: cluster+uncertain", "iterations: 2")
    file.write_text("\n".join(["name: team", printed, *(f"  {line}" for line in rest)]))

    assert main([str(file), "--dry-run", "--local", "--storage", str(tmp_path / "runs")]) == 0

    captured = capsys.readouterr()
    assert "rough estimate" in captured.out
    assert captured.err == ""


def test_line_and_block_have_the_same_prices() -> None:
    for shown in ((4, 12), (4, 36), (36, 36)):
        prices = fit_prices(bots(100, shown=shown))
        assert yaml.safe_load(prices_yaml(prices))["experiment"] == yaml.safe_load(expert_yaml(prices) or "")


def test_time_of_an_answer_that_was_taken_back_belongs_to_the_next_one(tmp_path: Path) -> None:
    _, run_dir = label_folder(tmp_path, rounds=1)

    answers = timed_answers(fold(read_events(run_dir.folder)))

    clusters = [one for one in answers if one.is_cluster]
    assert clusters[0] == TimedAnswer(is_cluster=True, is_refused=False, shown=4, marked=0, seconds=2 * 3.4)
    assert clusters[1].seconds == pytest.approx(3.5)
    # The 14 answers about clusters are 12 first answers, one second opinion and one late answer. The 26 answers about
    # images are 20 about the hold-out, 4 first answers about other images, and two further answers.
    assert (len(clusters), len(answers) - len(clusters)) == (14, 26)
    prices = fit_prices(answers)
    assert prices.sample is not None
    assert prices.sample.seconds == 2.0
    assert prices.cluster is not None
    assert prices.cluster.seconds == pytest.approx(3.0)
    assert prices.per_image is not None
    assert prices.per_image.seconds == pytest.approx(0.1)
    assert prices.num_refused == 1
