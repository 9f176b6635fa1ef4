"""The model behind `posterior`: what error rates say about images and clusters, and the other way round.

Every belief is about named classes only. A class that nobody named for an image has the same belief as all other such
classes, and every log odds here is that of a named class against one of them.
"""

from dataclasses import dataclass

import numpy as np

from raycal.people.error_rates import (
    CHOSEN_LOOKS_OTHER,
    CLUSTER_STRENGTH,
    FALSE_MARK,
    LOOKS_OTHER,
    MISSED,
    SINGLE,
    ErrorRates,
    odd_shares,
    summed,
)
from raycal.people.evidence_layout import EvidenceLayout, Floats64
from raycal.people.named_classes import Segments
from raycal.people.probe_results import MissRate


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Beliefs:
    """What one pass through the evidence yields.

    Attributes:
        truth: (S,) The probability that a class is the true one.
        judged: (S,) The same by what people saw of the image itself: answers about it alone, and marks.
        look: (S,) The probability that the image looks like the class, by clusters alone.
        looks: (S,) The same by all evidence.
        candidate: (T,) The log odds of a candidate against each class that is no candidate, by the answers about the
            cluster and by single images in it.
        gain: (X,) By how much the cluster of an option raises the log odds of the look of an image.
    """

    truth: Floats64
    judged: Floats64
    look: Floats64
    looks: Floats64
    candidate: Floats64
    gain: Floats64


