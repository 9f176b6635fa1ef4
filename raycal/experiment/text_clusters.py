"""Shows some of the clusters of texts of one iteration, as an HTML file that raycal can read back.

A picture of texts would be harder to read, could not be searched, and would need a font for every script.
"""

import html
from collections.abc import Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser

from raycal.algorithm.records import Answer, Interaction, Kind
from raycal.data import TextDataset
from raycal.data.excerpt import excerpt
from raycal.errors import counted
from raycal.experiment.montage import COLORS, WORDS, caption, spread

CLUSTERS, TEXTS = 6, 5  # the largest number of clusters per answer, and of texts per cluster
CHARACTERS = 140  # of a text
_STYLE = """
body { font: 15px/1.4 system-ui, sans-serif; margin: 1.5rem; color: #282828; background: #fff; }
main { display: grid; grid-template-columns: 1fr 1fr; gap: 0 2rem; }
h1, h2, h3 { font-size: 1rem; margin: 1rem 0 .3rem; }
li { overflow-wrap: anywhere; unicode-bidi: isolate; }
article { border-left: 4px solid; padding-left: .7rem; margin-bottom: 1rem; }
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextCluster:
    """A cluster with some of its texts.

    Attributes:
        caption: The answer, the purity and the number of texts.
        texts: The beginnings of some texts.
    """

    caption: str
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TextClusters:
    """Some of the clusters that were shown in an iteration.

    Attributes:
        title: The iteration and its number of clusters.
        headings: The number of clusters with each answer, in words.
        clusters: Some clusters with each answer, from the largest down.
    """

    title: str
    headings: dict[Answer, str] = field(default_factory=dict)
    clusters: dict[Answer, tuple[TextCluster, ...]] = field(default_factory=dict)


def choose(ledger: Sequence[Interaction], dataset: TextDataset) -> TextClusters | None:
    """Up to six clusters for each answer, spread over the sizes, with up to five texts each.

    The same ledger and texts give the same result. None if no cluster was shown.
    """
    shown = [row for row in ledger if row.kind is Kind.CLUSTER]
    if not shown:
        return None
    chosen = TextClusters(title=f"iteration {shown[0].iteration}, {counted(len(shown), 'cluster')}")
    for answer in COLORS:
        rows = sorted(
            (row for row in shown if row.answer is answer), key=lambda row: (-row.num_samples, row.interaction)
        )
        chosen.headings[answer] = f"{len(rows):,} {WORDS[answer]}"
        chosen.clusters[answer] = tuple(
            TextCluster(
                caption=excerpt(caption(row, dataset.class_names, dataset.noun), CHARACTERS),
                texts=tuple(
                    excerpt(dataset.texts[int(dataset.train_rows[index])], CHARACTERS)
                    for index in spread(row.indices.tolist(), TEXTS)
                ),
            )
            for row in spread(rows, CLUSTERS)
        )
    return chosen


def to_html(chosen: TextClusters) -> bytes:
    """A page with the clusters, accepted ones on the left and refused ones on the right. It runs no code and loads
    nothing."""
    lines = [
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        f"<title>{html.escape(chosen.title)}</title>",
        f"<style>{_STYLE}</style>",
        f"<h1>{html.escape(chosen.title)}</h1>",
        "<main>",
    ]
    for answer, color in COLORS.items():
        lines += [f'<section data-answer="{answer.value}">', f"<h2>{html.escape(chosen.headings[answer])}</h2>"]
        for cluster in chosen.clusters[answer]:
            lines += [
                f'<article style="border-color: rgb{color}">',
                f"<h3>{html.escape(cluster.caption)}</h3>",
                "<ul>",
                *(f'<li dir="auto">{html.escape(text)}</li>' for text in cluster.texts),
                "</ul>",
                "</article>",
            ]
        lines.append("</section>")
    return "\n".join([*lines, "</main>", "</html>", ""]).encode("utf-8", "replace")


def from_html(content: bytes) -> TextClusters | None:
    """The clusters of a page that `to_html` wrote, as plain text. None if `to_html` did not write the page."""
    reader = _Reader()
    reader.feed(content.decode("utf-8", "replace"))
    reader.close()
    return reader.result()


class _Reader(HTMLParser):
    """Collects the text of the elements that `to_html` writes; everything else is ignored."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._texts: dict[str, list[str]] = {"h1": [], "h2": []}
        self._found: dict[Answer, list[tuple[str, list[str]]]] = {}
        self._answer: Answer | None = None
        self._element = ""
        self._words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "section":
            given = dict(attrs).get("data-answer")
            self._answer = next((answer for answer in COLORS if answer.value == given), None)
            if self._answer is not None:
                self._found[self._answer] = []
        self._element, self._words = tag, []

    def handle_data(self, data: str) -> None:
        self._words.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag != self._element:
            return
        words = "".join(self._words)
        if tag in self._texts:
            self._texts[tag].append(words)
        elif tag == "h3" and self._answer is not None:
            self._found[self._answer].append((words, []))
        elif tag == "li" and self._answer is not None and self._found[self._answer]:
            self._found[self._answer][-1][1].append(words)
        self._element = ""

    def result(self) -> TextClusters | None:
        titles, headings = self._texts["h1"], self._texts["h2"]
        if len(titles) != 1 or len(headings) != len(COLORS) or self._found.keys() != COLORS.keys():
            return None
        return TextClusters(
            title=titles[0],
            headings=dict(zip(COLORS, headings, strict=True)),
            clusters={
                answer: tuple(TextCluster(caption=words, texts=tuple(texts)) for words, texts in found)
                for answer, found in self._found.items()
            },
        )
