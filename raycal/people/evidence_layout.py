"""Sorts evidence into the arrays that the passes of `posterior` go through: who is named for what, by whom.

A *group* is an image with all its copies, a *slot* is a class that somebody named for a group, a *cluster* is all
answers about the same images (see `same_clusters`), a *membership* is a group in a cluster, a *candidate* is a label
that a cluster got, and an *option* is a candidate of the cluster of a membership. All arrays are sparse: nothing has
an entry per image and class.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from raycal.algorithm.records import Indices, Labels
from raycal.people.cluster_labels import strata_of
from raycal.people.evidence import Evidence, Flags
from raycal.people.same_clusters import same_clusters

Floats64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class EvidenceLayout:
    """The evidence in the form in which the model uses it. G groups, S slots, M memberships, C clusters, T candidates,
    X options.

    Attributes:
        group: (G,) int64, the content id of each group, ascending.
        slot_group, slot_label: (S,) int64, ascending by group and label.
        is_random: (G,) bool, whether the group was drawn at random to be labeled alone, and was not chosen otherwise.
        is_chosen: (G,) bool, whether a group was labeled alone because it was chosen, for instance by a model.
        single_slot, single_person, single_weight: (s,) The slot that a person named for a single image, and the weight
            of this answer. All answers of one person about one group have the sum 1; a second look counts apart,
            because the person then decides between the labels that others gave.
        single_counts: (s,) bool, whether the answer says something about the image. An answer that its person replaced
            by another one in a second look only says how often the person is wrong.
        member_group, member_cluster: (M,) int64, ascending by group and cluster.
        look_member, look_person, look_is_mark: (l,) A person saw a membership in the cluster, and marked it or not.
        candidate_cluster, candidate_label: (T,) int64, ascending by cluster and label.
        vote_candidate, vote_person, vote_weight: (v,) A person gave a cluster a label. All answers of one person about
            one cluster have the sum 1.
        option_member, option_candidate, option_slot: (X,) int64, ascending by membership and label.
        neighbors: (C,) float64, the effective number of other clusters in which the groups of a cluster are.
        stratum: (C,) int64, the stratum of the size of each cluster.
    """

    group: Indices
    is_random: Flags
    is_chosen: Flags
    slot_group: Indices
    slot_label: Labels
    single_slot: Indices
    single_person: Indices
    single_weight: Floats64
    single_counts: Flags
    member_group: Indices
    member_cluster: Indices
    look_member: Indices
    look_person: Indices
    look_is_mark: Flags
    candidate_cluster: Indices
    candidate_label: Labels
    vote_candidate: Indices
    vote_person: Indices
    vote_weight: Floats64
    option_member: Indices
    option_candidate: Indices
    option_slot: Indices
    neighbors: Floats64
    stratum: Indices

    @property
    def num_groups(self) -> int:
        """The number of groups."""
        return len(self.group)

    @property
    def num_clusters(self) -> int:
        """The number of clusters."""
        return len(self.stratum)

    @classmethod
    def of(cls, evidence: Evidence, content: Indices) -> "EvidenceLayout":
        """Sort evidence.

        Args:
            evidence: The evidence, in any order.
            content: (P,) int64, ids from 0; images with the same content have the same id.
        """
        names, group = np.unique(content[evidence.index], return_inverse=True)
        num_labels = int(evidence.label.max(initial=0)) + 1
        # One row for each group and answer, also if several copies of an image are in a cluster. A mark comes first.
        order = np.lexsort((~evidence.is_odd, evidence.answer, group))
        is_first = _changes(group[order], evidence.answer[order])
        rows, group = evidence.rows(order[is_first]), group[order[is_first]].astype(np.int64)

        single = np.flatnonzero(rows.is_single)
        person_key = group[single] * (len(rows.people) + 1) + rows.person[single]
        _, by_person = np.unique(2 * person_key + rows.is_look[single], return_inverse=True)
        weight = 1 / np.bincount(by_person)[by_person] if len(single) else np.zeros(0)
        is_look = rows.is_look[single]
        labeled_key = person_key * num_labels + rows.label[single]
        confirmed = np.isin(labeled_key, labeled_key[is_look])
        replaced = np.isin(person_key, person_key[is_look]) & ~confirmed
        is_random, is_chosen = np.zeros(len(names), np.bool_), np.zeros(len(names), np.bool_)
        is_random[group[single[rows.is_audit[single]]]] = True
        is_chosen[group[single[~rows.is_audit[single]]]] = True

        of_cluster = np.flatnonzero(~rows.is_single)
        answers, first, answer = np.unique(rows.answer[of_cluster], return_index=True, return_inverse=True)
        label, person = rows.label[of_cluster][first], rows.person[of_cluster][first]
        same = same_clusters(group[of_cluster], answer, len(answers))
        num_clusters = int(same.max(initial=-1)) + 1
        member_key, member = np.unique(group[of_cluster] * (num_clusters + 1) + same[answer], return_inverse=True)
        member_group, member_cluster = member_key // (num_clusters + 1), member_key % (num_clusters + 1)
        candidate_key, candidate = np.unique(same * num_labels + label, return_inverse=True)
        candidate_cluster = candidate_key // num_labels
        vote_key, votes = np.unique(candidate * (len(rows.people) + 1) + person, return_counts=True)
        vote_candidate, vote_person = vote_key // (len(rows.people) + 1), vote_key % (len(rows.people) + 1)
        _, asked = np.unique(
            candidate_cluster[vote_candidate] * (len(rows.people) + 1) + vote_person, return_inverse=True
        )
        vote_weight = votes / np.bincount(asked, votes)[asked] if len(votes) else np.zeros(0)

        per_cluster = np.bincount(candidate_cluster, minlength=num_clusters)
        start = np.concatenate([[0], np.cumsum(per_cluster)])[:-1]
        repeats = per_cluster[member_cluster]
        option_member = np.repeat(np.arange(len(member_group)), repeats)
        place = np.arange(len(option_member)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
        option_candidate = start[member_cluster[option_member]] + place
        option_key = member_group[option_member] * num_labels + candidate_key[option_candidate] % num_labels
        single_key = group[single] * num_labels + rows.label[single]
        slots, slot = np.unique(np.concatenate([single_key, option_key]), return_inverse=True)

        looks = np.flatnonzero(rows.is_seen[of_cluster])
        sizes = np.bincount(answer, minlength=len(answers))
        largest = np.zeros(num_clusters, np.int64)
        np.maximum.at(largest, same, sizes)
        return cls(
            group=names,
            is_random=is_random & ~is_chosen,
            is_chosen=is_chosen,
            slot_group=slots // num_labels,
            slot_label=slots % num_labels,
            single_slot=slot[: len(single)],
            single_person=rows.person[single],
            single_weight=weight,
            single_counts=~replaced,
            member_group=member_group,
            member_cluster=member_cluster,
            look_member=member[looks],
            look_person=rows.person[of_cluster][looks],
            look_is_mark=rows.is_odd[of_cluster][looks],
            candidate_cluster=candidate_cluster,
            candidate_label=candidate_key % num_labels,
            vote_candidate=vote_candidate,
            vote_person=vote_person,
            vote_weight=vote_weight,
            option_member=option_member,
            option_candidate=option_candidate,
            option_slot=slot[len(single) :],
            neighbors=_neighbors(member_group, member_cluster, num_clusters),
            stratum=strata_of(largest),
        )


def _changes(*sorted_columns: Indices) -> Flags:
    """Whether a row differs from the row before it."""
    changed = np.ones(len(sorted_columns[0]), np.bool_)
    changed[1:] = np.any([column[1:] != column[:-1] for column in sorted_columns], axis=0)
    return changed


def _neighbors(group: Indices, cluster: Indices, num_clusters: int) -> Floats64:
    """The effective number of neighbors of each cluster: 1 / sum of the squared shares (the index of Simpson).

    The neighbor of a membership is the cluster before it among the clusters of the group, or else the one after it.
    """
    has_before = np.append(False, group[1:] == group[:-1])[: len(group)]
    has_after = np.append(group[1:] == group[:-1], False)[: len(group)]
    before, after = np.roll(cluster, 1), np.roll(cluster, -1)
    is_pair = has_before | has_after
    other = np.where(has_before, before, after)
    keys, counts = np.unique(cluster[is_pair] * (num_clusters + 1) + other[is_pair], return_counts=True)
    owner = keys // (num_clusters + 1)
    total = np.bincount(owner, counts, num_clusters)
    squares = np.bincount(owner, counts.astype(np.float64) ** 2, num_clusters)
    found: Floats64 = np.divide(total**2, squares, out=np.zeros(num_clusters), where=squares > 0)
    return found
