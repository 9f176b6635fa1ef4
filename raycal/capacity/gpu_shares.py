"""How workers and clustering actors share the GPUs of a node; a card is one physical GPU."""

import os

# Ray counts CPUs and GPUs in ten-thousandths.
UNIT = 10_000
# Clustering needs a little memory of a GPU. The trials wait while clustering computes.
CLUSTERING_GPU = 0.05
_LEFT_BY_CLUSTERING = UNIT - round(CLUSTERING_GPU * UNIT)


def hide_gpus() -> None:
    """Keep a process that was given no GPU from using the GPUs of its node, all of which Ray 2.60 lets the process
    see."""
    os.environ["CUDA_VISIBLE_DEVICES"] = ""


def per_card(gpus: float) -> int:
    """How many workers, each with at most a whole card, share one card."""
    return UNIT // _units(gpus)


def beside_clustering(gpus: float) -> int:
    """How many workers, each with at most a whole card, share one card with a clustering actor."""
    return _LEFT_BY_CLUSTERING // _units(gpus)


def equal_share(gpus: float, cards: int) -> float:
    """The largest share with which as many workers fit on a card as with the share `gpus`; whole cards are returned as
    they are.

    The share leaves room for clustering if a card has enough room for it. Ray 2.60 places a group of workers by the sum
    of a node's free GPUs. If the remainders of several cards add up to another share, the group waits forever for a
    worker that fits on no single card. With equal shares the remainders add up to less than one share.

    Args:
        gpus: The smallest number of GPUs of each worker; if it is above 1, it is a whole number.
        cards: The largest number of cards of any node.
    """
    if gpus == 0 or gpus >= 1:
        return gpus
    number = per_card(gpus)
    share = _LEFT_BY_CLUSTERING // number
    left = cards * (UNIT - number * share)
    return (share if share >= _units(gpus) and left < share else UNIT // number) / UNIT


def has_share_to_spare(cards: int, gpus: float, workers: int) -> bool:
    """Whether `workers` workers always leave the share for clustering free on some card and fit beside clustering."""
    if gpus > 1:
        return cards - workers * gpus >= 1
    beside = beside_clustering(gpus)
    return workers <= (cards - 1) * per_card(gpus) + beside and workers < cards * (beside + 1)


def _units(gpus: float) -> int:
    return max(round(gpus * UNIT), 1)
