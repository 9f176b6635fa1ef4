"""How workers and clustering share the cards of a node."""

import os

# Ray counts CPUs and GPUs in ten-thousandths.
UNIT = 10_000
# Memory is what a clustering needs of a GPU, and little of it; the trials wait while it computes.
CLUSTERING_GPU = 0.05
_LEFT_BY_CLUSTERING = UNIT - round(CLUSTERING_GPU * UNIT)


def hide_gpus() -> None:
    """Keep a process that was given no GPU off those of its node; Ray 2.60 shows it all of them."""
    os.environ["CUDA_VISIBLE_DEVICES"] = ""


def per_card(gpus: float) -> int:
    """How many workers with at most a whole card each share one."""
    return UNIT // _units(gpus)


def beside_clustering(gpus: float) -> int:
    """How many workers with at most a whole card each share one with a clustering actor."""
    return _LEFT_BY_CLUSTERING // _units(gpus)


def equal_share(gpus: float, cards: int) -> float:
    """The largest share with which as many workers use a card, beside clustering where that fits; or whole cards.

    Ray 2.60 places a group by the sum of a node's GPUs. Where what its cards have left makes another share in sum, the
    group waits for ever for a worker that no single card can take; of equal shares too little is left.

    Args:
        gpus: At least so much; above 1 a whole number.
        cards: Of the node with the most.
    """
    if gpus == 0 or gpus >= 1:
        return gpus
    number = per_card(gpus)
    share = _LEFT_BY_CLUSTERING // number
    left = cards * (UNIT - number * share)
    return (share if share >= _units(gpus) and left < share else UNIT // number) / UNIT


def has_share_to_spare(cards: int, gpus: float, workers: int) -> bool:
    """Whether some card has clustering's share left beside so many workers, and they have theirs beside clustering."""
    if gpus > 1:
        return cards - workers * gpus >= 1
    beside = beside_clustering(gpus)
    return workers <= (cards - 1) * per_card(gpus) + beside and workers < cards * (beside + 1)


def _units(gpus: float) -> int:
    return max(round(gpus * UNIT), 1)
