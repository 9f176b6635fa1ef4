"""Rows of the ledger for tests that do not care about times and purities."""

from raycal.algorithm.records import Answer, Indices, Interaction, Kind


def row_of(interaction: int, iteration: int, kind: Kind, label: int | None, indices: Indices) -> Interaction:
    """The row of an answer; without a label, the samples were refused."""
    return Interaction(
        iteration=iteration,
        step=0,
        interaction=interaction,
        kind=kind,
        answer=Answer.REFUSED if label is None else Answer.LABELED,
        label=label,
        purity=None,
        wrong=None,
        seconds=1.0,
        indices=indices,
    )
