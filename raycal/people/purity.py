"""How pure labeled clusters are: from the images that people marked in the random band, and from the probes that they
missed.

The random band of a cluster is a simple random sample of the images between the nearest and the farthest ones, so the
share of marks in it estimates the share of odd images. People overlook some of them. If they miss the share m of the
probes, they probably also miss the share m of the odd images, so the share of odd images is about x / r / (1 - m), with
x marks among r random images.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from raycal.algorithm.questions import StepQuestions
from raycal.algorithm.records import Kind
from raycal.errors import counted
from raycal.people.events import GivenAnswer
from raycal.people.exact_interval import exact_upper_bound
from raycal.people.fold import Book
from raycal.people.probe_results import MissRate, ProbeResults
from raycal.people.shown import FEW, random_samples


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomBand:
    """The random images of a labeled cluster that a person saw.

    Attributes:
        who: The pseudonym of the person.
        seen: The number of random images on the page, without probes.
        odd: How many of these the person marked.
    """

    who: str
    seen: int
    odd: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OddShare:
    """The share of odd images in labeled clusters, before the marked ones are taken out.

    Attributes:
        clusters: The number of clusters.
        seen: The number of random images that people saw in them.
        odd: How many of these they marked.
        share: The estimated share of odd images, corrected by the miss rate.
        at_most: The upper end of its one-sided 95 % interval.
    """

    clusters: int
    seen: int
    odd: int
    share: float
    at_most: float


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityOfClusters:
    """What probes and marks say about the labels of clusters.

    Attributes:
        misses: How many probes all people together missed.
        misses_by_person: The same for each person, by pseudonym.
        odd: The share of odd images. None without a probe that says something, or without a labeled cluster that was
            not shown whole.
        odd_by_person: The same for the clusters that one person labeled, corrected by the miss rate of this person.
    """

    misses: MissRate
    misses_by_person: dict[str, MissRate]
    odd: OddShare | None
    odd_by_person: dict[str, OddShare]

    def sentences(self, noun: str) -> list[str]:
        """What the figures of all people together say.

        Args:
            noun: The word for one sample.
        """
        found, shown = self.misses.shown - self.misses.missed, self.misses.shown
        low, high = self.misses.interval
        sentences = [
            f"People found {found:,} of {counted(shown, 'hidden check')}, so they overlook about "
            f"{self.misses.share or 0:.1%} of the odd {noun}s (95 % interval {low:.1%} to {high:.1%})."
        ]
        if self.odd is not None:
            odd, clusters = self.odd, counted(self.odd.clusters, "labeled cluster")
            most = f"at most {odd.at_most:.1%} (95 % sure)"
            if odd.at_most == 1:
                most = "and so few checks give no upper limit"
            sentences.append(
                f"Of {odd.seen:,} random {noun}s in {clusters} that could not be shown whole, {odd.odd:,} "
                f"{'was' if odd.odd == 1 else 'were'} marked as odd: with the overlooked ones, about {odd.share:.1%} "
                f"of the {noun}s in these clusters are odd, {most}. Marked {noun}s did not get the label."
            )
        return sentences


def quality_of_clusters(book: Book, steps: Iterable[StepQuestions]) -> QualityOfClusters | None:
    """What probes and marks say about the labels of clusters. None if no answer says anything about a probe.

    Args:
        book: The answers.
        steps: The questions of all steps to which these answers belong.
    """
    results = ProbeResults(book.events.values())
    if not results.of_all.shown:
        return None
    bands = random_bands(book, steps)
    by_person = {
        who: odd_share([band for band in bands if band.who == who], rate) for who, rate in results.by_person.items()
    }
    return QualityOfClusters(
        misses=results.of_all,
        misses_by_person=results.by_person,
        odd=odd_share(bands, results.of_all),
        odd_by_person={who: share for who, share in by_person.items() if share is not None},
    )


def random_bands(book: Book, steps: Iterable[StepQuestions]) -> list[RandomBand]:
    """The random images of all labeled clusters that were too large to be shown whole, by the answers that count."""
    bands = []
    for step in steps:
        if step.kind is not Kind.CLUSTER:
            continue
        for question in step.known(book.replies(step)):
            event = book.counted(question.id)
            if event is None or event.answer is not GivenAnswer.LABEL or len(question.by_distance) <= FEW:
                continue
            seen = random_samples(question, event.shown)
            if len(seen):
                bands.append(RandomBand(who=event.who, seen=len(seen), odd=int(np.isin(seen, event.marked).sum())))
    return bands


def odd_share(bands: Sequence[RandomBand], misses: MissRate) -> OddShare | None:
    """The share of odd images in some clusters. None without a random image or a probe.

    The bound holds for the marks and for the miss rate together, so each of them gets half of the 5 % with which it may
    be wrong.

    Args:
        bands: The random images of the clusters.
        misses: How many probes the people missed who labeled these clusters.
    """
    seen, odd = sum(band.seen for band in bands), sum(band.odd for band in bands)
    if not seen or misses.share is None:
        return None
    most_missed = exact_upper_bound(misses.missed, misses.shown, 0.975)
    return OddShare(
        clusters=len(bands),
        seen=seen,
        odd=odd,
        share=_corrected(odd / seen, misses.share),
        at_most=_corrected(exact_upper_bound(odd, seen, 0.975), most_missed),
    )


def _corrected(share: float, missed: float) -> float:
    """The share of odd images if the share `missed` of them is overlooked; at most 1."""
    return min(1.0, share / (1 - missed)) if missed < 1 else float(share > 0)
