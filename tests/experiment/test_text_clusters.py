import html
from pathlib import Path

import numpy as np
import pytest
from small_iterations import sample
from small_runs import line, runs, trial
from test_montage import cluster

from raycal.algorithm.records import Answer
from raycal.data import TextDataset, Texts
from raycal.experiment.text_clusters import choose, from_html, to_html
from raycal.report.montages import galleries
from raycal.storage.folder import Folder

HOSTILE = "<script>alert(1)</script></li></ul> & \x00 \u202edesrever\u202c </h3><section data-answer='refused'>"


def dataset(texts: tuple[str, ...], names: tuple[str, ...] = ("cat", "dog")) -> TextDataset:
    return TextDataset(
        texts=Texts.of(("test text", *texts)),
        labels=np.zeros(len(texts) + 1, np.int64),
        train_rows=np.arange(1, len(texts) + 1),
        test_rows=np.array([0]),
        class_names=names,
    )


def test_clusters_are_shown_with_some_of_their_texts() -> None:
    texts = dataset(tuple(f"text number {row}" for row in range(30)))

    chosen = choose(
        [cluster(1, 3, accepted=True, begin=7), cluster(2, 20, accepted=False), cluster(3, 5, accepted=True)], texts
    )

    assert chosen is not None
    assert chosen.title == "iteration 2, 3 clusters"
    assert chosen.headings == {Answer.LABELED: "2 accepted", Answer.REFUSED: "1 refused"}
    large, small = chosen.clusters[Answer.LABELED]
    assert large.caption == "accepted as dog, purity 75%, 5 texts"
    assert small.texts == ("text number 7", "text number 8", "text number 9")
    (refused,) = chosen.clusters[Answer.REFUSED]
    assert refused.texts == tuple(f"text number {row}" for row in (0, 4, 8, 12, 16))


def test_iteration_without_clusters_has_no_page() -> None:
    assert choose([sample(label=1, indices=np.array([3], np.int64))], dataset(("a",) * 5)) is None


@pytest.mark.parametrize("words", [HOSTILE, "x" * 10**6, "مرحبا", "東京", "", "\n"])
def test_page_can_be_read_back_whatever_the_texts_are(words: str) -> None:
    chosen = choose([cluster(1, 2, accepted=True)], dataset((words, "other"), names=("cat", words or "dog")))
    assert chosen is not None

    page = to_html(chosen)

    assert from_html(page) == chosen
    assert len(page) < 3_000
    assert b"<script" not in page
    assert "\u202e".encode() not in page
    (shown,) = chosen.clusters[Answer.LABELED]
    assert html.escape(shown.texts[0], quote=False)[:20] in page.decode()


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"<h1>other</h1>", b"<li>" * 1000, b"<section data-answer='x'>"])
def test_other_page_is_not_taken_for_clusters(content: bytes) -> None:
    assert from_html(content) is None


def test_gallery_of_the_report_has_the_texts(tmp_path: Path) -> None:
    chosen = choose([cluster(1, 2, accepted=True)], dataset((HOSTILE, "other")))
    assert chosen is not None
    folder = Folder.at(str(tmp_path / "run"))
    folder.write("clusters/iteration-000.html", to_html(chosen))
    folder.write("clusters/iteration-001.html", b"damaged")

    (gallery,) = galleries(runs(trial("cluster-only", 0, lines=[line(0, 0.5)], folder=str(tmp_path / "run"))))

    (montage,) = gallery.montages
    assert montage.texts == chosen
    assert (montage.iteration, montage.uri, gallery.left_out) == (0, "", 1)
