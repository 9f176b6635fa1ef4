"""How often labels of the same samples agree: measures of reliability that are corrected for chance."""

from collections import Counter
from collections.abc import Iterable, Sequence

Pair = tuple[int, int]


def cohen_kappa(pairs: Sequence[Pair]) -> float | None:
    """Cohen's kappa of two people: 1 if they always agree, 0 if they agree as often as by chance.

    Args:
        pairs: For each sample, the label of the first person and that of the second person.

    Returns:
        None without a pair, and if both people gave all samples the same label, because chance then agrees, too.
    """
    if not pairs:
        return None
    number = len(pairs)
    first, second = Counter(one for one, _ in pairs), Counter(other for _, other in pairs)
    by_chance = sum(first[label] * second[label] for label in first) / number**2
    if by_chance == 1:
        return None
    agreeing = sum(one == other for one, other in pairs) / number
    return (agreeing - by_chance) / (1 - by_chance)


def krippendorff_alpha(units: Iterable[Sequence[int]]) -> float | None:
    """Krippendorff's alpha of nominal labels, for any number of people who each labeled any of the samples.

    Args:
        units: For each sample, the labels that different people gave it. Samples with fewer than two labels are left
            out.

    Returns:
        None without a sample with two labels, and if all labels are the same.
    """
    disagreeing, totals = 0.0, Counter[int]()
    for labels in units:
        if len(labels) < 2:
            continue
        counts = Counter(labels)
        totals += counts
        # Each pair of values of a unit counts, weighted so that the unit has the weight of its number of values.
        disagreeing += (len(labels) ** 2 - sum(one**2 for one in counts.values())) / (len(labels) - 1)
    number = totals.total()
    expected = number**2 - sum(one**2 for one in totals.values())
    if expected == 0:
        return None
    return 1 - (number - 1) * disagreeing / expected


def confused_pairs(pairs: Iterable[Pair]) -> list[tuple[Pair, int]]:
    """Which two classes were given to the same sample, and how often: the most frequent pairs first.

    Both orders of two classes count as the same pair, with the smaller class first.
    """
    counts = Counter((min(pair), max(pair)) for pair in pairs if pair[0] != pair[1])
    return sorted(counts.items(), key=lambda one: (-one[1], one[0]))