class EvidenceModel:
    """Computes beliefs from rates, and rates from beliefs: the two steps of EM.

    Args:
        layout: The evidence.
        num_classes: The number of classes.
        probes: How many probes each person missed, in the order of the people of the evidence.
    """

    def __init__(self, layout: EvidenceLayout, num_classes: int, probes: list[MissRate]) -> None:
        self._layout = layout
        self._others = max(num_classes - 1, 1)
        self._missed = np.array([one.missed for one in probes], np.float64)
        self._found = np.array([one.shown - one.missed for one in probes], np.float64)
        self._slots = Segments(layout.slot_group, layout.num_groups, num_classes)
        self._candidates = Segments(layout.candidate_cluster, layout.num_clusters, num_classes)
        self._options = Segments(layout.option_member, len(layout.member_group), num_classes)
        num_clusters_of = np.bincount(layout.member_group, minlength=layout.num_groups)
        num_singles_of = summed(layout.slot_group[layout.single_slot], layout.single_weight, layout.num_groups)
        has_single = num_singles_of > 0
        # The options of images that have an answer of their own, and the memberships of these options.
        self._alone = np.flatnonzero(has_single[layout.member_group[layout.option_member]])
        member_alone, place = np.unique(layout.option_member[self._alone], return_inverse=True)
        self._alone_member, self._alone_place = member_alone, place
        self._options_alone = Segments(place, len(member_alone), num_classes)
        # Where the beliefs say something about a rate, because the image or cluster has other evidence.
        self._single_tells = (num_singles_of > 1)[layout.slot_group[layout.single_slot]] | (num_clusters_of > 0)[
            layout.slot_group[layout.single_slot]
        ]
        # Images that were chosen to be labeled alone are odd more often than the others of their clusters, so they say
        # nothing about shares among all images.
        was_seen = np.bincount(layout.look_member, minlength=len(layout.member_group)) > 0
        self._odd_tells = (layout.is_random | (num_clusters_of > 1))[layout.member_group] | was_seen
        self._in_several = (num_clusters_of > 1)[layout.member_group].astype(np.float64)
        has_clusters = num_clusters_of > 0
        was_seen_anywhere = np.bincount(layout.member_group[was_seen], minlength=layout.num_groups) > 0
        self._looks_tell = has_clusters & (layout.is_random | was_seen_anywhere)
        self._chosen_tell = has_clusters & layout.is_chosen
        alone = np.bincount(layout.member_cluster[member_alone], minlength=layout.num_clusters) > 0
        several_people = np.bincount(layout.candidate_cluster[layout.vote_candidate], layout.vote_weight) > 1
        cluster_tells = alone | (layout.neighbors > 0) | several_people if layout.num_clusters else alone
        self._vote_tells = cluster_tells[layout.candidate_cluster[layout.vote_candidate]]

    def beliefs(self, rates: ErrorRates) -> Beliefs:
        """The beliefs about all images and clusters that follow from error rates."""
        layout, others, looks_other = self._layout, self._others, self._looks_other_of(rates)
        by_person = np.log((1 - rates.single) * others / rates.single)[layout.single_person]
        by_person *= layout.single_weight * layout.single_counts
        from_single = summed(layout.single_slot, by_person, len(layout.slot_group))
        single, _ = self._slots.normalized(from_single)
        marks, although = self._marks_ratio(rates), self._although(rates)

        ratio = self._ratio(rates)
        from_votes = layout.vote_weight * np.log((1 - rates.cluster) * others / rates.cluster)[layout.vote_person]
        candidate = summed(layout.vote_candidate, from_votes, len(layout.candidate_label))
        # What the images that were labeled alone say about the main classes of their clusters. If people marked an
        # image as odd, its other class is no reason to doubt the main one.
        alone, of_member = self._alone, self._alone_place
        alone_ratio = (although / marks)[self._alone_member]
        own = single[layout.option_slot[alone]]
        rest = self._options_alone.rest(own)
        said = _mixed(own, alone_ratio[of_member])
        said = np.log(said) - np.log(_mixed(rest, alone_ratio))[of_member]
        candidate += summed(layout.option_candidate[alone], said, len(candidate))

        main, main_rest = self._candidates.normalized(candidate)
        inside, outside = main[layout.option_candidate], main_rest[layout.member_cluster]
        # The belief in a cluster that an image gets must not come from the image itself.
        inside[alone], outside[self._alone_member] = self._options_alone.normalized(
            candidate[layout.option_candidate[alone]] - said
        )
        gain = np.log(_mixed(inside, ratio[layout.option_member]))
        gain -= np.log(_mixed(outside, ratio))[layout.option_member]
        from_clusters = summed(layout.option_slot, gain, len(layout.slot_group))
        look, look_rest = self._slots.normalized(from_clusters)
        seen = from_single + self._from_marks(marks, although, inside, outside)
        blurred = self._blurred_odds(look, look_rest, looks_other)
        truth, _ = self._slots.normalized(seen + blurred)
        judged, judged_rest = self._slots.normalized(seen)
        blurred = self._blurred_odds(judged, judged_rest, looks_other)
        looks, _ = self._slots.normalized(from_clusters + blurred)
        return Beliefs(truth=truth, judged=judged, look=look, looks=looks, candidate=candidate, gain=gain)

    def _marks_ratio(self, rates: ErrorRates) -> Floats64:
        """(M,) How much more probable the marks, and missing marks, of an image are if it has the main class than if it
        has another one.
        """
        layout = self._layout
        who, is_mark = layout.look_person, layout.look_is_mark
        others = np.where(is_mark, 1 - rates.missed[who], rates.missed[who])
        main = np.where(is_mark, rates.false_mark[who], 1 - rates.false_mark[who])
        return np.exp(summed(layout.look_member, np.log(main / others), len(layout.member_group)))

    def _although(self, rates: ErrorRates) -> Floats64:
        """(M,) How much more probable it is that an image has one of the other classes than that it has the main class
        of its cluster, for each of the others.
        """
        odd = rates.odd[self._layout.member_cluster]
        looks_other = self._looks_other_of(rates)[self._layout.member_group]
        same = (1 - odd) * (1 - looks_other) + odd * looks_other / self._others
        ratio: Floats64 = (1 - same) / self._others / same
        return ratio

    def _from_marks(self, marks: Floats64, although: Floats64, inside: Floats64, outside: Floats64) -> Floats64:
        """(S,) What marks, and missing marks, say about the class of an image.

        Args:
            marks: See `_marks_ratio`.
            although: See `_although`.
            inside: (X,) The belief that an option is the main class of the cluster.
            outside: (M,) The same for each class that is no option.
        """
        layout = self._layout
        inside = inside / _mixed(inside, although[layout.option_member])
        outside = outside / _mixed(outside, although)
        said = np.log(1 + (marks[layout.option_member] - 1) * inside)
        said -= np.log(1 + (marks - 1) * outside)[layout.option_member]
        return summed(layout.option_slot, said, len(layout.slot_group))

    def rates(self, beliefs: Beliefs, before: ErrorRates) -> ErrorRates:
        """The most probable error rates for some beliefs.

        Args:
            beliefs: The beliefs.
            before: The rates from which the beliefs follow.
        """
        layout, num_people = self._layout, len(self._missed)
        # The belief in the look of an image without the cluster of the option, and whether the image is odd in it.
        without, _ = self._without(beliefs.looks, beliefs.gain)
        odd = self._ratio(before)[layout.option_member] * (1 - without)
        odd_share = odd / (without + odd)
        main = self._main_class(beliefs, before)
        weight = layout.vote_weight * self._vote_tells
        wrong = weight * (1 - main[layout.vote_candidate])
        hits, trials = (summed(layout.vote_person, one, num_people) for one in (wrong, weight))
        weight = layout.single_weight * self._single_tells
        wrong = weight * (1 - beliefs.truth[layout.single_slot])
        of_single = [summed(layout.single_person, one, num_people) for one in (wrong, weight)]
        single = SINGLE.by_group(*of_single, like=(hits, trials))
        cluster = (CLUSTER_STRENGTH * single + hits) / (CLUSTER_STRENGTH + trials)
        of_option = main[layout.option_candidate]
        odd_rates, by_stratum = odd_shares(
            layout.stratum,
            summed(
                layout.member_cluster, self._options.sums(of_option * odd_share) * self._odd_tells, layout.num_clusters
            ),
            summed(layout.member_cluster, self._options.sums(of_option) * self._odd_tells, layout.num_clusters),
        )
        right_share = self._right_share(beliefs, before)
        # Whether a person overlooks odd images is known of those that were drawn at random only. If it were estimated
        # from images whose class is itself doubtful, much oddness and much overlooking would explain each other.
        seen, who, is_mark = layout.look_member, layout.look_person, layout.look_is_mark
        tells = layout.is_random[layout.member_group[seen]]
        right = self._options.sums(of_option * right_share)[seen] * tells
        other = self._options.sums(of_option * (1 - right_share))[seen] * tells
        missed = MISSED.by_group(
            self._missed + summed(who, other * ~is_mark, num_people),
            self._missed + self._found + summed(who, other, num_people),
        )
        false_mark = FALSE_MARK.by_group(summed(who, right * is_mark, num_people), summed(who, right, num_people))
        shares = self._looks_other(beliefs, before)
        looks_other = LOOKS_OTHER.of(shares[self._looks_tell])
        chosen = CHOSEN_LOOKS_OTHER.of(shares[self._chosen_tell])
        return ErrorRates(
            single=single,
            cluster=cluster,
            missed=missed,
            false_mark=false_mark,
            odd=odd_rates,
            odd_by_stratum=by_stratum,
            looks_other=min(looks_other, chosen),
            chosen_looks_other=chosen,
        )

    def _looks_other_of(self, rates: ErrorRates) -> Floats64:
        """(G,) The probability that an image looks like another class than its own."""
        return np.where(self._layout.is_chosen, rates.chosen_looks_other, rates.looks_other)

    def _ratio(self, rates: ErrorRates) -> Floats64:
        """(M,) How much more probable it is that an image is in its cluster because it is odd, for each class that is
        not the main one, than because it has the look of the main class.
        """
        odd = rates.odd[self._layout.member_cluster]
        ratio: Floats64 = odd / (1 - odd) / self._others
        return ratio

    def _blurred(self, belief: Floats64, looks_other: Floats64) -> Floats64:
        """The belief in the look of an image from the belief in its class, or the other way round."""
        return (1 - looks_other) * belief + looks_other / self._others * (1 - belief)

    def _blurred_odds(self, belief: Floats64, rest: Floats64, looks_other: Floats64) -> Floats64:
        """(S,) The log odds of the look of an image from the belief in its class, or the other way round.

        Args:
            belief: (S,) The belief in each named class.
            rest: (G,) The belief in each class that is not named.
            looks_other: See `_looks_other_of`.
        """
        group = self._layout.slot_group
        other = np.log(self._blurred(rest, looks_other))
        odds: Floats64 = np.log(self._blurred(belief, looks_other[group])) - other[group]
        return odds

    def _without(self, belief: Floats64, gain: Floats64) -> tuple[Floats64, Floats64]:
        """(X,) The belief in an option without the evidence of its cluster; (M,) in each class that is no option."""
        layout = self._layout
        full = belief[layout.option_slot]
        less = full * np.exp(-gain)
        rest = np.maximum(1 - self._options.sums(full), 0)
        total = self._options.sums(less) + rest
        return less / total[layout.option_member], rest / total / self._options.num_unnamed

    def _main_class(self, beliefs: Beliefs, rates: ErrorRates) -> Floats64:
        """(T,) The probability that a candidate is the main class of its cluster, by all evidence.

        The other clusters of its images agree with each other, so they do not count once for each image: the mean over
        the images counts as often as the cluster has neighbors.
        """
        layout = self._layout
        own, rest = self._without(beliefs.look, beliefs.gain)
        ratio = self._ratio(rates)
        said = np.log(_mixed(own, ratio[layout.option_member])) - np.log(_mixed(rest, ratio))[layout.option_member]
        said *= self._in_several[layout.option_member]
        number = summed(layout.member_cluster, self._in_several, layout.num_clusters)
        times = layout.neighbors / np.maximum(number, 1)
        from_others = summed(layout.option_candidate, said, len(layout.candidate_label))
        return self._candidates.normalized(beliefs.candidate + from_others * times[layout.candidate_cluster])[0]

    def _right_share(self, beliefs: Beliefs, rates: ErrorRates) -> Floats64:
        """(X,) The probability that an image has the class of an option if this is the main class of the cluster."""
        slot = self._layout.option_slot
        own, _ = self._without(beliefs.look, beliefs.gain)
        look = own / _mixed(own, self._ratio(rates)[self._layout.option_member])
        looks_other = self._looks_other_of(rates)[self._layout.slot_group[slot]]
        by_look, judged = self._blurred(look, looks_other), beliefs.judged[slot]
        other = (1 - by_look) * (1 - judged) / self._others
        found: Floats64 = by_look * judged / np.maximum(by_look * judged + other, 1e-300)
        return found

    def _looks_other(self, beliefs: Beliefs, rates: ErrorRates) -> Floats64:
        """(G,) The probability that an image looks like another class than its own, by all evidence."""
        slots, looks_other = self._slots, self._looks_other_of(rates)
        by_both = slots.sums(beliefs.judged * beliefs.look)
        by_both += slots.rest(beliefs.judged) * slots.rest(beliefs.look) * slots.num_unnamed
        same, other = (1 - looks_other) * by_both, looks_other / self._others * (1 - by_both)
        found: Floats64 = other / np.maximum(same + other, 1e-300)
        return found


def _mixed(belief: Floats64, ratio: Floats64) -> Floats64:
    """How probable an image is in a cluster, from the belief that both have the same class."""
    return np.maximum(belief + ratio * (1 - belief), 1e-300)
